//! Events sent, and what comes of them watched.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tests::topics::Written;
use tests::wait;

use crate::installation::{Installation, campaign, ran, text};

#[test]
fn an_event_is_sent_matched_and_seen() {
    let installation = Installation::new();
    let file = installation.write("c.yaml", &campaign("ten", 50, ""));
    installation.ctl(&["apply", "-f", text(&file)]).exits(0);
    let mut tail = installation.spawn(&["tail", "matches", "--count", "1", "-o", "json"]);
    let _matcher = installation.start("matcher", &[]);
    installation
        .ctl(&[
            "send",
            "--kafka",
            "--customer",
            "c-1",
            "--id",
            "e-1",
            "amount=75",
        ])
        .exits(0);
    let matches = [
        "tail",
        "matches",
        "--from-beginning",
        "--count",
        "1",
        "-o",
        "json",
    ];
    let found = installation.ctl(&matches).exits(0).lines();
    assert_eq!(found[0]["value"]["match_id"], "e-1:ten");
    assert_eq!(found[0]["value"]["reward"]["amount"], "10.00");
    // The one that began before sees it come; or it began when it was there, and is sent another.
    let seen = wait::until("the match", Duration::from_mins(1), || {
        installation
            .ctl(&["send", "--kafka", "--customer", "c-1", "amount=75"])
            .exits(0);
        tail.try_wait().unwrap()
    });
    assert!(seen.success());
    let seen = ran(&tail.wait_with_output().unwrap());
    assert_eq!(seen.lines()[0]["value"]["campaign_id"], "ten");

    let none = [
        "tail",
        "matches",
        "--from-beginning",
        "--no-follow",
        "--campaign",
        "other",
    ];
    assert_eq!(installation.ctl(&none).exits(0).out, "");
    let by_pattern = [
        "tail",
        "events",
        "--since",
        "1h",
        "--no-follow",
        "-o",
        "json",
        "--where",
        "{payload: {amount: [75]}, event_id: ['e-1']}",
    ];
    assert_eq!(installation.ctl(&by_pattern).exits(0).lines().len(), 1);
}

#[test]
fn what_is_shown_is_committed_and_the_reader_may_go_away() {
    let installation = Installation::new();
    for number in 0..2_000 {
        let record = Written {
            key: Some(b"c".to_vec()),
            value: Some(
                json!({"n": number, "customer_id": "c"})
                    .to_string()
                    .into_bytes(),
            ),
            headers: vec![("odd".to_owned(), Some(vec![0xff]))],
            partition: None,
            timestamp: None,
        };
        installation
            .kafka
            .send(&installation.topic("events"), &record);
    }
    installation.kafka.flush();
    let mut child = installation
        .command(&["tail", "events", "--from-beginning", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut first).unwrap();
    drop(output);
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(first["value"]["n"], 0);
    assert_eq!(first["headers"]["odd"], json!({"hex": "ff"}));
    let end = ran(&child.wait_with_output().unwrap());
    assert_eq!((end.code, &*end.err), (0, ""));
}

#[test]
fn a_file_of_events_goes_to_kafka_or_to_ingest_and_a_broken_one_is_named() {
    let installation = Installation::new();
    let ingest = installation.start("ingest", &[("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")]);
    let address = format!("http://{}", ingest.api());
    let event = |number: u32| {
        json!({
            "event_id": format!("e-{number}"), "customer_id": format!("c-{}", number % 7),
            "event_type": "purchase", "occurred_at": "2026-11-24T09:30:00Z", "payload": {"n": number},
        })
    };
    let lines: Vec<_> = (0..1_200).map(|number| event(number).to_string()).collect();
    let file = installation.write("e.jsonl", &lines.join("\n"));
    let to_ingest = [
        "send",
        "-f",
        text(&file),
        "--ingest",
        &address,
        "-o",
        "json",
    ];
    let sent = installation.ctl(&to_ingest).exits(0).json();
    assert_eq!(sent["acknowledged"], 1_200);
    let to_kafka = ["send", "-f", text(&file), "--kafka", "-o", "json"];
    let sent = installation.ctl(&to_kafka).exits(0).json();
    assert_eq!(sent["acknowledged"], 1_200);

    // Both ways lead to the same records in the same partitions.
    let records = installation.kafka.read_all(&installation.topic("events"));
    assert_eq!(records.len(), 2_400);
    let mut places = std::collections::HashMap::new();
    for record in &records {
        let key = record.key.clone().unwrap();
        assert_eq!(
            *places.entry(key).or_insert(record.partition),
            record.partition
        );
    }

    let broken = format!(
        "{}\n{}\n{}\n",
        event(1),
        json!({"customer_id": 5}),
        event(2)
    );
    let file = installation.write("broken.jsonl", &broken);
    for way in [&["--kafka"][..], &["--ingest", &address]] {
        let arguments = [&["send", "-f", text(&file)], way].concat();
        let ran = installation.ctl(&arguments).exits(2);
        assert!(ran.out.starts_with("1 events acknowledged"), "{}", ran.out);
        assert!(ran.err.contains("event 2: "), "{}", ran.err);
    }
}
