//! What the language means, in the plainest way: all events are kept, and looked through each time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan as _};
use rules::Pattern;
use rust_decimal::Decimal;
use schemas::across::{Across, Aggregate, Asks, Limit, LimitSpan, OnChange, Period, Window, Zone};
use schemas::{Campaign, Document, Event, Limits, ReverseOn, Status, When};
use serde_json::{Value as Json, json};
use state::EventTimes;

use crate::books::{Back, Books, Returned};
use crate::stream::{Arriving, Erase};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Taken in; the campaigns it won, and what became of matches.
    New(Vec<String>, Vec<String>),
    Duplicate,
    Refused(&'static str),
}

/// What counts: whose, and the text of what it is.
type Counted = (String, String);

pub(crate) struct Model {
    times: EventTimes,
    campaigns: BTreeMap<String, Campaign>,
    clock: i64,
    seen: BTreeSet<(String, String)>,
    /// Everything that ever counted.
    counted: BTreeMap<Counted, Vec<Arriving>>,
    /// Every match that counts for a limit: when it was won, what counts of it, and its name.
    granted: BTreeMap<Counted, Vec<(i64, Decimal, String)>>,
    waiting: Vec<Anchor>,
    /// Every match of which something may become, and every return.
    books: Books,
    /// Why events that met a campaign's pattern did not win.
    pub(crate) reasons: BTreeMap<&'static str, usize>,
}

struct Anchor {
    campaign: String,
    condition: String,
    event: Arriving,
    due: i64,
}

impl Model {
    pub(crate) fn new(times: EventTimes) -> Self {
        Self {
            times,
            campaigns: BTreeMap::new(),
            clock: i64::MIN,
            seen: BTreeSet::new(),
            counted: BTreeMap::new(),
            granted: BTreeMap::new(),
            waiting: Vec::new(),
            books: Books::default(),
            reasons: BTreeMap::new(),
        }
    }

    pub(crate) fn change(&mut self, campaign: &Campaign) {
        self.campaigns
            .insert(campaign.id.to_string(), campaign.clone());
    }

    pub(crate) fn take(&mut self, event: &Arriving) -> Outcome {
        self.clock = self.clock.max(event.record);
        if event.at < self.clock - self.times.dedup_window.as_millis() {
            return Outcome::Refused("too_late");
        }
        if event.at > event.record + self.times.max_ahead.as_millis() {
            return Outcome::Refused("too_early");
        }
        let moment = Timestamp::from_millisecond(event.at).unwrap();
        let campaigns = self.campaigns.values();
        let is_live = |it: &Campaign| it.status == Status::Active && it.schedule.contains(moment);
        let live = campaigns.filter(|it| is_live(it));
        let concerned: Vec<Campaign> = live
            .filter(|campaign| patterns(campaign).any(|pattern| is_met(pattern, event)))
            .cloned()
            .collect();
        // Also of campaigns that nothing wins any more.
        let returns: Vec<(String, ReverseOn)> = (self.campaigns.values())
            .filter_map(|it| Some((it.id.to_string(), it.reverse_on.clone()?)))
            .filter(|(_, reverse_on)| is_met(&reverse_on.when, event))
            .collect();
        if concerned.is_empty() && returns.is_empty() {
            return Outcome::New(Vec::new(), Vec::new());
        }
        if !self.seen.insert((event.customer.clone(), event.id.clone())) {
            return Outcome::Duplicate;
        }
        let mut sequels = Vec::new();
        for (campaign, reverse_on) in &returns {
            let Some(returned) = Returned::of(campaign, reverse_on, event) else {
                continue;
            };
            let back = self.books.take_back(returned);
            sequels.extend(self.follow(&back));
        }
        let mut could_win = Vec::new();
        for campaign in concerned {
            self.count(&campaign, event);
            if is_met(&campaign.when, event)
                && campaign.schedule.is_open(moment)
                && self.could_win(&campaign, event)
            {
                could_win.push(campaign);
            }
        }
        let won = self.share(could_win, event);
        for id in &won {
            let campaign = self.campaigns[id].clone();
            let back = self.books.keep(&campaign, event, event.at);
            sequels.extend(self.follow(&back));
        }
        Outcome::New(won, sequels)
    }

