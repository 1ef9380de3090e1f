//! Rules: campaigns ready to meet events.

use std::borrow::Cow;

use schemas::{
    Amount, Audience, Breaker, Campaign, CampaignId, Event, Priority, Schedule, Status, VariantName,
};
use serde_json::value::RawValue;

use crate::compiler::Compiler;
use crate::experiment::Experiment;
use crate::expression::Undefined;
use crate::history::{History, Total};
use crate::pattern::Pattern;
use crate::problem::PatternErrors;
use crate::reward::{RewardErrors, RewardFinding, Worth};

/// What stands for no offset, as in Kafka's own protocol.
const NO_OFFSET: i64 = -1;

/// Why a campaign is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Its `when` is wrong.
    #[error(transparent)]
    Pattern(#[from] PatternErrors),
    /// An expression of its reward is wrong.
    #[error(transparent)]
    Reward(#[from] RewardErrors),
}

/// A campaign with its pattern and its reward compiled.
///
/// Immutable, shared between rule sets as `Arc`.
#[derive(Debug, Clone)]
pub struct Rule {
    id: CampaignId,
    version: u64,
    status: Status,
    priority: Priority,
    pattern: Pattern,
    worth: Worth,
    /// None: nothing further is asked.
    further: Option<Box<Further>>,
    offset: i64,
    /// The campaign's JSON, a quarter of what its fields take. Only people ask for more of it than is above.
    document: Box<str>,
}

/// What most campaigns have nothing of.
#[derive(Debug, Clone)]
struct Further {
    schedule: Schedule,
    experiment: Option<Experiment>,
    breaker: Option<Breaker>,
    history: Option<History>,
    /// None: everybody.
    audience: Option<Audience>,
    /// The pattern, or what is counted; None if that is the pattern.
    interest: Option<Pattern>,
}

static ALWAYS: Schedule = Schedule {
    start: None,
    end: None,
    windows: Vec::new(),
};

impl Rule {
    /// Compiles a campaign's `when`, the patterns of its `across` and the expressions of its reward. Its other fields are
    /// checked by [`Campaign::check`].
    ///
    /// # Errors
    /// [`RuleError`] lists everything that is wrong with the pattern or, when that is right, with the reward.
    ///
    /// # Panics
    /// Never: every campaign has a JSON form.
    pub fn compile(campaign: Campaign) -> Result<Self, RuleError> {
        let pattern = Pattern::parse(campaign.when.json())?;
        let history = History::compile(&campaign)?;
        let mut others = history.iter().flat_map(History::patterns).peekable();
        let interest = others.peek().is_some().then(|| pattern.or(others));
        let worth = Worth::compile(&campaign.reward)?;
        let experiment = Experiment::compile(&campaign)?;
        let document = serde_json::to_string(&campaign).expect("a campaign has a JSON form");
        let further = Further {
            schedule: campaign.schedule,
            experiment,
            breaker: campaign.breaker,
            history,
            audience: campaign.audience,
            interest,
        };
        Ok(Self {
            id: campaign.id,
            version: campaign.version,
            status: campaign.status,
            priority: campaign.priority,
            pattern,
            worth,
            further: (!further.is_nothing()).then(|| Box::new(further)),
            offset: NO_OFFSET,
            document: document.into(),
        })
    }

    /// Takes what other rules have, too, from the compiler.
    pub(crate) fn share(&mut self, compiler: &mut Compiler) {
        self.pattern.share(compiler);
        self.worth.share(compiler);
        let Some(further) = &mut self.further else {
            return;
        };
        if let Some(interest) = &mut further.interest {
            interest.share(compiler);
        }
        if let Some(experiment) = &mut further.experiment {
            experiment.share(compiler);
        }
    }

    /// The same rule, with the offset in `campaigns` of the record that it was read from.
    #[must_use]
    pub fn at_offset(mut self, offset: i64) -> Self {
        self.offset = offset;
        self
    }

    /// The campaign as it was written. It is read again, which takes some microseconds.
    ///
    /// # Panics
    /// Never: what is read was written of a campaign.
    pub fn campaign(&self) -> Campaign {
        serde_json::from_str(&self.document).expect("it was written of a campaign")
    }

    /// The campaign's id.
    pub fn id(&self) -> &CampaignId {
        &self.id
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Its state.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Its priority among those that an event would win.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// When it is live.
    pub fn schedule(&self) -> &Schedule {
        self.further.as_ref().map_or(&ALWAYS, |it| &it.schedule)
    }

    /// Its pattern.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// What it asks about the customer beyond the event; none if nothing.
    pub fn history(&self) -> Option<&History> {
        self.further.as_ref()?.history.as_ref()
    }

    /// Whom it is for; none if everybody. What others do is counted, and wins nothing.
    pub fn audience(&self) -> Option<&Audience> {
        self.further.as_ref()?.audience.as_ref()
    }

    /// Whether matches that it has made may be taken back, also when nothing wins it any more: it is in force for that.
    pub fn takes_back(&self) -> bool {
        let returns = self.history().and_then(History::returns);
        returns.is_some() && self.status != Status::Draft
    }

    /// Whether the event may win it: it is live at the time of the event, and not only there to take matches back.
    pub fn is_live_for(&self, event: &Event<'_>) -> bool {
        !matches!(self.status, Status::Paused | Status::Archived)
            && self.schedule().contains(event.occurred_at)
    }

    /// Its budgets.
    pub fn totals(&self) -> &[Total] {
        self.history().map_or(&[], History::totals)
    }

    /// Whether what it wins is claimed, and the settler decides: it has a budget, or its reward is a code of a pool.
    pub fn is_claimed(&self) -> bool {
        self.history().is_some_and(History::is_claimed)
    }

    /// Whether the event matters: it meets the pattern, or that of something that is counted.
    pub fn concerns(&self, event: &Event<'_>) -> bool {
        self.interest().matches(event.root)
    }

    /// What an event must meet to matter: the pattern, or that of something that is counted.
    pub(crate) fn interest(&self) -> &Pattern {
        let further = self.further.as_ref();
        let interest = further.and_then(|it| it.interest.as_ref());
        interest.unwrap_or(&self.pattern)
    }

    /// The reward as the match of an event carries it: its JSON. One without expressions is written once, and not once
    /// a match.
    ///
    /// # Errors
    /// [`Undefined`] when an expression has no value for the event, or one that is no amount.
    pub fn reward(&self, event: &Event<'_>) -> Result<Cow<'_, RawValue>, Undefined> {
        self.worth(event.customer_id).of(event.root)
    }

    /// The amount of the reward for the event; none if the reward has no amount.
    ///
    /// # Errors
    /// [`Undefined`] when its expression has no value for the event, or one that is no amount.
    pub fn amount(&self, event: &Event<'_>) -> Result<Option<Amount>, Undefined> {
        self.worth(event.customer_id).amount(event.root)
    }

    /// Whether the customer is in its holdout: what they would win is recorded, and not given.
    pub fn holds_out(&self, customer_id: &str) -> bool {
        self.experiment()
            .is_some_and(|it| it.holds_out(customer_id))
    }

    fn experiment(&self) -> Option<&Experiment> {
        self.further.as_ref()?.experiment.as_ref()
    }

    /// What it may win at most before it is paused.
    pub fn breaker(&self) -> Option<&Breaker> {
        self.further.as_ref()?.breaker.as_ref()
    }

    /// The variant of its reward that the customer has drawn; none if it has no variants.
    pub fn variant(&self, customer_id: &str) -> Option<&VariantName> {
        self.experiment()?.variant(customer_id)
    }

    /// The amount of the reward of every match; none if the event is asked for it, or there is none. Of a campaign without
    /// variants.
    pub fn constant_amount(&self) -> Option<Amount> {
        self.worth.constant_amount()
    }

    /// Whether its matches have an amount. Of a campaign without variants.
    pub fn has_amount(&self) -> bool {
        self.worth.has_amount()
    }

    /// The reward as every match carries it; none if it has expressions over the event. Of a campaign without variants.
    pub fn constant_reward(&self) -> Option<&RawValue> {
        match &self.worth {
            Worth::Constant(reward) => Some(&reward.json),
            Worth::Computed(_) => None,
        }
    }

    /// Reads what of a winner lies elsewhere in memory. Nothing depends on the result: that of many winners is fetched at
    /// once, and other work is done meanwhile.
    #[inline]
    pub fn touch(&self) -> u8 {
        let id = self.id.as_str().as_bytes().first().copied();
        id.unwrap_or_default() ^ self.worth.touch()
    }

    /// Whether the event has a reward: each expression has a value that is an amount.
    pub fn has_reward(&self, event: &Event<'_>) -> bool {
        self.worth(event.customer_id).is_defined(event.root)
    }

    /// The reward of the customer: of the variant that they have drawn, or the campaign's own.
    fn worth(&self, customer_id: &str) -> &Worth {
        let drawn = self.experiment().and_then(|it| it.worth(customer_id));
        drawn.unwrap_or(&self.worth)
    }

    /// What each expression of the reward comes to.
    pub(crate) fn reward_findings(&self, event: &Event<'_>) -> Vec<RewardFinding> {
        let variant = self.experiment().and_then(|it| {
            it.worth(event.customer_id)?;
            it.drawn(event.customer_id)
        });
        let mut findings = self.worth(event.customer_id).findings(event.root);
        if let Some(number) = variant {
            for finding in &mut findings {
                finding.pointer = format!("/variants/{number}{}", finding.pointer);
            }
        }
        findings
    }

    /// The offset in `campaigns` of the record that it was read from; -1 if it came otherwise, from a
    /// file or a test.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Whether the event wins the campaign, as far as the event alone says it: it is active, live at the event's time, its pattern is met and the event has
    /// its reward.
    pub fn is_won_by(&self, event: &Event<'_>) -> bool {
        // The pattern first: most campaigns of a rule set are live, and few patterns match.
        self.pattern.matches(event.root)
            && self.status == Status::Active
            && self.schedule().contains(event.occurred_at)
            && self.schedule().is_open(event.occurred_at)
            && self.has_reward(event)
    }
}

impl Further {
    fn is_nothing(&self) -> bool {
        self.schedule.is_always()
            && self.experiment.is_none()
            && self.breaker.is_none()
            && self.history.is_none()
            && self.audience.is_none()
            && self.interest.is_none()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(when: &serde_json::Value) -> Result<Rule, RuleError> {
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
        let Worth::Constant(reward) = &rule.worth else {
            panic!("it has no expression");
        };
        assert_eq!(
            reward.json.get(),
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
