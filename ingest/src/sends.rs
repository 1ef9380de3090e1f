//! The spans of a request's events on their way to the broker.

use rdkafka::types::RDKafkaErrorCode;
use service::http::TraceContext;
use service::traces::{Kind, Span, Tracer, keys};

use crate::pending::Failure;

/// So many events of a request have a span of their own. Further ones carry the trace that they came with, unchanged.
const MAX_OWN: usize = 128;

/// One span for all events of a request that are sent in the request's trace, and one for each that came with a trace of its
/// own (a CloudEvent). The context of the span is what the record carries. Where nothing is exported, or the trace is not sampled, there are no
/// spans, and records carry the context of the request, or one in the trace that they came with.
pub(crate) struct Sends<'r> {
    tracer: &'r Tracer,
    topic: &'r str,
    /// Of the request.
    request: TraceContext,
    together: Option<Span>,
    /// Events that `together` is of.
    sent: usize,
    /// Numbers of those that it is not of.
    apart: Vec<u32>,
    /// Of the event that is about to be sent.
    next: Option<(u32, Span)>,
    own: Vec<(u32, Span)>,
}

impl<'r> Sends<'r> {
    pub(crate) fn begin(tracer: &'r Tracer, topic: &'r str, request: TraceContext) -> Self {
        let together = tracer
            .child(&request)
            .and_then(|context| begin(tracer, topic, context, &request));
        Self {
            tracer,
            topic,
            request,
            together,
            sent: 0,
            apart: Vec::new(),
            next: None,
            own: Vec::new(),
        }
    }

    /// What records carry that came with no trace of their own.
    pub(crate) fn context(&self) -> TraceContext {
        let span = self.together.as_ref();
        span.map_or(self.request, |span| *span.context())
    }

    /// What the record carries of the event of that number, which came with this trace of its own.
    pub(crate) fn of_its_own(&mut self, parent: &TraceContext, number: u32) -> TraceContext {
        if self.together.is_some() {
            self.apart.push(number);
        }
        let context = self.tracer.context(Some(parent));
        let Some(mut span) = begin(self.tracer, self.topic, context, parent) else {
            return context;
        };
        if self.own.len() == MAX_OWN {
            return *parent;
        }
        span.link(&self.request);
        self.next = Some((number, span));
        context
    }

    /// The event of that number was handed to the producer.
    pub(crate) fn sent(&mut self, number: u32) {
        if self.apart.last() != Some(&number) {
            self.sent += 1;
        }
        let is_of_it = |next: &mut (u32, Span)| next.0 == number;
        self.own.extend(self.next.take_if(is_of_it));
    }

    /// All events are acknowledged but these.
    pub(crate) fn end(self, failures: &[Failure]) {
        let failed = |is_it: &dyn Fn(u32) -> bool| {
            let found = failures.iter().find(|(number, _)| is_it(*number));
            found.map(|(_, code)| *code)
        };
        if let Some(mut span) = self.together.filter(|_| self.sent > 0) {
            span.set(keys::MESSAGING_BATCH_COUNT, self.sent);
            let is_apart = |number| self.apart.binary_search(&number).is_ok();
            end(self.tracer, span, failed(&|number| !is_apart(number)));
        }
        for (number, span) in self.own {
            end(self.tracer, span, failed(&|failed| failed == number));
        }
    }
}

fn begin(
    tracer: &Tracer,
    topic: &str,
    context: TraceContext,
    parent: &TraceContext,
) -> Option<Span> {
    let name = || format!("{} {topic}", keys::SEND);
    let mut span = tracer.begin(context, Some(parent), Kind::Producer, name)?;
    span.set_messaging(keys::SEND, topic);
    Some(span)
}

fn end(tracer: &Tracer, mut span: Span, failure: Option<RDKafkaErrorCode>) {
    if let Some(code) = failure {
        span.fail(format!("{code:?}"));
    }
    tracer.end(span);
}
