//! What all campaigns count, so that what no campaign counts any more can be forgotten.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rules::Rule;
use schemas::Status;

/// The identities of what campaigns count, of those that are paused or drafts too, each with the time, in milliseconds
/// since 1970, at which its campaign is over. Shared by all workers, which ask only when they look for what has expired.
///
/// Changed by [`Counts::publish`] only, together with the rules in force: while the campaigns are read anew, after an error,
/// what was known stays known.
#[derive(Debug, Clone, Default)]
pub struct Counted(Arc<RwLock<HashMap<u64, i64>>>);

impl Counted {
    /// Whether some campaign counts it that can still take an event of that time, or of a later one.
    pub(crate) fn is_known(&self, identity: u64, oldest: i64) -> bool {
        let counted = self.0.read().unwrap_or_else(PoisonError::into_inner);
        counted.get(&identity).is_some_and(|end| *end >= oldest)
    }
}

/// What the campaigns of one catalog count. What a group counts is counted by each of its campaigns.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// When each of the campaigns that count it is over.
    all: HashMap<u64, Vec<i64>>,
    /// What has changed since it was published.
    changed: Vec<u64>,
    is_published: bool,
}

impl Counts {
    /// Adds what a campaign counts. Archived ones count nothing any more.
    pub(crate) fn add(&mut self, rule: &Rule) {
        let end = end(rule);
        for identity in identities(rule) {
            self.all.entry(identity).or_default().push(end);
            self.changed.push(identity);
        }
    }

    /// Takes it away.
    pub(crate) fn remove(&mut self, rule: &Rule) {
        let end = end(rule);
        for identity in identities(rule) {
            if let Some(ends) = self.all.get_mut(&identity) {
                if let Some(one) = ends.iter().position(|it| *it == end) {
                    ends.swap_remove(one);
                }
                if ends.is_empty() {
                    self.all.remove(&identity);
                }
            }
            self.changed.push(identity);
        }
    }

    /// When the last of the campaigns that count it is over.
    fn end(&self, identity: u64) -> Option<i64> {
        self.all.get(&identity)?.iter().max().copied()
    }

    /// Makes it what the workers know, and puts the rules in force between what is new and what is gone: at no time is
    /// something forgotten that a rule in force counts. Costs what has changed since the last call.
    pub(crate) fn publish(&mut self, counted: &Counted, put_in_force: impl FnOnce()) {
        let lock = || counted.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut known = lock();
        for identity in &self.changed {
            if let Some(end) = self.end(*identity) {
                let known = known.entry(*identity).or_insert(end);
                *known = (*known).max(end);
            }
        }
        drop(known);
        put_in_force();
        let mut known = lock();
        if !self.is_published {
            // What another catalog knew before.
            known.retain(|identity, _| self.all.contains_key(identity));
            self.is_published = true;
        }
        for identity in std::mem::take(&mut self.changed) {
            match self.end(identity) {
                Some(end) => known.insert(identity, end),
                None => known.remove(&identity),
            };
        }
    }
}

/// When a campaign is over, in milliseconds since 1970.
fn end(rule: &Rule) -> i64 {
    let end = rule.schedule().end;
    end.map_or(i64::MAX, jiff::Timestamp::as_millisecond)
}

fn identities(rule: &Rule) -> impl Iterator<Item = u64> {
    let is_over = rule.status() == Status::Archived;
    let history = rule.history().filter(|_| !is_over);
    history.into_iter().flat_map(|history| {
        let budgets = history.totals().iter().map(rules::history::Total::identity);
        history.identities().chain(budgets)
    })
}

#[cfg(test)]
mod tests {
    use schemas::Campaign;

    use super::*;

