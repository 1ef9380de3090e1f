//! The value of an expression. Nothing here panics: where there is no value, it is said why.

use rust_decimal::{Decimal, RoundingStrategy};
use schemas::{Node, Value};

use super::{Comparison, Field, Number, Rounding, Scale, Sign, Test};
use crate::meaning::decimal;
use crate::problem::clip;

/// Why an expression has no value for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// The field has no values.
    #[error("{field} is absent")]
    Absent {
        /// The field.
        field: String,
    },
    /// The field has a value that is no number.
    #[error("{field} is {found}, no decimal of at most 28 digits")]
    NotANumber {
        /// The field.
        field: String,
        /// What it is.
        found: String,
    },
    /// The field has several values.
    #[error("{field} has {count} values; sum and count take them all")]
    Several {
        /// The field.
        field: String,
        /// How many.
        count: usize,
    },
    /// A divisor was zero.
    #[error("it divides by zero")]
    DivisionByZero,
    /// A number has more than 28 digits before its point.
    #[error("a number in it becomes too large")]
    TooLarge,
    /// The first tier was not reached.
    #[error("{value} is below the first tier, {first}")]
    NoTier {
        /// What was looked for.
        value: Decimal,
        /// The first threshold.
        first: Decimal,
    },
    /// There is a value, but no amount may be so.
    #[error(transparent)]
    NoAmount(#[from] schemas::AmountError),
}

type Defined<T> = Result<T, Undefined>;

impl Number {
    /// The value; without an event every field is absent.
    pub(super) fn of(&self, event: Option<Node<'_>>) -> Defined<Decimal> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Field(field) => match field.only(event)? {
                Some(node) => field.number(node),
                None => Err(Undefined::Absent {
                    field: field.to_string(),
                }),
            },
            Self::Default(field, otherwise) => match field.only(event)? {
                Some(node) if !matches!(node.value(), Value::Null) => field.number(node),
                _ => otherwise.of(event),
            },
            Self::Total(field) => {
                let mut total = Ok(Decimal::ZERO);
                field.each(event, &mut |node| {
                    if let Ok(sum) = total {
                        let value = field.number(node);
                        total = value.and_then(|value| fits(sum.checked_add(value)));
                    }
                });
                total
            }
            Self::Count(field) => {
                let mut count = 0_u64;
                field.each(event, &mut |_| count += 1);
                Ok(count.into())
            }
            Self::Negative(inner) => Ok(-inner.of(event)?),
            Self::Sum(first, rest) => {
                rest.iter().try_fold(first.of(event)?, |sum, (sign, term)| {
                    let term = term.of(event)?;
                    fits(match sign {
                        Sign::Plus => sum.checked_add(term),
                        Sign::Minus => sum.checked_sub(term),
                    })
                })
            }
            Self::Product(first, rest) => {
                (rest.iter()).try_fold(first.of(event)?, |product, (scale, factor)| {
                    let factor = factor.of(event)?;
                    match scale {
                        Scale::Times => fits(product.checked_mul(factor)),
                        Scale::Over if factor.is_zero() => Err(Undefined::DivisionByZero),
                        Scale::Over => fits(product.checked_div(factor)),
                    }
                })
            }
            Self::Choice(test, yes, no) => {
                if test.holds(event)? {
                    yes.of(event)
                } else {
                    no.of(event)
                }
            }
            Self::Least(all) => fold(all, event, Decimal::min),
            Self::Greatest(all) => fold(all, event, Decimal::max),
            Self::Rounded(rounding, inner, decimals) => {
                let strategy = match rounding {
                    Rounding::Nearest => RoundingStrategy::MidpointAwayFromZero,
                    Rounding::Down => RoundingStrategy::ToNegativeInfinity,
                    Rounding::Up => RoundingStrategy::ToPositiveInfinity,
                };
                Ok(inner.of(event)?.round_dp_with_strategy(*decimals, strategy))
            }
            Self::Tier(of, tiers) => {
                let value = of.of(event)?;
                let reached = tiers.partition_point(|(threshold, _)| *threshold <= value);
                match reached.checked_sub(1).and_then(|last| tiers.get(last)) {
                    Some((_, worth)) => worth.of(event),
                    None => Err(Undefined::NoTier {
                        value,
                        first: tiers.first().map_or(value, |(first, _)| *first),
                    }),
                }
            }
        }
    }
}

