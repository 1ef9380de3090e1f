//! Bytes to a document, straight to its tape.
//!
//! Nothing is believed: lengths are held against the bytes that are left before anything is kept, and
//! what is kept is bounded by [`Limits`] however few bytes stand for it.

#![expect(
    clippy::unnecessary_box_returns,
    reason = "a step's error is boxed; see `Step`"
)]

mod primitives;

use jiff::Timestamp;

use super::AvroError;
use super::logical::{self, Unit};
use super::program::{Fate, Field, MAX_TEXTS, Program, Record, SLOTS, Shape, Slot};
use crate::document::{Entry, MAX_DEPTH, Writer};
use crate::{Document, DocumentError, Limits, Number};

/// The error is boxed: a result of two words stays in registers, and there is one for each number.
pub(super) type Step<T> = Result<T, Box<AvroError>>;

/// What a decimal becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decimals {
    /// A number, to be compared by rules.
    Numbers,
    /// Its exact text, to be paid.
    Texts,
}

/// Follows a program through the bytes of one value.
pub(super) struct Decoder<'a, 'd> {
    program: &'a Program,
    bytes: &'a [u8],
    at: usize,
    pub(super) out: Writer<'d>,
    depth_left: u32,
    limits: Limits,
    decimals: Decimals,
    /// Where the values of an event's fields stand.
    pub(super) places: [Option<u32>; SLOTS.len()],
    /// The event's time, where it is a number of these steps.
    pub(super) unit: Option<Unit>,
    pub(super) instant: Option<Timestamp>,
}

/// Text that a value may become, as a multiple of [`Limits::max_bytes`]: a time of 8 bytes is written
/// with 27.
const MAX_TEXT: u32 = 4;

impl<'a, 'd> Decoder<'a, 'd> {
    pub(super) fn begin(
        program: &'a Program,
        bytes: &'a [u8],
        limits: Limits,
        decimals: Decimals,
        document: &'d mut Document,
    ) -> Step<Self> {
        if bytes.len() > limits.max_bytes as usize {
            return Err(Box::new(AvroError::TooLarge {
                bytes: bytes.len(),
                max: limits.max_bytes,
            }));
        }
        Ok(Self {
            program,
            bytes,
            at: 0,
            out: Writer::begin(document, &program.names, &program.keys),
            depth_left: limits.max_depth.min(MAX_DEPTH),
            limits,
            decimals,
            places: [None; SLOTS.len()],
            unit: None,
            instant: None,
        })
    }

    /// The number of the record that follows.
    pub(super) fn root(&mut self) -> Step<usize> {
        if self.program.is_union {
            self.choice(self.program.roots.len())
        } else {
            Ok(0)
        }
    }

