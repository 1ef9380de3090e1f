//! One campaign on its own, tried on events: why each wins, or why not, with what the events before it have left behind.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use rules::explain::HistoryFinding;
use rules::history::{Condition, Question, Stretch};
use rules::{Explanation, Rule, RuleSet};
use rust_decimal::Decimal;
use schemas::across::{Across, Aggregate, Limit};
use schemas::{Claim, Event, Grant, Source};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::audiences::Memberships;
use crate::claim::{amend, claim, claim_due};
use crate::customer::{Customer, NEVER, Waiting};
use crate::decide::{
    Occasion, Winners, admits, distinct, event_hash, grant, holds, judge, leaves_room, matters_of,
    moment, reward_amount, taken_together,
};
use crate::engine::{DueMatch, held, is_return, reward_of};
use crate::open::granted::granted;
use crate::open::{self, Sequel};
use crate::partition::{Arrival, Partition};
use crate::restore::give_back;
use crate::settle::{Settled, has_room, settle};

/// A campaign, and the customers that the events so far have made.
#[derive(Debug)]
pub struct Trial<'r> {
    rule: &'r Rule,
    customers: BTreeMap<Box<str>, Customer>,
    events: i64,
    /// The time that has passed, in milliseconds since 1970: that of the latest event, or later.
    now: i64,
    /// When the first of what is waited for is due, or earlier.
    first_due: i64,
    over: Vec<Over>,
    sequels: Vec<Sequel>,
    /// What is used of its budgets, and how many claims there were.
    budgets: Partition,
    claims: i64,
}

/// Why what waited wins nothing, if its customer is in the campaign's holdout.
const HELD_OUT: &str = "the customer is held out";

/// An event whose time to wait is over, and nothing came between.
#[derive(Debug, Clone, Serialize)]
pub struct Over {
    /// The event.
    pub event_id: String,
    /// Whose it is.
    pub customer_id: String,
    /// When its time was over.
    pub due: Timestamp,
    /// What it wins then.
    pub reward: Option<Box<RawValue>>,
    /// Why it wins nothing all the same.
    pub why: Option<&'static str>,
}

impl Over {
    /// Whether it wins.
    pub fn wins(&self) -> bool {
        self.why.is_none()
    }

    /// Whether it would win, and its customer is held out.
    pub fn is_held_out(&self) -> bool {
        self.why == Some(HELD_OUT)
    }
}

impl<'r> Trial<'r> {
    /// A campaign that has seen no event.
    pub fn new(rule: &'r Rule) -> Self {
        Self {
            rule,
            customers: BTreeMap::new(),
            events: 0,
            now: i64::MIN,
            first_due: NEVER,
            over: Vec::new(),
            sequels: Vec::new(),
            budgets: Partition::default(),
            claims: 0,
        }
    }

    /// The time that has passed, in milliseconds since 1970: that of the latest event, or later; none before the first.
    pub fn now(&self) -> Option<i64> {
        (self.now > i64::MIN).then_some(self.now)
    }

    /// Lets time pass without an event, until then.
    pub fn pass(&mut self, until: i64) {
        self.now = self.now.max(until);
        // What wins now may be held for a time that is over, too.
        while self.first_due <= until {
            self.pass_once(until);
        }
    }

