//! Traces: one from a request to the rows of its matches, with the links of batches; and a collector that is away changes nothing.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use tests::collector::{Collector, Span};
use tests::http::{Connection, request};
use tests::process::Process;
use tests::topics::Seen;
use tests::wait;
use tests::world::World;

use super::world;

const SAMPLED: &str = "0af7651916cd43dd8448eb211c80319c";
const UNSAMPLED: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OF_ITS_OWN: &str = "8a3c60f7d188f8fa79d48a391a778fa6";
const CALLER: &str = "b7ad6b7169203331";

fn campaign(id: &str, fields: &Value) -> Value {
    let mut campaign = json!({
        "id": id, "name": id, "when": {"event_type": ["traced"]},
        "reward": {"kind": "credit", "amount": "2.50", "currency": "EUR"},
    });
    for (name, value) in fields.as_object().expect("fields") {
        campaign[name] = value.clone();
    }
    campaign
}

/// Takes an event that comes in this trace.
fn post(ingest: &Process, id: &str, traceparent: &str) {
    let event = json!({
        "event_id": id, "customer_id": "ada", "event_type": "traced",
        "occurred_at": jiff::Timestamp::now().to_string(), "payload": {},
    });
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", traceparent),
    ];
    ask(ingest, &headers, &event);
}

/// Takes a CloudEvent with a trace of its own, in a request that has none.
fn post_cloud_event(ingest: &Process, traceparent: &str) {
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/tills", "type": "traced", "subject": "ada",
        "time": jiff::Timestamp::now().to_string(), "traceparent": traceparent, "data": {},
    });
    ask(
        ingest,
        &[("content-type", "application/cloudevents+json")],
        &event,
    );
}

fn ask(ingest: &Process, headers: &[(&str, &str)], event: &Value) {
    let mut connection = Connection::open(ingest.api()).expect("ingest listens");
    let request = request("POST", "/v1/events", headers, event.to_string().as_bytes());
    let answer = connection.ask(&request).expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.json());
}

/// The match of that name.
fn won(world: &World, id: &str) -> Seen {
    let what = format!("match {id}");
    wait::until(&what, Duration::from_mins(1), || {
        let matches = world.read("matches");
        matches.into_iter().find(|it| it.json()["match_id"] == id)
    })
}

fn carries(record: &Seen, span: &Span) {
    let expected = format!("00-{SAMPLED}-{}-01", span.span_id);
    assert_eq!(record.header("traceparent"), Some(&*expected));
}

#[test]
fn one_trace_goes_from_the_request_to_the_rows_and_batches_link_to_it() {
    let world = world();
    world.write_campaign("plain", &campaign("plain", &json!({})));
    let budget = json!({"limits": {"total": {"times": 100}}});
    world.write_campaign("shared", &campaign("shared", &budget));
    world.kafka.flush();
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let traced = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20hunter2",
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let matcher = world.matcher_with("a", &traced);
    let door = [
        ("AUTH", "none"),
        ("HTTP_ADDR", "127.0.0.1:0"),
        ("OTEL_SERVICE_NAME", "door"),
    ];
    let mut ingest = world.start("ingest", &[&door[..], &traced].concat());
    ingest.wait_ready();
    post(&ingest, "quiet", &format!("00-{UNSAMPLED}-{CALLER}-00"));
    post(&ingest, "told", &format!("00-{SAMPLED}-{CALLER}-01"));

    let send = request_and_event(&world, &collector);
    let [plain, claim, shared] = matches_of(&world, &collector, &send);
    for (topic, of, consumed) in [("events", &plain, &send), ("claims", &shared, &claim)] {
        let name = format!("process {}", world.topic(topic));
        let batch = batch(&collector, &name, consumed);
        let its = (batch.trace_id, batch.span_id);
        assert_eq!(of.links, [its], "of the batch that it was committed with");
    }
    for span in [&plain, &shared] {
        row(&world, &collector, span);
    }
    post_cloud_event(&ingest, &format!("00-{OF_ITS_OWN}-{CALLER}-01"));
    event_of_its_own(&world, &collector);

    // The other event has won as much, in its own trace, and nothing is told of it.
    for id in ["quiet:plain", "quiet:shared"] {
        let trace = won(&world, id).header("traceparent").map(str::to_owned);
        let trace = trace.expect("a trace");
        assert!(trace.starts_with(&format!("00-{UNSAMPLED}-")), "{trace}");
        assert!(trace.ends_with("-00"), "{trace}");
    }
    let exported = matcher.metric("traces_spans_exported_total");
    assert!(exported >= Some(7.0), "{exported:?}");
    let log = matcher.log();
    assert!(!log.contains("hunter2"), "a secret is in the log");
    assert!(ingest.terminate().0.success());
    assert!(matcher.terminate().0.success());
    for span in collector.spans() {
        let of = span.links.iter().map(|(trace, _)| trace);
        let is_told = of.chain([&span.trace_id]).any(|it| it == UNSAMPLED);
        assert!(!is_told, "{span:?}");
    }
    assert!(collector.was_always_told("authorization", "Bearer hunter2"));
    assert!(collector.was_always_told("content-type", "application/x-protobuf"));
}

