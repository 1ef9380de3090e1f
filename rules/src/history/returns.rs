//! What takes the rewards of a campaign back, compiled.

use rust_decimal::Decimal;
use schemas::currency::minor_units;
use schemas::reverse_on::{ReverseOn, UsedLimits};
use schemas::{Campaign, Event, Span, Value};
use serde_json::json;

use super::Field;
use crate::meaning::decimal;
use crate::pattern::Pattern;

/// `reverse_on` of a campaign.
#[derive(Debug, Clone)]
pub struct Returns {
    identity: u64,
    pattern: Pattern,
    ties: Box<[(Field, Field)]>,
    amounts: Option<(Field, Field)>,
    within: Span,
    limits: UsedLimits,
    budget: UsedLimits,
    minor_units: Option<u32>,
}

/// How much a return takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All of it.
    Whole,
    /// So much of what the event was of; above zero.
    Part(Decimal),
}

impl Returns {
    pub(super) fn new(campaign: &Campaign, reverse_on: &ReverseOn, pattern: Pattern) -> Self {
        let field = |path: &schemas::reverse_on::FieldPath| Field::new(path.as_str());
        let ties = reverse_on.same.iter();
        let ties = ties.map(|tie| (field(&tie.event), field(&tie.returned)));
        let amounts = reverse_on.amount.as_ref().zip(reverse_on.of.as_ref());
        // What ties a match to its return stands in changelogs: what this is made of must never change.
        let name = json!(["returns", campaign.id, reverse_on.same]).to_string();
        Self {
            identity: schemas::hash::hash(0, name.as_bytes()),
            pattern,
            ties: ties.collect(),
            amounts: amounts.map(|(amount, of)| (field(amount), field(of))),
            within: reverse_on.within,
            limits: reverse_on.limits,
            budget: reverse_on.budget,
            minor_units: campaign.reward.currency.as_deref().and_then(minor_units),
        }
    }

    /// Names what ties returns to matches, for ever: two versions of a campaign that tie them by the same fields share it.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    pub(crate) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whether the event is a return.
    pub fn is_met_by(&self, event: &Event<'_>) -> bool {
        self.pattern.matches(event.root)
    }

    /// The hash of what an event has in common with its return; none if it has no value there, or several.
    pub fn tie_of_event(&self, event: &Event<'_>) -> Option<u64> {
        self.tie(event, |(field, _)| field)
    }

    /// The same of a return.
    pub fn tie_of_return(&self, event: &Event<'_>) -> Option<u64> {
        self.tie(event, |(_, field)| field)
    }

    fn tie<'f>(
        &'f self,
        event: &Event<'_>,
        side: impl Fn(&'f (Field, Field)) -> &'f Field,
    ) -> Option<u64> {
        let mut text = Vec::new();
        for tie in &self.ties {
            let mut found = None;
            let mut count = 0;
            side(tie).values(event.root, &mut |value| {
                count += 1;
                found = match value {
                    Value::String(text) => Some((1, text.to_owned())),
                    Value::Number(number) => Some((2, number.to_string())),
                    _ => None,
                };
            });
            let (kind, value) = found.filter(|_| count == 1)?;
            text.push(kind);
            text.extend_from_slice(&(value.len() as u64).to_le_bytes());
            text.extend_from_slice(value.as_bytes());
        }
        Some(schemas::hash::hash(3, &text))
    }

    /// How much the event was of: what a return is a part of. Zero if it does not say, and if all returns are of the whole.
    pub fn original(&self, event: &Event<'_>) -> Decimal {
        let field = self.amounts.as_ref().map(|(_, of)| of);
        let found = field.and_then(|field| match amount(field, event) {
            Amount::Of(amount) => Some(amount),
            Amount::Absent | Amount::Other => None,
        });
        found.unwrap_or_default()
    }

    /// How much a return takes back; none if that cannot be told.
    pub fn taken(&self, event: &Event<'_>) -> Option<Taken> {
        let Some((field, _)) = &self.amounts else {
            return Some(Taken::Whole);
        };
        match amount(field, event) {
            Amount::Absent => Some(Taken::Whole),
            Amount::Of(amount) if amount.is_zero() => None,
            Amount::Of(amount) => Some(Taken::Part(amount)),
            Amount::Other => None,
        }
    }

    /// A return and its event are no further apart.
    pub fn within(&self) -> Span {
        self.within
    }

    /// The decimals of the reward's currency; none if it has none.
    pub fn minor_units(&self) -> Option<u32> {
        self.minor_units
    }

    /// What becomes of what the match used of the campaign's budgets.
    pub fn budget(&self) -> UsedLimits {
        self.budget
    }

