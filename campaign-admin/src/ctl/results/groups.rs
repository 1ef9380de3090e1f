//! Customers by the group that they were in, and what they did afterwards.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Serialize, Serializer};

use super::statistics::{Difference, Proportion, Sample};

/// Smaller groups say little, whatever the interval.
pub(super) const SMALL: u64 = 100;

/// Fewer customers who did it, in both groups together, say little about how many do.
const FEW: u64 = 10;

/// A group of customers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Group {
    /// The campaign is kept from them.
    Holdout,
    /// They have this variant; none: the campaign has none.
    Reached(Option<String>),
}

impl Group {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Holdout => "holdout",
            Self::Reached(Some(variant)) => variant,
            Self::Reached(None) => "campaign",
        }
    }
}

/// What is known of a customer.
#[derive(Debug, Clone)]
struct Known {
    group: Group,
    /// The first event that won, or would have.
    at: Timestamp,
    event_id: String,
    /// When that was decided last.
    decided_at: Timestamp,
    /// Whether they were in several groups.
    is_mixed: bool,
    was_refused: bool,
    outcomes: u64,
    value: Decimal,
    seen: HashSet<u64>,
}

/// An event that won, or would have if its customer was not held out or the budget was not used up.
pub(super) struct Exposure {
    pub(super) customer_id: String,
    pub(super) event_id: String,
    pub(super) at: Timestamp,
    pub(super) decided_at: Timestamp,
    pub(super) group: Group,
    pub(super) was_refused: bool,
}

/// All customers that a campaign reached or was kept from.
#[derive(Debug, Default)]
pub(super) struct Groups {
    customers: HashMap<String, Known>,
}

/// What a group did.
#[derive(Debug, Serialize)]
pub(super) struct GroupReport {
    /// `holdout`, the name of a variant, or `campaign` if there are none.
    pub(super) group: String,
    /// Whether the campaign is kept from them.
    pub(super) is_holdout: bool,
    /// How many.
    pub(super) customers: u64,
    /// How many of them did it.
    pub(super) converters: u64,
    /// Their share; none of an empty group.
    pub(super) rate: Option<f64>,
    /// The sum of the values of what they did, exactly.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exactly")]
    pub(super) value: Option<Decimal>,
    /// The same for each customer, those included who did nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mean_value: Option<f64>,
    /// How many were won by an event that a budget refused: they are part of the group, for nobody refuses those who are held out.
    pub(super) refused: u64,
    /// How many whose time is not over: more may come of them.
    pub(super) unfinished: u64,
    /// How it differs from the group that it is compared with; none of that group itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uplift: Option<Uplift>,
    #[serde(skip)]
    sample: Sample,
}

/// Writes a decimal as a text, without the zeros at its end.
#[expect(clippy::ref_option, reason = "serde calls it so")]
fn exactly<S: Serializer>(value: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(&value.normalize()),
        None => serializer.serialize_none(),
    }
}

/// How a group differs from another.
#[derive(Debug, Serialize)]
pub(super) struct Uplift {
    /// The other one.
    pub(super) against: String,
    /// Of the rates: Newcombe's method 10.
    pub(super) rate: Option<Difference>,
    /// The difference of the rates as a share of the other's rate.
    pub(super) relative: Option<f64>,
    /// Of the mean values: Welch's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mean_value: Option<Difference>,
    /// Whether the groups are too small to say anything.
    pub(super) too_small: bool,
}

impl Groups {
    /// A customer was reached, or held out.
    pub(super) fn add(&mut self, exposure: Exposure) {
        let new = Known {
            group: exposure.group,
            at: exposure.at,
            event_id: exposure.event_id,
            decided_at: exposure.decided_at,
            is_mixed: false,
            was_refused: exposure.was_refused,
            outcomes: 0,
            value: Decimal::ZERO,
            seen: HashSet::new(),
        };
        let Some(known) = self.customers.get_mut(&exposure.customer_id) else {
            self.customers.insert(exposure.customer_id, new);
            return;
        };
        let is_mixed = known.is_mixed || known.group != new.group;
        let decided_at = known.decided_at.max(new.decided_at);
        if (new.at, &new.event_id) < (known.at, &known.event_id) {
            *known = new;
        }
        known.is_mixed = is_mixed;
        known.decided_at = decided_at;
    }

    /// A customer was forgotten at that time.
    pub(super) fn forget(&mut self, customer_id: &str, at: Timestamp) {
        let is_before = |known: &Known| known.decided_at <= at;
        if self.customers.get(customer_id).is_some_and(is_before) {
            self.customers.remove(customer_id);
        }
    }

    /// When the first of all was reached.
    pub(super) fn begin(&self) -> Option<Timestamp> {
        self.customers.values().map(|known| known.at).min()
    }

    /// Whether what the customer does matters.
    pub(super) fn has(&self, customer_id: &str) -> bool {
        self.customers.contains_key(customer_id)
    }

    /// The customer did what is asked for, of that value. It counts after the event that won, and for so many milliseconds.
    pub(super) fn did(
        &mut self,
        customer_id: &str,
        (event_id, at): (&str, Timestamp),
        within: i64,
        value: Decimal,
    ) {
        let Some(known) = self.customers.get_mut(customer_id) else {
            return;
        };
        let until = known.at.as_millisecond().saturating_add(within);
        let is_in = known.at < at && at.as_millisecond() <= until;
        if is_in && event_id != known.event_id && known.seen.insert(state::event_hash(event_id)) {
            known.outcomes += 1;
            known.value = known.value.saturating_add(value);
        }
    }

