//! Claims whose matches are held or come back, one case at a time: what a return finds before and after the settler's word,
//! and what budgets get back.

use rules::{Rule, RuleSet};
use schemas::{Campaign, Claim, GivenBack, Grant, Limits, Reader, Source, Span};
use serde_json::{Value as Json, json};
use state::settle::{Settled, reset, settle, spent};
use state::{
    Arrival, Decided, Due, Engine, EventTimes, Members, Partition, Told, Winners, claim, give_back,
};

/// The time of the first events, 2026-10-30T12:00:00Z.
const NOW: i64 = 1_793_361_600_000;
const DAY: i64 = 86_400_000;

/// A matcher and a settler, each with its log.
struct Desk {
    rule: Rule,
    rules: RuleSet,
    engine: Engine,
    customers: Partition,
    next_event: i64,
    budgets: Partition,
    next_claim: i64,
}

fn rule(fields: &Json) -> Rule {
    let mut campaign = json!({
        "id": "ten", "name": "Ten", "when": {"event_type": ["buy"]},
        "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
        "limits": {"total": {"amount": "15"}},
        "reverse_on": {"event_type": ["refund"], "same": "payload.order", "amount": "payload.amount"},
    });
    for (name, value) in fields.as_object().unwrap() {
        campaign[name] = value.clone();
    }
    Rule::compile(Campaign::from_json(campaign.to_string().as_bytes()).unwrap()).unwrap()
}

impl Desk {
    fn new(fields: &Json) -> Self {
        let times = EventTimes {
            dedup_window: Span::parse("7d").unwrap(),
            max_ahead: Span::MAX,
        };
        let mut desk = Self {
            rule: rule(fields),
            rules: RuleSet::default(),
            engine: Engine::new(Reader::json(), Limits::default(), times),
            customers: Partition::default(),
            next_event: 0,
            budgets: Partition::default(),
            next_claim: 0,
        };
        desk.change(fields);
        desk
    }

    fn change(&mut self, fields: &Json) {
        self.rule = rule(fields);
        self.rules = RuleSet::build([std::sync::Arc::new(rule(fields))]);
    }

    fn arrival(&mut self, time: i64) -> Arrival {
        self.next_event += 1;
        Arrival {
            offset: self.next_event,
            time,
        }
    }

    fn claims_arrival(&mut self) -> Arrival {
        self.next_claim += 1;
        Arrival {
            offset: self.next_claim,
            time: NOW,
        }
    }

