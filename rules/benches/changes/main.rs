//! How long a changed campaign takes to be live, by the number of campaigns, and whether memory creeps.
//!
//! `cargo bench -p rules --bench changes` prints two tables. A change is a campaign's document read, compiled
//! and put in place of the one before, and the next rule set made; merges run on a thread of their own, as in the
//! matcher. `-- sizes=1000,100000 changes=1000000` chooses other numbers.

#[path = "../winners/shop.rs"]
mod shop;

use std::hint::black_box;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rules::live::Merged;
use rules::{LiveRules, Rule};
use schemas::{Campaign, Document, Event, Limits};

fn main() {
    let sizes = numbers("sizes").unwrap_or_else(|| vec![10, 1_000, 100_000]);
    println!(
        "| campaigns | changes | median µs | p99 | max | merges | levels at most | µs an event: before | while changing | merged |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for size in sizes {
        latency(size, 5_000);
    }
    let changes = numbers("changes").map_or(1_000_000, |numbers| numbers[0]);
    println!("\n{changes} changes of 10,000 campaigns, memory in MiB at each tenth:\n");
    memory(10_000, changes);
}

/// `name=1,2,3` among the arguments.
fn numbers(name: &str) -> Option<Vec<u64>> {
    let values = std::env::args().find_map(|word| {
        let (found, values) = word.split_once('=')?;
        (found == name).then(|| values.to_owned())
    })?;
    let values = values
        .split(',')
        .map(|value| value.parse().expect("a number"));
    Some(values.collect())
}

/// The rules, with merges aside.
struct Running {
    live: LiveRules,
    merging: Option<JoinHandle<Merged>>,
    merges: u32,
}

impl Running {
    fn of(size: u64) -> Self {
        let mut live = LiveRules::new();
        for n in 0..size {
            live.put(rule(n, n, size));
        }
        drop(live.rule_set());
        Self {
            live,
            merging: None,
            merges: 0,
        }
    }

    fn tend(&mut self) {
        if let Some(thread) = self.merging.take_if(|thread| thread.is_finished()) {
            self.live.adopt(thread.join().expect("a merge succeeds"));
            self.merges += 1;
        }
        if self.merging.is_none() {
            let merge = self.live.merge_due();
            self.merging = merge.map(|merge| std::thread::spawn(move || merge.run()));
        }
    }
    /// Waits for all merges that are due.
    fn settle(&mut self) {
        self.tend();
        while let Some(thread) = self.merging.take() {
            self.live.adopt(thread.join().expect("a merge succeeds"));
            self.tend();
        }
    }
}

fn latency(size: u64, changes: u64) {
    let mut running = Running::of(size);
    let mut taken = Vec::new();
    let mut levels = 0;
    let before = event_time(&mut running);
    for change in 0..changes {
        // Of ids all over, and documents that were not there before.
        let id = change.wrapping_mul(2_654_435_761) % size;
        let text = shop::campaign(size + change, size);
        let started = Instant::now();
        running.live.put(compiled(id, text));
        let set = running.live.rule_set();
        taken.push(started.elapsed());
        levels = levels.max(set.levels());
        running.tend();
    }
    let changing = event_time(&mut running);
    running.settle();
    let settled = event_time(&mut running);
    taken.sort_unstable();
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    println!(
        "| {size} | {changes} | {:.0} | {:.0} | {:.0} | {} | {levels} | {:.2} | {:.2} | {:.2} |",
        micros(taken[taken.len() / 2]),
        micros(taken[taken.len() * 99 / 100]),
        micros(taken[taken.len() - 1]),
        running.merges,
        micros(before),
        micros(changing),
        micros(settled),
    );
}

/// An event without its reading, the quickest of some rounds.
fn event_time(running: &mut Running) -> Duration {
    let set = running.live.rule_set();
    let documents: Vec<Document> = (0..1_000)
        .map(|n| {
            let (_, bytes) = shop::record(n, "2026-11-24T09:30:00.123Z");
            let mut document = Document::new();
            document
                .read(&bytes, Limits::default())
                .expect("the event is JSON");
            document
        })
        .collect();
    let mut winners = Vec::new();
    let rounds = (0..20).map(|_| {
        let started = Instant::now();
        for document in &documents {
            let event = Event::of(document).expect("the event is whole");
            set.winners(&event, &mut winners);
            black_box(&winners);
        }
        started.elapsed() / 1_000
    });
    rounds.min().expect("there are rounds")
}

fn memory(size: u64, changes: u64) {
    let mut running = Running::of(size);
    let mut resident = vec![resident_mib()];
    for change in 0..changes {
        let id = change.wrapping_mul(2_654_435_761) % size;
        running.live.put(rule(id, size + change, size));
        drop(running.live.rule_set());
        running.tend();
        if (change + 1) % (changes / 10) == 0 {
            resident.push(resident_mib());
        }
    }
    let resident: Vec<_> = resident.iter().map(u64::to_string).collect();
    println!("{}", resident.join(" "));
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

fn rule(id: u64, n: u64, of: u64) -> Arc<Rule> {
    compiled(id, shop::campaign(n, of))
}

fn compiled(id: u64, mut campaign: serde_json::Value) -> Arc<Rule> {
    campaign["id"] = format!("campaign-{id:06}").into();
    let campaign = Campaign::from_json(campaign.to_string().as_bytes()).expect("it is a campaign");
    Arc::new(Rule::compile(campaign).expect("its pattern is right"))
}
