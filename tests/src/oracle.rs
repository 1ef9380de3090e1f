//! What ought to match, worked out without the product's code: the campaigns are written a second
//! time here, as plain conditions on plain fields.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The fields that the campaigns of these tests ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Shopping {
    /// Names the event.
    pub event_id: String,
    /// Who shops.
    pub customer_id: String,
    /// When; up to three days ago, so that a customer's events may fall into two months.
    pub occurred_at: Timestamp,
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
    /// The `n`th event of a run; but for its time the same for the same arguments, so that a failure
    /// can be repeated.
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
            occurred_at: now() - SignedDuration::from_secs(i64::from(small(pick(259_200)))),
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
            "occurred_at": self.occurred_at.to_string(),
            "payload": payload,
        })
    }
}

/// The time in microseconds, which is what an event in Avro keeps.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// One campaign, twice: as the product gets it and as a plain condition. Both may depend on its
/// version.
struct Campaign {
    id: &'static str,
    when: fn(u64) -> Value,
    wins: fn(&Shopping, u64) -> bool,
}

/// The campaign whose odd and even versions ask for different things.
pub const CHANGING: &str = "big";

const CAMPAIGNS: [Campaign; 5] = [
    Campaign {
        id: CHANGING,
        when: |version| {
            let (least, countries) = if version % 2 == 1 {
                (50, ["US", "CA"])
            } else {
                (20, ["US", "DE"])
            };
            json!({"payload": {"amount": [{"numeric": [">=", least]}], "country": countries}})
        },
        wins: |s, version| {
            if version % 2 == 1 {
                s.amount >= 5000 && (s.country == "US" || s.country == "CA")
            } else {
                s.amount >= 2000 && (s.country == "US" || s.country == "DE")
            }
        },
    },
    Campaign {
        // Both conditions must hold for one and the same item.
        id: "two-books",
        when: |_| {
            json!({"payload": {"items": {"category": ["books"],
                                         "quantity": [{"numeric": [">", 1]}]}}})
        },
        wins: |s, _| s.items.iter().any(|&(c, q)| c == "books" && q > 1),
    },
    Campaign {
        id: "coupon",
        when: |_| json!({"payload": {"coupon": [{"wildcard": "SAVE-*-NOW"}]}}),
        wins: |s, _| s.coupon.is_some(),
    },
    Campaign {
        id: "no-coupon-abroad",
        when: |_| {
            json!({"payload": {"coupon": [{"exists": false}],
                               "country": [{"anything-but": ["US", "CA"]}]}})
        },
        wins: |s, _| s.coupon.is_none() && s.country != "US" && s.country != "CA",
    },
    Campaign {
        id: "small-or-german",
        when: |_| {
            json!({"$or": [{"payload": {"amount": [{"numeric": ["<", 5]}]}},
                           {"payload": {"country": [{"prefix": "D"}]}}]})
        },
        wins: |s, _| s.amount < 500 || s.country == "DE",
    },
];

/// The ids of all campaigns.
pub fn campaigns() -> impl Iterator<Item = &'static str> {
    CAMPAIGNS.iter().map(|campaign| campaign.id)
}

/// A campaign as the product gets it.
pub fn document(id: &str, version: u64) -> Value {
    json!({
        "id": id,
        "name": id,
        "version": version,
        "when": (find(id).when)(version),
        "reward": {"kind": "credit", "amount": format!("{version}.5"), "currency": "USD"},
    })
}

/// Whether an event wins that version of a campaign.
pub fn wins(event: &Shopping, id: &str, version: u64) -> bool {
    (find(id).wins)(event, version)
}

fn find(id: &str) -> &'static Campaign {
    let found = CAMPAIGNS.iter().find(|campaign| campaign.id == id);
    found.expect("one of the campaigns above")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_campaign_is_won_by_some_events_and_lost_by_others() {
        let events: Vec<_> = (0..2000).map(|n| Shopping::nth("test", n)).collect();
        for campaign in &CAMPAIGNS {
            for version in [1, 2] {
                let won = events
                    .iter()
                    .filter(|event| (campaign.wins)(event, version));
                let won = won.count();
                assert!(
                    (50..1900).contains(&won),
                    "{} version {version} is won {won} times",
                    campaign.id
                );
            }
        }
    }

    #[test]
    fn the_versions_of_the_changing_campaign_differ_and_agree() {
        let events: Vec<_> = (0..2000).map(|n| Shopping::nth("test", n)).collect();
        for expected in [(true, true), (true, false), (false, true), (false, false)] {
            let answers = |event| (wins(event, CHANGING, 1), wins(event, CHANGING, 2));
            let such = events.iter().filter(|event| answers(event) == expected);
            assert!(such.count() > 50, "{expected:?}");
        }
    }
}
