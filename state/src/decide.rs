//! One event and one customer: what it wins, and what is remembered of it.

use std::cmp::Reverse;

use jiff::Timestamp;
use rules::history::{Allowance, Condition, Question, Stretch};
use rules::{History, Rule};
use rust_decimal::Decimal;
use schemas::across::Aggregate;
use schemas::{Event, GroupName, Value};

use crate::audiences::Memberships;
use crate::customer::{Customer, Retention, Waiting};
use crate::memory::{self, Memory, Remembered, Sum, Taken};
use crate::open::{self, Sequel};

/// What an event is to a campaign that it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It wins.
    Won,
    /// It does not, or not yet.
    NotWon,
    /// It would, but an expression of the reward has no value for it.
    UndefinedReward,
}

/// What an event wins.
#[derive(Debug, Default)]
pub struct Winners<'r> {
    /// The campaigns that it wins, in the order of their ids. Those that have budgets it claims.
    pub won: Vec<&'r Rule>,
    /// The campaigns that it would win, and whose holdout its customer is in. They have taken of limits and groups what a match
    /// takes: so there is as much of them as there would be of matches, and no other campaign wins in their place.
    pub held_out: Vec<&'r Rule>,
    /// If one of them has a budget: campaigns that a full group alone keeps from winning, the best first.
    pub next: Vec<&'r Rule>,
}

impl Winners<'_> {
    pub(crate) fn clear(&mut self) {
        self.won.clear();
        self.held_out.clear();
        self.next.clear();
    }
}

/// The amount of the reward for an event; 0 if there is none.
pub(crate) fn reward_amount(rule: &Rule, event: &Event<'_>) -> Decimal {
    let amount = rule.amount(event).ok().flatten();
    amount.map_or(Decimal::ZERO, schemas::Amount::decimal)
}

/// An event that is decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a, 'e> {
    pub(crate) event: &'a Event<'e>,
    /// Of its record.
    pub(crate) offset: i64,
    /// When it is decided, in milliseconds since 1970.
    pub(crate) now: i64,
    /// The audiences of its customer.
    pub(crate) memberships: Memberships<'a>,
}

/// Whether a campaign is for a customer who is in these audiences.
pub fn admits(rule: &Rule, memberships: Memberships<'_>) -> bool {
    let audience = rule.audience();
    audience.is_none_or(|audience| audience.admits(|name| memberships.contains(name)))
}

/// Whether an event matters to a campaign that it concerns, of a customer who is in these audiences: they may win it, or the event is
/// counted for it, which is of everybody, or takes matches back.
pub(crate) fn matters_of(rule: &Rule, event: &Event<'_>, memberships: Memberships<'_>) -> bool {
    let counts = |history: &History| {
        let returns = history.returns();
        !history.conditions().is_empty() || returns.is_some_and(|it| it.is_met_by(event))
    };
    admits(rule, memberships) || rule.history().is_some_and(counts)
}

/// Counts the event for the campaigns that it concerns, and leaves in `winners` those that it wins, in the order of their ids.
/// What becomes of earlier matches, and of those at once, is added to `sequels`.
/// Returns how many it does not win only because an expression of their reward has no value.
pub(crate) fn judge(
    winners: &mut Winners<'_>,
    occasion: Occasion<'_, '_>,
    customer: &mut Customer,
    sequels: &mut Vec<Sequel>,
) -> u64 {
    // What comes back is free again for what the event may win.
    for rule in &winners.won {
        let returns = rule.history().and_then(History::returns);
        if let Some(returns) = returns.filter(|returns| returns.is_met_by(occasion.event)) {
            open::take_back(returns, &occasion, customer, sequels);
        }
    }
    let mut undefined = 0;
    winners.won.retain(|rule| {
        let verdict = consider(rule, &occasion, customer);
        undefined += u64::from(verdict == Verdict::UndefinedReward);
        verdict == Verdict::Won
    });
    grant_all(winners, occasion.event, customer);
    hold_out(winners, occasion.event.customer_id);
    for rule in &winners.won {
        open::keep(rule, &occasion, customer, sequels);
    }
    undefined
}

