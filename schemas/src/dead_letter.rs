//! Dead letters: events that can never be processed, kept byte for byte with the reason.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::avro::AvroError;
use crate::names::header;
use crate::{DocumentError, EventError, IdError, MatchError};

/// Why an event can never be processed. Only permanent reasons: a transient failure never makes a
/// dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// A record without a value. `events` is not compacted, so a tombstone deletes nothing there.
    #[error("the record has no value; events are never deleted by a null value")]
    NoValue,
    /// A control record of a later release.
    #[error(
        "the record asks for {found:?}, which this release does not know; upgrade it and send the record again"
    )]
    UnknownControl {
        /// The word, its first 64 characters.
        found: String,
    },
    /// A control record that does not say whom it is about, or where it was asked for.
    #[error("the {what} of a record that asks for something cannot be read")]
    InvalidControl {
        /// Which part of it.
        what: &'static str,
    },
    /// The value is no document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The value is Avro, or begins as if it were, and cannot be read.
    #[error(transparent)]
    Avro(#[from] AvroError),
    /// The document is no event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A record without a key.
    #[error("the record has no key; its key must be its customer_id")]
    NoKey,
    /// The key is not the customer: the event may be in another partition than the customer's others.
    #[error(
        "the record's key is {key:?} but customer_id is {customer_id:?}; they must be the same"
    )]
    KeyMismatch {
        /// The key, its first 64 characters.
        key: String,
        /// The event's customer.
        customer_id: String,
    },
    /// Older than what the system remembers: nobody could say whether it was there before.
    #[error(
        "occurred_at is {occurred_at}, before {oldest}, the oldest that is taken: the time of the partition \
         less the dedup window"
    )]
    TooLate {
        /// When the event was done.
        occurred_at: Timestamp,
        /// The oldest time that was taken.
        oldest: Timestamp,
    },
    /// Too far ahead of its record: a clock is wrong.
    #[error(
        "occurred_at is {occurred_at}, after {latest}, the latest that is taken: too far ahead of its record"
    )]
    TooEarly {
        /// When the event was done.
        occurred_at: Timestamp,
        /// The latest time that was taken.
        latest: Timestamp,
    },
    /// A record of `matches` that no matcher wrote.
    #[error(transparent)]
    NotAMatch(#[from] MatchError),
    /// A record of `claims` that no matcher wrote.
    #[error("the record is no claim: {0}; only the matcher writes claims")]
    NotAClaim(String),
}

impl DeadLetterReason {
    /// A stable word for machines: the header `__campaign.errors.code` and the metric label `reason`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoValue => "no_value",
            Self::UnknownControl { .. } => "unknown_control",
            Self::InvalidControl { .. } => "invalid_control",
            Self::Document(error) => match error {
                DocumentError::Empty => "empty",
                DocumentError::TooLarge { .. } => "too_large",
                DocumentError::NotUtf8 { .. } => "not_utf8",
                DocumentError::NotJson(_) => "not_json",
                DocumentError::TooDeep { .. } => "too_deep",
                DocumentError::NotAnObject { .. } => "not_an_object",
            },
            Self::Avro(error) => error.code(),
            Self::Event(error) => match error {
                EventError::Missing { .. } => "missing_field",
                EventError::WrongType { .. } => "wrong_type",
                EventError::Id(id) => match id {
                    IdError::Empty { .. } => "empty_id",
                    IdError::TooLong { .. } => "id_too_long",
                    IdError::Character { .. } | IdError::NotAMatchId(_) => "invalid_id",
                },
                EventError::EventType { .. } => "invalid_event_type",
                EventError::OccurredAt { .. } => "invalid_time",
            },
            Self::NoKey => "no_key",
            Self::KeyMismatch { .. } => "key_mismatch",
            Self::TooLate { .. } => "too_late",
            Self::TooEarly { .. } => "too_early",
            Self::NotAMatch(_) => "not_a_match",
            Self::NotAClaim(_) => "not_a_claim",
        }
    }

    /// The reason in words, for the header `__campaign.errors.message`: one line without control
    /// characters, at most [`MAX_MESSAGE_BYTES`] long, for it may quote what a stranger sent.
    pub fn message(&self) -> String {
        let mut message = String::new();
        for c in self.to_string().chars() {
            if message.len() + c.len_utf8() > MAX_MESSAGE_BYTES {
                break;
            }
            message.push(if c.is_control() { ' ' } else { c });
        }
        message
    }
}

