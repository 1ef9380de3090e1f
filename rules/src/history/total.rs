//! Budgets: limits that all customers of a campaign share.

use schemas::across::{Budget, LimitSpan};
use schemas::{Campaign, Event};
use serde_json::json;

use super::identity::{Identities, span_name};
use super::{Field, Stretch};

/// A budget of a campaign.
#[derive(Debug, Clone)]
pub struct Total {
    identity: u64,
    pointer: Box<str>,
    budget: Budget,
    stretch: Stretch,
    by: Option<Field>,
}

impl Total {
    pub(super) fn all(campaign: &Campaign) -> Box<[Self]> {
        let mut identities = Identities::of_budgets(&campaign.id);
        let numbered = campaign.limits.total.0.iter().enumerate();
        let all = numbered.map(|(number, budget)| {
            let span = match budget.per.clone() {
                Some((period, zone)) => LimitSpan::Per(period, zone),
                None => LimitSpan::Ever,
            };
            Self {
                identity: identities.next(&json!(["total", span_name(&span), budget.by])),
                pointer: format!("/limits/total/{number}").into(),
                budget: budget.clone(),
                stretch: Stretch::of_limit(&span),
                by: budget.by.as_deref().map(Field::new),
            }
        });
        all.collect()
    }

    /// Names what it counts, for ever.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Where it is written: a JSON pointer into the campaign's document.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The budget as written.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// In which stretch of time.
    pub fn stretch(&self) -> &Stretch {
        &self.stretch
    }

    /// The value of the field by which it is split, if it is and the event has one; its first 256 bytes.
    pub fn value(&self, event: &Event<'_>) -> Option<String> {
        let mut text = self.by.as_ref()?.first_text(event.root)?;
        text.truncate(text.floor_char_boundary(MAX_VALUE_BYTES));
        Some(text)
    }
}

/// Longest value by which a budget is split; longer ones that begin the same share.
const MAX_VALUE_BYTES: usize = 256;
