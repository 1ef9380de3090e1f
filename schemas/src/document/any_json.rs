//! Reads JSON to the tape by `serde_json`: slower than [`super::json`], and with words for what is wrong.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::{Document, DocumentError, Entry};
use crate::Number;

/// Adds the value of a JSON text to a document.
pub(super) fn read(
    document: &mut Document,
    text: &str,
    depth_left: u32,
) -> Result<(), DocumentError> {
    let mut too_deep = false;
    let mut json = serde_json::Deserializer::from_str(text);
    // Our own limit of depth stands in for serde_json's, whose error has no kind of its own.
    let seed = Tape {
        document,
        depth_left,
        too_deep: &mut too_deep,
    };
    let result = seed.deserialize(&mut json).and_then(|()| json.end());
    if too_deep {
        return Err(DocumentError::TooDeep { max: depth_left });
    }
    result.map_err(|error| DocumentError::NotJson(error.to_string()))
}

/// Writes one value to the tape.
struct Tape<'t> {
    document: &'t mut Document,
    depth_left: u32,
    too_deep: &'t mut bool,
}

impl Tape<'_> {
    /// Begins a container: its place, to be closed when its end is known.
    fn open<E: serde::de::Error>(&mut self) -> Result<u32, E> {
        if self.depth_left == 0 {
            *self.too_deep = true;
            return Err(E::custom("too deep"));
        }
        self.depth_left -= 1;
        let at = self.document.len();
        self.document.entries.push(Entry::Null);
        Ok(at)
    }

    fn inner(&mut self) -> Tape<'_> {
        Tape {
            document: self.document,
            depth_left: self.depth_left,
            too_deep: self.too_deep,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Tape<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tape<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.document.entries.push(Entry::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.document.entries.push(Entry::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        let number = Number::from_i64(value);
        self.document.entries.push(Entry::Number(number));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        let number = Number::from_u64(value);
        self.document.entries.push(Entry::Number(number));
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        self.document.entries.push(Entry::Number(number));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.document.push_string(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let at = self.open()?;
        while elements.next_element_seed(self.inner())?.is_some() {}
        let after = self.document.len();
        self.document.entries[at as usize] = Entry::Array { after };
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        let at = self.open()?;
        while fields.next_key_seed(self.inner())?.is_some() {
            fields.next_value_seed(self.inner())?;
        }
        let after = self.document.len();
        self.document.entries[at as usize] = Entry::Object { after };
        Ok(())
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<(), E> {
        Err(E::custom("bytes have no place in JSON"))
    }
}
