//! The primitive values of Avro's binary encoding, as they follow each other in the bytes.

use super::{Decoder, Step, invalid};
use crate::avro::AvroError;

impl<'a> Decoder<'a, '_> {
    /// How many items follow; `None` at the end. Each takes at least a byte, so that there are no more
    /// than bytes are left.
    pub(super) fn block(&mut self) -> Step<Option<u64>> {
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

    pub(super) fn boolean(&mut self) -> Step<bool> {
        let at = self.at;
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(invalid(at, "boolean")),
        }
    }

    pub(super) fn int(&mut self) -> Step<i64> {
        let at = self.at;
        let value = self.long()?;
        if i32::try_from(value).is_err() {
            return Err(invalid(at, "int of 32 bits"));
        }
        Ok(value)
    }

    /// A number of variable length, least significant bits first, zigzag.
    #[inline]
    pub(super) fn long(&mut self) -> Step<i64> {
        let first = *self.bytes.get(self.at).ok_or_else(|| self.truncated())?;
        if first < 0x80 {
            self.at += 1;
            return Ok(zigzag(first.into()));
        }
        self.longer()
    }

    fn longer(&mut self) -> Step<i64> {
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
    pub(super) fn choice(&mut self, of: usize) -> Step<usize> {
        let at = self.at;
        let chosen = self.long()?;
        match usize::try_from(chosen) {
            Ok(chosen) if chosen < of => Ok(chosen),
            _ => Err(invalid(at, "number of a branch or a symbol")),
        }
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Step<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or_else(|| self.truncated())?;
        self.at += length;
        Ok(taken)
    }

    pub(super) fn chunk<const N: usize>(&mut self) -> Step<[u8; N]> {
        let rest = &self.bytes[self.at..];
        let chunk = rest.first_chunk().ok_or_else(|| self.truncated())?;
        self.at += N;
        Ok(*chunk)
    }

    #[inline]
    pub(super) fn length_and_bytes(&mut self) -> Step<&'a [u8]> {
        let at = self.at;
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(length) => self.take(length),
            Err(_) => Err(invalid(at, "length")),
        }
    }

    #[inline]
    pub(super) fn text(&mut self) -> Step<&'a str> {
        let bytes = self.length_and_bytes()?;
        std::str::from_utf8(bytes).map_err(|error| {
            Box::new(AvroError::NotUtf8 {
                at: self.at - bytes.len() + error.valid_up_to(),
            })
        })
    }
}

#[expect(clippy::cast_possible_wrap, reason = "zigzag is defined by its bits")]
const fn zigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}
