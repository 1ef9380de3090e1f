//! Control records: records without a value that ask for something, where others tell what happened.
//!
//! On `events` the key names the customer. On `matches` the same record says that it was done, so that whoever keeps
//! matches does it too; the header [`CONTROL_SOURCE`](crate::names::header::CONTROL_SOURCE) names the record that asked.

use crate::{CustomerId, DeadLetterReason};

/// What a control record asks for, by its header [`CONTROL`](crate::names::header::CONTROL).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// To forget the customer: all that was before this record.
    Erase,
}

impl Control {
    /// The value of the header.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Erase => "erase",
        }
    }

    /// Reads the header and the key, which is whom it is about.
    ///
    /// # Errors
    /// [`DeadLetterReason`]: a later release knows the word, or the key is no customer's id.
    pub fn read<'k>(
        word: &[u8],
        key: Option<&'k [u8]>,
    ) -> Result<(Self, &'k str), DeadLetterReason> {
        if word != Self::Erase.word().as_bytes() {
            return Err(DeadLetterReason::UnknownControl {
                found: String::from_utf8_lossy(word).chars().take(64).collect(),
            });
        }
        let key = key.ok_or(DeadLetterReason::NoKey)?;
        let unread = DeadLetterReason::InvalidControl { what: "key" };
        let customer = std::str::from_utf8(key).ok();
        let customer = customer.filter(|text| CustomerId::check(text).is_ok());
        let customer = customer.ok_or(unread)?;
        Ok((Self::Erase, customer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_record_says_what_is_asked_and_about_whom() {
        let read = |word: &str, key| Control::read(word.as_bytes(), key);
        assert_eq!(read("erase", Some(b"c-1")), Ok((Control::Erase, "c-1")));
        let code = |word, key| read(word, key).unwrap_err().code();
        assert_eq!(code("erase", None), "no_key");
        assert_eq!(code("erase", Some(b"")), "invalid_control");
        assert_eq!(code("erase", Some(b"\xff")), "invalid_control");
        assert_eq!(code("forgive", Some(b"c-1")), "unknown_control");
    }
}
