//! Writes rows of matches.

use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use service::settings::ScyllaSettings;

use crate::eraser::{Eraser, Erasure};
use crate::row::Reversed;
use crate::{COLUMNS, MatchRow, StoreError, connect, prepare};

/// A session with the statements prepared. May be used by many tasks at once.
pub struct MatchWriter {
    session: Session,
    by_event: PreparedStatement,
    by_customer: PreparedStatement,
    by_campaign: PreparedStatement,
    reversals: Reversals,
    probe: PreparedStatement,
    eraser: Eraser,
}

/// Statements that add a return to the row of its match.
struct Reversals {
    event: PreparedStatement,
    customer: PreparedStatement,
    campaign: PreparedStatement,
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
            reversals: Reversals::prepare(&session, keyspace).await?,
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
        match row.reversal() {
            Some(reversed) => self.reversals.write(&self.session, &reversed).await,
            None => Ok(()),
        }
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

impl Reversals {
    async fn prepare(session: &Session, keyspace: &str) -> Result<Self, StoreError> {
        let update = async |table: &str, key: &str| {
            let statement = format!(
                "UPDATE {keyspace}.{table} USING TIMESTAMP ? SET reversals[?] = ? WHERE {key}"
            );
            prepare(session, &statement, Consistency::LocalQuorum).await
        };
        let customer = "customer_id = ? AND bucket = ? AND occurred_at = ? AND event_id = ? \
                        AND campaign_id = ?";
        let campaign = "campaign_id = ? AND bucket = ? AND shard = ? AND occurred_at = ? \
                        AND event_id = ?";
        Ok(Self {
            event: update("matches", "event_id = ? AND campaign_id = ?").await?,
            customer: update("matches_by_customer", customer).await?,
            campaign: update("matches_by_campaign", campaign).await?,
        })
    }

    async fn write(&self, session: &Session, reversed: &Reversed<'_>) -> Result<(), StoreError> {
        let Reversed {
            reversal_id: id,
            reversal,
            bucket: (month, hour),
            shard,
            occurred_at: at,
            event_id,
            campaign_id,
            customer_id,
            written_at,
        } = reversed;
        let by_event = (written_at, id, reversal, event_id, campaign_id);
        let by_customer = (
            written_at,
            id,
            reversal,
            customer_id,
            month,
            at,
            event_id,
            campaign_id,
        );
        let by_campaign = (
            written_at,
            id,
            reversal,
            campaign_id,
            hour,
            shard,
            at,
            event_id,
        );
        futures::try_join!(
            session.execute_unpaged(&self.event, by_event),
            session.execute_unpaged(&self.customer, by_customer),
            session.execute_unpaged(&self.campaign, by_campaign),
        )?;
        Ok(())
    }
}