    /// Gives back what was used of limits, and says what happened.
    fn follow(&mut self, back: &[Back]) -> Vec<String> {
        for back in back {
            if back.keeps_limits {
                continue;
            }
            for ((customer, _), matches) in &mut self.granted {
                if *customer != back.customer {
                    continue;
                }
                for (_, counts, name) in matches.iter_mut() {
                    if *name == back.name {
                        *counts -= back.amount.unwrap_or_default();
                    }
                }
                if back.whole {
                    matches.retain(|(_, _, name)| *name != back.name);
                }
            }
        }
        back.iter().map(ToString::to_string).collect()
    }

    /// The best first: each takes what those before it have left.
    fn share(&mut self, mut could_win: Vec<Campaign>, event: &Arriving) -> Vec<String> {
        could_win.sort_by(|a, b| {
            let rank = |it: &Campaign| (it.priority, amount(it));
            rank(b).cmp(&rank(a)).then(a.id.cmp(&b.id))
        });
        let mut won: Vec<Campaign> = Vec::new();
        for campaign in could_win {
            let has_room = groups(&campaign).all(|(group, most)| {
                let names = |it: &&Campaign| groups(it).any(|(name, _)| name == group);
                most.is_none_or(|most| won.iter().filter(names).count() < most as usize)
            });
            if !has_room {
                *self.reasons.entry("group").or_default() += 1;
            } else if self.grant(&campaign, event, event.at) {
                won.push(campaign);
            }
        }
        let mut won: Vec<String> = won.iter().map(|it| it.id.to_string()).collect();
        won.sort();
        won
    }

    pub(crate) fn erase(&mut self, erase: &Erase) {
        self.clock = self.clock.max(erase.record);
        let is_theirs = |customer: &str| customer == erase.customer;
        self.seen.retain(|(customer, _)| !is_theirs(customer));
        self.counted.retain(|(customer, _), _| !is_theirs(customer));
        self.granted.retain(|(customer, _), _| !is_theirs(customer));
        (self.waiting).retain(|anchor| !is_theirs(&anchor.event.customer));
        self.books.forget(&erase.customer);
    }

    fn count(&mut self, campaign: &Campaign, event: &Arriving) {
        for (across, names) in campaign.across.iter().zip(names(campaign)) {
            let counts = if let Asks::Sequence(steps) = &across.asks {
                let met = steps.iter().zip(names);
                let met = met.filter(|(step, _)| is_met(&step.when, event));
                met.map(|(_, name)| name).collect()
            } else if is_met(across.when.as_ref().unwrap_or(&campaign.when), event) {
                names
            } else {
                Vec::new()
            };
            for name in counts {
                let whose = (event.customer.clone(), name);
                self.counted.entry(whose).or_default().push(event.clone());
            }
        }
    }

    fn counted(&self, customer: &str, name: &str) -> &[Arriving] {
        let whose = (customer.to_owned(), name.to_owned());
        self.counted.get(&whose).map_or(&[], Vec::as_slice)
    }

    /// Whether it wins if others and its limits leave room; what waits, waits.
    fn could_win(&mut self, campaign: &Campaign, event: &Arriving) -> bool {
        let mut waits = None;
        for (across, names) in campaign.across.iter().zip(names(campaign)) {
            if let (Asks::Absent, Window::Sliding(span)) = (&across.asks, &across.window) {
                waits = Some((names[0].clone(), event.at + span.as_millis()));
            }
            if !self.holds(across, &names, event) {
                *self.reasons.entry("condition").or_default() += 1;
                return false;
            }
        }
        if let Some((condition, due)) = waits {
            self.waiting.push(Anchor {
                campaign: campaign.id.to_string(),
                condition,
                event: event.clone(),
                due,
            });
            return false;
        }
        true
    }

