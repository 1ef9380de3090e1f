//! Budgets kept anew in the plainest way: what of each is used, by the claims in their order.

use std::collections::BTreeMap;

use serde_json::Value;

/// A budget, with what it counts under. All of a claim's budgets must leave room for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// What is counted together, such as the value of a field.
    pub key: String,
    /// The most matches.
    pub times: i64,
    /// The most that they may be worth together, in [`units`].
    pub amount: i64,
}

impl Budget {
    /// So many matches.
    pub fn times(key: impl Into<String>, times: i64) -> Self {
        Self {
            key: key.into(),
            times,
            amount: i64::MAX,
        }
    }

    /// Matches that are worth so much, a decimal number.
    pub fn amount(key: impl Into<String>, amount: &str) -> Self {
        Self {
            key: key.into(),
            times: i64::MAX,
            amount: units(amount),
        }
    }
}

/// What is used of budgets: matches, and what they are worth in [`units`].
#[derive(Debug, Clone, Default)]
pub struct Books(BTreeMap<String, (i64, i64)>);

impl Books {
    /// The first of the budgets that has no room for a match of that worth.
    pub fn full<'b>(&self, budgets: &'b [Budget], amount: i64) -> Option<&'b Budget> {
        budgets.iter().find(|budget| {
            let (times, sum) = self.used(&budget.key);
            times >= budget.times || sum + amount > budget.amount
        })
    }

    /// Counts a match.
    pub fn count(&mut self, budgets: &[Budget], amount: i64) {
        for Budget { key, .. } in budgets {
            self.add(key, 1, amount);
        }
    }

    /// Counts it if all budgets have room for it, and says whether they have.
    pub fn grant(&mut self, budgets: &[Budget], amount: i64) -> bool {
        let fits = self.full(budgets, amount).is_none();
        if fits {
            self.count(budgets, amount);
        }
        fits
    }

    /// Counts that so much was taken back of a match that was counted, and nothing of it is left if that is `whole`.
    pub fn give_back(&mut self, budgets: &[Budget], amount: i64, whole: bool) {
        for Budget { key, .. } in budgets {
            self.add(key, -i64::from(whole), -amount);
        }
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.0.clear();
    }

    /// What is used under a key.
    pub fn used(&self, key: &str) -> (i64, i64) {
        self.0.get(key).copied().unwrap_or_default()
    }

    fn add(&mut self, key: &str, times: i64, amount: i64) {
        if let Some(used) = self.0.get_mut(key) {
            *used = (used.0 + times, used.1 + amount);
        } else {
            self.0.insert(key.to_owned(), (times, amount));
        }
    }
}

/// An amount in units of a ten-thousandth, exactly.
pub fn units(amount: &str) -> i64 {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    assert!(part.len() <= 4, "{amount}");
    let part = format!("{part:0<4}");
    whole.parse::<i64>().expect("a number") * 10_000 + part.parse::<i64>().expect("a number")
}

/// Whole units of a hundredth as a decimal number; what is beyond them is cut off.
pub fn decimal(units: i64) -> String {
    format!("{}.{:02}", units / 10_000, units % 10_000 / 100)
}

/// A field that is text.
pub fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field}: {value}"))
}
