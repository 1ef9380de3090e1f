//! Whether the log agrees with the budgets of a campaign that people change while claims flow. Everything is kept anew from the
//! committed records of the topics alone.
//!
//! Each event that wins is claimed once, each claim is answered once, by a match or by a refusal; and each answer is the one that
//! the budget demands that was in force then. Which one that was nobody has written down. But versions only follow one another,
//! none is in force before it is written or after the settler has been told of a later one by a claim, and each is of another
//! size: so there must be a way to go from version to version with the claims by which every answer is right, to the cent.
//!
//! That is so with one settler, whose versions follow one another; of two that take over from each other the second may have
//! read less.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::books::{Books, Budget, decimal, text, units};
use crate::topics::{Kafka, Seen};

const CONTROL: &str = "__campaign.control";
const GIVEN_BACK: &str = "__campaign.control.given_back";

/// What the topics say of a campaign.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Its versions in their order.
    pub versions: Vec<Version>,
    /// The events that win it.
    pub events: HashSet<String>,
    /// What is in its partition of `claims`, in that order.
    pub claims: Vec<Entry>,
    /// What became of claims, by their event.
    pub answers: HashMap<String, Answer>,
    /// What was taken back, in ten-thousandths, by the event and the one that took it back.
    pub reversals: HashMap<(String, String), i64>,
}

/// A version of the campaign.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its record's offset.
    pub offset: i64,
    /// Its record's time, in milliseconds.
    pub at: i64,
    /// Its budgets.
    pub budgets: Vec<Budget>,
}

/// A record of `claims`.
#[derive(Debug, Clone)]
pub enum Entry {
    /// An event would win.
    Claim {
        /// The event.
        event: String,
        /// What the match would be worth, in ten-thousandths.
        amount: i64,
        /// The offset of the version that it met.
        met: i64,
    },
    /// A return gives something back.
    GiveBack {
        /// The event that won.
        event: String,
        /// The event that took it back.
        by: String,
        /// How much, in ten-thousandths.
        amount: i64,
        /// Whether nothing is left.
        whole: bool,
    },
    /// What is used counts no more.
    Reset {
        /// When that was asked for, in milliseconds.
        at: i64,
    },
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// When, in milliseconds.
    pub at: i64,
    /// Granted with so much, or refused for the want of room in a budget of that size: matches, and their worth.
    pub what: Result<i64, (i64, i64)>,
}

/// What was found right. Amounts are in ten-thousandths, times in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// When claims were answered, in the order of the claims.
    pub answered: Vec<i64>,
    /// How many of them became matches.
    pub granted: usize,
    /// What those are worth.
    pub granted_amount: i64,
    /// Returns that gave something back.
    pub given_back: usize,
    /// How much.
    pub reversed_amount: i64,
    /// How often the budgets were reset.
    pub resets: usize,
    /// For each version but the first: how long after it was written a claim was answered by it or a later one.
    pub in_force_after: Vec<i64>,
    /// Matches that count in the end, and what they are worth: since the last reset, and without what was given back.
    pub used: (i64, i64),
    /// When the first change was made, and when the last.
    pub changed: (i64, i64),
}

impl Report {
    /// Claims answered a second between the first change and the last, and in the slowest whole second of it.
    #[expect(clippy::cast_precision_loss, reason = "figures")]
    pub fn rates(&self) -> (f64, usize) {
        let (from, to) = self.changed;
        let mut seconds = vec![0_usize; usize::try_from((to - from) / 1000).unwrap_or_default()];
        let mut within = 0_usize;
        for at in self.answered.iter().filter(|at| (from..to).contains(*at)) {
            within += 1;
            let second = usize::try_from((at - from) / 1000).unwrap_or_default();
            if let Some(count) = seconds.get_mut(second) {
                *count += 1;
            }
        }
        let mean = within as f64 * 1000.0 / (to - from).max(1) as f64;
        (mean, seconds.into_iter().min().unwrap_or_default())
    }
}

