//! Values held to a model that knows no decimals: fractions of whole numbers without bounds.

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;
use proptest::sample::select;
use rules::Expression;
use schemas::{Document, Limits};
use serde_json::json;

/// A fraction; the lower number is positive.
#[derive(Debug, Clone)]
struct Fraction {
    upper: BigInt,
    lower: BigInt,
}

impl Fraction {
    fn new(upper: BigInt, lower: BigInt) -> Self {
        if lower.sign() == Sign::Minus {
            return Self {
                upper: -upper,
                lower: -lower,
            };
        }
        Self { upper, lower }
    }

    /// A decimal text.
    fn read(text: &str) -> Self {
        let decimals = text
            .split_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
        let digits: BigInt = text.replace('.', "").parse().unwrap();
        Self::new(digits, ten_to(decimals))
    }

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        (&self.upper * &other.lower).cmp(&(&other.upper * &self.lower))
    }

    fn minus(&self, other: &Self) -> Self {
        let upper = &self.upper * &other.lower - &other.upper * &self.lower;
        Self::new(upper, &self.lower * &other.lower)
    }

    /// The greatest whole number that is not above it.
    fn floor(&self) -> BigInt {
        let (quotient, rest) = (&self.upper / &self.lower, &self.upper % &self.lower);
        if rest.sign() == Sign::Minus {
            quotient - 1
        } else {
            quotient
        }
    }

    fn rounded(&self, how: &str, decimals: usize) -> Self {
        let scale = ten_to(decimals);
        let scaled = Self::new(&self.upper * &scale, self.lower.clone());
        let negative = |it: &Self| Self::new(-&it.upper, it.lower.clone());
        let up = |it: &Self| Self::new(&it.upper * 2 + &it.lower, &it.lower * 2).floor();
        let whole = match how {
            "floor" => scaled.floor(),
            "ceil" => -negative(&scaled).floor(),
            // Half away from zero: up for positive ones, and the mirror image for negative ones.
            _ if scaled.upper.sign() == Sign::Minus => -up(&negative(&scaled)),
            _ => up(&scaled),
        };
        Self::new(whole, scale)
    }
}

fn ten_to(power: usize) -> BigInt {
    BigInt::from(10).pow(u32::try_from(power).unwrap())
}

/// An expression, and the value that the model gives it; none where it divides by zero.
type Case = (String, Option<Fraction>);

/// A decimal of at most three digits: as a number, or as a field of the event that the evaluation is given.
fn leaf() -> impl Strategy<Value = Case> {
    (0..1000u32, 0..3usize, any::<bool>()).prop_map(|(digits, decimals, is_field)| {
        let text = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = text.split_at(text.len() - decimals);
        let text = if decimals == 0 {
            whole.to_owned()
        } else {
            format!("{whole}.{fraction}")
        };
        let value = Some(Fraction::read(&text));
        (
            if is_field {
                format!("payload[\"{text}\"]")
            } else {
                text
            },
            value,
        )
    })
}

fn binary(sign: &'static str, a: &Case, b: &Case) -> Case {
    let text = format!("({} {sign} {})", a.0, b.0);
    let (Some(x), Some(y)) = (&a.1, &b.1) else {
        return (text, None);
    };
    let value = match sign {
        "+" => x.minus(&Fraction::new(-&y.upper, y.lower.clone())),
        "-" => x.minus(y),
        "*" => Fraction::new(&x.upper * &y.upper, &x.lower * &y.lower),
        _ if y.upper == BigInt::ZERO => return (text, None),
        _ => Fraction::new(&x.upper * &y.lower, &x.lower * &y.upper),
    };
    (text, Some(value))
}

