use super::super::campaign::check;
use super::super::documents::read_all;
use super::*;

const AMOUNTS: &str = "\
id: ten
name: Ten
status: draft
when: {payload: {amount: [{numeric: ['>=', 50]}]}}
schedule: {end: 2026-12-01T00:00:00Z}
reward: {kind: custom}
";

/// Waits for customers who do not come back.
const WAITING: &str = "\
id: ten
name: Ten
when: {event_type: [purchase]}
reward: {kind: credit, amount: payload.amount * 2}
across: [{absent: true, within: 30d, when: {event_type: [visit]}}]
limits: {per_customer: {times: 1}}
";

/// Holds its matches, and takes them back.
const RETURNS: &str = "\
id: ten
name: Ten
when: {event_type: [purchase]}
reward: {kind: credit, amount: 10.00, currency: USD}
hold: 14d
reverse_on: {event_type: [refund], same: payload.order, amount: payload.amount}
";

/// How many tests a campaign has, and what failed.
fn failures(campaign: &str, tests: &str) -> (usize, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yaml");
    std::fs::write(&file, format!("{campaign}tests:{tests}")).unwrap();
    let (right, wrong) = check(read_all(&[file]).unwrap());
    assert!(wrong.is_empty(), "{wrong:?}");
    let (count, failed) = run(&right[0]);
    let failed = failed.iter().map(|found| {
        let text = found.to_string();
        text[text.find("c.yaml").unwrap()..].to_owned()
    });
    (count, failed.collect())
}

#[test]
fn tests_that_hold_say_nothing() {
    let tests = "
  - given: [{payload: {amount: 75}}]
    expect: match
  - {given: [{payload: {amount: 75}}, {payload: {amount: 49}}], expect: no_match}
  - {given: [{occurred_at: 2026-12-01T00:00:00Z, payload: {amount: 75}}], expect: no_match}
";
    assert_eq!(failures(AMOUNTS, tests), (3, Vec::new()));
}

