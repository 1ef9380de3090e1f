//! A backlog, drained by two workers beside the broker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::process::{self, Memory, Process};
use tests::servers::Server;

use crate::figures::{median, spread};
use crate::stage::{Stage, campaigns_in, one_in_eleven};
use crate::upstream::{Backlog, Events, events_in};
use crate::usage;
use crate::{Request, Variant, relay, streams};

const PARTITIONS: i32 = 4;

/// One drain.
pub(crate) struct Drain {
    pub(crate) events_per_second: f64,
    matches: f64,
    transactions: f64,
    /// Seconds that workers spent ending transactions.
    committing: f64,
    /// From the release of the backlog to its last commit, in CPU seconds, by kind of thread.
    broker: BTreeMap<String, Duration>,
    threads: BTreeMap<String, Duration>,
    pub(crate) peak: f64,
    /// The memory at each tenth of the backlog.
    pub(crate) memory: Vec<f64>,
}

/// Reads `events`, `runs`, `warm` (runs before them that are not counted: a broker that has just started compiles its code), `campaigns` (1 is one
/// that an event in eleven wins), `breadth` of the shop, `workers`, and `streams`: how many runs Kafka Streams has a turn in, with the first
/// `streams_events` of the events.
pub(crate) fn measure(broker: &Server, request: &Request) {
    let count = request.number("events", 1_000_000);
    let runs = request.number("runs", 5);
    let workers = request.number("workers", 2);
    let breadth = request.number("breadth", 1);
    let events = events_in(breadth, count);
    let bytes = events.iter().map(|(_, value)| value.len()).sum::<usize>() / events.len();
    println!(
        "{count} events of {bytes} bytes on average, {runs} runs, {workers} workers, {PARTITIONS} partitions"
    );
    for rules in request.numbers("campaigns", &[1, 1_000]) {
        println!("\n### {rules} campaigns\n");
        compare(broker, request, &events, rules, runs, workers);
    }
}

fn compare(
    broker: &Server,
    request: &Request,
    events: &Events,
    rules: u32,
    runs: u32,
    workers: u32,
) {
    let rules = if rules == 1 {
        vec![one_in_eleven()]
    } else {
        campaigns_in(request.number("breadth", 1), rules)
    };
    let variants = request.variants();
    let patterns: Vec<Value> = rules.iter().map(|rule| rule["when"].clone()).collect();
    let few = request.number("streams_events", 400_000) as usize;
    let few: Events = events.iter().take(few).cloned().collect();
    let mut peers = Vec::new();
    let mut relays = Vec::new();
    let mut drains: Vec<Vec<Drain>> = variants.iter().map(|_| Vec::new()).collect();
    for run in 0..request.number("warm", 1) {
        let stage = Stage::new(broker, PARTITIONS, &rules);
        let speed = drain(&stage, &variants[0], workers, events).events_per_second;
        eprintln!("warming up, {run}: {speed:.0}/s");
    }
    for run in 0..runs {
        // Each in turn, and each first once, so that a noise of the machine meets all alike.
        let mut order: Vec<usize> = (0..variants.len()).collect();
        order.rotate_left(run as usize % variants.len());
        for (nth, at) in order.into_iter().enumerate() {
            let stage = Stage::new(broker, PARTITIONS, &rules);
            let drain = drain(&stage, &variants[at], workers, events);
            eprintln!(
                "run {run}: {} {:.0}/s, load {}",
                variants[at],
                drain.events_per_second,
                usage::load()
            );
            drains[at].push(drain);
            if nth == 0 {
                let count = u32::try_from(events.len()).expect("a count of u32");
                relays.push(relay::drain(&stage, 2, count));
            }
        }
        if run < request.number("streams", 0) {
            let stage = Stage::new(broker, PARTITIONS, &[]);
            let peer = streams::drain(&stage, &patterns, 0, workers, &few);
            eprintln!(
                "run {run}: Kafka Streams {peer:.0}/s, load {}",
                usage::load()
            );
            peers.push(peer);
        }
    }
    println!(
        "| | events/s, median (slowest–fastest) | of the relay | matches/event | events/transaction | peak MiB |"
    );
    println!("|---|---|---|---|---|---|");
    println!("| bare relay | {} | | 0.09 | | |", spread(&relays));
    if !peers.is_empty() {
        println!(
            "| Kafka Streams and event-ruler | {} | | | | |",
            spread(&peers)
        );
    }
    let count = events.len();
    for (variant, drains) in variants.iter().zip(&drains) {
        row(variant, drains, &relays, count);
    }
    costs(variants.iter().zip(drains.iter().map(|it| &**it)), count);
}

