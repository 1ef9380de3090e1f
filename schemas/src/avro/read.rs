//! Our own documents from what was decoded of them.
//!
//! Fields are found by their names, so that what an older or a newer release wrote is read: what is not
//! there has the default of the JSON form, and what this release does not know is kept or left alone.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::write::{ACTIONS, STATUSES};
use crate::{
    Amount, Campaign, CampaignChange, CampaignError, ChangeError, Document, Match, MatchError,
    MatchStatus, Node, Reversal, Source, Value,
};

/// The campaign of a decoded value.
pub(crate) fn campaign(document: &Document) -> Result<Campaign, CampaignError> {
    let json = campaign_json(document.root()).map_err(CampaignError::Form)?;
    Campaign::from_value(json)
}

/// The JSON form of a campaign: what Avro holds as text is taken out, nulls are left out.
fn campaign_json(root: Node<'_>) -> Result<Json, String> {
    let mut campaign = Map::new();
    let mut unknown = Map::new();
    for (name, node) in fields(root)? {
        let value = match (name, node.value()) {
            (_, Value::Null) => continue,
            ("unknown", Value::Object(texts)) => {
                for (name, text) in texts {
                    unknown.insert(name.to_owned(), parsed(name, text)?);
                }
                continue;
            }
            ("when", _) => parsed(name, node)?,
            ("status", Value::String(word)) if !STATUSES.contains(&word) => "draft".into(),
            ("reward", Value::Object(_)) => reward_json(node)?,
            _ => plain(node),
        };
        campaign.insert(name.to_owned(), value);
    }
    for (name, value) in unknown {
        campaign.entry(name).or_insert(value);
    }
    Ok(Json::Object(campaign))
}

/// The JSON form of a reward: its further fields beside the others.
fn reward_json(reward: Node<'_>) -> Result<Json, String> {
    let mut json = Map::new();
    let mut further = Map::new();
    for (name, node) in fields(reward)? {
        match (name, node.value()) {
            (_, Value::Null) => {}
            ("further", Value::Object(texts)) => {
                for (name, text) in texts {
                    further.insert(name.to_owned(), parsed(name, text)?);
                }
            }
            _ => {
                json.insert(name.to_owned(), plain(node));
            }
        }
    }
    for (name, value) in further {
        json.entry(name).or_insert(value);
    }
    Ok(Json::Object(json))
}

/// The match of a decoded value.
pub(crate) fn won(document: &Document) -> Result<Match<'static>, MatchError> {
    won_of(document.root()).map_err(MatchError::new)
}

