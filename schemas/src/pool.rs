//! Pools of coupon codes: what fills one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::PoolName;

/// A record of `claims` fills a pool with at most so many codes.
pub const MAX_CODES: usize = 1_000;

/// A code is at most so long, in bytes.
pub const MAX_CODE_BYTES: usize = 128;

/// Codes for a pool. The value of a record of `claims` with the control `stock_pool`; its key is [`key`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stock<'a> {
    /// The pool.
    pub pool: Cow<'a, str>,
    /// The codes, in the order in which they are to be given. One that the pool has or had already is passed over.
    pub codes: Vec<Cow<'a, str>>,
}

/// Why codes cannot fill a pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StockError {
    /// Not the name of a pool.
    #[error(transparent)]
    Pool(#[from] crate::IdError),
    /// None, or too many.
    #[error("there are {0} codes; 1 to {MAX_CODES} are taken at a time")]
    Count(usize),
    /// One that nobody could type in.
    #[error(
        "code {at} is {found:?}; a code is a text of 1 to {MAX_CODE_BYTES} bytes without control characters, that neither begins \
         nor ends with a space"
    )]
    Code {
        /// Its place, from 1.
        at: usize,
        /// Its beginning.
        found: String,
    },
}

impl Stock<'_> {
    /// Checks the name and the codes.
    ///
    /// # Errors
    /// [`StockError`] says which is wrong.
    pub fn check(&self) -> Result<(), StockError> {
        PoolName::check(&self.pool)?;
        if self.codes.is_empty() || self.codes.len() > MAX_CODES {
            return Err(StockError::Count(self.codes.len()));
        }
        let wrong = self.codes.iter().position(|code| !is_code(code));
        match wrong {
            None => Ok(()),
            Some(place) => Err(StockError::Code {
                at: place + 1,
                found: self.codes[place].chars().take(40).collect(),
            }),
        }
    }
}

/// Whether that is a code: something that people can type in.
pub fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_CODE_BYTES
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

/// The key of all records of `claims` that are about a pool, so that they are in one partition. No campaign's id has a colon.
pub fn key(pool: &str) -> String {
    format!("pool:{pool}")
}

/// The pool that a key of `claims` names, if it names one.
pub fn of_key(key: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(key).ok()?.strip_prefix("pool:")?;
    PoolName::check(name).is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pool: &str, codes: &[&str]) -> Result<(), String> {
        let stock = Stock {
            pool: pool.into(),
            codes: codes.iter().map(|code| Cow::Borrowed(*code)).collect(),
        };
        stock.check().map_err(|error| error.to_string())
    }

    #[test]
    fn codes_are_what_can_be_typed_in() {
        assert_eq!(check("summer", &["A-1", "Ünïcode 5"]), Ok(()));
        let long = "x".repeat(MAX_CODE_BYTES + 1);
        for wrong in ["", " A", "A\n", &long] {
            let error = check("summer", &["A", wrong]).unwrap_err();
            assert!(error.starts_with("code 2 is "), "{error}");
        }
        assert_eq!(
            check("summer", &[]).unwrap_err(),
            "there are 0 codes; 1 to 1000 are taken at a time"
        );
        assert!(check("summer", &["A"; MAX_CODES]).is_ok());
        assert!(check("summer", &["A"; MAX_CODES + 1]).is_err());
        assert!(check("sum:mer", &["A"]).is_err());
    }

    #[test]
    fn a_pool_has_a_key_that_no_campaign_has() {
        assert_eq!(of_key(key("summer").as_bytes()), Some("summer"));
        assert_eq!(of_key(b"summer"), None);
        assert_eq!(of_key(b"pool:"), None);
        assert!(crate::CampaignId::check(&key("summer")).is_err());
    }
}