/// The spans of the request and of its event, which the record carries. Returns the event's.
fn request_and_event(world: &World, collector: &Collector) -> Span {
    let server = collector.wait_for(SAMPLED, "door", "POST /v1/events");
    assert_eq!((server.kind, &*server.parent_id), ("SERVER", CALLER));
    assert_eq!(server.attribute("http.response.status_code"), 202);
    assert_eq!(server.attribute("http.route"), "/v1/events");
    let events = world.topic("events");
    let send = collector.wait_for(SAMPLED, "door", &format!("send {events}"));
    assert_eq!((send.kind, &send.parent_id), ("PRODUCER", &server.span_id));
    assert_eq!(send.attribute("messaging.batch.message_count"), 1);
    assert_eq!(send.attribute("messaging.destination.name"), *events);
    let records = world.read("events");
    let is_told =
        |record: &&Seen| record.header("control").is_none() && record.json()["event_id"] == "told";
    carries(records.iter().find(is_told).expect("the event"), &send);
    send
}

/// The span of an event whose trace is not its request's.
fn event_of_its_own(world: &World, collector: &Collector) {
    let name = format!("send {}", world.topic("events"));
    let send = collector.wait_for(OF_ITS_OWN, "door", &name);
    assert_eq!((send.kind, &*send.parent_id), ("PRODUCER", CALLER));
    let [(trace, request)] = &send.links[..] else {
        panic!("{:?}", send.links);
    };
    let server = collector.wait_for(trace, "door", "POST /v1/events");
    assert_eq!((&server.span_id, &*server.parent_id), (request, ""));
    let of_request = |span: &Span| span.trace_id == *trace && span.name == name;
    assert!(!collector.spans().iter().any(of_request), "it sent nothing");
}

/// The spans of what a matcher decides, of what it claims, and of what a settler grants of that.
fn matches_of(world: &World, collector: &Collector, send: &Span) -> [Span; 3] {
    let name = format!("send {}", world.topic("matches"));
    let of = |campaign: &str| {
        let what = format!("the span of a match of {campaign}");
        wait::until(&what, Duration::from_mins(1), || {
            let is_it = |span: &Span| {
                let of = span.attribute("campaign_manager.campaign.id");
                span.trace_id == SAMPLED && span.name == name && of == campaign
            };
            collector.spans().into_iter().find(is_it)
        })
    };
    let plain = of("plain");
    assert_eq!((plain.kind, &plain.parent_id), ("PRODUCER", &send.span_id));
    assert_eq!(plain.attribute("campaign_manager.event.id"), "told");
    let claims = format!("send {}", world.topic("claims"));
    let claim = collector.wait_for(SAMPLED, "matcher", &claims);
    assert_eq!(claim.parent_id, send.span_id);
    let shared = of("shared");
    assert_eq!(shared.parent_id, claim.span_id);
    carries(&won(world, "told:plain"), &plain);
    carries(&won(world, "told:shared"), &shared);
    [plain, claim, shared]
}