fn fits(result: Option<Decimal>) -> Defined<Decimal> {
    result.ok_or(Undefined::TooLarge)
}

fn fold(
    all: &[Number],
    event: Option<Node<'_>>,
    choose: fn(Decimal, Decimal) -> Decimal,
) -> Defined<Decimal> {
    let mut chosen: Option<Decimal> = None;
    for one in all {
        let value = one.of(event)?;
        chosen = Some(chosen.map_or(value, |before| choose(before, value)));
    }
    chosen.ok_or(Undefined::TooLarge)
}

impl Test {
    fn holds(&self, event: Option<Node<'_>>) -> Defined<bool> {
        match self {
            Self::Any(all) => {
                for one in all {
                    if one.holds(event)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::All(all) => {
                for one in all {
                    if !one.holds(event)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Not(inner) => Ok(!inner.holds(event)?),
            Self::Compare(left, comparison, right) => {
                let (left, right) = (left.of(event)?, right.of(event)?);
                Ok(match comparison {
                    Comparison::Equal => left == right,
                    Comparison::NotEqual => left != right,
                    Comparison::Less => left < right,
                    Comparison::LessOrEqual => left <= right,
                    Comparison::Greater => left > right,
                    Comparison::GreaterOrEqual => left >= right,
                })
            }
            Self::Equals(field, text) => Ok(field.is(text, event)),
            Self::Differs(field, text) => Ok(!field.is(text, event)),
        }
    }
}

impl Field {
    /// Calls `with` for each value, as `docs/rules.md` counts them.
    fn each(&self, event: Option<Node<'_>>, with: &mut dyn FnMut(Node<'_>)) {
        if let Some(event) = event {
            values(event, self.steps(), with);
        }
    }

    /// Its value; none if it has none.
    fn only<'e>(&self, event: Option<Node<'e>>) -> Defined<Option<Node<'e>>> {
        let Some(event) = event else { return Ok(None) };
        let mut found = None;
        let mut count = 0;
        values(event, self.steps(), &mut |node| {
            found = Some(node);
            count += 1;
        });
        if count > 1 {
            let field = self.to_string();
            return Err(Undefined::Several { field, count });
        }
        Ok(found)
    }

    fn is(&self, text: &str, event: Option<Node<'_>>) -> bool {
        let mut found = false;
        self.each(event, &mut |node| {
            found |= matches!(node.value(), Value::String(value) if value == text);
        });
        found
    }

    fn number(&self, node: Node<'_>) -> Defined<Decimal> {
        let value = node.value();
        decimal::of_value(&value).ok_or_else(|| Undefined::NotANumber {
            field: self.to_string(),
            found: match value {
                Value::Number(_) | Value::String(_) => clip(&format!("{node:?}")),
                other => other.kind().to_owned(),
            },
        })
    }
}

/// As deep as a document may be, see [`schemas::Limits::max_depth`].
fn values<'e>(node: Node<'e>, steps: &[Box<str>], with: &mut dyn FnMut(Node<'e>)) {
    match (node.value(), steps) {
        (Value::Array(elements), _) => {
            for element in elements {
                values(element, steps, with);
            }
        }
        (Value::Object(_), [name, rest @ ..]) => {
            if let Some(below) = node.get(name) {
                values(below, rest, with);
            }
        }
        (Value::Object(_), []) | (_, [_, ..]) => {}
        (_, []) => with(node),
    }
}
