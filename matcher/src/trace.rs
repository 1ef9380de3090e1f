//! The trace of a record, as logs name it.

use service::http::TraceContext;

/// The trace's name in a `traceparent` (W3C Trace Context); none if it is broken.
pub(crate) fn id(traceparent: &str) -> Option<String> {
    let trace = TraceContext::continued(traceparent.as_bytes())?;
    Some(trace.trace_id())
}
