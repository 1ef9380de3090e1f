//! API keys: how they look, how they are made, and what is kept of them.

use std::fmt;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;

use super::scope::Scopes;
use crate::hex;

/// What every key begins with, so that scanners of leaked secrets can know it.
pub const PREFIX: &str = "cm";

/// Random bytes of a key's id and of its secret, two digits each.
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 24;

/// A key as its owner holds it: `cm_ID_SECRET`, both in hexadecimal digits. Never printed by itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key itself, to be handed to its owner once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}_{}_***", id_of(&self.0).unwrap_or_default())
    }
}

/// What is kept of a key: a line of the keys' file. The key cannot be had from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Finds the record; a part of the key.
    pub id: String,
    /// Who uses the key, for people.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// What the key is compared with.
    pub hash: KeyHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// SHA-256 of a whole key. A slow hash would add nothing: a key has 192 random bits and cannot be
/// guessed, and it would be computed at each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key.
    pub(super) fn of(key: &str) -> Self {
        let hash = digest(&SHA256, key.as_bytes());
        Self(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Whether it is the hash of that key. Takes the same time whether it is or not.
    pub(super) fn is_of(&self, key: &str) -> bool {
        self.0.ct_eq(&Self::of(key).0).into()
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("sha256:{}", hex::encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hash = text
            .strip_prefix("sha256:")
            .and_then(|digits| hex::decode(digits.as_bytes()));
        hash.map(Self).ok_or_else(|| {
            serde::de::Error::custom("write the hash as sha256: and 64 hexadecimal digits")
        })
    }
}

/// Makes a key, and the record that the services need to know it by. The key is to be shown once and
/// kept nowhere; the record is a line of `API_KEYS_FILE`.
///
/// # Panics
/// When the operating system has no random numbers.
pub fn make_key(
    name: &str,
    scopes: Scopes,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> (ApiKey, KeyRecord) {
    let mut random = [0; ID_BYTES + SECRET_BYTES];
    SystemRandom::new()
        .fill(&mut random)
        .expect("the operating system has random numbers");
    let digits = hex::encode(&random);
    let (id, secret) = digits.split_at(2 * ID_BYTES);
    let key = format!("{PREFIX}_{id}_{secret}");
    let record = KeyRecord {
        id: id.to_owned(),
        name: name.to_owned(),
        scopes,
        hash: KeyHash::of(&key),
        created_at,
        expires_at,
    };
    (ApiKey(key), record)
}

/// The id of a text that looks like a key.
pub(super) fn id_of(text: &str) -> Option<&str> {
    let (id, secret) = text
        .strip_prefix(PREFIX)?
        .strip_prefix('_')?
        .split_once('_')?;
    let is_hex = |text: &str| text.bytes().all(|c| c.is_ascii_hexdigit());
    let looks_right = id.len() == 2 * ID_BYTES && secret.len() == 2 * SECRET_BYTES;
    (looks_right && is_hex(id) && is_hex(secret)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::*;

    #[test]
    fn a_key_is_known_by_its_record_which_does_not_hold_it() {
        let scopes = Scopes::of(&[Scope::EventsWrite]);
        let (key, record) = make_key("till", scopes, Timestamp::UNIX_EPOCH, None);
        assert_eq!(id_of(key.reveal()), Some(&*record.id));
        assert!(record.hash.is_of(key.reveal()));
        let (other, _) = make_key("till", scopes, Timestamp::UNIX_EPOCH, None);
        assert!(!record.hash.is_of(other.reveal()));

        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<KeyRecord>(&line).unwrap(), record);
        let secret = key.reveal().rsplit('_').next().unwrap();
        assert!(!line.contains(secret));
        assert!(!format!("{key:?}").contains(secret), "{key:?}");
    }

    #[test]
    fn what_does_not_look_like_a_key_has_no_id() {
        let (id, secret) = ("0123456789ab", "f".repeat(48));
        assert_eq!(id_of(&format!("cm_{id}_{secret}")), Some(id));
        for text in [
            String::new(),
            format!("cm_{id}"),
            format!("cm_{id}_{}", &secret[1..]),
            format!("cm_{id}x_{secret}"),
            format!("sk_{id}_{secret}"),
            format!("cm_{}_{secret}", "é".repeat(6)),
        ] {
            assert_eq!(id_of(&text), None, "{text}");
        }
    }
}
