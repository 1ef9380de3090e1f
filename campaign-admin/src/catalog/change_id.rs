//! What names a change.

use std::fmt;
use std::str::FromStr;

/// Names one change for ever. Stands in the header `change-id` of the two records that a change writes: by
/// it a record of `campaigns` is known as the work of a change, and a change whose commit
/// was not answered is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChangeId(u128);

impl ChangeId {
    /// A new one. Of 128 random bits no two are the same.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The change that wrote a record, by the value of its header.
    pub fn from_header(value: &[u8]) -> Option<Self> {
        std::str::from_utf8(value).ok()?.parse().ok()
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is no change id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a change id has 32 hexadecimal digits")]
pub struct NotAChangeId;

impl FromStr for ChangeId {
    type Err = NotAChangeId;

    fn from_str(text: &str) -> Result<Self, NotAChangeId> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAChangeId);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| NotAChangeId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let id = ChangeId::random();
        assert_eq!(ChangeId::from_header(id.to_string().as_bytes()), Some(id));
        for text in ["", "7", "+0000000000000000000000000000001", &"g".repeat(32)] {
            assert_eq!(text.parse::<ChangeId>(), Err(NotAChangeId), "{text}");
        }
    }
}
