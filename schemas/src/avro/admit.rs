//! Takes a schema in: parses it, refuses what could not be decoded within bounds, and compiles it.
//!
//! apache-avro 0.22 decodes without a limit of depth and with one of 512 MB for each allocation
//! (avro-rs issues 639 and 642). Here a schema is refused before the first of its values is read.

use std::collections::{HashMap, HashSet};

use apache_avro::schema::{
    DecimalSchema, EnumSchema, InnerDecimalSchema, Name as FullName, RecordSchema, Schema,
    UuidSchema,
};

use super::logical::{Offset, Unit};
use super::program::{Fate, Field, MAX_TEXTS, Program, Record, Root, Shape, Slots};
use crate::document::{MAX_DEPTH, Name};

/// Largest schema accepted, in bytes of its text and of those it refers to.
pub const MAX_SCHEMA_BYTES: usize = 512 * 1024;

/// Most places that a schema may have.
const MAX_SHAPES: usize = 20_000;

/// Why values are not read with a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More text than [`MAX_SCHEMA_BYTES`].
    #[error("it has {bytes} bytes; at most {MAX_SCHEMA_BYTES} are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// No Avro schema.
    #[error("it is no Avro schema: {0}")]
    Broken(String),
    /// A type that contains itself: a value could nest as deep as its bytes last.
    #[error("{name} contains itself; recursive types are not read")]
    Recursive {
        /// Full name of the type.
        name: String,
    },
    /// An array whose items take no bytes: a few bytes could stand for any number of them.
    #[error("an array has items that take no bytes")]
    NoWidth,
    /// Deeper than any limit allows.
    #[error("it nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More places than any sane schema has.
    #[error("it has more than {MAX_SHAPES} types and fields")]
    TooMany,
    /// Events are objects.
    #[error("it is {found}; a value must be a record, or a union of records")]
    NotARecord {
        /// What it is.
        found: String,
    },
    /// A schema of another kind.
    #[error("it is a {0} schema; Avro and JSON are read")]
    Kind(String),
}

impl Program {
    /// Compiles a schema. `references` are the schemas of named types that it uses and does not define.
    ///
    /// # Errors
    /// [`Refusal`] says why values are not read with it.
    pub fn admit(text: &str, references: &[&str]) -> Result<Self, Refusal> {
        let bytes = references
            .iter()
            .fold(text.len(), |sum, text| sum + text.len());
        if bytes > MAX_SCHEMA_BYTES {
            return Err(Refusal::TooLarge { bytes });
        }
        let broken = |error: apache_avro::Error| Refusal::Broken(error.to_string());
        let (schema, others) =
            Schema::parse_str_with_list(text, references.iter().copied()).map_err(broken)?;
        let mut definitions = HashMap::new();
        for schema in others.iter().chain([&schema]) {
            define(schema, &mut definitions);
        }
        let mut compiler = Compiler {
            definitions,
            compiled: HashMap::new(),
            open: HashSet::new(),
            shapes: Vec::new(),
            widths: Vec::new(),
            names: String::new(),
            keys: Vec::new(),
            depth: 0,
        };
        let variants = match &schema {
            Schema::Union(union) => union.variants(),
            other => std::slice::from_ref(other),
        };
        let mut roots = Vec::new();
        for variant in variants {
            let shape = compiler.compile(variant)?;
            let is_record = matches!(compiler.shapes[shape as usize], Shape::Record(_));
            let name = variant.name().filter(|_| is_record);
            let name = name.ok_or_else(|| Refusal::NotARecord {
                found: format!("{}", KindOf(variant)),
            })?;
            roots.push(Root {
                name: name.fullname(None).into(),
                shape,
            });
        }
        Ok(Self {
            shapes: compiler.shapes,
            names: compiler.names.into(),
            keys: compiler.keys.into(),
            roots,
            is_union: matches!(schema, Schema::Union(_)),
        })
    }
}

/// The kind of a schema, in the words of the specification.
struct KindOf<'a>(&'a Schema);

impl std::fmt::Display for KindOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = apache_avro::schema::SchemaKind::from(self.0.clone());
        write!(f, "{}", format!("{kind:?}").to_lowercase())
    }
}

