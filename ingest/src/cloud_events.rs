//! CloudEvents 1.0 as events of ours.
//!
//! | ours | theirs |
//! |---|---|
//! | `event_id` | `source`, a vertical bar, `id`: only the two together name an event |
//! | `customer_id` | the extension `customerid`, or else `partitionkey`, or else `subject` |
//! | `event_type` | `type` |
//! | `occurred_at` | `time` |
//! | `payload` | `data`, an object |
//! | `cloud_event` | all attributes, for rules that ask for them |

use std::borrow::Cow;

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use crate::refusal::Refusal;

/// Attributes that may name the customer, best first.
const CUSTOMER: [&str; 3] = ["customerid", "partitionkey", "subject"];

/// A CloudEvent as an event of ours. Nothing is known of the event yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// The event.
    pub(crate) value: Vec<u8>,
    /// The attribute that names the customer.
    pub(crate) customer: &'static str,
    /// The trace that the event belongs to, if it says so (the extension for distributed tracing).
    pub(crate) traceparent: Option<String>,
}

/// An attribute: its name, and its value as a JSON text.
type Attribute<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The event of the structured form.
pub(crate) fn structured(bytes: &[u8]) -> Result<Mapped, Refusal> {
    let members = members(bytes)?;
    let (data, attributes): (Vec<_>, Vec<_>) = members
        .into_iter()
        .filter(|(_, value)| value != "null")
        .partition(|(name, _)| name == "data" || name == "data_base64");
    if data.iter().any(|(name, _)| name == "data_base64") {
        return Err(refuse("data_base64", "send a JSON object in data"));
    }
    let data = data.first().map(|(_, value)| value.as_bytes());
    map(&attributes, data)
}

/// The event of the binary form: attributes are headers, percent-encoded; the body is the data.
pub(crate) fn binary(headers: &HeaderMap, data: &[u8]) -> Result<Mapped, Refusal> {
    let mut attributes: Vec<Attribute<'_>> = Vec::new();
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix("ce-") else {
            continue;
        };
        let text = value.to_str().ok().map(percent_decode_str);
        let text = text.and_then(|text| text.decode_utf8().ok());
        let text = text.ok_or_else(|| refuse(name.to_owned(), "is not percent-encoded UTF-8"))?;
        if attributes.iter().any(|(other, _)| other == name) {
            return Err(refuse(name.to_owned(), "is there more than once"));
        }
        attributes.push((name.into(), json(&text).into()));
    }
    if let Some(value) = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok())
    {
        attributes.push(("datacontenttype".into(), json(value).into()));
    }
    let data = Some(data.trim_ascii()).filter(|data| !data.is_empty());
    map(&attributes, data)
}

fn map(attributes: &[Attribute<'_>], data: Option<&[u8]>) -> Result<Mapped, Refusal> {
    let find = |name: &str| attributes.iter().find(|(found, _)| found == name);
    let required = |name: &'static str| {
        let (_, value) = find(name).ok_or_else(|| refuse(name, "is missing"))?;
        let text = text(value).ok_or_else(|| refuse(name, "must be a string"))?;
        if text.is_empty() {
            return Err(refuse(name, "is empty"));
        }
        Ok(text)
    };
    let version = required("specversion")?;
    if version != "1.0" {
        return Err(refuse("specversion", format!("is {version:?}; send 1.0")));
    }
    let (source, id) = (required("source")?, required("id")?);
    if source.contains('|') {
        return Err(refuse("source", "has a vertical bar, which no URI has"));
    }
    let event_type = required("type")?;
    let time = required("time")?;
    let customer = CUSTOMER.into_iter().find(|name| find(name).is_some());
    let customer = customer.ok_or_else(|| {
        refuse(
            "subject",
            "is missing; the customer is named by customerid, partitionkey or subject",
        )
    })?;
    let customer_id = required(customer)?;
    if let Some((_, content_type)) = find("datacontenttype") {
        let content_type = text(content_type).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence != "application/json" && !essence.ends_with("+json") {
            return Err(refuse("datacontenttype", "the data must be JSON"));
        }
    }
    let traceparent = find("traceparent").and_then(|(_, value)| text(value));
    let traceparent = traceparent.map(Cow::into_owned);

    let mut value = Vec::with_capacity(512 + data.map_or(0, <[u8]>::len));
    value.extend_from_slice(b"{\"event_id\":");
    value.extend_from_slice(json(&format!("{source}|{id}")).as_bytes());
    for (name, text) in [
        ("customer_id", &customer_id),
        ("event_type", &event_type),
        ("occurred_at", &time),
    ] {
        value.extend_from_slice(format!(",\"{name}\":{}", json(text)).as_bytes());
    }
    if let Some(data) = data {
        value.extend_from_slice(b",\"payload\":");
        value.extend_from_slice(data);
    }
    value.extend_from_slice(b",\"cloud_event\":{");
    for (at, (name, text)) in attributes.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        value.extend_from_slice(format!("{comma}{}:{text}", json(name)).as_bytes());
    }
    value.extend_from_slice(b"}}");
    Ok(Mapped {
        value,
        customer,
        traceparent,
    })
}

