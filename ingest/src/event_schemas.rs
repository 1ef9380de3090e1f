//! JSON Schemas by type of event: a folder with a file `EVENT_TYPE.json` each.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use jsonschema::{PatternOptions, Validator};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use service::http::problem::Fault;

/// So many faults of an event are told.
const MAX_FAULTS: usize = 16;

/// Longest text of a fault, in bytes; it quotes what is wrong.
const MAX_DETAIL_BYTES: usize = 256;

/// The schemas of those types of events that have one. Immutable; shared by all requests.
#[derive(Default)]
pub(crate) struct EventSchemas(HashMap<String, Validator>);

impl EventSchemas {
    /// Reads all files of a folder that end in `.json`. In a file's name `%XX` stands for a character
    /// that names of files cannot have.
    ///
    /// # Errors
    /// A file cannot be read, is no JSON Schema or refers to another document: the first such.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut schemas = HashMap::new();
        let files = std::fs::read_dir(folder)
            .with_context(|| format!("EVENT_SCHEMAS_DIR {} cannot be read", folder.display()))?;
        for file in files {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let stem = stem.with_context(|| format!("{} is not UTF-8", path.display()))?;
            let event_type = percent_decode_str(stem).decode_utf8()?.into_owned();
            let validator = compile(&path)
                .with_context(|| format!("{} is not a schema for events", path.display()))?;
            schemas.insert(event_type, validator);
        }
        Ok(Self(schemas))
    }

    /// How many types have a schema.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The schema of a type.
    pub(crate) fn of(&self, event_type: &str) -> Option<EventSchema<'_>> {
        self.0.get(event_type).map(EventSchema)
    }
}

fn compile(path: &Path) -> anyhow::Result<Validator> {
    let schema: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    // The library's own engine for patterns can take exponential time; this one cannot.
    let validator = jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(&schema);
    validator.map_err(|error| anyhow::anyhow!("{error}"))
}

/// The schema of one type.
pub(crate) struct EventSchema<'s>(&'s Validator);

impl EventSchema<'_> {
    /// What the schema does not allow about an event; nothing if all is well.
    pub(crate) fn faults(&self, event: &[u8]) -> Vec<Fault> {
        // Read once already, so it is JSON.
        let Ok(event) = serde_json::from_slice::<Value>(event) else {
            return vec![Fault::new("", "the event is not JSON")];
        };
        if self.0.is_valid(&event) {
            return Vec::new();
        }
        let errors = self.0.iter_errors(&event).take(MAX_FAULTS);
        let faults = errors.map(|error| {
            let mut detail = error.to_string();
            if let Some((end, _)) = detail.char_indices().find(|(at, _)| *at > MAX_DETAIL_BYTES) {
                detail.truncate(end);
                detail.push('…');
            }
            Fault::new(error.instance_path().to_string(), detail).code("schema_mismatch")
        });
        faults.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn an_event_is_held_to_the_schema_of_its_type() {
        let schema = json!({
            "properties": {"payload": {
                "required": ["amount"],
                "properties": {"amount": {"type": "number"}, "code": {"pattern": "^[A-Z]+$"}},
            }},
        });
        let folder = folder(&[
            ("shop%2Fpurchase.json", &schema.to_string()),
            ("README.md", "not a schema"),
        ]);
        let schemas = EventSchemas::read(folder.path()).unwrap();
        assert_eq!(schemas.len(), 1);
        assert!(schemas.of("refund").is_none());
        let schema = schemas.of("shop/purchase").unwrap();
        let faults = |event: Value| schema.faults(event.to_string().as_bytes());
        assert_eq!(faults(json!({"payload": {"amount": 1}})), []);
        let wrong = faults(json!({"payload": {"amount": "1", "code": "a"}}));
        let places: Vec<_> = wrong.iter().map(|fault| &*fault.pointer).collect();
        assert_eq!(places, ["/payload/amount", "/payload/code"]);
        assert_eq!(wrong[0].detail, "\"1\" is not of type \"number\"");
        let long = faults(json!({"payload": "x".repeat(1000)}));
        assert!(long.iter().all(|fault| fault.detail.len() < 300));
    }

    #[test]
    fn a_broken_schema_is_named() {
        for text in [
            "{",
            r#"{"type": "nothing"}"#,
            r#"{"$ref": "https://example.com/other.json"}"#,
            r#"{"pattern": "(?<=a)b"}"#,
        ] {
            let folder = folder(&[("purchase.json", text)]);
            let error = EventSchemas::read(folder.path()).err().unwrap();
            let error = format!("{error:#}");
            assert!(error.contains("purchase.json is not a schema"), "{error}");
        }
        assert!(EventSchemas::read(Path::new("/nowhere")).is_err());
    }
}
