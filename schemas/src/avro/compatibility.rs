//! Whether one version of a schema reads what another wrote: the gate before a schema is registered.
//!
//! apache-avro 0.22 knows most of the specification's rules (Avro 1.12, "Schema Resolution"), but calls
//! schemas compatible that are so for some values only: where a symbol of an enum or a branch of a union
//! is gone. And the rules let a timestamp in milliseconds be read as one in microseconds. Here both are
//! refused: an old record that a new release misreads is found months later.

use apache_avro::schema::{RecordSchema, Schema};
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

/// What a subject promises to those who read it and those who write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The newest schema reads what any older one wrote.
    BackwardTransitive,
    /// Any schema reads what any other wrote.
    FullTransitive,
}

impl Level {
    /// Its name in a registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }
}

/// Why a schema may not follow another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incompatibility {
    /// One of the two is no schema.
    #[error("it is no Avro schema: {0}")]
    Broken(String),
    /// The newer does not read the older.
    #[error("the new schema does not read what version {version} wrote: {why}")]
    Backward {
        /// Which version of the older.
        version: u32,
        /// Where and what.
        why: String,
    },
    /// The older does not read the newer.
    #[error("version {version} does not read what the new schema writes: {why}")]
    Forward {
        /// Which version of the older.
        version: u32,
        /// Where and what.
        why: String,
    },
}

/// Holds a new schema against all versions that a subject has. All that is wrong is returned.
pub fn check(new: &str, versions: &[(u32, &str)], level: Level) -> Vec<Incompatibility> {
    let parse =
        |text| Schema::parse_str(text).map_err(|error| Incompatibility::Broken(error.to_string()));
    let new = match parse(new) {
        Ok(new) => new,
        Err(broken) => return vec![broken],
    };
    let mut found = Vec::new();
    for &(version, old) in versions {
        let old = match parse(old) {
            Ok(old) => old,
            Err(broken) => {
                found.push(broken);
                continue;
            }
        };
        for why in misread(&old, &new) {
            found.push(Incompatibility::Backward { version, why });
        }
        if level == Level::FullTransitive {
            for why in misread(&new, &old) {
                found.push(Incompatibility::Forward { version, why });
            }
        }
    }
    found
}

/// What `reader` cannot read, or would read as something else, of what `writer` writes.
fn misread(writer: &Schema, reader: &Schema) -> Vec<String> {
    let mut places = Places {
        path: String::new(),
        found: Vec::new(),
    };
    places.compare(writer, reader);
    if places.found.is_empty() {
        match SchemaCompatibility::can_read(writer, reader) {
            Ok(Compatibility::Full) => {}
            Ok(Compatibility::Partial) => places.found.push("some of its values".to_owned()),
            Err(error) => places.found.push(error.to_string()),
        }
    }
    places.found
}

/// Finds what apache-avro does not, and says where it is.
struct Places {
    path: String,
    found: Vec<String>,
}

impl Places {
    fn compare(&mut self, writer: &Schema, reader: &Schema) {
        match (writer, reader) {
            (Schema::Record(writer), Schema::Record(reader)) => self.records(writer, reader),
            (Schema::Array(writer), Schema::Array(reader)) => {
                self.within("[]", |this| this.compare(&writer.items, &reader.items));
            }
            (Schema::Map(writer), Schema::Map(reader)) => {
                self.within("{}", |this| this.compare(&writer.types, &reader.types));
            }
            (Schema::Enum(writer), Schema::Enum(reader)) if reader.default.is_none() => {
                for symbol in &writer.symbols {
                    if !reader.symbols.contains(symbol) {
                        self.say(&format!(
                            "the symbol {symbol} is gone and there is no default"
                        ));
                    }
                }
            }
            (Schema::Union(writer), reader) => {
                for branch in writer.variants() {
                    self.branch(branch, reader);
                }
            }
            (writer, Schema::Union(_)) => self.branch(writer, reader),
            (writer, reader) if logical(writer) != logical(reader) => {
                let (was, is) = (logical(writer), logical(reader));
                self.say(&format!("{was} would be read as {is}"));
            }
            _ => {}
        }
    }

    fn records(&mut self, writer: &RecordSchema, reader: &RecordSchema) {
        for field in &reader.fields {
            let names = std::iter::once(&field.name).chain(&field.aliases);
            let written = names
                .into_iter()
                .find_map(|name| writer.fields.iter().find(|written| written.name == *name));
            self.within(&field.name, |this| match written {
                Some(written) => this.compare(&written.schema, &field.schema),
                None if field.default.is_none() => {
                    this.say("the field is new and has no default");
                }
                None => {}
            });
        }
    }

