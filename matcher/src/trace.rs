//! The trace of a record: as logs name it, and as the spans of a batch have it.
//!
//! A batch has one span, which processes all its records: it links to those that are sampled, and has no parent, for they are of
//! many traces. Each match or claim that comes of a sampled record has a span in that record's trace, and the header of what is
//! written names it. Spans of matches are told once they are committed; those of a batch that is aborted come again with it.

use std::mem;

use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, OwnedHeaders};
use schemas::names::header;
use service::Tracer;
use service::http::TraceContext;
use service::traces::{Kind, Span, Value, keys};

/// Headers that a match takes over from its event.
const CARRIED: [&str; 2] = [header::TRACEPARENT, header::CORRELATION_ID];

/// Most spans of matches and claims of a batch: what comes of further records has none, and carries their trace unchanged.
const MAX_SENDS: usize = 512;

/// The trace's name in a `traceparent` (W3C Trace Context); none if it is broken.
pub(crate) fn id(traceparent: &str) -> Option<String> {
    let trace = TraceContext::read(traceparent.as_bytes())?;
    Some(trace.trace_id())
}

/// The trace of a record. Of a repeated header the last counts.
pub(crate) fn traceparent<'m>(message: &'m BorrowedMessage<'_>) -> Option<&'m str> {
    let headers = message.headers()?;
    let found = headers.iter().filter(|it| it.key == header::TRACEPARENT);
    std::str::from_utf8(found.last()?.value?).ok()
}

/// The headers that what comes of a record takes over from it.
pub(crate) fn carried(message: &BorrowedMessage<'_>) -> Option<OwnedHeaders> {
    carried_in(message, None)
}

/// The same in another span of the record's trace, if one is given.
fn carried_in(message: &BorrowedMessage<'_>, span: Option<&TraceContext>) -> Option<OwnedHeaders> {
    let headers = message.headers()?;
    let mut carried: Option<OwnedHeaders> = span.map(|context| {
        OwnedHeaders::new().insert(Header {
            key: header::TRACEPARENT,
            value: Some(&context.to_string()),
        })
    });
    for header in headers.iter() {
        let is_replaced = span.is_some() && header.key == header::TRACEPARENT;
        if CARRIED.contains(&header.key) && !is_replaced {
            let so_far = carried.unwrap_or_default();
            carried = Some(so_far.insert(header));
        }
    }
    carried
}

/// The spans of a batch. Where nothing is exported it is empty, and costs a comparison with null a record.
pub(crate) struct BatchTrace(Option<Box<Spans>>);

struct Spans {
    tracer: Tracer,
    batch: Span,
    sends: Vec<Span>,
    /// Matches and claims.
    written: usize,
}

impl BatchTrace {
    /// A batch of records of that topic begins.
    pub(crate) fn begin(tracer: &Tracer, topic: &str, group: Option<&str>) -> Self {
        if !tracer.is_on() {
            return Self(None);
        }
        let name = || format!("{} {topic}", keys::PROCESS);
        // Whether there is such a span is decided by the records that it links to.
        let context = TraceContext::begin();
        let spans = tracer
            .begin(context, None, Kind::Consumer, name)
            .map(|mut span| {
                span.set_messaging(keys::PROCESS, topic);
                if let Some(group) = group {
                    span.set(keys::MESSAGING_GROUP, group);
                }
                Box::new(Spans {
                    tracer: tracer.clone(),
                    batch: span,
                    sends: Vec::new(),
                    written: 0,
                })
            });
        Self(spans)
    }

    /// The batch has that record.
    pub(crate) fn took(&mut self, message: &BorrowedMessage<'_>) {
        if let Some(spans) = &mut self.0
            && let Some(context) = context(message)
            && spans.tracer.samples(&context)
        {
            spans.batch.link(&context);
        }
    }

    /// The headers of a match or claim of that campaign that comes of a record and goes to a topic.
    pub(crate) fn send(
        &mut self,
        message: &BorrowedMessage<'_>,
        topic: &str,
        (event_id, campaign_id): (&str, &str),
    ) -> Option<OwnedHeaders> {
        let Some(spans) = &mut self.0 else {
            return carried(message);
        };
        spans.written += 1;
        if spans.sends.len() >= MAX_SENDS {
            return carried(message);
        }
        let span = context(message).and_then(|parent| {
            let context = spans.tracer.child(&parent)?;
            let name = || format!("{} {topic}", keys::SEND);
            (spans.tracer).begin(context, Some(&parent), Kind::Producer, name)
        });
        let Some(mut span) = span else {
            return carried(message);
        };
        span.set_messaging(keys::SEND, topic);
        span.set(keys::EVENT_ID, event_id);
        span.set(keys::CAMPAIGN_ID, campaign_id);
        span.link(spans.batch.context());
        let headers = carried_in(message, Some(span.context()));
        spans.sends.push(span);
        headers
    }

    /// A match or claim was written that comes of no record of this batch.
    pub(crate) fn wrote(&mut self) {
        if let Some(spans) = &mut self.0 {
            spans.written += 1;
        }
    }

    /// The batch was committed, with so many records.
    pub(crate) fn committed(self, records: usize, partitions: impl Iterator<Item = i32>) {
        if let Some(mut spans) = self.0 {
            let sends = mem::take(&mut spans.sends);
            for span in sends {
                spans.tracer.end(span);
            }
            spans.end((records, partitions), keys::COMMITTED);
        }
    }

    /// The batch was aborted, and its records come again.
    pub(crate) fn aborted(self, records: usize, partitions: impl Iterator<Item = i32>) {
        if let Some(mut spans) = self.0 {
            spans.batch.fail(keys::ABORTED);
            spans.end((records, partitions), keys::ABORTED);
        }
    }
}

impl Spans {
    fn end(self, (records, partitions): (usize, impl Iterator<Item = i32>), outcome: &'static str) {
        let mut span = self.batch;
        if !span.is_linked() {
            return;
        }
        span.set(keys::MESSAGING_BATCH_COUNT, records);
        span.set(keys::BATCH_PARTITIONS, partitions.collect::<Value>());
        span.set(keys::BATCH_MATCHES, self.written);
        span.set(keys::BATCH_OUTCOME, outcome);
        self.tracer.end(span);
    }
}

fn context(message: &BorrowedMessage<'_>) -> Option<TraceContext> {
    TraceContext::read(traceparent(message)?.as_bytes())
}