    /// A purchase: the claim that it makes.
    fn buy(&mut self, order: u32, amount: u32, at: i64) -> Claim<'static> {
        let claims = self.event(
            "buy",
            &json!({"order": order, "amount": amount, "store": "x"}),
            at,
        );
        let [claim] = <[_; 1]>::try_from(claims).expect("one claim");
        claim
    }

    /// A return; what it makes of matches, and what it gives back.
    fn refund(&mut self, order: u32, amount: &Json) -> Vec<Told> {
        let payload = json!({"order": order, "amount": amount});
        let claims = self.event("refund", &payload, NOW);
        assert!(claims.is_empty());
        self.follow()
    }

    fn event(&mut self, kind: &str, payload: &Json, at: i64) -> Vec<Claim<'static>> {
        let arrival = self.arrival(at);
        let event = json!({
            "event_id": format!("e-{}", arrival.offset), "customer_id": "c", "event_type": kind,
            "occurred_at": jiff::Timestamp::from_millisecond(at).unwrap(), "payload": payload,
        });
        let event = event.to_string();
        let mut winners = Winners::default();
        let customers = &mut self.customers;
        let decided = (self.engine).decide(
            event.as_bytes(),
            arrival,
            &self.rules,
            (customers, &mut &Members::default()),
            &mut winners,
        );
        let Decided::New(event, _) = decided.unwrap() else {
            panic!("it is new");
        };
        let source = || Source {
            topic: "events".into(),
            partition: 0,
            offset: arrival.offset,
        };
        let claims = winners.won.iter();
        let claims = claims.map(|rule| claim(rule, &event, source(), &winners).unwrap());
        claims.map(Claim::into_owned).collect()
    }

    /// The settler's word on a claim: the record that goes back to the matcher if it is granted.
    fn settle(&mut self, claim: &Claim<'static>) -> Option<Claim<'static>> {
        let arrival = self.claims_arrival();
        let settled = settle(claim, arrival, Some(&self.rule), &mut self.budgets).unwrap();
        let Settled::Granted { counted, .. } = settled else {
            return None;
        };
        let mut claim = claim.clone();
        claim.granted = Some(Grant {
            claim: arrival.offset,
            granted_at: jiff::Timestamp::from_millisecond(NOW + 1).unwrap(),
            counted,
        });
        Some(claim)
    }

    /// The matcher takes in that a claim was granted.
    fn hear(&mut self, granted: &Claim<'static>) -> Vec<Told> {
        let arrival = self.arrival(NOW);
        let json = serde_json::to_vec(granted).unwrap();
        let told = (Some(&b"c"[..]), Some(&json[..]));
        let heard = self.engine.granted(told, arrival, &mut self.customers);
        assert!(heard.unwrap());
        self.follow()
    }

    fn settle_and_hear(&mut self, claim: &Claim<'static>) -> bool {
        if let Some(granted) = self.settle(claim) {
            self.hear(&granted);
            return true;
        }
        let amends = (self.engine).amend(claim.clone(), &self.rules, &mut self.customers);
        assert!(amends.unwrap().won.is_empty());
        false
    }

    /// What was made of matches; the settler takes in what is given back.
    fn follow(&mut self) -> Vec<Told> {
        let sequels = self.engine.take_sequels();
        for sequel in &sequels {
            let Some(given) = sequel.given_back() else {
                continue;
            };
            let json = serde_json::to_string(&given).unwrap();
            let given: GivenBack<'static> = serde_json::from_str(&json).unwrap();
            let arrival = self.claims_arrival();
            give_back(&given, arrival, Some(&self.rule), &mut self.budgets).unwrap();
        }
        sequels.iter().map(Told::of).collect()
    }

    /// What is used of the first budget, in each of its stretches.
    fn used(&self, id: &str) -> Vec<(u64, String)> {
        let account = self.budgets.customer(id).unwrap().unwrap_or_default();
        let used = spent(&self.rule, id, &account);
        let used = used.iter();
        used.map(|it| (it.used.times, it.used.amount.normalize().to_string()))
            .collect()
    }

    fn confirmed(&mut self, until: i64) -> usize {
        let customers = &mut self.customers;
        customers.changes(|_| {}).commit(None).unwrap();
        let due = self.engine.next_due(until, &self.rules, customers).unwrap();
        let confirmed = due.iter().filter(|due| matches!(due, Due::Sequel { .. }));
        confirmed.count()
    }
}

fn amounts(told: &[Told]) -> Vec<String> {
    let amounts = told.iter().filter_map(|it| it.amount);
    amounts.map(|it| it.to_string()).collect()
}

#[test]
fn a_return_before_the_settler_has_decided_takes_back_what_is_granted_and_nothing_of_what_is_refused()
 {
    let mut desk = Desk::new(&json!({}));
    let (first, second) = (desk.buy(1, 80, NOW), desk.buy(2, 80, NOW));
    assert!(desk.refund(1, &json!(20)).is_empty(), "it is no match yet");
    assert!(desk.refund(2, &json!(80)).is_empty());
    let granted = desk.settle(&first).unwrap();
    assert_eq!(amounts(&desk.hear(&granted)), ["2.5"]);
    assert_eq!(desk.used("ten"), [(1, "7.5".to_owned())]);
    // The budget has 7.50 left, so the second is refused, and its return finds nothing.
    assert!(!desk.settle_and_hear(&second));
    assert!(desk.refund(2, &json!(80)).is_empty());
    assert_eq!(amounts(&desk.refund(1, &json!(30))), ["3.75"]);
    assert_eq!(
        amounts(&desk.refund(1, &json!(1_000))),
        ["3.75"],
        "the rest"
    );
    assert!(desk.refund(1, &json!(10)).is_empty(), "nothing is left");
    assert_eq!(desk.used("ten"), [(0, "0".to_owned())]);
    let third = desk.buy(3, 80, NOW);
    assert!(desk.settle_and_hear(&third), "the budget is free again");
}

