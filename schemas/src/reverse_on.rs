//! `reverse_on`: which event takes a reward back, whose, and how much of it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Span, When};

/// What takes the rewards of a campaign back: a return.
///
/// In JSON the pattern is `event_type`, a list of alternatives, or a whole `when`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ReverseOnFields", into = "ReverseOnFields")]
pub struct ReverseOn {
    /// The pattern of a return.
    pub when: When,
    /// What a return and the event that it takes back have in common; all of it, and at least one.
    pub same: Vec<Tie>,
    /// The field of a return with how much comes back; without it every return is of the whole.
    pub amount: Option<FieldPath>,
    /// The field of the event with how much that was of.
    pub of: Option<FieldPath>,
    /// A return and its event are no further apart.
    pub within: Span,
    /// What becomes of what the match used of the customer's limits.
    pub limits: UsedLimits,
    /// What becomes of what it used of `limits.total`; the same as [`limits`](Self::limits) unless it is said.
    pub budget: UsedLimits,
}

/// A value that stands in the event and in its return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TieForm", into = "TieForm")]
pub struct Tie {
    /// Where it stands in the event.
    pub event: FieldPath,
    /// Where it stands in the return.
    pub returned: FieldPath,
}

/// A field of an event: names with dots between them, such as `payload.order_id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPath(String);

/// What becomes of what a match used of its limits when it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsedLimits {
    /// It is free again: its amount in proportion, the match itself when all of it is taken back.
    #[default]
    Restore,
    /// It stays used.
    Keep,
}

/// What is kept of one customer's matches that may be confirmed or taken back has at most so many bytes, about: a record of
/// the changelog must stay well below what a broker takes.
pub const MAX_OPEN_BYTES: usize = 256 * 1024;

/// So many returns of one customer that have found nothing yet are kept.
pub const MAX_EARLY: usize = 512;

/// A return and its event are no further apart, unless it is said.
const WITHIN: &str = "90d";

/// Most values that tie a return to its event.
const MAX_TIES: usize = 4;

impl FieldPath {
    /// The names with dots between them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FieldPath {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        if path.is_empty() || path.split('.').any(str::is_empty) {
            return Err(format!(
                "{path:?} is no field; write names with dots between them, as payload.order_id"
            ));
        }
        Ok(Self(path))
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.0
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a field, as payload.order_id, or {event: payload.id, return: payload.order_id} where the two events call it differently"
)]
enum TieForm {
    Same(FieldPath),
    #[serde(rename_all = "lowercase")]
    Pair {
        event: FieldPath,
        #[serde(rename = "return")]
        returned: FieldPath,
    },
}

impl From<TieForm> for Tie {
    fn from(form: TieForm) -> Self {
        match form {
            TieForm::Same(field) => Self {
                event: field.clone(),
                returned: field,
            },
            TieForm::Pair { event, returned } => Self { event, returned },
        }
    }
}

