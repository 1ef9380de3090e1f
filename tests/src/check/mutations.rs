//! The check itself is checked: whatever is wrong, it must bite.

use serde_json::json;

use super::*;
use crate::oracle::Shopping;
use crate::topics::Written;

/// What a correct product would leave behind.
fn evidence_of(ledger: &Ledger) -> Evidence {
    let campaigns: Vec<Seen> = oracle::campaigns()
        .zip(0..)
        .map(|(id, offset)| Seen {
            offset,
            key: Some(id.into()),
            value: Some(oracle::document(id, 1).to_string().into()),
            ..Seen::default()
        })
        .collect();
    let event = |(offset, event): (i64, &Shopping)| Seen {
        partition: 3,
        offset,
        key: Some(event.customer_id.clone().into()),
        value: Some(event.document().to_string().into()),
        headers: vec![("traceparent".into(), Some(b"00-1-2-01".to_vec()))],
        timestamp: Some(5),
    };
    let mut events: Vec<Seen> = (0..).zip(ledger.events()).map(event).collect();
    let mut matches = Vec::new();
    for (record, event) in events.iter().zip(ledger.events()) {
        for campaign in &campaigns {
            let document = campaign.json();
            let id = document["id"].as_str().expect("a campaign has an id");
            if !oracle::wins(event, id, 1) {
                continue;
            }
            let json = json!({
                "match_id": format!("{}:{id}", event.event_id),
                "event_id": event.event_id, "campaign_id": id, "campaign_version": 1,
                "campaigns_offset": campaign.offset, "customer_id": event.customer_id,
                "event_type": "purchase", "occurred_at": event.occurred_at.to_string(),
                "matched_at": "2026-11-24T09:30:00.005Z", "reward": document["reward"],
                "source": {"topic": "events", "partition": 3, "offset": record.offset},
            });
            matches.push(Seen {
                partition: 3,
                offset: matches.len().try_into().expect("few matches"),
                key: Some(event.event_id.clone().into()),
                value: Some(json.to_string().into()),
                headers: record.headers.clone(),
                timestamp: Some(1_795_512_600_005),
            });
        }
    }
    let mut dead_letters = Vec::new();
    for poison in ledger.poison() {
        let record = Seen {
            partition: 1,
            offset: events.len().try_into().expect("few events"),
            key: poison.record.key.clone(),
            value: poison.record.value.clone(),
            headers: poison.record.headers.clone(),
            timestamp: Some(6),
        };
        let mut letter = record.clone();
        letter.offset = dead_letters.len().try_into().expect("few dead letters");
        let facts = [
            ("topic", "events".to_owned()),
            ("partition", record.partition.to_string()),
            ("offset", record.offset.to_string()),
            ("code", poison.code.to_owned()),
            ("message", "it is broken".to_owned()),
        ];
        let facts = facts.map(|(name, value)| {
            (
                format!("__campaign.errors.{name}"),
                Some(value.into_bytes()),
            )
        });
        letter.headers.extend(facts);
        dead_letters.push(letter);
        events.push(record);
    }
    Evidence {
        is_traced: false,
        events_topic: "events".into(),
        rows: Some(Rows::of(&matches)),
        observed: matches.clone(),
        events,
        campaigns,
        matches,
        dead_letters,
    }
}

fn truth() -> (Ledger, Evidence) {
    let mut ledger = Ledger::default();
    ledger.begin();
    for n in 0..20 {
        ledger.produced(Shopping::nth("test", n));
    }
    ledger.poisoned(Poison {
        code: "not_json",
        record: Written {
            key: Some(b"c-1".to_vec()),
            value: Some(b"{".to_vec()),
            headers: vec![("h".into(), None)],
            ..Written::default()
        },
        value_kept: true,
    });
    let evidence = evidence_of(&ledger);
    (ledger, evidence)
}

fn change(record: &mut Seen, field: &str, value: Value) {
    let mut json = record.json();
    json[field] = value;
    record.value = Some(json.to_string().into_bytes());
}

/// What is done to the evidence and what must be said of it.
type Mutation = (&'static str, fn(&mut Evidence), &'static str);

#[test]
fn the_truth_passes() {
    let (ledger, evidence) = truth();
    assert!(evidence.matches.len() > 10);
    assert_eq!(problems(&ledger, &evidence), Vec::<String>::new());
}

