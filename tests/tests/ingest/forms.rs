//! Every form of a body becomes records, and every event an answer.

use std::io::Write as _;

use serde_json::{Value, json};
use tests::http::Connection;
use tests::servers::Server;
use tests::topics::{Seen, Written};

use super::{Door, ask, purchase};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lines(events: &[Value]) -> String {
    let lines: Vec<_> = events.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn an_event_of_ours_is_written_byte_for_byte_whatever_the_body() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[]);
    let mut connection = Connection::open(ingest.api()).unwrap();
    let mut send = |media_type, encoding: Option<&str>, body: &[u8]| {
        let encoding = encoding.map(|encoding| ("content-encoding", encoding));
        let request = door.post(media_type, encoding.as_slice(), body);
        let answer = connection.ask(&request).unwrap();
        assert_eq!(answer.status, 202, "{:?}", answer.json());
        answer.json()
    };
    let spaced = purchase("a1").to_string().replace(',', " , ");
    let answer = send("application/json", None, spaced.as_bytes());
    assert_eq!(answer["event_id"], "a1");

    let array = json!([purchase("b1"), purchase("b2")]).to_string();
    let answer = send("application/json", None, array.as_bytes());
    assert_eq!(
        (&answer["accepted"], &answer["refused"]),
        (&json!(2), &json!(0))
    );
    let item = |id| json!({"status": 202, "event_id": id});
    assert_eq!(answer["items"], json!([item("b1"), item("b2")]));

    let three = lines(&["c1", "c2", "c3"].map(purchase)) + "\r\n\n";
    send("application/x-ndjson", None, three.as_bytes());
    let zipped = gzip(lines(&["d1", "d2"].map(purchase)).as_bytes());
    send("application/x-ndjson", Some("gzip"), &zipped);
    let zipped = zstd::encode_all(json!([purchase("e1")]).to_string().as_bytes(), 3).unwrap();
    let answer = send("application/json", Some("zstd"), &zipped);
    assert_eq!(
        answer["items"],
        json!([item("e1")]),
        "a list of one is a list"
    );

    let records = door.records();
    let ids = ["a1", "b1", "b2", "c1", "c2", "c3", "d1", "d2", "e1"];
    assert_eq!(records.len(), ids.len());
    for (record, id) in records.iter().zip(ids) {
        let came = if id == "a1" {
            spaced.clone()
        } else {
            purchase(id).to_string()
        };
        assert_eq!(record.value.as_deref(), Some(came.as_bytes()));
        let customer = format!("customer of {id}");
        assert_eq!(record.key.as_deref(), Some(customer.as_bytes()));
    }
}

#[test]
fn a_customer_is_in_the_partition_that_other_clients_choose() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[]);
    let ids: Vec<_> = (0..40).map(|number| format!("{number:02}")).collect();
    let events: Vec<_> = ids.iter().map(|id| purchase(id)).collect();
    let answer = door.send(&ingest, "application/x-ndjson", lines(&events).as_bytes());
    assert_eq!(answer.status, 202);
    for id in &ids {
        // Java's partitioner, which this client of the tests has been told to use, too.
        door.kafka.send(
            &door.topic,
            &Written {
                key: Some(format!("customer of {id}").into()),
                value: Some(purchase(id).to_string().into()),
                ..Written::default()
            },
        );
    }
    door.kafka.flush();
    let mut used = std::collections::BTreeSet::new();
    for pair in door.records().chunks(2) {
        assert_eq!(pair[0].key, pair[1].key);
        assert_eq!(pair[0].partition, pair[1].partition);
        used.insert(pair[0].partition);
    }
    assert_eq!(used.len(), 4, "all partitions");
}

#[test]
fn cloud_events_become_events_of_ours_in_all_three_forms() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[]);
    let event = |id: &str| {
        json!({
            "specversion": "1.0", "id": id, "source": "/tills", "type": "purchase",
            "time": "2026-11-24T09:30:00Z", "subject": "c-1", "data": {"amount": 75},
        })
    };
    let answer = door.send(
        &ingest,
        "application/cloudevents+json; charset=UTF-8",
        event("1").to_string().as_bytes(),
    );
    assert_eq!(answer.status, 202, "{:?}", answer.json());
    assert_eq!(answer.json()["event_id"], "/tills|1");
    let mut traced = event("3");
    traced["traceparent"] = format!("00-{TRACE}-b7ad6b7169203331-01").into();
    let batch = json!([event("2"), traced, {"specversion": "1.0"}]);
    let answer = door.send(
        &ingest,
        "application/cloudevents-batch+json",
        batch.to_string().as_bytes(),
    );
    assert_eq!(answer.status, 207);
    let refused = &answer.json()["items"][2];
    assert_eq!(refused["code"], "invalid_cloud_event");
    assert_eq!(refused["errors"][0]["pointer"], "/source");
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "4"),
        ("ce-source", "/tills"),
        ("ce-type", "purchase"),
        ("ce-time", "2026-11-24T09:30:00Z"),
        ("ce-subject", "c-1"),
    ];
    let answer = ask(
        &ingest,
        &door.post("application/json", &headers, br#"{"amount": 75}"#),
    );
    assert_eq!(answer.status, 202, "{:?}", answer.json());

    let records = door.records();
    assert_eq!(records.len(), 4);
    for (number, record) in records.iter().enumerate() {
        let value = record.json();
        assert_eq!(value["event_id"], format!("/tills|{}", number + 1));
        assert_eq!(value["customer_id"], "c-1");
        assert_eq!(value["event_type"], "purchase");
        assert_eq!(value["payload"], json!({"amount": 75}));
        assert_eq!(record.key.as_deref(), Some(&b"c-1"[..]));
    }
    let trace = |record: &Seen| record.header("traceparent").unwrap().to_owned();
    assert!(trace(&records[2]).contains(TRACE), "its own trace");
    assert!(!trace(&records[1]).contains(TRACE));
}

