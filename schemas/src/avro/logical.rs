//! What values of Avro's logical types mean in a document: times and dates as text (RFC 3339), decimals
//! as numbers, bytes as Base64.
//!
//! What lies beyond the years 0 to 9999 has no such text and stays the number it is.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::Number;

/// Steps of a time: what one second has of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    const fn a_second(self) -> i64 {
        match self {
            Self::Seconds => 1,
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => NANOS,
        }
    }

    /// Whole seconds, rounded down, and the nanoseconds beyond.
    const fn split(self, value: i64) -> (i64, i64) {
        let steps = self.a_second();
        let nanos = value.rem_euclid(steps) * (NANOS / steps);
        (value.div_euclid(steps), nanos)
    }

    /// The moment so many steps after 1970; `None` beyond what a [`Timestamp`] holds.
    pub(crate) fn instant(self, value: i64) -> Option<Timestamp> {
        let (seconds, nanos) = self.split(value);
        Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()
    }
}

const NANOS: i64 = 1_000_000_000;
const DAY: i64 = 24 * 60 * 60;

/// Whether the text ends in the `Z` of UTC, or says nothing of an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offset {
    Utc,
    Unsaid,
}

/// Writes a moment as RFC 3339 does, with as many decimals as it has: `2026-11-24T09:30:00.5Z`.
pub(crate) fn date_time(value: i64, unit: Unit, offset: Offset) -> Option<impl Fn(&mut String)> {
    let (seconds, nanos) = unit.split(value);
    let days = seconds.div_euclid(DAY);
    let (year, month, day) = civil(days)?;
    let second = seconds.rem_euclid(DAY);
    Some(move |text: &mut String| {
        // One piece: pushing each digit for itself costs as much as all of this.
        let mut whole = *b"0000-00-00T00:00:00";
        put_date(&mut whole, year, month, day);
        put_time(&mut whole[11..], second);
        push_ascii(text, &whole);
        push_fraction(text, nanos);
        if offset == Offset::Utc {
            text.push('Z');
        }
    })
}

/// Writes the day so many days after 1970-01-01: `2026-11-24`.
pub(crate) fn date(days: i64) -> Option<impl Fn(&mut String)> {
    let (year, month, day) = civil(days)?;
    Some(move |text: &mut String| {
        let mut whole = *b"0000-00-00";
        put_date(&mut whole, year, month, day);
        push_ascii(text, &whole);
    })
}

/// Writes a time of day: `09:30:00.25`.
pub(crate) fn time_of_day(value: i64, unit: Unit) -> Option<impl Fn(&mut String)> {
    let (seconds, nanos) = unit.split(value);
    (0..DAY)
        .contains(&seconds)
        .then_some(move |text: &mut String| {
            let mut whole = *b"00:00:00";
            put_time(&mut whole, seconds);
            push_ascii(text, &whole);
            push_fraction(text, nanos);
        })
}

/// Year, month and day of a day after 1970-01-01 in the Gregorian calendar, for the years 0 to 9999.
///
/// Counts in eras of 400 years that begin on the 1st of March, so that the day that leap years add is
/// the last of its year.
const fn civil(days: i64) -> Option<(i64, i64, i64)> {
    const ERA_DAYS: i64 = 146_097;
    const FROM_MARCH_0000: i64 = 719_468;
    // Before the year 0 and after 9999.
    if days < -719_528 || days > 2_932_896 {
        return None;
    }
    let days = days + FROM_MARCH_0000;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = if month_from_march < 10 {
        (month_from_march + 3, 0)
    } else {
        (month_from_march - 9, 1)
    };
    Some((era * 400 + year_of_era + next_year, month, day))
}

fn put_date(text: &mut [u8], year: i64, month: i64, day: i64) {
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
}

fn put_time(text: &mut [u8], second: i64) {
    put(&mut text[0..2], second / 3600);
    put(&mut text[3..5], second / 60 % 60);
    put(&mut text[6..8], second % 60);
}

/// Writes the last digits of a number that is not negative and has at most nine.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "parts of dates and times: small and not negative"
)]
fn put(digits: &mut [u8], number: i64) {
    // Division by a constant is a multiplication, and half as dear in 32 bits.
    let mut number = number as u32;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn push_fraction(text: &mut String, nanos: i64) {
    if nanos == 0 {
        return;
    }
    let mut digits = *b".000000000";
    put(&mut digits[1..], nanos);
    let end = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
    push_ascii(text, &digits[..=end]);
}

fn push_ascii(text: &mut String, ascii: &[u8]) {
    text.push_str(std::str::from_utf8(ascii).unwrap_or_default());
}

/// Writes a duration of months, days and milliseconds as ISO 8601 does: `P1M2DT3.004S`.
pub(crate) fn push_duration(text: &mut String, bytes: [u8; 12]) {
    let part = |at: usize| {
        let part = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        u32::from_le_bytes(part)
    };
    let (months, days, millis) = (part(0), part(4), part(8));
    // Writing to a string cannot fail.
    let _ = write!(text, "P{months}M{days}DT{}", millis / 1_000);
    push_fraction(text, i64::from(millis % 1_000) * 1_000_000);
    text.push('S');
}

/// Writes a UUID (RFC 9562) in its usual form.
pub(crate) fn push_uuid(text: &mut String, bytes: &[u8]) {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
}

/// Writes bytes as Base64 (RFC 4648, section 4, with padding).
pub(crate) fn push_base64(text: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let index = (bits >> shift) & 0x3f;
            text.push(if place > chunk.len() {
                '='
            } else {
                char::from(ALPHABET[index as usize])
            });
        }
    }
}

