//! How long a changed campaign takes to be live, by the number of campaigns, and whether memory creeps.
//!
//! `cargo bench -p rules --bench changes` prints two tables. A change is a campaign's document read, compiled
//! and put in place of the one before, or, one time in eight, a campaign removed, and the next rule set made; merges run on a
//! thread of their own, as in the matcher. Beside it, as the next change waits for the one and a worker for the other: what it takes to begin
//! merges and to take them in, and what it takes a worker to go over to the new rule set, decide an event with it and drop
//! the one before. The longest of each stand there by the clock and without what the thread waited for a processor.
//! `-- sizes=1000,100000 changes=1000000` chooses other numbers.

#[path = "../winners/shop.rs"]
mod shop;
#[path = "../winners/stopwatch.rs"]
mod stopwatch;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use rules::live::Merged;
use rules::{Compiler, Decider, LiveRules, Rule, RuleSet};
use schemas::{Campaign, CampaignId, Document, Event, Limits};

use self::stopwatch::{Stopwatch, Taken};

/// As in the matcher.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

const TIME: &str = "2026-11-24T09:30:00.123Z";

fn main() {
    let sizes = numbers("sizes").unwrap_or_else(|| vec![10, 1_000, 10_000, 100_000]);
    println!("longest: by the clock / without waiting for a processor; all in µs\n");
    println!(
        "| campaigns | changes | median | p99 | longest | longest tending merges | longest of a worker | merges | levels at most | an event: before | while changing | merged |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
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
    compiler: Compiler,
    live: LiveRules,
    merging: Option<Receiver<Merged>>,
    merges: u32,
}

impl Running {
    fn of(size: u64) -> Self {
        let mut running = Self {
            compiler: Compiler::new(),
            live: LiveRules::new(),
            merging: None,
            merges: 0,
        };
        for n in 0..size {
            running.put(&document(n, n, size));
        }
        drop(running.live.rule_set());
        running
    }

    /// As the matcher does it.
    fn put(&mut self, document: &str) {
        let campaign = Campaign::from_json(document.as_bytes()).expect("it is a campaign");
        let rule = self.compiler.compile(campaign);
        let rule: Rule = rule.expect("its pattern is right");
        self.live.put(Arc::new(rule));
    }

    /// As the matcher does it.
    fn tend(&mut self) {
        match self.merging.as_ref().map(Receiver::try_recv) {
            None => {}
            Some(Ok(merged)) => {
                self.live.adopt(merged);
                self.merges += 1;
            }
            Some(Err(TryRecvError::Empty)) => return,
            Some(Err(TryRecvError::Disconnected)) => panic!("a merge succeeds"),
        }
        self.merging = self.live.merge_due().map(|merge| {
            let (done, merged) = sync_channel(1);
            std::thread::spawn(move || {
                let merged = merge.run();
                allocator::give_back();
                done.send(merged)
            });
            merged
        });
    }

    /// Waits for all merges that are due.
    fn settle(&mut self) {
        self.tend();
        while self.merging.is_some() {
            std::thread::yield_now();
            self.tend();
        }
    }
}

fn latency(size: u64, changes: u64) {
    let mut running = Running::of(size);
    let (mut made, mut tended, mut decided) = (Vec::new(), Vec::new(), Vec::new());
    let mut levels = 0;
    let before = event_time(&mut running);
    let mut worker = Worker::new(&mut running.live);
    for change in 0..changes {
        // Of ids all over, and documents that were not there before.
        let id = change.wrapping_mul(2_654_435_761) % size;
        let (document, id) = (document(id, size + change, size), campaign_id(id));
        let watch = Stopwatch::start();
        if change % 8 == 7 {
            running.live.remove(&id);
        } else {
            running.put(&document);
        }
        let set = running.live.rule_set();
        made.push(watch.stop());
        levels = levels.max(set.levels());
        let watch = Stopwatch::start();
        running.tend();
        tended.push(watch.stop());
        let watch = Stopwatch::start();
        worker.take(Arc::new(set));
        decided.push(watch.stop());
    }
    let changing = event_time(&mut running);
    running.settle();
    let settled = event_time(&mut running);
    let longest = |taken: &[Taken]| {
        let clock = taken.iter().map(|taken| taken.clock).max();
        let running = taken.iter().map(|taken| taken.running).max();
        let [clock, running] = [clock, running].map(Option::unwrap_or_default);
        format!("{:.0} / {:.0}", micros(clock), micros(running))
    };
    let mut clock: Vec<_> = made.iter().map(|taken| taken.clock).collect();
    clock.sort_unstable();
    println!(
        "| {size} | {changes} | {:.0} | {:.0} | {} | {} | {} | {} | {levels} | {:.2} | {:.2} | {:.2} |",
        micros(clock[clock.len() / 2]),
        micros(clock[clock.len() * 99 / 100]),
        longest(&made),
        longest(&tended),
        longest(&decided),
        running.merges,
        micros(before),
        micros(changing),
        micros(settled),
    );
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Decides events with the rules of the moment. Of all who hold a rule set it is the last to let it go.
struct Worker {
    rules: Arc<RuleSet>,
    decider: Decider,
    event: Vec<u8>,
}

impl Worker {
    fn new(live: &mut LiveRules) -> Self {
        Self {
            rules: Arc::new(live.rule_set()),
            decider: Decider::default(),
            event: shop::record(1, TIME).1,
        }
    }

    fn take(&mut self, rules: Arc<RuleSet>) {
        self.rules = rules;
        let mut concerned = Vec::new();
        let event = (self.decider).decide(&*self.event, &self.rules, &mut concerned);
        black_box(event.expect("the event is whole"));
        black_box(concerned);
    }
}

/// An event without its reading, the quickest of some rounds.
fn event_time(running: &mut Running) -> Duration {
    let set = running.live.rule_set();
    let documents: Vec<Document> = (0..1_000)
        .map(|n| {
            let (_, bytes) = shop::record(n, TIME);
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
        running.put(&document(id, size + change, size));
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

/// The `n`th of so many campaigns, under that id.
fn document(id: u64, n: u64, of: u64) -> String {
    let mut campaign = shop::campaign(n, of);
    campaign["id"] = campaign_id(id).as_str().into();
    campaign.to_string()
}

fn campaign_id(id: u64) -> CampaignId {
    CampaignId::new(format!("campaign-{id:06}")).expect("it is an id")
}
