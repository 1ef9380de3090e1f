//! The guarantees, on a real Kafka and a real Cassandra, with the real program as processes. Each test
//! ends with the same question ([`tests::world::World::check`]): are the matches that an independent
//! evaluation expects the matches that are committed and the rows that are recorded, each exactly once?

mod breakers;
mod broker;
mod budgets;
mod campaigns;
mod changed_budgets;
mod changelog;
mod customers;
mod database;
mod disk;
mod experiments;
mod flow;
mod matchers;
mod members;
mod partitions;
mod returned_budgets;
mod returns;
mod traces;
mod zombies;

use tests::servers::Server;
use tests::topics::Kafka;
use tests::world::World;

/// An installation on the servers that the tests share.
fn world() -> World {
    world_with(|_, _| {})
}

/// The same, with some of its topics made first; see [`World::with_topics`].
fn world_with(make: impl FnOnce(&Kafka, &str)) -> World {
    let database = Server::shared_cassandra().address();
    World::with_topics(Server::shared_kafka().address(), Some(database), make)
}

/// Settings under which a batch stays open for so long that whatever happens, happens within one.
const LONG_BATCHES: [(&str, &str); 2] = [
    ("COMMIT_INTERVAL_MS", "5000"),
    ("MIN_COMMIT_INTERVAL_MS", "5000"),
];