type Definitions<'s> = HashMap<FullName, &'s Schema>;

/// Notes every named type that is defined in a schema.
fn define<'s>(schema: &'s Schema, definitions: &mut Definitions<'s>) {
    if let Some(name) = schema.name()
        && !matches!(schema, Schema::Ref { .. })
    {
        definitions.insert(name.clone(), schema);
    }
    match schema {
        Schema::Array(array) => define(&array.items, definitions),
        Schema::Map(map) => define(&map.types, definitions),
        Schema::Union(union) => {
            for variant in union.variants() {
                define(variant, definitions);
            }
        }
        Schema::Record(record) => {
            for field in &record.fields {
                define(&field.schema, definitions);
            }
        }
        _ => {}
    }
}

struct Compiler<'s> {
    definitions: Definitions<'s>,
    /// Named types that are done: each is compiled once, however often it is used.
    compiled: HashMap<FullName, u32>,
    /// Named types that are being compiled: to meet one again is a cycle.
    open: HashSet<FullName>,
    shapes: Vec<Shape>,
    /// Whether each shape takes at least a byte.
    widths: Vec<bool>,
    names: String,
    keys: Vec<Name>,
    depth: u32,
}

impl<'s> Compiler<'s> {
    fn compile(&mut self, schema: &'s Schema) -> Result<u32, Refusal> {
        let Some(name) = schema.name().cloned() else {
            return self.shape(schema);
        };
        if let Some(&place) = self.compiled.get(&name) {
            return Ok(place);
        }
        if !self.open.insert(name.clone()) {
            return Err(Refusal::Recursive {
                name: name.fullname(None),
            });
        }
        let definition = match schema {
            Schema::Ref { .. } => *self.definitions.get(&name).ok_or_else(|| {
                Refusal::Broken(format!("{} is not defined", name.fullname(None)))
            })?,
            other => other,
        };
        let place = self.shape(definition)?;
        self.open.remove(&name);
        self.compiled.insert(name, place);
        Ok(place)
    }

