//! Why an event wins a campaign, or why not, condition by condition.
//!
//! The campaign's pattern is gone through as it was written. The answer is the evaluator's, not a second
//! opinion: [`walk`] follows it step by step and keeps what it saw.
//!
//! Of an array of objects one element is shown: the one that meets the pattern, or the one that fails in
//! the fewest conditions. A condition that fails there and holds in another element says so, with what
//! that other element lacks. With `$or` the pattern can be met in several ways, and the conditions
//! beside the `$or` are shown in the nearest of them, each object of an `$or` in the nearest that takes it.

mod text;
mod walk;
mod written;

use jiff::Timestamp;
use schemas::{CampaignId, Event, Percent, Schedule, Status, VariantName};
use serde::Serialize;

use crate::conjunction::conjunctions;
use crate::reward::RewardFinding;
use crate::rule::Rule;
use crate::{evaluate, parse};
use walk::{Finding, Way};
use written::{Span, Written};

/// How an event fares with a campaign. Its `Display` is a short text, a condition a line.
///
/// Made for people: values are cut to [`MAX_VALUES`] and texts to 64 characters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// Its version.
    pub version: u64,
    /// Whether the event wins it: all of the following hold.
    pub wins: bool,
    /// Whether it is active.
    pub status: StatusFinding,
    /// Whether it is live when the event occurred.
    pub schedule: ScheduleFinding,
    /// Whether its pattern is met.
    pub when: Findings,
    /// What the expressions of its reward come to, if its pattern is met; none if it has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reward: Vec<RewardFinding>,
    /// How the customer fares with the campaign's experiment; none if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentFinding>,
    /// What its customer did, if the campaign asks for that: its conditions, then its limits. Whoever knows the
    /// customer fills it in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryFinding>,
}

/// A condition or a limit, and what there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryFinding {
    /// Whether it holds.
    pub held: bool,
    /// Where it is written: a JSON pointer into the campaign's document, such as `/across/0`.
    pub pointer: String,
    /// What is asked for, as it is written.
    pub asked: String,
    /// What there is, in words.
    pub found: String,
}

/// A customer must not be held out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExperimentFinding {
    /// Whether they are not.
    pub held: bool,
    /// Which share of the customers is held out; none if nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<Percent>,
    /// The variant that the customer has drawn; none if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantName>,
}

/// A campaign must be active.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusFinding {
    /// Whether it is.
    pub held: bool,
    /// What it is.
    pub found: Status,
}

/// A campaign must be live at the time of the event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScheduleFinding {
    /// Whether it is.
    pub held: bool,
    /// When it is live.
    pub asked: Schedule,
    /// When the event occurred.
    pub found: Timestamp,
}

/// Parts of a pattern that must all hold, in the order of their names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// Whether they do.
    pub held: bool,
    /// Of an object of an `$or`: conditions beside it that could no longer be met if this object was
    /// taken, because an element of an array would have to be another one. Its own parts hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
    /// The parts.
    pub parts: Vec<Part>,
}

/// A part of a pattern. Fields of nested objects stand beside each other, under their whole paths.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A field with its alternatives.
    Condition(Condition),
    /// An `$or`.
    Or(Or),
}

/// A field with its alternatives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// Whether it holds.
    pub held: bool,
    /// The field, such as `payload.items.sku`.
    pub path: String,
    /// Where it is written: a JSON pointer into the campaign's document, such as `/when/payload/amount`.
    pub pointer: String,
    /// The alternatives, at most [`MAX_VALUES`] of them.
    pub asked: Vec<serde_json::Value>,
    /// How many further alternatives there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub asked_further: usize,
    /// Where the event was looked at, such as `payload.items[1].sku`.
    pub at: String,
    /// The values that are there, at most [`MAX_VALUES`] of them.
    pub found: Vec<serde_json::Value>,
    /// How many further values there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub found_further: usize,
    /// Why it does not hold, if that is not plain from what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    /// Another element of an array that meets it, and why that does not help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Elsewhere>,
}

/// A place where a condition holds, but not all that must hold with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Elsewhere {
    /// The place, such as `payload.items[2].quantity`.
    pub at: String,
    /// Fields that fail in that element, at most three.
    pub but: Vec<String>,
}

/// An `$or`: any of its objects must hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Or {
    /// Whether one does.
    pub held: bool,
    /// Where it is written: a JSON pointer into the campaign's document.
    pub pointer: String,
    /// Its objects.
    pub objects: Vec<Findings>,
}

/// Most values and alternatives that are shown of one condition.
pub const MAX_VALUES: usize = 10;

