//! The rule language: event patterns, checked and evaluated. Pure, without I/O and without clocks.
//!
//! A campaign's `when` is a pattern in the language of Amazon's event buses, with event-ruler's
//! semantics (<https://github.com/aws/event-ruler>), specified in `docs/rules.md`. It passes through this crate
//! in the order of the modules: it is read and every problem reported, `$or` is multiplied out into
//! conjunctions, and these are evaluated on decoded events; its reward may hold expressions; a rule set holds the rules of all active
//! campaigns.
//!
//! Invariants: what compiles is within the [`limits`]; evaluation does not fail, and allocates only for what is compared
//! in another form than it was written in (decimals, conditions on a whole field, caches of regular expressions); nothing
//! here changes once it is built.
//!
//! ```
//! use std::sync::Arc;
//!
//! use rules::{Rule, RuleSet};
//! use schemas::{Campaign, Document, Event, Limits};
//!
//! let campaign = Campaign::from_json(
//!     br#"{"id": "ten-for-fifty", "name": "$10 for purchases over $50",
//!          "when": {"event_type": ["purchase"], "payload": {"amount": [{"numeric": [">=", 50]}]}},
//!          "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"}}"#,
//! )?;
//! let set = RuleSet::build([Arc::new(Rule::compile(campaign)?)]);
//!
//! let mut document = Document::new();
//! document.read(
//!     br#"{"event_id": "e-1", "customer_id": "c-1", "event_type": "purchase",
//!          "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75}}"#,
//!     Limits::default(),
//! )?;
//! let mut winners = Vec::new();
//! set.winners(&Event::of(&document)?, &mut winners);
//! assert_eq!(winners[0].id().as_str(), "ten-for-fifty");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod limits;
pub mod problem;

mod parse;

mod operator;

mod letter_case;
mod meaning;
mod network;
mod whole;
mod wildcard;

mod condition;

mod conjunction;

mod evaluate;

mod index;

pub mod expression;
pub mod reward;

pub mod compiler;
pub mod experiment;
pub mod history;
pub mod live;
mod merge;
pub mod pattern;
pub mod rule;
pub mod rule_set;

pub mod decide;

pub mod check;
pub mod explain;
pub mod lint;
pub mod sample;

pub use check::CampaignProblem;
pub use compiler::Compiler;
pub use decide::Decider;
pub use explain::Explanation;
pub use expression::{Expression, Undefined};
pub use history::History;
pub use live::LiveRules;
pub use pattern::Pattern;
pub use problem::{PatternError, PatternErrors, Problem};
pub use reward::{RewardErrors, RewardFinding};
pub use rule::{Rule, RuleError};
pub use rule_set::RuleSet;
