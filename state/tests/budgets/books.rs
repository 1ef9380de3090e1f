//! Plain books, kept from the logs alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use rust_decimal::Decimal;
use schemas::across::{Budget, Period};
use schemas::reverse_on::UsedLimits;
use schemas::{Campaign, Claim, GivenBack};
use state::memory::Memory;

use super::machine::Machine;
use super::records::{Said, SettledRecord, What};
use super::returns;

/// A budget of a campaign: its stretch and field, which of that form, the value, and the day on which the stretch begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    campaign: String,
    form: String,
    number: usize,
    value: Option<String>,
    begin: Option<Date>,
}

/// An event and a campaign.
type Name = (String, String);

/// What is known of a match.
#[derive(Debug, Default)]
pub(crate) struct Became {
    pub(crate) amount: Decimal,
    pub(crate) reversed: Decimal,
    pub(crate) whole: bool,
    confirmed: bool,
}

#[derive(Default)]
pub(crate) struct Books {
    /// What counts for each budget: so many matches, so much.
    entries: BTreeMap<Key, (u64, Decimal)>,
    /// Where each match counts that may be given back.
    counted: BTreeMap<Name, Vec<Key>>,
    /// What of each budget was granted and may be given back, and is not taken back.
    outstanding: BTreeMap<Key, Decimal>,
    /// How many of the settler's decisions are in them.
    settled: usize,
    /// How many records of matches are in them.
    read: usize,
    matches: BTreeMap<Name, Became>,
    /// What each return took back of each match, by the return, and what of that budgets get back.
    reversals: BTreeMap<(Name, String), (Decimal, bool)>,
    given_back: BTreeSet<(Name, String)>,
}

impl Books {
    /// Takes in what stands in the logs since, all of which must be as the books say.
    pub(crate) fn keep(&mut self, seed: u64, machine: &Machine) {
        for said in &machine.matches[self.read..] {
            self.read(seed, said);
        }
        self.read = machine.matches.len();
        for record in &machine.settled[self.settled..] {
            match record {
                SettledRecord::Reset(campaign) => {
                    self.entries.retain(|key, _| key.campaign != *campaign);
                    (self.outstanding).retain(|key, _| key.campaign != *campaign);
                    for keys in self.counted.values_mut() {
                        keys.retain(|key| key.campaign != *campaign);
                    }
                }
                SettledRecord::GivenBack(given) => self.give_back(seed, given),
                SettledRecord::Claim {
                    claim,
                    document,
                    granted,
                } => self.settle(seed, claim, document, *granted),
            }
        }
        self.settled = machine.settled.len();
    }

    fn read(&mut self, seed: u64, said: &Said) {
        let name = (said.event.clone(), said.campaign.clone());
        if let What::Won { amount } = &said.what {
            let became = Became {
                amount: *amount,
                ..Became::default()
            };
            let before = self.matches.insert(name, became);
            assert!(before.is_none(), "seed {seed}: twice {said:?}");
            return;
        }
        let became = self.matches.get_mut(&name);
        let became = became.unwrap_or_else(|| panic!("seed {seed}: {said:?} before its match"));
        assert!(!became.whole, "seed {seed}: nothing is left for {said:?}");
        let What::Reversed { by, amount, whole } = &said.what else {
            assert!(!became.confirmed, "seed {seed}: twice {said:?}");
            became.confirmed = true;
            return;
        };
        became.reversed += amount;
        became.whole = *whole;
        assert!(*amount >= Decimal::ZERO && became.reversed <= became.amount);
        assert!(!whole || became.reversed == became.amount, "seed {seed}");
        for key in self.counted.get(&name).into_iter().flatten() {
            *self.outstanding.get_mut(key).unwrap() -= amount;
        }
        let before = (self.reversals).insert((name, by.clone()), (*amount, *whole));
        assert!(before.is_none(), "seed {seed}: twice {said:?}");
    }

