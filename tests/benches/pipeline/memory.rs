//! The matcher's memory: at rest, and while backlogs of small and large events are drained.

use tests::process::{Memory, memory};
use tests::servers::Server;

use crate::backlog::drain;
use crate::stage::{Stage, campaigns, everything, one_in_eleven};
use crate::upstream::{Events, events};
use crate::{Request, Variant};

/// Reads `workers`, `partitions`, `megabytes` of each backlog.
pub(crate) fn measure(broker: &Server, request: &Request) {
    let megabytes = request.number("megabytes", 400);
    let workers = request.numbers("workers", &[1, 2, 8]);
    let partitions = i32::try_from(request.number("partitions", 16)).expect("a few partitions");
    println!("{megabytes} MB of events, {partitions} partitions; memory in MiB\n");
    println!("| matcher | workers | events | at rest | at each tenth of the backlog | peak |");
    println!("|---|---|---|---|---|---|");
    let small = events(megabytes * 2_400);
    let large = padded(megabytes * 10, 100_000);
    let poison = broken(&large);
    let cases = [
        (
            "420 bytes, one in eleven wins",
            &small,
            vec![one_in_eleven()],
        ),
        ("420 bytes, 1,000 campaigns", &small, campaigns(1_000)),
        ("100 KB, each wins", &large, vec![everything()]),
        ("100 KB, each a dead letter", &poison, vec![everything()]),
    ];
    for variant in request.variants() {
        for &workers in &workers {
            for (name, events, campaigns) in &cases {
                let stage = Stage::new(broker, partitions, campaigns);
                row(&stage, &variant, workers, name, events);
            }
        }
    }
}

fn row(stage: &Stage, variant: &Variant, workers: u32, name: &str, events: &Events) {
    let matcher = stage.matcher(variant, workers);
    let at_rest = memory(matcher.pid(), Memory::Now);
    drop(matcher);
    let drain = drain(stage, variant, workers, events);
    let tenths: Vec<String> = drain.memory.iter().map(|mib| format!("{mib:.0}")).collect();
    println!(
        "| {variant} | {workers} | {name} | {at_rest:.0} | {} | {:.0} |",
        tenths.join(" "),
        drain.peak
    );
}

/// Events of the shop with a note of so many letters.
fn padded(count: u32, bytes: usize) -> Events {
    let note = "x".repeat(bytes);
    let mut events = events(count);
    for (_, value) in &mut events {
        value.pop();
        value.extend_from_slice(format!(r#","note":"{note}"}}"#).as_bytes());
    }
    events
}

/// The same, cut off.
fn broken(events: &Events) -> Events {
    let mut broken = events.clone();
    for (_, value) in &mut broken {
        value.pop();
    }
    broken
}
