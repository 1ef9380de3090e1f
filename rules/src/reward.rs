//! What the matches of a campaign carry as their reward: the same text for all, or one that is made for each event.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rust_decimal::{Decimal, RoundingStrategy};
use schemas::{Amount, Node, Reward, RewardAmount};
use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::compiler::Compiler;
use crate::expression::{Expression, ExpressionError, ExpressionProblem, Undefined};

/// The field that makes an object an expression.
const EXPRESSION: &str = "expression";

/// The field that says how much.
const AMOUNT: &str = "amount";

/// A reward, its expressions compiled. One without expressions is written once.
#[derive(Debug, Clone)]
pub(crate) enum Worth {
    Constant(Arc<RewardText>),
    Computed(Box<Computed>),
}

/// A reward that is the same for all matches.
#[derive(Debug)]
pub(crate) struct RewardText {
    pub(crate) json: Box<RawValue>,
    amount: Option<Amount>,
}

impl PartialEq for RewardText {
    fn eq(&self, other: &Self) -> bool {
        // The amount is in it.
        self.json.get() == other.json.get()
    }
}

impl Eq for RewardText {}

impl Hash for RewardText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.json.get().hash(state);
    }
}

/// A reward with expressions: what stands between them is written already.
#[derive(Debug, Clone)]
pub(crate) struct Computed {
    parts: Box<[Part]>,
    tail: Box<str>,
    /// Unless it is one of the expressions.
    amount: Option<Amount>,
}

/// An expression and the JSON before it.
#[derive(Debug, Clone)]
struct Part {
    before: Box<str>,
    field: Box<str>,
    expression: Expression,
    /// Of the value: those of the reward's currency, if this is its amount.
    decimals: Option<u32>,
}

/// Everything that is wrong with the expressions of a reward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewardErrors(Vec<RewardError>);

/// What is wrong with one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {error}", place(*.variant, .field))]
pub struct RewardError {
    /// Whose reward: that of the variant with this number, or the campaign's own.
    pub variant: Option<usize>,
    /// The field of the reward.
    pub field: String,
    /// What, and where in the expression.
    pub error: ExpressionError,
}

/// Where it stands, in words.
fn place(variant: Option<usize>, field: &str) -> String {
    match variant {
        Some(number) => format!("variants[{number}].reward.{field}"),
        None => format!("reward.{field}"),
    }
}

impl RewardError {
    /// Where it stands: a JSON pointer into the campaign's document.
    pub(crate) fn pointer(&self) -> String {
        let of = self.variant.map(|number| format!("/variants/{number}"));
        of.unwrap_or_default() + &pointer(&self.field)
    }
}

impl RewardErrors {
    /// These problems, of which there is one at least.
    pub(crate) fn new(problems: Vec<RewardError>) -> Self {
        Self(problems)
    }

    /// The problems; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &RewardError> {
        self.0.iter()
    }
}

impl std::fmt::Display for RewardErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for RewardErrors {}

