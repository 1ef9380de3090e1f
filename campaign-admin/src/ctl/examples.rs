//! The tests that a campaign brings along: events, and whether they match.
//!
//! ```yaml
//! tests:
//!   - given: [{event_type: purchase, payload: {amount: 75, country: US}}]
//!     expect: match            # or no_match
//! ```
//!
//! The last of the events is what is expected something of. What every event has and this one leaves out is filled in;
//! its time is within the campaign's schedule.

use jiff::{SignedDuration, Timestamp};
use rules::{CampaignProblem, Explanation};
use schemas::{Document, Event, Limits, Schedule};
use serde_json::{Value as Json, json};

use super::campaign::{Found, Local};
use super::check::as_if_active;

/// How many tests a campaign has, and what failed.
pub(super) fn run(local: &Local) -> (usize, Vec<Found>) {
    let tests = match local.document.value.get("tests") {
        None => return (0, Vec::new()),
        Some(Json::Array(tests)) => tests,
        Some(_) => {
            let detail = "tests is a list of objects with `given` and `expect`".to_owned();
            return (0, vec![found(local, "/tests".to_owned(), detail)]);
        }
    };
    let mut failed = Vec::new();
    for (number, test) in tests.iter().enumerate() {
        if let Err((below, detail)) = one(local, test) {
            failed.push(found(local, format!("/tests/{number}{below}"), detail));
        }
    }
    (tests.len(), failed)
}

fn found(local: &Local, pointer: String, detail: String) -> Found {
    Found::new(&local.document, CampaignProblem { pointer, detail })
}

/// Runs one test; what is wrong comes with its place in the test.
fn one(local: &Local, test: &Json) -> Result<(), (String, String)> {
    let expected = match test.get("expect").and_then(Json::as_str) {
        Some("match") => true,
        Some("no_match") => false,
        _ => {
            let detail = "expect is `match` or `no_match`".to_owned();
            return Err(("/expect".to_owned(), detail));
        }
    };
    let given = test.get("given").and_then(Json::as_array);
    let Some((event, place)) = given.and_then(|given| Some((given.last()?, given.len() - 1)))
    else {
        let detail = "given is a list of one event or more".to_owned();
        return Err(("/given".to_owned(), detail));
    };
    let place = format!("/given/{place}");
    let event = filled(event, &local.campaign.schedule);
    let mut document = Document::new();
    let read = document.read(event.to_string().as_bytes(), Limits::default());
    read.map_err(|error| (place.clone(), error.to_string()))?;
    let event = Event::of(&document).map_err(|error| (place.clone(), error.to_string()))?;
    let explanation = Explanation::of(&as_if_active(local), &event);
    if explanation.wins == expected {
        return Ok(());
    }
    let wanted = if expected { "a match" } else { "no match" };
    Err((
        place,
        format!("{wanted} was expected of this event\n{explanation}"),
    ))
}

/// An event with all that every event has.
fn filled(event: &Json, schedule: &Schedule) -> Json {
    let mut event = event.clone();
    let Json::Object(fields) = &mut event else {
        return event;
    };
    let within = match (schedule.start, schedule.end) {
        (Some(start), _) => start,
        (None, Some(end)) => end.checked_sub(SignedDuration::from_secs(1)).unwrap_or(end),
        // The tests of a file come to the same whenever they are run.
        (None, None) => Timestamp::UNIX_EPOCH,
    };
    for (name, value) in [
        ("event_id", json!("test")),
        ("customer_id", json!("test")),
        ("event_type", json!("test")),
        ("occurred_at", json!(within)),
    ] {
        fields.entry(name).or_insert(value);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::super::campaign::check;
    use super::super::documents::read_all;
    use super::*;

    fn failures(tests: &str) -> (usize, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.yaml");
        let text = format!(
            "id: ten\nname: Ten\nstatus: draft\nwhen: {{payload: {{amount: [{{numeric: ['>=', 50]}}]}}}}\n\
             schedule: {{end: 2026-12-01T00:00:00Z}}\nreward: {{kind: credit}}\ntests:{tests}"
        );
        std::fs::write(&file, text).unwrap();
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
        assert_eq!(failures(tests), (3, Vec::new()));
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
        let (count, failed) = failures(tests);
        assert_eq!(count, 4);
        insta::assert_snapshot!(failed.join("\n"), @r#"
        c.yaml:9: /tests/0/given/0: a match was expected of this event
        ten: no match
          ✓ status: active
          ✓ schedule.end: 2026-12-01T00:00:00Z; the event is of 2026-11-30T23:59:59Z
          ✗ payload.amount: asks for {"numeric":[">=",50]}; found 49
        c.yaml:11: /tests/1/given: given is a list of one event or more
        c.yaml:12: /tests/2/expect: expect is `match` or `no_match`
        c.yaml:13: /tests/3/given/0: payload is a number; it must be an object
        "#);
    }
}
