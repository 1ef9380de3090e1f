//! Documents in Avro with a schema registry: real Kafka, Cassandra and registry, the real programs, and
//! apache-avro on the other side.

mod ingest;
mod mixed;
mod outage;
mod poison;
mod registration;
mod upstream;

use std::time::Duration;

use tests::process::Process;
use tests::servers::Server;
use tests::wait;
use tests::world::World;

/// An installation with a database on the servers that the tests share.
fn world() -> World {
    World::with_registry(
        Server::shared_kafka().address(),
        Some(Server::shared_cassandra().address()),
        Server::shared_registry().address(),
    )
}

/// An installation on the shared broker, without a database, with that registry.
fn world_at(registry: &Server) -> World {
    World::with_registry(Server::shared_kafka().address(), None, registry.address())
}

/// Waits until a program is not ready, for this reason.
fn wait_not_ready(process: &Process, reason: &str) {
    wait::until(reason, Duration::from_secs(30), || {
        let answer = process.get("/readyz")?;
        (answer.starts_with("HTTP/1.1 503") && answer.contains(reason)).then_some(())
    });
}
