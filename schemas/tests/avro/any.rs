//! Any schema with any value of it, and what a document should say of that value.

use apache_avro::types::Value as Avro;
use apache_avro::{Days, Decimal, Duration, Millis, Months};
use jiff::{Timestamp, civil};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// A schema in the making: named types get their names when it is written.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(usize),
    Decimal(usize),
    Date,
    TimeMillis,
    TimestampMillis,
    TimestampMicros,
    LocalTimestampMicros,
    Duration,
    Array(Box<Kind>),
    Map(Box<Kind>),
    Nullable(Box<Kind>, bool),
    Union(Vec<Kind>),
    Record(Vec<Kind>),
}

use Kind::{
    Array, Boolean, Bytes, Date, Double, Enum, Fixed, Float, Int, LocalTimestampMicros, Long, Map,
    Null, Nullable, Record, Text, TimeMillis, TimestampMicros, TimestampMillis, Union,
};

pub(crate) fn any_kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Null),
        Just(Boolean),
        Just(Int),
        Just(Long),
        Just(Float),
        Just(Double),
        Just(Bytes),
        Just(Text),
        (1..20_usize).prop_map(Fixed),
        (1..5_usize).prop_map(Enum),
        (0..9_usize).prop_map(Kind::Decimal),
        Just(Date),
        Just(TimeMillis),
        Just(TimestampMillis),
        Just(TimestampMicros),
        Just(LocalTimestampMicros),
        Just(Kind::Duration),
    ];
    let kind = leaf.prop_recursive(4, 24, 5, |inner| {
        let item = inner.clone().prop_map(|kind| match kind {
            Null => Long,
            // A record of nulls takes no bytes either.
            Record(mut fields) => {
                fields.push(Int);
                Record(fields)
            }
            other => other,
        });
        let other = inner.clone().prop_map(|kind| match kind {
            Null | Nullable(..) | Union(_) => Text,
            other => other,
        });
        prop_oneof![
            item.prop_map(|item| Array(item.into())),
            inner.clone().prop_map(|value| Map(value.into())),
            (other, any::<bool>()).prop_map(|(other, first)| Nullable(other.into(), first)),
            Just(Union(vec![Null, Int, Text, Record(vec![Boolean])])),
            prop::collection::vec(inner, 0..5).prop_map(Record),
        ]
    });
    prop::collection::vec(kind, 0..6).prop_map(Record)
}

impl Kind {
    /// The schema; `named` counts the types that have a name.
    pub(crate) fn schema(&self, named: &mut u32) -> Json {
        let mut name = |prefix: &str| {
            *named += 1;
            format!("{prefix}{named}")
        };
        let logical = |kind: &str, logical: &str| json!({"type": kind, "logicalType": logical});
        match self {
            Null => json!("null"),
            Boolean => json!("boolean"),
            Int => json!("int"),
            Long => json!("long"),
            Float => json!("float"),
            Double => json!("double"),
            Bytes => json!("bytes"),
            Text => json!("string"),
            Fixed(size) => json!({"type": "fixed", "name": name("F"), "size": size}),
            Enum(symbols) => {
                let symbols: Vec<_> = (0..*symbols).map(|at| format!("S{at}")).collect();
                json!({"type": "enum", "name": name("E"), "symbols": symbols})
            }
            Kind::Decimal(scale) => json!({
                "type": "bytes", "logicalType": "decimal", "precision": 30, "scale": scale,
            }),
            Date => logical("int", "date"),
            TimeMillis => logical("int", "time-millis"),
            TimestampMillis => logical("long", "timestamp-millis"),
            TimestampMicros => logical("long", "timestamp-micros"),
            LocalTimestampMicros => logical("long", "local-timestamp-micros"),
            Kind::Duration => json!({
                "type": {"type": "fixed", "name": name("D"), "size": 12}, "logicalType": "duration",
            }),
            Array(items) => json!({"type": "array", "items": items.schema(named)}),
            Map(values) => json!({"type": "map", "values": values.schema(named)}),
            Nullable(other, true) => json!(["null", other.schema(named)]),
            Nullable(other, false) => json!([other.schema(named), "null"]),
            Union(variants) => variants.iter().map(|kind| kind.schema(named)).collect(),
            Record(fields) => {
                let name = name("R");
                let fields: Vec<_> = fields
                    .iter()
                    .enumerate()
                    .map(|(at, kind)| json!({"name": format!("f{at}"), "type": kind.schema(named)}))
                    .collect();
                json!({"type": "record", "name": name, "fields": fields})
            }
        }
    }

