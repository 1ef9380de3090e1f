//! Patterns: what a campaign's `when` asks of an event.

use std::slice;

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
    ways: Ways,
}

/// Conjunctions, one of which must hold. Nearly all patterns are one, which stands here and not in memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ways {
    One(Conjunction),
    Several(Box<[Conjunction]>),
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
        Ok(Self::of(conjunctions))
    }

    /// What meets this pattern or one of those.
    pub(crate) fn or<'p>(&self, others: impl Iterator<Item = &'p Pattern>) -> Self {
        let own = self.conjunctions().iter().cloned();
        let others = others.flat_map(|other| other.conjunctions().iter().cloned());
        Self::of(own.chain(others).collect())
    }

    fn of(conjunctions: Vec<Conjunction>) -> Self {
        let ways = match <[Conjunction; 1]>::try_from(conjunctions) {
            Ok([one]) => Ways::One(one),
            Err(several) => Ways::Several(several.into()),
        };
        Self { ways }
    }

    /// Takes what other patterns have, too, from the compiler.
    pub(crate) fn share(&mut self, compiler: &mut Compiler) {
        let conjunctions = match &mut self.ways {
            Ways::One(one) => slice::from_mut(one),
            Ways::Several(several) => several,
        };
        for conjunction in conjunctions {
            conjunction.share(compiler);
        }
    }

    /// The ways to meet it.
    pub(crate) fn conjunctions(&self) -> &[Conjunction] {
        match &self.ways {
            Ways::One(one) => slice::from_ref(one),
            Ways::Several(several) => several,
        }
    }

    /// Whether the event, an object, meets the pattern.
    ///
    /// Allocates nothing. The time is linear in the pattern and in those parts of the event that it
    /// speaks of.
    pub fn matches(&self, event: Node<'_>) -> bool {
        self.conjunctions()
            .iter()
            .any(|conjunction| evaluate::holds(conjunction, event))
    }
}