    fn shape(&mut self, schema: &'s Schema) -> Result<u32, Refusal> {
        let (shape, has_width) = match schema {
            Schema::Null => (Shape::Null, false),
            Schema::Boolean => (Shape::Boolean, true),
            Schema::Int => (Shape::Int, true),
            Schema::Long => (Shape::Long, true),
            Schema::Float => (Shape::Float, true),
            Schema::Double => (Shape::Double, true),
            Schema::Bytes => (Shape::Bytes, true),
            Schema::String | Schema::Uuid(UuidSchema::String) => (Shape::Text, true),
            Schema::Uuid(UuidSchema::Bytes) => (Shape::Uuid { fixed: false }, true),
            Schema::Uuid(UuidSchema::Fixed(fixed)) if fixed.size == 16 => {
                (Shape::Uuid { fixed: true }, true)
            }
            Schema::Duration(fixed) if fixed.size == 12 => (Shape::Duration, true),
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                (Shape::Fixed(size(fixed.size)?), fixed.size > 0)
            }
            Schema::Decimal(decimal) => Self::decimal(decimal)?,
            Schema::BigDecimal => (Shape::BigDecimal, true),
            Schema::Date => (Shape::Date, true),
            Schema::TimeMillis => (Shape::TimeOfDay(Unit::Millis), true),
            Schema::TimeMicros => (Shape::TimeOfDay(Unit::Micros), true),
            Schema::TimestampMillis => (Shape::DateTime(Unit::Millis, Offset::Utc), true),
            Schema::TimestampMicros => (Shape::DateTime(Unit::Micros, Offset::Utc), true),
            Schema::TimestampNanos => (Shape::DateTime(Unit::Nanos, Offset::Utc), true),
            Schema::LocalTimestampMillis => (Shape::DateTime(Unit::Millis, Offset::Unsaid), true),
            Schema::LocalTimestampMicros => (Shape::DateTime(Unit::Micros, Offset::Unsaid), true),
            Schema::LocalTimestampNanos => (Shape::DateTime(Unit::Nanos, Offset::Unsaid), true),
            Schema::Enum(symbols) => (self.symbols(symbols), true),
            Schema::Union(union) => (self.union(union.variants())?, true),
            Schema::Array(array) => {
                let items = self.within(|this| this.compile(&array.items))?;
                if !self.widths[items as usize] {
                    return Err(Refusal::NoWidth);
                }
                (Shape::Array(items), true)
            }
            Schema::Map(map) => {
                let values = self.within(|this| this.compile(&map.types))?;
                (Shape::Map(values), true)
            }
            Schema::Record(record) => self.within(|this| this.record(record))?,
            Schema::Ref { name } => return Err(Refusal::Broken(name.fullname(None))),
        };
        if self.shapes.len() >= MAX_SHAPES {
            return Err(Refusal::TooMany);
        }
        self.shapes.push(shape);
        self.widths.push(has_width);
        u32::try_from(self.shapes.len() - 1).map_err(|_| Refusal::TooMany)
    }

    /// One level deeper.
    fn within<T>(
        &mut self,
        compile: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if self.depth == MAX_DEPTH {
            return Err(Refusal::TooDeep);
        }
        self.depth += 1;
        let compiled = compile(self);
        self.depth -= 1;
        compiled
    }

    fn decimal(decimal: &DecimalSchema) -> Result<(Shape, bool), Refusal> {
        let scale = i64::try_from(decimal.scale).map_err(|_| Refusal::TooMany)?;
        Ok(match &decimal.inner {
            InnerDecimalSchema::Bytes => (Shape::Decimal { fixed: None, scale }, true),
            InnerDecimalSchema::Fixed(fixed) => {
                let shape = Shape::Decimal {
                    fixed: Some(size(fixed.size)?),
                    scale,
                };
                (shape, fixed.size > 0)
            }
        })
    }

    fn symbols(&mut self, schema: &EnumSchema) -> Shape {
        let names = schema.symbols.iter().map(|symbol| self.name(symbol));
        Shape::Enum(names.collect())
    }

    fn union(&mut self, variants: &'s [Schema]) -> Result<Shape, Refusal> {
        let places = variants
            .iter()
            .map(|variant| self.compile(variant))
            .collect::<Result<Box<[_]>, _>>()?;
        let is_null = |place: &u32| matches!(self.shapes[*place as usize], Shape::Null);
        Ok(match *places {
            [null, other] if is_null(&null) => Shape::Nullable { null: 0, other },
            [other, null] if is_null(&null) => Shape::Nullable { null: 1, other },
            _ => Shape::Union(places),
        })
    }

    fn record(&mut self, record: &'s RecordSchema) -> Result<(Shape, bool), Refusal> {
        let mut has_width = false;
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let shape = self.compile(&field.schema)?;
            has_width |= self.widths[shape as usize];
            fields.push(Field {
                name: self.name(&field.name),
                shape,
                fate: Fate::Kept,
                slots: Slots::default(),
                texts: 0,
            });
        }
        self.count_texts(&mut fields);
        // Inner records are done by now: the names of this one stand together.
        let keys = u32::try_from(self.keys.len()).map_err(|_| Refusal::TooMany)?;
        self.keys.extend(fields.iter().map(|field| field.name));
        let record = Record {
            fields: fields.into(),
            keys: Some(keys),
        };
        Ok((Shape::Record(record), has_width))
    }

    /// Notes where texts follow one another.
    fn count_texts(&self, fields: &mut [Field]) {
        let mut texts = 0;
        for field in fields.iter_mut().rev() {
            let is_text = match &self.shapes[field.shape as usize] {
                Shape::Text => true,
                Shape::Nullable { other, .. } => {
                    matches!(self.shapes[*other as usize], Shape::Text)
                }
                _ => false,
            };
            texts = if is_text {
                (texts + 1).min(MAX_TEXTS)
            } else {
                0
            };
            field.texts = u8::try_from(texts).unwrap_or(0);
        }
    }

    /// A schema is small, so that a `u32` counts its names.
    fn name(&mut self, name: &str) -> Name {
        let place = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let start = place(self.names.len());
        self.names.push_str(name);
        Name {
            start,
            end: place(self.names.len()),
        }
    }
}

