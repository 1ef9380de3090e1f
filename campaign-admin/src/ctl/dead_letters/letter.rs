//! What a dead letter says of itself.

use schemas::names::header;

use crate::ctl::kafka::Record;

/// A record of `dead-letters`.
pub(super) struct Letter {
    pub(super) record: Record,
    /// Why it is one, as a stable word; `unknown` without the header.
    pub(super) code: String,
    /// Why, in words.
    pub(super) message: String,
    /// Where it came from, if it says so.
    pub(super) origin: Option<Origin>,
    /// How often it was sent again.
    pub(super) redrives: u32,
    /// The size of its value, if that was too large to be kept.
    pub(super) value_bytes: Option<u64>,
}

/// The place of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.topic, self.partition, self.offset)
    }
}

impl From<Record> for Letter {
    fn from(record: Record) -> Self {
        let text = |name| record.header(name).map(str::to_owned);
        let number = |name| record.header(name)?.parse().ok();
        let origin = (|| {
            Some(Origin {
                topic: text(header::ERROR_TOPIC)?,
                partition: record.header(header::ERROR_PARTITION)?.parse().ok()?,
                offset: number(header::ERROR_OFFSET)?,
            })
        })();
        let count = record.header(header::REDRIVES);
        Self {
            code: text(header::ERROR_CODE).unwrap_or_else(|| "unknown".to_owned()),
            message: text(header::ERROR_MESSAGE).unwrap_or_default(),
            origin,
            redrives: count.and_then(|count| count.parse().ok()).unwrap_or(0),
            value_bytes: number(header::ERROR_VALUE_BYTES)
                .and_then(|bytes| u64::try_from(bytes).ok()),
            record,
        }
    }
}

impl Letter {
    /// The headers to send it again with: its own, without those of a dead letter, and the count.
    pub(super) fn headers(&self, change: &Change) -> Vec<(String, Option<Vec<u8>>)> {
        let is_ours =
            |name: &str| name.starts_with(header::ERROR_PREFIX) || name == header::REDRIVES;
        let is_changed = |name: &str| {
            change.without.iter().any(|without| without == name)
                || change.with.iter().any(|(with, _)| with == name)
        };
        let own = (self.record.headers.iter())
            .filter(|(name, _)| !is_ours(name) && !is_changed(name))
            .cloned();
        let with = (change.with.iter())
            .map(|(name, value)| (name.clone(), Some(value.clone().into_bytes())));
        let count = (self.redrives + 1).to_string().into_bytes();
        own.chain(with)
            .chain([(header::REDRIVES.to_owned(), Some(count))])
            .collect()
    }
}

/// What the user wants changed in the headers.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub(super) with: Vec<(String, String)>,
    pub(super) without: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::kafka::Content;

    fn letter(headers: &[(&str, &[u8])]) -> Letter {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Some(value.to_vec())));
        Letter::from(Record {
            topic: "dead-letters".to_owned(),
            partition: 1,
            offset: 2,
            timestamp: None,
            key: None,
            headers: headers.collect(),
            value: None,
            content: Content::Plain,
        })
    }

    #[test]
    fn its_own_headers_stay_and_those_of_a_dead_letter_go() {
        let letter = letter(&[
            ("traceparent", b"00-1"),
            (header::ERROR_TOPIC, b"events"),
            (header::ERROR_PARTITION, b"3"),
            (header::ERROR_OFFSET, b"99"),
            (header::ERROR_CODE, b"not_json"),
            ("binary", b"\xff\x00"),
            (header::REDRIVES, b"2"),
            ("old", b"x"),
            ("tenant", b"a"),
        ]);
        assert_eq!(letter.origin.as_ref().unwrap().to_string(), "events:3:99");
        assert_eq!((letter.redrives, &*letter.code), (2, "not_json"));
        let change = Change {
            with: vec![("tenant".to_owned(), "b".to_owned())],
            without: vec!["old".to_owned()],
        };
        let headers = letter.headers(&change);
        let expected: [(&str, &[u8]); 4] = [
            ("traceparent", b"00-1"),
            ("binary", b"\xff\x00"),
            ("tenant", b"b"),
            (header::REDRIVES, b"3"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), Some(value.to_vec())));
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_letter_without_its_headers_says_so() {
        let letter = letter(&[(header::ERROR_OFFSET, b"1")]);
        assert_eq!(
            (&*letter.code, letter.origin, letter.redrives),
            ("unknown", None, 0)
        );
    }
}
