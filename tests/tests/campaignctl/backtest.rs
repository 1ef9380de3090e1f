//! Campaigns on past events, without Kafka.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::installation::{campaign, shared};

fn event(id: &str, amount: u32) -> Value {
    json!({
        "event_id": id, "customer_id": "c", "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": amount},
    })
}

#[test]
fn past_events_meet_campaigns_of_every_form_and_the_summary_adds_up() {
    let installation = shared();
    installation.write("past/a/fifty.yaml", &campaign("fifty", 50, ""));
    let line = |id: &str, amount: u32| {
        json!({
            "id": id, "name": id, "status": "draft", "reward": {"kind": "custom"},
            "when": {"payload": {"amount": [{"numeric": [">=", amount]}]}},
        })
    };
    installation.write(
        "past/more.jsonl",
        &format!("{}\n\n{}\n", line("sixty", 60), line("hundred", 100)),
    );
    let mut events = String::new();
    for n in 0..3_000 {
        writeln!(events, "{}", event(&format!("e-{n}"), n % 100)).unwrap();
    }
    events += "{\"event_id\": \"cut";
    installation.write("past/events.jsonl", &events);
    let ran = installation.ctl(&[
        "backtest",
        "--campaigns",
        "past/a",
        "--campaigns",
        "past/more.jsonl",
        "--events",
        "past/events.jsonl",
        "--matches",
        "past/out.jsonl",
        "--threads",
        "3",
        "-o",
        "json",
    ]);
    let summary = ran.exits(0).json();
    assert_eq!(summary["events"], 3_001);
    assert_eq!(summary["campaigns"], 3);
    assert_eq!(summary["matches"], 30 * (50 + 40));
    assert_eq!(summary["dead_letters"], json!({"not_json": 1}));
    for figure in ["events_per_second", "build_seconds", "peak_memory_bytes"] {
        assert!(summary[figure].as_f64().unwrap() > 0.0, "{summary}");
    }
    let out = std::fs::read_to_string(installation.folder.path().join("past/out.jsonl")).unwrap();
    let matches: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(matches.len(), 2_700);
    assert_eq!(
        matches[0],
        json!({"event_id": "e-50", "campaign_id": "fifty"})
    );
    assert_eq!(
        matches[11],
        json!({"event_id": "e-60", "campaign_id": "sixty"})
    );
}

#[test]
fn campaigns_that_are_wrong_are_told_with_their_lines_and_nothing_is_evaluated() {
    let installation = shared();
    installation.write("wrong/events.jsonl", "");
    installation.write(
        "wrong/campaigns.jsonl",
        "{\"id\": \"x\"}\n{\"id\": \"y\", \"name\": \"y\", \"when\": {\"a\": 1}, \"reward\": {\"kind\": \"custom\"}}\n",
    );
    let backtest = |campaigns: &str, events: &str| {
        installation.ctl(&["backtest", "--campaigns", campaigns, "--events", events])
    };
    let ran = backtest("wrong/campaigns.jsonl", "wrong/events.jsonl").exits(2);
    assert!(ran.err.contains("wrong/campaigns.jsonl:1: "), "{}", ran.err);
    assert!(
        ran.err
            .contains("wrong/campaigns.jsonl:2: a: a field takes a list"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("2 problems in the campaigns"),
        "{}",
        ran.err
    );
    installation.write("wrong/right.yaml", &campaign("right", 50, ""));
    let ran = backtest("wrong/right.yaml", "wrong/absent.jsonl").exits(2);
    assert!(
        ran.err.contains("wrong/absent.jsonl cannot be read"),
        "{}",
        ran.err
    );
    let ran = backtest("wrong/right.yaml", "wrong/events.jsonl").exits(0);
    assert!(
        ran.out.starts_with("0 events, 1 campaigns, 0 matches"),
        "{}",
        ran.out
    );
}
