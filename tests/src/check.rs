//! The question that every test of a guarantee ends with: are the matches that the oracle expects the
//! matches that are committed and the rows that are recorded, each exactly once, and is everything
//! what it says it is? Pure: what was written and what was found are arguments.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::ledger::{Ledger, Poison};
use crate::oracle;
use crate::rows::Rows;
use crate::topics::Seen;

/// All that there is to see once it is quiet.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Whether matchers export traces.
    pub is_traced: bool,
    /// Name of the topic of the events.
    pub events_topic: String,
    /// The events as the broker has them.
    pub events: Vec<Seen>,
    /// The campaigns' records.
    pub campaigns: Vec<Seen>,
    /// The committed matches.
    pub matches: Vec<Seen>,
    /// What a reader of the matches saw that was there all the time.
    pub observed: Vec<Seen>,
    /// The committed dead letters.
    pub dead_letters: Vec<Seen>,
    /// The database, if there is one.
    pub rows: Option<Rows>,
}

/// An event and a campaign that it won.
type Pair = (String, String);

/// The place of a record in its topic.
type Place = (i32, i64);

/// Everything that is wrong; empty when all is well.
pub fn problems(ledger: &Ledger, evidence: &Evidence) -> Vec<String> {
    let mut found = Problems::default();
    let places = events(ledger, evidence, &mut found);
    matches(ledger, evidence, &places, &mut found);
    dead_letters(ledger, evidence, &places, &mut found);
    observed(evidence, &mut found);
    if let Some(rows) = &evidence.rows {
        found.0.extend(recorded(&evidence.matches, rows));
    }
    found.0
}

/// What is wrong with the rows of these matches.
pub fn recorded(matches: &[Seen], rows: &Rows) -> Vec<String> {
    let mut found = Problems::default();
    let expected = Rows::of(matches);
    for ((name, rows), (_, expected)) in rows.tables().into_iter().zip(expected.tables()) {
        table(name, expected, rows, &mut found);
    }
    found.0
}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: String) {
        self.0.push(problem);
    }

    /// Notes what differs; `what` says of what.
    fn differ<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: &T, expected: &T) {
        if found != expected {
            let (found, expected) = (short(found), short(expected));
            self.add(format!("{what} is {found}, not {expected}"));
        }
    }
}

/// As Rust writes it, cut where it gets long.
fn short(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Every event is in its topic, once, or there is no telling what ought to come of it. Returns where.
fn events<'a>(
    ledger: &'a Ledger,
    evidence: &'a Evidence,
    found: &mut Problems,
) -> HashMap<&'a str, &'a Seen> {
    let mut places = HashMap::new();
    let by_id: HashMap<_, _> = ledger
        .events()
        .map(|event| (&*event.event_id, event))
        .collect();
    for record in &evidence.events {
        let id = record.json()["event_id"].as_str().map(str::to_owned);
        let Some((&id, event)) = id.and_then(|id| by_id.get_key_value(&*id)) else {
            continue;
        };
        // Poison may carry the id of an event that was fine.
        let is_event = record.key.as_deref() == Some(event.customer_id.as_bytes())
            && record.json() == event.document();
        if is_event && places.insert(id, record).is_some() {
            found.add(format!("event {id} was produced twice"));
        }
    }
    for id in by_id.keys().filter(|id| !places.contains_key(*id)) {
        found.add(format!("event {id} is not in its topic"));
    }
    places
}