    fn rule(id: &str, status: &str, schedule: &str) -> Rule {
        let campaign = format!(
            r#"{{"id":"{id}","name":"a","status":"{status}","when":{{"x":[1]}},"reward":{{"kind":"custom"}},
                "schedule":{{{schedule}}},"across":[{{"first":true}}],"limits":{{"per_customer":{{"times":1}}}}}}"#
        );
        Rule::compile(Campaign::from_json(campaign.as_bytes()).unwrap()).unwrap()
    }

    fn is_known(counted: &Counted, rule: &Rule, oldest: i64) -> bool {
        let ids: Vec<u64> = rule.history().unwrap().identities().collect();
        assert_eq!(ids.len(), 2);
        let known = ids.iter().filter(|id| counted.is_known(**id, oldest));
        let known = known.count();
        assert!(known == 0 || known == 2);
        known == 2
    }

    #[test]
    fn what_is_counted_is_known_until_no_campaign_counts_it() {
        let (active, paused) = (rule("a", "active", ""), rule("a", "paused", ""));
        let archived = rule("a", "archived", "");
        let (mut counts, counted) = (Counts::default(), Counted::default());
        counts.add(&active);
        assert!(!is_known(&counted, &active, 0), "it is not in force yet");
        counts.publish(&counted, || assert!(is_known(&counted, &active, 0)));
        assert!(is_known(&counted, &active, i64::MAX));
        counts.remove(&active);
        counts.add(&paused);
        counts.publish(&counted, || {});
        assert!(is_known(&counted, &active, i64::MAX));
        counts.remove(&paused);
        counts.add(&archived);
        counts.publish(&counted, || {
            assert!(is_known(&counted, &active, 0), "it may still be in force");
        });
        assert!(!is_known(&counted, &active, 0));
    }

    #[test]
    fn what_a_campaign_counts_is_known_until_no_event_can_be_of_its_time_any_more() {
        let ended = rule("a", "active", r#""end":"2026-11-24T00:00:00Z""#);
        let end = "2026-11-24T00:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let (mut counts, counted) = (Counts::default(), Counted::default());
        counts.add(&ended);
        counts.publish(&counted, || {});
        assert!(is_known(&counted, &ended, end.as_millisecond()));
        assert!(!is_known(&counted, &ended, end.as_millisecond() + 1));
    }

    #[test]
    fn what_a_group_counts_is_known_until_none_of_its_campaigns_is_there() {
        let of_group = |id: &str, schedule: &str| {
            let campaign = format!(
                r#"{{"id":"{id}","name":"a","when":{{"x":[1]}},"reward":{{"kind":"custom"}},"schedule":{{{schedule}}},
                    "stacking":{{"group":"g","per_customer":{{"times":1}}}}}}"#
            );
            Rule::compile(Campaign::from_json(campaign.as_bytes()).unwrap()).unwrap()
        };
        let stays = of_group("a", "");
        let ends = of_group("b", r#""end":"2026-11-24T00:00:00Z""#);
        let identity = stays.history().unwrap().identities().next().unwrap();
        let (mut counts, counted) = (Counts::default(), Counted::default());
        counts.add(&stays);
        counts.add(&ends);
        counts.publish(&counted, || {});
        assert!(counted.is_known(identity, i64::MAX), "one has no end");
        counts.remove(&ends);
        counts.publish(&counted, || {});
        assert!(counted.is_known(identity, i64::MAX), "one is still there");
        counts.remove(&stays);
        counts.publish(&counted, || {});
        assert!(!counted.is_known(identity, 0));
    }

    #[test]
    fn campaigns_that_are_read_anew_count_once_and_until_then_all_stays_known() {
        let (stays, goes) = (rule("a", "active", ""), rule("b", "active", ""));
        let counted = Counted::default();
        let mut before = Counts::default();
        before.add(&stays);
        before.add(&goes);
        before.publish(&counted, || {});
        // The other was deleted while nobody read.
        let mut anew = Counts::default();
        anew.add(&stays);
        anew.remove(&stays);
        assert!(is_known(&counted, &stays, 0) && is_known(&counted, &goes, 0));
        anew.add(&stays);
        anew.publish(&counted, || {});
        assert!(is_known(&counted, &stays, 0) && !is_known(&counted, &goes, 0));
        anew.remove(&stays);
        anew.publish(&counted, || {});
        assert!(!is_known(&counted, &stays, 0));
    }
}
