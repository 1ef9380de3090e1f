//! A shop to measure with: its campaigns and its events.
//!
//! Campaigns are an AND of two to five conditions on event type, merchant, articles, category, coupon
//! prefix, amounts, countries, channels, tier and tags. The more there are the more specific they are, as
//! in a real shop, so that an event wins a few whatever their number. Events are purchases and other
//! things of about 420 bytes. All is made from fixed seeds: two runs decide the same.

use serde_json::{Value, json};

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

/// The key and the value of the `n`th event.
pub(crate) fn record(n: u64, occurred_at: &str) -> (String, Vec<u8>) {
    record_in(1, n, occurred_at)
}

/// The same in a shop that has so many times as many merchants, articles and tags.
pub(crate) fn record_in(breadth: u64, n: u64, occurred_at: &str) -> (String, Vec<u8>) {
    let dice = &mut Dice(n + 1);
    let event_type = if dice.below(10) < 7 {
        "purchase"
    } else {
        dice.one(&TYPES)
    };
    let items: Vec<Value> = (0..=dice.below(2))
        .map(|_| json!({"sku": format!("SKU-{:05}", dice.below(5_000 * breadth)), "quantity": 1 + dice.below(3)}))
        .collect();
    let tags: Vec<String> = (0..=dice.below(2))
        .map(|_| format!("tag-{}", dice.below(200 * breadth)))
        .collect();
    let cents = dice.below(50_000);
    let key = format!("customer-{:07}", dice.below(1_000_000));
    let event = json!({
        "event_id": format!("01JDB{:021}", n),
        "customer_id": key,
        "event_type": event_type,
        "occurred_at": occurred_at,
        "payload": {
            "order_id": format!("order-{n:09}"),
            "merchant_id": format!("merchant-{}", dice.below(2_000 * breadth)),
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
    (key, event.to_string().into_bytes())
}

/// The `n`th of so many campaigns.
pub(crate) fn campaign(n: u64, of: u64) -> Value {
    campaign_in(1, n, of)
}

/// The same in a shop that has so many times as many merchants, articles and tags.
pub(crate) fn campaign_in(breadth: u64, n: u64, of: u64) -> Value {
    let dice = &mut Dice(u64::MAX / 2 + n);
    let mut payload = json!({});
    // One condition that selects, the more the more campaigns there are.
    let broad = dice.below(of) < 10;
    match dice.below(5) {
        _ if broad => payload["category"] = json!([format!("category-{}", dice.below(40))]),
        0 | 1 => {
            payload["merchant_id"] = json!([format!("merchant-{}", dice.below(2_000 * breadth))]);
        }
        2 => {
            let skus: Vec<_> = (0..=dice.below(8))
                .map(|_| format!("SKU-{:05}", dice.below(5_000 * breadth)))
                .collect();
            payload["items"] = json!({"sku": skus});
        }
        3 => {
            payload["coupon"] = json!([{"prefix": format!("VIP-{}", dice.below(100))}]);
            payload["category"] = json!([format!("category-{}", dice.below(40))]);
        }
        _ => {
            payload["category"] = json!([format!("category-{}", dice.below(40))]);
            payload["tags"] = json!([format!("tag-{}", dice.below(200 * breadth))]);
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
    json!({
        "id": format!("campaign-{n:06}"),
        "name": "Bench",
        "when": {"event_type": [event_type], "payload": payload},
        "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
    })
}
