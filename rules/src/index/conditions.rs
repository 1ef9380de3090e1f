//! Conditions that conjunctions share: each is looked at once an event at most.

use std::sync::Arc;

use schemas::Document;

use super::facts::Facts;
use crate::condition::Condition;

/// Conditions with their fields, by number.
#[derive(Debug, Default)]
pub(super) struct Conditions(pub(super) Box<[(u32, Arc<Condition>)]>);

/// What is already known of the conditions of an index for one event.
#[derive(Debug, Default)]
pub(super) struct Memo {
    /// By condition: the event for which it was looked at, and in the lowest bit whether it held.
    known: Vec<u32>,
    event: u32,
}

impl Memo {
    /// Forgets the event before.
    pub(super) fn begin(&mut self, conditions: &Conditions) {
        if self.known.len() < conditions.0.len() {
            self.known.resize(conditions.0.len(), 0);
        }
        self.event += 2;
        if self.event > u32::MAX - 2 {
            self.known.fill(0);
            self.event = 2;
        }
    }
}

impl Conditions {
    /// Whether a condition holds for some value of its field, or by the field's absence. Of arrays of
    /// objects this says that it may hold in some element; what asks about a field as a whole always may.
    #[inline]
    pub(super) fn may_hold(
        &self,
        id: u32,
        facts: &Facts,
        document: &Document,
        memo: &mut Memo,
    ) -> bool {
        let known = memo.known[id as usize];
        if known & !1 == memo.event {
            return known & 1 == 1;
        }
        let (path, condition) = &self.0[id as usize];
        let mut values = facts.values(*path, document);
        let holds = !condition.wholes().is_empty()
            || values.any(|value| condition.is_met_by(&value))
            || condition.allows_absence() && facts.may_be_absent(*path);
        memo.known[id as usize] = memo.event | u32::from(holds);
        holds
    }
}
