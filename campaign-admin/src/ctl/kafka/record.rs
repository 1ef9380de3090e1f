//! A record as it is shown.

use std::borrow::Cow;

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};
use schemas::avro::SchemaId;
use serde_json::{Map, Value as Json, json};

/// A record with what can be read of it as text.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// In milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) value: Option<Vec<u8>>,
    /// What the value says, as far as it was read.
    pub(crate) content: Content,
}

/// What a value says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Content {
    /// Itself: JSON, text or bytes.
    #[default]
    Plain,
    /// This, by the schema that it was written with.
    Read {
        schema: Option<SchemaId>,
        says: Json,
    },
    /// Nothing, for it cannot be read.
    Unread {
        schema: Option<SchemaId>,
        why: String,
        /// Whether it may be readable later.
        is_passing: bool,
    },
}

impl From<&BorrowedMessage<'_>> for Record {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let owned = |header: rdkafka::message::Header<'_, &[u8]>| {
                (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
            };
            headers.iter().map(owned).collect()
        });
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            headers,
            value: message.payload().map(<[u8]>::to_vec),
            content: Content::Plain,
        }
    }
}

impl Record {
    /// Where it is, as `PARTITION:OFFSET`.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.partition, self.offset)
    }

    /// The key, if it is text.
    pub(crate) fn key(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }

    /// The last header of that name.
    pub(crate) fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().rev().find(|(known, _)| known == name)?;
        found.1.as_deref()
    }

    /// The last header of that name, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.header_bytes(name)?).ok()
    }

    /// What the value says, if it is JSON or was read.
    pub(crate) fn json(&self) -> Option<Json> {
        match &self.content {
            Content::Plain => serde_json::from_slice(self.value.as_deref()?).ok(),
            Content::Read { says, .. } => Some(says.clone()),
            Content::Unread { .. } => None,
        }
    }

    /// The text of the JSON that the value is or says; what is no JSON as it is.
    pub(crate) fn json_text(&self) -> Cow<'_, [u8]> {
        match &self.content {
            Content::Read { says, .. } => Cow::Owned(says.to_string().into_bytes()),
            _ => Cow::Borrowed(self.value.as_deref().unwrap_or_default()),
        }
    }

    /// The schema that the value was written with.
    pub(crate) fn schema(&self) -> Option<SchemaId> {
        match &self.content {
            Content::Plain => None,
            Content::Read { schema, .. } | Content::Unread { schema, .. } => *schema,
        }
    }

    /// Why the value is not read.
    pub(crate) fn unread(&self) -> Option<&str> {
        match &self.content {
            Content::Unread { why, .. } => Some(why),
            Content::Plain | Content::Read { .. } => None,
        }
    }

    /// When it was written.
    pub(crate) fn written_at(&self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_millisecond(self.timestamp?).ok()
    }

    /// All of it. What is no text is shown as its bytes in hexadecimal digits.
    pub(crate) fn document(&self) -> Json {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            let value = bytes(value.as_deref());
            // A name may be there several times.
            match headers.get_mut(name) {
                None => {
                    headers.insert(name.clone(), value);
                }
                Some(Json::Array(values)) => values.push(value),
                Some(first) => *first = json!([first.take(), value]),
            }
        }
        let mut document = json!({
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "key": bytes(self.key.as_deref()),
            "headers": headers,
            "value": self.json().unwrap_or_else(|| bytes(self.value.as_deref())),
        });
        if let Some(at) = self.written_at() {
            document["timestamp"] = json!(at);
        }
        if let Some(schema) = self.schema() {
            document["schema"] = json!(schema.to_string());
        }
        if let Some(why) = self.unread() {
            document["unread"] = json!(why);
        }
        document
    }
}

/// Bytes as text, if they are, else as `{"hex": …}`.
fn bytes(bytes: Option<&[u8]>) -> Json {
    let Some(bytes) = bytes else {
        return Json::Null;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"hex": hex(bytes)}),
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_is_shown_as_text_and_the_rest_as_its_bytes() {
        let header = |name: &str, value: &[u8]| (name.to_owned(), Some(value.to_vec()));
        let record = Record {
            topic: "events".to_owned(),
            partition: 3,
            offset: 17,
            timestamp: Some(1_795_000_000_000),
            key: Some(b"c-1".to_vec()),
            headers: vec![
                header("a", b"1"),
                header("b", b"\xff"),
                header("a", b"2"),
                ("c".to_owned(), None),
            ],
            value: Some(b"{\"x\": 1}".to_vec()),
            content: Content::Plain,
        };
        assert_eq!(record.place(), "3:17");
        assert_eq!(record.header("a"), Some("2"));
        assert_eq!(record.header("b"), None);
        assert_eq!(
            record.document(),
            json!({
                "topic": "events", "partition": 3, "offset": 17, "timestamp": "2026-11-18T11:06:40Z",
                "key": "c-1", "headers": {"a": ["1", "2"], "b": {"hex": "ff"}, "c": null},
                "value": {"x": 1},
            })
        );
        let binary = Record {
            value: Some(vec![0, 0, 0, 0, 7, 0xff]),
            timestamp: None,
            ..record
        };
        assert_eq!(binary.document()["value"], json!({"hex": "0000000007ff"}));
        assert!(binary.document().get("timestamp").is_none());
        let schema = Some(SchemaId::Number(7));
        let read = Record {
            content: Content::Read {
                schema,
                says: json!({"x": 1}),
            },
            ..binary.clone()
        };
        let document = read.document();
        assert_eq!(document["value"], json!({"x": 1}));
        assert_eq!(document["schema"], "id 7");
        let unread = Record {
            content: Content::Unread {
                schema,
                why: "nobody knows".to_owned(),
                is_passing: false,
            },
            ..binary
        };
        let document = unread.document();
        assert_eq!(document["value"], json!({"hex": "0000000007ff"}));
        assert_eq!(document["unread"], "nobody knows");
    }
}
