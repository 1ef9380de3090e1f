//! One span: when, of what, beneath what, and what is said of it.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::keys;
use crate::http::TraceContext;

/// Most links of a span, as OpenTelemetry's specification bounds them. Of more only their number is told.
const MAX_LINKS: usize = 128;

/// What a span is, to those that it talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers a request.
    Server,
    /// Asks and waits for the answer.
    Client,
    /// Sends a record.
    Producer,
    /// Processes records.
    Consumer,
}

/// A span of ours, from its beginning until it is handed to [`Tracer::end`](super::Tracer::end). Owned by whoever does the work.
#[derive(Debug, Clone)]
pub struct Span {
    context: TraceContext,
    span: otlp::Span,
}

impl Span {
    /// Begins now. A parent of another trace is none.
    pub(super) fn begin(
        context: TraceContext,
        parent: Option<&TraceContext>,
        kind: Kind,
        name: String,
    ) -> Self {
        let parent = parent.filter(|parent| parent.trace_bytes() == context.trace_bytes());
        let kind = match kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        };
        let span = otlp::Span {
            trace_id: context.trace_bytes().to_vec(),
            span_id: context.span_bytes().to_vec(),
            parent_span_id: parent.map_or(Vec::new(), |it| it.span_bytes().to_vec()),
            flags: context.flags(),
            name,
            kind: kind.into(),
            start_time_unix_nano: now(),
            ..otlp::Span::default()
        };
        Self { context, span }
    }

    /// What the headers of requests and records carry that follow from it.
    pub const fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Says something of it, under one of [`keys`].
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.span.attributes.push(pair(key, value));
    }

    /// Says what it does with records of a topic: [`keys::SEND`] or [`keys::PROCESS`].
    pub fn set_messaging(&mut self, operation: &'static str, topic: &str) {
        self.set(keys::MESSAGING_SYSTEM, keys::KAFKA);
        self.set(keys::MESSAGING_OPERATION_NAME, operation);
        self.set(keys::MESSAGING_OPERATION_TYPE, operation);
        self.set(keys::MESSAGING_DESTINATION, topic);
    }

    /// What it followed from, beside or instead of a parent. The same one again is one.
    pub fn link(&mut self, other: &TraceContext) {
        let links = &mut self.span.links;
        let (trace_id, span_id) = (other.trace_bytes(), other.span_bytes());
        // Those of one request stand behind each other.
        let is_last = |last: &Link| last.trace_id == trace_id && last.span_id == span_id;
        if links.last().is_some_and(is_last) {
            return;
        }
        if links.len() == MAX_LINKS {
            self.span.dropped_links_count += 1;
            return;
        }
        links.push(Link {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            flags: other.flags(),
            ..Link::default()
        });
    }

    /// Whether it has links.
    pub fn is_linked(&self) -> bool {
        !self.span.links.is_empty()
    }

    /// It failed, for a reason of bounded kind.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.set(keys::ERROR_TYPE, why.into());
        self.span.status = Some(otlp::Status {
            code: StatusCode::Error.into(),
            ..otlp::Status::default()
        });
    }

    /// Ends now.
    pub(super) fn end(&mut self) {
        self.span.end_time_unix_nano = now().max(self.span.start_time_unix_nano);
    }

    /// As it is sent.
    pub(super) fn into_otlp(self) -> otlp::Span {
        self.span
    }
}

/// What an attribute says.
#[derive(Debug, Clone)]
pub struct Value(Any);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(Any::StringValue(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(Any::StringValue(text))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self(Any::IntValue(number))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self(Any::IntValue(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl FromIterator<i32> for Value {
    fn from_iter<I: IntoIterator<Item = i32>>(numbers: I) -> Self {
        let value = |number: i32| AnyValue {
            value: Some(Any::IntValue(number.into())),
        };
        Self(Any::ArrayValue(ArrayValue {
            values: numbers.into_iter().map(value).collect(),
        }))
    }
}

/// An attribute of a span or a resource.
pub(super) fn pair(key: &str, value: impl Into<Value>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(value.into().0),
        }),
        ..KeyValue::default()
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_bounded_and_those_that_are_left_out_are_counted() {
        let mut span = Span::begin(
            TraceContext::begin(),
            None,
            Kind::Consumer,
            "process".into(),
        );
        assert!(!span.is_linked());
        let first = TraceContext::begin();
        span.link(&first);
        span.link(&first);
        for _ in 0..MAX_LINKS {
            span.link(&TraceContext::begin());
        }
        let otlp = span.into_otlp();
        assert_eq!(otlp.links.len(), MAX_LINKS);
        assert_eq!(otlp.dropped_links_count, 1);
        assert_eq!(otlp.links[0].trace_id, first.trace_bytes());
    }

    #[test]
    fn a_span_stands_beneath_its_parent_only_within_its_trace() {
        let parent = TraceContext::begin();
        let begin = |context| Span::begin(context, Some(&parent), Kind::Server, String::new());
        let child = begin(parent.span()).into_otlp();
        assert_eq!(child.parent_span_id, parent.span_bytes());
        assert_ne!(child.span_id, parent.span_bytes());
        assert_eq!(child.flags, 1);
        let other = begin(TraceContext::begin()).into_otlp();
        assert!(other.parent_span_id.is_empty());
    }
}
