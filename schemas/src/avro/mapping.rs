//! Where upstream's own records keep what every event has: read from a file.

use serde::Deserialize;

use super::logical::Unit;

/// Says of upstream's own records which of their fields are an event's id, customer, type and time.
///
/// A JSON array; the first entry that names a value's record or its schema's subject counts:
///
/// ```
/// let mapping = schemas::avro::EventMapping::parse(r#"[
///     {
///         "record": "shop.OrderPlaced",
///         "event_id": "order.number",
///         "customer_id": "customer.id",
///         "event_type": {"constant": "purchase"},
///         "occurred_at": {"field": "placed", "unit": "millis"},
///         "json": ["attributes"]
///     },
///     {"subject": "legacy-value", "event_id": "uid", "customer_id": "user", "occurred_at": "ts"}
/// ]"#)?;
/// assert_eq!(mapping.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A field that an entry does not name is looked for under the event's own name (`event_id`, …). Without
/// a type there, the type is the record's name without its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventMapping(Vec<RecordMapping>);

/// The mapping of some records.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordMapping {
    /// Full name of the record.
    record: Option<Box<str>>,
    /// Subject that the schema is registered under.
    subject: Option<Box<str>>,
    pub(super) event_id: Option<Path>,
    pub(super) customer_id: Option<Path>,
    pub(super) event_type: Option<TypeSource>,
    pub(super) occurred_at: Option<TimeSource>,
    /// Fields of text that hold JSON; what they say is within reach of the rules.
    #[serde(default)]
    pub(super) json: Vec<Box<str>>,
}

/// Names of fields with dots between, from the outermost record to the innermost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Path(Box<str>);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a field's name, or {\"constant\": text}")]
pub(super) enum TypeSource {
    Field(Path),
    Constant(Constant),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Constant {
    pub(super) constant: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "a field's name, or {\"field\": name, \"unit\": \"seconds\", \"millis\", \"micros\" or \"nanos\"}"
)]
pub(super) enum TimeSource {
    Field(Path),
    Number(NumberSource),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberSource {
    field: Path,
    unit: UnitName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnitName {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// Why a text is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// Not of the form.
    #[error("the event mapping is broken: {0}")]
    Form(String),
    /// An entry names no records, or names them in two ways.
    #[error("entry {entry} of the event mapping must have one of \"record\" and \"subject\"")]
    Whose {
        /// Number of the entry, from 1.
        entry: usize,
    },
}

impl EventMapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// [`MappingError`] says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let entries: Vec<RecordMapping> =
            serde_json::from_str(text).map_err(|error| MappingError::Form(error.to_string()))?;
        for (at, entry) in entries.iter().enumerate() {
            if entry.record.is_some() == entry.subject.is_some() {
                return Err(MappingError::Whose { entry: at + 1 });
            }
        }
        Ok(Self(entries))
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none: then every event has its own names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some entry names a subject: then the subjects of a schema must be known.
    pub fn names_subjects(&self) -> bool {
        self.0.iter().any(|entry| entry.subject.is_some())
    }

    /// The entry for a record, whose schema is registered under these subjects.
    pub(super) fn find(&self, record: &str, subjects: &[String]) -> Option<&RecordMapping> {
        self.0.iter().find(|entry| {
            entry.record.as_deref() == Some(record)
                || (entry.subject.as_deref())
                    .is_some_and(|subject| subjects.iter().any(|known| known == subject))
        })
    }
}

impl Path {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(super) fn steps(&self) -> Vec<&str> {
        self.0.split('.').collect()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.split('.').any(str::is_empty) {
            return Err(format!(
                "{text:?} names no field; write names with dots between"
            ));
        }
        Ok(Self(text.into()))
    }
}

impl TimeSource {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Field(path) => path,
            Self::Number(number) => &number.field,
        }
    }

    /// What a number there counts, if it is said.
    pub(super) fn unit(&self) -> Option<Unit> {
        let Self::Number(number) = self else {
            return None;
        };
        Some(match number.unit {
            UnitName::Seconds => Unit::Seconds,
            UnitName::Millis => Unit::Millis,
            UnitName::Micros => Unit::Micros,
            UnitName::Nanos => Unit::Nanos,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mapping_says_why() {
        let cases = [
            ("{}", "invalid type: map, expected a sequence"),
            (
                r#"[{"event_id": "a"}]"#,
                "entry 1 of the event mapping must have one of",
            ),
            (
                r#"[{"record": "a", "subject": "b"}]"#,
                "entry 1 of the event mapping must have one of",
            ),
            (r#"[{"record": "a", "id": "b"}]"#, "unknown field `id`"),
            (
                r#"[{"record": "a", "event_id": "b..c"}]"#,
                "\"b..c\" names no field",
            ),
            (
                r#"[{"record": "a", "event_id": ""}]"#,
                "\"\" names no field",
            ),
            (
                r#"[{"record": "a", "event_type": 1}]"#,
                "a field's name, or {\"constant\": text}",
            ),
            (
                r#"[{"record": "a", "occurred_at": {"field": "t", "unit": "hours"}}]"#,
                "\"seconds\", \"millis\", \"micros\" or \"nanos\"",
            ),
        ];
        for (text, expected) in cases {
            let error = EventMapping::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_first_entry_that_names_the_record_or_a_subject_counts() {
        let mapping = EventMapping::parse(
            r#"[{"subject": "s", "event_id": "one"}, {"record": "a.R", "event_id": "two"}]"#,
        )
        .unwrap();
        let found = |record: &str, subjects: &[&str]| {
            let subjects: Vec<_> = subjects.iter().map(|s| (*s).to_owned()).collect();
            let entry = mapping.find(record, &subjects)?;
            entry.event_id.as_ref().map(|path| path.as_str().to_owned())
        };
        assert_eq!(found("a.R", &["t"]).as_deref(), Some("two"));
        assert_eq!(found("a.R", &["t", "s"]).as_deref(), Some("one"));
        assert_eq!(found("b.R", &["t"]), None);
        assert!(mapping.names_subjects());
    }
}
