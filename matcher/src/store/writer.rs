//! Writes rows of matches.

use std::time::Duration;

use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use service::settings::ScyllaSettings;

use super::{MatchRow, StoreError, connect};

/// How long one statement may take. The same write may follow after it; that does no harm.
const STATEMENT: Duration = Duration::from_secs(2);

const COLUMNS: &str = "event_id, campaign_id, match_id, campaign_version, campaigns_offset, \
    customer_id, event_type, occurred_at, matched_at, reward, source_topic, source_partition, \
    source_offset, traceparent, correlation_id";

/// A session with both statements prepared. May be used by many tasks at once.
pub struct MatchWriter {
    session: Session,
    by_event: PreparedStatement,
    by_customer: PreparedStatement,
    probe: PreparedStatement,
}

impl MatchWriter {
    /// Connects and prepares.
    ///
    /// # Errors
    /// No node can be reached, or the tables are not there.
    pub async fn connect(settings: &ScyllaSettings) -> Result<Self, StoreError> {
        let session = connect(settings).await?;
        let keyspace = &settings.keyspace;
        let insert = |table: &str, columns: &str| {
            let markers: Vec<_> = columns
                .split(", ")
                .map(|column| format!(":{column}"))
                .collect();
            let markers = markers.join(", ");
            format!(
                "INSERT INTO {keyspace}.{table} ({columns}) VALUES ({markers}) \
                 USING TIMESTAMP :written_at"
            )
        };
        let by_event = insert("matches", COLUMNS);
        let by_customer = insert("matches_by_customer", &format!("bucket, {COLUMNS}"));
        Ok(Self {
            by_event: prepare(&session, &by_event, Consistency::LocalQuorum).await?,
            by_customer: prepare(&session, &by_customer, Consistency::LocalQuorum).await?,
            probe: prepare(&session, "SELECT key FROM system.local", Consistency::One).await?,
            session,
        })
    }

    /// Writes the rows of one match, at `LOCAL_QUORUM`. Once it has returned, both are there.
    ///
    /// # Errors
    /// [`StoreError::Execute`]: a row may be there or not; writing it again is always right.
    pub async fn write(&self, row: &MatchRow) -> Result<(), StoreError> {
        let (by_event, by_customer) = (row.by_event(), row.by_customer());
        let by_event = self.session.execute_unpaged(&self.by_event, &by_event);
        let by_customer = self
            .session
            .execute_unpaged(&self.by_customer, &by_customer);
        futures::try_join!(by_event, by_customer)?;
        Ok(())
    }

    /// Asks for an answer and nothing else.
    ///
    /// # Errors
    /// [`StoreError::Execute`]: there is none.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.session.execute_unpaged(&self.probe, &[]).await?;
        Ok(())
    }
}

async fn prepare(
    session: &Session,
    statement: &str,
    consistency: Consistency,
) -> Result<PreparedStatement, StoreError> {
    let mut prepared = session.prepare(statement).await?;
    prepared.set_consistency(consistency);
    prepared.set_is_idempotent(true);
    prepared.set_request_timeout(Some(STATEMENT));
    Ok(prepared)
}
