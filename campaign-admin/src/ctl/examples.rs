//! The tests that a campaign brings along: events, and whether they match.
//!
//! ```yaml
//! tests:
//!   - name: a purchase that is large enough                # may be left out
//!     given: [{event_type: purchase, payload: {amount: 75, country: US}}]
//!     expect: match
//!     reward: {amount: 10.00}                              # may be left out: fields of the match's reward
//!   - given: [{event_type: purchase, payload: {amount: 5, country: US}}]
//!     expect: no_match
//!     why: payload.amount                                  # may be left out: what does not hold
//! ```
//!
//! The last of the events is what is expected something of, after those before it. What every event has and these leave out
//! is filled in: one customer, an id of its own, and times within the campaign's schedule, a second apart.
//!
//! The customer is in the audiences that a test names, and in no other:
//!
//! ```yaml
//!   - audiences: [vip-2026]
//!     given: [{event_type: purchase}]
//!     expect: match
//! ```
//!
//! `{advance: 31d}` among the events lets time pass. As the last, it asks whether an event that waited wins meanwhile:
//!
//! ```yaml
//!   - given: [{event_type: purchase}, {advance: 31d}]
//!     expect: match
//! ```
//!
//! Of a campaign with a `holdout` it may be expected that a customer is `held_out`, and of one with `variants` which `variant` a match
//! is of. Both go by the `customer_id`, so tests of them say one.
//!
//! Of a campaign that holds its matches, or takes them back, it may be expected that the last entry makes one that is `pending`, or
//! that one is `confirmed` or `reversed` by it, with the `amount` that is taken back and what is `left`:
//!
//! ```yaml
//!   - given: [{event_type: purchase, payload: {order: 7, amount: 75}}, {event_type: refund, payload: {order: 7, amount: 25}}]
//!     expect: reversed
//!     amount: 3.33                                         # may be left out
//!     left: 6.67                                           # may be left out
//! ```

mod expected;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rules::explain::{Findings, Part};
use rules::{CampaignProblem, Explanation, Rule};
use rust_decimal::Decimal;
use schemas::{Amount, AudienceName, Document, Event, Limits, MatchStatus, Schedule, Span};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};
use state::{Memberships, Over, Told, Trial};

use self::expected::{Expected, Verdict};
use super::campaign::{Found, Local};
use super::check::as_if_active;

/// A test that was run.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Outcome {
    /// The campaign.
    pub(super) id: String,
    /// Its name, or its number.
    pub(super) test: String,
    /// As `file:line`.
    pub(super) place: String,
    /// Whether it holds.
    pub(super) held: bool,
    /// Why it does not.
    #[serde(flatten)]
    pub(super) failure: Option<Failed>,
}

/// Why a test does not hold.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Failed {
    /// Where: a JSON pointer into the campaign's document.
    pub(super) pointer: String,
    /// What was expected; none if the test is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
    /// What came instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<String>,
    /// Why, or what is wrong with the test.
    pub(super) detail: String,
}

impl Failed {
    fn broken(pointer: &str, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            expected: None,
            found: None,
            detail: detail.into(),
        }
    }
}

/// Runs the tests of a campaign.
pub(super) fn outcomes(local: &Local) -> Vec<Outcome> {
    let outcome = |pointer: &str, test: String, failure: Option<Failed>| Outcome {
        id: local.id().to_owned(),
        test,
        place: local.document.place(pointer),
        held: failure.is_none(),
        failure,
    };
    let tests = match local.document.value.get("tests") {
        None => return Vec::new(),
        Some(Json::Array(tests)) => tests,
        Some(_) => {
            let detail = "tests is a list of objects with `given` and `expect`";
            let failed = Failed::broken("/tests", detail);
            return vec![outcome("/tests", "tests".to_owned(), Some(failed))];
        }
    };
    let rule = as_if_active(local);
    let run = |(number, test): (usize, &Json)| {
        let failed = one(&rule, test).err().map(|mut failed| {
            failed.pointer = format!("/tests/{number}{}", failed.pointer);
            failed
        });
        let name = test.get("name").and_then(Json::as_str);
        let name = name.map_or_else(|| (number + 1).to_string(), str::to_owned);
        let pointer = failed.as_ref().map_or_else(
            || format!("/tests/{number}"),
            |failed| failed.pointer.clone(),
        );
        outcome(&pointer, name, failed)
    };
    tests.iter().enumerate().map(run).collect()
}

