//! The fast lane: the whole pipeline in seconds, with the real program as a process, on the embedded
//! broker instead of a JVM. What holds here must hold on a real Kafka as well, so the tests are the very
//! ones of the guarantees, but for those that kill. (Tests of it wait until a group is at rest before a
//! member ends: for one that ends while it joins, the embedded broker waits for a minute.)

#[path = "../guarantees/campaigns.rs"]
mod campaigns;
#[path = "../guarantees/flow.rs"]
mod flow;

mod standby;

use std::sync::OnceLock;
use std::time::Duration;

use standalone::broker::{Broker, BrokerSettings};
use tests::topics::Kafka;
use tests::world::World;

/// An installation on a broker in the memory of this process, which all tests share.
fn world() -> World {
    world_with(|_, _| {})
}

/// The same, with some of its topics made first; see [`World::with_topics`].
fn world_with(make: impl FnOnce(&Kafka, &str)) -> World {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    let broker = BROKER.get_or_init(|| {
        // Compaction would take versions of campaigns that the checks ask for.
        let settings = BrokerSettings {
            cleaner_interval: Duration::from_hours(1),
            ..BrokerSettings::default()
        };
        Broker::start(&settings).expect("the embedded broker starts")
    });
    World::with_topics(&broker.bootstrap_servers(), None, make)
}