/// What an expression of a reward comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RewardFinding {
    /// Whether it has a value that is an amount.
    pub held: bool,
    /// Where it is written: a JSON pointer into the campaign's document, such as `/reward/amount`.
    pub pointer: String,
    /// The expression.
    pub expression: String,
    /// The amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Amount>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Worth {
    /// Compiles a reward.
    ///
    /// # Errors
    /// [`RewardErrors`] lists the expressions that are wrong.
    pub(crate) fn compile(reward: &Reward) -> Result<Self, RewardErrors> {
        let mut writer = Writer {
            minor_units: reward.minor_units(),
            ..Writer::default()
        };
        writer.constant("kind", &reward.kind);
        match &reward.amount {
            None => {}
            Some(RewardAmount::Exact(amount)) => writer.exact(AMOUNT, *amount),
            Some(RewardAmount::Expression(text)) => writer.expression(AMOUNT, text),
        }
        if let Some(currency) = &reward.currency {
            writer.constant("currency", currency);
        }
        for (field, value) in &reward.further {
            match expression_of(value) {
                Some(text) => writer.expression(field, text),
                None => writer.constant(field, value),
            }
        }
        writer.end()
    }

    /// Takes what other rewards are, too, from the compiler.
    pub(crate) fn share(&mut self, compiler: &mut Compiler) {
        if let Self::Constant(json) = self {
            compiler.reward(json);
        }
    }

    /// The JSON of the reward for an event.
    ///
    /// # Errors
    /// [`Undefined`] when an expression has no value, or one that is no amount.
    pub(crate) fn of(&self, event: Node<'_>) -> Result<Cow<'_, RawValue>, Undefined> {
        let computed = match self {
            Self::Constant(reward) => return Ok(Cow::Borrowed(&reward.json)),
            Self::Computed(computed) => computed,
        };
        let mut json = String::with_capacity(128);
        for part in &computed.parts {
            let amount = part.amount(event)?;
            json.push_str(&part.before);
            let _infallible = write!(json, "\"{amount}\"");
        }
        json.push_str(&computed.tail);
        let json = RawValue::from_string(json).expect("parts of JSON with texts of digits between");
        Ok(Cow::Owned(json))
    }

    /// The amount of the reward for an event; none if the reward has no amount.
    ///
    /// # Errors
    /// [`Undefined`] as for [`Worth::of`].
    pub(crate) fn amount(&self, event: Node<'_>) -> Result<Option<Amount>, Undefined> {
        let mut parts = self.parts().iter();
        let part = parts.find(|part| &*part.field == AMOUNT);
        part.map_or(Ok(self.constant_amount()), |part| {
            part.amount(event).map(Some)
        })
    }

    /// The amount, if it is no expression.
    pub(crate) fn constant_amount(&self) -> Option<Amount> {
        match self {
            Self::Constant(reward) => reward.amount,
            Self::Computed(computed) => computed.amount,
        }
    }

    /// Whether the reward has an amount.
    pub(crate) fn has_amount(&self) -> bool {
        let mut parts = self.parts().iter();
        self.constant_amount().is_some() || parts.any(|part| &*part.field == AMOUNT)
    }

    /// Whether the event has this reward.
    pub(crate) fn is_defined(&self, event: Node<'_>) -> bool {
        self.parts().iter().all(|part| part.amount(event).is_ok())
    }

    /// Reads where it lies in memory: [`crate::Rule::touch`].
    #[inline]
    pub(crate) fn touch(&self) -> u8 {
        u8::from(self.constant_amount().is_some())
    }

    /// What each expression comes to.
    pub(crate) fn findings(&self, event: Node<'_>) -> Vec<RewardFinding> {
        let findings = self.parts().iter().map(|part| {
            let amount = part.amount(event);
            RewardFinding {
                held: amount.is_ok(),
                pointer: pointer(&part.field),
                expression: part.expression.to_string(),
                why: amount.as_ref().err().map(ToString::to_string),
                value: amount.ok(),
            }
        });
        findings.collect()
    }

    /// Each expression with the field of the reward that it stands in.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = (&str, &Expression)> {
        (self.parts().iter()).map(|part| (&*part.field, &part.expression))
    }

    fn parts(&self) -> &[Part] {
        match self {
            Self::Constant(_) => &[],
            Self::Computed(computed) => &computed.parts,
        }
    }
}

/// Where a field of the reward stands in a campaign's document (RFC 6901).
pub(crate) fn pointer(field: &str) -> String {
    format!("/reward/{}", field.replace('~', "~0").replace('/', "~1"))
}

fn expression_of(value: &Json) -> Option<&str> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    fields.get(EXPRESSION)?.as_str()
}

impl Part {
    fn amount(&self, event: Node<'_>) -> Result<Amount, Undefined> {
        nearest(self.expression.evaluate(event)?, self.decimals)
    }
}

/// The amount that is nearest to a value, halves away from zero.
fn nearest(value: Decimal, decimals: Option<u32>) -> Result<Amount, Undefined> {
    let value = decimals.map_or(value, |decimals| {
        value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero)
    });
    Ok(Amount::nearest(value)?)
}

/// Writes the object, and compiles what is in it.
#[derive(Default)]
struct Writer {
    json: String,
    parts: Vec<Part>,
    errors: Vec<RewardError>,
    has_fields: bool,
    amount: Option<Amount>,
    minor_units: Option<u32>,
}

impl Writer {
    fn name(&mut self, name: &str) {
        self.json.push(if self.has_fields { ',' } else { '{' });
        self.has_fields = true;
        self.value(&name);
        self.json.push(':');
    }

    fn value(&mut self, value: &impl Serialize) {
        let json = serde_json::to_string(value);
        self.json += &json.expect("a reward is made of strings and JSON values");
    }

    fn constant(&mut self, name: &str, value: &impl Serialize) {
        self.name(name);
        self.value(value);
    }

    fn exact(&mut self, name: &str, amount: Amount) {
        if name == AMOUNT {
            self.amount = Some(amount);
        }
        self.constant(name, &amount);
    }

    fn expression(&mut self, field: &str, text: &str) {
        let decimals = self.minor_units.filter(|_| field == AMOUNT);
        match compile(text, decimals) {
            Ok(Compiled::Constant(amount)) => self.exact(field, amount),
            Ok(Compiled::Computed(expression)) => {
                self.name(field);
                self.parts.push(Part {
                    before: std::mem::take(&mut self.json).into(),
                    field: field.into(),
                    expression,
                    decimals,
                });
            }
            Err(error) => {
                let field = field.to_owned();
                let variant = None;
                self.errors.push(RewardError {
                    variant,
                    field,
                    error,
                });
            }
        }
    }

