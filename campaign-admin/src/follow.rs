//! Reads the two topics into the catalog: one thread follows each, and the writer reads on its own to the
//! end when it must know that nothing is missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::topic_partition_list::Offset;
use rules::Rule;
use schemas::names::header as names;
use schemas::{Campaign, CampaignId, Encoded, Reader, Unread};
use service::kafka::reader::{Next, ReadError, TopicReader, TopicSource};
use service::retry::Backoff;
use service::{Component, Heartbeat, Shutdown};

use crate::catalog::{CampaignRecord, Catalog, Change, ChangeId, Topic, Value};
use crate::metrics::AdminMetrics;

const IDLE: Duration = Duration::from_millis(100);

/// How often a schema is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How long the writer waits for the end of a topic: for a transaction of others that is open on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes records of one topic into the catalog.
pub(crate) struct Applier {
    pub(crate) topic: Topic,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) metrics: AdminMetrics,
    pub(crate) documents: Reader,
}

/// The schema of a record is not known yet: the registry is being asked.
struct Waiting;

impl Applier {
    /// Takes a record in, once its schema is known; asks again while `wanted` says yes.
    fn apply_patiently(
        &mut self,
        message: &BorrowedMessage<'_>,
        mut wanted: impl FnMut() -> bool,
    ) -> Result<(), ReadError> {
        while let Err(Waiting) = self.apply(message) {
            if !wanted() {
                return Err(ReadError::GivenUp {
                    topic: message.topic().to_owned(),
                });
            }
            std::thread::sleep(ASK_AGAIN);
        }
        Ok(())
    }

    fn apply(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Waiting> {
        let Some(id) = campaign_id(message) else {
            self.skip(message, "its key is no campaign's id");
            return Ok(());
        };
        match self.topic {
            Topic::Campaigns => self.apply_campaign(&id, message),
            Topic::Changes => self.apply_change(&id, message),
        }
    }

    fn apply_campaign(
        &mut self,
        id: &CampaignId,
        message: &BorrowedMessage<'_>,
    ) -> Result<(), Waiting> {
        let value = match message.payload() {
            None => Value::Tombstone,
            Some(_) => match self.read(id, encoded(message)) {
                Ok(campaign) => Value::Document(Box::new(campaign)),
                Err(Unread::Waiting(_)) => return Err(Waiting),
                Err(Unread::Never(detail)) => Value::Broken(detail.into()),
            },
        };
        let broken = match &value {
            Value::Broken(detail) => Some(detail.clone()),
            _ => None,
        };
        let offset = message.offset();
        let record = CampaignRecord {
            id: id.clone(),
            offset,
            written_at: time(message),
            change: change_id(message),
            value,
        };
        if self.catalog.apply(record)
            && let Some(error) = broken
        {
            self.metrics.refused();
            tracing::warn!(
                campaign_id = %id,
                offset,
                error = &*error,
                "a campaign written to the topic is refused, its last good version stays in force"
            );
        }
        Ok(())
    }

    /// What the matcher takes, and nothing else.
    fn read(&mut self, id: &CampaignId, encoded: Encoded<'_>) -> Result<Campaign, Unread<String>> {
        let campaign = match self.documents.read_campaign(encoded) {
            Ok(campaign) => campaign,
            Err(Unread::Waiting(id)) => return Err(Unread::Waiting(id)),
            Err(Unread::Never(error)) => return Err(Unread::Never(error.to_string())),
        };
        campaign
            .check_key(id.as_str().as_bytes())
            .map_err(|error| Unread::Never(error.to_string()))?;
        Rule::compile(campaign.clone()).map_err(|error| Unread::Never(error.to_string()))?;
        Ok(campaign)
    }

    fn apply_change(
        &mut self,
        id: &CampaignId,
        message: &BorrowedMessage<'_>,
    ) -> Result<(), Waiting> {
        let read = match self.documents.read_change(encoded(message)) {
            Ok(read) => read,
            Err(Unread::Waiting(_)) => return Err(Waiting),
            Err(Unread::Never(error)) => {
                self.skip(message, &error.to_string());
                return Ok(());
            }
        };
        let change = Change {
            id: change_id(message),
            offset: message.offset(),
            action: read.action,
            actor: read.actor.into(),
            changed_at: read.changed_at,
            reason: read.reason.map(Into::into),
            before: read.before.map(|before| before.version),
            after: read.after.map(|after| after.version),
        };
        self.catalog.apply_change(id, change);
        Ok(())
    }

    fn skip(&self, message: &BorrowedMessage<'_>, error: &str) {
        if self.catalog.skip(self.topic, message.offset()) {
            self.metrics.refused();
            let (topic, offset) = (message.topic(), message.offset());
            tracing::warn!(
                topic,
                offset,
                error,
                "a record says nothing of any campaign"
            );
        }
    }

    /// Where to read on.
    fn position(&self) -> Offset {
        match self.catalog.next_offset(self.topic) {
            0 => Offset::Beginning,
            next => Offset::Offset(next),
        }
    }
}

/// The value of a record as its reader wants it.
pub(crate) fn encoded<'m>(message: &'m BorrowedMessage<'_>) -> Encoded<'m> {
    Encoded {
        value: message.payload().unwrap_or_default(),
        schema_header: header(message, names::VALUE_SCHEMA_ID),
    }
}

fn change_id(message: &BorrowedMessage<'_>) -> Option<ChangeId> {
    header(message, names::CHANGE_ID).and_then(ChangeId::from_header)
}

fn campaign_id(message: &BorrowedMessage<'_>) -> Option<CampaignId> {
    let key = std::str::from_utf8(message.key()?).ok()?;
    CampaignId::new(key).ok()
}

/// The text of a header.
pub(crate) fn text_header<'m>(message: &'m BorrowedMessage<'_>, name: &str) -> Option<&'m str> {
    header(message, name).and_then(|value| std::str::from_utf8(value).ok())
}

/// Of a repeated header the last counts.
fn header<'m>(message: &'m BorrowedMessage<'_>, name: &str) -> Option<&'m [u8]> {
    let headers = message.headers()?;
    let found = headers.iter().filter(|header| header.key == name).last()?;
    found.value
}

fn time(message: &BorrowedMessage<'_>) -> Timestamp {
    let millis = message.timestamp().to_millis();
    let time = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Follows one topic. Runs on a thread of its own.
pub(crate) struct Follower {
    pub(crate) source: TopicSource,
    pub(crate) applier: Applier,
    /// Ready once the topic was read to its end.
    pub(crate) component: Component,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) shutdown: Shutdown,
}

impl Follower {
    /// Follows the topic until shutdown. Whatever fails is begun anew where it ended; if the topic is
    /// another one than before, everything is.
    pub(crate) fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while !self.shutdown.is_requested() {
            let begun = Instant::now();
            let Err(error) = self.follow() else { return };
            if self.shutdown.is_requested() {
                return;
            }
            if error.is_lost() {
                tracing::error!(%error, "reading the topic from its beginning");
                self.applier.catalog.reset(self.applier.topic);
            } else {
                tracing::warn!(%error, "reading on");
            }
            if !self.applier.catalog.is_loaded() {
                self.component.not_ready(&error.to_string());
            }
            if begun.elapsed() > Duration::from_mins(1) {
                backoff.reset();
            }
            self.heartbeat.beat();
            self.shutdown.wait(backoff.next_delay());
        }
    }