fn matches(
    ledger: &Ledger,
    evidence: &Evidence,
    places: &HashMap<&str, &Seen>,
    found: &mut Problems,
) {
    let mut times: BTreeMap<Pair, u32> = BTreeMap::new();
    let mut versions: HashMap<Pair, u64> = HashMap::new();
    let campaigns: HashMap<i64, &Seen> = evidence
        .campaigns
        .iter()
        .map(|record| (record.offset, record))
        .collect();
    for record in &evidence.matches {
        let json = record.json();
        let text = |field: &str| json[field].as_str().unwrap_or_default().to_owned();
        let pair = (text("event_id"), text("campaign_id"));
        *times.entry(pair.clone()).or_default() += 1;
        versions.insert(pair.clone(), json["campaign_version"].as_u64().unwrap_or(0));
        if let Some(event) = places.get(&*pair.0) {
            says_what_it_is(record, &json, event, evidence, found);
        }
        let offset = json["campaigns_offset"].as_i64().unwrap_or(-1);
        let campaign = campaigns.get(&offset).map(|record| record.json());
        let campaign = campaign.unwrap_or_default();
        let stamp = |json: &Value, id| (json[id].clone(), json["reward"].clone());
        let (ours, theirs) = (stamp(&json, "campaign_id"), stamp(&campaign, "id"));
        found.differ(&format!("campaign and reward of {pair:?}"), &ours, &theirs);
        let version = &campaign["version"];
        found.differ(
            &format!("version of {pair:?}"),
            &json["campaign_version"],
            version,
        );
    }
    for (pair, times) in times.iter().filter(|(_, times)| **times > 1) {
        found.add(format!("{pair:?} matched {times} times"));
    }
    for (event, campaign, states) in ledger.decisions() {
        let pair = (event.event_id.clone(), campaign.to_owned());
        let matched = times.remove(&pair).is_some();
        let wins = |version| oracle::wins(event, campaign, version);
        let must = states.iter().all(|state| state.is_some_and(wins));
        if must && !matched {
            found.add(format!("{pair:?} is missing"));
        }
        if !matched {
            continue;
        }
        let version = versions[&pair];
        if !states.contains(&Some(version)) {
            found.add(format!(
                "{pair:?} matched version {version}, which was not in force"
            ));
        } else if !wins(version) {
            found.add(format!("{pair:?} is surplus: version {version} is not won"));
        }
    }
    for pair in times.keys() {
        found.add(format!(
            "{pair:?} is surplus: nobody wrote such an event or campaign"
        ));
    }
}

/// A match holds what its event holds, and is where its event is.
fn says_what_it_is(
    record: &Seen,
    json: &Value,
    event: &Seen,
    evidence: &Evidence,
    found: &mut Problems,
) {
    let written = event.json();
    let id = json["event_id"].as_str().unwrap_or_default();
    let campaign = json["campaign_id"].as_str().unwrap_or_default();
    let mut same = |what: &str, ours: Value, theirs: Value| {
        found.differ(
            &format!("{what} of the match {id} {campaign}"),
            &ours,
            &theirs,
        );
    };
    same(
        "match_id",
        json["match_id"].clone(),
        format!("{id}:{campaign}").into(),
    );
    for field in ["customer_id", "event_type"] {
        same(field, json[field].clone(), written[field].clone());
    }
    let time = |json: &Value, field: &str| json[field].as_str()?.parse::<Timestamp>().ok();
    let nanos = |time: Option<Timestamp>| Value::from(time.map(|time| time.to_string()));
    let occurred_at = |json| nanos(time(json, "occurred_at"));
    same("occurred_at", occurred_at(json), occurred_at(&written));
    let matched_at = time(json, "matched_at").map(Timestamp::as_millisecond);
    same("matched_at", matched_at.into(), record.timestamp.into());
    let source = serde_json::json!({
        "topic": evidence.events_topic, "partition": event.partition, "offset": event.offset,
    });
    same("source", json["source"].clone(), source);
    same("partition", record.partition.into(), event.partition.into());
    same("key", record.key.clone().into(), id.as_bytes().into());
    let mut carried = record.headers.clone();
    let mut headers: Vec<_> = event
        .headers
        .iter()
        .filter(|(name, _)| name == "traceparent" || name == "correlation-id")
        .cloned()
        .collect();
    if evidence.is_traced {
        // Another span of the same trace.
        for (name, value) in carried.iter_mut().chain(&mut headers) {
            if let ("traceparent", Some(value)) = (&**name, value) {
                value.splice(36..52, []);
            }
        }
    }
    found.differ(&format!("headers of the match {id}"), &carried, &headers);
}

