//! The bytes of a customer's state, as they stand in the changelog and in memory.
//!
//! ```text
//! version  1
//! stale    when all that expires will have expired
//! due      when the first of what is waited for is due
//! seen     count, then for each: time, hash
//! memories count, then for each: identity, touched, retention, kind, content
//! waiting  count, then for each: due, condition, event, …
//! open     count, then for each: campaign, event, reward, …          (from version 2 on)
//! early    count, then for each: what it asks for, event, …           (from version 2 on)
//! ```
//!
//! A customer who has nothing that is new in a version is written in the one before, so that whoever uses none of it can
//! go back to the release before.
//!
//! Numbers are base-128 varints as in Avro and Protocol Buffers, signed ones zigzag; times in a list are the differences to
//! the one before. A reader refuses a version that it does not know, and takes every version before its own.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::customer::{Customer, Kept, NEVER, Retention, Seen, Waiting};
use crate::memory::{Memory, Remembered, Sum, Taken};
use crate::open::{EarlyReturn, OpenMatch, Returnable};
use crate::partition::Progress;

/// The newest version.
const VERSION: u8 = 2;

/// The version without matches that are not final, and of the progress of a partition.
const FIRST: u8 = 1;

/// Why bytes are no state of a customer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Written by a later release.
    #[error("the state is of version {0}; this release reads up to {VERSION}, upgrade it")]
    Version(u8),
    /// Not what a matcher wrote.
    #[error("the state is broken at byte {at}")]
    Broken {
        /// Where reading stopped.
        at: usize,
    },
    /// Where customers are kept cannot be read or written. What is there is not to be believed any more; the changelog has
    /// all of it.
    #[error("what is remembered of customers cannot be reached: {0}")]
    Base(String),
}

const EVENTS: u8 = 0;
const STRETCHES: u8 = 1;
const TOTAL: u8 = 2;

const FOR: u8 = 0;
const SESSION: u8 = 1;
const EVER: u8 = 2;

const NOTHING: u8 = 0;
const NUMBER: u8 = 1;
const HASH: u8 = 2;

/// Writes a customer's state.
pub(crate) fn write(customer: &Customer, out: &mut Vec<u8>) {
    let mut out = Writer(out);
    let version = if customer.is_final() { FIRST } else { VERSION };
    out.0.push(version);
    out.signed(customer.stale_at());
    out.signed(customer.due());
    out.count(customer.seen.len());
    let mut before = 0;
    for seen in &customer.seen {
        out.signed(seen.at.wrapping_sub(before));
        before = seen.at;
        out.fixed(seen.hash);
    }
    out.count(customer.memories.len());
    for (identity, kept) in &customer.memories {
        out.fixed(*identity);
        out.signed(kept.touched);
        let (kind, length) = match kept.retention {
            Retention::For(length) => (FOR, length),
            Retention::Session(pause) => (SESSION, pause),
            Retention::Ever => (EVER, 0),
        };
        out.0.push(kind);
        out.signed(length);
        out.memory(&kept.memory);
    }
    out.count(customer.waiting.len());
    for waiting in &customer.waiting {
        out.signed(waiting.due);
        out.fixed(waiting.condition);
        out.signed(waiting.occurred_at.as_second());
        out.signed(waiting.occurred_at.subsec_nanosecond().into());
        out.signed(waiting.offset);
        out.text(&waiting.campaign_id);
        out.text(&waiting.event_id);
        out.text(&waiting.event_type);
        out.text(&waiting.reward);
        out.decimal(waiting.amount);
    }
    if version == FIRST {
        return;
    }
    out.count(customer.open.len());
    for won in &customer.open {
        out.open(won);
    }
    out.count(customer.early.len());
    for early in &customer.early {
        out.early(early);
    }
}

/// Reads a customer's state.
pub(crate) fn read(bytes: &[u8]) -> Result<Customer, StateError> {
    let mut input = Input { bytes, at: 0 };
    let read = input.customer();
    match read {
        Err(Stop::Version(version)) => Err(StateError::Version(version)),
        Ok(customer) if input.at == bytes.len() => Ok(customer),
        _ => Err(StateError::Broken { at: input.at }),
    }
}

