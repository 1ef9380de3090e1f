//! Audiences: named sets of customers, what a campaign asks of them, and the records that say who is in them.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{AudienceName, CustomerId, IdError};

/// Most audiences that one campaign names.
pub const MAX_AUDIENCES: usize = 64;

/// Whom a campaign is for: customers in one of the audiences that it names, and in none of those that it names with `not`.
///
/// In a document it is a list of names and of objects with the only field `not`: `[vip-2026, gold, {not: staff}]`. A list of
/// nothing but `not` is met by everybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    In(AudienceName),
    Not(AudienceName),
}

impl Audience {
    /// Whether it is met by a customer who is in the audiences of which `is_in` says so.
    pub fn admits(&self, mut is_in: impl FnMut(&str) -> bool) -> bool {
        let (mut asks, mut found) = (false, false);
        for entry in &self.0 {
            match entry {
                Entry::In(name) => {
                    asks = true;
                    found = found || is_in(name.as_str());
                }
                Entry::Not(name) if is_in(name.as_str()) => return false,
                Entry::Not(_) => {}
            }
        }
        found || !asks
    }

    /// All names, in the order of the document.
    pub fn names(&self) -> impl Iterator<Item = &AudienceName> {
        self.0.iter().map(Entry::name)
    }
}

impl Entry {
    fn name(&self) -> &AudienceName {
        match self {
            Self::In(name) | Self::Not(name) => name,
        }
    }
}

impl TryFrom<Vec<Entry>> for Audience {
    type Error = String;