    fn holds(&self, across: &Across, names: &[String], event: &Arriving) -> bool {
        let all = self.counted(&event.customer, &names[0]);
        // A session of a field's values is one of the events that have one.
        let with_value: Vec<Arriving>;
        let all = match (&across.asks, &across.window) {
            (Asks::Of(aggregate, measured), Window::Session(_)) => {
                let is_one = |it: &Json| *aggregate == Aggregate::Distinct || decimal(it).is_some();
                let has_one = |it: &&Arriving| values(it, &measured.of).iter().any(is_one);
                with_value = all.iter().filter(has_one).cloned().collect();
                &with_value
            }
            _ => all,
        };
        let inside = within(all, &across.window, event.at);
        match &across.asks {
            Asks::Count(bounds) => bounds.hold(inside.len().into()),
            Asks::Nth(number) => inside.len() as u64 == *number,
            Asks::Of(aggregate, measured) => {
                let values = inside.iter().flat_map(|it| values(it, &measured.of));
                if *aggregate == Aggregate::Distinct {
                    let texts = values.map(|value| match value {
                        Json::Number(number) => format!("number {}", number.as_f64().unwrap()),
                        other => other.to_string(),
                    });
                    let texts: BTreeSet<String> = texts.collect();
                    return measured.bounds.hold(texts.len().into());
                }
                let decimals: Vec<Decimal> = values.filter_map(|value| decimal(&value)).collect();
                let value = match aggregate {
                    Aggregate::Min => decimals.iter().min().copied(),
                    Aggregate::Max => decimals.iter().max().copied(),
                    Aggregate::Average if decimals.is_empty() => None,
                    Aggregate::Average => {
                        Some(decimals.iter().sum::<Decimal>() / Decimal::from(decimals.len()))
                    }
                    Aggregate::Sum | Aggregate::Distinct => Some(decimals.iter().sum()),
                };
                value.is_some_and(|value| measured.bounds.hold(value))
            }
            Asks::Absent => {
                let Window::Sliding(span) = &across.window else {
                    unreachable!();
                };
                let due = event.at + span.as_millis();
                !all.iter().any(|it| event.at < it.at && it.at <= due)
            }
            Asks::Sequence(steps) => {
                let Window::Sliding(last) = &across.window else {
                    unreachable!();
                };
                // All chains, from the end to the begin.
                let mut ends = vec![event.at];
                let mut gap = last.as_millis();
                for (at, step) in steps.iter().enumerate().rev() {
                    let met = self.counted(&event.customer, &names[at]);
                    let fits = |it: &&Arriving| {
                        let mut gaps = ends.iter().map(|end| end - it.at);
                        gaps.any(|it| 0 < it && it <= gap)
                    };
                    ends = met.iter().filter(fits).map(|it| it.at).collect();
                    gap = step.within.map_or(0, schemas::Span::as_millis);
                }
                !ends.is_empty()
            }
        }
    }

    fn grant(&mut self, campaign: &Campaign, event: &Arriving, at: i64) -> bool {
        let amount = amount(campaign);
        let customer = &event.customer;
        let won = (at, amount, format!("{}:{}", event.id, campaign.id));
        let shared = campaign.stacking.iter().flat_map(|it| &it.per_customer.0);
        let limits = campaign.limits.per_customer.0.iter().chain(shared);
        let names: Vec<Counted> = limit_names(campaign)
            .map(|name| (customer.clone(), name))
            .collect();
        for (limit, name) in limits.zip(&names) {
            let mut matches = self.granted.get(name).cloned().unwrap_or_default();
            matches.push(won.clone());
            if !keeps(limit, &matches, at) {
                *self.reasons.entry("limit").or_default() += 1;
                return false;
            }
        }
        for name in names {
            self.granted.entry(name).or_default().push(won.clone());
        }
        true
    }

    /// Campaign and event of what is due, and what is confirmed.
    pub(crate) fn due(&mut self, now: i64) -> Vec<(String, String)> {
        let confirmed = self.books.confirm(now);
        let waiting = std::mem::take(&mut self.waiting);
        let (mut over, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|anchor| anchor.due <= now);
        self.waiting = waiting;
        over.sort_by(|a, b| (a.due, &a.event.id).cmp(&(b.due, &b.event.id)));
        let mut won = confirmed;
        for anchor in over {
            let happened = self.counted(&anchor.event.customer, &anchor.condition);
            let after = anchor.event.at;
            if happened
                .iter()
                .any(|it| after < it.at && it.at <= anchor.due)
            {
                continue;
            }
            let campaign = self.campaigns[&anchor.campaign].clone();
            let moment = Timestamp::from_millisecond(after).unwrap();
            let is_live = campaign.status == Status::Active && campaign.schedule.contains(moment);
            let still = names(&campaign).zip(&campaign.across);
            let mut still = still.filter(|(_, across)| across.asks == Asks::Absent);
            let is_same = still.any(|(names, _)| names[0] == anchor.condition);
            if is_live && is_same && self.grant(&campaign, &anchor.event, anchor.due) {
                self.books.keep(&campaign, &anchor.event, anchor.due);
                won.push((anchor.campaign, anchor.event.id));
            }
        }
        won.sort();
        won
    }
}

