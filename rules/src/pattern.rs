//! Patterns: what a campaign's `when` asks of an event.

use schemas::Node;

use crate::compiler::Compiler;
use crate::conjunction::{Conjunction, conjunctions};
use crate::problem::PatternErrors;
use crate::{evaluate, parse};

/// A checked and compiled event pattern, in the language of `docs/rules.md`.
///
/// Immutable; any number of threads may evaluate it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    conjunctions: Box<[Conjunction]>,
}

impl Pattern {
    /// Reads and checks a pattern.
    ///
    /// # Errors
    /// [`PatternErrors`] lists everything that is wrong, each with its place and what to write instead.
    /// Only what the `$or`s make together is checked last, when nothing else is wrong.
    pub fn parse(pattern: &serde_json::Value) -> Result<Self, PatternErrors> {
        let clauses = parse::clauses(pattern)?;
        let conjunctions = conjunctions(&clauses).map_err(|mut errors| {
            errors.point_into(pattern);
            errors
        })?;
        Ok(Self { conjunctions })
    }

    /// What meets this pattern or one of those.
    pub(crate) fn or<'p>(&self, others: impl Iterator<Item = &'p Pattern>) -> Self {
        let others = others.flat_map(|pattern| &pattern.conjunctions);
        Self {
            conjunctions: self.conjunctions.iter().chain(others).cloned().collect(),
        }
    }

    /// Takes what other patterns have, too, from the compiler.
    pub(crate) fn share(&mut self, compiler: &mut Compiler) {
        for conjunction in &mut self.conjunctions {
            conjunction.share(compiler);
        }
    }

    /// The ways to meet it.
    pub(crate) fn conjunctions(&self) -> &[Conjunction] {
        &self.conjunctions
    }

    /// Whether the event, an object, meets the pattern.
    ///
    /// Allocates nothing. The time is linear in the pattern and in those parts of the event that it
    /// speaks of.
    pub fn matches(&self, event: Node<'_>) -> bool {
        self.conjunctions
            .iter()
            .any(|conjunction| evaluate::holds(conjunction, event))
    }
}
