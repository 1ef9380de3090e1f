//! Expressions over an event: what a reward is worth when that depends on what the customer did.
//!
//! `min(payload.amount * 0.05, 20)`, in exact decimals. The language is specified in `docs/rules.md`; why it is one of
//! ours and not a library's stands in `docs/decisions.md`.
//!
//! Invariants: what compiles nests at most [`limits::MAX_EXPRESSION_DEPTH`](crate::limits::MAX_EXPRESSION_DEPTH)
//! deep, so evaluation may recurse; evaluation never panics, and says why where it has no value.

mod evaluate;
mod parse;
mod problem;
mod text;

use rust_decimal::Decimal;
use schemas::Node;

pub use self::evaluate::Undefined;
pub use self::problem::{ExpressionError, ExpressionProblem};

/// A checked expression. Its `Display` is the expression again, with no more brackets than it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    number: Number,
}

impl Expression {
    /// Reads and checks an expression.
    ///
    /// # Errors
    /// [`ExpressionError`] says what is wrong first, and at which character.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::expression(text).map(|number| Self { number })
    }

    /// Its value for an event; exact to 28 digits.
    ///
    /// # Errors
    /// [`Undefined`] when it has none.
    pub fn evaluate(&self, event: Node<'_>) -> Result<Decimal, Undefined> {
        self.number.of(Some(event))
    }

    /// Its value, if it speaks of no field.
    pub(crate) fn constant(&self) -> Option<Result<Decimal, Undefined>> {
        (!self.number.has_fields()).then(|| self.number.of(None))
    }

    /// Each field that it cannot do without, as the steps from the event.
    pub(crate) fn needed_fields(&self) -> Vec<&Field> {
        let mut fields = Vec::new();
        self.number.needed(&mut fields);
        fields
    }
}

/// What has a number for its value.
#[derive(Debug, Clone, PartialEq)]
enum Number {
    Constant(Decimal),
    Field(Field),
    Negative(Box<Number>),
    /// The first, and what is added or taken away.
    Sum(Box<Number>, Vec<(Sign, Number)>),
    /// The first, and what it is multiplied with or divided by.
    Product(Box<Number>, Vec<(Scale, Number)>),
    Choice(Box<Test>, Box<Number>, Box<Number>),
    Least(Vec<Number>),
    Greatest(Vec<Number>),
    Rounded(Rounding, Box<Number>, u32),
    /// The value of the last threshold that the first reaches. Thresholds ascend.
    Tier(Box<Number>, Vec<(Decimal, Number)>),
    /// The field, or the number if the field is absent or null.
    Default(Field, Box<Number>),
    /// All values of the field together.
    Total(Field),
    /// How many values the field has.
    Count(Field),
}

/// What is true or false.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    Any(Vec<Test>),
    All(Vec<Test>),
    Not(Box<Test>),
    Compare(Box<Number>, Comparison, Box<Number>),
    /// Whether a value of the field is this text.
    Equals(Field, Box<str>),
    /// Whether none is.
    Differs(Field, Box<str>),
}

/// A field of the event: its names from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field(Box<[Box<str>]>);

impl Field {
    /// Its names from the top.
    pub(crate) fn steps(&self) -> &[Box<str>] {
        &self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Times,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounding {
    /// To the nearest; halves away from zero.
    Nearest,
    Down,
    Up,
}

impl Number {
    fn has_fields(&self) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Field(_) | Self::Default(..) | Self::Total(_) | Self::Count(_) => true,
            Self::Negative(inner) | Self::Rounded(_, inner, _) => inner.has_fields(),
            Self::Sum(first, rest) => {
                first.has_fields() || rest.iter().any(|(_, term)| term.has_fields())
            }
            Self::Product(first, rest) => {
                first.has_fields() || rest.iter().any(|(_, factor)| factor.has_fields())
            }
            Self::Choice(test, yes, no) => test.has_fields() || yes.has_fields() || no.has_fields(),
            Self::Least(all) | Self::Greatest(all) => all.iter().any(Self::has_fields),
            Self::Tier(of, tiers) => {
                of.has_fields() || tiers.iter().any(|(_, value)| value.has_fields())
            }
        }
    }

    /// Fields that are read whatever the event is. Those behind a condition or in a tier may never be.
    fn needed<'e>(&'e self, into: &mut Vec<&'e Field>) {
        match self {
            Self::Field(field) => into.push(field),
            Self::Constant(_) | Self::Default(..) | Self::Total(_) | Self::Count(_) => {}
            Self::Negative(inner) | Self::Rounded(_, inner, _) | Self::Tier(inner, _) => {
                inner.needed(into);
            }
            Self::Sum(first, rest) => {
                first.needed(into);
                for (_, term) in rest {
                    term.needed(into);
                }
            }
            Self::Product(first, rest) => {
                first.needed(into);
                for (_, factor) in rest {
                    factor.needed(into);
                }
            }
            Self::Choice(test, ..) => test.needed(into),
            Self::Least(all) | Self::Greatest(all) => {
                for one in all {
                    one.needed(into);
                }
            }
        }
    }
}

impl Test {
    fn has_fields(&self) -> bool {
        match self {
            Self::Any(all) | Self::All(all) => all.iter().any(Self::has_fields),
            Self::Not(inner) => inner.has_fields(),
            Self::Compare(left, _, right) => left.has_fields() || right.has_fields(),
            Self::Equals(..) | Self::Differs(..) => true,
        }
    }

    fn needed<'e>(&'e self, into: &mut Vec<&'e Field>) {
        match self {
            // The others may not be looked at.
            Self::Any(all) | Self::All(all) => {
                if let Some(first) = all.first() {
                    first.needed(into);
                }
            }
            Self::Not(inner) => inner.needed(into),
            Self::Compare(left, _, right) => {
                left.needed(into);
                right.needed(into);
            }
            Self::Equals(..) | Self::Differs(..) => {}
        }
    }
}
