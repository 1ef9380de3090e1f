//! Trace context (W3C): the trace that a request belongs to, continued or begun.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue};

use crate::hex;

/// Longest correlation id that is taken over, in bytes.
pub const MAX_CORRELATION_ID_BYTES: usize = 128;

/// Flags of a context.
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

/// The trace of a request, and our own span in it: the parent of all that follows from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// The context that the header `traceparent` names; none if there is none, or if it is broken: then the receiver begins a
    /// trace, as the specification wants (section 3.2.2).
    pub fn incoming(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all("traceparent").iter();
        match (all.next().map(HeaderValue::as_bytes), all.next()) {
            (Some(value), None) => Self::read(value),
            _ => None,
        }
    }

    /// Begins a trace. It is marked as sampled, so that whoever collects spans keeps it.
    pub fn begin() -> Self {
        Self {
            trace_id: some_id(),
            span_id: some_id(),
            flags: SAMPLED,
        }
    }

    /// A further span of the same trace.
    #[must_use]
    pub fn span(self) -> Self {
        Self {
            span_id: some_id(),
            ..self
        }
    }

    /// The trace's name, 32 hexadecimal digits: what logs and problems say.
    pub fn trace_id(&self) -> String {
        hex::encode(&self.trace_id)
    }

    /// Whether the caller has a span of it, and wants others to have one.
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same, sampled or not.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        let flags = if sampled {
            self.flags | SAMPLED
        } else {
            self.flags & !SAMPLED
        };
        Self { flags, ..self }
    }

    pub(crate) const fn trace_bytes(&self) -> [u8; 16] {
        self.trace_id
    }

    pub(crate) const fn span_bytes(&self) -> [u8; 8] {
        self.span_id
    }

    pub(crate) fn flags(&self) -> u32 {
        self.flags.into()
    }

    /// Reads `00-TRACE-SPAN-FLAGS`. A version to come may have more behind it; `ff` is none.
    pub fn read(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(55)?;
        let [version] = hex::decode(&head[..2])?;
        let ends = rest.is_empty() || (version > 0 && rest[0] == b'-');
        let dashes = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
        if version == 0xff || !ends || !dashes {
            return None;
        }
        let trace_id: [u8; 16] = hex::decode(&head[3..35])?;
        let span_id: [u8; 8] = hex::decode(&head[36..52])?;
        let [flags] = hex::decode(&head[53..])?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            // Version 00 knows two: sampled, and that the id is random.
            flags: flags & (SAMPLED | RANDOM),
        })
    }
}

impl fmt::Display for TraceContext {
    /// The value of the header `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (hex::encode(&self.trace_id), hex::encode(&self.span_id));
        write!(f, "00-{trace}-{span}-{:02x}", self.flags)
    }
}

/// Upstream's own name for the request: the header `correlation-id`, or else `x-correlation-id` or
/// `x-request-id`. Nothing if it is longer than [`MAX_CORRELATION_ID_BYTES`] or has other characters
/// than visible ASCII: it goes into logs and records.
pub fn correlation_id(headers: &HeaderMap) -> Option<&str> {
    let names = ["correlation-id", "x-correlation-id", "x-request-id"];
    let id = names.iter().find_map(|name| headers.get(*name))?;
    let id = id.to_str().ok()?;
    let visible = id.bytes().all(|byte| byte.is_ascii_graphic());
    (visible && (1..=MAX_CORRELATION_ID_BYTES).contains(&id.len())).then_some(id)
}

/// Random bytes that are not all zero, which would mean none.
fn some_id<const N: usize>() -> [u8; N] {
    loop {
        let id: [u8; N] = std::array::from_fn(|_| rand::random());
        if id != [0; N] {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_trace_is_continued_in_a_span_of_our_own() {
        let parent = TraceContext::incoming(&headers(&[("traceparent", PARENT)])).unwrap();
        assert_eq!(parent.to_string(), PARENT);
        let trace = parent.span();
        assert_eq!(trace.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        let text = trace.to_string();
        assert!(text.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        assert!(text.ends_with("-01"));
        assert!(!text.contains("b7ad6b7169203331"), "a new span");
        assert_eq!(TraceContext::read(text.as_bytes()), Some(trace));
        assert_ne!(trace.span(), trace);
        let newer = format!("cc-{}-more", &PARENT[3..]);
        assert!(TraceContext::read(newer.as_bytes()).is_some());
    }

    #[test]
    fn whether_it_is_sampled_is_one_flag_of_it() {
        for (flags, sampled, unsampled) in [("00", "01", "00"), ("03", "03", "02")] {
            let text = format!("{}-{flags}", &PARENT[..52]);
            let trace = TraceContext::read(text.as_bytes()).unwrap();
            assert_eq!(trace.is_sampled(), flags == "03");
            assert!(trace.with_sampled(true).to_string().ends_with(sampled));
            assert!(trace.with_sampled(false).to_string().ends_with(unsampled));
        }
    }

    #[test]
    fn a_broken_or_repeated_header_is_none() {
        let cases = [
            String::new(),
            PARENT[..54].to_owned(),
            format!("{PARENT}-x"),
            format!("ff{}", &PARENT[2..]),
            PARENT.to_uppercase(),
            PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            PARENT.replace('-', "_"),
        ];
        for case in cases {
            assert_eq!(TraceContext::read(case.as_bytes()), None, "{case}");
            let found = TraceContext::incoming(&headers(&[("traceparent", &case)]));
            assert_eq!(found, None);
        }
        let twice = headers(&[("traceparent", PARENT), ("traceparent", PARENT)]);
        assert_eq!(TraceContext::incoming(&twice), None);
    }

    #[test]
    fn a_correlation_id_is_taken_over_if_it_can_do_no_harm() {
        let long = "x".repeat(129);
        let cases = [
            (&[("correlation-id", "a-1")][..], Some("a-1")),
            (&[("x-request-id", "b-2")], Some("b-2")),
            (
                &[("x-request-id", "b-2"), ("correlation-id", "a-1")],
                Some("a-1"),
            ),
            (&[("correlation-id", "a b")], None),
            (&[("correlation-id", "")], None),
            (&[("correlation-id", &long)], None),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            assert_eq!(correlation_id(&headers(pairs)), expected, "{pairs:?}");
        }
    }
}