/// An unscaled decimal of Avro: two's complement, most significant byte first. `None` above 128 bits.
pub(crate) fn unscaled(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    let leading = bytes.iter().take_while(|byte| **byte == fill).count();
    let kept = &bytes[leading.min(bytes.len().saturating_sub(1))..];
    // What was left out was the sign's only if the sign is still told.
    let kept = match kept.first() {
        Some(first) if (*first >= 0x80) != negative => &bytes[leading.saturating_sub(1)..],
        _ => kept,
    };
    if kept.len() > 16 {
        return None;
    }
    let mut whole = [fill; 16];
    whole[16 - kept.len()..].copy_from_slice(kept);
    Some(i128::from_be_bytes(whole))
}

/// The number of a decimal: exact if it is whole and fits 64 bits, otherwise the nearest double. Above
/// 128 bits a double near it. `None` if it is too large for a double.
pub(crate) fn decimal_number(bytes: &[u8], scale: i64) -> Option<Number> {
    let Some(unscaled) = unscaled(bytes) else {
        return Number::from_f64(huge(bytes, scale));
    };
    if let Ok(small) = i64::try_from(unscaled) {
        if scale == 0 || small == 0 {
            return Some(Number::from_i64(small));
        }
        // Both are exact in a double, so that their quotient is the nearest to the decimal.
        if small.unsigned_abs() <= 1 << 53
            && let Some(power) = usize::try_from(scale).ok().and_then(|at| POWERS.get(at))
        {
            #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
            return Number::from_f64(small as f64 / power);
        }
    }
    let text = format!("{unscaled}e{}", scale.checked_neg()?);
    let number = text.parse().ok().and_then(Number::from_f64)?;
    Some(whole(unscaled, scale).map_or(number, Number::from_i64))
}

/// The powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The decimal, if it is whole and fits.
fn whole(unscaled: i128, scale: i64) -> Option<i64> {
    let power = 10_i128.checked_pow(u32::try_from(scale.unsigned_abs()).ok()?)?;
    let whole = if scale < 0 {
        unscaled.checked_mul(power)?
    } else if unscaled % power == 0 {
        unscaled / power
    } else {
        return None;
    };
    i64::try_from(whole).ok()
}

/// More than 128 bits: more digits than a double has by far.
fn huge(bytes: &[u8], scale: i64) -> f64 {
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let magnitude = bytes.iter().fold(0.0, |sum: f64, byte| {
        let byte = if negative { !byte } else { *byte };
        sum.mul_add(256.0, f64::from(byte))
    });
    let scaled = magnitude / 10_f64.powi(i32::try_from(scale).unwrap_or(i32::MAX));
    if negative { -scaled } else { scaled }
}

