//! The tables of matches in ScyllaDB, or Cassandra 5: migrations, writer and reader.
//!
//! | table | partition | answers |
//! |---|---|---|
//! | `matches` | `event_id` | what did this event win? |
//! | `matches_by_customer` | `customer_id`, month | what did this customer win, newest first? |
//! | `matches_by_campaign` | `campaign_id`, hour, shard | who won this campaign, newest first? |
//!
//! A row is a function of its match: every column is written, none is read before, and the write
//! timestamp is that of the match. So a row may be written any number of times, by any number of
//! recorders, in any order.
//!
//! What becomes of a match later has columns of its own: that it is confirmed, and each return under the return's id. None of
//! them is written by the first record, or by two different ones, so no replay sets back what came after; the status of a match
//! is worked out of them when it is read. They have the write timestamp of the match, too, and so go with it.
//!
//! A customer who is forgotten has their rows deleted, each with the timestamp of its own write: whoever writes it again,
//! from the same record, writes what is deleted already; what is won later is newer.
//!
//! Nothing here knows Kafka: the recorder follows the committed matches and hands them over as
//! [`MatchRow`]s.

mod migrations;

mod bucket;
mod row;
mod writer;

mod eraser;

mod page;
mod reader;
mod stored;

use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{ExecutionError, NewSessionError, PrepareError};
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use service::settings::ScyllaSettings;

pub use self::eraser::Erasure;
pub use self::migrations::migrate;
pub use self::page::{Page, Position, Range};
pub use self::reader::MatchReader;
pub use self::row::{MatchRow, Recorded};
pub use self::stored::StoredMatch;
pub use self::writer::MatchWriter;

const CONNECT: Duration = Duration::from_secs(5);

/// How long one statement may take. The same one may follow after it; that does no harm.
const STATEMENT: Duration = Duration::from_secs(2);

/// The columns that all tables have.
const COLUMNS: &str = "event_id, campaign_id, match_id, campaign_version, campaigns_offset, \
    customer_id, event_type, occurred_at, matched_at, reward, source_topic, source_partition, \
    source_offset, traceparent, correlation_id, confirm_at, confirmed_at, variant";

/// Why the database could not do what it was asked. It may have done so all the same.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No session.
    #[error("no node of SCYLLA_NODES can be reached: {0}")]
    Connect(Box<NewSessionError>),
    /// A statement does not fit the tables.
    #[error("the tables are not as this version needs them ({0}); run `matcher migrate`")]
    Prepare(Box<PrepareError>),
    /// A statement failed or was not answered.
    #[error("the database did not execute a statement: {0}")]
    Execute(Box<ExecutionError>),
    /// The answer has another form.
    #[error("the database answered with something else: {0}")]
    Answer(String),
}

impl StoreError {
    /// What kind of error it is, in a word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Prepare(_) => "prepare",
            Self::Execute(_) => "execute",
            Self::Answer(_) => "answer",
        }
    }
}

impl From<NewSessionError> for StoreError {
    fn from(error: NewSessionError) -> Self {
        Self::Connect(Box::new(error))
    }
}

impl From<PrepareError> for StoreError {
    fn from(error: PrepareError) -> Self {
        Self::Prepare(Box::new(error))
    }
}

impl From<ExecutionError> for StoreError {
    fn from(error: ExecutionError) -> Self {
        Self::Execute(Box::new(error))
    }
}

/// A session with the nodes.
///
/// # Errors
/// [`StoreError::Connect`]: none of them can be reached.
async fn connect(settings: &ScyllaSettings) -> Result<Session, StoreError> {
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.nodes)
        .connection_timeout(CONNECT);
    if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
        builder = builder.user(user, password.reveal());
    }
    Ok(builder.build().await?)
}

/// A statement that may be executed again and does not wait for ever.
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