/// When all that expires will have expired, and when the first of what is waited for is due, without reading the rest.
pub(crate) fn header(bytes: &[u8]) -> Result<(i64, i64), StateError> {
    let mut input = Input { bytes, at: 0 };
    match input.header() {
        Ok(header) => Ok(header),
        Err(Stop::Version(version)) => Err(StateError::Version(version)),
        Err(Stop::Broken) => Err(StateError::Broken { at: input.at }),
    }
}

/// When the first of what is waited for is due; none if nothing is.
pub(crate) fn due(bytes: &[u8]) -> Result<Option<i64>, StateError> {
    let (_, due) = header(bytes)?;
    Ok((due != NEVER).then_some(due))
}

/// Writes how far a partition was read.
pub(crate) fn write_progress(progress: Progress, out: &mut Vec<u8>) {
    let mut out = Writer(out);
    out.0.push(FIRST);
    out.signed(progress.clock);
    out.signed(progress.offset);
    if let Some(lineage) = progress.lineage {
        out.fixed(lineage);
    }
}

/// Reads how far a partition was read. The first releases wrote no lineage, and pass over it.
pub(crate) fn read_progress(bytes: &[u8]) -> Result<Progress, StateError> {
    let mut input = Input { bytes, at: 0 };
    match input.progress() {
        Ok(progress) => Ok(progress),
        Err(Stop::Version(version)) => Err(StateError::Version(version)),
        Err(Stop::Broken) => Err(StateError::Broken { at: input.at }),
    }
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn count(&mut self, count: usize) {
        self.unsigned(count as u64);
    }

    fn fixed(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn moment(&mut self, moment: Timestamp) {
        self.signed(moment.as_second());
        self.signed(moment.subsec_nanosecond().into());
    }

    /// Whether it is there, and what it is.
    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn open(&mut self, won: &OpenMatch) {
        self.text(&won.campaign_id);
        self.unsigned(won.campaign_version);
        self.signed(won.campaigns_offset);
        self.text(&won.event_id);
        self.text(&won.event_type);
        self.moment(won.occurred_at);
        self.signed(won.offset);
        self.signed(won.matched_at);
        self.text(&won.reward);
        self.optional(won.amount, Self::decimal);
        self.optional(won.confirm_at, Self::signed);
        self.optional(won.confirmed_at, Self::signed);
        self.optional(won.returns.as_ref(), |out, returns| {
            out.fixed(returns.identity);
            out.fixed(returns.tie);
            out.signed(returns.within);
            out.decimal(returns.original);
            out.decimal(returns.returned);
            out.unsigned(returns.decimals.into());
            out.count(returns.counted.len());
            for (identity, key) in &returns.counted {
                out.fixed(*identity);
                out.signed(*key);
            }
        });
        self.decimal(won.reversed);
        self.0.push(won.is_reversed.into());
    }

    fn early(&mut self, early: &EarlyReturn) {
        self.fixed(early.identity);
        self.fixed(early.tie);
        self.signed(early.within);
        self.text(&early.event_id);
        self.text(&early.event_type);
        self.moment(early.occurred_at);
        self.signed(early.offset);
        let part = match early.taken {
            rules::history::Taken::Whole => None,
            rules::history::Taken::Part(part) => Some(part),
        };
        self.optional(part, Self::decimal);
    }

    /// The scale, then the digits as a number with a sign.
    fn decimal(&mut self, value: Decimal) {
        let value = value.normalize();
        let digits = value.mantissa();
        let mut rest = ((digits << 1) ^ (digits >> 127)).cast_unsigned();
        self.0.push(value.scale().to_le_bytes()[0]);
        while rest >= 0x80 {
            self.0.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.0.push(rest.to_le_bytes()[0]);
    }

    fn memory(&mut self, memory: &Memory) {
        match memory {
            Memory::Events(events) => {
                self.0.push(EVENTS);
                // All events of a memory have the same taken from them.
                let kind = match events.first().map(|it| it.taken) {
                    None | Some(Taken::Nothing) => NOTHING,
                    Some(Taken::Number(_)) => NUMBER,
                    Some(Taken::Hash(_)) => HASH,
                };
                self.0.push(kind);
                self.count(events.len());
                let mut before = 0;
                for event in events {
                    self.signed(event.at.wrapping_sub(before));
                    before = event.at;
                    match event.taken {
                        Taken::Nothing => {}
                        Taken::Number(value) => self.decimal(value),
                        Taken::Hash(hash) => self.fixed(hash),
                    }
                }
            }
            Memory::Stretches(stretches) => {
                self.0.push(STRETCHES);
                self.count(stretches.len());
                for (begin, sum) in stretches {
                    self.signed(*begin);
                    self.sum(sum);
                }
            }
            Memory::Total(sum) => {
                self.0.push(TOTAL);
                self.sum(sum);
            }
        }
    }

    fn sum(&mut self, sum: &Sum) {
        self.unsigned(sum.count);
        self.signed(sum.last);
        self.decimal(sum.sum);
        self.decimal(sum.min);
        self.decimal(sum.max);
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

enum Stop {
    Version(u8),
    Broken,
}

impl Input<'_> {
    fn version(&mut self) -> Result<u8, Stop> {
        match self.byte()? {
            version @ FIRST..=VERSION => Ok(version),
            version => Err(Stop::Version(version)),
        }
    }

    fn header(&mut self) -> Result<(i64, i64), Stop> {
        self.version()?;
        Ok((self.signed()?, self.signed()?))
    }

    fn progress(&mut self) -> Result<Progress, Stop> {
        let (clock, offset) = self.header()?;
        let lineage = if self.at < self.bytes.len() {
            Some(self.fixed()?)
        } else {
            None
        };
        Ok(Progress {
            clock,
            offset,
            lineage,
        })
    }

    fn customer(&mut self) -> Result<Customer, Stop> {
        let version = self.version()?;
        let (_stale_at, _due) = (self.signed()?, self.signed()?);
        let mut customer = Customer::default();
        let mut before = 0_i64;
        for _ in 0..self.count()? {
            before = before.wrapping_add(self.signed()?);
            let hash = self.fixed()?;
            customer.seen.push(Seen { at: before, hash });
        }
        for _ in 0..self.count()? {
            let identity = self.fixed()?;
            let touched = self.signed()?;
            let (kind, length) = (self.byte()?, self.signed()?);
            let retention = match kind {
                FOR => Retention::For(length),
                SESSION => Retention::Session(length),
                EVER => Retention::Ever,
                _ => return Err(Stop::Broken),
            };
            let kept = Kept {
                memory: self.memory()?,
                touched,
                retention,
            };
            customer.memories.push((identity, kept));
        }
        for _ in 0..self.count()? {
            let due = self.signed()?;
            let condition = self.fixed()?;
            let occurred_at = self.moment()?;
            let offset = self.signed()?;
            let waiting = Waiting {
                due,
                condition,
                occurred_at,
                offset,
                campaign_id: self.text()?,
                event_id: self.text()?,
                event_type: self.text()?,
                reward: self.text()?,
                amount: self.decimal()?,
            };
            customer.waiting.push(waiting);
        }
        if version == FIRST {
            return Ok(customer);
        }
        for _ in 0..self.count()? {
            customer.open.push(self.open()?);
        }
        for _ in 0..self.count()? {
            customer.early.push(self.early()?);
        }
        Ok(customer)
    }

    fn open(&mut self) -> Result<OpenMatch, Stop> {
        Ok(OpenMatch {
            campaign_id: self.text()?,
            campaign_version: self.unsigned()?,
            campaigns_offset: self.signed()?,
            event_id: self.text()?,
            event_type: self.text()?,
            occurred_at: self.moment()?,
            offset: self.signed()?,
            matched_at: self.signed()?,
            reward: self.text()?,
            amount: self.optional(Self::decimal)?,
            confirm_at: self.optional(Self::signed)?,
            confirmed_at: self.optional(Self::signed)?,
            returns: self.optional(Self::returnable)?,
            reversed: self.decimal()?,
            is_reversed: self.truth()?,
        })
    }

    fn returnable(&mut self) -> Result<Returnable, Stop> {
        let (identity, tie) = (self.fixed()?, self.fixed()?);
        let within = self.signed()?;
        let (original, returned) = (self.decimal()?, self.decimal()?);
        let decimals = u32::try_from(self.unsigned()?).map_err(|_| Stop::Broken)?;
        let mut counted = Vec::new();
        for _ in 0..self.count()? {
            counted.push((self.fixed()?, self.signed()?));
        }
        Ok(Returnable {
            identity,
            tie,
            within,
            original,
            returned,
            decimals,
            counted,
        })
    }

    fn early(&mut self) -> Result<EarlyReturn, Stop> {
        Ok(EarlyReturn {
            identity: self.fixed()?,
            tie: self.fixed()?,
            within: self.signed()?,
            event_id: self.text()?,
            event_type: self.text()?,
            occurred_at: self.moment()?,
            offset: self.signed()?,
            taken: self
                .optional(Self::decimal)?
                .map_or(rules::history::Taken::Whole, rules::history::Taken::Part),
        })
    }

    fn moment(&mut self) -> Result<Timestamp, Stop> {
        let (second, nanosecond) = (self.signed()?, self.signed()?);
        let nanosecond = i32::try_from(nanosecond).map_err(|_| Stop::Broken)?;
        Timestamp::new(second, nanosecond).map_err(|_| Stop::Broken)
    }

    fn truth(&mut self) -> Result<bool, Stop> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Stop::Broken),
        }
    }

    fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        self.truth()?.then(|| read(self)).transpose()
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::Broken)?;
        self.at += 1;
        Ok(byte)
    }

    fn wide(&mut self) -> Result<u128, Stop> {
        let mut value = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Stop::Broken)
    }

    fn unsigned(&mut self) -> Result<u64, Stop> {
        u64::try_from(self.wide()?).map_err(|_| Stop::Broken)
    }

    fn signed(&mut self) -> Result<i64, Stop> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// How many follow. Each takes a byte at least, so a number that cannot be true costs nothing.
    fn count(&mut self) -> Result<usize, Stop> {
        let count = usize::try_from(self.unsigned()?).map_err(|_| Stop::Broken)?;
        if count > self.bytes.len() - self.at {
            return Err(Stop::Broken);
        }
        Ok(count)
    }

    fn fixed(&mut self) -> Result<u64, Stop> {
        let bytes = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
        self.at += 8;
        bytes.map(|it| u64::from_le_bytes(*it)).ok_or(Stop::Broken)
    }

    fn text(&mut self) -> Result<Box<str>, Stop> {
        let length = self.count()?;
        let bytes = self.bytes.get(self.at..self.at + length);
        self.at += length;
        let text = std::str::from_utf8(bytes.ok_or(Stop::Broken)?);
        text.map(Into::into).map_err(|_| Stop::Broken)
    }

    fn decimal(&mut self) -> Result<Decimal, Stop> {
        let scale = self.byte()?;
        let value = self.wide()?;
        let digits = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
        Decimal::try_from_i128_with_scale(digits, scale.into()).map_err(|_| Stop::Broken)
    }

    fn memory(&mut self) -> Result<Memory, Stop> {
        match self.byte()? {
            EVENTS => {
                let kind = self.byte()?;
                let count = self.count()?;
                let mut events = Vec::with_capacity(count);
                let mut at = 0_i64;
                for _ in 0..count {
                    at = at.wrapping_add(self.signed()?);
                    let taken = match kind {
                        NOTHING => Taken::Nothing,
                        NUMBER => Taken::Number(self.decimal()?),
                        HASH => Taken::Hash(self.fixed()?),
                        _ => return Err(Stop::Broken),
                    };
                    events.push(Remembered { at, taken });
                }
                Ok(Memory::Events(events))
            }
            STRETCHES => {
                let mut stretches = Vec::new();
                for _ in 0..self.count()? {
                    stretches.push((self.signed()?, self.sum()?));
                }
                Ok(Memory::Stretches(stretches))
            }
            TOTAL => self.sum().map(Memory::Total),
            _ => Err(Stop::Broken),
        }
    }

    fn sum(&mut self) -> Result<Sum, Stop> {
        Ok(Sum {
            count: self.unsigned()?,
            last: self.signed()?,
            sum: self.decimal()?,
            min: self.decimal()?,
            max: self.decimal()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use rules::history::Taken as Returned;

    use super::*;

    /// A customer as the first release wrote it: one event seen, a sum over all time, and an event that waits.
    const FIRST_RELEASE: &[u8] = &[
        1, 10, 200, 1, // version, stale, due
        1, 10, 7, 0, 0, 0, 0, 0, 0, 0, // seen
        1, 9, 0, 0, 0, 0, 0, 0, 0, 10, 2, 0, 2, 1, 10, 1, 50, 1, 50, 1, 50, // memories
        1, 200, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 3, b't', b'e', b'n', 1, b'e', 1, b't', 0, 0, 0,
    ];

    fn open() -> OpenMatch {
        OpenMatch {
            campaign_id: "ten".into(),
            campaign_version: 3,
            campaigns_offset: -1,
            event_id: "e".into(),
            event_type: "t".into(),
            occurred_at: Timestamp::new(1, 5).unwrap(),
            offset: 7,
            matched_at: 1_001,
            reward: "{}".into(),
            amount: Some(Decimal::new(1000, 2)),
            confirm_at: Some(2_000),
            confirmed_at: None,
            returns: Some(Returnable {
                identity: 1,
                tie: 2,
                within: 3,
                original: Decimal::from(75),
                returned: Decimal::from(25),
                decimals: 2,
                counted: vec![(4, 5), (6, -7)],
            }),
            reversed: Decimal::new(333, 2),
            is_reversed: false,
        }
    }

    #[test]
    fn what_the_first_release_wrote_is_read_and_written_as_it_was() {
        let customer = read(FIRST_RELEASE).unwrap();
        assert_eq!(customer.seen, [Seen { at: 5, hash: 7 }]);
        let sum = Sum {
            count: 1,
            last: 5,
            sum: Decimal::new(25, 1),
            min: Decimal::new(25, 1),
            max: Decimal::new(25, 1),
        };
        assert_eq!(customer.memory(9), Some(&Memory::Total(sum)));
        assert_eq!(customer.waiting()[0].campaign_id, "ten".into());
        assert!(customer.is_final());
        let mut written = Vec::new();
        write(&customer, &mut written);
        assert_eq!(written, FIRST_RELEASE);
    }

    #[test]
    fn matches_that_are_not_final_come_back_and_nothing_is_read_of_a_part() {
        let mut customer = read(FIRST_RELEASE).unwrap();
        customer.open = vec![
            open(),
            OpenMatch {
                amount: None,
                confirm_at: None,
                returns: None,
                is_reversed: true,
                ..open()
            },
        ];
        for taken in [Returned::Whole, Returned::Part(Decimal::new(5, 1))] {
            customer.early.push(EarlyReturn {
                identity: 1,
                tie: 2,
                within: 3,
                event_id: "r".into(),
                event_type: "refund".into(),
                occurred_at: Timestamp::new(-1, -5).unwrap(),
                offset: 8,
                taken,
            });
        }
        let mut written = Vec::new();
        write(&customer, &mut written);
        assert_eq!(written[0], 2);
        assert_eq!(read(&written).unwrap(), customer);
        assert_eq!(due(&written), Ok(Some(100)));
        for end in 0..written.len() {
            assert!(matches!(
                read(&written[..end]),
                Err(StateError::Broken { .. })
            ));
        }
        written[0] = 3;
        assert_eq!(read(&written), Err(StateError::Version(3)));
    }
}