#[test]
fn the_word_of_the_settler_is_heard_once_and_of_what_was_asked_for_only() {
    let mut desk = Desk::new(&json!({"hold": "1d"}));
    let claim = desk.buy(1, 80, NOW);
    let granted = desk.settle(&claim).unwrap();
    assert_eq!(desk.confirmed(NOW + DAY), 0, "it is not granted yet");
    let mut other = granted.clone();
    other.event_id = "e-99".into();
    desk.hear(&other);
    assert_eq!(desk.confirmed(NOW + DAY), 0, "nobody asked for that");
    desk.hear(&granted);
    desk.hear(&granted);
    assert_eq!(desk.confirmed(NOW + DAY - 1), 0);
    assert_eq!(desk.confirmed(NOW + DAY), 1);
    assert_eq!(desk.confirmed(NOW + 9 * DAY), 0);
}

#[test]
fn a_claim_that_is_decided_after_the_dedup_window_is_held_and_taken_back_all_the_same() {
    let mut desk = Desk::new(&json!({"hold": "1d"}));
    let (first, second) = (desk.buy(1, 80, NOW), desk.buy(2, 80, NOW));
    // Ten days pass, and the customer comes back: the events are forgotten.
    desk.buy(3, 1, NOW + 10 * DAY);
    assert!(desk.settle_and_hear(&first));
    assert!(!desk.settle_and_hear(&second));
    desk.event("refund", &json!({"order": 1, "amount": 8}), NOW + 10 * DAY);
    assert_eq!(amounts(&desk.follow()), ["1"]);
    assert_eq!(desk.confirmed(NOW + 10 * DAY), 1);
    // Only the third is asked for still.
    let customer = desk.customers.customer("c").unwrap().unwrap();
    let asked = customer.open().iter().filter(|won| won.is_asked());
    assert_eq!(asked.count(), 1);
}

#[test]
fn who_was_forgotten_is_not_made_again_by_what_the_settler_says() {
    let mut desk = Desk::new(&json!({"hold": "1d"}));
    let claim = desk.buy(1, 80, NOW);
    let granted = desk.settle(&claim).unwrap();
    let arrival = desk.arrival(NOW);
    let key = Some(&b"c"[..]);
    (desk
        .engine
        .control(b"erase", key, arrival, &mut desk.customers))
    .unwrap();
    desk.customers.changes(|_| {}).commit(None).unwrap();
    assert!(desk.hear(&granted).is_empty());
    assert_eq!(desk.customers.customer("c").unwrap(), None);
    assert_eq!(desk.confirmed(NOW + DAY), 0);
}

#[test]
fn a_return_of_the_whole_takes_back_all_that_was_claimed_before_it_and_nothing_that_came_later() {
    let whole = json!({
        "reverse_on": {"event_type": ["refund"], "same": "payload.order"},
        "limits": {"total": {"amount": "1000"}},
    });
    let mut desk = Desk::new(&whole);
    let before: Vec<_> = (0..3).map(|_| desk.buy(1, 80, NOW)).collect();
    assert!(desk.settle_and_hear(&before[0]));
    assert_eq!(amounts(&desk.refund(1, &Json::Null)), ["10"]);
    let after = desk.buy(1, 80, NOW);
    for claim in &before[1..] {
        let granted = desk.settle(claim).unwrap();
        assert_eq!(amounts(&desk.hear(&granted)), ["10"]);
    }
    let granted = desk.settle(&after).unwrap();
    assert!(desk.hear(&granted).is_empty(), "it came behind the return");
    assert_eq!(desk.used("ten"), [(1, "10".to_owned())]);
    let customer = desk.customers.customer("c").unwrap().unwrap();
    assert!(customer.early().is_empty(), "nothing of the return is left");
}

