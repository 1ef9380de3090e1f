//! Many clients that change campaigns at the same time, and what must be true afterwards.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use tests::topics::Seen;

use crate::client::Api;
use crate::installation::{Installation, campaign};

/// Campaigns that all clients change.
const SHARED: usize = 3;

/// What the clients were told.
#[derive(Default)]
pub(crate) struct Ledger {
    /// By the words of the change, the version that it was answered with; none for a deletion.
    acknowledged: Mutex<HashMap<String, Option<u64>>>,
    next: AtomicUsize,
    /// Whose connection broke, or who was told that nobody knows.
    pub(crate) unknown: AtomicUsize,
    pub(crate) conflicts: AtomicUsize,
    pub(crate) busy: AtomicUsize,
}

impl Ledger {
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Words that no other change has.
    fn words(&self) -> String {
        format!("change {}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Makes changes until it is stopped: creates, conditional increments, merges and deletions.
pub(crate) fn client(api: &dyn Fn() -> Api, seed: usize, ledger: &Ledger, stopped: &AtomicBool) {
    let mut turn = seed;
    while !stopped.load(Ordering::Relaxed) {
        turn += 1;
        let api = api();
        let shared = format!("/v1/campaigns/shared-{}", turn % SHARED);
        let words = ledger.words();
        match turn % 5 {
            0 => create(&api, &words, ledger),
            1 => delete(&api, &words, ledger),
            2 => merge(&api, &shared, &words, ledger),
            _ => increment(&api, &shared, &words, ledger),
        }
    }
}

/// Creates a campaign that is there only once.
fn create(api: &Api, words: &str, ledger: &Ledger) {
    let document = campaign(&words.replace(' ', "-"), words);
    note(
        api.send("POST", "/v1/campaigns", &[], Some(&document)),
        words,
        ledger,
    );
}

/// Creates a campaign and deletes it again.
fn delete(api: &Api, words: &str, ledger: &Ledger) {
    create(api, words, ledger);
    let path = format!("/v1/campaigns/{}", words.replace(' ', "-"));
    let reason = format!("{words} deleted");
    let headers = [("If-Match", "*"), ("Change-Reason", &*reason)];
    note(api.send("DELETE", &path, &headers, None), &reason, ledger);
}

/// Changes a shared campaign, whatever its state.
fn merge(api: &Api, path: &str, words: &str, ledger: &Ledger) {
    let merged = json!({"description": words, "labels": {"merged": words}});
    note(
        api.send("PATCH", path, &[("If-Match", "*")], Some(&merged)),
        words,
        ledger,
    );
}

/// Adds one to a shared campaign's count, if nobody else has changed it since it was read.
fn increment(api: &Api, path: &str, words: &str, ledger: &Ledger) {
    let Ok(read) = api.send("GET", path, &[], None) else {
        return;
    };
    if read.status != 200 {
        return;
    }
    let mut document = read.json.clone();
    let count = document["labels"]["count"].as_str().unwrap_or("0");
    let count: u64 = count.parse().unwrap();
    document["labels"]["count"] = json!((count + 1).to_string());
    document["description"] = json!(words);
    let tag = format!("\"{}\"", read.tag());
    note(
        api.send("PUT", path, &[("If-Match", &tag)], Some(&document)),
        words,
        ledger,
    );
}

fn note(answer: std::io::Result<crate::client::Answer>, words: &str, ledger: &Ledger) {
    let Ok(answer) = answer else {
        ledger.unknown.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let count = match answer.status {
        200 | 201 => {
            assert_eq!(
                answer.json["description"], words,
                "an answer is about its own change"
            );
            let version = answer.json["version"].as_u64();
            assert!(version.is_some());
            let before = ledger
                .acknowledged
                .lock()
                .unwrap()
                .insert(words.to_owned(), version);
            assert_eq!(before, None);
            return;
        }
        204 => {
            ledger
                .acknowledged
                .lock()
                .unwrap()
                .insert(words.to_owned(), None);
            return;
        }
        412 => &ledger.conflicts,
        503 => &ledger.busy,
        504 => &ledger.unknown,
        // A deletion of what was not created.
        404 => return,
        _ => panic!("{words}: {answer:?}"),
    };
    count.fetch_add(1, Ordering::Relaxed);
}

/// Makes the campaigns that all clients change.
pub(crate) fn prepare(api: &Api) {
    for number in 0..SHARED {
        api.post(
            "/v1/campaigns",
            &campaign(&format!("shared-{number}"), "shared"),
        )
        .is(201);
    }
}

/// Checks what was acknowledged against what is there. Nothing may be writing any more.
pub(crate) fn check(installation: &Installation, ledger: &Ledger) {
    let changes = installation.changes();
    let mut versions: BTreeMap<String, u64> = BTreeMap::new();
    let mut standing: BTreeMap<String, Value> = BTreeMap::new();
    let mut found: HashMap<String, Option<u64>> = HashMap::new();
    for record in &changes {
        let change = record.json();
        let id = change["campaign_id"].as_str().unwrap().to_owned();
        assert_eq!(record.key.as_deref(), Some(id.as_bytes()));
        // Each change begins where the one before ended.
        let before = standing.get(&id).cloned().unwrap_or_default();
        assert_eq!(change["before"], before, "{id}");
        let after = change["after"].clone();
        let words = match &after {
            Value::Null => &change["reason"],
            after => &after["description"],
        };
        let words = words.as_str().unwrap().to_owned();
        let version = after["version"].as_u64();
        if let Some(version) = version {
            let highest = versions.entry(id.clone()).or_insert(0);
            assert_eq!(version, *highest + 1, "versions of {id} count up by one");
            *highest = version;
        }
        if count_of(&after) != count_of(&before) && !after.is_null() {
            assert_eq!(
                count_of(&after),
                count_of(&before) + 1,
                "no increment of {id} is lost"
            );
        }
        if words.starts_with("change ") {
            assert_eq!(
                found.insert(words.clone(), version),
                None,
                "{words} was made twice"
            );
        }
        match after {
            Value::Null => standing.remove(&id),
            after => standing.insert(id, after),
        };
    }
    for (words, version) in ledger.acknowledged.lock().unwrap().iter() {
        assert_eq!(found.get(words), Some(version), "{words} was acknowledged");
    }
    assert_eq!(folded(&installation.campaigns()), standing);
    println!(
        "{} changes, {} acknowledged, {} conflicts, {} busy, {} unknown",
        changes.len(),
        ledger.acknowledged(),
        ledger.conflicts.load(Ordering::Relaxed),
        ledger.busy.load(Ordering::Relaxed),
        ledger.unknown.load(Ordering::Relaxed),
    );
}

fn count_of(document: &Value) -> u64 {
    let count = document["labels"]["count"].as_str();
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// What the campaigns' topic says in the end, of those that the API wrote.
fn folded(records: &[Seen]) -> BTreeMap<String, Value> {
    let mut campaigns = BTreeMap::new();
    for record in records
        .iter()
        .filter(|record| record.header("change-id").is_some())
    {
        let id = String::from_utf8(record.key.clone().unwrap()).unwrap();
        match &record.value {
            Some(_) => campaigns.insert(id, record.json()),
            None => campaigns.remove(&id),
        };
    }
    campaigns
}