/// How many tests a campaign has, and what failed.
pub(super) fn run(local: &Local) -> (usize, Vec<Found>) {
    let outcomes = outcomes(local);
    let count = outcomes.len();
    let failed = outcomes.into_iter().filter_map(|outcome| outcome.failure);
    let found = failed.map(|failed| {
        let detail = match failed.expected {
            Some(expected) => format!("{expected} was expected of this event\n{}", failed.detail),
            None => failed.detail,
        };
        let pointer = failed.pointer;
        Found::new(&local.document, CampaignProblem::new(pointer, detail))
    });
    (count, found.collect())
}

/// Runs one test; places are those in the test.
fn one(rule: &Rule, test: &Json) -> Result<(), Failed> {
    let expect = test.get("expect").and_then(Json::as_str);
    let Some(expected) = expect.and_then(Expected::of) else {
        return Err(Failed::broken("/expect", EXPECT));
    };
    let expects_match = matches!(expected, Expected::Match | Expected::Pending);
    let wanted = Verdict::of(expects_match, expected == Expected::HeldOut);
    let given = test.get("given").and_then(Json::as_array);
    let Some((last, before)) = given.and_then(|given| given.split_last()) else {
        let detail = "given is a list of one event or more";
        return Err(Failed::broken("/given", detail));
    };
    let audiences = audiences(test)?;
    let who = Memberships::named(&audiences);
    let mut trial = Trial::new(rule);
    let mut clock = Clock::new(rule.schedule());
    for (number, earlier) in before.iter().enumerate() {
        give((&mut trial, who), &mut clock, earlier, number)?;
    }
    let place = format!("/given/{}", before.len());
    // What became of matches before is no news of the last entry.
    trial.take_sequels();
    if let Some(of) = expected.status() {
        give((&mut trial, who), &mut clock, last, before.len())?;
        return followed(test, &mut trial, of, place);
    }
    if let Some(field) = ["amount", "left"]
        .into_iter()
        .find(|it| test.get(it).is_some())
    {
        let detail = format!("{field} is said of what is `reversed` or `confirmed`");
        return Err(Failed::broken(&format!("/{field}"), detail));
    }
    if expected == Expected::Pending && rule.history().and_then(rules::History::hold).is_none() {
        let detail = "no match of this campaign is pending, for it has no hold";
        return Err(Failed::broken("/expect", detail));
    }
    if let Some(span) = advance(last, &place)? {
        // What was over before is no news of this time.
        trial.take_over();
        clock.pass(&mut trial, span);
        return passed(test, &mut trial, wanted, place);
    }
    let event = filled(last, before.len(), clock.next());
    let mut document = Document::new();
    let event = read(&event, &mut document, &place)?;
    let explanation = trial.take_of(&event, who);
    let found = Verdict::of(explanation.wins, explanation.is_held_out());
    if found != wanted {
        return Err(Failed {
            pointer: place,
            expected: Some(wanted.to_string()),
            found: Some(found.to_string()),
            detail: explanation.to_string(),
        });
    }
    if let Some(variant) = test.get("variant") {
        let drawn = explanation.experiment.as_ref();
        let drawn = drawn
            .and_then(|it| it.variant.as_ref())
            .map(schemas::VariantName::as_str);
        if !expects_match || drawn.is_none() {
            return Err(Failed::broken("/variant", OF_A_VARIANT));
        }
        if variant.as_str() != drawn {
            return Err(Failed {
                pointer: "/variant".to_owned(),
                expected: Some(format!("variant: {variant}")),
                found: Some(format!("variant: {}", json!(drawn))),
                detail: explanation.to_string(),
            });
        }
    }
    match (test.get("why"), test.get("reward")) {
        (None, None) => Ok(()),
        (Some(Json::String(why)), None) if !expects_match => reason(why, &explanation),
        (None, Some(Json::Object(reward))) if expects_match => worth(reward, rule, &event),
        (Some(_), _) => Err(Failed::broken(
            "/why",
            "why names what does not hold, as payload.amount, where `expect` is `no_match`",
        )),
        (None, Some(_)) => Err(Failed::broken("/reward", OF_A_MATCH)),
    }
}

