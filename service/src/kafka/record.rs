//! What stands in a record: its headers, and its value as readers of documents want it.

use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};
use schemas::Encoded;
use schemas::names::header::VALUE_SCHEMA_ID;

/// The value of a header. Of a repeated one the last counts.
pub fn header<'m>(message: &'m BorrowedMessage<'_>, name: &str) -> Option<&'m [u8]> {
    let headers = message.headers()?;
    let found = headers.iter().filter(|header| header.key == name).last()?;
    found.value
}

/// The value with what the headers say of its schema. A record without a value has an empty one.
pub fn encoded<'m>(message: &'m BorrowedMessage<'_>) -> Encoded<'m> {
    Encoded {
        value: message.payload().unwrap_or_default(),
        schema_header: header(message, VALUE_SCHEMA_ID),
    }
}
