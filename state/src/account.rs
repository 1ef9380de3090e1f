//! What is remembered of a customer, in words, for people who ask.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use jiff::Timestamp;
use rules::history::{Allowance, Condition, Question, Stretch};
use rules::{History, Rule};
use schemas::across::Aggregate;
use schemas::{Amount, MatchStatus, Status};
use serde::Serialize;

use crate::customer::{Customer, Kept, Retention, Waiting};
use crate::decide::{distinct, events_of, moment, taken_together};
use crate::memory::{Memory, Remembered, Sum};
use crate::open::{EarlyReturn, OpenMatch};
use crate::trial;

/// All that is remembered of a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Events that will not count again.
    pub seen: Seen,
    /// What campaigns hold, in the order of their ids.
    pub campaigns: Vec<CampaignAccount>,
    /// Returns that wait for what they take back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<String>,
    /// What is left of campaigns that are no longer there, or counted something else before they were changed.
    pub left: Vec<String>,
}

/// The events of a customer that will not count again, which concerned campaigns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// How many.
    pub events: usize,
    /// When the first of them was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// When the last of them was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

/// What one campaign holds of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CampaignAccount {
    /// The campaign.
    pub campaign_id: String,
    /// Its version.
    pub version: u64,
    /// Its state; all but archived ones may go on counting.
    pub status: Status,
    /// What its conditions and limits count.
    pub holds: Vec<Holding>,
    /// Events that win if nothing comes between.
    pub waits: Vec<Wait>,
    /// Matches that are held, or may be taken back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<Open>,
}

/// A match that is held, or may be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Open {
    /// The event that won.
    pub event_id: String,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// What became of it so far; none if it waits for the settler's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<MatchStatus>,
    /// When it is confirmed, if it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_at: Option<Timestamp>,
    /// How much of its reward is left; none if the reward has no amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Amount>,
    /// The last time of a return that can take it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a condition or limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// Its place in the document, as a JSON Pointer.
    pub pointer: String,
    /// What it asks for, as written.
    pub asked: String,
    /// What there is of it now, in words.
    pub found: String,
    /// When it will be less: the window ends, or its first event leaves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// An event that wins if nothing comes between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// The event.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// When it wins.
    pub due: Timestamp,
}

impl Account {
    /// What is remembered of a customer at a time, in milliseconds since 1970. `rules` are all campaigns that are there, in
    /// whatever state.
    pub fn of<'r>(
        customer: &Customer,
        rules: impl IntoIterator<Item = &'r Rule>,
        now: i64,
    ) -> Self {
        let mut known = HashSet::new();
        let mut campaigns = BTreeMap::new();
        for rule in rules {
            let Some(history) = rule.history() else {
                continue;
            };
            known.extend(history.identities());
            let mut identities = history.identities();
            let mut open = customer.open().iter();
            let is_open = open.any(|won| *won.campaign_id == *rule.id().as_str());
            if !is_open && !identities.any(|identity| is_held(customer, identity)) {
                continue;
            }
            let account = of_campaign(customer, rule, history, now);
            let is_there =
                !account.holds.is_empty() || !account.waits.is_empty() || !account.open.is_empty();
            if is_there {
                campaigns.insert(account.campaign_id.clone(), account);
            }
        }
        let is_told = |won: &&OpenMatch| campaigns.contains_key(&*won.campaign_id);
        let open = customer.open().iter().filter(|won| !is_told(won));
        let open = open.map(|won| format!("{}: {}", won.campaign_id, open_match(won)));
        let open: Vec<String> = open.collect();
        let memories = customer.memories();
        let memories = memories.filter(|(identity, _)| !known.contains(identity));
        // What an event has won of its groups since a claim was refused is nobody's count.
        let memories = memories.filter(|(_, kept)| !kept.is_of_one_event());
        let memories = memories.map(|(_, kept)| left(kept));
        let waiting = (customer.waiting().iter())
            .filter(|it| !known.contains(&it.condition))
            .map(|it| {
                format!(
                    "event {} of {} waits for nothing: {} does not ask for it any more",
                    it.event_id, it.occurred_at, it.campaign_id
                )
            });
        let at = |seen: Option<&crate::customer::Seen>| seen.map(|seen| moment(seen.at));
        Self {
            seen: Seen {
                events: customer.seen.len(),
                first: at(customer.seen.first()),
                last: at(customer.seen.last()),
            },
            campaigns: campaigns.into_values().collect(),
            returns: customer.early().iter().map(early_return).collect(),
            left: memories.chain(waiting).chain(open).collect(),
        }
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.events == 0
            && self.campaigns.is_empty()
            && self.returns.is_empty()
            && self.left.is_empty()
    }
}

/// Whether anything is remembered by that identity.
fn is_held(customer: &Customer, identity: u64) -> bool {
    let mut waiting = customer.waiting().iter();
    customer.memory(identity).is_some() || waiting.any(|it| it.condition == identity)
}

