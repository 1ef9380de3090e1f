//! The active campaigns whose breaker has a share: workers count events for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rules::Rule;
use schemas::Status;

/// Those campaigns. Shared by all workers, which load them once a batch; written by the follower only.
#[derive(Debug, Clone, Default)]
pub struct Armed(Arc<ArcSwap<Vec<Arc<Rule>>>>);

impl Armed {
    /// The campaigns as they are; another list only if they have changed.
    pub(crate) fn shares(&self) -> Arc<Vec<Arc<Rule>>> {
        self.0.load_full()
    }
}

/// The same as the follower knows them.
#[derive(Debug, Default)]
pub(crate) struct ArmedChanges {
    by_id: BTreeMap<Box<str>, Arc<Rule>>,
    has_changed: bool,
}

impl ArmedChanges {
    /// A campaign is as the rule says.
    pub(crate) fn put(&mut self, rule: &Arc<Rule>) {
        let has_share = rule.breaker().is_some_and(|it| it.share.is_some());
        if has_share && rule.status() == Status::Active {
            let id = rule.id().as_str().into();
            self.by_id.insert(id, Arc::clone(rule));
            self.has_changed = true;
        } else {
            self.remove(rule);
        }
    }

    /// A campaign is gone.
    pub(crate) fn remove(&mut self, before: &Rule) {
        self.has_changed |= self.by_id.remove(before.id().as_str()).is_some();
    }

    /// Makes it what the workers know.
    pub(crate) fn publish(&mut self, armed: &Armed) {
        let is_other = armed.0.load().len() != self.by_id.len();
        if self.has_changed || is_other {
            let shares = self.by_id.values().cloned().collect();
            armed.0.store(Arc::new(shares));
            self.has_changed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::Campaign;

    use super::*;

    #[test]
    fn workers_know_the_active_campaigns_whose_breaker_has_a_share() {
        let rule = |fields: &str| {
            let campaign = format!(
                r#"{{"id":"a","name":"a","when":{{"x":[1]}},"reward":{{"kind":"custom"}},{fields}}}"#
            );
            Arc::new(Rule::compile(Campaign::from_json(campaign.as_bytes()).unwrap()).unwrap())
        };
        let (armed, mut changes) = (Armed::default(), ArmedChanges::default());
        let share = rule(r#""breaker":{"share":"10%"}"#);
        changes.put(&share);
        changes.publish(&armed);
        let shares = armed.shares();
        assert_eq!(shares.len(), 1);
        changes.publish(&armed);
        assert!(Arc::ptr_eq(&shares, &armed.shares()), "nothing has changed");
        for other in [
            r#""status":"paused","breaker":{"share":"10%"}"#,
            r#""breaker":{"rate":"1/s"}"#,
            r#""version":2"#,
        ] {
            changes.put(&share);
            changes.put(&rule(other));
            changes.publish(&armed);
            assert!(armed.shares().is_empty(), "{other}");
        }
    }
}