/// Longest `__campaign.errors.message`, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 512;

/// Where and why an event failed: what a dead letter says beyond the event's own bytes.
///
/// The record keeps the event's key, value, headers and timestamp as they were; these facts are added
/// as headers, UTF-8 text each, named as Kafka Connect names its own (KIP-298).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter<'a> {
    /// Topic that the event came from.
    pub topic: Cow<'a, str>,
    /// Partition that the event came from.
    pub partition: i32,
    /// Offset of the event.
    pub offset: i64,
    /// Why, as a stable word ([`DeadLetterReason::code`]).
    pub code: Cow<'a, str>,
    /// Why, in words ([`DeadLetterReason::message`]).
    pub message: Cow<'a, str>,
    /// Version of the program that refused the event.
    pub app_version: Cow<'a, str>,
}

impl<'a> DeadLetter<'a> {
    /// The headers to add to the event's own.
    pub fn headers(&self) -> [(&'static str, Cow<'_, str>); 6] {
        [
            (header::ERROR_TOPIC, Cow::Borrowed(&*self.topic)),
            (header::ERROR_PARTITION, self.partition.to_string().into()),
            (header::ERROR_OFFSET, self.offset.to_string().into()),
            (header::ERROR_CODE, Cow::Borrowed(&*self.code)),
            (header::ERROR_MESSAGE, Cow::Borrowed(&*self.message)),
            (header::ERROR_APP_VERSION, Cow::Borrowed(&*self.app_version)),
        ]
    }

    /// Reads the facts back from a record's headers; `None` when one is missing or not text. Of a
    /// repeated header the last counts: an event that died twice has its own old ones before ours.
    pub fn from_headers(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Option<Self> {
        let mut found: [Option<&'a str>; 6] = [None; 6];
        for (name, value) in headers {
            if let Some(at) = HEADERS.iter().position(|header| *header == name) {
                found[at] = Some(std::str::from_utf8(value).ok()?);
            }
        }
        let [topic, partition, offset, code, message, app_version] = found;
        Some(Self {
            topic: topic?.into(),
            partition: partition?.parse().ok()?,
            offset: offset?.parse().ok()?,
            code: code?.into(),
            message: message?.into(),
            app_version: app_version?.into(),
        })
    }
}

const HEADERS: [&str; 6] = [
    header::ERROR_TOPIC,
    header::ERROR_PARTITION,
    header::ERROR_OFFSET,
    header::ERROR_CODE,
    header::ERROR_MESSAGE,
    header::ERROR_APP_VERSION,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_short_and_on_one_line() {
        let reason = DeadLetterReason::KeyMismatch {
            key: "a\nb".into(),
            customer_id: "\u{e9}".repeat(1000),
        };
        let message = reason.message();
        assert!(message.len() <= MAX_MESSAGE_BYTES);
        assert!(!message.contains('\n'));
        let reason = DeadLetterReason::Document(DocumentError::NotJson("a\u{7}\nb".into()));
        assert_eq!(reason.message(), "the value is not JSON: a  b");
    }

    #[test]
    fn the_headers_say_where_and_why_and_are_read_back() {
        let reason = DeadLetterReason::NoValue;
        let letter = DeadLetter {
            topic: "events".into(),
            partition: 3,
            offset: 99,
            code: reason.code().into(),
            message: reason.message().into(),
            app_version: "1.2.3".into(),
        };
        let headers = letter.headers();
        insta::assert_snapshot!(
            headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect::<Vec<_>>()
                .join("\n")
        );
        let older = [(header::ERROR_OFFSET, "1".as_bytes()), ("other", b"\xff")];
        let record = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        let read = DeadLetter::from_headers(older.into_iter().chain(record));
        assert_eq!(read, Some(letter.clone()));
        assert_eq!(DeadLetter::from_headers(older.into_iter()), None);
    }
}
