//! A backlog of claims, settled by one thread beside the broker: all of one campaign, and spread over several.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::servers::Server;

use crate::figures::{median, spread};
use crate::stage::{Stage, everything};
use crate::{Request, Variant, usage};

const PARTITIONS: i32 = 4;

/// Reads `claims`, `runs`, `settlers`, `of` (so many campaigns have them), and `granted`: how many of each hundred claims the
/// budgets leave room for.
pub(crate) fn measure(broker: &Server, request: &Request) {
    let claims = request.number("claims", 500_000);
    let runs = request.number("runs", 5);
    let granted = request.number("granted", 90).min(100);
    println!("{claims} claims, {granted} % granted, {runs} runs, {PARTITIONS} partitions\n");
    println!("| campaigns | settlers | claims/s, median (slowest–fastest) |");
    println!("|---|---|---|");
    for campaigns in request.numbers("of", &[1, 16]) {
        for settlers in request.numbers("settlers", &[1, 2]) {
            let mut speeds = Vec::new();
            for run in 0..runs {
                let speed = settle(broker, (claims, campaigns), (settlers, granted));
                eprintln!("run {run}: {speed:.0}/s, load {}", usage::load());
                speeds.push(speed);
            }
            eprintln!("median {:.0}/s", median(&speeds));
            println!("| {campaigns} | {settlers} | {} |", spread(&speeds));
        }
    }
}

/// Claims that are settled a second.
fn settle(
    broker: &Server,
    (claims, campaigns): (u32, u32),
    (settlers, granted): (u32, u32),
) -> f64 {
    let each = u64::from(claims) * u64::from(granted) / 100 / u64::from(campaigns);
    let documents: Vec<Value> = (0..campaigns)
        .map(|number| {
            let mut campaign = everything();
            campaign["id"] = json!(format!("budget-{number}"));
            campaign["limits"] = json!({"total": {"times": each}});
            campaign
        })
        .collect();
    let stage = Stage::new(broker, PARTITIONS, &documents);
    let topic = stage.topic("claims");
    for number in 0..claims {
        let campaign = format!("budget-{}", number % campaigns);
        let claim = claim(&stage, number, &campaign);
        stage.kafka.send_json(&topic, &campaign, &claim);
    }
    stage.kafka.flush();
    let settlers = settlers.to_string();
    let variant = Variant::plain().with("SETTLER_WORKERS", &settlers);
    let mut matcher = stage.start(&variant, 1);
    matcher.wait_ready();
    let mut first = None;
    loop {
        let done = matcher.metric("settler_claims_total").unwrap_or_default();
        let now = Instant::now();
        if done > 0.0 {
            let (begun, before) = *first.get_or_insert((now, done));
            if done >= f64::from(claims) {
                let seconds = (now - begun).as_secs_f64();
                return (f64::from(claims) - before) / seconds;
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn claim(stage: &Stage, number: u32, campaign: &str) -> Value {
    json!({
        "event_id": format!("e-{number}"), "customer_id": format!("c-{}", number % 10_000),
        "event_type": "purchase", "occurred_at": "2026-11-24T09:30:00Z", "counts_at": "2026-11-24T09:30:00Z",
        "source": {"topic": stage.topic("events"), "partition": number % PARTITIONS.cast_unsigned(), "offset": number},
        "prize": {
            "campaign_id": campaign, "campaign_version": 1, "campaigns_offset": 0,
            "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"}, "amount": "10.00",
        },
    })
}