impl Log {
    /// Reads the topics of an installation: what they say of a campaign that events of one type win; without a type, the events are
    /// those that are claimed. Only documents in JSON, and budgets of all time that are not split.
    ///
    /// # Errors
    /// What is there twice, or cannot be judged.
    pub fn read(
        kafka: &Kafka,
        installation: &str,
        campaign: &str,
        event_type: Option<&str>,
    ) -> Result<Self, String> {
        let topic = |what: &str| format!("{installation}-{what}");
        let mut log = Self::default();
        let mut problems = Vec::new();
        let mut note = |result: Result<(), String>| problems.extend(result.err());
        let is_of = |record: &Seen| record.key.as_deref() == Some(campaign.as_bytes());
        kafka.each(&topic("campaigns"), |record| {
            if is_of(&record) {
                note(log.version(&record));
            }
        });
        if let Some(event_type) = event_type {
            kafka.each(&topic("events"), |record| {
                let event = record.json();
                if record.value.is_some() && event["event_type"] == event_type {
                    log.events.insert(text(&event, "event_id").to_owned());
                }
            });
        }
        let mut partition = None;
        kafka.each(&topic("claims"), |record| {
            if is_of(&record) {
                let first = *partition.get_or_insert(record.partition);
                if first != record.partition {
                    note(Err(format!("claims of {campaign} are in two partitions")));
                }
                note(log.entry(&record));
            }
        });
        for answers in ["matches", "refusals"] {
            kafka.each(&topic(answers), |record| {
                let document = record.json();
                if document["campaign_id"] == campaign {
                    note(log.answer(&record, &document));
                }
            });
        }
        if event_type.is_none() {
            let claimed = log.claims.iter().filter_map(|entry| match entry {
                Entry::Claim { event, .. } => Some(event.clone()),
                _ => None,
            });
            log.events = claimed.collect();
        }
        match problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(log),
        }
    }

    fn version(&mut self, record: &Seen) -> Result<(), String> {
        let document = record.json();
        let number = document["version"].as_u64().unwrap_or(1);
        if usize::try_from(number) != Ok(self.versions.len() + 1) {
            return Err(format!("version {number} is not the next: {document}"));
        }
        let total = &document["limits"]["total"];
        let one = [total.clone()];
        let budgets = (0..).zip(total.as_array().map_or(&one[..], |all| all));
        self.versions.push(Version {
            offset: record.offset,
            at: record.timestamp.unwrap_or_default(),
            budgets: budgets.map(|(at, it)| budget(at, it)).collect(),
        });
        Ok(())
    }

    fn entry(&mut self, record: &Seen) -> Result<(), String> {
        let entry = match (&record.value, record.header(CONTROL)) {
            (Some(_), _) => {
                let claim = record.json();
                let prize = &claim["prize"];
                Entry::Claim {
                    event: text(&claim, "event_id").to_owned(),
                    amount: units(text(prize, "amount")),
                    met: prize["campaigns_offset"].as_i64().unwrap_or(-1),
                }
            }
            (None, Some("reset_budget")) => Entry::Reset {
                at: record.timestamp.unwrap_or_default(),
            },
            (None, Some("give_back")) => {
                let given = record.header(GIVEN_BACK).unwrap_or_default();
                let given: Value = serde_json::from_str(given).unwrap_or_default();
                Entry::GiveBack {
                    event: text(&given, "event_id").to_owned(),
                    by: text(&given, "returned_by").to_owned(),
                    amount: units(text(&given, "amount")),
                    whole: given["whole"] == true,
                }
            }
            (None, other) => return Err(format!("record {} asks {other:?}", record.offset)),
        };
        self.claims.push(entry);
        Ok(())
    }

    fn answer(&mut self, record: &Seen, document: &Value) -> Result<(), String> {
        let event = text(document, "event_id").to_owned();
        let amount = |of: &Value| of["amount"].as_str().map_or(0, units);
        let what = match (document["status"].as_str(), document["reason"].as_str()) {
            (Some("confirmed"), _) => return Ok(()),
            (Some("reversed"), _) => {
                let reversal = &document["reversal"];
                let by = text(reversal, "event_id").to_owned();
                let name = (event, by);
                if self.reversals.contains_key(&name) {
                    return Err(format!("taken back twice: {document}"));
                }
                self.reversals.insert(name, amount(reversal));
                return Ok(());
            }
            (_, None) => Ok(amount(&document["reward"])),
            (_, Some("budget_used_up")) => {
                let limit = budget(0, &document["limit"]);
                Err((limit.times, limit.amount))
            }
            (_, Some(_)) => return Err(format!("it has room: {document}")),
        };
        let at = record.timestamp.unwrap_or_default();
        match self.answers.insert(event, Answer { at, what }) {
            Some(before) => Err(format!("answered twice, first {before:?}: {document}")),
            None => Ok(()),
        }
    }

    /// Goes through the claims in their order.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn check(&self) -> Result<Report, String> {
        let mut walk = Walk::new(self);
        for entry in &self.claims {
            match entry {
                Entry::Claim { event, amount, met } => walk.claim(event, *amount, *met)?,
                Entry::GiveBack {
                    event,
                    by,
                    amount,
                    whole,
                } => walk.give_back((event, by), *amount, *whole)?,
                Entry::Reset { at } => walk.reset(*at),
            }
        }
        walk.end()
    }
}

