//! Numbers of JSON.

use super::{Entry, Scan, Unreadable};
use crate::Number;

/// Whole numbers of so many digits fit an `i64`.
const WHOLE_DIGITS: usize = 18;
/// Digits of which a double holds every combination: 10¹⁵ is below 2⁵³.
const EXACT_DIGITS: usize = 15;

/// Powers of ten that doubles hold exactly. A number of [`EXACT_DIGITS`] divided by one of them is rounded once, and
/// so the nearest double (Clinger 1990, "How to read floating point numbers accurately").
const TENS: [f64; EXACT_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

impl Scan<'_, '_> {
    pub(super) fn number(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        let is_negative = self.peek() == b'-';
        self.at += usize::from(is_negative);
        let first = self.peek();
        let mut digits = 0u64;
        let whole = self.digits(&mut digits);
        if whole == 0 || (first == b'0' && whole > 1) {
            return Err(Unreadable);
        }
        let mut fraction = 0;
        if self.peek() == b'.' {
            self.at += 1;
            fraction = self.digits(&mut digits);
            if fraction == 0 {
                return Err(Unreadable);
            }
        }
        let has_exponent = matches!(self.peek(), b'e' | b'E');
        let number = if has_exponent {
            self.exponent()?;
            self.slow_number(start)?
        } else if fraction == 0 && whole <= WHOLE_DIGITS {
            let value = digits.cast_signed();
            Number::from_i64(if is_negative { -value } else { value })
        } else if fraction > 0 && whole + fraction <= EXACT_DIGITS {
            #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
            let value = digits as f64 / TENS[fraction];
            Number::from_f64(if is_negative { -value } else { value }).ok_or(Unreadable)?
        } else {
            self.slow_number(start)?
        };
        self.push(Entry::Number(number));
        Ok(())
    }

    /// Reads digits and says how many there were. Of more than 18 the value is wrong.
    #[inline]
    fn digits(&mut self, value: &mut u64) -> usize {
        let start = self.at;
        loop {
            let digit = self.peek().wrapping_sub(b'0');
            if digit > 9 {
                return self.at - start;
            }
            *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
    }

    fn exponent(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
        match self.digits(&mut 0) {
            0 => Err(Unreadable),
            _ => Ok(()),
        }
    }

    /// The number from `start` to here, which is one: of many digits, or with an exponent.
    #[cold]
    fn slow_number(&self, start: usize) -> Result<Number, Unreadable> {
        let text = &self.text[start..self.at];
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Number::from_i64(whole));
        }
        if let Ok(whole) = text.parse::<u64>() {
            return Ok(Number::from_u64(whole));
        }
        let double = text.parse().map_err(|_| Unreadable)?;
        Number::from_f64(double).ok_or(Unreadable)
    }
}
