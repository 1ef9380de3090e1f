//! Budgets in every currency: what is granted and taken back agrees with whole minor units, to the last one.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rules::Rule;
use rust_decimal::Decimal;
use schemas::{Campaign, Document, Event, Limits};
use serde_json::json;
use state::Trial;

/// ISO 4217, list one, by the number of decimals.
const CURRENCIES: [(u32, &str); 4] = [
    (
        0,
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    ),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY \
         COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS \
         INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR \
         MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
         STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// A purchase with its reward in minor units, or a part of an earlier purchase that comes back.
#[derive(Debug, Clone)]
enum Step {
    Buy { reward: i128, of: i128 },
    Return { which: usize, part: i128 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..5_000_000_i128, 1..1_000_000_i128).prop_map(|(reward, of)| Step::Buy { reward, of }),
        (0..12_usize, 1..600_000_i128).prop_map(|(which, part)| Step::Return { which, part }),
    ]
}

/// A match in minor units, and its purchase in hundredths.
struct Won {
    order: usize,
    reward: i128,
    of: i128,
    returned: i128,
    reversed: i128,
}

impl Won {
    /// What all that has come back is of the reward: halves away from zero.
    fn share(&self) -> i128 {
        (2 * self.reward * self.returned + self.of) / (2 * self.of)
    }
}

/// A trial that is sent one event a time.
struct Shop<'r> {
    trial: Trial<'r>,
    sent: usize,
}

impl Shop<'_> {
    /// Whether it wins.
    fn send(&mut self, kind: &str, payload: &serde_json::Value) -> bool {
        self.sent += 1;
        let event = json!({
            "event_id": format!("e-{}", self.sent), "customer_id": "c", "event_type": kind,
            "occurred_at": "2026-11-24T09:30:00Z", "payload": payload,
        });
        let mut document = Document::new();
        let event = event.to_string();
        document.read(event.as_bytes(), Limits::default()).unwrap();
        self.trial.take(&Event::of(&document).unwrap()).wins
    }

    fn buy(&mut self, order: usize, reward: Decimal, of: i128) -> bool {
        let amount = Decimal::from_i128_with_scale(of, 2).to_string();
        let payload = json!({"order": order, "amount": amount, "reward": reward.to_string()});
        self.send("buy", &payload)
    }

    fn give_back(&mut self, order: usize, part: i128) {
        let amount = Decimal::from_i128_with_scale(part, 2).to_string();
        self.send("refund", &json!({"order": order, "amount": amount}));
    }
}

fn rule(currency: &str, budget: Decimal) -> Rule {
    let campaign = json!({
        "id": "ten", "name": "Ten", "when": {"event_type": ["buy"]},
        "reward": {"kind": "credit", "amount": "payload.reward", "currency": currency},
        "limits": {"total": {"amount": budget.to_string()}},
        "reverse_on": {"event_type": ["refund"], "same": "payload.order", "amount": "payload.amount"},
    });
    Rule::compile(Campaign::from_json(campaign.to_string().as_bytes()).unwrap()).unwrap()
}

fn check(currency: &str, decimals: u32, budget: i128, steps: &[Step]) -> Result<(), TestCaseError> {
    let money = |units: i128| Decimal::from_i128_with_scale(units, decimals);
    let rule = rule(currency, money(budget));
    let mut shop = Shop {
        trial: Trial::new(&rule),
        sent: 0,
    };
    let mut won: Vec<Won> = Vec::new();
    let used = |won: &[Won]| -> i128 { won.iter().map(|it| it.reward - it.reversed).sum() };
    for (order, step) in steps.iter().enumerate() {
        match *step {
            Step::Buy { reward, of } => {
                let fits = used(&won) + reward <= budget;
                let wins = shop.buy(order, money(reward), of);
                prop_assert_eq!(wins, fits, "{} of {}: {}", used(&won), budget, reward);
                if fits {
                    won.push(Won {
                        order,
                        reward,
                        of,
                        returned: 0,
                        reversed: 0,
                    });
                }
            }
            Step::Return { which, part } => {
                let Some(it) = won.get_mut(which) else {
                    continue;
                };
                shop.give_back(it.order, part);
                it.returned = (it.returned + part).min(it.of);
                let reversed = it.share();
                let told: Decimal = (shop.trial.take_sequels().iter())
                    .filter_map(|it| it.reversal.as_ref()?.amount)
                    .sum();
                prop_assert_eq!(told, money(reversed - it.reversed));
                it.reversed = reversed;
            }
        }
        let rest = used(&won);
        prop_assert!((0..=budget).contains(&rest), "{rest} of {budget}");
    }
    // When all has come back, all of it is there again, and no more.
    for it in &won {
        shop.give_back(it.order, it.of);
    }
    let last = steps.len();
    prop_assert!(!shop.buy(last, money(budget + 1), 1), "one unit too much");
    prop_assert!(shop.buy(last + 1, money(budget), 1));
    prop_assert!(!shop.buy(last + 2, money(1), 1), "nothing is left");
    Ok(())
}

#[test]
fn budgets_are_exact_to_the_minor_unit_in_every_currency() {
    let mut count = 0;
    for (decimals, currencies) in CURRENCIES {
        for currency in currencies.split(' ') {
            count += 1;
            let found = schemas::currency::minor_units(currency);
            assert_eq!(found, Some(decimals), "{currency}");
            let config = Config {
                cases: 12,
                failure_persistence: None,
                ..Config::default()
            };
            let cases = (1..20_000_000_i128, prop::collection::vec(step(), 1..40));
            let mut runner = TestRunner::new(config);
            let tried = runner.run(&cases, |(budget, steps)| {
                check(currency, decimals, budget, &steps)
            });
            tried.unwrap_or_else(|error| panic!("{currency}: {error}"));
        }
    }
    assert!(count > 150, "{count} currencies");
}