/// The place of a budget in the list says what it counts.
fn budget(place: usize, document: &Value) -> Budget {
    let is_plain = document["per"].is_null() && document["by"].is_null();
    assert!(is_plain, "a budget of all time, not split: {document}");
    Budget {
        key: place.to_string(),
        times: document["times"].as_i64().unwrap_or(i64::MAX),
        amount: document["amount"].as_str().map_or(i64::MAX, units),
    }
}

/// On the way through the claims.
struct Walk<'l> {
    log: &'l Log,
    places: HashMap<i64, usize>,
    books: Books,
    /// The least version that may be in force.
    at: usize,
    /// The last that is known to have been.
    known: usize,
    /// With the number of resets before it, and what is left of it.
    granted: HashMap<&'l str, (usize, i64)>,
    claimed: HashSet<&'l str>,
    given_back: HashSet<(&'l str, &'l str)>,
    report: Report,
}

impl<'l> Walk<'l> {
    fn new(log: &'l Log) -> Self {
        let places = (0..).zip(&log.versions);
        let times =
            |of: fn(i64, i64) -> i64| log.versions.iter().skip(1).map(|it| it.at).reduce(of);
        let changed = (times(i64::min), times(i64::max));
        Self {
            log,
            places: places.map(|(place, it)| (it.offset, place)).collect(),
            books: Books::default(),
            at: 0,
            known: 0,
            granted: HashMap::new(),
            claimed: HashSet::new(),
            given_back: HashSet::new(),
            report: Report {
                changed: (changed.0.unwrap_or_default(), changed.1.unwrap_or_default()),
                ..Report::default()
            },
        }
    }

    fn claim(&mut self, event: &'l str, amount: i64, met: i64) -> Result<(), String> {
        if !self.claimed.insert(event) {
            return Err(format!("{event} is claimed twice"));
        }
        let answer = (self.log.answers.get(event))
            .ok_or_else(|| format!("the claim of {event} was never answered"))?;
        let met = (self.places.get(&met))
            .ok_or_else(|| format!("{event} met no version: there is none at offset {met}"))?;
        self.at = self.at.max(*met);
        let is_right = |version: &Version| match answer.what {
            Ok(granted) => granted == amount && self.books.full(&version.budgets, amount).is_none(),
            Err(limit) => {
                let full = self.books.full(&version.budgets, amount);
                full.is_some_and(|full| (full.times, full.amount) == limit)
            }
        };
        let from = self.at;
        let later = self.log.versions[from..].iter().position(is_right);
        let Some(later) = later else {
            return Err(self.wrong(event, amount, answer));
        };
        self.at += later;
        let version = &self.log.versions[self.at];
        if answer.at < version.at {
            return Err(format!(
                "{event} was answered by version {} at {}, before that was written at {}",
                self.at + 1,
                answer.at,
                version.at
            ));
        }
        while self.known < self.at {
            self.known += 1;
            let after = answer.at - self.log.versions[self.known].at;
            self.report.in_force_after.push(after);
        }
        self.report.answered.push(answer.at);
        if answer.what.is_ok() {
            self.books.count(&version.budgets, amount);
            self.granted.insert(event, (self.report.resets, amount));
            self.report.granted += 1;
            self.report.granted_amount += amount;
        }
        Ok(())
    }