    /// What becomes of what the match used of the customer's limits.
    pub fn limits(&self) -> UsedLimits {
        self.limits
    }
}

enum Amount {
    /// Nothing is there, or null.
    Absent,
    /// Without its sign: refunds are often written as negative amounts.
    Of(Decimal),
    /// Several values, or one that is no number.
    Other,
}

fn amount(field: &Field, event: &Event<'_>) -> Amount {
    let mut found = Amount::Absent;
    let mut count = 0;
    field.values(event.root, &mut |value| {
        count += 1;
        found = match (decimal::of_value(&value), value) {
            (Some(amount), _) if count == 1 => Amount::Of(amount.abs()),
            (None, Value::Null) if count == 1 => Amount::Absent,
            _ => Amount::Other,
        };
    });
    found
}

#[cfg(test)]
mod tests {
    use schemas::{Document, Limits};
    use serde_json::{Value as Json, json};

    use super::*;

    fn returns(reverse_on: &Json) -> Returns {
        let campaign = json!({
            "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]},
            "reward": {"kind": "custom"}, "reverse_on": reverse_on,
        });
        let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
        let history = crate::History::compile(&campaign).unwrap().unwrap();
        history.returns().unwrap().clone()
    }

    fn with<T>(event: &Json, ask: impl FnOnce(&Event<'_>) -> T) -> T {
        let mut whole = json!({
            "event_id": "e-1", "customer_id": "c", "event_type": "refund",
            "occurred_at": "2026-11-24T00:00:00Z",
        });
        whole["payload"] = event.clone();
        let mut document = Document::new();
        let text = whole.to_string();
        document.read(text.as_bytes(), Limits::default()).unwrap();
        ask(&Event::of(&document).unwrap())
    }

    #[test]
    fn a_return_is_tied_by_all_of_its_values_each_of_which_is_one() {
        let both = returns(&json!({
            "event_type": ["refund"],
            "same": ["payload.line", {"event": "payload.id", "return": "payload.order"}],
        }));
        let of_event = |event: Json| with(&event, |event| both.tie_of_event(event));
        let of_return = |event: Json| with(&event, |event| both.tie_of_return(event));
        let tie = of_event(json!({"line": 1, "id": "a"}));
        assert!(tie.is_some());
        assert_eq!(tie, of_return(json!({"line": 1.0, "order": "a"})));
        for other in [
            json!({"line": 2, "order": "a"}),
            json!({"line": "1", "order": "a"}),
            json!({"line": 1, "order": "b"}),
            json!({"line": [1, 1], "order": "a"}),
            json!({"line": 1, "order": null}),
            json!({"line": 1}),
        ] {
            assert_ne!(tie, of_return(other.clone()), "{other}");
        }
        assert_eq!(of_return(json!({"line": 1, "order": [1, 2]})), None);
        assert_eq!(of_return(json!({"line": true, "order": 1})), None);
        // What is tied by the same fields goes on when the rest changes.
        let same = json!(["payload.line", {"event": "payload.id", "return": "payload.order"}]);
        let wider =
            returns(&json!({"event_type": ["refund", "lost"], "same": same, "within": "1d"}));
        assert_eq!(wider.identity(), both.identity());
        let other = returns(&json!({"event_type": ["refund"], "same": "payload.line"}));
        assert_ne!(other.identity(), both.identity());
    }

    #[test]
    fn how_much_comes_back_is_told_or_the_return_takes_nothing() {
        let parts = returns(&json!({
            "event_type": ["refund"], "same": "payload.order",
            "amount": "payload.lines.amount", "of": "payload.total",
        }));
        let taken = |lines: &Json| {
            let event = json!({"order": 1, "lines": lines, "total": "75.00"});
            with(&event, |event| {
                assert_eq!(parts.original(event), Decimal::from(75));
                parts.taken(event)
            })
        };
        let five = Taken::Part(Decimal::new(500, 2));
        assert_eq!(taken(&json!({"amount": "5.00"})), Some(five));
        assert_eq!(taken(&json!({"amount": -5})), Some(five));
        assert_eq!(taken(&json!({"amount": null})), Some(Taken::Whole));
        assert_eq!(taken(&json!({})), Some(Taken::Whole));
        for other in [
            json!({"amount": 0}),
            json!({"amount": "five"}),
            json!([{"amount": 5}, {"amount": 5}]),
        ] {
            assert_eq!(taken(&other), None, "{other}");
        }
        let whole = returns(&json!({"event_type": ["refund"], "same": "payload.order"}));
        let event = json!({"order": 1, "amount": 5});
        assert_eq!(with(&event, |event| whole.taken(event)), Some(Taken::Whole));
    }
}