/// All patterns of a campaign.
fn patterns(campaign: &Campaign) -> impl Iterator<Item = &When> {
    let across = campaign.across.iter().flat_map(|across| {
        let steps = match &across.asks {
            Asks::Sequence(steps) => steps.as_slice(),
            _ => &[],
        };
        across
            .when
            .iter()
            .chain(steps.iter().map(|step| &step.when))
    });
    [&campaign.when].into_iter().chain(across)
}

fn is_met(pattern: &When, event: &Arriving) -> bool {
    let mut document = Document::new();
    document
        .read(event.json().as_bytes(), Limits::default())
        .unwrap();
    let event = Event::of(&document).unwrap();
    Pattern::parse(pattern.json()).unwrap().matches(event.root)
}

/// The part of the names that makes all of them new when the campaign changes, if it is to be so.
fn all(campaign: &Campaign) -> String {
    match campaign.on_change {
        OnChange::Keep => campaign.id.to_string(),
        OnChange::Reset => json!([
            campaign.id,
            campaign.when,
            campaign.schedule,
            campaign.across,
            campaign.limits
        ])
        .to_string(),
    }
}

/// What each condition of a campaign counts, in words, a sequence each of its steps; the same words are the same count.
fn names(campaign: &Campaign) -> impl Iterator<Item = Vec<String>> {
    let mut given = BTreeMap::<String, usize>::new();
    let names = campaign.across.iter().map(move |across| {
        let what = match &across.asks {
            Asks::Count(_) | Asks::Nth(_) => "count".to_owned(),
            Asks::Of(aggregate, measured) => format!("{aggregate:?} of {}", measured.of),
            Asks::Absent => "absent".to_owned(),
            Asks::Sequence(_) => "step".to_owned(),
        };
        let counted = across.when.as_ref().unwrap_or(&campaign.when);
        let counts = match (&across.asks, &across.window) {
            (Asks::Sequence(steps), Window::Sliding(last)) => {
                // How long a step is asked for: until the end of the sequence.
                let rest = |at: usize| {
                    let gaps = steps[at + 1..].iter().filter_map(|step| step.within);
                    gaps.chain([*last]).map(schemas::Span::as_millis).sum()
                };
                let numbered = steps.iter().enumerate();
                let counts = numbered.map(|(at, step)| {
                    let rest: i64 = rest(at);
                    format!("{rest} {}", step.when)
                });
                counts.collect()
            }
            (_, window) => vec![format!("{window:?} {counted}")],
        };
        let names = counts.into_iter().map(|counts| {
            let name = format!("{} {what} {counts}", all(campaign));
            let number = given.entry(name.clone()).or_default();
            *number += 1;
            format!("{name} {number}")
        });
        names.collect()
    });
    names.collect::<Vec<_>>().into_iter()
}

fn amount(campaign: &Campaign) -> Decimal {
    let amount = campaign.reward.amount.as_ref();
    let amount = amount.and_then(schemas::RewardAmount::exact);
    amount.map_or(Decimal::ZERO, schemas::Amount::decimal)
}

/// The groups that a campaign names, and how many of each may win an event.
fn groups(campaign: &Campaign) -> impl Iterator<Item = (String, Option<u32>)> {
    let exclusive = campaign.exclusive_group.iter();
    let exclusive = exclusive.map(|it| (it.to_string(), Some(1)));
    let stacking = campaign.stacking.iter();
    exclusive.chain(stacking.map(|it| (it.group.to_string(), it.per_event)))
}

