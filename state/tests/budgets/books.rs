//! Plain books, kept from the logs alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use rust_decimal::Decimal;
use schemas::Claim;
use schemas::across::{Budget, Period};
use state::memory::Memory;

use super::machine::Machine;

/// What was granted, by campaign, stretch and field of the budget, value and day on which the stretch begins.
#[derive(Default)]
pub(crate) struct Books {
    entries: BTreeMap<(String, String), (u64, Decimal)>,
    /// How many of the settler's decisions are in them.
    kept: usize,
    matches: BTreeSet<(String, String)>,
}

impl Books {
    /// Takes in what was settled since, each of which must be as the books say.
    pub(crate) fn keep(&mut self, seed: u64, machine: &Machine) {
        for (number, settled) in machine.settled.iter().enumerate().skip(self.kept) {
            let Some(claim) = &settled.claim else {
                self.entries
                    .retain(|(campaign, _), _| *campaign != settled.campaign);
                continue;
            };
            let amount = claim.prize.amount.decimal();
            let budgets = &settled.document.limits.total.0;
            let mut numbers = BTreeMap::new();
            let keys: Vec<_> = (budgets.iter())
                .map(|budget| {
                    // Budgets of the same form count apart.
                    let form = format!("{:?} {:?}", budget.per, budget.by);
                    let number = numbers.entry(form.clone()).or_insert(0);
                    *number += 1;
                    let key = format!(
                        "{form} {number} {:?} {:?}",
                        value(claim, budget),
                        begin(claim, budget)
                    );
                    (settled.campaign.clone(), key)
                })
                .collect();
            let fits = budgets.iter().zip(&keys).all(|(budget, key)| {
                let (times, sum) = self.entries.get(key).copied().unwrap_or_default();
                budget.times.is_none_or(|most| times < most)
                    && budget
                        .amount
                        .is_none_or(|most| sum + amount <= most.decimal())
            });
            assert_eq!(
                settled.granted, fits,
                "seed {seed}, claim {number}: {claim:?}"
            );
            if fits {
                for key in keys {
                    let entry = self.entries.entry(key).or_default();
                    *entry = (entry.0 + 1, entry.1 + amount);
                }
            }
        }
        self.kept = machine.settled.len();
        for won in machine.matches.iter().skip(self.matches.len()) {
            let is_new = self
                .matches
                .insert((won.event.clone(), won.campaign.clone()));
            assert!(is_new, "seed {seed}: twice {won:?}");
        }
    }

    /// Nothing is under way any more: what is remembered is what the matches say.
    pub(crate) fn close(seed: u64, machine: &Machine) {
        let mut by_event: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for won in &machine.matches {
            by_event.entry(&won.event).or_default().push(&won.campaign);
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
        for campaign in machine.campaigns() {
            let Some(history) = machine.rule(campaign).history() else {
                continue;
            };
            for limit in history.limits() {
                for customer in ["ann", "bob", "cid", "dan"] {
                    let counted = match machine.customer(customer).memory(limit.identity()) {
                        None => 0,
                        Some(Memory::Events(events)) => events.len() as u64,
                        Some(Memory::Total(sum)) => sum.count,
                        Some(Memory::Stretches(all)) => all.iter().map(|(_, sum)| sum.count).sum(),
                    };
                    let won = machine.matches.iter();
                    let won = won.filter(|it| it.campaign == campaign && it.customer == customer);
                    assert_eq!(
                        counted,
                        won.count() as u64,
                        "seed {seed}: {campaign} of {customer}"
                    );
                }
            }
        }
    }
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
