//! What is told of customers, as text.

use schemas::{Campaign, Document, Event, Limits};
use serde_json::{Value as Json, json};

use super::*;
use crate::decide::{Occasion, Winners, event_hash, judge};

fn rule(campaign: &Json) -> Rule {
    let mut whole = json!({
        "id": "ten", "name": "Ten", "version": 3, "when": {"event_type": ["purchase"]},
        "reward": {"kind": "credit", "amount": "2.50"},
    });
    for (name, value) in campaign.as_object().unwrap() {
        whole[name] = value.clone();
    }
    Rule::compile(Campaign::from_json(whole.to_string().as_bytes()).unwrap()).unwrap()
}

/// A customer who did that, each at a time of 2026-11-24.
fn customer(rules: &[&Rule], events: &[(&str, &str, Json)]) -> Customer {
    let mut customer = Customer::default();
    for (offset, (kind, at, payload)) in (0..).zip(events) {
        let event = json!({
            "event_id": format!("e-{offset}"), "customer_id": "c-1", "event_type": kind,
            "occurred_at": format!("2026-11-24T{at}:00Z"), "payload": payload,
        });
        let mut document = Document::new();
        let event = event.to_string();
        document.read(event.as_bytes(), Limits::default()).unwrap();
        let event = Event::of(&document).unwrap();
        let mut concerned = Winners::default();
        concerned.won.extend(rules);
        concerned.won.retain(|rule| rule.concerns(&event));
        let at = event.occurred_at.as_millisecond();
        customer.see(at, event_hash(event.event_id));
        let occasion = Occasion {
            event: &event,
            offset,
            now: at,
            memberships: crate::Memberships::default(),
        };
        judge(&mut concerned, occasion, &mut customer, &mut Vec::new());
    }
    customer
}

fn told(customer: &Customer, rules: &[&Rule], now: &str) -> String {
    let now: Timestamp = format!("2026-11-{now}:00Z").parse().unwrap();
    let rules = rules.iter().copied();
    Account::of(customer, rules, now.as_millisecond()).to_string()
}

#[test]
fn every_kind_of_memory_is_told_of_as_it_is_now() {
    let counts = rule(&json!({"across": [
        {"count": {"at_least": 3}, "within": "7d"},
        {"sum": {"of": "payload.amount", "at_least": 9}, "calendar": "month", "time_zone": "Europe/Madrid"},
        {"distinct": {"of": "payload.sku", "at_least": 2}, "session": "30m"},
        {"average": {"of": "payload.amount", "at_least": 9}, "tumbling": "1h"},
    ]}));
    let waits = rule(&json!({"id": "wait", "across": [
        {"sequence": [{"when": {"event_type": ["visit"]}}], "within": "1d"},
        {"absent": true, "within": "2d", "when": {"event_type": ["refund"]}},
    ]}));
    let limits = rule(
        &json!({"id": "some", "status": "paused", "limits": {"per_customer": [
            {"times": 2, "every": "2d"}, {"amount": 20},
        ]}}),
    );
    let rules = [&counts, &waits, &limits];
    let events = [
        ("visit", "09:00", json!({})),
        ("refund", "09:10", json!({})),
        ("purchase", "10:00", json!({"amount": 10, "sku": "a"})),
        ("purchase", "10:20", json!({"amount": "5.5", "sku": "b"})),
    ];
    let customer = customer(&rules, &events);
    assert_eq!(
        told(&customer, &rules, "24T10:30"),
        r#"4 events will not count again; the first is of 2026-11-24T09:00:00Z, the last of 2026-11-24T10:20:00Z
some, version 3, paused
  /limits/per_customer/0 {"times":2,"every":"2d"}: used 2 of 2 times, until 2026-11-26T10:00:00Z
  /limits/per_customer/1 {"amount":"20"}: used 5 of 20
ten, version 3, active
  /across/0 {"count":{"at_least":3},"within":"7d"}: 2 events, until 2026-12-01T10:00:00Z
  /across/1 {"sum":{"of":"payload.amount","at_least":9},"calendar":"month","time_zone":"Europe/Madrid"}: a sum of 15.5 over 2 values, until 2026-11-30T23:00:00Z
  /across/2 {"distinct":{"of":"payload.sku","at_least":2},"session":"30m"}: 2 values, until 2026-11-24T10:50:00Z
  /across/3 {"average":{"of":"payload.amount","at_least":9},"tumbling":"1h"}: an average of 7.75 over 2 values, until 2026-11-24T11:00:00Z
wait, version 3, active
  /across/0/sequence/0 {"sequence":[{"when":{"event_type":["visit"]}}],"within":"1d"}: 1 event, the last of 2026-11-24T09:00:00Z, until 2026-11-25T09:00:00Z
  /across/1 {"absent":true,"within":"2d"}: it happened 1 time, the last time at 2026-11-24T09:10:00Z
  purchase e-2 of 2026-11-24T10:00:00Z wins at 2026-11-26T10:00:00Z, if nothing comes between
  purchase e-3 of 2026-11-24T10:20:00Z wins at 2026-11-26T10:20:00Z, if nothing comes between"#
    );
    // Later most of it is over, and who counted the rest may be gone.
    assert_eq!(
        told(&customer, &[&counts], "26T12:00"),
        r#"4 events will not count again; the first is of 2026-11-24T09:00:00Z, the last of 2026-11-24T10:20:00Z
ten, version 3, active
  /across/0 {"count":{"at_least":3},"within":"7d"}: 2 events, until 2026-12-01T10:00:00Z
  /across/1 {"sum":{"of":"payload.amount","at_least":9},"calendar":"month","time_zone":"Europe/Madrid"}: a sum of 15.5 over 2 values, until 2026-11-30T23:00:00Z
  /across/2 {"distinct":{"of":"payload.sku","at_least":2},"session":"30m"}: 0 values
  /across/3 {"average":{"of":"payload.amount","at_least":9},"tumbling":"1h"}: no value
of a campaign that is no longer there, or was changed
  2 events, the last of 2026-11-24T10:20:00Z, kept until the dedup window is over
  2 events, the last of 2026-11-24T10:20:00Z, kept until its time is over
  1 event, the last of 2026-11-24T09:10:00Z, kept until its time is over
  1 event, the last of 2026-11-24T09:00:00Z, kept until its time is over
  event e-2 of 2026-11-24T10:00:00Z waits for nothing: wait does not ask for it any more
  event e-3 of 2026-11-24T10:20:00Z waits for nothing: wait does not ask for it any more"#
    );
}