fn limit_names(campaign: &Campaign) -> impl Iterator<Item = String> {
    let mut given = BTreeMap::<String, usize>::new();
    let own = campaign.limits.per_customer.0.iter();
    let own = own.map(|limit| (all(campaign), limit));
    let shared = campaign.stacking.iter().flat_map(|stacking| {
        let limits = stacking.per_customer.0.iter();
        limits.map(|limit| (format!("group {}", stacking.group), limit))
    });
    let names = own.chain(shared).map(move |(whose, limit)| {
        let name = format!("{whose} {:?}", limit.span);
        let number = given.entry(name.clone()).or_default();
        *number += 1;
        format!("{name} {number}")
    });
    names.collect::<Vec<_>>().into_iter()
}

fn within(all: &[Arriving], window: &Window, at: i64) -> Vec<Arriving> {
    let inside = |holds: &dyn Fn(i64) -> bool| {
        let inside = all.iter().filter(|it| holds(it.at));
        inside.cloned().collect()
    };
    match window {
        Window::Sliding(span) => inside(&|it| at - span.as_millis() < it && it <= at),
        Window::Tumbling(span) => {
            let number = |it: i64| it.div_euclid(span.as_millis());
            inside(&|it| number(it) == number(at))
        }
        Window::Calendar(period, zone) => {
            inside(&|it| stretch(*period, zone, it) == stretch(*period, zone, at))
        }
        Window::Session(pause) => {
            let mut begin = at;
            loop {
                let before = all.iter().map(|it| it.at);
                let before = before.filter(|it| *it <= begin && begin - it <= pause.as_millis());
                match before.min() {
                    Some(earlier) if earlier < begin => begin = earlier,
                    _ => return inside(&|it| begin <= it && it <= at),
                }
            }
        }
        Window::Ever => all.to_vec(),
    }
}

/// The first day of the stretch.
fn stretch(period: Period, zone: &Zone, at: i64) -> jiff::civil::Date {
    let date = zone
        .get()
        .to_datetime(Timestamp::from_millisecond(at).unwrap())
        .date();
    match period {
        Period::Day => date,
        Period::Week => {
            let mut monday = date;
            while monday.weekday() != jiff::civil::Weekday::Monday {
                monday = monday.checked_sub(1.day()).unwrap();
            }
            monday
        }
        Period::Month => date.first_of_month(),
    }
}

/// Whether the limit is kept, the last match included.
fn keeps(limit: &Limit, matches: &[(i64, Decimal, String)], at: i64) -> bool {
    let fits = |inside: Vec<&(i64, Decimal, String)>| {
        let sum: Decimal = inside.iter().map(|(_, amount, _)| *amount).sum();
        limit
            .times
            .is_none_or(|times| inside.len() <= times as usize)
            && limit.amount.is_none_or(|most| sum <= most.decimal())
    };
    match &limit.span {
        LimitSpan::Ever => fits(matches.iter().collect()),
        LimitSpan::Per(period, zone) => {
            let same = |it: &&(i64, Decimal, String)| {
                stretch(*period, zone, it.0) == stretch(*period, zone, at)
            };
            fits(matches.iter().filter(same).collect())
        }
        // Whichever stretch of that length with the match in it one looks at.
        LimitSpan::Every(span) => matches.iter().all(|(end, _, _)| {
            if at <= end - span.as_millis() || *end < at {
                return true;
            }
            let inside =
                |it: &&(i64, Decimal, String)| end - span.as_millis() < it.0 && it.0 <= *end;
            fits(matches.iter().filter(inside).collect())
        }),
    }
}

pub(crate) fn values(event: &Arriving, of: &str) -> Vec<Json> {
    let root: Json = serde_json::from_str(&event.json()).unwrap();
    let mut found = vec![root];
    let flat = |found: Vec<Json>| -> Vec<Json> {
        let each = found.into_iter().flat_map(|value| match value {
            Json::Array(elements) => elements,
            other => vec![other],
        });
        each.collect()
    };
    for name in of.split('.') {
        let fields = flat(found)
            .into_iter()
            .filter_map(|it| it.get(name).cloned());
        found = fields.collect();
    }
    flat(found)
}

pub(crate) fn decimal(value: &Json) -> Option<Decimal> {
    match value {
        Json::String(text) => text.parse().ok(),
        Json::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}
