//! What campaigns and events cost that are hard on an index, beside the plain case.
//!
//! `cargo bench -p rules --bench hard` prints two tables: an event by the kind of campaigns, and huge events of nested
//! arrays by their size. Medians of rounds, reading included, one thread; a second is one on the clock.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rules::{Decider, Rule, RuleSet};
use schemas::{Campaign, Limits, Reader};
use serde_json::{Value, json};

/// As in the matcher.
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(200);

fn main() {
    println!("| campaigns | µs an event | times the plain case | matches/event | ns a match |");
    println!("|---|---|---|---|---|");
    let plain = row(
        "plain: 10,000, each a merchant and an amount",
        None,
        &plain(10_000),
    );
    for (name, campaigns) in [
        ("one with 10,000 SKUs beside 10,000 plain ones", with_skus()),
        (
            "50,000 that share one value, each with an article of its own",
            sharing(|n| json!({"items": {"sku": [format!("SKU-{n:05}")]}})),
        ),
        (
            "50,000 that share one value, each with a narrow range of amounts",
            sharing(|n| json!({"amount": [{"numeric": [">=", n, "<", n + 3]}]})),
        ),
        (
            "100 with $or within $or within $or, 800 ways each",
            deep_or(),
        ),
        (
            "10,000 with anything-but alone, of which an event meets nearly all",
            anything_but(
                |n| json!({"channel": [{"anything-but": [format!("channel-{}", n % 50)]}]}),
            ),
        ),
        (
            "10,000 with anything-but alone, of which an event meets none",
            anything_but(
                |n| json!({"channel": [{"anything-but": ["web", format!("channel-{n}")]}]}),
            ),
        ),
    ] {
        row(name, Some(plain), &campaigns);
    }
    println!("\n| an event of nested arrays | µs | ns a byte |");
    println!("|---|---|---|");
    let rules = rule_set(&plain_campaigns_on_arrays());
    for kibibytes in [1, 10, 100, 1_000] {
        for (name, element) in [
            ("[[…]]", "[[[[1],2],[3]],[]]"),
            ("[{…}]", r#"{"sku":[["a"],{"x":1}]}"#),
        ] {
            let event = nested(kibibytes * 1_000, element);
            let (time, _) = measure(&rules, std::slice::from_ref(&event));
            let bytes = f64::from(u32::try_from(event.len()).expect("at most 1 MiB"));
            println!(
                "| {name}, {kibibytes} KB | {:.1} | {:.2} |",
                time * 1e6,
                time * 1e9 / bytes
            );
        }
    }
}

/// Prints a row and says how many seconds an event took.
fn row(name: &str, plain: Option<f64>, campaigns: &[Value]) -> f64 {
    let rules = rule_set(campaigns);
    let events: Vec<_> = (0..500).map(event).collect();
    let (time, matches) = measure(&rules, &events);
    let times = plain.map_or_else(|| "1".to_owned(), |plain| format!("{:.1}", time / plain));
    let each = if matches > 0.0 {
        format!("{:.1}", time * 1e9 / matches)
    } else {
        String::new()
    };
    println!(
        "| {name} | {:.2} | {times} | {matches:.2} | {each} |",
        time * 1e6
    );
    time
}

/// Seconds and matches an event.
fn measure(rules: &RuleSet, events: &[String]) -> (f64, f64) {
    let limits = Limits {
        max_bytes: 2 << 20,
        ..Limits::default()
    };
    let mut decider = Decider::new(Reader::default(), limits);
    let mut winners = Vec::new();
    let mut matches = 0;
    let mut count = 0;
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            let before = count;
            while started.elapsed() < ROUND {
                for event in events {
                    let event = decider.decide(event.as_bytes(), rules, &mut winners);
                    black_box(event.expect("the event is whole"));
                    matches += winners.len();
                    count += 1;
                }
            }
            started.elapsed().as_secs_f64() / ratio(count - before, 1)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    (rounds[ROUNDS / 2], ratio(matches, count))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn ratio(count: usize, of: usize) -> f64 {
    count as f64 / of as f64
}

fn rule_set(campaigns: &[Value]) -> RuleSet {
    let numbered = campaigns.iter().enumerate();
    RuleSet::build(numbered.map(|(n, when)| {
        let campaign = json!({
            "id": format!("campaign-{n:06}"), "name": "Bench", "when": when, "reward": {"kind": "custom"},
        });
        let campaign = Campaign::from_json(campaign.to_string().as_bytes());
        Arc::new(Rule::compile(campaign.expect("it is a campaign")).expect("its pattern is right"))
    }))
}

fn event(n: usize) -> String {
    json!({
        "event_id": format!("01JDB{n:021}"),
        "customer_id": format!("customer-{:07}", n * 7919 % 1_000_000),
        "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00.123Z",
        "payload": {
            "order_id": format!("order-{n:09}"),
            "merchant_id": format!("merchant-{}", n * 31 % 2_000),
            "category": format!("category-{}", n % 40),
            "amount": n * 97 % 50_000,
            "currency": "USD",
            "channel": "web",
            "country": "US",
            "tags": [format!("tag-{}", n % 200)],
            "items": [
                {"sku": format!("SKU-{:05}", n * 13 % 50_000), "quantity": 1},
                {"sku": format!("SKU-{:05}", n * 17 % 50_000), "quantity": 2},
            ],
        },
    })
    .to_string()
}

fn purchase(payload: &Value) -> Value {
    json!({"event_type": ["purchase"], "payload": payload})
}

fn plain(count: usize) -> Vec<Value> {
    let payload = |n: usize| {
        json!({
            "merchant_id": [format!("merchant-{}", n % 2_000)],
            "amount": [{"numeric": [">=", n % 300 * 100]}],
        })
    };
    (0..count).map(|n| purchase(&payload(n))).collect()
}

fn with_skus() -> Vec<Value> {
    let skus: Vec<_> = (0..10_000).map(|n| format!("SKU-{n:05}")).collect();
    let mut campaigns = plain(10_000);
    campaigns.push(purchase(&json!({"items": {"sku": skus}})));
    campaigns
}

fn sharing(other: impl Fn(usize) -> Value) -> Vec<Value> {
    let campaign = |n| {
        let mut payload = other(n);
        payload["country"] = json!(["US"]);
        purchase(&payload)
    };
    (0..50_000).map(campaign).collect()
}

/// Ten, ten and eight ways to meet three levels.
fn deep_or() -> Vec<Value> {
    let ways = |field: &str, from: usize| -> Vec<Value> {
        let way = |n: usize| json!({field: [format!("{field}-{}", from + n)]});
        (0..8).map(way).collect()
    };
    let campaign = |n: usize| {
        let inner: Vec<Value> = (0..10)
            .map(|k| {
                let ways = ways("tags", n + k);
                json!({"merchant_id": [format!("merchant-{}", n * 10 + k)], "$or": ways})
            })
            .collect();
        let outer: Vec<Value> = (0..10)
            .map(|k| json!({"category": [format!("category-{k}")], "$or": inner}))
            .collect();
        json!({"event_type": ["purchase"], "payload": {"$or": outer}})
    };
    (0..100).map(campaign).collect()
}

fn anything_but(payload: impl Fn(usize) -> Value) -> Vec<Value> {
    let campaign = |n| json!({"payload": payload(n)});
    (0..10_000).map(campaign).collect()
}

fn plain_campaigns_on_arrays() -> Vec<Value> {
    let mut campaigns = plain(1_000);
    campaigns.push(json!({"payload": {"items": {"sku": ["b"], "x": [2]}}}));
    campaigns
}

/// An event whose items are so many bytes of arrays.
fn nested(bytes: usize, element: &str) -> String {
    let mut event = json!({
        "event_id": "e", "customer_id": "c", "event_type": "purchase", "occurred_at": "2026-11-24T09:30:00Z",
    })
    .to_string();
    event.pop();
    event.push_str(r#","payload":{"items":["#);
    while event.len() + element.len() + 4 < bytes {
        let _ = write!(event, "{element},");
    }
    event.push_str("1]}}");
    event
}
