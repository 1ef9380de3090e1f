//! Records of `matches` that say that a customer is forgotten.

use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use schemas::names::header;
use schemas::{Control, DeadLetterReason, Source};
use service::kafka::record;
use store::Erasure;

/// What the record asks for; none if it is a match.
pub(super) fn read(message: &BorrowedMessage<'_>) -> Option<Result<Erasure, DeadLetterReason>> {
    if message.payload().is_some() {
        return None;
    }
    let word = record::header(message, header::CONTROL)?;
    let source = record::header(message, header::CONTROL_SOURCE);
    let at = message.timestamp().to_millis();
    Some(erasure(word, message.key(), source, at))
}

fn erasure(
    word: &[u8],
    key: Option<&[u8]>,
    source: Option<&[u8]>,
    at: Option<i64>,
) -> Result<Erasure, DeadLetterReason> {
    let customer = Control::read_erasure(word, key)?;
    let source = source.and_then(|source| serde_json::from_slice::<Source<'static>>(source).ok());
    let source = source.ok_or(DeadLetterReason::InvalidControl { what: "source" })?;
    Ok(Erasure {
        customer_id: customer.to_owned(),
        source,
        // The matcher gives its records the time; a broker that is set to its own is as good.
        at: at.unwrap_or_else(|| Timestamp::now().as_millisecond()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_erased_and_since_when_is_read_or_the_record_is_a_dead_letter() {
        let source = br#"{"topic":"events","partition":3,"offset":17}"#;
        let key: Option<&[u8]> = Some(b"c-1");
        let read = erasure(b"erase", key, Some(source), Some(5)).unwrap();
        assert_eq!((read.customer_id.as_str(), read.at), ("c-1", 5));
        assert_eq!((read.source.partition, read.source.offset), (3, 17));
        let code = |word: &[u8], key, source| {
            let refused = erasure(word, key, source, Some(5)).unwrap_err();
            refused.code()
        };
        assert_eq!(code(b"erase", key, None), "invalid_control");
        assert_eq!(code(b"erase", key, Some(b"3:17")), "invalid_control");
        assert_eq!(code(b"erase", None, Some(source)), "no_key");
        assert_eq!(code(b"pardon", key, Some(source)), "unknown_control");
    }
}