    /// One branch of what is written against all that is read: some branch must read it wholly.
    fn branch(&mut self, branch: &Schema, reader: &Schema) {
        let readers = match reader {
            Schema::Union(union) => union.variants(),
            other => std::slice::from_ref(other),
        };
        let mut nearest: Option<Vec<String>> = None;
        for reader in readers {
            let same_kind = std::mem::discriminant(branch) == std::mem::discriminant(reader);
            let found = misread(branch, reader);
            if found.is_empty() {
                return;
            }
            if same_kind {
                nearest = Some(found);
            }
        }
        match nearest {
            Some(found) => {
                for why in found {
                    self.say(&why);
                }
            }
            None => self.say(&format!("nothing reads {}", kind(branch))),
        }
    }

    fn within(&mut self, step: &str, compare: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 && !step.starts_with(['[', '{']) {
            self.path.push('.');
        }
        self.path.push_str(step);
        compare(self);
        self.path.truncate(length);
    }

    fn say(&mut self, why: &str) {
        self.found.push(if self.path.is_empty() {
            why.to_owned()
        } else {
            format!("{}: {why}", self.path)
        });
    }
}

/// What numbers and bytes stand for.
fn logical(schema: &Schema) -> &'static str {
    match schema {
        Schema::Decimal(_) => "a decimal",
        Schema::BigDecimal => "a decimal with its scale",
        Schema::Uuid(_) => "a UUID",
        Schema::Date => "a date",
        Schema::TimeMillis => "a time in milliseconds",
        Schema::TimeMicros => "a time in microseconds",
        Schema::TimestampMillis => "a timestamp in milliseconds",
        Schema::TimestampMicros => "a timestamp in microseconds",
        Schema::TimestampNanos => "a timestamp in nanoseconds",
        Schema::LocalTimestampMillis => "a local timestamp in milliseconds",
        Schema::LocalTimestampMicros => "a local timestamp in microseconds",
        Schema::LocalTimestampNanos => "a local timestamp in nanoseconds",
        Schema::Duration(_) => "a duration",
        _ => "a plain value",
    }
}