#[test]
fn nothing_is_nothing() {
    let account = Account::of(&Customer::default(), [&rule(&json!({}))], 0);
    assert!(account.is_empty());
    assert_eq!(account.to_string(), "nothing is remembered");
}

#[test]
fn what_is_held_and_what_may_be_taken_back_is_told_with_what_is_left_of_it() {
    let both = rule(&json!({
        "hold": "14d", "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
        "reverse_on": {"event_type": ["refund"], "same": "payload.order", "amount": "payload.amount", "within": "30d"},
    }));
    let order = |order: &str, amount: i64| json!({"order": order, "amount": amount});
    let customer = customer(
        &[&both],
        &[
            ("purchase", "10:00", order("a", 75)),
            ("purchase", "11:00", order("b", 10)),
            ("refund", "12:00", order("a", 25)),
            ("refund", "13:00", order("b", 10)),
            ("refund", "14:00", order("c", 5)),
        ],
    );
    let mut bytes = Vec::new();
    customer.write(&mut bytes);
    assert_eq!(bytes[0], 2);
    assert_eq!(Customer::from_bytes(&bytes).unwrap(), customer);
    assert_eq!(
        told(&customer, &[&both], "25T00:00"),
        "5 events will not count again; the first is of 2026-11-24T10:00:00Z, the last of 2026-11-24T14:00:00Z\n\
         ten, version 3, active\n  \
         match of e-0 of 2026-11-24T10:00:00Z is pending, confirmed at 2026-12-08T10:00:00Z, 6.67 of it are left, \
         can be taken back until 2026-12-24T10:00:00Z\n  \
         match of e-1 of 2026-11-24T11:00:00Z is reversed, 0 of it are left\n\
         returns that wait for what they take back\n  \
         refund e-4 of 2026-11-24T14:00:00Z, until 2026-12-24T14:00:00Z"
    );
    // Of a campaign that is there no more what is owed is owed all the same.
    let told = told(&customer, &[], "25T00:00");
    let owed = "\n  ten: match of e-0 of 2026-11-24T10:00:00Z is pending, confirmed at 2026-12-08T10:00:00Z, 6.67 of it";
    assert!(told.contains(owed), "{told}");
}
