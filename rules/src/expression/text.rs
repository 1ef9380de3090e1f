//! An expression as it is written, with no more brackets than it needs.

use std::fmt::{self, Display, Formatter};

use super::{Comparison, Expression, Field, Number, Rounding, Scale, Sign, Test};

/// How tightly something holds together. What stands in something tighter needs brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Choice,
    Any,
    All,
    Not,
    Compare,
    Sum,
    Product,
    Negative,
    Primary,
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl Number {
    fn binding(&self) -> Binding {
        match self {
            Self::Choice(..) => Binding::Choice,
            Self::Sum(..) => Binding::Sum,
            Self::Product(..) => Binding::Product,
            Self::Negative(_) => Binding::Negative,
            _ => Binding::Primary,
        }
    }

    fn within(&self, f: &mut Formatter<'_>, least: Binding) -> fmt::Result {
        if self.binding() < least {
            write!(f, "({self})")
        } else {
            self.fmt(f)
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => value.fmt(f),
            Self::Field(field) => field.fmt(f),
            Self::Negative(inner) => {
                f.write_str("-")?;
                inner.within(f, Binding::Negative)
            }
            Self::Sum(first, rest) => {
                first.within(f, Binding::Product)?;
                for (sign, term) in rest {
                    f.write_str(match sign {
                        Sign::Plus => " + ",
                        Sign::Minus => " - ",
                    })?;
                    term.within(f, Binding::Product)?;
                }
                Ok(())
            }
            Self::Product(first, rest) => {
                first.within(f, Binding::Negative)?;
                for (scale, factor) in rest {
                    f.write_str(match scale {
                        Scale::Times => " * ",
                        Scale::Over => " / ",
                    })?;
                    factor.within(f, Binding::Negative)?;
                }
                Ok(())
            }
            Self::Choice(test, yes, no) => {
                test.within(f, Binding::Any)?;
                write!(f, " ? {yes} : {no}")
            }
            Self::Least(all) => call(f, "min", all),
            Self::Greatest(all) => call(f, "max", all),
            Self::Rounded(rounding, inner, decimals) => {
                f.write_str(match rounding {
                    Rounding::Nearest => "round",
                    Rounding::Down => "floor",
                    Rounding::Up => "ceil",
                })?;
                match decimals {
                    0 => write!(f, "({inner})"),
                    decimals => write!(f, "({inner}, {decimals})"),
                }
            }
            Self::Tier(of, tiers) => {
                write!(f, "tier({of}")?;
                for (threshold, value) in tiers {
                    write!(f, ", {threshold}: {value}")?;
                }
                f.write_str(")")
            }
            Self::Default(field, otherwise) => write!(f, "default({field}, {otherwise})"),
            Self::Total(field) => write!(f, "sum({field})"),
            Self::Count(field) => write!(f, "count({field})"),
        }
    }
}

fn call(f: &mut Formatter<'_>, name: &str, arguments: &[Number]) -> fmt::Result {
    write!(f, "{name}(")?;
    for (number, argument) in arguments.iter().enumerate() {
        if number > 0 {
            f.write_str(", ")?;
        }
        argument.fmt(f)?;
    }
    f.write_str(")")
}

impl Test {
    fn binding(&self) -> Binding {
        match self {
            Self::Any(_) => Binding::Any,
            Self::All(_) => Binding::All,
            Self::Not(_) => Binding::Not,
            Self::Compare(..) | Self::Equals(..) | Self::Differs(..) => Binding::Compare,
        }
    }

    fn within(&self, f: &mut Formatter<'_>, least: Binding) -> fmt::Result {
        if self.binding() < least {
            write!(f, "({self})")
        } else {
            self.fmt(f)
        }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(all) => list(f, " || ", all, Binding::All),
            Self::All(all) => list(f, " && ", all, Binding::Not),
            Self::Not(inner) => write!(f, "!({inner})"),
            Self::Compare(left, comparison, right) => {
                left.within(f, Binding::Sum)?;
                f.write_str(match comparison {
                    Comparison::Equal => " == ",
                    Comparison::NotEqual => " != ",
                    Comparison::Less => " < ",
                    Comparison::LessOrEqual => " <= ",
                    Comparison::Greater => " > ",
                    Comparison::GreaterOrEqual => " >= ",
                })?;
                right.within(f, Binding::Sum)
            }
            Self::Equals(field, text) => {
                write!(f, "{field} == ")?;
                quoted(f, text)
            }
            Self::Differs(field, text) => {
                write!(f, "{field} != ")?;
                quoted(f, text)
            }
        }
    }
}

fn list(f: &mut Formatter<'_>, between: &str, all: &[Test], least: Binding) -> fmt::Result {
    for (number, one) in all.iter().enumerate() {
        if number > 0 {
            f.write_str(between)?;
        }
        one.within(f, least)?;
    }
    Ok(())
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let steps = match self.steps() {
            [first, rest @ ..] if &**first == "payload" && !rest.is_empty() => {
                f.write_str("payload")?;
                rest
            }
            steps => {
                f.write_str("event")?;
                steps
            }
        };
        for step in steps {
            if super::parse::is_name(step) {
                write!(f, ".{step}")?;
            } else {
                f.write_str("[")?;
                quoted(f, step)?;
                f.write_str("]")?;
            }
        }
        Ok(())
    }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{character}")?;
    }
    f.write_str("\"")
}
