//! Why a value cannot be read as Avro.

use super::SchemaId;

/// Why a value cannot be read as Avro, ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AvroError {
    /// The value is Avro, but this installation has no registry to ask for its schema.
    #[error("the value is Avro with the schema of {schema}, and SCHEMA_REGISTRY_URL is not set")]
    NoRegistry {
        /// The schema it names.
        schema: SchemaId,
    },
    /// The value begins as Avro does and is too short to name its schema.
    #[error("the value begins with the byte 0 of Avro and has {bytes} bytes; an id needs 5")]
    NoId {
        /// Its size.
        bytes: usize,
    },
    /// The header `__value_schema_id` is none.
    #[error(
        "the header __value_schema_id has {bytes} bytes and is neither 0 with an id of 4 bytes nor 1 \
         with a GUID of 16"
    )]
    Header {
        /// Its size.
        bytes: usize,
    },
    /// The registry says that there is no such schema.
    #[error("the schema registry knows no schema with {schema}")]
    UnknownSchema {
        /// The schema that the value names.
        schema: SchemaId,
    },
    /// The schema is there, but values are not read with it.
    #[error("the schema with {schema} cannot be used: {why}")]
    UnusableSchema {
        /// The schema that the value names.
        schema: SchemaId,
        /// What is wrong with it.
        why: String,
    },
    /// The event mapping names a field that the record does not have, or has as something else.
    #[error("EVENT_MAPPING does not fit the record {record}: {why}")]
    Unmapped {
        /// Full name of the record.
        record: String,
        /// What does not fit.
        why: String,
    },
    /// The value ends in the middle of a field.
    #[error("the value ends at byte {at}, in the middle of what its schema asks for")]
    Truncated {
        /// Size of the value without its prefix.
        at: usize,
    },
    /// Bytes are left after the last field.
    #[error("{bytes} bytes follow after all that the schema asks for")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A number, a length or a choice that the schema does not allow.
    #[error("at byte {at} there is no {expected}")]
    Invalid {
        /// Place in the value, without its prefix.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("the text at byte {at} is not UTF-8")]
    NotUtf8 {
        /// Place in the value, without its prefix.
        at: usize,
    },
    /// A field that carries JSON does not.
    #[error("{0}")]
    Json(String),
    /// More bytes than [`crate::Limits::max_bytes`].
    #[error("the value has {bytes} bytes; at most {max} are accepted")]
    TooLarge {
        /// Size of the value.
        bytes: usize,
        /// The limit.
        max: u32,
    },
    /// Few bytes that stand for very many values, as no sane producer writes them.
    #[error("the value holds more than {max} values")]
    TooMany {
        /// The limit.
        max: u32,
    },
    /// Nested deeper than [`crate::Limits::max_depth`].
    #[error("the value nests deeper than {max} levels")]
    TooDeep {
        /// The limit.
        max: u32,
    },
}

impl AvroError {
    /// A stable word for machines, as [`crate::DeadLetterReason::code`].
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRegistry { .. } => "no_registry",
            Self::Header { .. } => "invalid_schema_header",
            Self::UnknownSchema { .. } => "unknown_schema",
            Self::UnusableSchema { .. } => "unusable_schema",
            Self::Unmapped { .. } => "unmapped_record",
            Self::NoId { .. }
            | Self::Truncated { .. }
            | Self::Trailing { .. }
            | Self::Invalid { .. }
            | Self::NotUtf8 { .. }
            | Self::Json(_) => "not_avro",
            Self::TooLarge { .. } | Self::TooMany { .. } => "too_large",
            Self::TooDeep { .. } => "too_deep",
        }
    }
}