/// Where the pattern stands in a campaign's document.
const WHEN: &str = "/when";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Explanation {
    /// Explains how the event fares with the rule, as far as the event alone says it. `wins` is [`Rule::is_won_by`].
    ///
    /// The time is that of trying each way to meet the pattern, without the evaluator's short cuts.
    ///
    /// # Panics
    /// Never: the pattern was compiled before.
    pub fn of(rule: &Rule, event: &Event<'_>) -> Self {
        let campaign = rule.campaign();
        let status = StatusFinding {
            held: campaign.status == Status::Active,
            found: campaign.status,
        };
        let schedule = ScheduleFinding {
            held: campaign.schedule.contains(event.occurred_at)
                && campaign.schedule.is_open(event.occurred_at),
            asked: campaign.schedule.clone(),
            found: event.occurred_at,
        };
        let when = Findings::of(campaign.when.json(), event.root);
        let reward = if when.held {
            rule.reward_findings(event)
        } else {
            Vec::new()
        };
        let has_groups = campaign.holdout.is_some() || !campaign.variants.is_empty();
        let experiment = has_groups.then(|| ExperimentFinding {
            held: !rule.holds_out(event.customer_id),
            holdout: campaign.holdout,
            variant: rule.variant(event.customer_id).cloned(),
        });
        let mut explanation = Self {
            campaign_id: campaign.id.clone(),
            version: campaign.version,
            wins: false,
            status,
            schedule,
            when,
            reward,
            experiment,
            history: Vec::new(),
        };
        explanation.wins = explanation.status.held && explanation.wins_if_active();
        explanation
    }

    /// Whether the event would win if its customer was not held out, and they are.
    pub fn is_held_out(&self) -> bool {
        self.status.held && self.would_win() && !self.is_let_in()
    }

    /// Whether the event would win if the campaign was active.
    pub fn wins_if_active(&self) -> bool {
        self.would_win() && self.is_let_in()
    }

    fn is_let_in(&self) -> bool {
        self.experiment.as_ref().is_none_or(|finding| finding.held)
    }

    fn would_win(&self) -> bool {
        self.schedule.held
            && self.when.held
            && self.reward.iter().all(|finding| finding.held)
            && self.history.iter().all(|finding| finding.held)
    }

    /// The same with what is known of the customer.
    #[must_use]
    pub fn with_history(mut self, history: Vec<HistoryFinding>) -> Self {
        self.history = history;
        self.wins = self.status.held && self.wins_if_active();
        self
    }
}

impl Findings {
    fn of(pattern: &serde_json::Value, event: schemas::Node<'_>) -> Self {
        let compiled = "a rule's pattern was compiled";
        let clauses = parse::clauses(pattern).expect(compiled);
        let written = Written::all(pattern, &clauses);
        let conjunctions = conjunctions(&clauses).expect(compiled);
        let ways: Vec<Way> = conjunctions
            .iter()
            .map(|conjunction| Way::walk(conjunction, &written, event))
            .collect();
        let nearest = nearest(&ways).expect("a pattern has at least one way to meet it");
        let report = Report { ways: &ways };
        let findings = report.all(&written.parts, nearest);
        debug_assert_eq!(
            findings.held,
            conjunctions.iter().any(|way| evaluate::holds(way, event))
        );
        findings
    }
}

/// The way with the fewest failures, the first of several.
fn nearest<'w>(ways: impl IntoIterator<Item = &'w Way>) -> Option<&'w Way> {
    ways.into_iter().min_by_key(|way| way.failed().count())
}

/// Tells what the ways found, in the order of the pattern.
struct Report<'w> {
    ways: &'w [Way],
}

impl<'w> Report<'w> {
    fn all(&self, parts: &[written::Part<'_>], way: &'w Way) -> Findings {
        let parts: Vec<Part> = parts
            .iter()
            .map(|part| match part {
                written::Part::Condition(condition) => {
                    Part::Condition(condition.report(way.finding(condition.id)))
                }
                written::Part::Or(or) => Part::Or(self.or(or, way)),
            })
            .collect();
        Findings {
            held: parts.iter().all(Part::held),
            excludes: Vec::new(),
            parts,
        }
    }

    fn or(&self, or: &written::Or<'_>, way: &'w Way) -> Or {
        let objects: Vec<Findings> = (or.objects.iter())
            .map(|object| self.object(object, or.span, way))
            .collect();
        Or {
            held: objects.iter().any(|object| object.held),
            pointer: format!("{WHEN}{}", or.pointer),
            objects,
        }
    }

    /// One object of an `$or`: in the way that is shown, if it takes it, and otherwise in the nearest
    /// one that differs from it within this `$or` alone.
    ///
    /// That way may find the conditions beside the `$or` in other elements, or not at all. Then the
    /// object does not hold, even if each of its parts does.
    fn object(&self, object: &written::Object<'_>, or: Span, shown: &'w Way) -> Findings {
        let way = if shown.takes(object.span) {
            shown
        } else {
            let others = self
                .ways
                .iter()
                .filter(|way| way.takes(object.span) && way.is_same_beside(or, shown));
            nearest(others).expect("the ways hold every combination")
        };
        let mut findings = self.all(&object.parts, way);
        if findings.held {
            findings.excludes = (way.failed())
                .filter(|(id, _)| !or.contains(**id) && shown.finding(**id).held)
                .map(|(_, finding)| finding.path.clone())
                .collect();
            findings.held = findings.excludes.is_empty();
        }
        findings
    }
}

impl Part {
    /// Whether it holds.
    pub fn held(&self) -> bool {
        match self {
            Self::Condition(condition) => condition.held,
            Self::Or(or) => or.held,
        }
    }
}

impl written::Condition<'_> {
    fn report(&self, finding: &Finding) -> Condition {
        Condition {
            held: finding.held,
            path: self.path.clone(),
            pointer: format!("{WHEN}{}", self.pointer),
            asked: self.asked.iter().take(MAX_VALUES).cloned().collect(),
            asked_further: self.asked.len().saturating_sub(MAX_VALUES),
            at: finding.at.clone(),
            found: finding.found.clone(),
            found_further: finding.found_further,
            why: finding.why,
            elsewhere: finding.elsewhere.clone(),
        }
    }
}
