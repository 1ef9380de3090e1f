//! How many events a second one thread decides, by the number of campaigns.
//!
//! `cargo bench -p rules --bench winners` prints a table: the median of several rounds with and without
//! the reading of the event, the fastest and the slowest round, the matches an event has, how long the slowest of a
//! hundred events takes, and the memory of a campaign beyond its text. A second is one on
//! the processor (Linux's `schedstat`; elsewhere one on the clock), so that other programs count little. Each row is
//! measured in a process of its own, so that its memory is its own.
//!
//! The campaigns and events are those of [`shop`]. `sizes=10,1000` chooses numbers of campaigns, `100000x10` those of
//! a shop with ten times as many merchants, articles and tags; `write=FOLDER` also writes
//! their patterns and the events there, for `benches/peers/run`, which measures event-ruler with them.

mod shop;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rules::{Compiler, Decider, RuleError, RuleSet};
use schemas::{Campaign, Document, Event, Limits};

/// As in the matcher.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

const SIZES: &str = "10,100,1000,10000,100000,100000x10,1000000x100";
const TIME: &str = "2026-11-24T09:30:00.123Z";
const EVENTS: u64 = 2_000;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(300);

/// Events that are timed one by one.
const TIMED: usize = 100_000;

fn main() {
    let argument = |name: &str| {
        std::env::args()
            .find_map(|word| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    };
    if let Some(row) = argument("row") {
        return print_row(&Row::of(&row));
    }
    let events: Vec<_> = (0..EVENTS).map(|n| shop::record(n, TIME).1).collect();
    let sizes = argument("sizes").unwrap_or_else(|| SIZES.to_owned());
    if let Some(folder) = argument("write") {
        let sizes: Vec<_> = sizes.split(',').map(|size| Row::of(size).size).collect();
        write(Path::new(&folder), &events, &sizes);
    }
    let bytes = events.iter().map(Vec::len).sum::<usize>() / events.len();
    println!("events of {bytes} bytes on average, {ROUNDS} rounds of {ROUND:?}, one thread\n");
    println!(
        "| rules | build ms | events/s | slowest | fastest | without reading | matches/event | p50 µs | p99 µs | bytes a rule beyond its text |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let this = std::env::current_exe().expect("the program has a path");
    for row in sizes.split(',') {
        let status = Command::new(&this).arg(format!("row={row}")).status();
        assert!(status.expect("it runs as it ran").success());
    }
}

/// How many campaigns, in a shop of what breadth.
struct Row {
    size: u64,
    breadth: u64,
}

impl Row {
    /// Of `1000` or `100000x10`.
    fn of(text: &str) -> Self {
        let (size, breadth) = text.split_once('x').unwrap_or((text, "1"));
        Self {
            size: size.parse().expect("a number of campaigns"),
            breadth: breadth.parse().expect("a breadth"),
        }
    }
}

fn events(breadth: u64) -> Vec<Vec<u8>> {
    (0..EVENTS)
        .map(|n| shop::record_in(breadth, n, TIME).1)
        .collect()
}

fn print_row(row: &Row) {
    let Row { size, breadth } = *row;
    let events = events(breadth);
    let documents: Vec<_> = (0..size)
        .map(|n| shop::campaign_in(breadth, n, size).to_string())
        .collect();
    let text: usize = documents.iter().map(String::len).sum();
    let before = resident_bytes();
    let started = Instant::now();
    let compiled = Compiler::new().compile_all(&documents, campaign);
    let set = RuleSet::build(compiled.into_iter().map(|rule| rule.expect("a pattern")));
    let build = started.elapsed();
    let taken = resident_bytes().zip(before).map_or(0.0, |(after, before)| {
        #[expect(clippy::cast_precision_loss, reason = "bytes of memory below 2^52")]
        let beyond = after as f64 - before as f64 - text as f64;
        beyond / ratio(size, 1)
    });
    drop(documents);

    let mut decider = Decider::default();
    let mut winners = Vec::new();
    let mut matched = 0;
    let read = rounds(&events, |bytes| {
        let event = decider.decide(&**bytes, &set, &mut winners);
        black_box(event.expect("the event is whole"));
        matched += winners.len();
        black_box(&winners);
    });
    let mut times: Vec<_> = (events.iter().cycle().take(TIMED))
        .map(|bytes| {
            let started = Instant::now();
            let event = decider.decide(&**bytes, &set, &mut winners);
            black_box(event.expect("the event is whole"));
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    let micros = |part: usize| times[TIMED / 100 * part].as_secs_f64() * 1e6;

    let documents: Vec<Document> = events.iter().map(|bytes| decoded(bytes, &set)).collect();
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
        "| {size}{} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.1} | {:.1} | {:.0} |",
        if breadth == 1 {
            String::new()
        } else {
            format!(", shop ×{breadth}")
        },
        build.as_secs_f64() * 1e3,
        read[ROUNDS / 2].per_second,
        read[0].per_second,
        read[ROUNDS - 1].per_second,
        only[ROUNDS / 2].per_second,
        ratio(matched as u64, count),
        micros(50),
        micros(99),
        taken,
    );
}

/// Memory of this process that is resident, its program left out (Linux).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
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

fn decoded(bytes: &[u8], rules: &RuleSet) -> Document {
    let mut document = Document::new();
    rules.prepare(&mut document);
    document
        .read(bytes, Limits::default())
        .expect("the event is JSON");
    document
}

#[expect(clippy::unnecessary_wraps, reason = "readers may fail")]
fn campaign(document: &String) -> Result<Campaign, RuleError> {
    Ok(Campaign::from_json(document.as_bytes()).expect("it is a campaign"))
}