fn size(size: usize) -> Result<u32, Refusal> {
    u32::try_from(size).map_err(|_| Refusal::TooMany)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(schema: &str) -> String {
        Program::admit(schema, &[]).unwrap_err().to_string()
    }

    fn record(fields: &str) -> String {
        format!(r#"{{"type": "record", "name": "a.R", "fields": [{fields}]}}"#)
    }

    #[test]
    fn what_could_not_be_decoded_within_bounds_is_refused() {
        let itself = r#"{"name": "next", "type": ["null", "R"]}"#;
        assert_eq!(
            refusal(&record(itself)),
            "a.R contains itself; recursive types are not read"
        );
        let through = r#"{"name": "b", "type": {"type": "record", "name": "B", "fields": [
            {"name": "back", "type": {"type": "array", "items": "R"}}]}}"#;
        assert!(refusal(&record(through)).contains("contains itself"));
        let no_width = [
            r#""null""#,
            r#"{"type": "fixed", "name": "F", "size": 0}"#,
            r#"{"type": "record", "name": "E", "fields": []}"#,
            r#"{"type": "record", "name": "E", "fields": [{"name": "n", "type": "null"}]}"#,
        ];
        for items in no_width {
            let field =
                format!(r#"{{"name": "a", "type": {{"type": "array", "items": {items}}}}}"#);
            assert_eq!(
                refusal(&record(&field)),
                "an array has items that take no bytes"
            );
        }
        let nested = |depth: usize| {
            let open = r#"{"type": "map", "values": "#.repeat(depth);
            let field = format!(
                r#"{{"name": "m", "type": {open}"int"{}}}"#,
                "}".repeat(depth)
            );
            record(&field)
        };
        assert!(Program::admit(&nested(100), &[]).is_ok());
        assert!(Program::admit(&nested(125), &[]).is_err());
        let large = record(&format!(
            r#"{{"name": "a", "type": "int", "doc": "{}"}}"#,
            "x".repeat(MAX_SCHEMA_BYTES)
        ));
        assert!(refusal(&large).contains("at most 524288 are accepted"));
    }

    #[test]
    fn a_value_must_be_a_record() {
        assert_eq!(
            refusal(r#""string""#),
            "it is string; a value must be a record, or a union of records"
        );
        assert!(refusal(r#"["null", "int"]"#).contains("it is null"));
        assert!(refusal("{").contains("it is no Avro schema"));
        assert!(refusal(&record(r#"{"name": "a", "type": "nowhere"}"#)).contains("nowhere"));
    }

    #[test]
    fn a_type_that_is_used_often_is_compiled_once() {
        // A hundred levels of two each: 2^100 places, if each were a copy.
        let mut fields = String::new();
        for level in 0..100 {
            let of = if level == 0 {
                "int".into()
            } else {
                format!("L{}", level - 1)
            };
            let comma = if level == 0 { "" } else { "," };
            let field = format!(
                r#"{comma}{{"name": "f{level}", "type": {{"type": "record", "name": "L{level}", "fields": [
                    {{"name": "a", "type": "{of}"}}, {{"name": "b", "type": "{of}"}}]}}}}"#
            );
            fields.push_str(&field);
        }
        let program = Program::admit(&record(&fields), &[]).unwrap();
        assert!(program.shapes.len() < 250);
    }

    #[test]
    fn types_of_other_schemas_are_found_by_name() {
        let other = r#"{"type": "record", "name": "b.Customer", "fields": [
            {"name": "id", "type": "string"}]}"#;
        let schema = record(r#"{"name": "customer", "type": "b.Customer"}"#);
        let program = Program::admit(&schema, &[other]).unwrap();
        assert_eq!(program.record_names().collect::<Vec<_>>(), ["a.R"]);
        assert!(refusal(&schema).contains("b.Customer"));
        let union = format!("[{schema}, {}]", other.replace("b.Customer", "c.C"));
        let program = Program::admit(&union, &[other]).unwrap();
        assert_eq!(program.record_names().collect::<Vec<_>>(), ["a.R", "c.C"]);
        assert!(program.is_union);
    }
}
