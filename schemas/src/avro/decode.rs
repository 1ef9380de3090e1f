//! Bytes to a document, straight to its tape.
//!
//! Nothing is believed: lengths are held against the bytes that are left before anything is kept, and
//! what is kept is bounded by [`Limits`] however few bytes stand for it.

use jiff::Timestamp;

use super::AvroError;
use super::logical::{self, Unit};
use super::program::{Fate, Field, Program, SLOTS, Shape, Slot};
use crate::document::{Entry, MAX_DEPTH, Writer};
use crate::{Document, DocumentError, Limits, Number};

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
    ) -> Result<Self, AvroError> {
        if bytes.len() > limits.max_bytes as usize {
            return Err(AvroError::TooLarge {
                bytes: bytes.len(),
                max: limits.max_bytes,
            });
        }
        Ok(Self {
            program,
            bytes,
            at: 0,
            out: Writer::begin(document, &program.names),
            depth_left: limits.max_depth.min(MAX_DEPTH),
            limits,
            decimals,
            places: [None; SLOTS.len()],
            unit: None,
            instant: None,
        })
    }

    /// The number of the record that follows.
    pub(super) fn root(&mut self) -> Result<usize, AvroError> {
        if self.program.is_union {
            self.choice(self.program.roots.len())
        } else {
            Ok(0)
        }
    }

    /// Ends the value.
    pub(super) fn end(&self) -> Result<(), AvroError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            bytes => Err(AvroError::Trailing { bytes }),
        }
    }

    fn truncated(&self) -> AvroError {
        AvroError::Truncated {
            at: self.bytes.len(),
        }
    }

    fn value(&mut self, shape: u32) -> Result<(), AvroError> {
        match &self.program.shapes[shape as usize] {
            Shape::Null => self.out.push(Entry::Null),
            Shape::Boolean => {
                let value = self.boolean()?;
                self.out.push(Entry::Bool(value));
            }
            Shape::Int => {
                let value = self.int()?;
                self.out.number(Number::from_i64(value));
            }
            Shape::Long => {
                let value = self.long()?;
                self.out.number(Number::from_i64(value));
            }
            Shape::Float => {
                let number = logical::float_number(f32::from_le_bytes(self.chunk()?));
                self.number_or_null(number);
            }
            Shape::Double => {
                let number = Number::from_f64(f64::from_le_bytes(self.chunk()?));
                self.number_or_null(number);
            }
            Shape::Text => {
                let text = self.text()?;
                self.out.string(text);
            }
            Shape::Json => {
                let text = self.text()?;
                self.json(text)?;
            }
            Shape::Enum(symbols) => {
                let symbol = symbols[self.choice(symbols.len())?];
                self.out.push(Entry::Name {
                    start: symbol.start,
                    end: symbol.end,
                });
            }
            Shape::Nullable { null, other } => {
                if self.choice(2)? == usize::from(*null) {
                    self.out.push(Entry::Null);
                } else {
                    self.value(*other)?;
                }
            }
            Shape::Union(variants) => {
                let chosen = self.choice(variants.len())?;
                self.value(variants[chosen])?;
            }
            Shape::Array(items) => self.array(*items)?,
            Shape::Map(values) => self.map(*values)?,
            Shape::Record(fields) => {
                let at = self.open()?;
                self.fields(fields)?;
                self.close();
                self.out.end_object(at);
            }
            rarer => self.rarer(rarer)?,
        }
        Ok(())
    }

    /// Bytes and logical types.
    fn rarer(&mut self, shape: &Shape) -> Result<(), AvroError> {
        match *shape {
            Shape::Bytes => {
                let bytes = self.length_and_bytes()?;
                self.out.written(|text| logical::push_base64(text, bytes));
            }
            Shape::Fixed(size) => {
                let bytes = self.take(size as usize)?;
                self.out.written(|text| logical::push_base64(text, bytes));
            }
            Shape::Decimal { fixed, scale } => {
                let bytes = match fixed {
                    Some(size) => self.take(size as usize)?,
                    None => self.length_and_bytes()?,
                };
                self.decimal(bytes, scale);
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
                self.out.written(|text| logical::push_uuid(text, bytes));
            }
            Shape::Date => {
                let days = self.int()?;
                self.written_or_number(logical::date(days), days);
            }
            Shape::TimeOfDay(unit) => {
                let value = self.long()?;
                self.written_or_number(logical::time_of_day(value, unit), value);
            }
            Shape::DateTime(unit, offset) => {
                let value = self.long()?;
                self.written_or_number(logical::date_time(value, unit, offset), value);
            }
            Shape::Duration => {
                let bytes = self.chunk()?;
                self.out.written(|text| logical::push_duration(text, bytes));
            }
            _ => unreachable!("`value` reads the others"),
        }
        Ok(())
    }

    fn number_or_null(&mut self, number: Option<Number>) {
        self.out.push(number.map_or(Entry::Null, Entry::Number));
    }

    fn written_or_number(&mut self, write: Option<impl Fn(&mut String)>, value: i64) {
        match write {
            Some(write) => self.out.written(write),
            None => self.out.number(Number::from_i64(value)),
        }
    }

    fn decimal(&mut self, bytes: &[u8], scale: i64) {
        match self.decimals {
            Decimals::Numbers => self.number_or_null(logical::decimal_number(bytes, scale)),
            Decimals::Texts => match logical::decimal_text(bytes, scale) {
                Some(text) => self.out.string(&text),
                None => self.out.push(Entry::Null),
            },
        }
    }

    /// Bytes that hold the unscaled decimal with its length, and the scale.
    fn big_decimal(&mut self) -> Result<(), AvroError> {
        let at = self.at;
        let outer = self.length_and_bytes()?;
        let end = self.at;
        self.at = end - outer.len();
        let unscaled = self.length_and_bytes()?;
        let scale = self.long()?;
        if self.at != end {
            return Err(invalid(at, "decimal with its scale"));
        }
        self.decimal(unscaled, scale);
        Ok(())
    }

    fn json(&mut self, text: &str) -> Result<(), AvroError> {
        self.out
            .json(text, self.depth_left)
            .map_err(|error| match error {
                DocumentError::TooDeep { .. } => self.too_deep(),
                other => AvroError::Json(other.to_string()),
            })
    }

    fn too_deep(&self) -> AvroError {
        AvroError::TooDeep {
            max: self.limits.max_depth.min(MAX_DEPTH),
        }
    }

    /// Begins a container.
    fn open(&mut self) -> Result<u32, AvroError> {
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
    fn check_size(&self) -> Result<(), AvroError> {
        let max = self.limits.max_bytes;
        if self.out.len() > max || self.out.text_len() > max.saturating_mul(MAX_TEXT) {
            return Err(AvroError::TooMany { max });
        }
        Ok(())
    }

    fn array(&mut self, items: u32) -> Result<(), AvroError> {
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

    fn map(&mut self, values: u32) -> Result<(), AvroError> {
        let at = self.open()?;
        while let Some(count) = self.block()? {
            for _ in 0..count {
                self.check_size()?;
                let key = self.text()?;
                self.out.string(key);
                self.value(values)?;
            }
        }
        self.close();
        self.out.end_object(at);
        Ok(())
    }

    /// The record that is the value. `last` may write further fields.
    pub(super) fn root_record(
        &mut self,
        shape: u32,
        last: impl FnOnce(&mut Self),
    ) -> Result<(), AvroError> {
        let Shape::Record(fields) = &self.program.shapes[shape as usize] else {
            unreachable!("a root is a record");
        };
        let at = self.open()?;
        self.fields(fields)?;
        last(self);
        self.close();
        self.out.end_object(at);
        Ok(())
    }

    fn fields(&mut self, fields: &[Field]) -> Result<(), AvroError> {
        for field in fields {
            match field.fate {
                Fate::Kept => {}
                Fate::Hidden => {
                    let mark = self.out.mark();
                    self.value(field.shape)?;
                    self.out.back_to(mark);
                    continue;
                }
                Fate::Spread => {
                    self.spread()?;
                    continue;
                }
            }
            self.out.push(Entry::Name {
                start: field.name.start,
                end: field.name.end,
            });
            if field.slots.is_empty() {
                self.value(field.shape)?;
                continue;
            }
            for (slot, place) in self.places.iter_mut().enumerate() {
                if field.slots.has(slot) {
                    *place = Some(self.out.len());
                }
            }
            let begin = self.at;
            self.value(field.shape)?;
            if field.slots.has(Slot::OccurredAt as usize) {
                self.instant = self.instant_at(begin, field.shape);
            }
        }
        Ok(())
    }

    /// Puts the entries of a map of JSON texts beside the other fields.
    fn spread(&mut self) -> Result<(), AvroError> {
        while let Some(count) = self.block()? {
            for _ in 0..count {
                self.check_size()?;
                let key = self.text()?;
                let mark = self.out.mark();
                self.out.string(key);
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

    /// How many items follow; `None` at the end. Each takes at least a byte, so that there are no more
    /// than bytes are left.
    fn block(&mut self) -> Result<Option<u64>, AvroError> {
        let at = self.at;
        let count = self.long()?;
        if count < 0 {
            // Then the size of the block follows, for those who skip it.
            self.long()?;
        }
        let count = count.unsigned_abs();
        if count > (self.bytes.len() - self.at) as u64 {
            return Err(invalid(at, "number of items that the value has bytes for"));
        }
        Ok((count > 0).then_some(count))
    }

    fn boolean(&mut self) -> Result<bool, AvroError> {
        let at = self.at;
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(invalid(at, "boolean")),
        }
    }

    fn int(&mut self) -> Result<i64, AvroError> {
        let at = self.at;
        let value = self.long()?;
        if i32::try_from(value).is_err() {
            return Err(invalid(at, "int of 32 bits"));
        }
        Ok(value)
    }

    /// A number of variable length, least significant bits first, zigzag.
    #[inline]
    fn long(&mut self) -> Result<i64, AvroError> {
        let first = *self.bytes.get(self.at).ok_or_else(|| self.truncated())?;
        if first < 0x80 {
            self.at += 1;
            return Ok(zigzag(first.into()));
        }
        self.longer()
    }

    fn longer(&mut self) -> Result<i64, AvroError> {
        let mut bits = 0;
        for (index, byte) in self.bytes[self.at..].iter().take(10).enumerate() {
            let byte = u64::from(*byte);
            // The tenth byte holds the last of 64 bits.
            if index == 9 && byte > 1 {
                break;
            }
            bits |= (byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.at += index + 1;
                return Ok(zigzag(bits));
            }
        }
        if self.bytes.len() - self.at < 10 {
            return Err(self.truncated());
        }
        Err(invalid(self.at, "number of 64 bits"))
    }

    /// The number of one of so many.
    fn choice(&mut self, of: usize) -> Result<usize, AvroError> {
        let at = self.at;
        let chosen = self.long()?;
        match usize::try_from(chosen) {
            Ok(chosen) if chosen < of => Ok(chosen),
            _ => Err(invalid(at, "number of a branch or a symbol")),
        }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], AvroError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or_else(|| self.truncated())?;
        self.at += length;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], AvroError> {
        let rest = &self.bytes[self.at..];
        let chunk = rest.first_chunk().ok_or_else(|| self.truncated())?;
        self.at += N;
        Ok(*chunk)
    }

    #[inline]
    fn length_and_bytes(&mut self) -> Result<&'a [u8], AvroError> {
        let at = self.at;
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(length) => self.take(length),
            Err(_) => Err(invalid(at, "length")),
        }
    }

    #[inline]
    fn text(&mut self) -> Result<&'a str, AvroError> {
        let bytes = self.length_and_bytes()?;
        std::str::from_utf8(bytes).map_err(|error| AvroError::NotUtf8 {
            at: self.at - bytes.len() + error.valid_up_to(),
        })
    }
}

const fn invalid(at: usize, expected: &'static str) -> AvroError {
    AvroError::Invalid { at, expected }
}

#[expect(clippy::cast_possible_wrap, reason = "zigzag is defined by its bits")]
const fn zigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}
