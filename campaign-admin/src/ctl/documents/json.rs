//! JSON: one document, a list of them, or several one after the other.

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::{Lines, ReadError, yaml};

/// All documents of a text.
pub(super) fn read(text: &str) -> Result<Vec<(Json, Lines)>, ReadError> {
    // JSON is YAML but for rare escapes (surrogates); then there are no lines but the first.
    let mut lines: Vec<Lines> = match yaml::read(text) {
        Ok(documents) => documents.into_iter().map(|(_, lines)| lines).collect(),
        Err(_) => Vec::new(),
    };
    let mut documents = Vec::new();
    for raw in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let raw = raw.map_err(|error| of_json(&error))?.get();
        let mut value: Json = serde_json::from_str(raw).map_err(|error| of_json(&error))?;
        keep_amounts(raw, &mut value);
        documents.push((value, Lines::default()));
    }
    if lines.len() == documents.len() {
        for ((_, into), lines) in documents.iter_mut().zip(lines.drain(..)) {
            *into = lines;
        }
    }
    Ok(documents)
}

fn of_json(error: &serde_json::Error) -> ReadError {
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or(&message);
    ReadError::new(error.line().max(1), what)
}

#[derive(Deserialize)]
struct Amounts<'t> {
    #[serde(borrow, default)]
    reward: Option<Amount<'t>>,
    #[serde(borrow, default)]
    limits: Option<Limits<'t>>,
}

#[derive(Deserialize)]
struct Limits<'t> {
    #[serde(borrow, default)]
    total: Option<Amount<'t>>,
}

#[derive(Deserialize)]
struct Amount<'t> {
    #[serde(borrow, default)]
    amount: Option<&'t RawValue>,
}

/// Puts the text of amounts in the place of their doubles. What has another form stays; the check of
/// the campaign says what is wrong with it.
fn keep_amounts(raw: &str, value: &mut Json) {
    if let Json::Array(documents) = value {
        let Ok(each) = serde_json::from_str::<Vec<&RawValue>>(raw) else {
            return;
        };
        for (document, raw) in documents.iter_mut().zip(each) {
            keep_amounts(raw.get(), document);
        }
        return;
    }
    let Ok(amounts) = serde_json::from_str::<Amounts<'_>>(raw) else {
        return;
    };
    let texts = [
        ("/reward/amount", amounts.reward),
        (
            "/limits/total/amount",
            amounts.limits.and_then(|limits| limits.total),
        ),
    ];
    for (pointer, amount) in texts {
        if let Some(text) = amount.and_then(|amount| amount.amount)
            && let Some(value @ Json::Number(_)) = value.pointer_mut(pointer)
        {
            *value = text.get().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(text: &str) -> Vec<Json> {
        let documents = read(text).unwrap_or_else(|error| panic!("{error}"));
        documents.into_iter().map(|(value, _)| value).collect()
    }

    #[test]
    fn amounts_keep_their_text() {
        let text = r#"{"reward": {"kind": "credit", "amount": 10.00, "points": 1.50},
                       "limits": {"total": {"times": 5, "amount": 12345678901234567.89}}}"#;
        let expected = json!({
            "reward": {"kind": "credit", "amount": "10.00", "points": 1.5},
            "limits": {"total": {"times": 5, "amount": "12345678901234567.89"}},
        });
        assert_eq!(values(text), std::slice::from_ref(&expected));
        assert_eq!(values(&format!("[{text}]")), [json!([expected])]);
        assert_eq!(values(r#"{"reward": 5}"#), [json!({"reward": 5})]);
        assert_eq!(
            values(r#"{"reward": {"amount": "1.0"}}"#),
            [json!({"reward": {"amount": "1.0"}})]
        );
    }

    #[test]
    fn several_documents_may_follow_each_other() {
        assert_eq!(
            values("{\"id\": 1}\n{\"id\": 2}\n"),
            [json!({"id": 1}), json!({"id": 2})]
        );
        assert!(values(" \n").is_empty());
    }

    #[test]
    fn a_mistake_has_its_line() {
        let error = read("{\"id\": 1,\n \"name\" 2}").unwrap_err().to_string();
        assert_eq!(error, "line 2: expected `:`");
    }

    #[test]
    fn fields_have_their_lines_as_far_as_yaml_reads_the_file_too() {
        let (_, lines) = &read("{\"id\": \"a\",\n \"when\": {\n  \"x\": 5}}").unwrap()[0];
        assert_eq!(lines.of("/when/x"), 3);
        let (value, lines) = &read(r#"{"name": "\ud83d\ude00"}"#).unwrap()[0];
        assert_eq!((value, lines.of("/name")), (&json!({"name": "😀"}), 1));
    }
}