#[test]
fn what_is_given_back_goes_to_the_day_and_the_store_that_it_was_taken_from() {
    let per_day = json!({"limits": {"total": {"times": 1, "per": "day", "by": "payload.store"}}});
    let mut desk = Desk::new(&per_day);
    let store = "ten\u{1f}payload.store\u{1f}x";
    let (monday, tuesday) = (desk.buy(1, 80, NOW), desk.buy(2, 80, NOW + DAY));
    assert!(desk.settle_and_hear(&monday) && desk.settle_and_hear(&tuesday));
    let one = (1, "10".to_owned());
    assert_eq!(desk.used(store), [one.clone(), one.clone()]);
    desk.refund(1, &json!(40));
    assert_eq!(desk.used(store), [(1, "5".to_owned()), one.clone()]);
    desk.refund(1, &json!(40));
    assert_eq!(
        desk.used(store),
        [one],
        "all of it: the match counts no more"
    );
    let again = desk.buy(3, 80, NOW);
    assert!(desk.settle_and_hear(&again));
    let third = desk.buy(4, 80, NOW + DAY);
    assert!(!desk.settle_and_hear(&third), "that day is used up");
}

#[test]
fn budgets_that_do_not_count_a_match_any_more_get_nothing_back_for_it() {
    let mut desk = Desk::new(&json!({}));
    let claim = desk.buy(1, 80, NOW);
    assert!(desk.settle_and_hear(&claim));
    let arrival = desk.claims_arrival();
    reset("ten", arrival, &mut desk.budgets).unwrap();
    let claim = desk.buy(2, 80, NOW);
    assert!(desk.settle_and_hear(&claim));
    assert_eq!(amounts(&desk.refund(1, &json!(80))), ["10"]);
    assert_eq!(
        desk.used("ten"),
        [(1, "10".to_owned())],
        "of before the reset"
    );
    assert_eq!(amounts(&desk.refund(2, &json!(80))), ["10"]);
    assert_eq!(desk.used("ten"), [(0, "0".to_owned())]);

    // What counts otherwise meanwhile counts none of it, and what counts as before gets it back.
    let ever = json!({});
    let monthly = json!({"limits": {"total": {"amount": "15", "per": "month"}}});
    let claim = desk.buy(3, 80, NOW);
    assert!(desk.settle_and_hear(&claim));
    desk.change(&monthly);
    let claim = desk.buy(4, 80, NOW);
    assert!(desk.settle_and_hear(&claim));
    desk.change(&ever);
    assert_eq!(desk.used("ten"), [(1, "10".to_owned())], "the third alone");
    desk.refund(4, &json!(80));
    assert_eq!(desk.used("ten"), [(1, "10".to_owned())]);
    desk.refund(3, &json!(80));
    assert_eq!(desk.used("ten"), [(0, "0".to_owned())]);
}

#[test]
fn a_budget_that_is_kept_stays_used() {
    for kept in [json!({"budget": "keep"}), json!({"limits": "keep"})] {
        let mut reverse_on = json!({"event_type": ["refund"], "same": "payload.order"});
        for (name, value) in kept.as_object().unwrap() {
            reverse_on[name] = value.clone();
        }
        let mut desk = Desk::new(&json!({ "reverse_on": reverse_on }));
        let claim = desk.buy(1, 80, NOW);
        assert!(desk.settle_and_hear(&claim));
        assert_eq!(amounts(&desk.refund(1, &Json::Null)), ["10"]);
        assert_eq!(desk.used("ten"), [(1, "10".to_owned())]);
    }
}

#[test]
fn records_that_come_again_give_nothing_back() {
    let mut desk = Desk::new(&json!({}));
    let claim = desk.buy(1, 80, NOW);
    assert!(desk.settle_and_hear(&claim));
    desk.event("refund", &json!({"order": 1, "amount": 40}), NOW);
    let sequels = desk.engine.take_sequels();
    let given = sequels[0].given_back().unwrap();
    let arrival = desk.claims_arrival();
    for expected in [Some(33), None] {
        let used = give_back(&given, arrival, Some(&desk.rule), &mut desk.budgets);
        assert_eq!(used.unwrap(), expected);
        assert_eq!(desk.used("ten"), [(1, "5".to_owned())]);
    }
}
