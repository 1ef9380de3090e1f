//! The identifiers: checked once, at the border, and then trusted.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Longest identifier accepted, in bytes. It bounds keys, database cells and log lines.
pub const MAX_ID_BYTES: usize = 256;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text has no characters.
    #[error("{kind} is empty; give at least one character")]
    Empty {
        /// Which identifier.
        kind: &'static str,
    },
    /// The text has more than [`MAX_ID_BYTES`] bytes.
    #[error("{kind} has {bytes} bytes; at most {MAX_ID_BYTES} are allowed")]
    TooLong {
        /// Which identifier.
        kind: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A character that the identifier does not allow.
    #[error("{kind} has {found:?} at byte {at}; {allowed}")]
    Character {
        /// Which identifier.
        kind: &'static str,
        /// The character.
        found: char,
        /// Its place, in bytes.
        at: usize,
        /// What is allowed there.
        allowed: &'static str,
    },
    /// A match id without the colon between its two parts.
    #[error("match_id {0:?} has no ':' between event_id and campaign_id")]
    NotAMatchId(String),
}

fn check(
    kind: &'static str,
    text: &str,
    is_plain: impl Fn(u8) -> bool,
    is_allowed: fn(char) -> bool,
    allowed: &'static str,
) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { kind });
    }
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong {
            kind,
            bytes: text.len(),
        });
    }
    // Nearly all are plain ASCII. Without a way out at the first that is not, many bytes are told at once.
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return Ok(());
    }
    match text.char_indices().find(|&(_, c)| !is_allowed(c)) {
        None => Ok(()),
        Some((at, found)) => Err(IdError::Character {
            kind,
            found,
            at,
            allowed,
        }),
    }
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

macro_rules! id {
    // A name that people give, and that stands in paths and keys.
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        id!(
            $(#[$doc])*
            $name,
            $kind,
            |byte| byte.is_ascii_alphanumeric(),
            |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'),
            "letters, digits, '-', '_' and '.' are allowed"
        );
    };
    ($(#[$doc:meta])* $name:ident, $kind:literal, $is_plain:expr, $is_allowed:expr, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks a text without keeping it.
            ///
            /// # Errors
            /// [`IdError`] names what is wrong with it and where.
            pub fn check(text: &str) -> Result<(), IdError> {
                check($kind, text, $is_plain, $is_allowed, $allowed)
            }

            /// The identifier for a text.
            ///
            /// # Errors
            /// [`IdError`] names what is wrong with it and where.
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, IdError> {
                let text = text.into();
                Self::check(&text)?;
                Ok(Self(text))
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Box::<str>::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Names one event for ever; given by upstream, and the key of idempotence everywhere.
    EventId,
    "event_id",
    is_printable,
    |c| !c.is_control(),
    "control characters are not allowed"
);
id!(
    /// Names a customer; the key of the `events` topic.
    CustomerId,
    "customer_id",
    is_printable,
    |c| !c.is_control(),
    "control characters are not allowed"
);
id!(
    /// Names a campaign; the key of the `campaigns` topic.
    CampaignId,
    "campaign id"
);

id!(
    /// Names a group of campaigns that share what an event or a customer wins.
    GroupName,
    "group"
);

id!(
    /// Names a draw of groups, which campaigns may share.
    ExperimentName,
    "experiment"
);

id!(
    /// Names a variant of a campaign.
    VariantName,
    "the name of a variant"
);

id!(
    /// Names an audience: a set of customers.
    AudienceName,
    "audience"
);

id!(
    /// Names a pool of coupon codes.
    PoolName,
    "pool"
);

/// Names one match: an event that won a campaign.
///
/// Its text is `event_id:campaign_id`. A campaign id has no colon, so the last colon separates the
/// two and different pairs never have the same text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MatchId(Box<str>);

impl MatchId {
    /// The match of an event and a campaign.
    pub fn new(event: &EventId, campaign: &CampaignId) -> Self {
        Self(format!("{event}:{campaign}").into())
    }

    /// Reads a match id back.
    ///
    /// # Errors
    /// [`IdError`] when the colon is missing or a part is not an identifier.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let (event, campaign) = text
            .rsplit_once(':')
            .ok_or_else(|| IdError::NotAMatchId(text.to_owned()))?;
        EventId::check(event)?;
        CampaignId::check(campaign)?;
        Ok(Self(text.into()))
    }

    /// The identifier's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MatchId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_says_what_is_wrong_with_it() {
        let cases = [
            (
                EventId::check(""),
                "event_id is empty; give at least one character",
            ),
            (
                EventId::check("a\nb"),
                "event_id has '\\n' at byte 1; control characters are not allowed",
            ),
            (
                CampaignId::check("ten:fifty"),
                "campaign id has ':' at byte 3; letters, digits, '-', '_' and '.' are allowed",
            ),
        ];
        for (result, message) in cases {
            assert_eq!(result.unwrap_err().to_string(), message);
        }
        assert_eq!(
            CustomerId::check(&"x".repeat(257)),
            Err(IdError::TooLong {
                kind: "customer_id",
                bytes: 257
            })
        );
        assert_eq!(CustomerId::check(&"x".repeat(256)), Ok(()));
    }

    #[test]
    fn a_match_id_keeps_events_with_colons_apart() {
        let campaign = CampaignId::new("c").unwrap();
        let id = MatchId::new(&EventId::new("a:b").unwrap(), &campaign);
        assert_eq!(id.as_str(), "a:b:c");
        assert_eq!(MatchId::parse("a:b:c"), Ok(id));
        assert!(MatchId::parse("abc").is_err());
        assert!(MatchId::parse(":c").is_err());
    }
}