    fn wrong(&self, event: &str, amount: i64, answer: &Answer) -> String {
        let version = &self.log.versions[self.at];
        let budgets = version.budgets.iter().map(|budget| {
            let (times, used) = self.books.used(&budget.key);
            let most = match budget.times {
                i64::MAX => decimal(budget.amount),
                times => format!("{times} times"),
            };
            format!("{} in {times} matches used of {most}", decimal(used))
        });
        let what = match answer.what {
            Ok(granted) => format!("granted {}", decimal(granted)),
            Err((i64::MAX, limit)) => format!("refused by a budget of {}", decimal(limit)),
            Err((limit, _)) => format!("refused by a budget of {limit} times"),
        };
        format!(
            "claim {} of {event}, {}, was {what}; but by version {} there are {}, and no later version says so either",
            self.claimed.len(),
            decimal(amount),
            self.at + 1,
            budgets.collect::<Vec<_>>().join(", ")
        )
    }

    fn give_back(
        &mut self,
        name: (&'l str, &'l str),
        amount: i64,
        whole: bool,
    ) -> Result<(), String> {
        let (event, by) = name;
        if !self.given_back.insert(name) {
            return Err(format!("{by} gives back {event} twice"));
        }
        let reversal = self.log.reversals.get(&(event.to_owned(), by.to_owned()));
        if reversal != Some(&amount) {
            return Err(format!(
                "{by} gives back {} of {event}, but its match says {reversal:?}",
                decimal(amount)
            ));
        }
        let (resets, left) = (self.granted.get_mut(event))
            .ok_or_else(|| format!("{by} gives back {event}, which was not granted before"))?;
        *left -= amount;
        if *left < 0 {
            return Err(format!("{by} gives back more than {event} won"));
        }
        // What was reset counts no more.
        if *resets == self.report.resets {
            let budgets = &self.log.versions[self.at].budgets;
            self.books.give_back(budgets, amount, whole);
        }
        self.report.given_back += 1;
        self.report.reversed_amount += amount;
        Ok(())
    }

    fn reset(&mut self, at: i64) {
        self.books.reset();
        self.report.resets += 1;
        let (from, to) = self.report.changed;
        self.report.changed = (from.min(at), to.max(at));
    }

    fn end(mut self) -> Result<Report, String> {
        let unclaimed = self
            .log
            .answers
            .keys()
            .find(|it| !self.claimed.contains(&***it));
        if let Some(event) = unclaimed {
            return Err(format!("{event} was answered and never claimed"));
        }
        let missing = self
            .log
            .events
            .iter()
            .find(|it| !self.claimed.contains(&***it));
        if let Some(event) = missing {
            return Err(format!("{event} was not claimed"));
        }
        if self.claimed.len() != self.log.events.len() {
            return Err("something was claimed that is no event".to_owned());
        }
        let is_given = |(event, by): &&(String, String)| {
            !self.given_back.contains(&(event.as_str(), by.as_str()))
        };
        if let Some((event, by)) = self.log.reversals.keys().find(is_given) {
            return Err(format!("{by} took {event} back and gave nothing back"));
        }
        self.report.used = self.books.used("0");
        Ok(self.report)
    }
}

#[cfg(test)]
mod tests;