    fn end(mut self) -> Result<Worth, RewardErrors> {
        if !self.errors.is_empty() {
            return Err(RewardErrors(self.errors));
        }
        self.json.push('}');
        if self.parts.is_empty() {
            let json = RawValue::from_string(self.json).expect("an object was written");
            let amount = self.amount;
            return Ok(Worth::Constant(Arc::new(RewardText { json, amount })));
        }
        Ok(Worth::Computed(Box::new(Computed {
            parts: self.parts.into(),
            tail: self.json.into(),
            amount: self.amount,
        })))
    }
}

enum Compiled {
    Constant(Amount),
    Computed(Expression),
}

/// An expression that is the same for all events is worked out here, and must be an amount.
fn compile(text: &str, decimals: Option<u32>) -> Result<Compiled, ExpressionError> {
    let expression = Expression::parse(text)?;
    let Some(constant) = expression.constant() else {
        return Ok(Compiled::Computed(expression));
    };
    let amount = constant.and_then(|value| nearest(value, decimals));
    amount
        .map(Compiled::Constant)
        .map_err(|why| ExpressionError {
            at: 1,
            problem: ExpressionProblem::Never {
                why: why.to_string(),
            },
        })
}

#[cfg(test)]
mod tests {
    use schemas::{Document, Limits};
    use serde_json::json;

    use super::*;

    fn reward(json: &Json) -> Result<Worth, RewardErrors> {
        Worth::compile(&serde_json::from_value(json.clone()).unwrap())
    }

    fn of(worth: &Worth, event: &Json) -> Result<String, String> {
        let mut document = Document::new();
        let event = event.to_string();
        document.read(event.as_bytes(), Limits::default()).unwrap();
        let json = worth
            .of(document.root())
            .map_err(|error| error.to_string())?;
        assert!(worth.is_defined(document.root()));
        Ok(json.get().to_owned())
    }

    #[test]
    fn expressions_are_replaced_by_amounts_and_all_else_stays() {
        let worth = reward(&json!({
            "kind": "credit", "amount": "payload.amount * 0.05", "currency": "USD", "note": "payload.amount",
            "points": {"expression": "floor(payload.amount)"}, "step": {"expression": "1", "of": 2}, "x": 1.5,
        }))
        .unwrap();
        assert_eq!(
            of(&worth, &json!({"payload": {"amount": 75.10}})).unwrap(),
            r#"{"kind":"credit","amount":"3.76","currency":"USD","note":"payload.amount","points":"75","step":{"expression":"1","of":2},"x":1.5}"#
        );
        assert_eq!(
            of(&worth, &json!({"payload": {}})).unwrap_err(),
            "payload.amount is absent"
        );
        assert_eq!(
            of(&worth, &json!({"payload": {"amount": -1}})).unwrap_err(),
            "-0.05 is below zero; an amount may not be negative"
        );
    }

    #[test]
    fn an_amount_of_money_has_the_decimals_of_its_currency_and_other_numbers_have_all() {
        let of_currency = |currency: Option<&str>| {
            let worth = reward(&json!({
                "kind": "credit", "amount": "payload.amount * 0.05", "currency": currency,
                "exactly": {"expression": "payload.amount * 0.05"},
            }));
            let json = of(&worth.unwrap(), &json!({"payload": {"amount": "130.25"}})).unwrap();
            let json: Json = serde_json::from_str(&json).unwrap();
            assert_eq!(json["exactly"], "6.5125");
            json["amount"].as_str().unwrap().to_owned()
        };
        assert_eq!(of_currency(Some("USD")), "6.51");
        assert_eq!(of_currency(Some("JPY")), "7");
        assert_eq!(
            of_currency(Some("KWD")),
            "6.513",
            "halves go away from zero"
        );
        assert_eq!(of_currency(Some("CLF")), "6.5125");
        assert_eq!(of_currency(Some("miles")), "6.5125");
        assert_eq!(of_currency(None), "6.5125");
    }

    #[test]
    fn what_is_the_same_for_all_events_is_worked_out_once() {
        let worth = reward(&json!({"kind": "credit", "amount": "2 * 5.00"})).unwrap();
        assert!(matches!(worth, Worth::Constant(_)));
        assert_eq!(
            of(&worth, &json!({})).unwrap(),
            r#"{"kind":"credit","amount":"10"}"#
        );
        let error = reward(&json!({"kind": "credit", "amount": "1 - 2"})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "reward.amount: at character 1: this is the same for all events, and no amount: -1 is below zero; \
             an amount may not be negative"
        );
    }
}
