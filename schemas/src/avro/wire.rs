//! How a record says which schema its value was written with: Confluent's wire format.

use std::fmt;

use super::AvroError;

/// First byte of a value that carries the id of its schema.
const ID: u8 = 0x00;
/// First byte of a header that carries the GUID of the value's schema.
const GUID: u8 = 0x01;

/// Names a schema within a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaId {
    /// The number that the registry gave it.
    Number(u32),
    /// Its GUID, which registries have given since Confluent's 8.0.
    Guid([u8; 16]),
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(f, "id {id}"),
            Self::Guid(guid) => {
                let mut text = String::with_capacity(36);
                super::logical::push_uuid(&mut text, guid);
                write!(f, "GUID {text}")
            }
        }
    }
}

/// A value as it stands in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framed<'a> {
    /// Plain JSON, or nothing that anybody knows.
    Plain(&'a [u8]),
    /// Written with a schema of a registry.
    Schema { id: SchemaId, body: &'a [u8] },
}

/// Takes a value apart. The header wins: a body after it may begin with any byte, also with that of a
/// JSON object.
pub(crate) fn frame<'a>(
    value: &'a [u8],
    schema_header: Option<&[u8]>,
) -> Result<Framed<'a>, AvroError> {
    if let Some(header) = schema_header {
        let (id, _) = take_id(header).ok_or(AvroError::Header {
            bytes: header.len(),
        })?;
        return Ok(Framed::Schema { id, body: value });
    }
    match value.first() {
        Some(&ID) => match take_id(value) {
            Some((id, body)) => Ok(Framed::Schema { id, body }),
            None => Err(AvroError::NoId { bytes: value.len() }),
        },
        _ => Ok(Framed::Plain(value)),
    }
}

/// The id at the beginning and what follows.
fn take_id(bytes: &[u8]) -> Option<(SchemaId, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match *first {
        ID => {
            let (id, rest) = rest.split_first_chunk()?;
            Some((SchemaId::Number(u32::from_be_bytes(*id)), rest))
        }
        GUID => {
            let (guid, rest) = rest.split_first_chunk()?;
            Some((SchemaId::Guid(*guid), rest))
        }
        _ => None,
    }
}

/// What [`push_prefix`] adds.
pub(crate) const PREFIX_BYTES: usize = 5;

/// Begins a value written with that schema.
pub(crate) fn push_prefix(out: &mut Vec<u8>, id: u32) {
    out.push(ID);
    out.extend_from_slice(&id.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_json_from_avro_and_a_header_wins() {
        let json = br#"{"a": 1}"#;
        assert_eq!(frame(json, None), Ok(Framed::Plain(json)));
        assert_eq!(frame(b"", None), Ok(Framed::Plain(b"")));
        let mut value = Vec::new();
        push_prefix(&mut value, 258);
        value.push(7);
        let id = SchemaId::Number(258);
        assert_eq!(value[..5], [0, 0, 0, 1, 2]);
        assert_eq!(frame(&value, None), Ok(Framed::Schema { id, body: &[7] }));
        let id = SchemaId::Guid(*b"0123456789abcdef");
        let header = b"\x010123456789abcdef";
        assert_eq!(
            frame(json, Some(header)),
            Ok(Framed::Schema { id, body: json })
        );
        assert_eq!(id.to_string(), "GUID 30313233-3435-3637-3839-616263646566");
        let id = SchemaId::Number(9);
        assert_eq!(
            frame(b"", Some(&[0, 0, 0, 0, 9])),
            Ok(Framed::Schema { id, body: b"" })
        );
    }

    #[test]
    fn half_an_id_is_no_id() {
        assert_eq!(
            frame(&[0, 0, 0, 1], None),
            Err(AvroError::NoId { bytes: 4 })
        );
        let headers: [&[u8]; 4] = [&[], &[0, 0, 0, 1], &[1; 16], &[2, 0, 0, 0, 1]];
        for header in headers {
            let bytes = header.len();
            assert_eq!(frame(b"{}", Some(header)), Err(AvroError::Header { bytes }));
        }
    }
}
