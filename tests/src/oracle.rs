//! What ought to match, worked out without the product's code: the campaigns are written a second
//! time here, as plain conditions on plain fields.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

/// The fields that the campaigns of these tests ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Shopping {
    /// Names the event.
    pub event_id: String,
    /// Who shops.
    pub customer_id: String,
    /// In cents.
    pub amount: u32,
    /// Country code.
    pub country: &'static str,
    /// Each with a category and a quantity.
    pub items: Vec<(&'static str, u32)>,
    /// May be absent.
    pub coupon: Option<String>,
}

const COUNTRIES: [&str; 5] = ["US", "CA", "DE", "FR", "GB"];
const CATEGORIES: [&str; 3] = ["books", "garden", "toys"];

impl Shopping {
    /// The `n`th event of a run; the same for the same arguments, so that a failure can be repeated.
    pub fn nth(run: &str, n: u64) -> Self {
        // A multiplicative hash (Knuth) spreads consecutive numbers over the fields' values.
        let mut bits = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut pick = |of: u64| {
            bits = (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (bits >> 33) % of
        };
        let index = |value: u64| usize::try_from(value).expect("a small number");
        let small = |value: u64| u32::try_from(value).expect("a small number");
        let items = (0..pick(3))
            .map(|_| (CATEGORIES[index(pick(3))], small(pick(4))))
            .collect();
        Self {
            event_id: format!("{run}-{n}"),
            customer_id: format!("{run}-customer-{}", pick(200)),
            amount: small(pick(10_000)),
            country: COUNTRIES[index(pick(5))],
            items,
            coupon: (pick(3) == 0).then(|| format!("SAVE-{}-NOW", pick(10))),
        }
    }

    /// The event as upstream produces it.
    pub fn document(&self) -> Value {
        let items: Vec<Value> = self
            .items
            .iter()
            .map(|(category, quantity)| json!({"category": category, "quantity": quantity}))
            .collect();
        let mut payload = json!({
            "amount": f64::from(self.amount) / 100.0,
            "country": self.country,
            "items": items,
        });
        if let Some(coupon) = &self.coupon {
            payload["coupon"] = json!(coupon);
        }
        json!({
            "event_id": self.event_id,
            "customer_id": self.customer_id,
            "event_type": "purchase",
            "occurred_at": Timestamp::now().to_string(),
            "payload": payload,
        })
    }

    /// The campaigns it wins.
    pub fn wins(&self) -> Vec<&'static str> {
        CAMPAIGNS
            .iter()
            .filter(|campaign| (campaign.wins)(self))
            .map(|campaign| campaign.id)
            .collect()
    }
}

/// One campaign, twice: as the product gets it and as a plain condition.
struct Campaign {
    id: &'static str,
    when: fn() -> Value,
    wins: fn(&Shopping) -> bool,
}

const CAMPAIGNS: [Campaign; 5] = [
    Campaign {
        id: "big",
        when: || json!({"payload": {"amount": [{"numeric": [">=", 50]}], "country": ["US", "CA"]}}),
        wins: |s| s.amount >= 5000 && (s.country == "US" || s.country == "CA"),
    },
    Campaign {
        // Both conditions must hold for one and the same item.
        id: "two-books",
        when: || {
            json!({"payload": {"items": {"category": ["books"],
                                         "quantity": [{"numeric": [">", 1]}]}}})
        },
        wins: |s| s.items.iter().any(|&(c, q)| c == "books" && q > 1),
    },
    Campaign {
        id: "coupon",
        when: || json!({"payload": {"coupon": [{"wildcard": "SAVE-*-NOW"}]}}),
        wins: |s| s.coupon.is_some(),
    },
    Campaign {
        id: "no-coupon-abroad",
        when: || {
            json!({"payload": {"coupon": [{"exists": false}],
                               "country": [{"anything-but": ["US", "CA"]}]}})
        },
        wins: |s| s.coupon.is_none() && s.country != "US" && s.country != "CA",
    },
    Campaign {
        id: "small-or-german",
        when: || {
            json!({"$or": [{"payload": {"amount": [{"numeric": ["<", 5]}]}},
                           {"payload": {"country": [{"prefix": "D"}]}}]})
        },
        wins: |s| s.amount < 500 || s.country == "DE",
    },
];

/// The campaigns as documents, by id.
pub fn campaigns() -> Vec<(&'static str, Value)> {
    CAMPAIGNS
        .iter()
        .map(|campaign| {
            let document = json!({
                "id": campaign.id,
                "name": campaign.id,
                "when": (campaign.when)(),
                "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
            });
            (campaign.id, document)
        })
        .collect()
}

/// An event and a campaign that it won.
pub type Pair = (String, String);

/// All pairs that ought to match.
pub fn expected<'a>(events: impl IntoIterator<Item = &'a Shopping>) -> BTreeSet<Pair> {
    let pairs = |event: &'a Shopping| {
        let wins = event.wins().into_iter();
        wins.map(|campaign| (event.event_id.clone(), campaign.to_owned()))
    };
    events.into_iter().flat_map(pairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_campaign_is_won_by_some_events_and_lost_by_others() {
        let events: Vec<_> = (0..2000).map(|n| Shopping::nth("test", n)).collect();
        for campaign in &CAMPAIGNS {
            let won = events.iter().filter(|event| (campaign.wins)(event)).count();
            assert!(
                (50..1900).contains(&won),
                "{} is won {won} times",
                campaign.id
            );
        }
    }
}
