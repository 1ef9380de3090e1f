//! Upstream's own records as events, and ours.

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use schemas::avro::{AvroError, EVENT, EventMapping, EventPlan, Program};
use schemas::{Document, Event, EventError, Limits};
use serde_json::{Value as Json, json};

use crate::{encode, root};

/// A shop's own record, as its team would write it.
const ORDER: &str = r#"{
    "type": "record", "name": "OrderPlaced", "namespace": "shop",
    "fields": [
        {"name": "number", "type": "long"},
        {"name": "customer", "type": ["null", {"type": "record", "name": "Person", "fields": [
            {"name": "id", "type": "string"},
            {"name": "born", "type": {"type": "int", "logicalType": "date"}}
        ]}]},
        {"name": "seller", "type": "Person"},
        {"name": "placed", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
        {"name": "event_type", "type": "int"},
        {"name": "attributes", "type": ["null", "string"]}
    ]
}"#;

const MAPPING: &str = r#"[{
    "record": "shop.OrderPlaced",
    "event_id": "number",
    "customer_id": "customer.id",
    "event_type": {"constant": "purchase"},
    "occurred_at": "placed",
    "json": ["attributes"]
}]"#;

fn person(id: &str) -> Avro {
    Avro::Record(vec![
        ("id".into(), Avro::String(id.into())),
        ("born".into(), Avro::Date(9_131)),
    ])
}

