//! Writes rows of matches.

use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use service::settings::ScyllaSettings;

use crate::eraser::{Eraser, Erasure};
use crate::{COLUMNS, MatchRow, StoreError, connect, prepare};

/// A session with the statements prepared. May be used by many tasks at once.
pub struct MatchWriter {
    session: Session,
    by_event: PreparedStatement,
    by_customer: PreparedStatement,
    by_campaign: PreparedStatement,
    probe: PreparedStatement,
    eraser: Eraser,
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
        let by_campaign = insert("matches_by_campaign", &format!("bucket, shard, {COLUMNS}"));
        Ok(Self {
            by_event: prepare(&session, &by_event, Consistency::LocalQuorum).await?,
            by_customer: prepare(&session, &by_customer, Consistency::LocalQuorum).await?,
            by_campaign: prepare(&session, &by_campaign, Consistency::LocalQuorum).await?,
            probe: prepare(&session, "SELECT key FROM system.local", Consistency::One).await?,
            eraser: Eraser::prepare(&session, keyspace).await?,
            session,
        })
    }

    /// Writes the rows of one match, at `LOCAL_QUORUM`. Once it has returned, all are there.
    ///
    /// # Errors
    /// [`StoreError::Execute`]: a row may be there or not; writing it again is always right.
    pub async fn write(&self, row: &MatchRow) -> Result<(), StoreError> {
        let (by_event, by_customer) = (row.by_event(), row.by_customer());
        let by_campaign = row.by_campaign();
        futures::try_join!(
            self.session.execute_unpaged(&self.by_event, &by_event),
            self.session
                .execute_unpaged(&self.by_customer, &by_customer),
            self.session
                .execute_unpaged(&self.by_campaign, &by_campaign),
        )?;
        Ok(())
    }

    /// Deletes the rows of a customer's matches of before, at `LOCAL_QUORUM`. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`]: some may be deleted or not; doing it again is always right.
    pub async fn erase(&self, erasure: &Erasure) -> Result<u64, StoreError> {
        self.eraser.erase(&self.session, erasure).await
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
