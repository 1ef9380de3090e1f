//! Whether the database can be reached and has the tables.

use service::settings::ScyllaSettings;
use store::{MatchReader, StoreError};

use super::Check;

/// Connects and prepares what the API asks.
pub(super) async fn look(settings: &ScyllaSettings) -> Check {
    let what = format!("database, keyspace {}", settings.keyspace);
    if settings.nodes.is_empty() {
        return Check::skipped(what, "no nodes are set")
            .advice("set --scylla-nodes, SCYLLA_NODES or the context to have it checked");
    }
    match MatchReader::connect(settings).await {
        Ok(_) => Check::good(
            what,
            format!(
                "answers at {}, the tables are there",
                settings.nodes.join(",")
            ),
        ),
        Err(error @ StoreError::Connect(_)) => {
            Check::bad(what, error.to_string()).advice("matches wait in Kafka until it is back")
        }
        Err(error) => Check::bad(what, error.to_string()),
    }
}