impl From<Tie> for TieForm {
    fn from(tie: Tie) -> Self {
        if tie.event == tie.returned {
            return Self::Same(tie.event);
        }
        Self::Pair {
            event: tie.event,
            returned: tie.returned,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReverseOnFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_type: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<When>,
    same: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<FieldPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<FieldPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limits: Option<UsedLimits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<UsedLimits>,
}

impl TryFrom<ReverseOnFields> for ReverseOn {
    type Error = String;

    fn try_from(fields: ReverseOnFields) -> Result<Self, String> {
        let when = match (fields.event_type, fields.when) {
            (Some(types), None) => When::from(json!({"event_type": types})),
            (None, Some(when)) => when,
            _ => {
                return Err(
                    "reverse_on says what a return is by event_type, a list of them, or by when, a whole pattern; by one \
                     of the two"
                        .to_owned(),
                );
            }
        };
        // Read here, for an untagged enum would hide what is wrong with one of them.
        let ties = match fields.same {
            serde_json::Value::Array(ties) => ties,
            tie => vec![tie],
        };
        if ties.is_empty() || ties.len() > MAX_TIES {
            return Err(format!("same is a field, or a list of 1 to {MAX_TIES}"));
        }
        let ties = ties.into_iter().map(serde_json::from_value);
        let same: Result<Vec<Tie>, _> = ties.collect();
        if fields.of.is_some() && fields.amount.is_none() {
            return Err(
                "of says what the amount of a return is a part of; say amount, too, or leave both out"
                    .to_owned(),
            );
        }
        let limits = fields.limits.unwrap_or_default();
        Ok(Self {
            when,
            same: same.map_err(|error| format!("same: {error}"))?,
            of: fields.of.or_else(|| fields.amount.clone()),
            amount: fields.amount,
            within: match fields.within {
                Some(within) => within,
                None => Span::parse(WITHIN).map_err(|error| error.to_string())?,
            },
            limits,
            budget: fields.budget.unwrap_or(limits),
        })
    }
}

impl From<ReverseOn> for ReverseOnFields {
    fn from(reverse_on: ReverseOn) -> Self {
        let json = reverse_on.when.json().clone();
        let fields = json.as_object().filter(|fields| fields.len() == 1);
        let event_type = fields.and_then(|fields| fields.get("event_type")).cloned();
        let when = event_type.is_none().then(|| When::from(json));
        let as_json = |tie: &Tie| serde_json::to_value(tie).unwrap_or_default();
        let same = match &*reverse_on.same {
            [tie] => as_json(tie),
            ties => ties.iter().map(as_json).collect(),
        };
        Self {
            event_type,
            when,
            same,
            of: reverse_on
                .of
                .filter(|of| reverse_on.amount.as_ref() != Some(of)),
            amount: reverse_on.amount,
            within: Some(reverse_on.within),
            limits: (reverse_on.limits == UsedLimits::Keep).then_some(UsedLimits::Keep),
            budget: (reverse_on.budget != reverse_on.limits).then_some(reverse_on.budget),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_is_told_by_its_type_or_a_pattern_and_tied_by_one_field_or_two() {
        let whole = json!({"event_type": ["refund"], "same": "payload.order_id"});
        let read: ReverseOn = serde_json::from_value(whole).unwrap();
        assert_eq!(read.within, Span::parse("90d").unwrap());
        assert_eq!((read.amount, read.of), (None, None));
        assert_eq!(read.limits, UsedLimits::Restore);
        assert_eq!(read.budget, UsedLimits::Restore);
        let keep = json!({"event_type": ["refund"], "same": "payload.order_id", "limits": "keep"});
        let read: ReverseOn = serde_json::from_value(keep).unwrap();
        assert_eq!(
            read.budget,
            UsedLimits::Keep,
            "as the limits, unless it is said"
        );
        for written in [
            json!({"event_type": ["refund"], "same": "payload.order_id", "amount": "payload.amount", "within": "30d"}),
            json!({
                "when": {"event_type": ["refund"], "payload": {"state": ["done"]}},
                "same": [{"event": "event_id", "return": "payload.of"}, "payload.line"],
                "amount": "payload.refunded", "of": "payload.amount", "within": "14d", "limits": "keep",
            }),
            json!({
                "event_type": ["refund"], "same": "payload.order_id", "amount": "payload.amount", "within": "30d",
                "limits": "keep", "budget": "restore",
            }),
            json!({
                "event_type": ["refund"], "same": "payload.order_id", "amount": "payload.amount", "within": "30d",
                "budget": "keep",
            }),
        ] {
            let read: ReverseOn = serde_json::from_value(written.clone()).unwrap();
            assert!(read.of.is_some());
            assert_eq!(serde_json::to_value(&read).unwrap(), written);
        }
    }

    #[test]
    fn what_is_no_return_says_what_to_write() {
        let cases = [
            (
                json!({"same": "a"}),
                "by event_type, a list of them, or by when",
            ),
            (
                json!({"event_type": ["a"], "when": {"a": [1]}, "same": "a"}),
                "by one of the two",
            ),
            (json!({"event_type": ["a"]}), "missing field `same`"),
            (json!({"event_type": ["a"], "same": []}), "a list of 1 to 4"),
            (
                json!({"event_type": ["a"], "same": "a..b"}),
                "a field, as payload.order_id",
            ),
            (
                json!({"event_type": ["a"], "same": {"event": "a"}}),
                "a field, as payload.order_id, or {event",
            ),
            (
                json!({"event_type": ["a"], "same": "a", "of": "payload.amount"}),
                "say amount, too",
            ),
            (
                json!({"event_type": ["a"], "same": "a", "within": "soon"}),
                "no span of time",
            ),
            (
                json!({"event_type": ["a"], "same": "a", "whithin": "1d"}),
                "unknown field `whithin`",
            ),
        ];
        for (case, message) in cases {
            let error = serde_json::from_value::<ReverseOn>(case.clone()).unwrap_err();
            assert!(error.to_string().contains(message), "{case}: {error}");
        }
    }
}
