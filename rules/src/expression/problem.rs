//! What can be wrong with an expression, in words that say what to write instead.

use crate::limits;

/// What is wrong with an expression first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {problem}")]
pub struct ExpressionError {
    /// The place: characters from the beginning, the first is 1.
    pub at: usize,
    /// What, and what to write instead.
    pub problem: ExpressionProblem,
}

/// A kind of problem. Texts of the expression are quoted up to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionProblem {
    /// Too many bytes.
    #[error(
        "the expression has {bytes} bytes; at most {} are allowed",
        limits::MAX_EXPRESSION_BYTES
    )]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// Nested too deep.
    #[error(
        "the expression nests deeper than {} levels",
        limits::MAX_EXPRESSION_DEPTH
    )]
    TooDeep,
    /// Something else than what may stand there.
    #[error("{expected} is expected; this is {found}")]
    Expected {
        /// What may stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A character that the language does not have.
    #[error("{found:?} means nothing in an expression")]
    Character {
        /// The character.
        found: char,
    },
    /// A text without its end.
    #[error("the text has no end; write \" behind it, and \\\" and \\\\ for \" and \\ in it")]
    OpenText,
    /// A number that is none, or too long.
    #[error("{found} is no decimal of at most 28 digits, as 0.05")]
    Decimal {
        /// What stands there.
        found: String,
    },
    /// A function that there is not.
    #[error(
        "there is no function {found:?}; the functions are {}",
        crate::expression::parse::names()
    )]
    Function {
        /// What stands there.
        found: String,
    },
    /// A function with too few or too many arguments.
    #[error("{function} is written {form}")]
    Arguments {
        /// The function.
        function: &'static str,
        /// How it is written.
        form: &'static str,
    },
    /// A name that begins no field.
    #[error(
        "{found:?} is neither a function nor a field; fields are written payload.{found}, or \
         event.{found} for one beside the payload"
    )]
    Name {
        /// The name.
        found: String,
    },
    /// A field alone, without a name in it.
    #[error("{found} is an object; name a field of it, as {found}.amount")]
    WholeObject {
        /// `payload` or `event`.
        found: &'static str,
    },
    /// A number where a condition should stand, or the other way round.
    #[error("this is {found}, and {expected} is needed here")]
    Kind {
        /// What it is.
        found: &'static str,
        /// What is needed.
        expected: &'static str,
    },
    /// A text that is not compared with a field.
    #[error("a text can only be compared with a field, by == or !=")]
    Text,
    /// A divisor that is always zero.
    #[error("this divides by zero")]
    DivisionByZero,
    /// Thresholds that do not ascend.
    #[error("tiers ascend; {threshold} is not above the one before it")]
    Tiers {
        /// The threshold.
        threshold: String,
    },
    /// An expression without fields whose value is no amount.
    #[error("this is the same for all events, and no amount: {why}")]
    Never {
        /// Why not.
        why: String,
    },
}