/// The members of an object, their values as they are; of a repeated one the last.
fn members(bytes: &[u8]) -> Result<Vec<Attribute<'_>>, Refusal> {
    let members: std::collections::BTreeMap<String, &RawValue> = serde_json::from_slice(bytes)
        .map_err(|error| {
            let error = schemas::DocumentError::NotJson(error.to_string());
            Refusal::Contract(error.into())
        })?;
    let members = members.into_iter();
    Ok(members
        .map(|(name, value)| (name.into(), value.get().into()))
        .collect())
}

fn text(json: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<String>(json).ok().map(Cow::Owned)
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a text can be written")
}

fn refuse(attribute: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Refusal {
    Refusal::CloudEvent {
        attribute: attribute.into(),
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event() -> Value {
        json!({
            "specversion": "1.0", "id": "1", "source": "/shops/1", "type": "purchase",
            "time": "2026-11-24T09:30:00Z", "subject": "c-1", "shopkind": "outlet",
            "datacontenttype": "application/json", "data": {"amount": 75}, "dataschema": null,
        })
    }

    fn mapped(event: &Value) -> Result<(Value, Mapped), String> {
        let mapped = structured(event.to_string().as_bytes()).map_err(|error| error.detail())?;
        Ok((serde_json::from_slice(&mapped.value).unwrap(), mapped))
    }

    #[test]
    fn a_structured_event_becomes_one_of_ours() {
        let (value, mapped) = mapped(&event()).unwrap();
        assert_eq!(
            value,
            json!({
                "event_id": "/shops/1|1", "customer_id": "c-1", "event_type": "purchase",
                "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75},
                "cloud_event": {
                    "specversion": "1.0", "id": "1", "source": "/shops/1", "type": "purchase",
                    "time": "2026-11-24T09:30:00Z", "subject": "c-1", "shopkind": "outlet",
                    "datacontenttype": "application/json",
                },
            })
        );
        assert_eq!((mapped.customer, mapped.traceparent), ("subject", None));
    }

    #[test]
    fn the_binary_form_means_the_same() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/shops/1"),
            ("ce-type", "purchase"),
            ("ce-time", "2026-11-24T09:30:00Z"),
            ("ce-subject", "c%20%C3%A9"),
            ("ce-partitionkey", "c-1"),
            ("ce-traceparent", "00-a-b-01"),
            ("content-type", "application/json; charset=utf-8"),
            ("x-other", "x"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let mapped = binary(&headers, b" {\"amount\": 75} ").unwrap();
        let value: Value = serde_json::from_slice(&mapped.value).unwrap();
        assert_eq!(value["event_id"], "/shops/1|1");
        assert_eq!(value["customer_id"], "c-1");
        assert_eq!(value["payload"], json!({"amount": 75}));
        assert_eq!(value["cloud_event"]["subject"], "c é");
        assert_eq!(mapped.customer, "partitionkey");
        assert_eq!(mapped.traceparent.as_deref(), Some("00-a-b-01"));
        headers.append("ce-id", "2".parse().unwrap());
        let error = binary(&headers, b"").unwrap_err();
        assert_eq!(error.detail(), "id: is there more than once");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let cases = [
            (
                "specversion",
                json!("0.3"),
                "specversion: is \"0.3\"; send 1.0",
            ),
            ("specversion", json!(1.0), "specversion: must be a string"),
            ("id", json!(""), "id: is empty"),
            ("source", json!(null), "source: is missing"),
            ("source", json!("a|b"), "source: has a vertical bar"),
            ("time", json!(null), "time: is missing"),
            (
                "subject",
                json!(null),
                "subject: is missing; the customer is",
            ),
            (
                "datacontenttype",
                json!("text/xml"),
                "datacontenttype: the data must",
            ),
            (
                "data_base64",
                json!("AA=="),
                "data_base64: send a JSON object",
            ),
        ];
        for (name, value, expected) in cases {
            let mut event = event();
            event[name] = value;
            let error = mapped(&event).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert_eq!(structured(b"[]").unwrap_err().code(), "not_json");
    }
}