/// The exact text of a decimal without needless zeros: `10`, `-0.05`. `None` above 128 bits, and for a
/// scale that nobody needs.
pub(crate) fn decimal_text(bytes: &[u8], scale: i64) -> Option<String> {
    let unscaled = unscaled(bytes)?;
    let scale = usize::try_from(scale).ok().filter(|scale| *scale <= 100)?;
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// The number of a 32-bit float: what its shortest decimal says, as JSON writers print it. `None` for
/// infinities and NaN, which JSON does not have.
pub(crate) fn float_number(value: f32) -> Option<Number> {
    // Below 2^24 a float holds every whole number, and its shortest decimal is all of it.
    if value.fract() == 0.0 && value.abs() < 16_777_216.0 {
        return Number::from_f64(value.into());
    }
    value.to_string().parse().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, DateTime};
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn text(write: Option<impl Fn(&mut String)>) -> Option<String> {
        write.map(|write| {
            let mut text = String::new();
            write(&mut text);
            text
        })
    }

    #[test]
    fn times_and_dates_are_written_as_rfc_3339_has_them() {
        let utc = |value, unit| text(date_time(value, unit, Offset::Utc));
        let cases = [
            (0, Unit::Millis, "1970-01-01T00:00:00Z"),
            (-1, Unit::Millis, "1969-12-31T23:59:59.999Z"),
            (1_795_599_000_500, Unit::Millis, "2026-11-25T09:30:00.5Z"),
            (951_782_400, Unit::Seconds, "2000-02-29T00:00:00Z"),
            (1, Unit::Nanos, "1970-01-01T00:00:00.000000001Z"),
            (253_402_300_799, Unit::Seconds, "9999-12-31T23:59:59Z"),
            (-62_167_219_200, Unit::Seconds, "0000-01-01T00:00:00Z"),
        ];
        for (value, unit, expected) in cases {
            assert_eq!(utc(value, unit).as_deref(), Some(expected));
        }
        assert_eq!(utc(253_402_300_800, Unit::Seconds), None);
        assert_eq!(utc(-62_167_219_201, Unit::Seconds), None);
        assert_eq!(utc(i64::MIN, Unit::Seconds), None);
        assert_eq!(text(date(20_781)).as_deref(), Some("2026-11-24"));
        let time = |value| text(time_of_day(value, Unit::Millis));
        assert_eq!(time(34_200_250).as_deref(), Some("09:30:00.25"));
        assert_eq!(time(86_400_000), None);
        assert_eq!(time(-1), None);
    }

    #[test]
    fn decimals_are_numbers_and_exact_as_text() {
        let cases: [(&[u8], i64, &str, &str); 10] = [
            (&[0x1d, 0x4c], 2, "75", "75"),
            (&[0x1d, 0x56], 2, "75.1", "75.1"),
            (&[0xff], 2, "-0.01", "-0.01"),
            (&[], 2, "0", "0"),
            (&[0x00, 0x80], 0, "128", "128"),
            (&[0x80], 0, "-128", "-128"),
            (&[0xff, 0xff, 0x7f], 1, "-12.9", "-12.9"),
            (&[0; 20], 3, "0", "0"),
            (
                &[0x05],
                25,
                "0.0000000000000000000000005",
                "0.0000000000000000000000005",
            ),
            (
                &[0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0x00, 0x01],
                1,
                "100000000000000000",
                "100000000000000000.1",
            ),
        ];
        for (bytes, scale, number, exact) in cases {
            let found = decimal_number(bytes, scale).unwrap();
            assert_eq!(found.to_string(), number, "{bytes:?}");
            assert_eq!(decimal_text(bytes, scale).as_deref(), Some(exact));
        }
        // 2^159: more than 128 bits.
        let mut huge = [0; 21];
        huge[1] = 0x80;
        let expected = Number::from_f64(2_f64.powi(159) / 1e3);
        assert_eq!(decimal_number(&huge, 3), expected);
        assert_eq!(decimal_text(&huge, 3), None);
        assert_eq!(decimal_number(&[1], -400), None);
        assert_eq!(decimal_number(&[7], -2), Some(Number::from_i64(700)));
    }

    #[test]
    fn bytes_uuids_and_durations_have_a_text() {
        let mut text = String::new();
        // RFC 4648, section 10.
        for (bytes, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            text.clear();
            push_base64(&mut text, bytes.as_bytes());
            assert_eq!(text, expected);
        }
        text.clear();
        let uuid: Vec<u8> = (0..16).collect();
        push_uuid(&mut text, &uuid);
        assert_eq!(text, "00010203-0405-0607-0809-0a0b0c0d0e0f");
        text.clear();
        push_duration(&mut text, [1, 0, 0, 0, 2, 0, 0, 0, 0xbc, 0x0b, 0, 0]);
        assert_eq!(text, "P1M2DT3.004S");
    }

    #[test]
    fn a_float_is_the_decimal_that_people_see() {
        assert_eq!(float_number(0.1), Number::from_f64(0.1));
        assert_eq!(float_number(3.0), Some(Number::from_i64(3)));
        assert_eq!(float_number(-1.6028e28), Number::from_f64(-1.6028e28));
        assert_eq!(float_number(f32::NAN), None);
        assert_eq!(float_number(f32::INFINITY), None);
    }

    proptest! {
        #[test]
        fn any_moment_reads_as_the_calendar_has_it(
            micros in -62_167_219_200_000_000_i64..253_402_300_800_000_000,
        ) {
            let instant = Timestamp::from_microsecond(micros).unwrap();
            let utc = text(date_time(micros, Unit::Micros, Offset::Utc)).unwrap();
            prop_assert_eq!(utc.parse::<Timestamp>().unwrap(), instant);
            prop_assert_eq!(&utc, &instant.to_string());
            prop_assert_eq!(Unit::Micros.instant(micros), Some(instant));
            let local = text(date_time(micros, Unit::Micros, Offset::Unsaid)).unwrap();
            prop_assert_eq!(local.parse::<DateTime>().unwrap().to_string(), local);
            let days = micros.div_euclid(86_400_000_000);
            let day = text(date(days)).unwrap();
            prop_assert_eq!(&utc[..10], &*day);
            prop_assert!(day.parse::<Date>().is_ok());
        }

        #[test]
        fn any_decimal_is_the_nearest_number(unscaled in any::<i64>(), scale in 0_u32..28) {
            let exact = Decimal::from_i128_with_scale(unscaled.into(), scale);
            let bytes = unscaled.to_be_bytes();
            let number = decimal_number(&bytes, scale.into()).unwrap();
            let text = decimal_text(&bytes, scale.into()).unwrap();
            prop_assert_eq!(&text, &exact.normalize().to_string());
            let nearest = match text.parse::<i64>() {
                Ok(whole) => Number::from_i64(whole),
                Err(_) => Number::from_f64(text.parse().unwrap()).unwrap(),
            };
            prop_assert_eq!(number, nearest);
        }
    }
}