    fn settle(&mut self, seed: u64, claim: &Claim<'_>, document: &Campaign, granted: bool) {
        let amount = claim.prize.amount.decimal();
        let keys = keys(claim, document);
        let budgets = &document.limits.total.0;
        let fits = budgets.iter().zip(&keys).all(|(budget, key)| {
            let (times, sum) = self.entries.get(key).copied().unwrap_or_default();
            let has_times = budget.times.is_none_or(|most| times < most);
            let most = budget.amount.map(schemas::Amount::decimal);
            has_times && most.is_none_or(|most| sum + amount <= most)
        });
        assert_eq!(granted, fits, "seed {seed}: {claim:?}");
        if !fits {
            return;
        }
        for key in &keys {
            let entry = self.entries.entry(key.clone()).or_default();
            *entry = (entry.0 + 1, entry.1 + amount);
        }
        let reverse_on = document.reverse_on.as_ref();
        if reverse_on.is_some_and(|it| it.budget == UsedLimits::Restore) {
            let name = (
                claim.event_id.to_string(),
                claim.prize.campaign_id.to_string(),
            );
            for key in &keys {
                *self.outstanding.entry(key.clone()).or_default() += amount;
                self.hold_the_law(seed, key);
            }
            self.counted.insert(name, keys);
        }
    }

    fn give_back(&mut self, seed: u64, given: &GivenBack<'_>) {
        let name = (given.event_id.to_string(), given.campaign_id.to_string());
        let by = given.returned_by.to_string();
        let reversal = self.reversals.get(&(name.clone(), by.clone()));
        let (amount, whole) = reversal.unwrap_or_else(|| panic!("seed {seed}: {given:?}"));
        assert_eq!(
            (given.amount.decimal(), given.whole),
            (*amount, *whole),
            "seed {seed}"
        );
        let is_new = self.given_back.insert((name.clone(), by));
        assert!(is_new, "seed {seed}: twice {given:?}");
        let keys = self.counted.get(&name);
        for key in keys.unwrap_or_else(|| panic!("seed {seed}: {given:?} is kept")) {
            let entry = self.entries.get_mut(key).unwrap();
            *entry = (entry.0 - u64::from(*whole), entry.1 - amount);
            self.hold_the_law(seed, key);
        }
    }

    /// What is granted and not taken back is never more than what counts, which is never more than the budget was.
    fn hold_the_law(&self, seed: u64, key: &Key) {
        let outstanding = self.outstanding.get(key).copied().unwrap_or_default();
        assert!(outstanding <= self.entries[key].1, "seed {seed}: {key:?}");
    }

    /// Nothing is under way any more: what is remembered is what the matches say.
    pub(crate) fn close(&self, seed: u64, machine: &Machine) {
        let mut by_event: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (event, campaign) in self.matches.keys() {
            by_event.entry(event).or_default().push(campaign);
        }
        for (event, campaigns) in by_event {
            let of = |group: &[&str]| campaigns.iter().filter(|it| group.contains(it)).count();
            // One that has neither limit nor budget is left when others are refused.
            assert_eq!(
                of(&["a", "b", "c"]),
                1,
                "seed {seed}, {event}: {campaigns:?}"
            );
            assert!(
                of(&["e", "f", "h", "i"]) <= 2,
                "seed {seed}, {event}: {campaigns:?}"
            );
            assert!(
                of(&["e", "f", "h", "i"]) >= 1,
                "seed {seed}, {event}: {campaigns:?}"
            );
        }
        self.close_limits(seed, machine);
        self.close_budgets(seed, machine);
        for ((event, campaign), became) in &self.matches {
            let is_held = machine.rule(campaign).campaign().hold.is_some();
            assert!(
                is_held || !became.confirmed,
                "seed {seed}: {event} {campaign}"
            );
            let is_owed = !is_held || became.confirmed || became.whole;
            assert!(is_owed, "seed {seed}: {event} {campaign} is held for ever");
        }
        returns::check(seed, machine, &self.matches);
    }

    /// Limits count what is not taken back, or all if they keep it.
    fn close_limits(&self, seed: u64, machine: &Machine) {
        for campaign in machine.campaigns() {
            let rule = machine.rule(campaign);
            let Some(history) = rule.history() else {
                continue;
            };
            let returns = history.returns();
            let keeps = returns.is_some_and(|it| it.limits() == UsedLimits::Keep);
            for limit in history.limits() {
                for customer in ["ann", "bob", "cid", "dan"] {
                    let counted = match machine.customer(customer).memory(limit.identity()) {
                        None | Some(Memory::Codes(_)) => 0,
                        Some(Memory::Events(events)) => events.len() as u64,
                        Some(Memory::Total(sum)) => sum.count,
                        Some(Memory::Stretches(all)) => all.iter().map(|(_, sum)| sum.count).sum(),
                    };
                    let won = machine.matches.iter().filter(|it| {
                        matches!(it.what, What::Won { .. })
                            && it.campaign == campaign
                            && it.customer == customer
                            && (keeps
                                || !self.matches[&(it.event.clone(), campaign.to_owned())].whole)
                    });
                    assert_eq!(
                        counted,
                        won.count() as u64,
                        "seed {seed}: {campaign} of {customer}"
                    );
                }
            }
        }
    }