fn order(customer: Avro, attributes: Avro) -> Vec<u8> {
    let schema = Schema::parse_str(ORDER).unwrap();
    let fields = [
        ("number", Avro::Long(4711)),
        ("customer", customer),
        ("seller", person("s-1")),
        ("placed", Avro::TimestampMillis(1_795_512_600_000)),
        ("total", Avro::Decimal([0x1d, 0x56].into())),
        ("event_type", Avro::Int(3)),
        ("attributes", attributes),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    encode(&schema, Avro::Record(fields.into()))
}

fn there(value: Avro) -> Avro {
    Avro::Union(1, value.into())
}

fn absent() -> Avro {
    Avro::Union(0, Avro::Null.into())
}

fn plan(schema: &str, mapping: &str, subjects: &[&str]) -> EventPlan {
    let subjects: Vec<_> = subjects.iter().map(|name| (*name).to_owned()).collect();
    let mapping = EventMapping::parse(mapping).unwrap();
    EventPlan::new(&Program::admit(schema, &[]).unwrap(), &subjects, &mapping)
}

fn read(plan: &EventPlan, bytes: &[u8]) -> Result<Document, AvroError> {
    let mut document = Document::new();
    plan.read(bytes, Limits::default(), &mut document)?;
    Ok(document)
}

#[test]
fn upstreams_own_record_is_an_event_and_keeps_its_own_names() {
    let plan = plan(ORDER, MAPPING, &[]);
    let attributes = Avro::String(r#"{"coupon": "SPRING"}"#.into());
    let document = read(&plan, &order(there(person("c-1")), there(attributes))).unwrap();
    let event = Event::of(&document).unwrap();
    assert_eq!((event.event_id, event.customer_id), ("4711", "c-1"));
    assert_eq!(event.event_type, "purchase");
    assert_eq!(event.occurred_at, "2026-11-24T09:30:00Z".parse().unwrap());
    assert_eq!(
        root(&document),
        json!({
            "number": 4711,
            "customer": {"id": "c-1", "born": "1995-01-01"},
            "seller": {"id": "s-1", "born": "1995-01-01"},
            "placed": "2026-11-24T09:30:00Z",
            "total": 75.1,
            "attributes": {"coupon": "SPRING"},
            "event_id": "4711",
            "customer_id": "c-1",
            "event_type": "purchase",
            "occurred_at": "2026-11-24T09:30:00Z",
        })
    );
}

#[test]
fn what_the_event_lacks_is_said_as_of_json() {
    let plan = plan(ORDER, MAPPING, &[]);
    let document = read(&plan, &order(absent(), absent())).unwrap();
    let error = Event::of(&document).unwrap_err();
    assert_eq!(
        error,
        EventError::Missing {
            field: "customer_id"
        }
    );
    let broken = there(Avro::String("{".into()));
    let error = read(&plan, &order(there(person("c-1")), broken)).unwrap_err();
    assert_eq!(error.code(), "not_avro");
    // The next is not hurt, and remembers nothing.
    let document = read(&plan, &order(there(person("c-2")), absent())).unwrap();
    assert_eq!(Event::of(&document).unwrap().customer_id, "c-2");
    let whole = plan_of_the_customer();
    let document = read(&whole, &order(there(person("c-1")), absent())).unwrap();
    assert_eq!(
        Event::of(&document).unwrap_err().to_string(),
        "customer_id is an object; it must be a string"
    );
}

fn plan_of_the_customer() -> EventPlan {
    plan(ORDER, &MAPPING.replace("customer.id", "customer"), &[])
}

#[test]
fn a_mapping_that_does_not_fit_says_what_is_missing() {
    let cases = [
        ("\"number\"", "\"id\"", "it has no field id to be event_id"),
        (
            "customer.id",
            "customer.no",
            "it has no field customer.no to be customer_id",
        ),
        ("customer.id", "seller.id.x", "it has no field seller.id.x"),
        (
            "\"placed\"",
            "\"number\"",
            "number is a number; say what it counts",
        ),
        (
            "\"placed\"",
            "{\"field\": \"placed\", \"unit\": \"millis\"}",
            "placed is no number",
        ),
        ("[\"attributes\"]", "[\"number\"]", "number is no text"),
        ("[\"attributes\"]", "[\"more\"]", "it has no field more"),
    ];
    for (from, to, expected) in cases {
        let plan = plan(ORDER, &MAPPING.replacen(from, to, 1), &[]);
        let error = read(&plan, &order(there(person("c-1")), absent())).unwrap_err();
        assert_eq!(error.code(), "unmapped_record");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(
            error
                .to_string()
                .contains("EVENT_MAPPING does not fit the record shop.OrderPlaced")
        );
    }
}

#[test]
fn a_record_is_found_by_its_subject_and_numbers_may_count_the_time() {
    let schema = r#"{"type": "record", "name": "Login", "fields": [
        {"name": "event_id", "type": {"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"}},
        {"name": "user", "type": "int"},
        {"name": "at", "type": ["long", "null"]}]}"#;
    let mapping = r#"[{"subject": "logins-value", "customer_id": "user",
        "occurred_at": {"field": "at", "unit": "seconds"}}]"#;
    let plan = plan(schema, mapping, &["logins-value"]);
    let bytes = [vec![7; 16], vec![84], vec![0, 2]].concat();
    let document = read(&plan, &bytes).unwrap();
    let event = Event::of(&document).unwrap();
    assert_eq!(event.event_id, "07070707-0707-0707-0707-070707070707");
    assert_eq!((event.customer_id, event.event_type), ("42", "Login"));
    assert_eq!(event.occurred_at, "1970-01-01T00:00:01Z".parse().unwrap());
    assert_eq!(root(&document)["user"], 42);
    assert_eq!(root(&document)["occurred_at"], "1970-01-01T00:00:01Z");
    // Null is no time.
    let document = read(&plan, &[vec![7; 16], vec![84], vec![2]].concat()).unwrap();
    assert_eq!(
        Event::of(&document).unwrap_err().to_string(),
        "occurred_at is null; it must be a string"
    );
}

