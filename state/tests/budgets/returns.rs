//! What returns take back, in the plainest way: as if every claim had been decided at once, with what was decided in the end.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value as Json;

use super::books::Became;
use super::machine::Machine;

struct Won {
    event: String,
    order: Json,
    amount: Decimal,
    of: Decimal,
    returned: Decimal,
    reversed: Decimal,
    whole: bool,
}

/// A return; none is of all.
struct Returned {
    order: Json,
    part: Option<Decimal>,
}

/// Holds what was taken back of each match against the events of its customer, in their order.
pub(crate) fn check(seed: u64, machine: &Machine, matches: &BTreeMap<(String, String), Became>) {
    for campaign in machine.campaigns() {
        let document = machine.rule(campaign).campaign();
        let Some(reverse_on) = document.reverse_on else {
            continue;
        };
        let is_in_parts = reverse_on.amount.is_some();
        let kind = if is_in_parts { "refund" } else { "cancel" };
        let mut by_customer: BTreeMap<String, (Vec<Won>, Vec<Returned>)> = BTreeMap::new();
        let mut counted = BTreeSet::new();
        for event in [0, 1].iter().flat_map(|number| machine.events(*number)) {
            let event: Json = serde_json::from_str(event).unwrap();
            let text = |field: &str| event[field].as_str().unwrap().to_owned();
            if !counted.insert(text("event_id")) {
                continue;
            }
            let (won, waiting) = by_customer.entry(text("customer_id")).or_default();
            let order = event["payload"]["order"].clone();
            let amount = decimal(&event["payload"]["amount"]);
            if text("event_type") == "buy" {
                let Some(became) = matches.get(&(text("event_id"), campaign.to_owned())) else {
                    continue;
                };
                let mut it = Won {
                    event: text("event_id"),
                    order,
                    amount: became.amount,
                    of: amount.filter(|_| is_in_parts).unwrap_or_default(),
                    returned: Decimal::ZERO,
                    reversed: Decimal::ZERO,
                    whole: false,
                };
                for returned in waiting.iter_mut() {
                    if returned.order == it.order {
                        it.take(returned);
                    }
                }
                waiting.retain(|returned| returned.part != Some(Decimal::ZERO));
                won.push(it);
            } else if text("event_type") == kind {
                let part = amount.filter(|_| is_in_parts);
                if part == Some(Decimal::ZERO) {
                    continue;
                }
                let mut returned = Returned { order, part };
                let mut has_found = false;
                for it in won.iter_mut() {
                    if it.order != returned.order {
                        continue;
                    }
                    has_found = true;
                    if part.is_none() {
                        returned.part = None;
                    }
                    it.take(&mut returned);
                }
                if returned.part != Some(Decimal::ZERO) && !(part.is_none() && has_found) {
                    waiting.push(returned);
                }
            }
        }
        for it in by_customer.values().flat_map(|(won, _)| won) {
            let found = &matches[&(it.event.clone(), campaign.to_owned())];
            assert_eq!(
                (found.reversed, found.whole),
                (it.reversed, it.whole),
                "seed {seed}: {} of {campaign}",
                it.event
            );
        }
    }
}

impl Won {
    fn take(&mut self, returned: &mut Returned) {
        // Nothing is left of it.
        if returned.part == Some(Decimal::ZERO) {
            return;
        }
        match &mut returned.part {
            Some(part) if self.of > Decimal::ZERO => {
                let used = (*part).min(self.of - self.returned);
                self.returned += used;
                *part -= used;
            }
            part => {
                self.returned = self.of;
                *part = Some(Decimal::ZERO);
            }
        }
        if self.whole {
            return;
        }
        if self.returned == self.of {
            self.reversed = self.amount;
        } else {
            let share = self.amount * self.returned / self.of;
            let cents = share.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
            self.reversed = cents.min(self.amount);
        }
        let is_all = self.returned == self.of;
        self.whole = is_all || (self.reversed == self.amount && !self.amount.is_zero());
    }
}

fn decimal(value: &Json) -> Option<Decimal> {
    match value {
        Json::String(text) => text.parse().ok(),
        Json::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}