    /// What is remembered of budgets is what the books say, and all is given back that ought to be.
    fn close_budgets(&self, seed: u64, machine: &Machine) {
        for (name, by) in self.reversals.keys() {
            let ought = self.counted.contains_key(name);
            let is_given = self.given_back.contains(&(name.clone(), by.clone()));
            assert_eq!(is_given, ought, "seed {seed}: {name:?} by {by}");
        }
        for (key, (times, amount)) in &self.entries {
            let rule = machine.rule(&key.campaign);
            let document = rule.campaign();
            let mut forms = forms(&document).into_iter();
            let Some(place) = forms.position(|it| it == (key.form.clone(), key.number)) else {
                continue;
            };
            let total = &rule.totals()[place];
            let id = match (&total.budget().by, &key.value) {
                (None, _) => key.campaign.clone(),
                (Some(by), None) => format!("{}\u{1f}{by}", key.campaign),
                (Some(by), Some(value)) => format!("{}\u{1f}{by}\u{1f}{value}", key.campaign),
            };
            let account = machine.account(&id);
            let spent = state::settle::spent(rule, &id, &account);
            let zone = total.budget().per.as_ref().map(|(_, zone)| zone);
            let spent = spent.iter().find(|it| {
                let begin = it.period.zip(zone).map(|(at, zone)| {
                    let at = jiff::Timestamp::from_millisecond(at).unwrap();
                    zone.get().to_datetime(at).date()
                });
                it.total.identity() == total.identity() && begin == key.begin
            });
            let used = spent.map_or((0, Decimal::ZERO), |it| (it.used.times, it.used.amount));
            assert_eq!(used, (*times, *amount), "seed {seed}: {key:?}");
        }
    }

    /// How many matches were confirmed, taken back, and taken back in part; and how many returns gave something back.
    pub(crate) fn counts(&self) -> [usize; 4] {
        let matches = self.matches.values();
        [
            matches.clone().filter(|it| it.confirmed).count(),
            matches.clone().filter(|it| it.whole).count(),
            (matches.filter(|it| !it.whole && !it.reversed.is_zero())).count(),
            self.given_back.len(),
        ]
    }
}

/// The form of each budget, and which of its form it is: those of the same form count apart.
fn forms(document: &Campaign) -> Vec<(String, usize)> {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let budgets = document.limits.total.0.iter();
    let forms = budgets.map(|budget| {
        let form = format!("{:?} {:?}", budget.per, budget.by);
        let number = numbers.entry(form.clone()).or_insert(0);
        *number += 1;
        (form, *number)
    });
    forms.collect()
}

/// Where a claim counts.
fn keys(claim: &Claim<'_>, document: &Campaign) -> Vec<Key> {
    let budgets = document.limits.total.0.iter().zip(forms(document));
    let keys = budgets.map(|(budget, (form, number))| Key {
        campaign: document.id.to_string(),
        form,
        number,
        value: value(claim, budget).map(str::to_owned),
        begin: begin(claim, budget),
    });
    keys.collect()
}

fn value<'c>(claim: &'c Claim<'_>, budget: &Budget) -> Option<&'c str> {
    let by = budget.by.as_deref()?;
    claim.prize.by.get(by).map(|value| &**value)
}

/// The first day of the stretch.
fn begin(claim: &Claim<'_>, budget: &Budget) -> Option<Date> {
    let (period, zone) = budget.per.as_ref()?;
    let date = zone.get().to_datetime(claim.counts_at).date();
    Some(match period {
        Period::Day => date,
        Period::Month => date.first_of_month(),
        Period::Week => {
            let mut monday = date;
            while monday.weekday() != jiff::civil::Weekday::Monday {
                monday = monday.yesterday().unwrap();
            }
            monday
        }
    })
}