/// The span of a batch that links to what it consumed.
fn batch(collector: &Collector, name: &str, consumed: &Span) -> Span {
    let link = (consumed.trace_id.clone(), consumed.span_id.clone());
    let batch = wait::until(name, Duration::from_mins(1), || {
        let is_it = |span: &Span| span.name == name && span.links.contains(&link);
        collector.spans().into_iter().find(is_it)
    });
    assert_eq!((batch.kind, &*batch.parent_id), ("CONSUMER", ""));
    assert_ne!(
        batch.trace_id, SAMPLED,
        "it is no part of one of its traces"
    );
    assert_eq!(
        batch.attribute("campaign_manager.batch.outcome"),
        "committed"
    );
    let written = batch.attribute("campaign_manager.batch.matches");
    assert!(written.as_i64() >= Some(1), "{batch:?}");
    let partitions = batch.attribute("campaign_manager.batch.partitions");
    assert!(partitions[0].is_i64(), "{batch:?}");
    batch
}

/// The span of the row of a match.
fn row(world: &World, collector: &Collector, sent: &Span) {
    let row = wait::until("the row", Duration::from_mins(1), || {
        let is_it = |row: &Span| row.parent_id == sent.span_id;
        collector.spans().into_iter().find(is_it)
    });
    assert_eq!((row.kind, &*row.name), ("CLIENT", "INSERT matches"));
    assert_eq!((&*row.trace_id, &*row.service), (SAMPLED, "matcher"));
    assert_eq!(row.attribute("db.namespace"), *world.name);
    assert!(!row.failed && row.took > Duration::ZERO, "{row:?}");
}

#[test]
fn a_request_of_the_campaigns_api_is_a_span_that_its_change_names() {
    let world = world();
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let settings = [
        ("AUTH", "none"),
        ("HTTP_ADDR", "127.0.0.1:0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let mut admin = world.start("campaign-admin", &settings);
    admin.wait_ready();
    let traceparent = format!("00-{SAMPLED}-{CALLER}-01");
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", &*traceparent),
    ];
    let document = campaign("made", &json!({})).to_string();
    let request = request("POST", "/v1/campaigns", &headers, document.as_bytes());
    let mut connection = Connection::open(admin.api()).expect("it listens");
    let answer = connection.ask(&request).expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.json());
    let span = collector.wait_for(SAMPLED, "campaign-admin", "POST /v1/campaigns");
    assert_eq!((span.kind, &*span.parent_id), ("SERVER", CALLER));
    assert_eq!(span.attribute("http.response.status_code"), 201);
    let changes = world.read("campaign-changes");
    carries(changes.last().expect("a change"), &span);
    assert!(admin.terminate().0.success());
}

#[test]
fn the_last_spans_are_sent_before_the_process_ends() {
    let world = world();
    world.traced();
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let traced = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "60000"),
    ];
    let matcher = world.matcher_with("a", &traced);
    world.produce(200);
    world.check();
    assert!(collector.spans().is_empty(), "they wait for a minute");
    assert!(matcher.terminate().0.success());
    let sends = format!("send {}", world.topic("matches"));
    for name in [&*sends, "INSERT matches"] {
        assert!(collector.spans().iter().any(|span| span.name == name));
    }
}

#[test]
fn a_collector_that_is_away_or_hangs_changes_nothing() {
    let world = world();
    world.traced();
    let away = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let closed = format!("http://{}", away.local_addr().expect("it listens"));
    drop(away);
    let hanging = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let open = format!("http://{}", hanging.local_addr().expect("it listens"));
    let traced = |endpoint| {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
        ]
    };
    let first = world.matcher_with("a", &traced(&*closed));
    let second = world.matcher_with("b", &traced(&*open));
    world.produce(4_000);
    world.check();
    let dropped = first.metric("traces_spans_dropped_total");
    assert!(dropped > Some(0.0), "{dropped:?}");
    let log = first.log();
    assert_eq!(log.matches("the collector takes no spans").count(), 1);
    for matcher in [first, second] {
        let (status, took) = matcher.terminate();
        assert!(status.success(), "{status}");
        assert!(took < Duration::from_secs(10), "it ended after {took:?}");
    }
}
