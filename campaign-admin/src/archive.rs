//! Documents of the past, read again from `campaign-changes` by the offset that the index knows.
//!
//! The topic is kept for ever, so memory need not hold what hardly anybody asks for. One record takes a
//! question or two to the broker, a few milliseconds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::topic_partition_list::Offset;
use schemas::{CampaignChange, Reader};
use service::kafka::reader::{Next, ReadError, TopicReader, TopicSource};

use crate::follow;

/// How long one request may take to find its records.
const PATIENCE: Duration = Duration::from_secs(5);

/// Readers that are kept for the next request; each is a client with a connection.
const KEPT: usize = 4;

/// Why a change cannot be read again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// The broker does not answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The record did not come in time.
    #[error("the change at offset {0} of campaign-changes was not read in time")]
    Late(i64),
    /// The topic does not have it any more: somebody shortened its retention.
    #[error(
        "the change at offset {0} of campaign-changes is gone; the topic must keep its records"
    )]
    Gone(i64),
    /// The record cannot be read.
    #[error("the change at offset {offset} of campaign-changes: {error}")]
    Broken {
        /// Where it is.
        offset: i64,
        /// Why.
        error: String,
    },
}

/// Reads changes again. Used by many requests at once; blocks, so call it where that is allowed.
#[derive(Clone)]
pub(crate) struct Archive(Arc<Inner>);

struct Inner {
    source: TopicSource,
    documents: Box<dyn Fn() -> Reader + Send + Sync>,
    idle: Mutex<Vec<Shelf>>,
}

/// What reading takes.
struct Shelf {
    reader: TopicReader,
    documents: Reader,
}

impl Archive {
    /// The changes of that topic; `documents` makes readers of its documents.
    pub(crate) fn new(
        mut source: TopicSource,
        documents: impl Fn() -> Reader + Send + Sync + 'static,
    ) -> Self {
        // One record is wanted, not a megabyte of those behind it.
        source.reader.set("fetch.message.max.bytes", "65536");
        source.reader.set("queued.min.messages", "1");
        Self(Arc::new(Inner {
            source,
            documents: Box::new(documents),
            idle: Mutex::default(),
        }))
    }

    /// The changes at these offsets, in their order.
    ///
    /// # Errors
    /// [`ArchiveError`] of the first that cannot be read.
    pub(crate) fn fetch(&self, offsets: &[i64]) -> Result<Vec<CampaignChange>, ArchiveError> {
        if offsets.is_empty() {
            return Ok(Vec::new());
        }
        let kept = self.idle().pop();
        let mut taken = match kept {
            Some(kept) => kept,
            None => Shelf {
                reader: TopicReader::open(&self.0.source)?,
                documents: (self.0.documents)(),
            },
        };
        let deadline = Instant::now() + PATIENCE;
        let found: Result<Vec<_>, _> = offsets
            .iter()
            .map(|offset| taken.fetch(*offset, deadline))
            .collect();
        let found = found?;
        taken.reader.rest()?;
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(taken);
        }
        Ok(found)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Shelf>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn fetch(&mut self, offset: i64, deadline: Instant) -> Result<CampaignChange, ArchiveError> {
        self.reader.jump(Offset::Offset(offset))?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.reader.next(left)? {
                Next::Record(message) if message.offset() == offset => {
                    let encoded = follow::encoded(&message);
                    let read = self.documents.read_change(encoded);
                    return read.map_err(|error| ArchiveError::Broken {
                        offset,
                        error: error.to_string(),
                    });
                }
                Next::Record(_) | Next::End => return Err(ArchiveError::Gone(offset)),
                Next::Nothing if left.is_zero() => return Err(ArchiveError::Late(offset)),
                Next::Nothing => {}
            }
        }
    }
}