    /// Any value, as apache-avro takes it and as a document should say it.
    pub(crate) fn value(&self) -> BoxedStrategy<(Avro, Json)> {
        self.container().unwrap_or_else(|| self.scalar())
    }

    fn scalar(&self) -> BoxedStrategy<(Avro, Json)> {
        match self {
            Null => Just((Avro::Null, Json::Null)).boxed(),
            Boolean => any::<bool>()
                .prop_map(|value| (Avro::Boolean(value), value.into()))
                .boxed(),
            Int => any::<i32>()
                .prop_map(|value| (Avro::Int(value), value.into()))
                .boxed(),
            Long => any::<i64>()
                .prop_map(|value| (Avro::Long(value), value.into()))
                .boxed(),
            Float => any::<f32>()
                .prop_map(|value| (Avro::Float(value), number(&value.to_string())))
                .boxed(),
            Double => any::<f64>()
                .prop_map(|value| (Avro::Double(value), number(&value.to_string())))
                .boxed(),
            Bytes => bytes(0..8)
                .prop_map(|bytes| (Avro::Bytes(bytes.clone()), base64(&bytes).into()))
                .boxed(),
            Text => ".{0,12}"
                .prop_map(|text| (Avro::String(text.clone()), text.into()))
                .boxed(),
            Fixed(size) => bytes(*size..*size + 1)
                .prop_map(|bytes| {
                    let text = base64(&bytes);
                    (Avro::Fixed(bytes.len(), bytes), text.into())
                })
                .boxed(),
            Enum(symbols) => (0..*symbols)
                .prop_map(|at| {
                    let symbol = format!("S{at}");
                    let index = u32::try_from(at).unwrap();
                    (Avro::Enum(index, symbol.clone()), symbol.into())
                })
                .boxed(),
            Kind::Decimal(scale) => decimal(*scale),
            Date => (-700_000..2_900_000_i32)
                .prop_map(|days| {
                    let epoch = civil::date(1970, 1, 1);
                    let day = epoch + jiff::Span::new().days(days);
                    (Avro::Date(days), day.to_string().into())
                })
                .boxed(),
            TimeMillis => (0..86_400_000_i32)
                .prop_map(|millis| {
                    let time = civil::time(0, 0, 0, 0) + jiff::Span::new().milliseconds(millis);
                    (Avro::TimeMillis(millis), time.to_string().into())
                })
                .boxed(),
            TimestampMillis => (-62_000_000_000_000..253_000_000_000_000_i64)
                .prop_map(|millis| {
                    let moment = Timestamp::from_millisecond(millis).unwrap();
                    (Avro::TimestampMillis(millis), moment.to_string().into())
                })
                .boxed(),
            TimestampMicros => micros()
                .prop_map(|(micros, text)| (Avro::TimestampMicros(micros), text.into()))
                .boxed(),
            LocalTimestampMicros => micros()
                .prop_map(|(micros, text)| {
                    let local = text.trim_end_matches('Z');
                    (Avro::LocalTimestampMicros(micros), local.into())
                })
                .boxed(),
            Kind::Duration => (any::<u32>(), any::<u32>(), 0..100_u32)
                .prop_map(|(months, days, seconds)| {
                    let millis = Millis::new(seconds * 1000);
                    let value = Duration::new(Months::new(months), Days::new(days), millis);
                    let text = format!("P{months}M{days}DT{seconds}S");
                    (Avro::Duration(value), text.into())
                })
                .boxed(),
            _ => unreachable!("a container"),
        }
    }