#[test]
fn records_that_have_the_events_own_names_need_no_mapping() {
    let schema = r#"{"type": "record", "name": "Visit", "fields": [
        {"name": "customer_id", "type": "string"},
        {"name": "event_id", "type": "string"},
        {"name": "event_type", "type": {"type": "enum", "name": "T", "symbols": ["visit", "leave"]}},
        {"name": "occurred_at", "type": "string"},
        {"name": "payload", "type": {"type": "map", "values": "double"}}]}"#;
    let plan = plan(schema, "[]", &[]);
    let text = |text: &str| [&[u8::try_from(text.len() * 2).unwrap()], text.as_bytes()].concat();
    let bytes = |at: &str| [text("c"), text("e"), vec![2], text(at), vec![0]].concat();
    let document = read(&plan, &bytes("2026-11-24T09:30:00+01:00")).unwrap();
    let event = Event::of(&document).unwrap();
    assert_eq!((event.event_id, event.event_type), ("e", "leave"));
    assert_eq!(event.occurred_at, "2026-11-24T08:30:00Z".parse().unwrap());
    let document = read(&plan, &bytes("soon")).unwrap();
    assert!(matches!(
        Event::of(&document),
        Err(EventError::OccurredAt { .. })
    ));
}

#[test]
fn an_event_in_our_own_form_reads_as_its_json_form_does() {
    let schema = Schema::parse_str(EVENT).unwrap();
    let event = |payload: &str| {
        let fields = [
            ("event_id", Avro::String("e-1".into())),
            ("customer_id", Avro::String("c-1".into())),
            ("event_type", Avro::String("purchase".into())),
            ("occurred_at", Avro::TimestampMicros(1_795_512_600_000_000)),
            ("payload", Avro::String(payload.into())),
            (
                "further",
                Avro::Map(
                    [("source", "\"till\""), ("event_id", "\"other\"")]
                        .map(|(key, text)| (key.to_owned(), Avro::String(text.into())))
                        .into(),
                ),
            ),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        encode(&schema, Avro::Record(fields.into()))
    };
    let plan = plan(EVENT, "[]", &[]);
    let document = read(&plan, &event(r#"{"amount": 75, "items": [{"sku": "a"}]}"#)).unwrap();
    let says = json!({
        "event_id": "e-1",
        "customer_id": "c-1",
        "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z",
        "payload": {"amount": 75, "items": [{"sku": "a"}]},
        "source": "till",
    });
    assert_eq!(root(&document), says);
    let as_json = {
        let mut document = Document::new();
        let text = says.to_string();
        document.read(text.as_bytes(), Limits::default()).unwrap();
        document
    };
    let (avro, json) = (Event::of(&document).unwrap(), Event::of(&as_json).unwrap());
    assert_eq!(avro.event_id, json.event_id);
    assert_eq!(avro.occurred_at, json.occurred_at);

    let document = read(&plan, &event("[]")).unwrap();
    assert_eq!(
        Event::of(&document).unwrap_err().to_string(),
        "payload is an array; it must be an object"
    );
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    assert_eq!(
        read(&plan, &event(&deep)).unwrap_err(),
        AvroError::TooDeep { max: 64 }
    );
    assert_eq!(read(&plan, &event("{")).unwrap_err().code(), "not_avro");
    assert_eq!(Json::Null, root(&Document::new()));
}

#[test]
fn a_union_of_records_is_read_by_the_record_that_it_holds() {
    let schema = r#"[
        {"type": "record", "name": "A", "fields": [{"name": "event_id", "type": "string"}]},
        {"type": "record", "name": "B", "fields": [{"name": "id", "type": "string"}]}]"#;
    let mapping =
        r#"[{"record": "B", "event_id": "id", "customer_id": "id", "occurred_at": "id"}]"#;
    let plan = plan(schema, mapping, &[]);
    let document = read(&plan, &[0, 2, b'x']).unwrap();
    assert_eq!(root(&document), json!({"event_id": "x"}));
    let document = read(&plan, &[2, 2, b'y']).unwrap();
    assert_eq!(root(&document)["customer_id"], "y");
    assert_eq!(root(&document)["event_type"], "B");
    assert!(read(&plan, &[4, 2, b'y']).is_err());
}
