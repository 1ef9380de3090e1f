//! Traces (OpenTelemetry): spans of requests, batches, matches and rows, exported as OTLP over HTTP.
//!
//! The files in the order of a span's life: [`settings`] say where spans go and which there are, [`sampler`] decides
//! whether there is one, [`span`] is what it says, in the words of [`keys`], and [`export`] sends it.
//!
//! Ids are drawn by [`TraceContext`], whether anything is exported or not: they stand in the headers of requests and
//! records anyway. A span is made only where its context is sampled. It is handed over without waiting and without a
//! lock: what the queue does not take is dropped, and counted.

pub mod keys;
pub mod settings;

mod export;
mod sampler;
mod span;

use std::sync::Arc;

use tokio::sync::mpsc;

pub use self::export::Exporter;
pub use self::sampler::Sampler;
pub use self::settings::TraceSettings;
pub use self::span::{Kind, Span, Value};

use self::export::ExportMetrics;
use crate::Metrics;
use crate::http::TraceContext;

/// Takes spans of the parts of a process. Cheap to clone; may be used from any thread, and never blocks.
///
/// Unless an endpoint is set it is off: then it holds nothing, and asking it is a comparison with null.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

struct Inner {
    sampler: Sampler,
    queue: mpsc::Sender<Span>,
    metrics: ExportMetrics,
}

impl Tracer {
    /// A tracer that takes nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// A tracer as it is set, and who sends its spans, which are those of the program of that name.
    ///
    /// # Errors
    /// The authorities that the system trusts cannot be read.
    ///
    /// # Panics
    /// Outside of a tokio runtime, if an endpoint is set.
    pub fn start(
        settings: &TraceSettings,
        program: &str,
        metrics: &Metrics,
    ) -> anyhow::Result<(Self, Exporter)> {
        let Some(endpoint) = &settings.endpoint else {
            return Ok((Self::off(), Exporter::none()));
        };
        let (queue, spans) = mpsc::channel(settings.queue());
        let metrics = ExportMetrics::new(metrics);
        let exporter = Exporter::start(settings, endpoint, program, (spans, metrics.clone()))?;
        let inner = Inner {
            sampler: settings.sampler(),
            queue,
            metrics,
        };
        Ok((Self(Some(Arc::new(inner))), exporter))
    }

    /// Whether spans are exported at all.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The context of work that continues its caller's trace, or begins one. Where nothing is exported, whether it is sampled
    /// is as the caller says; a trace that begins is marked as sampled, so that whoever collects spans keeps it.
    pub fn context(&self, parent: Option<&TraceContext>) -> TraceContext {
        let context = parent.map_or_else(TraceContext::begin, |parent| parent.span());
        let Some(inner) = &self.0 else { return context };
        let sampled = parent.map(TraceContext::is_sampled);
        context.with_sampled(inner.sampler.samples(sampled, context.trace_bytes()))
    }

    /// Whether there are spans beneath `parent`.
    pub fn samples(&self, parent: &TraceContext) -> bool {
        let decided = Some(parent.is_sampled());
        let sampler = self.0.as_ref().map(|inner| inner.sampler);
        sampler.is_some_and(|it| it.samples(decided, parent.trace_bytes()))
    }

    /// The context of a span beneath `parent`; none if there is to be no such span.
    pub fn child(&self, parent: &TraceContext) -> Option<TraceContext> {
        let is_wanted = self.samples(parent);
        is_wanted.then(|| parent.span().with_sampled(true))
    }

    /// Begins a span with the context that [`Tracer::context`] gave, beneath `parent`; none if it is not sampled.
    pub fn begin(
        &self,
        context: TraceContext,
        parent: Option<&TraceContext>,
        kind: Kind,
        name: impl FnOnce() -> String,
    ) -> Option<Span> {
        let is_wanted = self.is_on() && context.is_sampled();
        is_wanted.then(|| Span::begin(context, parent, kind, name()))
    }

    /// The span ends now. It is dropped if the queue is full.
    pub fn end(&self, mut span: Span) {
        if let Some(inner) = &self.0 {
            span.end();
            if inner.queue.try_send(span).is_err() {
                inner.metrics.dropped("queue_full", 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

    fn context(flags: &str) -> TraceContext {
        TraceContext::read(format!("{TRACE}-{flags}").as_bytes()).unwrap()
    }

    /// A tracer whose queue holds one span that nobody takes.
    fn tracer(sampler: Sampler) -> (Tracer, mpsc::Receiver<Span>, Metrics) {
        let (queue, spans) = mpsc::channel(1);
        let metrics = Metrics::new("test");
        let inner = Inner {
            sampler,
            queue,
            metrics: ExportMetrics::new(&metrics),
        };
        (Tracer(Some(Arc::new(inner))), spans, metrics)
    }

    #[test]
    fn without_an_endpoint_contexts_are_as_ever_and_there_are_no_spans() {
        let off = Tracer::off();
        for flags in ["00", "01"] {
            let parent = context(flags);
            let trace = off.context(Some(&parent));
            assert_eq!(trace.trace_id(), parent.trace_id());
            assert_eq!(trace.is_sampled(), parent.is_sampled());
            assert!(off.child(&parent).is_none());
            let span = off.begin(trace, Some(&parent), Kind::Server, || unreachable!());
            assert!(span.is_none());
        }
        assert!(off.context(None).is_sampled());
    }

    #[test]
    fn the_caller_decides_what_is_sampled_and_its_trace_goes_on() {
        let (tracer, ..) = tracer(Sampler::default());
        let (yes, no) = (context("01"), context("00"));
        assert!(tracer.child(&no).is_none());
        assert!(!tracer.context(Some(&no)).is_sampled());
        let child = tracer.child(&yes).unwrap();
        assert_eq!(child.trace_id(), yes.trace_id());
        assert_ne!(child, yes);
        assert!(tracer.context(None).is_sampled());
    }

    #[test]
    fn a_full_queue_drops_spans_and_counts_them() {
        let (tracer, mut spans, metrics) = tracer(Sampler::default());
        for _ in 0..3 {
            let context = tracer.context(None);
            let span = tracer.begin(context, None, Kind::Server, || "GET /".to_owned());
            tracer.end(span.unwrap());
        }
        assert!(spans.try_recv().is_ok());
        assert!(spans.try_recv().is_err());
        let text = metrics.render().unwrap();
        let dropped = "traces_spans_dropped_total{reason=\"queue_full\"} 2";
        assert!(text.contains(dropped), "{text}");
    }
}
