//! The same backlog with campaigns that remember their customers and with campaigns that do not, and Kafka Streams' windows.

use serde_json::{Value, json};
use tests::servers::Server;

use crate::backlog::{self, Drain, drain};
use crate::figures::{median, spread};
use crate::stage::{Stage, ten};
use crate::upstream::{Events, events};
use crate::{Request, streams, usage};

const PARTITIONS: i32 = 4;

/// So many events of a customer within a week win.
const THRESHOLD: u32 = 3;

/// Reads `events`, `runs`, `warm` (runs before them that are not counted), `workers`, `one_in` (each of the ten campaigns concerns one event in so many), and `streams`: how
/// many runs Kafka Streams has a turn in, with the first `streams_events` of the events.
pub(crate) fn measure(broker: &Server, request: &Request) {
    let events = events(request.number("events", 1_000_000));
    let runs = request.number("runs", 3);
    println!("{} events, {runs} runs", events.len());
    for one_in in request.numbers("one_in", &[33, 11]) {
        println!("\n### ten campaigns that concern one event in {one_in} each\n");
        compare(broker, request, &events, one_in);
    }
}

fn compare(broker: &Server, request: &Request, events: &Events, one_in: u32) {
    let workers = request.number("workers", 2);
    let across = json!([{"count": {"at_least": THRESHOLD}, "tumbling": "7d"}]);
    let limits = json!({"per_customer": {"times": 5, "every": "1d"}});
    let kinds: [(&str, Vec<Value>); 3] = [
        ("only the event", ten(one_in, None, None)),
        ("ten windows", ten(one_in, Some(&across), None)),
        (
            "ten windows and limits",
            ten(one_in, Some(&across), Some(&limits)),
        ),
    ];
    let patterns: Vec<Value> = kinds[0].1.iter().map(|it| it["when"].clone()).collect();
    let few = request.number("streams_events", 400_000) as usize;
    let few: Events = events.iter().take(few).cloned().collect();
    let variants = request.variants();
    let variant = variants.first().expect("the matcher as it is");
    let mut drains: [Vec<Drain>; 3] = [const { Vec::new() }; 3];
    let mut peers = Vec::new();
    for run in 0..request.number("warm", 1) {
        let stage = Stage::new(broker, PARTITIONS, &kinds[2].1);
        let speed = drain(&stage, variant, workers, events).events_per_second;
        eprintln!("warming up, {run}: {speed:.0}/s");
    }
    for run in 0..request.number("runs", 3) {
        for nth in 0..kinds.len() {
            let at = (nth + run as usize) % kinds.len();
            let (kind, campaigns) = &kinds[at];
            let stage = Stage::new(broker, PARTITIONS, campaigns);
            let drained = drain(&stage, variant, workers, events);
            let (speed, load) = (drained.events_per_second, usage::load());
            eprintln!("run {run}: {kind} {speed:.0}/s, load {load}");
            drains[at].push(drained);
        }
        if run < request.number("streams", 1) {
            let stage = Stage::new(broker, PARTITIONS, &[]);
            let peer = streams::drain(&stage, &patterns, THRESHOLD, workers, &few);
            eprintln!(
                "run {run}: Kafka Streams {peer:.0}/s, load {}",
                usage::load()
            );
            peers.push(peer);
        }
    }
    println!("| | events/s, median (slowest–fastest) | of the first | peak MiB |");
    println!("|---|---|---|---|");
    let all = |drains: &[Drain], of: fn(&Drain) -> f64| drains.iter().map(of).collect::<Vec<_>>();
    let plain = median(&all(&drains[0], |it| it.events_per_second));
    for ((kind, _), drains) in kinds.iter().zip(&drains) {
        let speeds = all(drains, |it| it.events_per_second);
        let (part, peak) = (
            100.0 * median(&speeds) / plain,
            median(&all(drains, |it| it.peak)),
        );
        println!("| {kind} | {} | {part:.0} % | {peak:.0} |", spread(&speeds));
    }
    if !peers.is_empty() {
        println!("| Kafka Streams, ten windows | {} | | |", spread(&peers));
    }
    let rows = kinds
        .iter()
        .zip(&drains)
        .map(|((kind, _), drains)| (kind, &**drains));
    backlog::costs(rows, events.len());
}