    fn follow(&mut self) -> Result<(), ReadError> {
        self.heartbeat.beat();
        let reader = TopicReader::open(&self.source)?;
        reader.begin(self.applier.position(), || {
            self.heartbeat.beat();
            !self.shutdown.is_requested()
        })?;
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            match reader.next(IDLE)? {
                Next::Record(message) => self.applier.apply_patiently(&message, || {
                    self.heartbeat.beat();
                    !self.shutdown.is_requested()
                })?,
                Next::End => {
                    self.applier.catalog.loaded(self.applier.topic);
                    self.applier.metrics.loaded(&self.applier.catalog);
                    self.component.ready();
                }
                Next::Nothing => {}
            }
        }
        Ok(())
    }
}

/// Reads both topics to their ends, when the writer asks. Belongs to its thread.
pub(crate) struct CatchUp {
    parts: [Part; 2],
}

struct Part {
    source: TopicSource,
    applier: Applier,
    /// Kept, for a connection takes longer to make than to read what is new.
    reader: Option<TopicReader>,
}

impl CatchUp {
    pub(crate) fn new(campaigns: (TopicSource, Applier), changes: (TopicSource, Applier)) -> Self {
        let part = |(source, applier)| Part {
            source,
            applier,
            reader: None,
        };
        Self {
            parts: [part(campaigns), part(changes)],
        }
    }

    /// Everything that was acknowledged before is in the catalog once this has returned.
    ///
    /// # Errors
    /// [`ReadError`]: the broker does not answer, or a transaction of others stays open.
    pub(crate) fn read_to_end(&mut self) -> Result<(), ReadError> {
        for part in &mut self.parts {
            part.read_to_end()?;
        }
        Ok(())
    }
}

impl Part {
    fn read_to_end(&mut self) -> Result<(), ReadError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => TopicReader::open(&self.source)?,
        };
        let deadline = Instant::now() + PATIENCE;
        reader.begin(self.applier.position(), || Instant::now() < deadline)?;
        loop {
            match reader.next(IDLE)? {
                Next::Record(message) => {
                    let wanted = || Instant::now() < deadline;
                    self.applier.apply_patiently(&message, wanted)?;
                }
                Next::End => break,
                Next::Nothing if Instant::now() < deadline => {}
                Next::Nothing => {
                    return Err(ReadError::GivenUp {
                        topic: self.source.topic.clone(),
                    });
                }
            }
        }
        reader.rest()?;
        // Only a reader that has come to the end is used again.
        self.reader = Some(reader);
        Ok(())
    }
}
