//! The campaigns that have budgets, for the settler.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rules::Rule;

/// The campaigns with budgets, whatever their status, and how far the campaigns' topic was read.
///
/// Shared by all settlers, which look up a campaign a claim; written by the follower only, together with the rules in force,
/// so that what is read here is never older than those. While the campaigns are read anew, after an error, all stays.
#[derive(Debug, Clone, Default)]
pub struct Budgets(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<Box<str>, Arc<Rule>>,
    next_offset: i64,
}

impl Budgets {
    /// Whether the record of the campaigns' topic at that offset is taken in.
    pub(crate) fn has_read(&self, offset: i64) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        offset < known.next_offset
    }

    /// The campaign in its last good version, if it has a budget.
    pub(crate) fn rule(&self, campaign: &str) -> Option<Arc<Rule>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.by_id.get(campaign).cloned()
    }
}

/// What has changed of the campaigns with budgets since it was published.
#[derive(Debug, Default)]
pub(crate) struct BudgetChanges {
    changed: HashMap<Box<str>, Option<Arc<Rule>>>,
    is_published: bool,
}

impl BudgetChanges {
    /// A campaign is as the rule says, and was as `before` says.
    pub(crate) fn put(&mut self, rule: &Arc<Rule>, before: Option<&Arc<Rule>>) {
        let is_claimed = rule.is_claimed();
        let was_claimed = before.is_some_and(|before| before.is_claimed());
        if is_claimed || was_claimed {
            let id = rule.id().as_str().into();
            let rule = is_claimed.then(|| Arc::clone(rule));
            self.changed.insert(id, rule);
        }
    }

    /// A campaign is gone.
    pub(crate) fn remove(&mut self, before: &Rule) {
        if before.is_claimed() {
            self.changed.insert(before.id().as_str().into(), None);
        }
    }

    /// Makes it what the settlers know, as of the record before `next_offset`. The first time it is all that there is.
    pub(crate) fn publish(&mut self, budgets: &Budgets, next_offset: i64) {
        let mut known = budgets.0.write().unwrap_or_else(PoisonError::into_inner);
        if !self.is_published {
            known.by_id.clear();
            self.is_published = true;
        }
        for (id, rule) in self.changed.drain() {
            match rule {
                Some(rule) => known.by_id.insert(id, rule),
                None => known.by_id.remove(&id),
            };
        }
        known.next_offset = next_offset;
    }
}

#[cfg(test)]
mod tests {
    use schemas::Campaign;

    use super::*;

    fn rule(id: &str, limits: &str) -> Arc<Rule> {
        let campaign = format!(
            r#"{{"id":"{id}","name":"a","status":"paused","when":{{"x":[1]}},"reward":{{"kind":"custom"}},"limits":{limits}}}"#
        );
        Arc::new(Rule::compile(Campaign::from_json(campaign.as_bytes()).unwrap()).unwrap())
    }

    #[test]
    fn settlers_know_the_campaigns_that_have_budgets_and_how_far_they_are_read() {
        let (with, without) = (rule("a", r#"{"total":{"times":1}}"#), rule("a", "{}"));
        let budgets = Budgets::default();
        let mut changes = BudgetChanges::default();
        changes.put(&with, None);
        changes.put(&rule("b", "{}"), None);
        assert!(
            budgets.rule("a").is_none() && !budgets.has_read(0),
            "not published yet"
        );
        changes.publish(&budgets, 2);
        assert!(budgets.rule("a").is_some() && budgets.rule("b").is_none());
        assert!(budgets.has_read(1) && !budgets.has_read(2));
        changes.put(&without, Some(&with));
        changes.publish(&budgets, 3);
        assert!(budgets.rule("a").is_none(), "it has none any more");
        changes.put(&with, Some(&without));
        changes.publish(&budgets, 4);
        // Read anew: what was deleted while nobody read is gone.
        let mut anew = BudgetChanges::default();
        anew.put(&with, None);
        anew.remove(&with);
        assert!(budgets.rule("a").is_some());
        anew.publish(&budgets, 5);
        assert!(budgets.rule("a").is_none());
    }
}
