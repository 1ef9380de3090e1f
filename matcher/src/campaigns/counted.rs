//! What all campaigns count, so that what no campaign counts any more can be forgotten.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rules::Rule;
use schemas::Status;

/// The identities of what campaigns count, of those that are paused or drafts too. Shared by all workers, which ask only
/// when they look for what has expired. Campaigns that are read anew, after an error, are added once more; what is deleted
/// after that is known until the process ends, which keeps too much rather than too little.
#[derive(Debug, Clone, Default)]
pub struct Counted(Arc<RwLock<HashMap<u64, usize>>>);

impl Counted {
    /// Adds what a campaign counts. Archived ones count nothing any more.
    pub(crate) fn add(&self, rule: &Rule) {
        let mut counted = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for identity in identities(rule) {
            *counted.entry(identity).or_default() += 1;
        }
    }

    /// Takes it away.
    pub(crate) fn remove(&self, rule: &Rule) {
        let mut counted = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for identity in identities(rule) {
            if let Some(campaigns) = counted.get_mut(&identity) {
                *campaigns -= 1;
                if *campaigns == 0 {
                    counted.remove(&identity);
                }
            }
        }
    }

    /// Whether some campaign counts it.
    pub(crate) fn is_known(&self, identity: u64) -> bool {
        let counted = self.0.read().unwrap_or_else(PoisonError::into_inner);
        counted.contains_key(&identity)
    }
}

fn identities(rule: &Rule) -> impl Iterator<Item = u64> {
    let is_over = rule.campaign().status == Status::Archived;
    let history = rule.history().filter(|_| !is_over);
    history.into_iter().flat_map(rules::History::identities)
}

#[cfg(test)]
mod tests {
    use schemas::Campaign;

    use super::*;

    fn rule(status: &str) -> Rule {
        let campaign = format!(
            r#"{{"id":"a","name":"a","status":"{status}","when":{{"x":[1]}},"reward":{{"kind":"credit"}},
                "across":[{{"first":true}}],"limits":{{"per_customer":{{"times":1}}}}}}"#
        );
        Rule::compile(Campaign::from_json(campaign.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_is_counted_is_known_until_no_campaign_counts_it() {
        let counted = Counted::default();
        let (active, paused, archived) = (rule("active"), rule("paused"), rule("archived"));
        let ids: Vec<u64> = identities(&active).collect();
        assert_eq!(ids.len(), 2);
        let known = || ids.iter().all(|id| counted.is_known(*id));
        counted.add(&active);
        assert!(known());
        counted.add(&paused);
        counted.remove(&active);
        assert!(known());
        counted.remove(&paused);
        counted.add(&archived);
        assert!(!ids.iter().any(|id| counted.is_known(*id)));
    }
}