/// Prints what processors do for an event.
pub(crate) fn costs<'d>(
    rows: impl Iterator<Item = (impl std::fmt::Display, &'d [Drain])>,
    events: usize,
) {
    println!(
        "\n| µs of CPU an event | broker | broker's compiler | worker, of it waiting in commits (wall) | librdkafka | delivery reports | other |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, drains) in rows {
        cpu_row(name, drains, events);
    }
}

fn row(variant: &Variant, drains: &[Drain], relays: &[f64], events: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    let events = events as f64;
    let all = |of: fn(&Drain) -> f64| drains.iter().map(of).collect::<Vec<f64>>();
    let speed = all(|drain| drain.events_per_second);
    println!(
        "| {variant} | {} | {:.0} % | {:.2} | {:.0} | {:.0} |",
        spread(&speed),
        100.0 * median(&speed) / median(relays),
        median(&all(|drain| drain.matches)) / events,
        events / median(&all(|drain| drain.transactions)),
        median(&all(|drain| drain.peak)),
    );
}

fn cpu_row(name: impl std::fmt::Display, drains: &[Drain], events: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    let events = events as f64;
    let micros = |of: &dyn Fn(&Drain) -> Duration| {
        let all: Vec<f64> = drains.iter().map(|d| of(d).as_secs_f64()).collect();
        median(&all) * 1e6 / events
    };
    let named = |threads: &BTreeMap<String, Duration>, names: &[&str]| {
        let of = |(name, spent): (&String, &Duration)| {
            names.iter().any(|n| name.starts_with(n)).then_some(*spent)
        };
        threads.iter().filter_map(of).sum::<Duration>()
    };
    let threads = |names: &'static [&'static str]| micros(&move |it| named(&it.threads, names));
    let total = micros(&|drain| drain.threads.values().sum());
    let (worker, rdkafka) = (threads(&["worker"]), threads(&["rdk:"]));
    let reports = threads(&["producer"]);
    let commits = micros(&|drain| Duration::from_secs_f64(drain.committing));
    let compiling = micros(&|drain| named(&drain.broker, &["C1 ", "C2 "]));
    let broker = micros(&|drain| drain.broker.values().sum()) - compiling;
    println!(
        "| {name} | {broker:.2} | {compiling:.2} | {worker:.2}, {commits:.2} | {rdkafka:.2} | {reports:.2} | {:.2} |",
        total - worker - rdkafka - reports,
    );
}

/// Writes the backlog, lets a matcher drain it and watches.
pub(crate) fn drain(stage: &Stage, variant: &Variant, workers: u32, events: &Events) -> Drain {
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    let all = events.len() as f64;
    let backlog = Backlog::write(stage, events);
    let matcher = stage.matcher(variant, workers);
    let pid = matcher.pid();
    let broker = usage::cpu_by_thread(stage.broker);
    let threads = usage::cpu_by_thread(pid);
    backlog.release();
    let mut memory = Vec::new();
    let mut first = None;
    let seconds = loop {
        let (now, done) = (Instant::now(), Stage::committed(&matcher));
        #[expect(clippy::cast_precision_loss, reason = "ten at most")]
        if done >= all * memory.len() as f64 / 10.0 {
            memory.push(process::memory(pid, Memory::Now));
        }
        if done > 0.0 {
            let (begun, before) = *first.get_or_insert((now, done));
            if done >= all {
                break (now - begun).as_secs_f64() / (all - before);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let threads = usage::since(threads, pid);
    assert_untroubled(&matcher);
    let metric = |name: &str| matcher.metric(name).unwrap_or_default();
    Drain {
        events_per_second: 1.0 / seconds,
        matches: metric("matcher_matches_total"),
        transactions: metric("matcher_transaction_duration_seconds_count"),
        committing: metric("matcher_transaction_duration_seconds_sum"),
        broker: usage::since(broker, stage.broker),
        threads,
        peak: process::memory(pid, Memory::Peak),
        memory,
    }
}

/// A run in which a worker had to begin anew says nothing of its speed.
fn assert_untroubled(matcher: &Process) {
    for metric in ["matcher_worker_rebuilds_total", "matcher_events_lost_total"] {
        let value = matcher.metric(metric).unwrap_or_default();
        assert!(value == 0.0, "{metric} is {value}");
    }
}
