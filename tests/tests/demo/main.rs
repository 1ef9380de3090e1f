//! What README and docs show, typed as they show it, on a real Kafka and a real Cassandra.

mod readme;
mod story;