    /// Ends the value.
    pub(super) fn end(&self) -> Step<()> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            bytes => Err(Box::new(AvroError::Trailing { bytes })),
        }
    }

    #[cold]
    fn truncated(&self) -> Box<AvroError> {
        Box::new(AvroError::Truncated {
            at: self.bytes.len(),
        })
    }

    /// What stands at a place, the branches of unions chosen.
    #[inline]
    fn resolve(&mut self, mut place: u32) -> Step<&'a Shape> {
        let program = self.program;
        loop {
            match &program.shapes[place as usize] {
                Shape::Nullable { null, other } => {
                    if self.choice(2)? == usize::from(*null) {
                        return Ok(&Shape::Null);
                    }
                    place = *other;
                }
                Shape::Union(variants) => place = variants[self.choice(variants.len())?],
                shape => return Ok(shape),
            }
        }
    }

    fn value(&mut self, place: u32) -> Step<()> {
        let entry = match self.resolve(place)? {
            Shape::Text => {
                let text = self.text()?;
                self.out.string(text)
            }
            Shape::Int => Entry::Number(Number::from_i64(self.int()?)),
            Shape::Long => Entry::Number(Number::from_i64(self.long()?)),
            Shape::Double => or_null(Number::from_f64(f64::from_le_bytes(self.chunk()?))),
            Shape::Boolean => Entry::Bool(self.boolean()?),
            Shape::Null => Entry::Null,
            Shape::Enum(symbols) => symbols[self.choice(symbols.len())?].entry(),
            Shape::Json => {
                let text = self.text()?;
                return self.json(text);
            }
            Shape::Array(items) => return self.array(*items),
            Shape::Map(values) => return self.map(*values),
            Shape::Record(record) => return self.record(record),
            rarer => self.rarer(rarer)?,
        };
        self.out.push(entry);
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Step<()> {
        let at = self.open()?;
        if let Some(keys) = record.keys {
            // The names stand once for all in the program, the values follow one another.
            let mut rest = &*record.fields;
            while let Some((field, further)) = rest.split_first() {
                if field.texts > 1 && self.texts(&rest[..field.texts.into()]) {
                    rest = &rest[field.texts.into()..];
                    continue;
                }
                self.field_value(field)?;
                rest = further;
            }
            self.close();
            self.out.end_record(at, keys);
        } else {
            self.fields(&record.fields)?;
            self.close();
            self.out.end_object(at);
        }
        Ok(())
    }

    /// Bytes and logical types.
    fn rarer(&mut self, shape: &Shape) -> Step<Entry> {
        Ok(match *shape {
            Shape::Float => or_null(logical::float_number(f32::from_le_bytes(self.chunk()?))),
            Shape::Bytes => {
                let bytes = self.length_and_bytes()?;
                self.out.text(|text| logical::push_base64(text, bytes))
            }
            Shape::Fixed(size) => {
                let bytes = self.take(size as usize)?;
                self.out.text(|text| logical::push_base64(text, bytes))
            }
            Shape::Decimal { fixed, scale } => {
                let bytes = match fixed {
                    Some(size) => self.take(size as usize)?,
                    None => self.length_and_bytes()?,
                };
                self.decimal(bytes, scale)
            }
            Shape::BigDecimal => self.big_decimal()?,
            Shape::Uuid { fixed } => {
                let at = self.at;
                let bytes = if fixed {
                    self.take(16)?
                } else {
                    self.length_and_bytes()?
                };
                if bytes.len() != 16 {
                    return Err(invalid(at, "UUID of 16 bytes"));
                }
                self.out.text(|text| logical::push_uuid(text, bytes))
            }
            Shape::Date => {
                let days = self.int()?;
                self.written_or_number(logical::date(days), days)
            }
            Shape::TimeOfDay(unit) => {
                // Milliseconds are an int, microseconds a long.
                let value = match unit {
                    Unit::Millis => self.int()?,
                    Unit::Seconds | Unit::Micros | Unit::Nanos => self.long()?,
                };
                self.written_or_number(logical::time_of_day(value, unit), value)
            }
            Shape::DateTime(unit, offset) => {
                let value = self.long()?;
                self.written_or_number(logical::date_time(value, unit, offset), value)
            }
            Shape::Duration => {
                let bytes = self.chunk()?;
                self.out.text(|text| logical::push_duration(text, bytes))
            }
            _ => unreachable!("`value` reads the others"),
        })
    }

    fn written_or_number(&mut self, write: Option<impl Fn(&mut String)>, value: i64) -> Entry {
        match write {
            Some(write) => self.out.text(write),
            None => Entry::Number(Number::from_i64(value)),
        }
    }

    fn decimal(&mut self, bytes: &[u8], scale: i64) -> Entry {
        match self.decimals {
            Decimals::Numbers => or_null(logical::decimal_number(bytes, scale)),
            Decimals::Texts => match logical::decimal_text(bytes, scale) {
                Some(text) => self.out.string(&text),
                None => Entry::Null,
            },
        }
    }

    /// Bytes that hold the unscaled decimal with its length, and the scale.
    fn big_decimal(&mut self) -> Step<Entry> {
        let at = self.at;
        let outer = self.length_and_bytes()?;
        let end = self.at;
        self.at = end - outer.len();
        let unscaled = self.length_and_bytes()?;
        let scale = self.long()?;
        if self.at != end {
            return Err(invalid(at, "decimal with its scale"));
        }
        Ok(self.decimal(unscaled, scale))
    }

    fn json(&mut self, text: &str) -> Step<()> {
        self.out
            .json(text, self.depth_left)
            .map_err(|error| match error {
                DocumentError::TooDeep { .. } => self.too_deep(),
                other => Box::new(AvroError::Json(other.to_string())),
            })
    }

    fn too_deep(&self) -> Box<AvroError> {
        Box::new(AvroError::TooDeep {
            max: self.limits.max_depth.min(MAX_DEPTH),
        })
    }

    /// Begins a container.
    fn open(&mut self) -> Step<u32> {
        if self.depth_left == 0 {
            return Err(self.too_deep());
        }
        self.depth_left -= 1;
        self.check_size()?;
        Ok(self.out.open())
    }

    fn close(&mut self) {
        self.depth_left += 1;
    }

    /// Holds what was kept against the limits. Between two calls a schema adds no more than it has
    /// fields.
    fn check_size(&self) -> Step<()> {
        let max = self.limits.max_bytes;
        if self.out.len() > max || self.out.text_len() > max.saturating_mul(MAX_TEXT) {
            return Err(Box::new(AvroError::TooMany { max }));
        }
        Ok(())
    }

    fn array(&mut self, items: u32) -> Step<()> {
        let at = self.open()?;
        while let Some(count) = self.block()? {
            for _ in 0..count {
                self.check_size()?;
                self.value(items)?;
            }
        }
        self.close();
        self.out.end_array(at);
        Ok(())
    }

    fn map(&mut self, values: u32) -> Step<()> {
        let at = self.open()?;
        while let Some(count) = self.block()? {
            for _ in 0..count {
                self.check_size()?;
                let key = self.text()?;
                let key = self.out.string(key);
                self.out.push(key);
                self.value(values)?;
            }
        }
        self.close();
        self.out.end_object(at);
        Ok(())
    }

    /// The record that is the value. `last` may write further fields to one that has no keys of its own.
    pub(super) fn root_record(&mut self, shape: u32, last: impl FnOnce(&mut Self)) -> Step<()> {
        let Shape::Record(record) = &self.program.shapes[shape as usize] else {
            unreachable!("a root is a record");
        };
        self.record(record)?;
        last(self);
        if record.keys.is_none() {
            self.out.end_object(0);
        }
        Ok(())
    }

    /// Reads several texts at once, or nothing at all: then each is to be read for itself.
    ///
    /// Between texts stand their lengths and the numbers of branches. If each is one byte below 128, all of
    /// it is UTF-8 only if each text is, for a character is not cut by such a byte. To check and to copy one
    /// long piece takes half of the time that the short ones take.
    fn texts(&mut self, fields: &[Field]) -> bool {
        let mut found = [None; MAX_TEXTS];
        let mut rest = &self.bytes[self.at..];
        let all = rest;
        for (field, found) in fields.iter().zip(&mut found) {
            if let Shape::Nullable { null, .. } = self.program.shapes[field.shape as usize] {
                let Some((branch @ (0 | 2), after)) = rest.split_first() else {
                    return false;
                };
                rest = after;
                if branch / 2 == null {
                    continue;
                }
            }
            let Some((length @ ..0x80, after)) = rest.split_first() else {
                return false;
            };
            let length = usize::from(length / 2);
            if length * 2 != usize::from(rest[0]) || length > after.len() {
                return false;
            }
            let begin = all.len() - after.len();
            *found = Some((begin, begin + length));
            rest = &after[length..];
        }
        let piece = &all[..all.len() - rest.len()];
        let Ok(text) = std::str::from_utf8(piece) else {
            return false;
        };
        let Entry::String { start, .. } = self.out.string(text) else {
            unreachable!("a text is a string");
        };
        for (field, found) in fields.iter().zip(found) {
            self.note(field);
            self.out
                .push(found.map_or(Entry::Null, |(begin, end)| Entry::String {
                    start: start + place(begin),
                    end: start + place(end),
                }));
        }
        self.at += piece.len();
        true
    }

    /// Fields with their keys, and what becomes of those that are not simply kept.
    fn fields(&mut self, fields: &[Field]) -> Step<()> {
        for field in fields {
            match field.fate {
                Fate::Kept => {
                    self.out.push(field.name.entry());
                    self.field_value(field)?;
                }
                Fate::Hidden => {
                    let mark = self.out.mark();
                    self.value(field.shape)?;
                    self.out.back_to(mark);
                }
                Fate::Spread => self.spread()?,
            }
        }
        Ok(())
    }

    /// The value of a field, which may be a field of the event.
    #[inline]
    fn field_value(&mut self, field: &Field) -> Step<()> {
        if field.slots.is_empty() {
            return self.value(field.shape);
        }
        self.note(field);
        let begin = self.at;
        self.value(field.shape)?;
        if field.slots.has(Slot::OccurredAt as usize) {
            self.instant = self.instant_at(begin, field.shape);
        }
        Ok(())
    }

    /// Notes where the value of a field will stand, if the event has it.
    #[inline]
    fn note(&mut self, field: &Field) {
        if field.slots.is_empty() {
            return;
        }
        for (slot, place) in self.places.iter_mut().enumerate() {
            if field.slots.has(slot) {
                *place = Some(self.out.len());
            }
        }
    }

    /// Puts the entries of a map of JSON texts beside the other fields.
    fn spread(&mut self) -> Step<()> {
        while let Some(count) = self.block()? {
            for _ in 0..count {
                self.check_size()?;
                let key = self.text()?;
                let mark = self.out.mark();
                let entry = self.out.string(key);
                self.out.push(entry);
                let text = self.text()?;
                self.json(text)?;
                // They are the record's own.
                if SLOTS.contains(&key) {
                    self.out.back_to(mark);
                }
            }
        }
        Ok(())
    }

    /// The moment of the value that was read from there, if it is one.
    fn instant_at(&mut self, begin: usize, shape: u32) -> Option<Timestamp> {
        let end = std::mem::replace(&mut self.at, begin);
        let mut shape = shape;
        let instant = loop {
            match &self.program.shapes[shape as usize] {
                Shape::Nullable { null, other } if self.choice(2) != Ok(usize::from(*null)) => {
                    shape = *other;
                }
                Shape::DateTime(unit, logical::Offset::Utc) => {
                    break self.long().ok().and_then(|value| unit.instant(value));
                }
                Shape::Int | Shape::Long => {
                    let unit = self.unit;
                    break self.long().ok().and_then(|value| unit?.instant(value));
                }
                _ => break None,
            }
        };
        self.at = end;
        instant
    }
}

/// A place within a value, whose size fits.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("max_bytes fits u32")
}

fn or_null(number: Option<Number>) -> Entry {
    number.map_or(Entry::Null, Entry::Number)
}

#[cold]
fn invalid(at: usize, expected: &'static str) -> Box<AvroError> {
    Box::new(AvroError::Invalid { at, expected })
}
