//! What transactions cost the broker when events trickle, and what their lower bound in time brings.

use std::thread;
use std::time::{Duration, Instant};

use tests::servers::Server;

use crate::figures::{median, percentile};
use crate::stage::{Stage, everything};
use crate::upstream::{Prompt, events};
use crate::{Request, Variant, usage};

/// Not counted: the broker's compiler, new topics.
const WARM_UP: Duration = Duration::from_secs(3);

/// One trickle.
struct Trickle {
    latencies: Vec<f64>,
    transactions_per_second: f64,
    /// Cores that were busy.
    broker: f64,
    matcher: f64,
}

/// Reads `workers`, one partition each but for at least four in all; `rate`, events a second in all;
/// `intervals`, the values of `MIN_COMMIT_INTERVAL_MS`; `seconds`; `runs`.
pub(crate) fn measure(broker: &Server, request: &Request) {
    let seconds = request.number("seconds", 10);
    let runs = request.number("runs", 3);
    let intervals = request.numbers("intervals", &[0, 2, 5, 10, 20, 50]);
    let workers = request.numbers("workers", &[2, 100]);
    let rates = request.numbers("rate", &[500, 2_000]);
    println!("every event wins one campaign, {runs} runs of {seconds} s");
    let variants: Vec<Variant> = request
        .variants()
        .into_iter()
        .flat_map(|variant| {
            let each = |ms: &u32| {
                variant
                    .clone()
                    .with("MIN_COMMIT_INTERVAL_MS", &ms.to_string())
            };
            intervals.iter().map(each).collect::<Vec<_>>()
        })
        .collect();
    for (&workers, &rate) in workers
        .iter()
        .flat_map(|w| rates.iter().map(move |r| (w, r)))
    {
        println!("\n### {workers} workers, {rate} events/s\n");
        // The first of a hundred workers' runs, on a broker that has not compiled its code yet, made a
        // third of the transactions of later ones.
        trickle(broker, &variants[0], workers, rate, seconds);
        let mut trickles: Vec<Vec<Trickle>> = variants.iter().map(|_| Vec::new()).collect();
        for run in 0..runs {
            let mut order: Vec<usize> = (0..variants.len()).collect();
            order.rotate_left(run as usize % variants.len());
            for at in order {
                let trickle = trickle(broker, &variants[at], workers, rate, seconds);
                eprintln!(
                    "run {run}: {} {:.0} transactions/s, load {}",
                    variants[at],
                    trickle.transactions_per_second,
                    usage::load()
                );
                trickles[at].push(trickle);
            }
        }
        println!("| | median ms | p99 ms | transactions/s | broker, cores | matcher, cores |");
        println!("|---|---|---|---|---|---|");
        for (variant, trickles) in variants.iter().zip(&trickles) {
            let middle =
                |of: fn(&Trickle) -> f64| median(&trickles.iter().map(of).collect::<Vec<f64>>());
            println!(
                "| {variant} | {:.1} | {:.1} | {:.0} | {:.2} | {:.2} |",
                middle(|t| percentile(&t.latencies, 0.5)),
                middle(|t| percentile(&t.latencies, 0.99)),
                middle(|t| t.transactions_per_second),
                middle(|t| t.broker),
                middle(|t| t.matcher),
            );
        }
    }
}

/// An event at each tick of a clock, whether the ones before are done or not.
fn trickle(broker: &Server, variant: &Variant, workers: u32, rate: u32, seconds: u32) -> Trickle {
    let partitions = workers.max(4);
    let partitions = i32::try_from(partitions).expect("a number of partitions");
    let stage = Stage::new(broker, partitions, &[everything()]);
    let matcher = stage.matcher(variant, workers);
    let upstream = Prompt::new(&stage);
    let reader = stage.kafka.reader(&stage.topic("matches"));
    let unmeasured = WARM_UP.as_secs_f64() * f64::from(rate);
    let total = f64::from(seconds) * f64::from(rate) + unmeasured;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of events"
    )]
    let (unmeasured, total) = (unmeasured as u32, total as u32);
    let events = events(total);
    let begun = Instant::now();
    let due = |n: u32| begun + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
    let cost = || {
        let transactions = matcher
            .metric("matcher_transaction_duration_seconds_count")
            .unwrap_or_default();
        let broker = usage::cpu(stage.broker).as_secs_f64();
        let matcher = usage::cpu(matcher.pid()).as_secs_f64();
        [transactions, broker, matcher]
    };
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut latencies = Vec::new();
            for _ in 0..total {
                let seen = reader.next(Duration::from_secs(30)).expect("a match");
                let seen_at = Instant::now();
                let json = seen.json();
                let digits = json["event_id"].as_str().and_then(|id| id.get(5..));
                let n: u32 = digits.and_then(|n| n.parse().ok()).expect("our event");
                if n >= unmeasured {
                    latencies.push((seen_at - due(n)).as_secs_f64() * 1e3);
                }
            }
            latencies
        });
        let mut before = (Instant::now(), cost());
        for (n, event) in (0..).zip(&events) {
            if n == unmeasured {
                before = (Instant::now(), cost());
            }
            thread::sleep(due(n).saturating_duration_since(Instant::now()));
            upstream.send(event);
        }
        let [transactions, broker, matcher] = cost();
        let seconds = before.0.elapsed().as_secs_f64();
        Trickle {
            latencies: reading.join().expect("all matches are read"),
            transactions_per_second: (transactions - before.1[0]) / seconds,
            broker: (broker - before.1[1]) / seconds,
            matcher: (matcher - before.1[2]) / seconds,
        }
    })
}