/// Counts the event for a campaign that it concerns, and says whether it wins if limits and groups leave room
/// ([`grant_all`]). An event that must wait for what may follow is noted in the customer's state, and does not win now.
fn consider(rule: &Rule, occasion: &Occasion<'_, '_>, customer: &mut Customer) -> Verdict {
    let Occasion { event, offset, .. } = *occasion;
    let schedule = rule.schedule();
    let Some(history) = rule.history() else {
        return judge_alone(rule, event);
    };
    if history.returns().is_some() && !rule.is_live_for(event) {
        return Verdict::NotWon;
    }
    let at = event.occurred_at.as_millisecond();
    let is_met = rule.pattern().matches(event.root);
    for condition in history.conditions() {
        count(condition, event, at, is_met, customer);
    }
    let is_met = is_met && schedule.is_open(event.occurred_at);
    if !is_met || !admits(rule, occasion.memberships) {
        return Verdict::NotWon;
    }
    let mut conditions = history.conditions().iter();
    if !conditions.all(|condition| holds(condition, at, customer)) {
        return Verdict::NotWon;
    }
    if !rule.has_reward(event) {
        return Verdict::UndefinedReward;
    }
    if let Some(condition) = history.absent() {
        wait(rule, condition, event, offset, customer);
        return Verdict::NotWon;
    }
    Verdict::Won
}

/// Of the campaigns that an event could win those that it does win. Those with the greatest priority come first, then those
/// with the greatest amount, then by their ids; each wins if the groups that it names and its limits leave room, which it
/// then takes. `winners` keeps the order of their ids.
fn grant_all(winners: &mut Winners<'_>, event: &Event<'_>, customer: &mut Customer) {
    let Winners {
        won: winners, next, ..
    } = winners;
    if winners.iter().all(|rule| rule.history().is_none()) {
        return;
    }
    let at = event.occurred_at.as_millisecond();
    let ranked = winners.iter().enumerate().map(|(place, rule)| {
        let amount = reward_amount(rule, event);
        (Reverse((rule.priority(), amount)), place)
    });
    let mut ranked: Vec<_> = ranked.collect();
    // What shares nothing is granted in any order.
    ranked.sort_unstable();
    let mut groups = Groups::default();
    let mut has_won = vec![false; winners.len()];
    let mut is_claimed = false;
    for (Reverse((_, amount)), place) in ranked {
        let rule = winners[place];
        let Some(history) = rule.history() else {
            has_won[place] = true;
            continue;
        };
        if !groups.leave_room(history) {
            next.push(rule);
        } else if grant(history, at, amount, customer) {
            groups.take(history);
            has_won[place] = true;
            is_claimed |= history.is_claimed();
        }
    }
    if !is_claimed {
        next.clear();
    }
    let mut has_won = has_won.into_iter();
    winners.retain(|_| has_won.next().unwrap_or_default());
}

/// Takes out what is kept from the customer.
fn hold_out(winners: &mut Winners<'_>, customer_id: &str) {
    let Winners { won, held_out, .. } = winners;
    won.retain(|rule| {
        let is_held_out = rule.holds_out(customer_id);
        if is_held_out {
            held_out.push(*rule);
        }
        !is_held_out
    });
}

/// How many campaigns of each group have won an event.
#[derive(Default)]
struct Groups<'r>(Vec<(&'r GroupName, u32)>);

impl<'r> Groups<'r> {
    fn leave_room(&self, history: &History) -> bool {
        history.groups().iter().all(|group| {
            let won = self.0.iter().find(|(name, _)| *name == group.name());
            let won = won.map_or(0, |(_, won)| *won);
            group.per_event().is_none_or(|most| won < most)
        })
    }