/// Everything but division: at most eight numbers of three digits, whose product has 24.
fn exact() -> impl Strategy<Value = Case> {
    leaf().prop_recursive(3, 8, 2, |inner| {
        let n = || inner.clone();
        let pair = (n(), n());
        prop_oneof![
            3 => (n(), select(&["+", "-", "*"][..]), n()).prop_map(|(a, sign, b)| binary(sign, &a, &b)),
            1 => n().prop_map(|(text, value)| {
                (format!("-{text}"), value.map(|value| Fraction::new(-value.upper, value.lower)))
            }),
            2 => (select(&["round", "floor", "ceil"][..]), n(), 0..4usize).prop_map(|(how, a, decimals)| {
                (format!("{how}({}, {decimals})", a.0), a.1.map(|value| value.rounded(how, decimals)))
            }),
            1 => (any::<bool>(), pair.clone()).prop_map(|(least, (a, b))| {
                let name = if least { "min" } else { "max" };
                let text = format!("{name}({}, {})", a.0, b.0);
                let value = a.1.zip(b.1).map(|(x, y)| {
                    if x.compare(&y).is_lt() == least { x } else { y }
                });
                (text, value)
            }),
            1 => (pair, select(&["<", "<=", "==", "!=", ">", ">="][..])).prop_map(|((a, b), sign)| {
                let text = format!("({} {sign} {} ? 1 : 2)", a.0, b.0);
                let value = a.1.zip(b.1).map(|(x, y)| {
                    let order = x.compare(&y);
                    let holds = match sign {
                        "<" => order.is_lt(),
                        "<=" => order.is_le(),
                        "==" => order.is_eq(),
                        "!=" => order.is_ne(),
                        ">" => order.is_gt(),
                        _ => order.is_ge(),
                    };
                    Fraction::read(if holds { "1" } else { "2" })
                });
                (text, value)
            }),
            1 => (n(), n()).prop_map(|(of, worth)| {
                let text = format!("tier({}, -1000000000000: {}, 0: 7, 10.5: 0.25)", of.0, worth.0);
                let lowest = Fraction::read("-1000000000000");
                let value = of.1.zip(worth.1).and_then(|(of, worth)| {
                    let reaches = |text: &str| of.compare(&Fraction::read(text)).is_ge();
                    let below = of.compare(&lowest).is_lt();
                    (!below).then(|| if reaches("10.5") { Fraction::read("0.25") }
                        else if reaches("0") { Fraction::read("7") } else { worth })
                });
                (text, value)
            }),
        ]
    })
}

/// Sums, products and quotients.
fn with_division() -> impl Strategy<Value = Case> {
    leaf().prop_recursive(3, 8, 2, |inner| {
        (inner.clone(), select(&["+", "*", "/"][..]), inner)
            .prop_map(|(a, sign, b)| binary(sign, &a, &b))
    })
}

/// The value of an expression in which a field's name says its value.
fn evaluate(text: &str) -> Option<Fraction> {
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(
                error.to_string().contains("divides by zero"),
                "{text}: {error}"
            );
            return None;
        }
    };
    let names = text
        .split("payload[\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    // A double keeps three digits; every other field is a text.
    let fields = names.enumerate().map(|(number, name)| {
        let double: f64 = name.parse().unwrap();
        let value = if number % 2 == 0 {
            json!(double)
        } else {
            json!(name)
        };
        (name.to_owned(), value)
    });
    let payload: serde_json::Map<_, _> = fields.collect();
    let event = json!({ "payload": payload }).to_string();
    let mut document = Document::new();
    document.read(event.as_bytes(), Limits::default()).unwrap();
    let value = expression.evaluate(document.root()).ok()?;
    Some(Fraction::read(&value.to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn without_division_values_are_exact((text, expected) in exact()) {
        match (evaluate(&text), expected) {
            (Some(found), Some(expected)) => {
                prop_assert!(found.compare(&expected).is_eq(), "{}: {:?}, not {:?}", text, found, expected);
            }
            (found, expected) => prop_assert!(found.is_none() && expected.is_none(), "{}: {:?}", text, found),
        }
    }

    #[test]
    fn quotients_are_exact_to_the_last_digits((text, expected) in with_division()) {
        let (Some(found), Some(expected)) = (evaluate(&text), expected) else {
            return Ok(());
        };
        let error = found.minus(&expected);
        // At most seven steps, each off by half of the 28th decimal, and each may be multiplied with 10^12.
        let bound = Fraction::new(BigInt::from(7), ten_to(15));
        let error = Fraction::new(error.upper.magnitude().clone().into(), error.lower);
        prop_assert!(error.compare(&bound).is_le(), "{}: {:?}, not {:?}", text, found, expected);
    }
}
