//! The index: finds the rules that an event wins without looking at the others.
//!
//! A pattern is a number of *ways* to meet it, conjunctions of conditions on fields. Each way is filed under
//! one of its conditions, the one that the fewest events meet as far as the rules themselves tell
//! ([`shares`]), in one list for each key of that condition ([`keys`]). An event is taken apart into values by field
//! ([`facts`]); each value is looked up ([`dictionary`], [`numbers`], [`affixes`]), and only the lists found there are
//! gone through ([`search`], [`sift`]). For each way of a list one word of the event's outline ([`outline`]) says
//! whether the other conditions can hold; those that it cannot tell are looked at, each at most once an
//! event ([`conditions`]). A list that is long is cut by a second word ([`pairs`]).
//!
//! So the cost follows what the event has in common with rules, not the number of rules.
//!
//! Invariant: whatever the index passes over, the plain evaluation ([`crate::evaluate`]) refuses. Where the
//! values of one event lie in different elements of an array, the index cannot tell which belong together, and
//! the plain evaluation has the last word.

mod affixes;
mod build;
mod conditions;
mod demand;
mod dictionary;
mod facts;
mod keys;
mod lists;
mod marks;
mod numbers;
mod outline;
mod pairs;
mod postings;
mod ranges;
mod search;
mod shares;
mod sift;
mod ways;
mod words;

use std::sync::Arc;

use schemas::CampaignId;
use schemas::paths::PathId;

use self::affixes::Affixes;
use self::conditions::Conditions;
use self::dictionary::Dictionary;
pub(crate) use self::facts::Facts;
use self::keys::Plain;
use self::numbers::Numbers;
use self::outline::Field;
use self::pairs::Pairs;
pub(crate) use self::postings::Won;
use self::postings::{ListId, Postings};
pub(crate) use self::search::Work;
pub(crate) use self::ways::fields;
use crate::rule::Rule;

/// Rules, so arranged that those that an event wins are found quickly. Immutable.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// In ascending order of campaign id, each id once. A rule's place is its index here.
    rules: Box<[Arc<Rule>]>,
    /// By field; fields beyond the last are of no interest.
    files: Box<[File]>,
    words: Dictionary,
    /// Strings without regard to case.
    folded: Dictionary,
    postings: Postings,
    pairs: Pairs,
    pair_fields: Box<[u32]>,
    conditions: Conditions,
    rests: Rests,
    /// Fields by whose absence ways are filed.
    absences: Box<[u32]>,
    /// The outline of an event without any field.
    empty_outline: u64,
}

/// What is filed under the values of one field.
#[derive(Debug)]
struct File {
    field: Field,
    has_words: bool,
    /// If it is an array, conditions of some way must hold in one element of it.
    is_joint: bool,
    is_idle: bool,
    plain: [ListId; Plain::COUNT],
    numbers: Option<Box<Numbers>>,
    affixes: Option<Box<FieldAffixes>>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            field: Field::default(),
            has_words: false,
            is_joint: false,
            is_idle: true,
            plain: [ListId::NONE; Plain::COUNT],
            numbers: None,
            affixes: None,
        }
    }
}

/// Beginnings and ends of the strings of one field, and whatever else is looked up by parts of a string.
#[derive(Debug, Default)]
struct FieldAffixes {
    prefixes: Option<Affixes>,
    /// Backwards.
    suffixes: Option<Affixes>,
    has_folded: bool,
    folded_prefixes: Option<Affixes>,
    /// Backwards.
    folded_suffixes: Option<Affixes>,
    networks: Option<Affixes>,
}

/// What remains to be looked at when the outline and the check of its posting have nothing against a way.
#[derive(Debug, Default)]
struct Rests {
    all: Box<[Rest]>,
    conditions: Box<[u32]>,
    paths: Box<[PathId]>,
}

/// Parts of the lists of [`Rests`].
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// Conditions of which the outline does not say all.
    open_start: u32,
    /// Conditions that the outline decides where their field has a bit.
    outlined_start: u32,
    outlined_end: u32,
    /// If one of these is an array, conditions must hold in one element of it.
    joints_start: u32,
    joints_end: u32,
}

impl Index {
    /// The rules, in ascending order of campaign id.
    pub(crate) fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rule that an event won in a search of this index.
    #[inline]
    pub(crate) fn rule(&self, won: Won) -> &Rule {
        self.postings.rule(won)
    }

    /// Where the campaign's rule stands, in force or not.
    pub(crate) fn place(&self, id: &CampaignId) -> Option<u32> {
        let place = self.rules.binary_search_by(|rule| rule.id().cmp(id)).ok()?;
        Some(u32::try_from(place).expect("an index has fewer than 2³¹ rules"))
    }

    /// How much it takes to make such an index: what is filed, and the strings under which it is.
    pub(crate) fn entries(&self) -> usize {
        self.postings.len() + self.words.places()
    }
}