    fn take(&mut self, history: &'r History) {
        for group in history.groups() {
            match self.0.iter_mut().find(|(name, _)| *name == group.name()) {
                Some((_, won)) => *won += 1,
                None => self.0.push((group.name(), 1)),
            }
        }
    }
}

/// Whether the event wins a campaign that asks for nothing but the event, unless its customer is held out
/// ([`Rule::holds_out`]).
pub fn judge_alone(rule: &Rule, event: &Event<'_>) -> Verdict {
    if !rule.schedule().is_open(event.occurred_at) {
        Verdict::NotWon
    } else if rule.has_reward(event) {
        Verdict::Won
    } else {
        Verdict::UndefinedReward
    }
}

/// Adds the event to what a condition counts.
fn count(condition: &Condition, event: &Event<'_>, at: i64, is_met: bool, customer: &mut Customer) {
    if let Question::Sequence(steps) = condition.asks() {
        for step in steps.iter().filter(|step| step.is_met_by(event)) {
            // A step may be exactly so old, other than an event at the begin of a window.
            let retention = Retention::For(step.until_end() + 1);
            let events = customer.memory_mut(step.identity(), at, retention, no_events);
            remember(events, at, Taken::Nothing);
        }
        return;
    }
    if !condition.counts(event, is_met) {
        return;
    }
    let identity = condition.identity();
    let stretch = condition.stretch();
    match condition.asks() {
        Question::Count(_) => add(customer, identity, stretch, at, Taken::Nothing),
        Question::Of(Aggregate::Distinct, field, _) => {
            field.values(event.root, &mut |value| {
                let events = customer.memory_mut(identity, at, retention(stretch), no_events);
                remember(events, at, Taken::Hash(hash(&value)));
            });
        }
        Question::Of(_, field, _) => field.decimals(event.root, |value| {
            add(customer, identity, stretch, at, Taken::Number(value));
        }),
        Question::Absent => {
            // Late events may have to know that it happened.
            let events = customer.memory_mut(identity, at, Retention::For(0), no_events);
            remember(events, at, Taken::Nothing);
            customer.waiting.retain(|waiting| {
                let after = waiting.occurred_at.as_millisecond();
                waiting.condition != identity || at <= after || at > waiting.due
            });
        }
        Question::Sequence(_) => {}
    }
}

/// Where in the memory of that form of time something of `at` is found, beside its time.
pub(crate) fn stretch_key(stretch: &Stretch, at: i64) -> i64 {
    stretch.around(at).map_or(at, |(begin, _)| begin)
}

/// Adds a value to the memory of that form of time.
fn add(customer: &mut Customer, identity: u64, stretch: &Stretch, at: i64, taken: Taken) {
    let retention = retention(stretch);
    match stretch {
        Stretch::Sliding(_) | Stretch::Session(_) => {
            let events = customer.memory_mut(identity, at, retention, no_events);
            remember(events, at, taken);
        }
        Stretch::Tumbling(_) | Stretch::Calendar(..) => {
            let none = || Memory::Stretches(Vec::new());
            let memory = customer.memory_mut(identity, at, retention, none);
            if let (Memory::Stretches(stretches), Some((begin, _))) = (memory, stretch.around(at)) {
                memory::add(stretches, begin, at, taken.number());
            }
        }
        Stretch::Ever => {
            let none = || Memory::Total(Sum::default());
            if let Memory::Total(sum) = customer.memory_mut(identity, at, retention, none) {
                sum.add(at, taken.number());
            }
        }
    }
}

fn remember(memory: &mut Memory, at: i64, taken: Taken) {
    if let Memory::Events(events) = memory {
        memory::insert(events, Remembered { at, taken });
    }
}

fn no_events() -> Memory {
    Memory::Events(Vec::new())
}

/// Longer than any month, also where clocks are changed.
const MONTH: i64 = 32 * 24 * 60 * 60 * 1000;