#[test]
fn an_event_without_an_id_is_stored_with_the_one_that_is_returned() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[]);
    let mut event = purchase("");
    event.as_object_mut().unwrap().remove("event_id");
    let one = door.send(&ingest, "application/json", event.to_string().as_bytes());
    let two = json!([event, event]).to_string();
    let two = door.send(&ingest, "application/json", two.as_bytes());
    let mut returned = vec![one.json()["event_id"].clone()];
    let items = two.json();
    let items = items["items"].as_array().unwrap();
    returned.extend(items.iter().map(|item| item["event_id"].clone()));
    let mut stored: Vec<_> = door
        .records()
        .iter()
        .map(|record| record.json()["event_id"].clone())
        .collect();
    for ids in [&mut stored, &mut returned] {
        ids.sort_by_key(Value::to_string);
        ids.dedup();
    }
    assert_eq!(stored, returned);
    assert_eq!(stored.len(), 3);
    for record in door.records() {
        let mut value = record.json();
        value.as_object_mut().unwrap().remove("event_id");
        assert_eq!(value, event);
    }
}

#[test]
fn the_trace_goes_from_the_request_to_the_records_the_answer_and_the_log() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[]);
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let headers = [("traceparent", &*parent), ("x-request-id", "till-7")];
    let body = purchase("1").to_string();
    let answer = ask(
        &ingest,
        &door.post("application/json", &headers, body.as_bytes()),
    );
    assert_eq!(answer.json()["trace_id"], TRACE);
    let begun = door.send(
        &ingest,
        "application/json",
        purchase("2").to_string().as_bytes(),
    );
    let begun = begun.json()["trace_id"].as_str().unwrap().to_owned();
    let records = door.records();
    let trace = |at: usize| records[at].header("traceparent").unwrap();
    assert!(trace(0).starts_with(&format!("00-{TRACE}-")));
    assert!(!trace(0).contains("b7ad6b7169203331"), "a span of its own");
    assert!(trace(1).starts_with(&format!("00-{begun}-")));
    assert_eq!(records[0].header("correlation-id"), Some("till-7"));
    assert_eq!(records[1].header("correlation-id"), None);
    assert!(ingest.log().contains(TRACE));
}

#[test]
fn each_event_of_a_mixed_body_has_its_own_status_in_order() {
    let door = Door::new(Server::shared_kafka().address());
    let folder = door.folder.path().join("schemas");
    std::fs::create_dir(&folder).unwrap();
    let schema = json!({"properties": {"payload": {"required": ["order_id"]}}});
    std::fs::write(folder.join("refund.json"), schema.to_string()).unwrap();
    let ingest = door.ingest(&[("EVENT_SCHEMAS_DIR", folder.to_str().unwrap())]);
    let mut refund = purchase("3");
    refund["event_type"] = json!("refund");
    let mut late = purchase("4");
    late["occurred_at"] = json!("yesterday");
    let body = format!(
        "{}\nnonsense\n{refund}\n{late}\n{}",
        purchase("1"),
        purchase("5")
    );
    let answer = door.send(&ingest, "application/x-ndjson", body.as_bytes());
    assert_eq!(answer.status, 207);
    let answer = answer.json();
    assert_eq!(
        (&answer["accepted"], &answer["refused"]),
        (&json!(2), &json!(3))
    );
    let items = answer["items"].as_array().unwrap();
    let short: Vec<_> = items
        .iter()
        .map(|item| {
            let place = &item["errors"][0]["pointer"];
            (
                item["status"].as_u64().unwrap(),
                item["code"].as_str(),
                place.as_str(),
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            (202, None, None),
            (400, Some("not_json"), Some("")),
            (422, Some("schema_mismatch"), Some("/payload")),
            (422, Some("invalid_time"), Some("/occurred_at")),
            (202, None, None),
        ]
    );
    assert_eq!(door.records().len(), 2);
    let metric = |name| ingest.metric(name);
    assert_eq!(metric("ingest_events_produced_total"), Some(2.0));
    assert_eq!(metric("ingest_events_refused_total"), Some(3.0));
    assert_eq!(metric("ingest_inflight_events"), Some(0.0));
}
