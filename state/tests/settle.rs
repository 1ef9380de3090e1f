//! Claims and budgets, one at a time.

use rules::Rule;
use schemas::{Campaign, Claim, RefusalReason};
use serde_json::{Value as Json, json};
use state::settle::{KEPT, Settled, reset, settle, spent};
use state::{Arrival, Partition};

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_793_361_600_000;

fn rule(total: &Json) -> Rule {
    let campaign = json!({
        "id": "ten", "name": "Ten", "when": {"event_type": ["buy"]}, "reward": {"kind": "custom"},
        "limits": {"total": total},
    });
    Rule::compile(Campaign::from_json(campaign.to_string().as_bytes()).unwrap()).unwrap()
}

/// A settler, whose claims come one after the other.
#[derive(Default)]
struct Desk {
    partition: Partition,
    offset: i64,
}

impl Desk {
    fn arrival(&mut self) -> Arrival {
        self.offset += 1;
        Arrival {
            offset: self.offset,
            time: NOW,
        }
    }

    /// Settles a claim of that amount and time: granted or why not, and the percents that are told.
    fn claim(
        &mut self,
        rule: Option<&Rule>,
        amount: &str,
        at: i64,
        store: Option<&str>,
    ) -> (String, Vec<u8>) {
        let arrival = self.arrival();
        let at = jiff::Timestamp::from_millisecond(at).unwrap();
        let mut claim = json!({
            "event_id": format!("e-{}", self.offset), "customer_id": "c", "event_type": "buy", "occurred_at": at,
            "counts_at": at, "source": {"topic": "events", "partition": 0, "offset": self.offset},
            "prize": {
                "campaign_id": "ten", "campaign_version": 1, "campaigns_offset": 0, "reward": {"kind": "custom"},
                "amount": amount,
            },
        });
        if let Some(store) = store {
            claim["prize"]["by"] = json!({"payload.store": store});
        }
        let claim: Claim<'static> = serde_json::from_str(&claim.to_string()).unwrap();
        let told =
            |marks: Vec<state::settle::Mark<'_>>| marks.iter().map(|it| it.percent).collect();
        match settle(&claim, arrival, rule, &mut self.partition).unwrap() {
            Settled::Granted { marks, percent, .. } => {
                let rule = rule.expect("a campaign that grants is there");
                let asked = state::settle::percent(&claim, rule, &mut self.partition);
                assert_eq!(percent, asked.unwrap());
                ("granted".to_owned(), told(marks))
            }
            Settled::Refused { reason, marks, .. } => (reason.as_str().to_owned(), told(marks)),
            Settled::TakenBefore => panic!("it is new"),
        }
    }

    fn grants(&mut self, rule: &Rule, amount: &str) -> bool {
        self.claim(Some(rule), amount, NOW, None).0 == "granted"
    }
}

#[test]
fn a_budget_that_is_lowered_refuses_all_and_one_that_is_raised_goes_on() {
    let (mut desk, hundred) = (Desk::default(), rule(&json!({"amount": 100})));
    assert!(desk.grants(&hundred, "60.01"));
    assert!(!desk.grants(&hundred, "40"), "a cent too much");
    assert!(desk.grants(&hundred, "39.99"), "to the cent");
    let lowered = rule(&json!({"amount": 50}));
    assert!(!desk.grants(&lowered, "0.01") && !desk.grants(&lowered, "0"));
    let raised = rule(&json!({"amount": 101}));
    assert!(desk.grants(&raised, "1") && !desk.grants(&raised, "0.01"));
    let arrival = desk.arrival();
    reset("other", arrival, &mut desk.partition).unwrap();
    assert!(!desk.grants(&raised, "1"), "another campaign's");
    let arrival = desk.arrival();
    reset("ten", arrival, &mut desk.partition).unwrap();
    assert!(desk.grants(&raised, "101"));
}

#[test]
fn each_day_and_each_store_has_a_budget_of_its_own() {
    let limits = json!([{"times": 1, "per": "day", "by": "payload.store"}, {"times": 4}]);
    let (mut desk, rule) = (Desk::default(), rule(&limits));
    let mut claim = |at, store| desk.claim(Some(&rule), "1", at, store).0;
    assert_eq!(claim(NOW, Some("a")), "granted");
    assert_eq!(claim(NOW, Some("a")), "budget_used_up");
    assert_eq!(claim(NOW, Some("b")), "granted");
    assert_eq!(claim(NOW, None), "granted");
    assert_eq!(claim(NOW, None), "budget_used_up");
    assert_eq!(claim(NOW - DAY, Some("a")), "granted");
    assert_eq!(
        claim(NOW - 2 * DAY, Some("a")),
        "budget_used_up",
        "of all stores and days"
    );
    let account = desk
        .partition
        .customer("ten\u{1f}payload.store\u{1f}a")
        .unwrap()
        .unwrap();
    let used = spent(&rule, "ten\u{1f}payload.store\u{1f}a", &account);
    let used: Vec<_> = used
        .iter()
        .map(|it| (it.value.as_deref(), it.used.times))
        .collect();
    assert_eq!(used, [(Some("a"), 1), (Some("a"), 1)], "one each day");
}

#[test]
fn what_is_used_is_told_once_for_each_size_of_the_budget() {
    let mut desk = Desk::default();
    let ten = rule(&json!({"times": 10}));
    let mut told = |rule: &Rule, claims: usize| -> Vec<u8> {
        let told = (0..claims).map(|_| desk.claim(Some(rule), "1", NOW, None).1);
        told.flatten().collect()
    };
    assert!(told(&ten, 4).is_empty());
    assert_eq!(told(&ten, 4), [50, 80]);
    assert_eq!(told(&ten, 4), [100], "and not again with what is refused");
    assert_eq!(
        told(&rule(&json!({"times": 20})), 1),
        [50],
        "a budget of another size"
    );
    let big = rule(&json!({"amount": 100}));
    let mut desk = Desk::default();
    assert_eq!(desk.claim(Some(&big), "99", NOW, None).1, [50, 80]);
    assert_eq!(
        desk.claim(Some(&big), "2", NOW, None).1,
        [100],
        "nothing more of that size fits"
    );
    assert_eq!(
        desk.claim(Some(&big), "1", NOW, None),
        ("granted".to_owned(), vec![])
    );
}

#[test]
fn what_no_budget_is_kept_of_is_refused() {
    let mut desk = Desk::default();
    let reason = |reason: RefusalReason| (reason.as_str().to_owned(), vec![]);
    assert_eq!(
        desk.claim(None, "1", NOW, None),
        reason(RefusalReason::CampaignGone)
    );
    let daily = rule(&json!({"times": 1, "per": "day"}));
    assert_eq!(desk.claim(Some(&daily), "1", NOW - KEPT, None).0, "granted");
    assert_eq!(
        desk.claim(Some(&daily), "1", NOW - KEPT - 1, None),
        reason(RefusalReason::TooLate)
    );
    let ever = rule(&json!({"times": 9}));
    assert_eq!(
        desk.claim(Some(&ever), "1", NOW - KEPT - 1, None).0,
        "granted"
    );
}
