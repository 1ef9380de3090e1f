//! How many events a second one thread decides, by the number of campaigns.
//!
//! `cargo bench -p rules --bench winners` prints a table: the median of several rounds with and without
//! the reading of the event, the fastest and the slowest round, and the matches an event has. A second is one on
//! the processor (Linux's `schedstat`; elsewhere one on the clock), so that other programs count little.
//!
//! The campaigns and events are those of [`shop`]. `sizes=10,1000` chooses numbers of campaigns; `write=FOLDER` also writes
//! their patterns and the events there, for `benches/peers/run`, which measures event-ruler with them.

mod shop;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rules::{Decider, Rule, RuleSet};
use schemas::{Campaign, Document, Event, Limits};

const SIZES: [u64; 5] = [10, 100, 1_000, 10_000, 100_000];
const EVENTS: u64 = 2_000;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(300);

fn main() {
    let events: Vec<Vec<u8>> = (0..EVENTS)
        .map(|n| shop::record(n, "2026-11-24T09:30:00.123Z").1)
        .collect();
    let argument = |name: &str| {
        std::env::args()
            .find_map(|word| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    };
    let sizes = argument("sizes").map_or_else(
        || SIZES.to_vec(),
        |sizes| {
            sizes
                .split(',')
                .map(|size| size.parse().expect("a number"))
                .collect()
        },
    );
    if let Some(folder) = argument("write") {
        write(Path::new(&folder), &events, &sizes);
    }
    let bytes = events.iter().map(Vec::len).sum::<usize>() / events.len();
    println!("events of {bytes} bytes on average, {ROUNDS} rounds of {ROUND:?}, one thread\n");
    println!(
        "| rules | build ms | events/s | slowest | fastest | without reading | matches/event |"
    );
    println!("|---|---|---|---|---|---|---|");
    for size in sizes {
        let documents: Vec<_> = (0..size)
            .map(|n| shop::campaign(n, size).to_string())
            .collect();
        let started = Instant::now();
        let set = RuleSet::build(documents.iter().map(|document| rule(document)));
        let build = started.elapsed();

        let mut decider = Decider::default();
        let mut winners = Vec::new();
        let mut matched = 0;
        let read = rounds(&events, |bytes| {
            let event = decider.decide_value(bytes, &set, &mut winners);
            black_box(event.expect("the event is whole"));
            matched += winners.len();
            black_box(&winners);
        });

        let documents: Vec<Document> = events.iter().map(|bytes| decoded(bytes)).collect();
        let ready: Vec<Event<'_>> = documents
            .iter()
            .map(|document| Event::of(document).expect("the event is whole"))
            .collect();
        let mut winners = Vec::new();
        let only = rounds(&ready, |event| {
            set.winners(event, &mut winners);
            black_box(&winners);
        });

        let count: u64 = read.iter().map(|round| round.events).sum();
        println!(
            "| {size} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} |",
            build.as_secs_f64() * 1e3,
            read[ROUNDS / 2].per_second,
            read[0].per_second,
            read[ROUNDS - 1].per_second,
            only[ROUNDS / 2].per_second,
            ratio(matched as u64, count),
        );
    }
}

/// Writes what is decided for others to decide it: a pattern or an event a line.
fn write(folder: &Path, events: &[Vec<u8>], sizes: &[u64]) {
    let save = |name: &str, lines: &[Vec<u8>]| {
        std::fs::write(folder.join(name), lines.join(&b'\n'))
            .expect("the folder can be written to");
    };
    save("events.jsonl", events);
    for &size in sizes {
        let pattern = |n| shop::campaign(n, size)["when"].to_string().into_bytes();
        let patterns: Vec<_> = (0..size).map(pattern).collect();
        save(&format!("patterns-{size}.jsonl"), &patterns);
    }
}

struct Round {
    events: u64,
    per_second: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

/// Each round decides whole passes over the events until its time is over; the slowest comes first.
fn rounds<T>(events: &[T], mut decide: impl FnMut(&T)) -> Vec<Round> {
    let mut rounds: Vec<Round> = (0..ROUNDS)
        .map(|_| {
            let (started, on_processor) = (Instant::now(), processor_time());
            let mut count = 0;
            while started.elapsed() < ROUND {
                events.iter().for_each(&mut decide);
                count += events.len() as u64;
            }
            let spent = processor_time().zip(on_processor);
            let spent = spent.map_or_else(
                || started.elapsed(),
                |(end, start)| end.saturating_sub(start),
            );
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
            let per_second = count as f64 / spent.as_secs_f64();
            Round {
                events: count,
                per_second,
            }
        })
        .collect();
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds
}

/// How long this thread has run on a processor.
fn processor_time() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = statistics.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

fn decoded(bytes: &[u8]) -> Document {
    let mut document = Document::new();
    document
        .read(bytes, Limits::default())
        .expect("the event is JSON");
    document
}

fn rule(document: &str) -> Arc<Rule> {
    let campaign = Campaign::from_json(document.as_bytes()).expect("it is a campaign");
    Arc::new(Rule::compile(campaign).expect("its pattern is right"))
}