fn retention(stretch: &Stretch) -> Retention {
    match stretch {
        Stretch::Sliding(length) | Stretch::Tumbling(length) => Retention::For(*length),
        Stretch::Calendar(..) => Retention::For(MONTH),
        Stretch::Session(pause) => Retention::Session(*pause),
        Stretch::Ever => Retention::Ever,
    }
}

/// Whether a condition holds for an event of that time, which was counted.
pub(crate) fn holds(condition: &Condition, at: i64, customer: &Customer) -> bool {
    let memory = customer.memory(condition.identity());
    let stretch = condition.stretch();
    match condition.asks() {
        Question::Count(bounds) => bounds.hold(taken_together(memory, stretch, at).count.into()),
        Question::Of(Aggregate::Distinct, _, bounds) => {
            bounds.hold(distinct(memory, stretch, at).into())
        }
        Question::Of(aggregate, _, bounds) => {
            let sum = taken_together(memory, stretch, at);
            let value = sum.aggregate(*aggregate);
            value.is_some_and(|value| bounds.hold(value))
        }
        Question::Sequence(steps) => {
            // Times at which the steps so far can have ended. Of several the last before an event is the nearest.
            let mut ends: Option<Vec<i64>> = None;
            let mut gap = 0;
            for step in steps {
                let Some(Memory::Events(events)) = customer.memory(step.identity()) else {
                    return false;
                };
                let reached = events.iter().map(|event| event.at);
                ends = Some(match ends {
                    None => reached.collect(),
                    Some(before) => reached.filter(|at| follows(&before, *at, gap)).collect(),
                });
                gap = step.until_next();
            }
            ends.is_some_and(|ends| follows(&ends, at, gap))
        }
        Question::Absent => {
            let Some(Memory::Events(events)) = memory else {
                return true;
            };
            let Stretch::Sliding(length) = stretch else {
                return true;
            };
            let due = at.saturating_add(*length);
            !events.iter().any(|event| at < event.at && event.at <= due)
        }
    }
}

/// Whether one of the times, which ascend, is before `at` and not further from it than the gap.
fn follows(before: &[i64], at: i64, gap: i64) -> bool {
    let earlier = before.partition_point(|it| *it < at);
    let nearest = earlier.checked_sub(1).map(|last| before[last]);
    nearest.is_some_and(|nearest| at - nearest <= gap)
}

/// The events of a stretch of time that ends at `at`, or has it in it.
pub(crate) fn events_of<'m>(
    events: &'m [Remembered],
    stretch: &Stretch,
    at: i64,
) -> &'m [Remembered] {
    let until = events.partition_point(|event| event.at <= at);
    match stretch {
        Stretch::Sliding(length) => {
            let after = at.saturating_sub(*length);
            let from = events.partition_point(|event| event.at <= after);
            &events[from..until]
        }
        Stretch::Session(pause) => {
            let mut from = until;
            while from > 0 {
                let next = events.get(from).filter(|_| from < until);
                let next = next.map_or(at, |next| next.at);
                if next.saturating_sub(events[from - 1].at) > *pause {
                    break;
                }
                from -= 1;
            }
            &events[from..until]
        }
        Stretch::Tumbling(_) | Stretch::Calendar(..) => {
            let Some((begin, end)) = stretch.around(at) else {
                return &[];
            };
            let from = events.partition_point(|event| event.at < begin);
            let until = events.partition_point(|event| event.at < end);
            &events[from..until]
        }
        Stretch::Ever => events,
    }
}

pub(crate) fn taken_together(memory: Option<&Memory>, stretch: &Stretch, at: i64) -> Sum {
    match memory {
        None | Some(Memory::Codes(_)) => Sum::default(),
        Some(Memory::Total(sum)) => *sum,
        Some(Memory::Stretches(stretches)) => {
            let begin = stretch.around(at).map(|(begin, _)| begin);
            let found = stretches.iter().find(|(it, _)| Some(*it) == begin);
            found.map_or_else(Sum::default, |(_, sum)| *sum)
        }
        Some(Memory::Events(events)) => events_of(events, stretch, at).iter().collect(),
    }
}