    fn pass_once(&mut self, until: i64) {
        let mut due = Vec::new();
        self.first_due = NEVER;
        for (id, customer) in &mut self.customers {
            open::confirm(until, until, customer, &mut self.sequels);
            let (over, waiting) = std::mem::take(&mut customer.waiting)
                .into_iter()
                .partition(|it: &Waiting| it.due <= until);
            customer.waiting = waiting;
            self.first_due = self.first_due.min(customer.due());
            due.extend(over.into_iter().map(|it| (id.clone(), it)));
        }
        due.sort_by(|(_, a), (_, b)| (a.due, &a.event_id).cmp(&(b.due, &b.event_id)));
        for (id, event) in due {
            let reward = reward_of(self.rule, &event);
            let amount = reward.as_ref().map(|(_, amount)| *amount);
            let won = DueMatch {
                rule: self.rule,
                customer_id: id.clone(),
                reward: (reward.as_ref()).map_or_else(nothing, |(reward, _)| reward.clone()),
                amount: amount.unwrap_or_default(),
                matched_at: event.due,
                confirm_at: open::confirm_at(self.rule, event.due),
                event,
            };
            let is_held_out = self.rule.holds_out(&id);
            let customer = self.customers.get_mut(&id);
            let is_granted = amount.zip(customer).map(|(amount, customer)| {
                let history = self.rule.history();
                let at = won.event.due;
                let is_granted = history.is_none_or(|it| grant(it, at, amount, customer));
                if is_granted && !is_held_out && won.confirm_at.is_some() {
                    open::add(held(&won, amount), at, customer, &mut self.sequels);
                    self.first_due = self.first_due.min(customer.due());
                }
                is_granted
            });
            let why = match is_granted {
                None => Some("its reward has no value"),
                Some(false) => Some("a limit is used up"),
                Some(true) if is_held_out => Some(HELD_OUT),
                Some(true) => None,
            };
            let claim = claim_due(&won, nowhere());
            let why = why.or_else(|| {
                let is_left = self.settle(&claim);
                (!is_left).then_some("the budget is used up")
            });
            let event = won.event;
            self.over.push(Over {
                event_id: event.event_id.into(),
                customer_id: id.into(),
                due: moment(event.due),
                reward: reward.map(|(reward, _)| reward).filter(|_| why.is_none()),
                why,
            });
        }
    }

    /// Whether the campaign's budgets leave room for a claim, which then counts; otherwise it gives back what it took.
    fn settle(&mut self, claim: &Claim<'_>) -> bool {
        if self.rule.totals().is_empty() {
            return true;
        }
        self.claims += 1;
        let arrival = Arrival {
            offset: self.claims,
            time: self.now,
        };
        let settled = settle(claim, arrival, Some(self.rule), &mut self.budgets);
        let Some(customer) = self.customers.get_mut(&*claim.customer_id) else {
            return matches!(settled, Ok(Settled::Granted { .. }));
        };
        let Ok(Settled::Granted { counted, .. }) = settled else {
            amend(claim, &RuleSet::default(), customer);
            return false;
        };
        if claim.kept.is_some() {
            let grant = Grant {
                claim: arrival.offset,
                granted_at: claim.counts_at,
                counted,
            };
            let before = self.sequels.len();
            granted(claim, &grant, self.now, customer, &mut self.sequels);
            self.first_due = self.first_due.min(customer.due());
            self.give_back(before);
        }
        true
    }

    /// Gives back to the budgets what was taken back since there were so many sequels.
    fn give_back(&mut self, before: usize) {
        for sequel in &self.sequels[before..] {
            let Some(given) = sequel.given_back() else {
                continue;
            };
            self.claims += 1;
            let arrival = Arrival {
                offset: self.claims,
                time: self.now,
            };
            let _ = give_back(&given, arrival, Some(self.rule), &mut self.budgets);
        }
    }

    /// Events whose time to wait is over since this was last asked, in the order of those times.
    pub fn take_over(&mut self) -> Vec<Over> {
        std::mem::take(&mut self.over)
    }

    /// What has become of matches since this was last asked, in its order.
    pub fn take_sequels(&mut self) -> Vec<Sequel> {
        std::mem::take(&mut self.sequels)
    }

    /// Whether the event is one that takes matches back.
    pub fn is_return(&self, event: &Event<'_>) -> bool {
        is_return(self.rule, event)
    }

    /// Matches that are held, in the order in which they are confirmed: the events, and when that is.
    pub fn held(&self) -> Vec<(&str, Timestamp)> {
        let open = self.customers.values().flat_map(|it| &it.open);
        let held = open.filter_map(|won| Some((won.due()?, &*won.event_id)));
        let mut held: Vec<_> = held.collect();
        held.sort_unstable();
        let held = held.into_iter();
        held.map(|(due, event_id)| (event_id, moment(due)))
            .collect()
    }

    /// The events that still wait, in the order in which their time is over: their ids, and when that is.
    pub fn waiting(&self) -> Vec<(&str, Timestamp)> {
        let customers = self.customers.values();
        let mut waiting: Vec<&Waiting> = customers.flat_map(|it| &it.waiting).collect();
        waiting.sort_by(|a, b| (a.due, &a.event_id).cmp(&(b.due, &b.event_id)));
        let waiting = waiting.into_iter();
        waiting.map(|it| (&*it.event_id, moment(it.due))).collect()
    }

