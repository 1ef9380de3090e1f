//! Control records: records without a value that ask for something, where others tell what happened.
//!
//! On `events` and `matches` the key names the customer, on `claims` the campaign or the pool. On `matches` the record says that it was
//! done, so that whoever keeps matches does it too; the header
//! [`CONTROL_SOURCE`](crate::names::header::CONTROL_SOURCE) names the record that asked.

use crate::{CustomerId, DeadLetterReason};

/// What a control record asks for, by its header [`CONTROL`](crate::names::header::CONTROL).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// To forget the customer: all that was before this record.
    Erase,
    /// To give back what a claim took that was refused, and let what is next win; on `events`. The header
    /// [`CONTROL_CLAIM`](crate::names::header::CONTROL_CLAIM) has the claim.
    Refused,
    /// To keep the match of a claim that was granted, until it is confirmed or can be taken back no more; on `events`. The
    /// header [`CONTROL_CLAIM`](crate::names::header::CONTROL_CLAIM) has the claim.
    Granted,
    /// To give the budgets of the campaign back what a return took back; on `claims`. The header
    /// [`CONTROL_GIVEN_BACK`](crate::names::header::CONTROL_GIVEN_BACK) says what.
    GiveBack,
    /// To reset the budgets of the campaign; on `claims`.
    ResetBudget,
    /// To take in what a worker has counted for the campaign's breaker; on `claims`. The header
    /// [`CONTROL_COUNT`](crate::names::header::CONTROL_COUNT) has the count.
    Count,
    /// To add codes to a pool; on `claims`. The value is a [`Stock`](crate::pool::Stock).
    StockPool,
    /// To forget a pool with all of its codes; on `claims`.
    DropPool,
}

impl Control {
    /// The value of the header.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Erase => "erase",
            Self::Refused => "refused",
            Self::Granted => "granted",
            Self::GiveBack => "give_back",
            Self::ResetBudget => "reset_budget",
            Self::Count => "count",
            Self::StockPool => "stock_pool",
            Self::DropPool => "drop_pool",
        }
    }

    /// The one of that word that is about a customer.
    fn of(word: &[u8]) -> Option<Self> {
        let all = [Self::Erase, Self::Refused, Self::Granted];
        all.into_iter().find(|it| it.word().as_bytes() == word)
    }

    /// Reads the header and the key of a record of `matches`, whose customer is forgotten.
    ///
    /// # Errors
    /// As [`Control::read`].
    pub fn read_erasure<'k>(
        word: &[u8],
        key: Option<&'k [u8]>,
    ) -> Result<&'k str, DeadLetterReason> {
        match Self::read(word, key)? {
            (Self::Erase, customer) => Ok(customer),
            _ => Err(unknown(word)),
        }
    }

    /// Reads the header and the key of a record of `events`, which is whom it is about.
    ///
    /// # Errors
    /// [`DeadLetterReason`]: a later release knows the word, or the key is no customer's id.
    pub fn read<'k>(
        word: &[u8],
        key: Option<&'k [u8]>,
    ) -> Result<(Self, &'k str), DeadLetterReason> {
        let asked = Self::of(word);
        let asked = asked.ok_or_else(|| unknown(word))?;
        let key = key.ok_or(DeadLetterReason::NoKey)?;
        let unread = DeadLetterReason::InvalidControl { what: "key" };
        let customer = std::str::from_utf8(key).ok();
        let customer = customer.filter(|text| CustomerId::check(text).is_ok());
        Ok((asked, customer.ok_or(unread)?))
    }
}

/// The reason for a word that is not known there.
pub fn unknown(word: &[u8]) -> DeadLetterReason {
    DeadLetterReason::UnknownControl {
        found: String::from_utf8_lossy(word).chars().take(64).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_record_says_what_is_asked_and_about_whom() {
        let read = |word: &str, key| Control::read(word.as_bytes(), key);
        assert_eq!(read("erase", Some(b"c-1")), Ok((Control::Erase, "c-1")));
        assert_eq!(read("refused", Some(b"c-1")), Ok((Control::Refused, "c-1")));
        assert_eq!(read("granted", Some(b"c-1")), Ok((Control::Granted, "c-1")));
        let code = |word, key| read(word, key).unwrap_err().code();
        assert_eq!(Control::read_erasure(b"erase", Some(b"c-1")), Ok("c-1"));
        let other = Control::read_erasure(b"refused", Some(b"c-1")).unwrap_err();
        assert_eq!(other.code(), "unknown_control");
        assert_eq!(code("erase", None), "no_key");
        assert_eq!(code("erase", Some(b"")), "invalid_control");
        assert_eq!(code("erase", Some(b"\xff")), "invalid_control");
        assert_eq!(code("forgive", Some(b"c-1")), "unknown_control");
        for of_claims in ["reset_budget", "give_back", "count"] {
            assert_eq!(code(of_claims, Some(b"c-1")), "unknown_control");
        }
    }
}