fn kind(schema: &Schema) -> String {
    match schema.name() {
        Some(name) => name.fullname(None),
        None => format!(
            "{:?}",
            apache_avro::schema::SchemaKind::from(schema.clone())
        )
        .to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(writer: &str, reader: &str) -> bool {
        let parse = |text| Schema::parse_str(text).unwrap();
        misread(&parse(writer), &parse(reader)).is_empty()
    }

    /// The promotions of the specification's table: who writes the first is read by the others.
    const PROMOTIONS: [(&str, &[&str]); 8] = [
        ("null", &[]),
        ("boolean", &[]),
        ("int", &["long", "float", "double"]),
        ("long", &["float", "double"]),
        ("float", &["double"]),
        ("double", &[]),
        ("bytes", &["string"]),
        ("string", &["bytes"]),
    ];

    #[test]
    fn primitive_types_are_promoted_as_the_specification_says() {
        for (writer, promoted) in PROMOTIONS {
            for (reader, _) in PROMOTIONS {
                let expected = writer == reader || promoted.contains(&reader);
                let quoted = |name: &str| format!("\"{name}\"");
                assert_eq!(
                    reads(&quoted(writer), &quoted(reader)),
                    expected,
                    "{writer} read as {reader}"
                );
            }
        }
    }

    #[test]
    fn named_types_fields_symbols_and_branches_are_resolved_as_the_specification_says() {
        let r =
            |fields: &str| format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#);
        let e = |symbols: &str, further: &str| {
            format!(r#"{{"type": "enum", "name": "E", "symbols": [{symbols}]{further}}}"#)
        };
        let fixed = |name: &str, size: u32| {
            format!(r#"{{"type": "fixed", "name": "{name}", "size": {size}}}"#)
        };
        let a = r#"{"name": "a", "type": "int"}"#;
        let b = r#"{"name": "b", "type": "string", "default": ""}"#;
        let decimal = |precision: u32, scale: u32| {
            format!(
                r#"{{"type": "bytes", "logicalType": "decimal", "precision": {precision}, "scale": {scale}}}"#
            )
        };
        let logical = |kind: &str, logical: &str| {
            format!(r#"{{"type": "{kind}", "logicalType": "{logical}"}}"#)
        };
        let int = r#""int""#;
        let cases = [
            // Records: by name, and fields by name; what the reader lacks is skipped, what the writer
            // lacks needs a default.
            (r(a), r(a), true),
            (r(a), r(&format!("{a},{b}")), true),
            (r(&format!("{a},{b}")), r(a), true),
            (r(&format!("{a},{b}")), r(&format!("{b},{a}")), true),
            (r(""), r(a), false),
            (r(a), r(&a.replace("int", "long")), true),
            (r(&a.replace("int", "long")), r(a), false),
            (
                r(a),
                r(r#"{"name": "z", "type": "int", "aliases": ["a"]}"#),
                true,
            ),
            (r(a), r(a).replace("\"R\"", "\"S\""), false),
            // Enums.
            (e("\"X\"", ""), e("\"X\",\"Y\"", ""), true),
            (e("\"X\",\"Y\"", ""), e("\"X\"", ""), false),
            (e("\"X\",\"Y\"", ""), e("\"X\"", r#","default":"X""#), true),
            // Fixed: name and size.
            (fixed("F", 4), fixed("F", 4), true),
            (fixed("F", 4), fixed("F", 5), false),
            (fixed("F", 4), fixed("G", 4), false),
            // Arrays and maps by what they hold.
            (array(int), array(r#""long""#), true),
            (array(r#""long""#), array(int), false),
            (map(int), map(r#""double""#), true),
            (map(r#""string""#), map(int), false),
            (array(int), map(int), false),
            // Unions: every branch of the writer must be read by some branch of the reader.
            (
                r#"["null", "int"]"#.into(),
                r#"["int", "null"]"#.into(),
                true,
            ),
            (
                r#"["null", "int"]"#.into(),
                r#"["null", "int", "string"]"#.into(),
                true,
            ),
            (
                r#"["null", "int", "string"]"#.into(),
                r#"["null", "int"]"#.into(),
                false,
            ),
            (r#"["null", "int"]"#.into(), int.into(), false),
            (r#"["int"]"#.into(), r#""long""#.into(), true),
            (int.into(), r#"["null", "long"]"#.into(), true),
            (r#""string""#.into(), r#"["null", "long"]"#.into(), false),
            // Decimals: precision and scale.
            (decimal(10, 2), decimal(10, 2), true),
            (decimal(10, 2), decimal(12, 2), false),
            (decimal(10, 2), decimal(10, 3), false),
            // Beyond the specification: a number keeps its meaning.
            (
                logical("long", "timestamp-micros"),
                logical("long", "timestamp-millis"),
                false,
            ),
            (
                r#""long""#.into(),
                logical("long", "timestamp-millis"),
                false,
            ),
            (logical("int", "date"), int.into(), false),
            (logical("int", "date"), logical("int", "date"), true),
        ];
        for (writer, reader, expected) in cases {
            assert_eq!(
                reads(&writer, &reader),
                expected,
                "{writer} read as {reader}"
            );
        }
    }

    fn array(items: &str) -> String {
        format!(r#"{{"type": "array", "items": {items}}}"#)
    }

    fn map(values: &str) -> String {
        format!(r#"{{"type": "map", "values": {values}}}"#)
    }

    #[test]
    fn what_is_refused_says_in_which_version_and_where() {
        let of =
            |fields: &str| format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#);
        let inner = |symbols: &str| {
            of(&format!(
                r#"{{"name": "a", "type": {{"type": "record", "name": "I", "fields": [
                    {{"name": "e", "type": ["null", {{"type": "enum", "name": "E", "symbols": [{symbols}]}}]}}]}}}}"#
            ))
        };
        let (old, new) = (inner("\"X\",\"Y\""), inner("\"X\",\"Z\""));
        let backward = check(&new, &[(3, &old)], Level::BackwardTransitive);
        assert_eq!(
            backward.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "the new schema does not read what version 3 wrote: a.e: the symbol Y is gone and there is no default"
            ]
        );
        let full = check(&new, &[(3, &old), (4, &new)], Level::FullTransitive);
        assert_eq!(full.len(), 2);
        assert_eq!(
            full[1].to_string(),
            "version 3 does not read what the new schema writes: a.e: the symbol Z is gone and there is no default"
        );
        let required = of(r#"{"name": "b", "type": "int"}"#);
        let found = check(&required, &[(1, &of(""))], Level::BackwardTransitive);
        assert!(
            found[0]
                .to_string()
                .ends_with("b: the field is new and has no default")
        );
        assert!(check(&of(""), &[(1, &required)], Level::BackwardTransitive).is_empty());
        assert_eq!(
            check(&of(""), &[(1, &required)], Level::FullTransitive).len(),
            1
        );
        assert!(matches!(
            check("{", &[], Level::FullTransitive)[..],
            [Incompatibility::Broken(_)]
        ));
    }
}