    fn container(&self) -> Option<BoxedStrategy<(Avro, Json)>> {
        Some(match self {
            Array(items) => prop::collection::vec(items.value(), 0..4)
                .prop_map(|items| {
                    let (values, says): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                    (Avro::Array(values), says.into())
                })
                .boxed(),
            Map(values) => prop::collection::btree_map(".{0,4}", values.value(), 0..4)
                .prop_map(|entries| {
                    let of =
                        |(key, (value, _)): (&String, &(Avro, Json))| (key.clone(), value.clone());
                    let values = entries.iter().map(of).collect();
                    let says = entries
                        .into_iter()
                        .map(|(key, (_, says))| (key, says))
                        .collect();
                    (Avro::Map(values), Json::Object(says))
                })
                .boxed(),
            Nullable(other, first) => {
                let (null, there) = if *first { (0, 1) } else { (1, 0) };
                prop_oneof![
                    Just((Avro::Union(null, Avro::Null.into()), Json::Null)),
                    other
                        .value()
                        .prop_map(move |(value, says)| (Avro::Union(there, value.into()), says)),
                ]
                .boxed()
            }
            Union(variants) => {
                let variants: Vec<_> = variants.iter().map(Kind::value).collect();
                (0..variants.len())
                    .prop_flat_map(move |at| {
                        let index = u32::try_from(at).unwrap();
                        variants[at]
                            .clone()
                            .prop_map(move |(value, says)| (Avro::Union(index, value.into()), says))
                    })
                    .boxed()
            }
            Record(fields) => {
                let fields: Vec<_> = fields.iter().map(Kind::value).collect();
                fields
                    .prop_map(|fields| {
                        let named = |(at, field)| (format!("f{at}"), field);
                        let fields = fields.into_iter().enumerate().map(named);
                        let (mut values, mut says) = (Vec::new(), serde_json::Map::new());
                        for (name, (value, saying)) in fields {
                            values.push((name.clone(), value));
                            says.insert(name, saying);
                        }
                        (Avro::Record(values), Json::Object(says))
                    })
                    .boxed()
            }
            _ => return None,
        })
    }
}

fn bytes(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), size)
}

/// As JSON has it: null instead of infinities and NaN.
fn number(text: &str) -> Json {
    let value: f64 = text.parse().unwrap();
    let whole = value.fract() == 0.0 && value.abs() < 9e18;
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    if whole {
        (value as i64).into()
    } else if value.is_finite() {
        // The text of large numbers has no exponent in Rust, and is none that i64 holds.
        serde_json::from_str(&format!("{value}")).unwrap()
    } else {
        Json::Null
    }
}

fn decimal(scale: usize) -> BoxedStrategy<(Avro, Json)> {
    any::<i64>()
        .prop_map(move |unscaled| {
            let decimal = Decimal::from(unscaled.to_be_bytes());
            let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            let sign = if unscaled < 0 { "-" } else { "" };
            let fraction = fraction.trim_end_matches('0');
            let says = if fraction.is_empty() {
                format!("{sign}{whole}").parse::<i64>().unwrap().into()
            } else {
                number(&format!("{sign}{whole}.{fraction}"))
            };
            (Avro::Decimal(decimal), says)
        })
        .boxed()
}

fn micros() -> impl Strategy<Value = (i64, String)> {
    (-62_000_000_000_000_000..253_000_000_000_000_000_i64).prop_map(|micros| {
        (
            micros,
            Timestamp::from_microsecond(micros).unwrap().to_string(),
        )
    })
}

/// Bit by bit, unlike the code that it is to check.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = bytes
        .iter()
        .map(|byte| format!("{byte:08b}"))
        .collect::<Vec<_>>()
        .concat();
    while !bits.len().is_multiple_of(6) {
        bits.push('0');
    }
    let mut text: String = bits
        .as_bytes()
        .chunks(6)
        .map(|six| {
            let six = std::str::from_utf8(six).unwrap();
            char::from(ALPHABET[usize::from_str_radix(six, 2).unwrap()])
        })
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}
