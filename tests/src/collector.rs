//! A collector of traces: takes OTLP over HTTP and keeps the spans.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Otlp;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::{Value as Json, json};

use crate::wait;

/// A running collector, on a port of its own. Lives as long as the process.
pub struct Collector {
    address: String,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    spans: Vec<Span>,
    /// Of each request, names in lower case.
    headers: Vec<Vec<(String, String)>>,
}

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Span {
    /// Name of the service that sent it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// SERVER, CLIENT, PRODUCER or CONSUMER.
    pub kind: &'static str,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The same of its parent; empty if it has none.
    pub parent_id: String,
    /// Traces and spans that it links to.
    pub links: Vec<(String, String)>,
    /// Whether it says that it failed.
    pub failed: bool,
    /// From its beginning to its end.
    pub took: Duration,
    attributes: Vec<KeyValue>,
}

impl Span {
    /// An attribute; null if it is not there.
    pub fn attribute(&self, key: &str) -> Json {
        value(&self.attributes, key)
    }
}

impl Collector {
    /// Begins to listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens").to_string();
        let kept = Arc::<Mutex<Kept>>::default();
        let keeping = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keeping = Arc::clone(&keeping);
                thread::spawn(move || serve(stream, &keeping));
            }
        });
        Self { address, kept }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.spans.clone()
    }

    /// Whether each request so far, of which there is one, had this header.
    pub fn was_always_told(&self, name: &str, value: &str) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |headers: &Vec<(String, String)>| {
            let is_it = |(found, of): &(String, String)| found == name && of == value;
            headers.iter().any(is_it)
        };
        !kept.headers.is_empty() && kept.headers.iter().all(told)
    }

    /// Waits for a span of that service and name in that trace.
    pub fn wait_for(&self, trace_id: &str, service: &str, name: &str) -> Span {
        let what = format!("span {name:?} of {service} in {trace_id}");
        wait::until(&what, Duration::from_mins(1), || {
            let is_it = |span: &Span| {
                span.trace_id == trace_id && span.service == service && span.name == name
            };
            self.spans().into_iter().find(is_it)
        })
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Kept>) {
    let mut received = Vec::new();
    // A program that is killed ends its connection where it stands.
    while let Ok(Some((headers, body))) = read(&mut stream, &mut received) {
        let request = ExportTraceServiceRequest::decode(&*body).expect("it is OTLP");
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.headers.push(headers);
        for resource in request.resource_spans {
            let of = resource.resource.unwrap_or_default();
            let service = value(&of.attributes, "service.name");
            let service = service.as_str().unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|it| it.spans);
            kept.spans.extend(spans.map(|span| seen(service, span)));
        }
        drop(kept);
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

type Request = (Vec<(String, String)>, Vec<u8>);

/// The next request; none when there are no more.
fn read(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).into_owned();
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            let headers: Vec<_> = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length: usize = length
                .and_then(|(_, length)| length.parse().ok())
                .expect("a request says its length");
            let whole = end + 4 + length;
            if received.len() >= whole {
                let body = received[end + 4..whole].to_vec();
                received.drain(..whole);
                return Ok(Some((headers, body)));
            }
        }
        let mut part = [0; 16 * 1024];
        match stream.read(&mut part)? {
            0 => return Ok(None),
            length => received.extend_from_slice(&part[..length]),
        }
    }
}

fn seen(service: &str, span: Otlp) -> Span {
    let kind = match span.kind() {
        SpanKind::Server => "SERVER",
        SpanKind::Client => "CLIENT",
        SpanKind::Producer => "PRODUCER",
        SpanKind::Consumer => "CONSUMER",
        _ => "",
    };
    let link = |link: &opentelemetry_proto::tonic::trace::v1::span::Link| {
        (hex(&link.trace_id), hex(&link.span_id))
    };
    Span {
        service: service.to_owned(),
        kind,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        links: span.links.iter().map(link).collect(),
        failed: span.status.is_some_and(|status| status.code == 2),
        took: Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano),
        attributes: span.attributes,
        name: span.name,
    }
}

fn value(attributes: &[KeyValue], key: &str) -> Json {
    let found = attributes.iter().find(|pair| pair.key == key);
    plain(found.and_then(|pair| pair.value.as_ref()))
}

fn plain(value: Option<&AnyValue>) -> Json {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => json!(text),
        Some(Value::IntValue(number)) => json!(number),
        Some(Value::ArrayValue(list)) => list.values.iter().map(|it| plain(Some(it))).collect(),
        _ => Json::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a text can be written");
    }
    text
}