#[test]
fn a_test_may_say_why_and_how_much() {
    let tests = "
  - {given: [{payload: {amount: 49}}], expect: no_match, why: payload.amount}
  - {given: [{payload: {amount: 49}}], expect: no_match, why: payload.country}
  - {given: [{payload: {amount: 75}}], expect: match, reward: {kind: custom}}
  - {given: [{payload: {amount: 75}}], expect: match, reward: {kind: points}}
  - {given: [{payload: {amount: 75}}], expect: match, why: payload.amount}
";
    let (count, failed) = failures(AMOUNTS, tests);
    assert_eq!(count, 5);
    let first: Vec<_> = failed
        .iter()
        .filter_map(|text| text.lines().next())
        .collect();
    insta::assert_snapshot!(first.join("\n"), @r#"
        c.yaml:9: /tests/1/why: no match because of payload.country was expected of this event
        c.yaml:11: /tests/3/reward/kind: reward.kind: "points" was expected of this event
        c.yaml:12: /tests/4/why: why names what does not hold, as payload.amount, where `expect` is `no_match`
        "#);
}

#[test]
fn time_passes_in_a_test_and_what_waited_wins() {
    let tests = "
  - {given: [{event_type: purchase, payload: {amount: 5}}], expect: no_match, why: across.0}
  - given: [{event_type: purchase, payload: {amount: 5}}, {advance: 30d}]
    expect: match
    reward: {amount: 10}
  - {given: [{event_type: purchase, payload: {amount: 5}}, {advance: 29d}, {advance: 1d}], expect: match}
  - {given: [{event_type: purchase, payload: {amount: 5}}, {advance: 29d}, {event_type: visit}, {advance: 2d}], expect: no_match}
  - {given: [{event_type: purchase, payload: {amount: 5}}, {advance: 31d}, {event_type: visit}, {advance: 2d}], expect: no_match}
";
    assert_eq!(failures(WAITING, tests).1, [""; 0]);
}

#[test]
fn a_test_of_time_that_passes_says_what_came_of_what_waited() {
    let tests = "
  - {given: [{event_type: purchase, payload: {amount: 5}}, {advance: 29d}], expect: match}
  - {given: [{event_type: purchase}, {event_type: purchase, payload: {amount: 5}}, {advance: 31d}], expect: no_match}
  - {given: [{event_type: visit}, {advance: 31d}], expect: match}
  - {given: [{event_type: purchase, payload: {amount: 5}}, {advance: 31d}], expect: match, reward: {amount: 5}}
  - {given: [{event_type: purchase}, {advance: soon}], expect: match}
  - {given: [{event_type: purchase}, {advance: 31d}], expect: no_match, why: across.0}
";
    insta::assert_snapshot!(failures(WAITING, tests).1.join("\n"), @r#"
        c.yaml:8: /tests/0/given/1: a match was expected of this event
        time passes
          ✗ test still waits, until 1970-01-31T00:00:00Z
        c.yaml:9: /tests/1/given/2: no match was expected of this event
        time passes
          ✓ test-1 wins at 1970-01-31T00:00:01Z: nothing came between
        c.yaml:10: /tests/2/given/1: a match was expected of this event
        time passes
          ✗ no event waits for its time
        c.yaml:11: /tests/3/reward/amount: reward.amount: 5 was expected of this event
        time passes
          ✓ test wins at 1970-01-31T00:00:00Z: nothing came between
        c.yaml:12: /tests/4/given/1/advance: advance is a span of time, as 31d or 12h
        c.yaml:13: /tests/5/why: why is said of an event; the last that is given is time that passes
        "#);
}

#[test]
fn a_test_may_ask_what_becomes_of_a_match() {
    let tests = "
  - {given: [{event_type: purchase}], expect: pending}
  - {given: [{event_type: purchase}, {advance: 14d}], expect: confirmed, left: 10}
  - given: [{event_type: purchase, payload: {order: 7, amount: 75}}, {event_type: refund, payload: {order: 7, amount: 25}}]
    expect: reversed
    amount: 3.33
    left: 6.67
  - given: [{event_type: purchase, payload: {order: 7, amount: 75}}, {event_type: refund, payload: {order: 7, amount: 25}}, {advance: 14d}]
    expect: confirmed
    left: 6.67
  - given: [{event_type: refund, payload: {order: 7}}, {event_type: purchase, payload: {order: 7, amount: 75}}]
    expect: reversed
    amount: 10
";
    assert_eq!(failures(RETURNS, tests).1, [""; 0]);
    let tests = "
  - {given: [{event_type: purchase}, {advance: 13d}], expect: confirmed}
  - {given: [{event_type: purchase, payload: {order: 7}}, {event_type: refund, payload: {order: 8}}], expect: reversed}
  - {given: [{event_type: purchase, payload: {order: 7}}, {event_type: refund, payload: {order: 7}}], expect: reversed, amount: 5}
  - {given: [{event_type: purchase}], expect: match, left: 5}
";
    insta::assert_snapshot!(failures(RETURNS, tests).1.join("\n"), @"
        c.yaml:8: /tests/0/given/1: that a match is confirmed was expected of this event
          test is held, until 1970-01-15T00:00:00Z
        c.yaml:9: /tests/1/given/1: that a match is reversed was expected of this event
          test is held, until 1970-01-15T00:00:00Z
        c.yaml:10: /tests/2/amount: amount: 5 was expected of this event
          test is reversed by test-1, which takes back 10; 0 of it are left
        c.yaml:11: /tests/3/left: left is said of what is `reversed` or `confirmed`
        ");
}

#[test]
fn what_fails_is_explained_at_its_line() {
    let tests = "
  - given:
      - payload: {amount: 49}
    expect: match
  - {given: [], expect: match}
  - {given: [{}], expect: yes}
  - {given: [{payload: 5}], expect: match}
";
    let (count, failed) = failures(AMOUNTS, tests);
    assert_eq!(count, 4);
    insta::assert_snapshot!(failed.join("\n"), @r#"
        c.yaml:9: /tests/0/given/0: a match was expected of this event
        ten: no match
          ✓ status: active
          ✓ schedule.end: 2026-12-01T00:00:00Z; the event is of 2026-11-30T23:59:59Z
          ✗ payload.amount: asks for {"numeric":[">=",50]}; found 49
        c.yaml:11: /tests/1/given: given is a list of one event or more
        c.yaml:12: /tests/2/expect: expect is `match` or `no_match`, or `held_out`, `pending`, `confirmed` or `reversed`
        c.yaml:13: /tests/3/given/0: payload is a number; it must be an object
        "#);
}
