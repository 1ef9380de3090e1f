//! One campaign on its own, tried on events: why each wins, or why not, with what the events before it have left behind.

use std::collections::HashMap;

use rules::explain::HistoryFinding;
use rules::history::{Condition, Question, Stretch};
use rules::{Explanation, Rule};
use rust_decimal::Decimal;
use schemas::Event;
use schemas::across::{Across, Aggregate, Limit};

use crate::customer::Customer;
use crate::decide::{
    distinct, event_hash, holds, judge, leaves_room, moment, reward_amount, taken_together,
};

/// A campaign, and the customers that the events so far have made.
#[derive(Debug)]
pub struct Trial<'r> {
    rule: &'r Rule,
    customers: HashMap<Box<str>, Customer>,
    events: i64,
}

impl<'r> Trial<'r> {
    /// A campaign that has seen no event.
    pub fn new(rule: &'r Rule) -> Self {
        Self {
            rule,
            customers: HashMap::new(),
            events: 0,
        }
    }

    /// Takes the next event in, and says how it fares. Events may be of any time.
    pub fn take(&mut self, event: &Event<'_>) -> Explanation {
        let explanation = Explanation::of(self.rule, event);
        let is_live = self.rule.campaign().schedule.contains(event.occurred_at);
        if !self.rule.concerns(event) || !is_live {
            return explanation;
        }
        self.events += 1;
        let customer = self.customers.entry(event.customer_id.into()).or_default();
        let hash = event_hash(event.event_id);
        if customer.saw(hash) {
            return explanation.with_history(vec![HistoryFinding {
                held: false,
                pointer: "/event_id".to_owned(),
                asked: "an event counts once".to_owned(),
                found: format!("{} was there before", event.event_id),
            }]);
        }
        let at = event.occurred_at.as_millisecond();
        customer.see(at, hash);
        let before = customer.clone();
        judge(self.rule, event, self.events, customer);
        if !explanation.when.held {
            return explanation;
        }
        let amount = reward_amount(self.rule, event);
        let history = findings(self.rule, at, amount, &before, customer);
        explanation.with_history(history)
    }
}

/// What the conditions of a campaign find after an event was counted, and its limits before.
fn findings(
    rule: &Rule,
    at: i64,
    amount: Decimal,
    before: &Customer,
    after: &Customer,
) -> Vec<HistoryFinding> {
    let Some(history) = rule.history() else {
        return Vec::new();
    };
    let campaign = rule.campaign();
    let conditions = history.conditions().iter().zip(&campaign.across);
    let conditions = conditions.enumerate().map(|(number, (condition, across))| {
        let (held, found) = found(condition, at, after);
        HistoryFinding {
            held,
            pointer: format!("/across/{number}"),
            asked: asked(across),
            found,
        }
    });
    let limits = history.limits().iter().enumerate();
    let limits = limits.map(|(number, allowance)| {
        let held = leaves_room(allowance, at, amount, before);
        let found = if held { "there is room" } else { "used up" };
        HistoryFinding {
            held,
            pointer: format!("/limits/per_customer/{number}"),
            asked: limit(allowance.limit()),
            found: found.to_owned(),
        }
    });
    conditions.chain(limits).collect()
}

/// Whether a condition holds, and what there is.
fn found(condition: &Condition, at: i64, customer: &Customer) -> (bool, String) {
    let held = holds(condition, at, customer);
    let memory = customer.memory(condition.identity());
    let stretch = condition.stretch();
    let found = match condition.asks() {
        Question::Count(_) => {
            format!("found {}", taken_together(memory, stretch, at).count)
        }
        Question::Of(Aggregate::Distinct, ..) => {
            format!("found {}", distinct(memory, stretch, at))
        }
        Question::Of(aggregate, ..) => {
            let value = taken_together(memory, stretch, at).aggregate(*aggregate);
            value.map_or_else(
                || "there is no value".to_owned(),
                |value| format!("found {}", value.normalize()),
            )
        }
        Question::Sequence(_) if held => "the steps before are there".to_owned(),
        Question::Sequence(_) => "the steps before are not there".to_owned(),
        Question::Absent => {
            let Stretch::Sliding(length) = stretch else {
                return (held, String::new());
            };
            let due = moment(at.saturating_add(*length));
            // It does not win now, either way.
            let found = if held {
                format!("wins at {due}, if nothing comes between")
            } else {
                "it is there already".to_owned()
            };
            return (false, found);
        }
    };
    (held, found)
}

/// A condition as it is written, without the pattern of what counts.
fn asked(across: &Across) -> String {
    let across = Across {
        when: None,
        ..across.clone()
    };
    serde_json::to_string(&across).unwrap_or_default()
}

fn limit(limit: &Limit) -> String {
    serde_json::to_string(limit).unwrap_or_default()
}