    /// How many customers were in several groups, and are in no report.
    pub(super) fn mixed(&self) -> usize {
        self.customers.values().filter(|it| it.is_mixed).count()
    }

    /// What each group did until `now`, compared with the holdout; without one with the group of that name, or the first.
    pub(super) fn report(
        &self,
        within: i64,
        now: Timestamp,
        (against, has_values): (Option<&str>, bool),
    ) -> Vec<GroupReport> {
        let mut reports: BTreeMap<&Group, GroupReport> = BTreeMap::new();
        let mut customers: Vec<_> = self.customers.iter().collect();
        // Doubles add up to the same in the same order.
        customers.sort_unstable_by_key(|(id, _)| *id);
        for (_, known) in customers.into_iter().filter(|(_, it)| !it.is_mixed) {
            let report = (reports.entry(&known.group)).or_insert_with(|| GroupReport {
                group: known.group.name().to_owned(),
                is_holdout: known.group == Group::Holdout,
                customers: 0,
                converters: 0,
                rate: None,
                value: has_values.then_some(Decimal::ZERO),
                mean_value: None,
                refused: 0,
                unfinished: 0,
                uplift: None,
                sample: Sample::default(),
            });
            report.customers += 1;
            report.converters += u64::from(known.outcomes > 0);
            report.refused += u64::from(known.was_refused);
            let until = known.at.as_millisecond().saturating_add(within);
            report.unfinished += u64::from(now.as_millisecond() < until);
            if let Some(value) = &mut report.value {
                *value = value.saturating_add(known.value);
                report.sample.add(known.value.to_f64().unwrap_or(f64::NAN));
            }
        }
        let mut reports: Vec<GroupReport> = reports.into_values().collect();
        for report in &mut reports {
            report.rate = Some(report.proportion().rate()).filter(|rate| rate.is_finite());
            report.mean_value = report.value.map(|_| report.sample.mean());
        }
        let place = match against {
            Some(name) => reports.iter().position(|it| it.group == name),
            None => (reports.iter().position(|it| it.is_holdout)).or(Some(0)),
        };
        if let Some(base) = place.filter(|at| *at < reports.len()) {
            for at in (0..reports.len()).filter(|at| *at != base) {
                reports[at].uplift = Some(reports[at].over(&reports[base]));
            }
        }
        reports
    }
}

impl GroupReport {
    fn proportion(&self) -> Proportion {
        Proportion {
            of_them: self.converters,
            all: self.customers,
        }
    }

    fn over(&self, other: &Self) -> Uplift {
        let rate = self.proportion().minus(other.proportion());
        let base = other.rate.filter(|base| *base > 0.0);
        Uplift {
            against: other.group.clone(),
            relative: rate.zip(base).map(|(rate, base)| rate.estimate / base),
            rate,
            mean_value: self.value.and_then(|_| self.sample.minus(&other.sample)),
            too_small: self.customers.min(other.customers) < SMALL
                || self.converters + other.converters < FEW,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn exposure(customer: &str, second: i64, group: Group) -> Exposure {
        Exposure {
            customer_id: customer.to_owned(),
            event_id: format!("{customer}-{second}"),
            at: at(second),
            decided_at: at(second),
            group,
            was_refused: false,
        }
    }

    fn reached() -> Group {
        Group::Reached(None)
    }

    #[test]
    fn customers_count_once_from_their_first_event_on() {
        let mut groups = Groups::default();
        groups.add(exposure("ada", 20, reached()));
        groups.add(exposure("ada", 10, reached()));
        groups.add(exposure("bob", 10, Group::Holdout));
        let mut did = |customer: &str, event: &str, second| {
            groups.did(customer, (event, at(second)), 10_000, Decimal::TWO);
        };
        did("ada", "ada-10", 10); // the event itself
        did("ada", "early", 9);
        did("ada", "x", 20); // the last moment
        did("ada", "x", 20); // twice
        did("ada", "late", 21);
        did("eve", "x", 11); // nobody
        let report = groups.report(10_000, at(20), (None, true));
        let told: Vec<_> = (report.iter())
            .map(|it| {
                (
                    it.group.as_str(),
                    it.customers,
                    it.converters,
                    it.value.unwrap(),
                    it.unfinished,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("holdout", 1, 0, Decimal::ZERO, 0),
                ("campaign", 1, 1, Decimal::TWO, 0)
            ]
        );
        let uplift = report[1].uplift.as_ref().unwrap();
        assert!(uplift.too_small && report[0].uplift.is_none());
        assert_eq!(uplift.against, "holdout");
    }

    #[test]
    fn who_was_in_several_groups_is_in_none_and_who_is_forgotten_neither() {
        let mut groups = Groups::default();
        groups.add(exposure("ada", 10, Group::Holdout));
        groups.add(exposure("ada", 20, reached()));
        groups.add(exposure("bob", 10, reached()));
        groups.add(exposure("eve", 10, reached()));
        groups.forget("bob", at(9));
        groups.forget("eve", at(10));
        assert_eq!(groups.mixed(), 1);
        let report = groups.report(1, at(30), (None, false));
        assert_eq!((report.len(), report[0].customers), (1, 1));
        assert!(groups.has("bob") && !groups.has("eve"));
    }
}
