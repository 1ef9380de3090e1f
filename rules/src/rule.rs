//! Rules: campaigns ready to meet events.

use schemas::{Campaign, Event, Status};
use serde_json::value::RawValue;

use crate::pattern::Pattern;
use crate::problem::PatternErrors;

/// What stands for no offset, as in Kafka's own protocol.
const NO_OFFSET: i64 = -1;

/// A campaign with its pattern compiled.
///
/// Immutable, shared between rule sets as `Arc`.
#[derive(Debug, Clone)]
pub struct Rule {
    campaign: Campaign,
    pattern: Pattern,
    reward: Box<RawValue>,
    offset: i64,
}

impl Rule {
    /// Compiles a campaign's `when`. Its other fields are checked by [`Campaign::check`].
    ///
    /// # Errors
    /// [`PatternErrors`] lists everything that is wrong with the pattern.
    ///
    /// # Panics
    /// Never: a reward is made of strings and JSON values, which can be written as JSON.
    pub fn compile(campaign: Campaign) -> Result<Self, PatternErrors> {
        let pattern = Pattern::parse(&campaign.when)?;
        let reward = serde_json::value::to_raw_value(&campaign.reward)
            .expect("a reward is made of strings and JSON values");
        Ok(Self {
            campaign,
            pattern,
            reward,
            offset: NO_OFFSET,
        })
    }

    /// The same rule, with the offset in `campaigns` of the record that it was read from.
    #[must_use]
    pub fn at_offset(mut self, offset: i64) -> Self {
        self.offset = offset;
        self
    }

    /// The campaign as it was written.
    pub fn campaign(&self) -> &Campaign {
        &self.campaign
    }

    /// Its pattern.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The reward as its matches carry it: its JSON, written once here instead of once a match.
    pub fn reward(&self) -> &RawValue {
        &self.reward
    }

    /// The offset in `campaigns` of the record that it was read from; -1 if it came otherwise, from a
    /// file or a test.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Whether the event wins the campaign: it is active, live at the event's time and its pattern is
    /// met.
    pub fn is_won_by(&self, event: &Event<'_>) -> bool {
        // The pattern first: most campaigns of a rule set are live, and few patterns match.
        self.pattern.matches(event.root)
            && self.campaign.status == Status::Active
            && self.campaign.schedule.contains(event.occurred_at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(when: &serde_json::Value) -> Result<Rule, PatternErrors> {
        let campaign = json!({
            "id": "ten",
            "name": "Ten",
            "when": when,
            "reward": {"kind": "credit", "amount": 10.10, "currency": "USD", "points": 1.5},
        });
        let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
        Rule::compile(campaign)
    }

    #[test]
    fn a_rule_carries_its_campaign_its_reward_and_where_it_was_read() {
        let rule = compile(&json!({"event_type": ["purchase"]})).unwrap();
        assert_eq!(rule.campaign().name, "Ten");
        assert_eq!(
            rule.reward().get(),
            r#"{"kind":"credit","amount":"10.1","currency":"USD","points":1.5}"#
        );
        assert_eq!(rule.offset(), -1);
        assert_eq!(rule.at_offset(7).offset(), 7);
    }

    #[test]
    fn a_campaign_with_a_broken_pattern_is_no_rule() {
        assert!(compile(&json!({"event_type": "purchase"})).is_err());
        assert!(compile(&json!({})).is_err());
    }
}
