//! One event at a time, from produced to its match readable by a reward service.

use std::time::{Duration, Instant};

use tests::servers::Server;
use tests::topics::{Reader, Seen};

use crate::figures::{LATENCY_HEAD, latency_row};
use crate::shop;
use crate::stage::{Stage, campaigns, everything};
use crate::upstream::Prompt;
use crate::{Request, Variant};

/// Events that are not counted: the broker's compiler is still at work.
const WARM_UP: u32 = 1_000;

/// Reads `events` (1,000 and more make a p99), `campaigns`.
pub(crate) fn measure(broker: &Server, request: &Request) {
    let events = request.number("events", 2_000);
    let campaigns_count = request.number("campaigns", 1_000);
    let mut rules = campaigns(campaigns_count);
    rules.push(everything());
    println!(
        "{campaigns_count} campaigns and one that every event wins, 2 workers, 4 partitions\n"
    );
    println!("| matcher | next event | {LATENCY_HEAD} |\n|---|---|---|---|---|---|---|");
    bare(broker, events);
    for variant in request.variants() {
        let stage = Stage::new(broker, 4, &rules);
        let matcher = stage.matcher(&variant, 2);
        let mut shopper = Shopper::new(&stage, "matches");
        shopper.shop(WARM_UP, |_| Duration::ZERO);
        row(
            &variant,
            "at once",
            &shopper.shop(events, |_| Duration::ZERO),
        );
        // As shoppers come: at random, on average each 25 ms.
        row(&variant, "0–50 ms later", &shopper.shop(events, pause));
        drop(matcher);
    }
}

/// What the broker and the clients take by themselves: from produced to the event itself readable.
fn bare(broker: &Server, events: u32) {
    let stage = Stage::new(broker, 4, &[]);
    let mut shopper = Shopper::new(&stage, "events");
    shopper.shop(WARM_UP, |_| Duration::ZERO);
    let latencies = shopper.shop(events, |_| Duration::ZERO);
    println!(
        "| none: the event itself | at once | {} |",
        latency_row(&latencies)
    );
}

fn row(variant: &Variant, next: &str, latencies: &[Duration]) {
    println!("| {variant} | {next} | {} |", latency_row(latencies));
}

/// Steps of a golden ratio fall evenly, and in no order, on what they are taken modulo of.
fn pause(n: u64) -> Duration {
    Duration::from_micros(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 50_000)
}

/// Sends an event, waits for what comes of it, and sends the next.
struct Shopper {
    upstream: Prompt,
    reader: Reader,
    next: u64,
}

impl Shopper {
    fn new(stage: &Stage, read: &str) -> Self {
        Self {
            upstream: Prompt::new(stage),
            reader: stage.kafka.reader(&stage.topic(read)),
            next: 0,
        }
    }

    fn shop(&mut self, events: u32, pause: impl Fn(u64) -> Duration) -> Vec<Duration> {
        (0..events)
            .map(|_| {
                let n = self.next;
                self.next += 1;
                std::thread::sleep(pause(n));
                let event = shop::record(n, &jiff::Timestamp::now().to_string());
                let sent = Instant::now();
                self.upstream.send(&event);
                loop {
                    let seen = self.reader.next(Duration::from_secs(30));
                    let seen = seen.unwrap_or_else(|| panic!("nothing came of event {n}"));
                    if is_awaited(&seen, n) {
                        return sent.elapsed();
                    }
                }
            })
            .collect()
    }
}

/// Whether it is the event itself or its match of the campaign that every event wins.
fn is_awaited(seen: &Seen, n: u64) -> bool {
    let json = seen.json();
    let is_counted = json["campaign_id"]
        .as_str()
        .is_none_or(|id| id == "everything");
    is_counted && json["event_id"] == format!("01JDB{n:021}")
}
