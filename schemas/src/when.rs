//! Patterns as they were written.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

/// An event pattern as it was written: any JSON. What it must be, the `rules` crate says.
///
/// A tree while it is read and compiled; then it can be [compacted](Self::compact), for a tree of some conditions takes
/// 2 KB and its text 150 bytes. Either way it is the same pattern.
#[derive(Clone)]
pub struct When(Form);

#[derive(Clone)]
enum Form {
    Tree(Json),
    Text(Box<str>),
}

impl When {
    /// The pattern; made of the text, if it was compacted.
    pub fn json(&self) -> Cow<'_, Json> {
        match &self.0 {
            Form::Tree(json) => Cow::Borrowed(json),
            Form::Text(text) => Cow::Owned(parse(text)),
        }
    }

    /// Keeps the text and not the tree.
    pub fn compact(&mut self) {
        if let Form::Tree(json) = &self.0 {
            self.0 = Form::Text(json.to_string().into());
        }
    }
}

fn parse(text: &str) -> Json {
    serde_json::from_str(text).expect("it is the text of a JSON value")
}

impl From<Json> for When {
    fn from(json: Json) -> Self {
        Self(Form::Tree(json))
    }
}

impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Tree(this), Form::Tree(that)) => this == that,
            _ => self.to_string() == other.to_string(),
        }
    }
}

/// Its JSON, without spaces; fields in the order of their names.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Tree(json) => json.fmt(f),
            Form::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Json::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_compacted_pattern_is_the_same() {
        let json = json!({"z": [1.10, "é\n"], "a": {"b": [{"numeric": [">", 1e300]}]}});
        let tree = When::from(json.clone());
        let mut text = tree.clone();
        text.compact();
        text.compact();
        assert_eq!(*text.json(), json);
        assert_eq!((&text, text.to_string()), (&tree, tree.to_string()));
        assert_eq!(
            serde_json::to_value(&text).unwrap(),
            serde_json::to_value(&tree).unwrap()
        );
        let mut other = When::from(json!({"z": [1.10, "é\n"]}));
        assert_ne!(other, text);
        other.compact();
        assert_ne!(other, text);
    }
}
