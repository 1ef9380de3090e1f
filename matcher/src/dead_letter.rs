//! What a dead letter says beyond the record's own bytes.

use std::borrow::Cow;

use rdkafka::Message;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, OwnedHeaders};
use schemas::names::header;
use schemas::{DeadLetter, DeadLetterReason};

/// The record's own headers, and behind them where it came from and why it can never be processed. If
/// the record has a value and the letter has none, they say how large it is.
pub(crate) fn headers(
    message: &BorrowedMessage<'_>,
    reason: &DeadLetterReason,
    value: Option<&[u8]>,
) -> OwnedHeaders {
    let letter = DeadLetter {
        topic: Cow::Borrowed(message.topic()),
        partition: message.partition(),
        offset: message.offset(),
        code: Cow::Borrowed(reason.code()),
        message: reason.message().into(),
        app_version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
    };
    let own = message
        .headers()
        .map_or_else(OwnedHeaders::new, BorrowedHeaders::detach);
    let mut headers = own;
    for (key, value) in letter.headers() {
        headers = headers.insert(Header {
            key,
            value: Some(&*value),
        });
    }
    if value.is_none() && message.payload_len() > 0 {
        headers = headers.insert(Header {
            key: header::ERROR_VALUE_BYTES,
            value: Some(&message.payload_len().to_string()),
        });
    }
    headers
}
