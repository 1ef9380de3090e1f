//! How long customers are away after a start, the matcher's and Kafka Streams': the same events, the same ten campaigns that
//! count in windows, the same broker. From nothing, and from a disk that was left by a stop or by a kill.

use std::fs;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::process::{Memory, Process, memory};
use tests::servers::Server;
use tests::topics::{Reader, Written};
use tests::wait;

use crate::customers::{Back, brought_back, bytes_of, changelog_bytes, mix};
use crate::figures::{median, percentile, spread};
use crate::stage::{Stage, ten};
use crate::streams::{Application, Program};
use crate::upstream::{Backlog, Events};
use crate::{Request, Variant, shop, usage};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_hours(1);

/// So many events of a customer within a week win. Each customer has had all but one.
const THRESHOLD: u32 = 3;

/// Each of the ten campaigns has a tenth of the customers.
const CAMPAIGNS: u64 = 10;

/// Events that are made at a time.
const TOGETHER: u64 = 100_000;

/// New events that wait at a start, of as many customers: some in every partition. Each is a match if what its customer
/// did before is remembered.
const WAITING: u64 = 100;

/// What is measured.
#[derive(Clone, Copy)]
struct Shape {
    customers: u64,
    partitions: i32,
    workers: u32,
    runs: u32,
}

/// Reads `customers`, `partitions`, `workers`, `runs`, and `megabytes` (of `STATE_MEMORY`).
pub(crate) fn measure(broker: &Server, request: &Request) {
    let shape = Shape {
        customers: u64::from(request.number("customers", 1_000_000)),
        partitions: i32::try_from(request.number("partitions", 4)).expect("a few partitions"),
        workers: request.number("workers", 2),
        runs: request.number("runs", 3),
    };
    println!(
        "{} customers with {} events each, {} partitions, {} workers and threads, {} runs\n",
        shape.customers,
        THRESHOLD - 1,
        shape.partitions,
        shape.workers,
        shape.runs,
    );
    let variants = request.variants();
    let variant = variants.first().expect("the matcher as it is");
    let mut ours = Ours::new(broker, shape, variant, request.number("megabytes", 128));
    let mut peer = Peer::new(broker, shape);
    for run in 0..shape.runs {
        ours.run();
        peer.run();
        eprintln!("run {run}: load {}", usage::load());
    }
    println!(
        "\n| | customers/s brought back | records read | s until all are back | until the first new event is decided | until those of all partitions | MiB then | at most | bytes a customer on disk |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in ours.rows.iter().chain(&peer.rows) {
        row.print(shape.customers);
    }
    compare(&ours.rows, &peer.rows);
}

/// How many times as quick ours are: what begins with nothing beside what begins with nothing, and so on.
fn compare(ours: &[Row], peer: &[Row]) {
    println!(
        "\n| times Kafka Streams | customers/s | s until all are back | until the first new event |"
    );
    println!("|---|---|---|---|");
    for (our, its) in [(0, 0), (1, 0), (2, 1), (3, 2)] {
        let (our, its) = (&ours[our], &peer[its]);
        let of = |row: &Row, of: fn(&Start) -> f64| median(&row.all(of));
        let rate = of(our, |it| it.rate) / of(its, |it| it.rate);
        println!(
            "| {} | {} | {:.1} | {:.1} |",
            our.name,
            if our.is_cold {
                format!("{rate:.1}")
            } else {
                String::new()
            },
            of(its, |it| it.back) / of(our, |it| it.back),
            of(its, |it| it.first) / of(our, |it| it.first),
        );
    }
}

/// Starts of one kind.
struct Row {
    name: &'static str,
    /// Whether all customers are read from the changelog.
    is_cold: bool,
    starts: Vec<Start>,
}

/// What came of a start.
struct Start {
    /// Read from the changelog.
    records: u64,
    /// Customers a second, from the begin of the first restore to the end of the last.
    rate: f64,
    /// Seconds from the start until all customers were back.
    back: f64,
    /// Until the first new event was decided, and the last of those that waited.
    first: f64,
    last: f64,
    /// MiB when all was decided, and at most until then.
    now: f64,
    most: f64,
    /// Bytes.
    on_disk: u64,
}

impl Row {
    const fn new(name: &'static str, is_cold: bool) -> Self {
        Self {
            name,
            is_cold,
            starts: Vec::new(),
        }
    }

    fn all(&self, of: fn(&Start) -> f64) -> Vec<f64> {
        self.starts.iter().map(of).collect()
    }