#[test]
fn a_doubled_missing_surplus_or_changed_match_is_found() {
    bites(&[
        (
            "a doubled match",
            |e| e.matches.push(e.matches[0].clone()),
            "matched 2 times",
        ),
        (
            "a missing match",
            |e| drop(e.matches.remove(3)),
            "is missing",
        ),
        (
            "a match that was not won",
            |e| {
                let mut record = e.matches[0].clone();
                let lost = oracle::campaigns().find(|id| {
                    let pair = |seen: &Seen| seen.json()["campaign_id"] == **id;
                    let same = |seen: &&Seen| seen.key == record.key;
                    !e.matches.iter().filter(same).any(pair)
                });
                change(
                    &mut record,
                    "campaign_id",
                    lost.expect("one is lost").into(),
                );
                e.matches.push(record);
            },
            "is surplus",
        ),
        (
            "a match of an event that nobody produced",
            |e| change(&mut e.matches[0], "event_id", "x".into()),
            "nobody wrote",
        ),
        (
            "a match of a version that was not in force",
            |e| change(&mut e.matches[0], "campaign_version", 2.into()),
            "which was not in force",
        ),
        (
            "a match with another campaign's record",
            |e| change(&mut e.matches[0], "campaigns_offset", 9.into()),
            "campaign and reward",
        ),
        (
            "a match with another reward",
            |e| change(&mut e.matches[0], "reward", json!({"kind": "custom"})),
            "campaign and reward",
        ),
        (
            "a match with another customer",
            |e| change(&mut e.matches[0], "customer_id", "eve".into()),
            "customer_id of the match",
        ),
        (
            "a match elsewhere",
            |e| e.matches[0].partition = 2,
            "partition of the match",
        ),
        (
            "a match without trace",
            |e| e.matches[0].headers.clear(),
            "headers of the match",
        ),
        (
            "a match that was seen and is gone",
            |e| e.observed.push(e.observed[0].clone()),
            "the live reader saw",
        ),
        (
            "an unseen match",
            |e| drop(e.observed.remove(0)),
            "the live reader saw",
        ),
    ]);
}

#[test]
fn a_doubled_or_missing_event_or_dead_letter_is_found() {
    bites(&[
        (
            "a lost event",
            |e| drop(e.events.remove(0)),
            "is not in its topic",
        ),
        (
            "a doubled event",
            |e| e.events.push(e.events[0].clone()),
            "was produced twice",
        ),
        (
            "no dead letter",
            |e| e.dead_letters.clear(),
            "neither match nor dead letter",
        ),
        (
            "a doubled dead letter",
            |e| e.dead_letters.push(e.dead_letters[0].clone()),
            "a dead letter too many",
        ),
        (
            "a changed dead letter",
            |e| e.dead_letters[0].value = Some(b"{}".to_vec()),
            "value of the dead letter",
        ),
        (
            "a dead letter without its headers",
            |e| drop(e.dead_letters[0].headers.remove(0)),
            "headers of the dead letter",
        ),
        (
            "a dead letter with another reason",
            |e| e.dead_letters[0].headers[4].1 = Some(b"empty".to_vec()),
            "was not expected",
        ),
    ]);
}

#[test]
fn a_doubled_missing_surplus_or_changed_row_is_found() {
    bites(&[
        (
            "a missing row",
            |e| drop(rows(e).by_event.pop()),
            "matches has no row",
        ),
        (
            "a missing row of the customer",
            |e| drop(rows(e).by_customer.pop()),
            "matches_by_customer has no row",
        ),
        (
            "a doubled row",
            |e| {
                let row = rows(e).by_customer[0].clone();
                rows(e).by_customer.push(row);
            },
            "matches_by_customer holds a row too many",
        ),
        (
            "a surplus row",
            |e| {
                let mut row = rows(e).by_event[0].clone();
                row["event_id"] = "x".into();
                rows(e).by_event.push(row);
            },
            "matches holds a row too many",
        ),
        (
            "a row with another column",
            |e| rows(e).by_event[0]["source_offset"] = 99.into(),
            "a row of matches",
        ),
        (
            "a row of the campaign in another shard",
            |e| rows(e).by_campaign[0]["shard"] = 99.into(),
            "a row of matches_by_campaign",
        ),
        (
            "a row of the customer in another month",
            |e| rows(e).by_customer[0]["bucket"] = "1999-01".into(),
            "a row of matches_by_customer",
        ),
    ]);
}

fn bites(mutations: &[Mutation]) {
    for (what, mutate, expected) in mutations {
        let (ledger, mut evidence) = truth();
        mutate(&mut evidence);
        let problems = problems(&ledger, &evidence);
        let said = problems.iter().any(|problem| problem.contains(expected));
        assert!(said, "{what}: {problems:#?}");
    }
}

#[test]
fn while_a_campaign_changes_either_state_is_right_and_afterwards_only_the_last() {
    let event = (0..1000)
        .map(|n| Shopping::nth("test", n))
        .find(|event| {
            oracle::wins(event, oracle::CHANGING, 1) && !oracle::wins(event, oracle::CHANGING, 2)
        })
        .expect("some event wins only the first version");
    let mut ledger = Ledger::default();
    ledger.begin();
    ledger.produced(event.clone());
    let mut evidence = evidence_of(&ledger);
    evidence.rows = None;
    let matched = |record: &Seen| record.json()["campaign_id"] == oracle::CHANGING;
    let mut without = evidence.clone();
    without.matches.retain(|record| !matched(record));
    without.observed = without.matches.clone();
    assert!(!problems(&ledger, &without).is_empty());
    // Met while the second version came: may have matched or not.
    ledger.changed(oracle::CHANGING, Some(2));
    assert_eq!(problems(&ledger, &evidence), Vec::<String>::new());
    assert_eq!(problems(&ledger, &without), Vec::<String>::new());
    // Met after the second version: must not have matched.
    let mut ledger = Ledger::default();
    ledger.begin();
    ledger.changed(oracle::CHANGING, Some(2));
    ledger.settled();
    ledger.produced(event);
    assert_eq!(problems(&ledger, &without), Vec::<String>::new());
    assert!(!problems(&ledger, &evidence).is_empty());
}

fn rows(evidence: &mut Evidence) -> &mut Rows {
    evidence.rows.as_mut().expect("there are rows")
}