const EXPECT: &str =
    "expect is `match` or `no_match`, or `held_out`, `pending`, `confirmed` or `reversed`";

const OF_A_VARIANT: &str = "variant is said of a match of a campaign that has variants";

/// The audiences that the customer of a test is in.
fn audiences(test: &Json) -> Result<Vec<AudienceName>, Failed> {
    let Some(named) = test.get("audiences") else {
        return Ok(Vec::new());
    };
    serde_json::from_value(named.clone()).map_err(|error| {
        let detail =
            format!("audiences is a list of the audiences that the customer is in: {error}");
        Failed::broken("/audiences", detail)
    })
}

/// Whether what was expected became of a match by the last entry.
fn followed(
    test: &Json,
    trial: &mut Trial<'_>,
    expected: MatchStatus,
    place: String,
) -> Result<(), Failed> {
    let told: Vec<Told> = trial.take_sequels().iter().map(Told::of).collect();
    let mut lines: Vec<String> = told.iter().map(|told| format!("  {told}")).collect();
    for (event_id, due) in trial.held() {
        lines.push(format!("  {event_id} is held, until {due}"));
    }
    if lines.is_empty() {
        lines.push("  nothing became of any match".to_owned());
    }
    let detail = lines.join("\n");
    let such: Vec<&Told> = told.iter().filter(|it| it.status == expected).collect();
    if such.is_empty() {
        return Err(Failed {
            pointer: place,
            expected: Some(format!("that a match is {}", expected.as_str())),
            found: None,
            detail,
        });
    }
    for (field, of) in [
        (
            "amount",
            (|told| told.amount) as fn(&Told) -> Option<Amount>,
        ),
        ("left", |told| told.left),
    ] {
        let Some(wanted) = test.get(field) else {
            continue;
        };
        let amounts = such.iter().filter_map(|told| of(told));
        let sum = amounts.map(Amount::decimal).reduce(Decimal::saturating_add);
        let found = sum.and_then(|sum| Amount::nearest(sum).ok());
        let found = found.map_or(Json::Null, |found| json!(found));
        if !is_same(&found, wanted) {
            return Err(Failed {
                pointer: format!("/{field}"),
                expected: Some(format!("{field}: {wanted}")),
                found: Some(format!("{field}: {found}")),
                detail,
            });
        }
    }
    Ok(())
}

/// Gives the trial the entry with that number: an event, or time that passes.
fn give(
    (trial, memberships): (&mut Trial<'_>, Memberships<'_>),
    clock: &mut Clock,
    entry: &Json,
    number: usize,
) -> Result<(), Failed> {
    let place = format!("/given/{number}");
    if let Some(span) = advance(entry, &place)? {
        clock.pass(trial, span);
        return Ok(());
    }
    let event = filled(entry, number, clock.next());
    let mut document = Document::new();
    trial.take_of(&read(&event, &mut document, &place)?, memberships);
    Ok(())
}

