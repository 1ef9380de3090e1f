//! Events that came as JSON, in their Avro form.

use std::borrow::Cow;
use std::fmt::Write as _;

use proptest::prelude::*;
use schemas::avro::EVENT;
use schemas::reader::Encoded;
use schemas::{Document, Event, Limits};
use serde_json::{Value as Json, json};

use crate::documents::{WRITTEN, reader};
use crate::root;

/// What readers get of an event that came as JSON: nothing if it is refused.
fn carried(json: &str, limits: Limits) -> Option<(Json, Json)> {
    let mut document = Document::new();
    document.read(json.as_bytes(), limits).ok()?;
    let event = Event::of(&document).ok()?;
    let value = WRITTEN.event_of_json(json.as_bytes(), &event, limits);
    let mut read = Document::new();
    let result = reader(EVENT).read_event(Encoded::plain(&value), limits, &mut read);
    result.expect("what was let in can be read");
    let again = Event::of(&read).expect("it is an event still");
    assert_eq!(again.occurred_at, event.occurred_at);
    Some((root(&document), root(&read)))
}

/// Any JSON value, with numbers of all sizes.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn an_event_that_is_let_in_as_json_says_the_same_as_avro_within_the_same_bounds(
        id in ".{1,8}",
        payload in prop::collection::btree_map(".{0,6}", any_json(), 0..4),
        further in prop::collection::btree_map("[a-z\\PC]{0,8}|further|payload ", any_json(), 0..4),
        micros in 0_i64..4_000_000_000_000_000,
        max_depth in 2_u32..7,
        spare in 0_u32..64,
    ) {
        let mut event = json!({
            "event_id": id, "customer_id": "c", "event_type": "purchase",
            "occurred_at": jiff::Timestamp::from_microsecond(micros).unwrap().to_string(),
            "payload": payload,
        });
        for (name, value) in further {
            event[name] = value;
        }
        let text = event.to_string();
        let max_bytes = u32::try_from(text.len()).unwrap() + spare;
        if let Some((json, avro)) = carried(&text, Limits { max_bytes, max_depth }) {
            prop_assert_eq!(json, avro);
        }
    }
}

#[test]
fn what_avro_says_in_its_own_way_means_the_same() {
    let event = |further: &str, time: &str| {
        format!(
            r#"{{"event_id": "a\u0062", "customer_id": "c", "event_type": "t", "occurred_at": "{time}"{further}}}"#
        )
    };
    let read = |text: &str| carried(text, Limits::default()).expect("an event").1;
    let fields = |further: Json, time: &str| {
        let mut fields = json!({
            "event_id": "ab", "customer_id": "c", "event_type": "t", "occurred_at": time, "payload": {},
        });
        let further = further.as_object().cloned().unwrap_or_default();
        fields.as_object_mut().unwrap().extend(further);
        fields
    };
    let time = "2026-11-24T09:30:00Z";
    // No payload is an empty one; of a repeated field the last counts.
    assert_eq!(read(&event("", time)), fields(json!({}), time));
    let repeated = r#", "payload": {"a": 1}, "x": 1, "payload": {"b": 1.50}, "\u0078": [2]"#;
    let last = json!({"payload": {"b": 1.5}, "x": [2]});
    assert_eq!(read(&event(repeated, time)), fields(last, time));
    // The same moment.
    let elsewhere = event("", "2026-11-24T10:30:00.25+01:00");
    let text = read(&elsewhere)["occurred_at"].clone();
    assert_eq!(text, "2026-11-24T09:30:00.25Z");
}

#[test]
fn an_event_that_avro_would_make_too_large_stays_json() {
    let (name, value) = ("n".repeat(100), "v".repeat(9_000));
    let mut json = String::from(
        r#"{"event_id": "e", "customer_id": "c", "event_type": "t", "occurred_at": "2026-11-24T09:30:00Z""#,
    );
    for number in 1_000..1_200 {
        write!(json, r#","{name}{number}":"{value}""#).unwrap();
    }
    json += "}";
    let limits = |spare: usize| Limits {
        max_bytes: u32::try_from(json.len() + spare).unwrap(),
        ..Limits::default()
    };
    let mut document = Document::new();
    document.read(json.as_bytes(), limits(0)).unwrap();
    let event = Event::of(&document).unwrap();
    let form = |spare| WRITTEN.event_of_json(json.as_bytes(), &event, limits(spare));
    assert!(matches!(form(0), Cow::Borrowed(value) if value == json.as_bytes()));
    assert_eq!(form(1_000)[0], 0);
    assert!(carried(&json, limits(0)).is_some_and(|(json, avro)| json == avro));
}
