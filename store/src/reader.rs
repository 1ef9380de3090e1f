//! Reads rows of matches.

use scylla::client::session::Session;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use service::settings::ScyllaSettings;

use crate::bucket::{Bucket, SHARDS};
use crate::page::{self, Page, Part, Position, Range};
use crate::stored::Row;
use crate::{COLUMNS, StoreError, StoredMatch, connect, prepare};

/// A session with its statements prepared. May be used by many tasks at once.
///
/// Reads at `LOCAL_QUORUM`, as rows are written: what was recorded is seen.
pub struct MatchReader {
    session: Session,
    by_event: PreparedStatement,
    customer: Statements,
    campaign: Statements,
}

/// The statements of one table.
struct Statements {
    /// From a time on, before another.
    span: PreparedStatement,
    /// Of one moment, after an event.
    moment: PreparedStatement,
    /// Of one moment and event, after a campaign.
    event: Option<PreparedStatement>,
}

impl MatchReader {
    /// Connects and prepares.
    ///
    /// # Errors
    /// No node can be reached, or the tables are not there.
    pub async fn connect(settings: &ScyllaSettings) -> Result<Self, StoreError> {
        let session = connect(settings).await?;
        let keyspace = &settings.keyspace;
        let select = async |table: &str, condition: &str| {
            let statement =
                format!("SELECT {COLUMNS}, reversals FROM {keyspace}.{table} WHERE {condition}");
            prepare(&session, &statement, Consistency::LocalQuorum).await
        };
        let customer = async |condition: &str| {
            let condition = format!("customer_id = ? AND bucket = ? AND {condition} LIMIT ?");
            select("matches_by_customer", &condition).await
        };
        let campaign = async |condition: &str| {
            let condition =
                format!("campaign_id = ? AND bucket = ? AND shard = ? AND {condition} LIMIT ?");
            select("matches_by_campaign", &condition).await
        };
        let span = "occurred_at >= ? AND occurred_at < ?";
        let moment = "occurred_at = ? AND event_id > ?";
        let event = "occurred_at = ? AND event_id = ? AND campaign_id > ?";
        Ok(Self {
            by_event: select("matches", "event_id = ?").await?,
            customer: Statements {
                span: customer(span).await?,
                moment: customer(moment).await?,
                event: Some(customer(event).await?),
            },
            campaign: Statements {
                span: campaign(span).await?,
                moment: campaign(moment).await?,
                event: None,
            },
            session,
        })
    }

    /// Everything that an event won, in the order of the campaigns' ids.
    ///
    /// # Errors
    /// [`StoreError`]: there is no answer.
    pub async fn by_event(&self, event_id: &str) -> Result<Vec<StoredMatch>, StoreError> {
        self.rows(&self.by_event, (event_id,)).await
    }

    /// What a customer won in that time, at most `size` matches.
    ///
    /// # Errors
    /// [`StoreError`]: there is no answer.
    pub async fn by_customer(
        &self,
        customer_id: &str,
        range: Range,
        after: Option<Position>,
        size: usize,
    ) -> Result<Page, StoreError> {
        let fetch = |part| self.month(customer_id, part);
        page::read(Bucket::Month, range, after, size, fetch).await
    }

    /// Who won a campaign in that time, at most `size` matches.
    ///
    /// # Errors
    /// [`StoreError`]: there is no answer.
    pub async fn by_campaign(
        &self,
        campaign_id: &str,
        range: Range,
        after: Option<Position>,
        size: usize,
    ) -> Result<Page, StoreError> {
        let fetch = |part| self.hour(campaign_id, part);
        page::read(Bucket::Hour, range, after, size, fetch).await
    }

    async fn month(&self, customer_id: &str, part: Part) -> Result<Vec<StoredMatch>, StoreError> {
        let mut found = Vec::new();
        let (bucket, limit) = (part.bucket.as_str(), part.limit);
        if let Some((moment, event_id, campaign_id)) = part.rest_of_moment() {
            if let Some(statement) = &self.customer.event {
                let values = (customer_id, bucket, moment, event_id, campaign_id, limit);
                found.extend(self.rows(statement, values).await?);
            }
            let values = (customer_id, bucket, moment, event_id, limit);
            found.extend(self.rows(&self.customer.moment, values).await?);
        }
        let values = (customer_id, bucket, part.from(), part.to(), limit);
        found.extend(self.rows(&self.customer.span, values).await?);
        Ok(found)
    }

    async fn hour(&self, campaign_id: &str, part: Part) -> Result<Vec<StoredMatch>, StoreError> {
        let shard = async |shard: i32| -> Result<Vec<StoredMatch>, StoreError> {
            let mut found = Vec::new();
            let (bucket, limit) = (part.bucket.as_str(), part.limit);
            if let Some((moment, event_id, _)) = part.rest_of_moment() {
                let values = (campaign_id, bucket, shard, moment, event_id, limit);
                found.extend(self.rows(&self.campaign.moment, values).await?);
            }
            let values = (campaign_id, bucket, shard, part.from(), part.to(), limit);
            found.extend(self.rows(&self.campaign.span, values).await?);
            Ok(found)
        };
        let shards = futures::future::try_join_all((0..SHARDS).map(shard)).await?;
        let mut found: Vec<_> = shards.into_iter().flatten().collect();
        found.sort_by(|a, b| page::order(a).cmp(&page::order(b)));
        Ok(found)
    }

    async fn rows(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<StoredMatch>, StoreError> {
        let answer = self
            .session
            .execute_unpaged(statement, values)
            .await?
            .into_rows_result()
            .map_err(|error| StoreError::Answer(error.to_string()))?;
        answer
            .rows::<Row>()
            .map_err(|error| StoreError::Answer(error.to_string()))?
            .map(|row| {
                row.map_err(|error| StoreError::Answer(error.to_string()))?
                    .try_into()
            })
            .collect()
    }
}
