//! Ingest, and a plain service as a team would write it, under the same load in turn.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use service::auth::{Scope, Scopes, make_key};
use tempfile::TempDir;
use tests::http::{parse, request};
use tests::process::{Memory, Process, binary, memory};
use tests::servers::Server;
use tests::topics::Kafka;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::figures::{median, percentile, spread};
use crate::upstream::{Events, events};
use crate::usage;
use crate::{Request, Variant};

/// Before it is measured, so that connections, threads and the broker are warm.
const WARM_UP: Duration = Duration::from_secs(1);

/// A service that takes events.
struct Door {
    address: String,
    pid: u32,
    key: String,
    _process: Running,
    _folder: TempDir,
}

enum Running {
    Ours(#[expect(dead_code, reason = "ends it when dropped")] Process),
    Peer(Child),
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Peer(child) = self {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One run of one service.
struct Run {
    requests: f64,
    latencies: Vec<f64>,
    /// CPU of the service and of the broker, in µs a request.
    service: f64,
    broker: f64,
}

/// Reads `connections`, `seconds`, `runs`, `partitions` and `batch` (events a request, several in turn).
pub(crate) fn measure(broker: &Server, request: &Request) {
    let connections = request.number("connections", 32);
    let seconds = request.number("seconds", 4);
    let runs = request.number("runs", 5);
    let partitions = request.number("partitions", 4);
    let events = events(10_000);
    let variants = if request.variants.is_empty() {
        ["ingest", "ingest-peer"].map(program).to_vec()
    } else {
        request.variants.clone()
    };
    let doors: Vec<Door> = variants
        .iter()
        .map(|variant| Door::open(broker, variant, partitions))
        .collect();
    println!("{connections} connections, {runs} runs of {seconds} s, {partitions} partitions");
    for batch in request.numbers("batch", &[100, 1]) {
        println!("\n### {batch} events a request\n");
        let mut all: Vec<Vec<Run>> = doors.iter().map(|_| Vec::new()).collect();
        for run in 0..runs {
            let mut order: Vec<usize> = (0..doors.len()).collect();
            order.rotate_left(run as usize % doors.len());
            for at in order {
                let door = &doors[at];
                let bodies = door.requests(&events, batch as usize);
                let run = door.load(broker, &bodies, connections, seconds);
                let (name, load) = (&variants[at], usage::load());
                eprintln!("{name}: {:.0} requests/s, load {load}", run.requests);
                all[at].push(run);
            }
        }
        table(&variants, &doors, &all, batch);
    }
}

fn program(name: &str) -> Variant {
    Variant {
        program: name.to_owned(),
        settings: Vec::new(),
    }
}

fn table(variants: &[Variant], doors: &[Door], all: &[Vec<Run>], batch: u32) {
    println!(
        "| | events/s, median (slowest–fastest) | median ms | p99 ms | µs of its CPU an event | of the broker's | peak MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    let batch = f64::from(batch);
    for ((variant, door), runs) in variants.iter().zip(doors).zip(all) {
        let of = |value: &dyn Fn(&Run) -> f64| runs.iter().map(value).collect::<Vec<_>>();
        println!(
            "| {variant} | {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.0} |",
            spread(&of(&|run| run.requests * batch)),
            median(&of(&|run| percentile(&run.latencies, 0.5))),
            median(&of(&|run| percentile(&run.latencies, 0.99))),
            median(&of(&|run| run.service / batch)),
            median(&of(&|run| run.broker / batch)),
            memory(door.pid, Memory::Peak),
        );
    }
}

impl Door {
    /// Starts the service with a topic of its own.
    fn open(broker: &Server, variant: &Variant, partitions: u32) -> Self {
        let name = variant.to_string().replace([' ', '=', '.'], "-");
        let topic = format!("b{}-{name}-events", std::process::id());
        Kafka::new(broker.address()).create_topic(
            &topic,
            i32::try_from(partitions).expect("some"),
            &[],
        );
        let folder = TempDir::new().expect("a folder");
        let scopes = Scopes::of(&[Scope::EventsWrite]);
        let (key, record) = make_key("bench", scopes, jiff::Timestamp::now(), None);
        let keys = folder.path().join("keys");
        let record = serde_json::to_string(&record).expect("a record has a JSON form");
        std::fs::write(&keys, record).expect("the folder can be written to");
        let key = key.reveal().to_owned();
        let own = [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.address()),
            ("EVENTS_TOPIC", &topic),
            ("HTTP_ADDR", "127.0.0.1:0"),
            ("API_KEYS_FILE", keys.to_str().expect("UTF-8")),
            ("KEY", &key),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings: Vec<_> = own.iter().chain(&variant.settings).cloned().collect();
        let (process, address, pid) = if variant.program.starts_with("ingest-peer") {
            peer(&binary(&variant.program), &settings)
        } else {
            let mut ours = Process::start(&variant.program, folder.path(), &settings);
            ours.wait_ready();
            let (address, pid) = (ours.api().to_owned(), ours.pid());
            (Running::Ours(ours), address, pid)
        };
        Self {
            address,
            pid,
            key,
            _process: process,
            _folder: folder,
        }
    }

    /// Requests with so many events each.
    fn requests(&self, events: &Events, batch: usize) -> Vec<Vec<u8>> {
        let bearer = format!("Bearer {}", self.key);
        let headers = [
            ("authorization", &*bearer),
            ("content-type", "application/json"),
        ];
        let bodies = events.chunks_exact(batch).map(|events| {
            let values: Vec<&[u8]> = events.iter().map(|(_, value)| &**value).collect();
            match &*values {
                [one] => one.to_vec(),
                several => [b"[", &*several.join(&b','), b"]"].concat(),
            }
        });
        bodies
            .map(|body| request("POST", "/v1/events", &headers, &body))
            .collect()
    }

    /// Sends requests on each connection, one after the other.
    fn load(&self, broker: &Server, requests: &[Vec<u8>], connections: u32, seconds: u32) -> Run {
        let (measured, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        let cpu = |pid| usage::cpu(pid).as_secs_f64() * 1e6;
        std::thread::scope(|scope| {
            let clients = Clients {
                address: &self.address,
                requests,
                measured: &measured,
                ended: &ended,
            };
            let clients = scope.spawn(move || clients.run(connections));
            std::thread::sleep(WARM_UP);
            let before = (cpu(self.pid), cpu(broker.pid()));
            let begun = Instant::now();
            measured.store(true, Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(seconds.into()));
            measured.store(false, Ordering::Relaxed);
            let took = begun.elapsed().as_secs_f64();
            let after = (cpu(self.pid), cpu(broker.pid()));
            ended.store(true, Ordering::Relaxed);
            let latencies = clients.join().expect("the clients end");
            #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
            let count = latencies.len() as f64;
            Run {
                requests: count / took,
                latencies,
                service: (after.0 - before.0) / count,
                broker: (after.1 - before.1) / count,
            }
        })
    }
}

/// Connections that send as fast as they are answered, all on one thread: with a thread each, every
/// answer woke one that took the processor from the service, and half of the machine was the clients'.
struct Clients<'a> {
    address: &'a str,
    requests: &'a [Vec<u8>],
    /// Whether latencies are noted.
    measured: &'a AtomicBool,
    ended: &'a AtomicBool,
}

impl Clients<'_> {
    /// Returns the latencies in ms.
    fn run(&self, connections: u32) -> Vec<f64> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let clients = (0..connections as usize).map(|first| self.client(first * 7));
        let latencies = futures::future::join_all(clients);
        let latencies = runtime.expect("a runtime").block_on(latencies);
        latencies.concat()
    }

    async fn client(&self, first: usize) -> Vec<f64> {
        let stream = tokio::net::TcpStream::connect(self.address).await;
        let mut stream = stream.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let (mut latencies, mut received) = (Vec::new(), Vec::new());
        for request in self.requests.iter().cycle().skip(first) {
            if self.ended.load(Ordering::Relaxed) {
                break;
            }
            let begun = Instant::now();
            stream.write_all(request).await.expect("it reads");
            let (answer, length) = loop {
                let read = stream.read_buf(&mut received).await;
                assert!(read.expect("an answer") > 0, "the connection ended");
                if let Some(whole) = parse(&received).expect("HTTP") {
                    break whole;
                }
            };
            received.drain(..length);
            assert_eq!(answer.status, 202, "{}", answer.json());
            if self.measured.load(Ordering::Relaxed) {
                latencies.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        latencies
    }
}

/// Starts a program that prints its address when it listens.
fn peer(path: &Path, settings: &[(String, String)]) -> (Running, String, u32) {
    let mut child = Command::new(path)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} ({error}); make ingest-peer", path.display()));
    let output = child.stdout.take().expect("it was piped");
    let pid = child.id();
    let running = Running::Peer(child);
    let mut address = String::new();
    let read = BufReader::new(output).read_line(&mut address);
    read.expect("it prints its address");
    let address = address.trim().to_owned();
    TcpStream::connect(&address).expect("it listens");
    (running, address, pid)
}