/// Every poison has one dead letter, byte for byte, with its reason; nothing else has.
fn dead_letters(
    ledger: &Ledger,
    evidence: &Evidence,
    good: &HashMap<&str, &Seen>,
    found: &mut Problems,
) {
    let good: HashSet<Place> = good.values().map(|record| place(record)).collect();
    let mut poison: HashMap<Place, &Seen> = evidence
        .events
        .iter()
        .map(|record| (place(record), record))
        .filter(|(place, _)| !good.contains(place))
        .collect();
    if poison.len() != ledger.poison().len() {
        let (there, written) = (poison.len(), ledger.poison().len());
        found.add(format!(
            "{there} records of poison in the topic, {written} written"
        ));
    }
    let mut unread: Vec<&Poison> = ledger.poison().iter().collect();
    for letter in &evidence.dead_letters {
        let Some(place) = source(letter, &evidence.events_topic) else {
            let letter = short(letter);
            found.add(format!(
                "a dead letter does not say where it comes from: {letter}"
            ));
            continue;
        };
        let Some(record) = poison.remove(&place) else {
            found.add(format!(
                "the record at {place:?} has a dead letter too many"
            ));
            continue;
        };
        let code = letter.header("__campaign.errors.code").unwrap_or_default();
        let written = unread.iter().position(|written| is(written, record, code));
        let Some(written) = written.map(|at| unread.swap_remove(at)) else {
            let record = short(record);
            found.add(format!(
                "a dead letter with reason {code} was not expected: {record}"
            ));
            continue;
        };
        let what = |what| format!("{what} of the dead letter {code} of {place:?}");
        let value = record.value.clone().filter(|_| written.value_kept);
        let text = |bytes: &Option<Vec<u8>>| {
            let bytes = bytes.as_ref()?;
            Some(bytes.escape_ascii().to_string())
        };
        found.differ(&what("value"), &text(&letter.value), &text(&value));
        found.differ(&what("key"), &text(&letter.key), &text(&record.key));
        found.differ(&what("timestamp"), &letter.timestamp, &record.timestamp);
        found.differ(&what("partition"), &letter.partition, &record.partition);
        let own = letter.headers.iter().take(record.headers.len()).cloned();
        found.differ(&what("headers"), &own.collect(), &record.headers);
        let reason = letter
            .header("__campaign.errors.message")
            .unwrap_or_default();
        found.differ(&what("words"), &reason.is_empty(), &false);
        let size = letter
            .header("__campaign.errors.value_bytes")
            .map(str::to_owned);
        let left_out = record.value.as_ref().filter(|_| !written.value_kept);
        found.differ(
            &what("size"),
            &size,
            &left_out.map(|value| value.len().to_string()),
        );
    }
    for place in poison.keys() {
        found.add(format!(
            "the record at {place:?} has neither match nor dead letter"
        ));
    }
}

fn is(poison: &Poison, record: &Seen, code: &str) -> bool {
    let written = &poison.record;
    poison.code == code
        && (&written.key, &written.value) == (&record.key, &record.value)
        && written.headers == record.headers
}

fn place(record: &Seen) -> Place {
    (record.partition, record.offset)
}

fn source(letter: &Seen, topic: &str) -> Option<Place> {
    let partition = letter.header("__campaign.errors.partition")?.parse().ok()?;
    let offset = letter.header("__campaign.errors.offset")?.parse().ok()?;
    (letter.header("__campaign.errors.topic")? == topic).then_some((partition, offset))
}

/// Who read all the time saw what is there in the end, in the order in which it is there.
fn observed(evidence: &Evidence, found: &mut Problems) {
    let mut observed = evidence.observed.clone();
    observed.sort_by_key(|record| record.partition); // stable: the order within a partition stays
    let mut there = evidence.matches.clone();
    there.sort_by_key(place);
    if observed == there {
        return;
    }
    let (saw, are) = (observed.len(), there.len());
    found.add(format!(
        "the live reader saw {saw} matches, not the {are} that are there"
    ));
    let pairs = observed.iter().zip(&there);
    if let Some((saw, is)) = pairs.clone().find(|(saw, is)| saw != is) {
        let (saw, is) = (short(saw), short(is));
        found.add(format!("the live reader saw {saw} where there is {is}"));
    }
}

/// A table holds one row for each match, and each column is what the match says.
fn table(name: &str, expected: &[Value], rows: &[Value], found: &mut Problems) {
    let pair = |row: &Value| -> Pair {
        let text = |column: &str| row[column].as_str().unwrap_or_default().to_owned();
        (text("event_id"), text("campaign_id"))
    };
    let mut expected: HashMap<Pair, &Value> = expected.iter().map(|row| (pair(row), row)).collect();
    for row in rows {
        match expected.remove(&pair(row)) {
            Some(expected) => found.differ(&format!("a row of {name}"), &row, &expected),
            None => found.add(format!("{name} holds a row too many: {row}")),
        }
    }
    for pair in expected.keys() {
        found.add(format!("{name} has no row for {pair:?}"));
    }
}

#[cfg(test)]
mod mutations;
