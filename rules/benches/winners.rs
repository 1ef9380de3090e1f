//! How many events a second one thread decides, by the number of campaigns.
//!
//! `cargo bench -p rules --bench winners` prints a table: the median of several rounds with and without
//! the reading of the event, the fastest and the slowest round, and the matches an event has.
//!
//! Campaigns are an AND of two to five conditions on event type, merchant, articles, category, coupon
//! prefix, amounts, countries, channels, tier and tags. The more there are the more specific they are, as
//! in a real shop, so that an event wins a few whatever their number. Events are purchases and other
//! things of about 420 bytes. All is made from fixed seeds: two runs decide the same.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rules::{Rule, RuleSet};
use schemas::{Campaign, Document, Event, Limits};
use serde_json::{Value, json};

const SIZES: [u64; 4] = [10, 100, 1_000, 10_000];
const EVENTS: u64 = 2_000;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(300);

fn main() {
    let events: Vec<Vec<u8>> = (0..EVENTS).map(event).collect();
    let bytes = events.iter().map(Vec::len).sum::<usize>() / events.len();
    println!("events of {bytes} bytes on average, {ROUNDS} rounds of {ROUND:?}, one thread\n");
    println!(
        "| rules | build ms | events/s | slowest | fastest | without reading | matches/event |"
    );
    println!("|---|---|---|---|---|---|---|");
    for size in SIZES {
        let rules: Vec<_> = (0..size).map(|n| rule(n, size)).collect();
        let started = Instant::now();
        let set = RuleSet::build(rules);
        let build = started.elapsed();

        let mut document = Document::new();
        let mut winners = Vec::new();
        let mut matched = 0;
        let read = rounds(&events, |bytes| {
            document
                .read(bytes, Limits::default())
                .expect("the event is JSON");
            let event = Event::of(&document).expect("the event is whole");
            set.winners(&event, &mut winners);
            matched += winners.len();
            black_box(&winners);
        });

        let documents: Vec<Document> = events.iter().map(|bytes| decoded(bytes)).collect();
        let ready: Vec<Event<'_>> = documents
            .iter()
            .map(|document| Event::of(document).expect("the event is whole"))
            .collect();
        let mut winners = Vec::new();
        let only = rounds(&ready, |event| {
            set.winners(event, &mut winners);
            black_box(&winners);
        });

        let decided: u64 = read.iter().map(|round| round.events).sum();
        println!(
            "| {size} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} |",
            build.as_secs_f64() * 1e3,
            read[ROUNDS / 2].per_second,
            read[0].per_second,
            read[ROUNDS - 1].per_second,
            only[ROUNDS / 2].per_second,
            ratio(matched as u64, decided),
        );
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
            let started = Instant::now();
            let mut count = 0;
            while started.elapsed() < ROUND {
                events.iter().for_each(&mut decide);
                count += events.len() as u64;
            }
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
            let per_second = count as f64 / started.elapsed().as_secs_f64();
            Round {
                events: count,
                per_second,
            }
        })
        .collect();
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds
}

fn decoded(bytes: &[u8]) -> Document {
    let mut document = Document::new();
    document
        .read(bytes, Limits::default())
        .expect("the event is JSON");
    document
}

/// Numbers that look random and are always the same (splitmix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let index = self.below(of.len() as u64);
        of[usize::try_from(index).expect("the index of a small array")]
    }
}

const TYPES: [&str; 4] = ["purchase", "visit", "signup", "review"];
const COUNTRIES: [&str; 12] = [
    "US", "CA", "GB", "DE", "FR", "ES", "IT", "NL", "SE", "PL", "JP", "AU",
];
const CHANNELS: [&str; 5] = ["web", "app", "store", "phone", "partner"];
const TIERS: [&str; 4] = ["none", "silver", "gold", "platinum"];

fn event(n: u64) -> Vec<u8> {
    let dice = &mut Dice(n + 1);
    let event_type = if dice.below(10) < 7 {
        "purchase"
    } else {
        dice.one(&TYPES)
    };
    let items: Vec<Value> = (0..=dice.below(2))
        .map(|_| json!({"sku": format!("SKU-{:05}", dice.below(5_000)), "quantity": 1 + dice.below(3)}))
        .collect();
    let tags: Vec<String> = (0..=dice.below(2))
        .map(|_| format!("tag-{}", dice.below(200)))
        .collect();
    let cents = dice.below(50_000);
    let event = json!({
        "event_id": format!("01JDB{:021}", n),
        "customer_id": format!("customer-{:07}", dice.below(1_000_000)),
        "event_type": event_type,
        "occurred_at": "2026-11-24T09:30:00.123Z",
        "payload": {
            "order_id": format!("order-{n:09}"),
            "merchant_id": format!("merchant-{}", dice.below(2_000)),
            "category": format!("category-{}", dice.below(40)),
            "amount": f64::from(u32::try_from(cents).expect("below 50,000")) / 100.0,
            "currency": "USD",
            "country": dice.one(&COUNTRIES),
            "channel": dice.one(&CHANNELS),
            "tier": dice.one(&TIERS),
            "coupon": format!("{}-{}", dice.one(&["SPRING", "SUMMER", "VIP", "NONE"]), dice.below(1_000)),
            "tags": tags,
            "items": items,
        },
    });
    event.to_string().into_bytes()
}

fn rule(n: u64, of: u64) -> Arc<Rule> {
    let dice = &mut Dice(u64::MAX / 2 + n);
    let mut payload = json!({});
    // One condition that selects, the more the more campaigns there are.
    let broad = dice.below(of) < 10;
    match dice.below(5) {
        _ if broad => payload["category"] = json!([format!("category-{}", dice.below(40))]),
        0 | 1 => payload["merchant_id"] = json!([format!("merchant-{}", dice.below(2_000))]),
        2 => {
            let skus: Vec<_> = (0..=dice.below(8))
                .map(|_| format!("SKU-{:05}", dice.below(5_000)))
                .collect();
            payload["items"] = json!({"sku": skus});
        }
        3 => {
            payload["coupon"] = json!([{"prefix": format!("VIP-{}", dice.below(100))}]);
            payload["category"] = json!([format!("category-{}", dice.below(40))]);
        }
        _ => {
            payload["category"] = json!([format!("category-{}", dice.below(40))]);
            payload["tags"] = json!([format!("tag-{}", dice.below(200))]);
        }
    }
    // And up to three that do not.
    for _ in 0..dice.below(4) {
        let from = dice.below(300);
        match dice.below(6) {
            0 => payload["amount"] = json!([{"numeric": [">=", from]}]),
            1 => payload["amount"] = json!([{"numeric": [">=", from, "<", from + 100]}]),
            2 => payload["country"] = json!([dice.one(&COUNTRIES), dice.one(&COUNTRIES)]),
            3 => payload["channel"] = json!([{"anything-but": [dice.one(&CHANNELS)]}]),
            4 => payload["tier"] = json!(["gold", "platinum"]),
            _ => payload["country"] = json!([{"anything-but": [dice.one(&COUNTRIES)]}]),
        }
    }
    let event_type = if dice.below(10) < 8 {
        "purchase"
    } else {
        dice.one(&TYPES)
    };
    let campaign = json!({
        "id": format!("campaign-{n:06}"),
        "name": "Bench",
        "when": {"event_type": [event_type], "payload": payload},
        "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
    });
    let campaign = Campaign::from_json(campaign.to_string().as_bytes()).expect("it is a campaign");
    Arc::new(Rule::compile(campaign).expect("its pattern is right"))
}