pub(crate) fn distinct(memory: Option<&Memory>, stretch: &Stretch, at: i64) -> u64 {
    let Some(Memory::Events(events)) = memory else {
        return 0;
    };
    let hashes = events_of(events, stretch, at).iter();
    let mut hashes: Vec<u64> = hashes
        .map(|event| match event.taken {
            Taken::Hash(hash) => hash,
            Taken::Nothing | Taken::Number(_) => 0,
        })
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes.len() as u64
}

/// The hash of a value; of equal numbers the same, however they are written.
fn hash(value: &Value<'_>) -> u64 {
    match value {
        Value::String(text) => schemas::hash::hash(1, text.as_bytes()),
        Value::Number(number) => schemas::hash::hash(2, number.to_string().as_bytes()),
        Value::Bool(is) => schemas::hash::hash(3, &[u8::from(*is)]),
        _ => schemas::hash::hash(4, &[]),
    }
}

/// Notes that the event wins when nothing has happened until then.
fn wait(
    rule: &Rule,
    condition: &Condition,
    event: &Event<'_>,
    offset: i64,
    customer: &mut Customer,
) {
    // What is the same for all matches is asked of the campaign when the time is over.
    let reward = match rule.constant_reward() {
        Some(_) => None,
        None => rule.reward(event).ok(),
    };
    let at = event.occurred_at.as_millisecond();
    let Stretch::Sliding(length) = condition.stretch() else {
        return;
    };
    if customer.waiting.len() >= schemas::across::MAX_REMEMBERED {
        customer.waiting.remove(0);
    }
    customer.waiting.push(Waiting {
        due: at.saturating_add(*length),
        condition: condition.identity(),
        occurred_at: event.occurred_at,
        offset,
        campaign_id: rule.id().as_str().into(),
        event_id: event.event_id.into(),
        event_type: event.event_type.into(),
        reward: reward.map_or_else(Box::default, |reward| reward.get().into()),
        amount: reward_amount(rule, event),
    });
}

/// Whether all limits leave room for a match of that time and amount, which then counts for all of them.
pub(crate) fn grant(history: &History, at: i64, amount: Decimal, customer: &mut Customer) -> bool {
    let mut limits = history.limits().iter();
    if !limits.all(|limit| leaves_room(limit, at, amount, customer)) {
        return false;
    }
    for limit in history.limits() {
        let taken = Taken::Number(amount);
        add(customer, limit.identity(), limit.stretch(), at, taken);
    }
    true
}

pub(crate) fn leaves_room(
    allowance: &Allowance,
    at: i64,
    amount: Decimal,
    customer: &Customer,
) -> bool {
    let limit = allowance.limit();
    let memory = customer.memory(allowance.identity());
    let fits = |before: Sum| {
        let all = before.sum.saturating_add(amount);
        limit
            .times
            .is_none_or(|times| before.count < u64::from(times))
            && limit.amount.is_none_or(|most| all <= most.decimal())
    };
    let (Some(Memory::Events(events)), Stretch::Sliding(length)) = (memory, allowance.stretch())
    else {
        return fits(taken_together(memory, allowance.stretch(), at));
    };
    // Every stretch of that length that has the event in it must have room: those that end with the event, and with each
    // one after it.
    let is_in = |event: &&Remembered| event.at.abs_diff(at) < length.unsigned_abs();
    let near: Vec<&Remembered> = events.iter().filter(is_in).collect();
    let ends = near.iter().map(|event| event.at).filter(|end| *end > at);
    ends.chain([at]).all(|end| {
        let begin = end.saturating_sub(*length);
        let inside = near.iter().filter(|it| begin < it.at && it.at <= end);
        fits(inside.copied().collect())
    })
}

/// The hash of an event's id, by which it is known again.
pub fn event_hash(event_id: &str) -> u64 {
    schemas::hash::hash(0, event_id.as_bytes())
}

/// A time in milliseconds, as a point in time.
pub(crate) fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}