fn of_campaign(customer: &Customer, rule: &Rule, history: &History, now: i64) -> CampaignAccount {
    let campaign = rule.campaign();
    let conditions = history.conditions().iter().zip(&campaign.across);
    let conditions = conditions
        .enumerate()
        .flat_map(|(number, (condition, across))| {
            let pointer = format!("/across/{number}");
            let found = of_condition(customer, condition, now).into_iter();
            found.map(move |(step, (found, until))| Holding {
                pointer: format!("{pointer}{step}"),
                asked: trial::asked(across),
                found,
                until: until.map(moment),
            })
        });
    let limits = history.limits().iter().filter_map(|allowance| {
        let (found, until) = of_limit(customer, allowance, now)?;
        Some(Holding {
            pointer: allowance.pointer().to_owned(),
            asked: trial::limit(allowance.limit()),
            found,
            until: until.map(moment),
        })
    });
    let waits = customer.waiting().iter();
    let waits = waits.filter(|it| {
        let asks = history.absent().map(Condition::identity);
        asks == Some(it.condition)
    });
    let open = customer.open().iter();
    let open = open.filter(|won| *won.campaign_id == *campaign.id.as_str());
    CampaignAccount {
        campaign_id: campaign.id.to_string(),
        version: campaign.version,
        status: campaign.status,
        holds: conditions.chain(limits).collect(),
        waits: waits.map(wait).collect(),
        open: open.map(open_match).collect(),
    }
}

fn open_match(won: &OpenMatch) -> Open {
    Open {
        event_id: won.event_id.to_string(),
        occurred_at: won.occurred_at,
        status: match () {
            () if won.is_asked() => None,
            () if won.is_reversed => Some(MatchStatus::Reversed),
            () if won.is_pending() => Some(MatchStatus::Pending),
            () if won.confirmed_at.is_some() => Some(MatchStatus::Confirmed),
            () => Some(MatchStatus::Granted),
        },
        confirm_at: won.due().map(moment),
        left: (won.amount).and_then(|amount| Amount::nearest(amount - won.reversed).ok()),
        until: won.until().filter(|_| !won.is_reversed).map(moment),
    }
}

/// A return that waits for what it takes back.
fn early_return(early: &EarlyReturn) -> String {
    let EarlyReturn {
        event_id,
        event_type,
        occurred_at,
        ..
    } = early;
    let until = moment(early.until());
    format!("{event_type} {event_id} of {occurred_at}, until {until}")
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            event_id,
            occurred_at,
            status,
            ..
        } = self;
        match status {
            Some(status) => write!(
                f,
                "match of {event_id} of {occurred_at} is {}",
                status.as_str()
            )?,
            None => write!(
                f,
                "claim of {event_id} of {occurred_at} waits for the settler"
            )?,
        }
        if let Some(confirm_at) = self.confirm_at {
            write!(f, ", confirmed at {confirm_at}")?;
        }
        if let Some(left) = self.left {
            write!(f, ", {left} of it are left")?;
        }
        if let Some(until) = self.until {
            write!(f, ", can be taken back until {until}")?;
        }
        Ok(())
    }
}

fn wait(waiting: &Waiting) -> Wait {
    Wait {
        event_id: waiting.event_id.to_string(),
        event_type: waiting.event_type.to_string(),
        occurred_at: waiting.occurred_at,
        due: moment(waiting.due),
    }
}

/// What there is, and until when.
type Found = (String, Option<i64>);

/// What there is of a condition; of a sequence, by the place of each step.
fn of_condition(customer: &Customer, condition: &Condition, now: i64) -> Vec<(String, Found)> {
    if let Question::Sequence(steps) = condition.asks() {
        let steps = steps.iter().enumerate();
        let found = steps.filter_map(|(number, step)| {
            let Some(Memory::Events(events)) = customer.memory(step.identity()) else {
                return None;
            };
            let last = events.last()?.at;
            let found = format!("{}, the last of {}", count(events.len()), moment(last));
            let until = last.saturating_add(step.until_end());
            Some((format!("/sequence/{number}"), (found, Some(until))))
        });
        return found.collect();
    }
    let Some(memory) = customer.memory(condition.identity()) else {
        return Vec::new();
    };
    let stretch = condition.stretch();
    let found = match condition.asks() {
        Question::Count(_) => {
            let found = taken_together(Some(memory), stretch, now).count;
            (number(found, "event"), until(memory, stretch, now))
        }
        Question::Of(Aggregate::Distinct, ..) => {
            let found = distinct(Some(memory), stretch, now);
            (number(found, "value"), until(memory, stretch, now))
        }
        Question::Of(aggregate, ..) => {
            let sum = taken_together(Some(memory), stretch, now);
            (aggregated(*aggregate, &sum), until(memory, stretch, now))
        }
        Question::Absent => {
            let Memory::Events(events) = memory else {
                return Vec::new();
            };
            let last = events.last().map(|event| moment(event.at));
            let last = last.map_or_else(String::new, |last| format!(", the last time at {last}"));
            let times = number(events.len() as u64, "time");
            (format!("it happened {times}{last}"), None)
        }
        Question::Sequence(_) => return Vec::new(),
    };
    vec![(String::new(), found)]
}