    fn print(&self, customers: u64) {
        let seconds = |of: fn(&Start) -> f64| {
            let all = self.all(of);
            let part = |part| percentile(&all, part);
            format!("{:.2} ({:.2}–{:.2})", part(0.5), part(0.0), part(1.0))
        };
        let rate = if self.is_cold {
            spread(&self.all(|it| it.rate))
        } else {
            String::new()
        };
        let records = self.starts.iter().map(|it| it.records).max();
        let on_disk = self.starts.iter().map(|it| it.on_disk).max();
        println!(
            "| {} | {rate} | {} | {} | {} | {} | {:.0} | {:.0} | {} |",
            self.name,
            records.unwrap_or_default(),
            seconds(|it| it.back),
            seconds(|it| it.first),
            seconds(|it| it.last),
            median(&self.all(|it| it.now)),
            median(&self.all(|it| it.most)),
            on_disk.unwrap_or_default() / customers,
        );
    }
}

/// The matcher.
struct Ours {
    shape: Shape,
    stage: Stage,
    waiting: Waiting,
    plain: Variant,
    on_disk: Variant,
    folder: TempDir,
    rows: [Row; 4],
}

impl Ours {
    fn new(broker: &Server, shape: Shape, variant: &Variant, megabytes: u32) -> Self {
        let across = json!([{"count": {"at_least": THRESHOLD}, "tumbling": "7d"}]);
        let stage = Stage::new(broker, shape.partitions, &campaigns(Some(&across)));
        fill(&stage, shape.customers);
        let begun = Instant::now();
        let matcher = stage.matcher(variant, shape.workers);
        wait_decided(&stage, &stage.name);
        matcher.terminate();
        print_changelog("matcher", shape, begun, &stage.topic("customer-state"));
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().to_str().expect("a plain path");
        let bytes = (u64::from(megabytes) << 20).to_string();
        let on_disk = variant.clone().with("STATE_DIR", path);
        Self {
            shape,
            waiting: Waiting::new(&stage),
            stage,
            plain: variant.clone(),
            on_disk: on_disk.with("STATE_MEMORY", &bytes),
            folder,
            rows: [
                Row::new("matcher, in memory", true),
                Row::new("matcher, on disk, which was empty", true),
                Row::new("matcher, on disk, after a kill", false),
                Row::new("matcher, on disk, after a stop", false),
            ],
        }
    }

    fn run(&mut self) {
        self.start(0).terminate();
        self.start(1).kill();
        self.start(2).terminate();
        self.start(3).terminate();
        fs::remove_dir_all(self.folder.path().join("customers")).expect("a folder");
    }

    fn start(&mut self, row: usize) -> Process {
        self.waiting.send(&self.stage);
        let variant = if row == 0 { &self.plain } else { &self.on_disk };
        let (begun, started) = (Timestamp::now(), Instant::now());
        let matcher = self.stage.start(variant, self.shape.workers);
        let (first, last) = self.waiting.decided(started);
        let back = brought_back(&matcher);
        self.rows[row].starts.push(Start {
            records: back.records,
            rate: back.per_second(self.shape.customers),
            back: back.end.duration_since(begun).as_secs_f64(),
            first,
            last,
            now: memory(matcher.pid(), Memory::Now),
            most: memory(matcher.pid(), Memory::Peak),
            on_disk: bytes_of(self.folder.path()),
        });
        matcher
    }
}

/// Kafka Streams.
struct Peer {
    shape: Shape,
    stage: Stage,
    waiting: Waiting,
    program: Program,
    rows: [Row; 3],
}

impl Peer {
    fn new(broker: &Server, shape: Shape) -> Self {
        let stage = Stage::new(broker, shape.partitions, &[]);
        fill(&stage, shape.customers);
        let patterns = campaigns(None);
        let patterns: Vec<Value> = patterns.iter().map(|it| it["when"].clone()).collect();
        let program = Program::new(&stage, &patterns, THRESHOLD, shape.workers);
        let begun = Instant::now();
        let application = program.start();
        program.wait_shared_out(&application, &stage);
        wait_decided(&stage, program.group());
        application.terminate();
        print_changelog(
            "Kafka Streams",
            shape,
            begun,
            &stage.topic("streams-count-"),
        );
        Self {
            shape,
            waiting: Waiting::new(&stage),
            stage,
            program,
            rows: [
                Row::new("Kafka Streams, on disk, which was empty", true),
                Row::new("Kafka Streams, on disk, after a kill", false),
                Row::new("Kafka Streams, on disk, after a stop", false),
            ],
        }
    }

    fn run(&mut self) {
        fs::remove_dir_all(self.program.state()).expect("a folder");
        self.start(0).kill();
        self.start(1).terminate();
        self.start(2).terminate();
    }

    fn start(&mut self, row: usize) -> Application {
        self.waiting.send(&self.stage);
        let (begun, started) = (Timestamp::now(), Instant::now());
        let application = self.program.start();
        let (first, last) = self.waiting.decided(started);
        let (back, running) = wait::until("all stores", PATIENCE, || restored(&application.log()));
        self.rows[row].starts.push(Start {
            records: back.records,
            rate: back.per_second(self.shape.customers),
            back: running.duration_since(begun).as_secs_f64(),
            first,
            last,
            now: memory(application.pid(), Memory::Now),
            most: memory(application.pid(), Memory::Peak),
            on_disk: bytes_of(&self.program.state()),
        });
        application
    }
}