    /// Takes the next event in, of a customer who is in no audience, and says how it fares. Events may be of any time; what was due
    /// before it comes first.
    pub fn take(&mut self, event: &Event<'_>) -> Explanation {
        self.take_of(event, Memberships::default())
    }

    /// The same of a customer who is in these audiences.
    pub fn take_of(&mut self, event: &Event<'_>, memberships: Memberships<'_>) -> Explanation {
        let at = event.occurred_at.as_millisecond();
        self.pass(at.saturating_sub(1));
        self.now = self.now.max(at);
        let explanation = Explanation::of(self.rule, event);
        let audience = audience_found(self.rule, memberships);
        let is_live = self.rule.schedule().contains(event.occurred_at);
        let matters = is_live || self.is_return(event);
        if !(matters && self.rule.concerns(event) && matters_of(self.rule, event, memberships)) {
            return explanation.with_history(audience.into_iter().collect());
        }
        self.events += 1;
        let customer = self.customers.entry(event.customer_id.into()).or_default();
        let hash = event_hash(event.event_id);
        if customer.saw(hash) {
            let before = HistoryFinding {
                held: false,
                pointer: "/event_id".to_owned(),
                asked: "an event counts once".to_owned(),
                found: format!("{} was there before", event.event_id),
            };
            return explanation.with_history(audience.into_iter().chain([before]).collect());
        }
        customer.see(at, hash);
        let before = customer.clone();
        let occasion = Occasion {
            event,
            offset: self.events,
            now: at,
            memberships,
        };
        let mut winners = Winners {
            won: vec![self.rule],
            held_out: Vec::new(),
            next: Vec::new(),
        };
        let sequels = self.sequels.len();
        judge(&mut winners, occasion, customer, &mut self.sequels);
        self.first_due = self.first_due.min(customer.due());
        self.give_back(sequels);
        let mut history: Vec<_> = audience.into_iter().collect();
        if !explanation.when.held {
            return explanation.with_history(history);
        }
        let amount = reward_amount(self.rule, event);
        let after = &self.customers[event.customer_id];
        history.extend(findings(self.rule, at, amount, &before, after));
        if let Some(claim) = claim(self.rule, event, nowhere(), &winners) {
            history.extend(self.budgets_found(&claim));
            if !winners.won.is_empty() {
                self.settle(&claim);
            }
        }
        explanation.with_history(history)
    }

    /// What a claim finds of the budgets.
    fn budgets_found(&self, claim: &Claim<'_>) -> Vec<HistoryFinding> {
        let totals = self.rule.totals().iter();
        let found = totals.map(|total| {
            let held = has_room(claim, total, &self.budgets);
            HistoryFinding {
                held,
                pointer: total.pointer().to_owned(),
                asked: serde_json::to_string(total.budget()).unwrap_or_default(),
                found: if held { "there is room" } else { "used up" }.to_owned(),
            }
        });
        found.collect()
    }
}

/// Whether a campaign is for a customer who is in these audiences; none if it is for everybody.
fn audience_found(rule: &Rule, memberships: Memberships<'_>) -> Option<HistoryFinding> {
    let audience = rule.audience()?;
    let mut names: Vec<&str> = memberships.names().collect();
    names.sort_unstable();
    Some(HistoryFinding {
        held: admits(rule, memberships),
        pointer: "/audience".to_owned(),
        asked: serde_json::to_string(audience).unwrap_or_default(),
        found: match names.as_slice() {
            [] => "the customer is in no audience".to_owned(),
            names => format!("the customer is in {}", names.join(", ")),
        },
    })
}

/// The reward of what wins none.
fn nothing() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// A trial has no topics.
fn nowhere() -> Source<'static> {
    Source {
        topic: Cow::Borrowed(""),
        partition: 0,
        offset: 0,
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
    let limits = history.limits().iter().map(|allowance| {
        let held = leaves_room(allowance, at, amount, before);
        let found = if held { "there is room" } else { "used up" };
        HistoryFinding {
            held,
            pointer: allowance.pointer().to_owned(),
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
pub(crate) fn asked(across: &Across) -> String {
    let across = Across {
        when: None,
        ..across.clone()
    };
    serde_json::to_string(&across).unwrap_or_default()
}

pub(crate) fn limit(limit: &Limit) -> String {
    serde_json::to_string(limit).unwrap_or_default()
}