fn aggregated(aggregate: Aggregate, sum: &Sum) -> String {
    let word = match aggregate {
        Aggregate::Sum => "a sum",
        Aggregate::Min => "a least value",
        Aggregate::Max => "a greatest value",
        Aggregate::Average => "an average",
        Aggregate::Distinct => "a number",
    };
    match sum.aggregate(aggregate).filter(|_| sum.count > 0) {
        Some(value) => format!(
            "{word} of {} over {}",
            value.normalize(),
            number(sum.count, "value")
        ),
        None => "no value".to_owned(),
    }
}

fn of_limit(customer: &Customer, allowance: &Allowance, now: i64) -> Option<Found> {
    let memory = customer.memory(allowance.identity())?;
    let stretch = allowance.stretch();
    let used = taken_together(Some(memory), stretch, now);
    let limit = allowance.limit();
    let mut parts = Vec::new();
    // A cool-down by itself allows one.
    if let Some(times) = limit.times {
        parts.push(format!("{} of {times} times", used.count));
    }
    if let Some(amount) = limit.amount {
        let used = used.sum.normalize();
        parts.push(format!("{used} of {}", amount.decimal().normalize()));
    }
    Some((
        format!("used {}", parts.join(" and ")),
        until(memory, stretch, now),
    ))
}

/// When there will be less: the first event leaves its window, or the window ends.
fn until(memory: &Memory, stretch: &Stretch, now: i64) -> Option<i64> {
    let inside: &[Remembered] = match memory {
        Memory::Events(events) => events_of(events, stretch, now),
        Memory::Stretches(_) | Memory::Total(_) | Memory::Codes(_) => &[],
    };
    match stretch {
        Stretch::Sliding(length) => Some(inside.first()?.at.saturating_add(*length)),
        Stretch::Session(pause) => Some(inside.last()?.at.saturating_add(*pause)),
        Stretch::Tumbling(_) | Stretch::Calendar(..) => {
            let (begin, end) = stretch.around(now)?;
            let is_empty = match memory {
                Memory::Stretches(stretches) => stretches.iter().all(|(it, _)| *it != begin),
                _ => inside.is_empty(),
            };
            (!is_empty).then_some(end)
        }
        Stretch::Ever => None,
    }
}

/// What is kept of something that nobody asks for any more.
fn left(kept: &Kept) -> String {
    let what = match &kept.memory {
        Memory::Events(events) => count(events.len()),
        Memory::Stretches(stretches) => {
            let all = stretches.iter().map(|(_, sum)| sum.count).sum();
            number(all, "event")
        }
        Memory::Total(sum) => number(sum.count, "event"),
        Memory::Codes(codes) => number(codes.len() as u64, "code"),
    };
    let how_long = match kept.retention {
        Retention::Ever => "until the dedup window is over",
        Retention::For(_) | Retention::Session(_) => "until its time is over",
    };
    let last = moment(kept.touched);
    format!("{what}, the last of {last}, kept {how_long}")
}

fn count(events: usize) -> String {
    number(events as u64, "event")
}

fn number(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing is remembered");
        }
        f.write_str(&number(self.seen.events as u64, "event"))?;
        f.write_str(" will not count again")?;
        if let (Some(first), Some(last)) = (self.seen.first, self.seen.last) {
            write!(f, "; the first is of {first}, the last of {last}")?;
        }
        for campaign in &self.campaigns {
            let CampaignAccount {
                campaign_id,
                version,
                status,
                ..
            } = campaign;
            write!(f, "\n{campaign_id}, version {version}, {status}")?;
            for holding in &campaign.holds {
                let Holding {
                    pointer,
                    asked,
                    found,
                    until,
                } = holding;
                write!(f, "\n  {pointer} {asked}: {found}")?;
                if let Some(until) = until {
                    write!(f, ", until {until}")?;
                }
            }
            for wait in &campaign.waits {
                let Wait {
                    event_id,
                    event_type,
                    occurred_at,
                    due,
                } = wait;
                write!(
                    f,
                    "\n  {event_type} {event_id} of {occurred_at} wins at {due}, if nothing comes between"
                )?;
            }
            for open in &campaign.open {
                write!(f, "\n  {open}")?;
            }
        }
        if !self.returns.is_empty() {
            f.write_str("\nreturns that wait for what they take back")?;
        }
        for early in &self.returns {
            write!(f, "\n  {early}")?;
        }
        if !self.left.is_empty() {
            f.write_str("\nof a campaign that is no longer there, or was changed")?;
        }
        for left in &self.left {
            write!(f, "\n  {left}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