/// How much time passes, if that is what stands there.
fn advance(entry: &Json, place: &str) -> Result<Option<Span>, Failed> {
    let fields = entry.as_object().filter(|fields| fields.len() == 1);
    let Some(span) = fields.and_then(|fields| fields.get("advance")) else {
        return Ok(None);
    };
    let span = span.as_str().map(Span::parse);
    let span = span.and_then(Result::ok).ok_or_else(|| {
        let detail = "advance is a span of time, as 31d or 12h";
        Failed::broken(&format!("{place}/advance"), detail)
    })?;
    Ok(Some(span))
}

/// Whether what was expected came of the time that passed last.
fn passed(
    test: &Json,
    trial: &mut Trial<'_>,
    wanted: Verdict,
    place: String,
) -> Result<(), Failed> {
    let over = trial.take_over();
    let won: Vec<&Over> = over.iter().filter(|over| over.wins()).collect();
    let found = Verdict::of(!won.is_empty(), over.iter().any(Over::is_held_out));
    if found != wanted {
        return Err(Failed {
            pointer: place,
            expected: Some(wanted.to_string()),
            found: Some(found.to_string()),
            detail: account(trial, &over),
        });
    }
    let expects_match = wanted == Verdict::Match;
    match (test.get("why"), test.get("reward")) {
        (None, None) => Ok(()),
        (Some(_), _) => Err(Failed::broken(
            "/why",
            "why is said of an event; the last that is given is time that passes",
        )),
        (None, Some(Json::Object(reward))) if expects_match => {
            let worth = won.first().and_then(|won| won.reward.as_deref());
            let worth = worth.map_or("{}", RawValue::get);
            has_worth(reward, worth, || account(trial, &over))
        }
        (None, Some(_)) => Err(Failed::broken("/reward", OF_A_MATCH)),
    }
}

const OF_A_MATCH: &str = "reward is an object of fields, where `expect` is `match`";

/// What came of the events that waited. The first line says that something did or did not match.
fn account(trial: &Trial<'_>, over: &[Over]) -> String {
    let mut lines = vec!["time passes".to_owned()];
    for over in over {
        let Over { event_id, due, .. } = over;
        lines.push(match over.why {
            None => format!("  ✓ {event_id} wins at {due}: nothing came between"),
            Some(why) => format!("  ✗ {event_id} would win at {due}, but {why}"),
        });
    }
    for (event_id, due) in trial.waiting() {
        lines.push(format!("  ✗ {event_id} still waits, until {due}"));
    }
    if lines.len() == 1 {
        lines.push("  ✗ no event waits for its time".to_owned());
    }
    lines.join("\n")
}

/// The times that events have if they do not say any: within the schedule, a second apart.
struct Clock {
    /// The time of the event with that number among those since time has passed.
    begin: Timestamp,
    number: i64,
}

impl Clock {
    fn new(schedule: &Schedule) -> Self {
        let begin = match (schedule.start, schedule.end) {
            (Some(start), _) => start,
            (None, Some(end)) => end.checked_sub(SignedDuration::from_secs(1)).unwrap_or(end),
            // The tests of a file come to the same whenever they are run.
            (None, None) => Timestamp::UNIX_EPOCH,
        };
        Self { begin, number: 0 }
    }

    /// The time of the next event.
    fn next(&mut self) -> Timestamp {
        let later = SignedDuration::from_secs(self.number);
        self.number += 1;
        self.begin.checked_add(later).unwrap_or(self.begin)
    }

    /// Lets time pass, from the latest event on.
    fn pass(&mut self, trial: &mut Trial<'_>, span: Span) {
        let now = trial.now().unwrap_or_else(|| self.begin.as_millisecond());
        let until = now.saturating_add(span.as_millis());
        trial.pass(until);
        self.begin = Timestamp::from_millisecond(until).unwrap_or(self.begin);
        self.number = 1;
    }
}