/// What Kafka Streams' log says it restored, and since when all of it runs; none while it does not.
fn restored(log: &str) -> Option<(Back, Timestamp)> {
    let lines = log.lines().filter_map(|line| {
        let (at, what) = line.split_once(' ')?;
        let at = Timestamp::from_millisecond(at.parse().ok()?).ok()?;
        Some((at, what))
    });
    let lines: Vec<(Timestamp, &str)> = lines.collect();
    let mut states = lines.iter().filter(|(_, it)| it.starts_with("state"));
    let (running, _) = states
        .next_back()
        .filter(|(_, it)| it.ends_with("RUNNING"))?;
    let begin = lines.iter().find(|(_, it)| it.starts_with("restoring"));
    let mut ends = lines.iter().filter(|(_, it)| it.starts_with("restored"));
    let records = ends.clone().map(|(_, it)| {
        let (_, records) = it.rsplit_once(' ').expect("a line that ends with it");
        records.parse::<u64>().expect("a number")
    });
    let back = Back {
        records: records.sum(),
        begin: begin.map_or(*running, |(at, _)| *at),
        end: ends.next_back().map_or(*running, |(at, _)| *at),
    };
    Some((back, *running))
}

/// Events that wait when a process starts, and who sees that they were decided.
struct Waiting {
    matches: Reader,
    /// Whose turn it is.
    next: u64,
}

impl Waiting {
    fn new(stage: &Stage) -> Self {
        Self {
            matches: stage.kafka.reader(&stage.topic("matches")),
            next: 0,
        }
    }

    /// The last event that each of some customers was short of.
    fn send(&mut self, stage: &Stage) {
        let now = Timestamp::now().to_string();
        for customer in self.next..self.next + WAITING {
            let (key, value) = event(u64::MAX / 2 + customer, customer, &now);
            let record = Written {
                key: Some(key.into_bytes()),
                value: Some(value),
                ..Written::default()
            };
            stage.kafka.send(&stage.topic("events"), &record);
        }
        self.next += WAITING;
        stage.kafka.flush();
    }

    /// Waits until all of them are matches. Returns the seconds to the first and to the last of them.
    fn decided(&self, started: Instant) -> (f64, f64) {
        let mut first = None;
        for _ in 0..WAITING {
            let found = self.matches.next(PATIENCE);
            found.expect("a match for each event that waited");
            first.get_or_insert(started.elapsed());
        }
        let last = started.elapsed();
        let first = first.unwrap_or(last);
        (first.as_secs_f64(), last.as_secs_f64())
    }
}

fn campaigns(across: Option<&Value>) -> Vec<Value> {
    let all = u32::try_from(CAMPAIGNS).expect("ten");
    ten(all, across, None)
}

/// Writes all events but one that each customer needs for a match.
fn fill(stage: &Stage, customers: u64) {
    let now = Timestamp::now().to_string();
    let all = customers * u64::from(THRESHOLD - 1);
    let mut made = 0..all;
    while !made.is_empty() {
        let some: Events = made
            .by_ref()
            .take(usize::try_from(TOGETHER).expect("small"))
            .map(|n| event(n, n % customers, &now))
            .collect();
        Backlog::write(stage, &some).release();
    }
}

/// An event of the shop, done by that customer, for an amount that concerns the customer's campaign.
fn event(n: u64, customer: u64, now: &str) -> (String, Vec<u8>) {
    let (_, value) = shop::record(n, now);
    let mut event: Value = serde_json::from_slice(&value).expect("an event");
    let key = format!("customer-{:016x}", mix(customer));
    event["customer_id"] = json!(key);
    event["payload"]["amount"] = json!(500 / CAMPAIGNS * (customer % CAMPAIGNS) + 7);
    (key, event.to_string().into_bytes())
}

/// Waits until a group has committed all events, but for the marker at the end of each partition.
fn wait_decided(stage: &Stage, group: &str) {
    let topic = stage.topic("events");
    let ends = stage.kafka.ends(&topic, stage.partitions);
    let ends = ends.expect("the broker answers");
    wait::until("all events", PATIENCE, || {
        let committed = stage.kafka.committed(group, &topic, stage.partitions)?;
        let mut pairs = committed.iter().zip(&ends);
        pairs
            .all(|(committed, end)| *committed >= end.high - 1)
            .then_some(())
    });
}

fn print_changelog(whose: &str, shape: Shape, begun: Instant, topics: &str) {
    let bytes = changelog_bytes(topics);
    println!(
        "{whose}: decided in {:.0} s, changelog {:.1} MiB, {} bytes a customer",
        begun.elapsed().as_secs_f64(),
        usage::mebibytes(bytes),
        bytes / shape.customers,
    );
}