fn won_of(root: Node<'_>) -> Result<Match<'static>, String> {
    let reward = root.get("reward").ok_or("reward is missing")?;
    let reward = serde_json::value::to_raw_value(&reward_json(reward)?);
    let reward: Box<RawValue> = reward.map_err(|error| error.to_string())?;
    Ok(Match {
        match_id: owned(root, "match_id")?,
        event_id: owned(root, "event_id")?,
        campaign_id: owned(root, "campaign_id")?,
        campaign_version: u64::try_from(whole(root, "campaign_version")?)
            .map_err(|_| "campaign_version is negative")?,
        campaigns_offset: whole(root, "campaigns_offset")?,
        customer_id: owned(root, "customer_id")?,
        event_type: owned(root, "event_type")?,
        occurred_at: moment(root, "occurred_at")?,
        matched_at: moment(root, "matched_at")?,
        reward: Cow::Owned(reward),
        source: source(root)?,
        variant: optional(root, "variant", owned)?,
        status: match present(root, "status") {
            Some(status) => status_of(text("status", status)?)?,
            None => MatchStatus::Granted,
        },
        confirm_at: optional(root, "confirm_at", moment)?,
        confirmed_at: optional(root, "confirmed_at", moment)?,
        reversed_total: optional(root, "reversed_total", amount)?,
        reversal: match present(root, "reversal") {
            Some(reversal) => Some(reversal_of(reversal)?),
            None => None,
        },
    })
}

fn status_of(word: &str) -> Result<MatchStatus, String> {
    MatchStatus::of(word)
        .ok_or_else(|| format!("a later release says that it is {word:?}; upgrade this one"))
}

fn reversal_of(reversal: Node<'_>) -> Result<Reversal<'static>, String> {
    Ok(Reversal {
        reversal_id: owned(reversal, "reversal_id")?,
        event_id: owned(reversal, "event_id")?,
        event_type: owned(reversal, "event_type")?,
        occurred_at: moment(reversal, "occurred_at")?,
        amount: optional(reversal, "amount", amount)?,
        whole: match reversal.get("whole").map(Node::value) {
            Some(Value::Bool(whole)) => whole,
            _ => return Err("whole is neither true nor false".to_owned()),
        },
        reversed_at: moment(reversal, "reversed_at")?,
        source: source(reversal)?,
    })
}

fn source(of: Node<'_>) -> Result<Source<'static>, String> {
    let source = of.get("source").ok_or("source is missing")?;
    Ok(Source {
        topic: owned(source, "topic")?,
        partition: i32::try_from(whole(source, "partition")?)
            .map_err(|_| "partition is out of range")?,
        offset: whole(source, "offset")?,
    })
}

/// A field that is there and is not null.
fn present<'a>(node: Node<'a>, name: &str) -> Option<Node<'a>> {
    let field = node.get(name)?;
    (!matches!(field.value(), Value::Null)).then_some(field)
}

fn optional<T>(
    node: Node<'_>,
    name: &str,
    read: impl Fn(Node<'_>, &str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    present(node, name).map(|_| read(node, name)).transpose()
}

fn amount(node: Node<'_>, name: &str) -> Result<Amount, String> {
    let field = node.get(name).ok_or_else(|| format!("{name} is missing"))?;
    Amount::parse(text(name, field)?).map_err(|error| error.to_string())
}

/// The change of a decoded value.
pub(crate) fn change(document: &Document) -> Result<CampaignChange, ChangeError> {
    change_of(document.root()).map_err(ChangeError::new)
}

fn change_of(root: Node<'_>) -> Result<CampaignChange, String> {
    let mut change = Map::new();
    for (name, node) in fields(root)? {
        let value = match (name, node.value()) {
            (_, Value::Null) => continue,
            ("before" | "after", _) => parsed(name, node)?,
            ("action", Value::String(word)) if !ACTIONS.contains(&word) => "updated".into(),
            _ => plain(node),
        };
        change.insert(name.to_owned(), value);
    }
    serde_json::from_value(Json::Object(change)).map_err(|error| error.to_string())
}

fn fields(node: Node<'_>) -> Result<crate::document::Fields<'_>, String> {
    match node.value() {
        Value::Object(fields) => Ok(fields),
        other => Err(format!("there is {} instead of a record", other.kind())),
    }
}

/// What the text of a field says as JSON.
fn parsed(name: &str, node: Node<'_>) -> Result<Json, String> {
    serde_json::from_str(text(name, node)?).map_err(|error| format!("{name} is no JSON: {error}"))
}

fn text<'a>(name: &str, node: Node<'a>) -> Result<&'a str, String> {
    match node.value() {
        Value::String(text) => Ok(text),
        other => Err(format!("{name} is {}; it must be a string", other.kind())),
    }
}

fn owned(node: Node<'_>, name: &str) -> Result<Cow<'static, str>, String> {
    let field = node.get(name).ok_or_else(|| format!("{name} is missing"))?;
    Ok(Cow::Owned(text(name, field)?.to_owned()))
}

fn moment(node: Node<'_>, name: &str) -> Result<Timestamp, String> {
    let field = node.get(name).ok_or_else(|| format!("{name} is missing"))?;
    text(name, field)?
        .parse()
        .map_err(|_| format!("{name} is no time"))
}

fn whole(node: Node<'_>, name: &str) -> Result<i64, String> {
    let number = match node.get(name).map(Node::value) {
        Some(Value::Number(number)) => number.as_i64(),
        _ => None,
    };
    number.ok_or_else(|| format!("{name} is no whole number"))
}

/// The JSON of a node, nulls of its fields left out.
fn plain(node: Node<'_>) -> Json {
    match node.value() {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => serde_json::Number::from_f64(number.as_f64()).into(),
        },
        Value::String(text) => text.into(),
        Value::Array(elements) => elements.map(plain).collect(),
        Value::Object(fields) => fields
            .filter(|(_, value)| !matches!(value.value(), Value::Null))
            .map(|(name, value)| (name.to_owned(), plain(value)))
            .collect(),
    }
}
