//! Sample campaigns, and a stream of events that sometimes win them.

use jiff::Timestamp;
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use schemas::{Campaign, CustomerId, EventDocument, EventId, IdError};
use serde_json::{Map, Value, json};

const CAMPAIGNS: [&str; 5] = [
    include_str!("../../examples/campaigns/coffee-week.json"),
    include_str!("../../examples/campaigns/come-back.json"),
    include_str!("../../examples/campaigns/five-percent-back.json"),
    include_str!("../../examples/campaigns/ten-for-fifty.json"),
    include_str!("../../examples/campaigns/welcome-points.json"),
];

/// The campaigns of `examples/campaigns`.
///
/// # Errors
/// A sample is broken.
pub fn campaigns() -> Result<Vec<Campaign>, schemas::CampaignError> {
    CAMPAIGNS
        .iter()
        .map(|text| Campaign::from_json(text.as_bytes()))
        .collect()
}

/// Makes events of a small shop: purchases, sign-ups and visits of a thousand customers.
pub struct Shop {
    /// Tells the events of one start from those of another.
    run: String,
    made: u64,
}

impl Shop {
    /// A shop whose events are named after this start.
    pub fn new(run: impl Into<String>) -> Self {
        Self {
            run: run.into(),
            made: 0,
        }
    }

    /// The next event, which happens now.
    ///
    /// # Errors
    /// The name of the run is no part of an identifier.
    pub fn next_event(&mut self) -> Result<EventDocument, IdError> {
        let mut rng = rand::rng();
        self.made += 1;
        let (event_type, payload) = match rng.random_range(0..10) {
            0 => ("signup", signup(&mut rng)),
            1 => ("visit", visit(&mut rng)),
            _ => ("purchase", purchase(&mut rng)),
        };
        Ok(EventDocument {
            event_id: EventId::new(format!("{}-{}", self.run, self.made))?,
            customer_id: CustomerId::new(format!("customer-{}", rng.random_range(0..1000)))?,
            event_type: event_type.to_owned(),
            occurred_at: Timestamp::now(),
            payload,
        })
    }
}

fn pick(rng: &mut rand::rngs::ThreadRng, of: &[&'static str]) -> &'static str {
    of.choose(rng).copied().unwrap_or_default()
}

fn purchase(rng: &mut rand::rngs::ThreadRng) -> Map<String, Value> {
    let cents = rng.random_range(100..9_000);
    let category = pick(rng, &["breakfast", "books", "garden", "toys"]);
    fields(json!({
        "amount": f64::from(cents) / 100.0,
        "currency": "USD",
        "country": pick(rng, &["US", "CA", "DE", "FR", "GB"]),
        "tier": pick(rng, &["basic", "basic", "basic", "silver", "gold"]),
        "items": [{
            "sku": format!("{category}-{}", rng.random_range(1..50)),
            "category": category,
            "quantity": rng.random_range(1..4),
        }],
    }))
}

fn signup(rng: &mut rand::rngs::ThreadRng) -> Map<String, Value> {
    let domain = pick(rng, &["example.com", "example.net", "example.org"]);
    fields(json!({
        "channel": pick(rng, &["app-ios", "app-android", "web"]),
        "email": format!("someone{}@{domain}", rng.random_range(1..10_000)),
    }))
}

fn visit(rng: &mut rand::rngs::ThreadRng) -> Map<String, Value> {
    let coupon = pick(rng, &["BACK-SPRING-2026", "BACK-AUTUMN-2026", "HELLO"]);
    fields(json!({ "coupon": coupon, "days_away": rng.random_range(1..90) }))
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_campaign_is_won_by_some_event_of_the_shop() {
        let rules = campaigns()
            .unwrap()
            .into_iter()
            .map(|campaign| rules::Rule::compile(campaign).unwrap().into());
        let rules = rules::RuleSet::build(rules);
        let mut shop = Shop::new("test");
        let mut won = std::collections::BTreeSet::new();
        let mut document = schemas::Document::new();
        for _ in 0..5_000 {
            let event = serde_json::to_vec(&shop.next_event().unwrap()).unwrap();
            document.read(&event, schemas::Limits::default()).unwrap();
            let event = schemas::Event::of(&document).unwrap();
            let mut winners = Vec::new();
            rules.winners(&event, &mut winners);
            won.extend(winners.iter().map(|rule| rule.id().to_string()));
        }
        assert_eq!(won.len(), CAMPAIGNS.len(), "{won:?}");
    }
}