    fn try_from(entries: Vec<Entry>) -> Result<Self, String> {
        if entries.is_empty() {
            return Err(
                "audience is empty; name an audience, or leave it out to mean everybody".to_owned(),
            );
        }
        if entries.len() > MAX_AUDIENCES {
            let found = entries.len();
            return Err(format!(
                "audience names {found} audiences; at most {MAX_AUDIENCES} are allowed"
            ));
        }
        for (place, entry) in entries.iter().enumerate() {
            let name = entry.name();
            if entries[..place].iter().any(|it| it.name() == name) {
                return Err(format!("audience names {name} twice"));
            }
        }
        Ok(Self(entries))
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        Self::try_from(entries).map_err(D::Error::custom)
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for entry in &self.0 {
            list.serialize_element(entry)?;
        }
        list.end()
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::In(name) => name.serialize(serializer),
            Self::Not(name) => {
                let mut object = serializer.serialize_map(Some(1))?;
                object.serialize_entry("not", name)?;
                object.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an audience, or {\"not\": NAME}")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Entry, E> {
                AudienceName::new(name).map(Entry::In).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Entry, A::Error> {
                let Some(field) = fields.next_key::<String>()? else {
                    return Err(A::Error::custom("there is no name; write {\"not\": NAME}"));
                };
                if field != "not" {
                    return Err(A::Error::unknown_field(&field, &["not"]));
                }
                let name = fields.next_value::<AudienceName>()?;
                match fields.next_key::<String>()? {
                    None => Ok(Entry::Not(name)),
                    Some(_) => Err(A::Error::custom(
                        "an entry has one name; write {\"not\": NAME} for each",
                    )),
                }
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// What a record of `audience-members` says. In the partition of the customer's events its key is `AUDIENCE:CUSTOMER`: a value
/// puts the customer in, none takes them out. The key `AUDIENCE:` with a value drops the audience: whoever was put in before it, in
/// that partition, is out.
///
/// What holds is what the records say in the order of the log, so that the oldest of a key may be compacted away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudienceRecord<'k> {
    /// The customer is in.
    In(&'k str, &'k str),
    /// The customer is not in any more.
    Out(&'k str, &'k str),
    /// Nobody is in any more.
    Dropped(&'k str),
    /// The record of a drop was taken away; it says nothing.
    Nothing,
}

/// The value of a record that puts a customer in: an object, which later releases may give fields.
pub const IN: &[u8] = b"{}";

/// Why a record of `audience-members` says nothing that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AudienceRecordError {
    /// It has no key, or one that is no text.
    #[error("the record has no key that is a text")]
    NoKey,
    /// Its key has no colon.
    #[error("the key {0:?} has no ':' between audience and customer")]
    NoColon(String),
    /// A part of its key is no identifier.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl<'k> AudienceRecord<'k> {
    /// Reads the record with that key and value.
    ///
    /// # Errors
    /// [`AudienceRecordError`]: nobody of ours wrote it. It is to be passed over.
    pub fn read(key: Option<&'k [u8]>, value: Option<&[u8]>) -> Result<Self, AudienceRecordError> {
        let key = key.and_then(|key| std::str::from_utf8(key).ok());
        let key = key.ok_or(AudienceRecordError::NoKey)?;
        // The name of an audience has no colon, an id may have some.
        let (audience, customer) = key
            .split_once(':')
            .ok_or_else(|| AudienceRecordError::NoColon(key.chars().take(64).collect()))?;
        AudienceName::check(audience)?;
        if customer.is_empty() {
            return Ok(value.map_or(Self::Nothing, |_| Self::Dropped(audience)));
        }
        CustomerId::check(customer)?;
        Ok(match value {
            Some(_) => Self::In(audience, customer),
            None => Self::Out(audience, customer),
        })
    }

    /// The key of the record of a customer in an audience; of the record that drops the audience with no customer.
    pub fn key(audience: &AudienceName, customer: Option<&CustomerId>) -> String {
        let customer = customer.map_or("", CustomerId::as_str);
        format!("{audience}:{customer}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn audience(json: serde_json::Value) -> Result<Audience, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn one_of_the_names_and_none_of_those_with_not() {
        let both = audience(json!(["vip", "gold", {"not": "staff"}])).unwrap();
        let but = audience(json!([{"not": "staff"}, {"not": "blocked"}])).unwrap();
        let cases: [(&[&str], bool, bool); 5] = [
            (&[], false, true),
            (&["vip"], true, true),
            (&["other", "gold"], true, true),
            (&["vip", "staff"], false, false),
            (&["blocked"], false, false),
        ];
        for (customer, expected, without) in cases {
            let is_in = |name: &str| customer.contains(&name);
            assert_eq!(both.admits(is_in), expected, "{customer:?}");
            assert_eq!(but.admits(is_in), without, "{customer:?}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read_and_says_what_is_wrong() {
        let json = json!([{"not": "staff"}, "vip-2026"]);
        let read = audience(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
        let names: Vec<_> = read.names().map(AudienceName::as_str).collect();
        assert_eq!(names, ["staff", "vip-2026"]);
        let many: Vec<String> = (0..=MAX_AUDIENCES).map(|n| n.to_string()).collect();
        let cases = [
            (json!([]), "audience is empty; name an audience"),
            (json!("vip"), "expected a sequence"),
            (json!([7]), "expected the name of an audience"),
            (
                json!([""]),
                "audience is empty; give at least one character",
            ),
            (json!(["v:p"]), "audience has ':' at byte 1"),
            (json!([{"nt": "vip"}]), "unknown field `nt`, expected `not`"),
            (json!([{}]), "there is no name"),
            (json!([{"not": ["a", "b"]}]), "invalid type: sequence"),
            (json!([{"not": "a", "or": "c"}]), "an entry has one name"),
            (json!(["vip", {"not": "vip"}]), "audience names vip twice"),
            (json!(many), "audience names 65 audiences; at most 64"),
        ];
        for (json, message) in cases {
            let error = audience(json).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_record_says_who_is_in_and_strange_ones_are_told() {
        let read = |key: &'static str, value: Option<&[u8]>| {
            AudienceRecord::read(Some(key.as_bytes()), value).map_err(|error| error.to_string())
        };
        let vip = AudienceName::new("vip").unwrap();
        let colons = CustomerId::new("a:b").unwrap();
        assert_eq!(AudienceRecord::key(&vip, Some(&colons)), "vip:a:b");
        assert_eq!(AudienceRecord::key(&vip, None), "vip:");
        assert_eq!(
            read("vip:a:b", Some(IN)),
            Ok(AudienceRecord::In("vip", "a:b"))
        );
        assert_eq!(read("vip:a:b", None), Ok(AudienceRecord::Out("vip", "a:b")));
        assert_eq!(read("vip:", Some(IN)), Ok(AudienceRecord::Dropped("vip")));
        assert_eq!(read("vip:", None), Ok(AudienceRecord::Nothing));
        assert!(read("vip", Some(IN)).unwrap_err().contains("no ':'"));
        assert!(read(":ada", Some(IN)).unwrap_err().contains("empty"));
        assert!(read("vip:a\nb", Some(IN)).is_err());
        let none = AudienceRecord::read(None, Some(IN)).unwrap_err();
        assert_eq!(none, AudienceRecordError::NoKey);
        let bytes = AudienceRecord::read(Some(b"\xff:a"), Some(IN)).unwrap_err();
        assert_eq!(bytes, AudienceRecordError::NoKey);
    }
}