/// Reads an event of a test.
fn read<'d>(event: &Json, document: &'d mut Document, place: &str) -> Result<Event<'d>, Failed> {
    document
        .read(event.to_string().as_bytes(), Limits::default())
        .map_err(|error| Failed::broken(place, error.to_string()))?;
    Event::of(document).map_err(|error| Failed::broken(place, error.to_string()))
}

/// Whether that is among what does not hold.
fn reason(why: &str, explanation: &Explanation) -> Result<(), Failed> {
    let mut failing = BTreeSet::new();
    if !explanation.schedule.held {
        failing.insert("schedule".to_owned());
    }
    if explanation.experiment.as_ref().is_some_and(|it| !it.held) {
        failing.insert("holdout".to_owned());
    }
    add_failing(&explanation.when, &mut failing);
    let rewards = explanation.reward.iter().filter(|found| !found.held);
    let dotted = |pointer: &str| pointer[1..].replace('/', ".");
    failing.extend(rewards.map(|found| dotted(&found.pointer)));
    let history = explanation.history.iter().filter(|found| !found.held);
    failing.extend(history.map(|found| dotted(&found.pointer)));
    if failing.contains(why) {
        return Ok(());
    }
    let failing: Vec<_> = failing.into_iter().collect();
    Err(Failed {
        pointer: "/why".to_owned(),
        expected: Some(format!("no match because of {why}")),
        found: Some(format!("no match because of {}", failing.join(", "))),
        detail: explanation.to_string(),
    })
}

fn add_failing(findings: &Findings, into: &mut BTreeSet<String>) {
    for part in findings.parts.iter().filter(|part| !part.held()) {
        match part {
            Part::Condition(condition) => {
                into.insert(condition.path.clone());
            }
            Part::Or(or) => or
                .objects
                .iter()
                .for_each(|object| add_failing(object, into)),
        }
    }
}

/// Whether the match has these fields of the reward.
fn worth(expected: &Map<String, Json>, rule: &Rule, event: &Event<'_>) -> Result<(), Failed> {
    let broken = |detail: String| Failed::broken("/reward", detail);
    let reward = rule.reward(event).map_err(|why| broken(why.to_string()))?;
    has_worth(expected, reward.get(), || {
        Explanation::of(rule, event).to_string()
    })
}

/// Whether a reward has these fields.
fn has_worth(
    expected: &Map<String, Json>,
    reward: &str,
    detail: impl Fn() -> String,
) -> Result<(), Failed> {
    let broken = |error: serde_json::Error| Failed::broken("/reward", error.to_string());
    let reward: Map<String, Json> = serde_json::from_str(reward).map_err(broken)?;
    for (field, expected) in expected {
        let found = reward.get(field);
        if !found.is_some_and(|found| is_same(found, expected)) {
            let shown = |value: &Json| format!("reward.{field}: {value}");
            return Err(Failed {
                pointer: format!("/reward/{field}"),
                expected: Some(shown(expected)),
                found: Some(found.map_or_else(|| format!("no reward.{field}"), shown)),
                detail: detail(),
            });
        }
    }
    Ok(())
}

/// Amounts are the same when their values are, whether they are written as texts or as numbers.
fn is_same(found: &Json, expected: &Json) -> bool {
    let amount = |value: &Json| serde_json::from_value::<schemas::Amount>(value.clone()).ok();
    found == expected || amount(found).is_some_and(|found| amount(expected) == Some(found))
}

/// An event with all that every event has. The events of a test are of one customer.
fn filled(event: &Json, number: usize, at: Timestamp) -> Json {
    let mut event = event.clone();
    let Json::Object(fields) = &mut event else {
        return event;
    };
    let id = match number {
        0 => "test".to_owned(),
        number => format!("test-{number}"),
    };
    for (name, value) in [
        ("event_id", json!(id)),
        ("customer_id", json!("test")),
        ("event_type", json!("test")),
        ("occurred_at", json!(at)),
    ] {
        fields.entry(name).or_insert(value);
    }
    event
}

#[cfg(test)]
mod tests;
