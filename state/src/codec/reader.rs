//! Values from bytes, none of which is believed.

use jiff::Timestamp;
use rust_decimal::Decimal;
use schemas::Counted;

use super::{
    ASKED, CODES, EVENTS, EVER, FIRST, FOR, FREE, GRANTED, HASH, NOTHING, NUMBER, SECOND, SESSION,
    STRETCHES, TOTAL, VERSION,
};
use crate::customer::{Customer, Kept, Retention, Seen, Waiting};
use crate::memory::{Memory, Remembered, Sum, Taken};
use crate::open::{Budgeted, EarlyReturn, OpenMatch, Returnable};
use crate::partition::Progress;

/// The bytes of a record, and how far they are read.
pub(super) struct Input<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// Why reading stops.
pub(super) enum Stop {
    Version(u8),
    Broken,
}

impl Input<'_> {
    pub(super) fn version(&mut self) -> Result<u8, Stop> {
        match self.byte()? {
            version @ FIRST..=VERSION => Ok(version),
            version => Err(Stop::Version(version)),
        }
    }

    pub(super) fn header(&mut self) -> Result<(i64, i64), Stop> {
        self.version()?;
        Ok((self.signed()?, self.signed()?))
    }

    pub(super) fn progress(&mut self) -> Result<Progress, Stop> {
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

    pub(super) fn customer(&mut self) -> Result<Customer, Stop> {
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
            let mut won = self.open()?;
            if version > SECOND {
                won.budget = self.budgeted()?;
                won.variant = self.optional(Self::text)?;
            }
            customer.open.push(won);
        }
        for _ in 0..self.count()? {
            let mut early = self.early()?;
            early.has_found = version > SECOND && self.truth()?;
            customer.early.push(early);
        }
        Ok(customer)
    }

    pub(super) fn open(&mut self) -> Result<OpenMatch, Stop> {
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
            budget: None,
            variant: None,
        })
    }

    pub(super) fn budgeted(&mut self) -> Result<Option<Budgeted>, Stop> {
        match self.byte()? {
            FREE => Ok(None),
            ASKED => Ok(Some(Budgeted::Asked)),
            GRANTED => {
                let claim = self.signed()?;
                let mut counted = Vec::new();
                for _ in 0..self.count()? {
                    counted.push(Counted {
                        identity: self.fixed()?,
                        by: self.optional(Self::text)?,
                        value: self.optional(Self::text)?,
                        period: self.optional(Self::signed)?,
                    });
                }
                Ok(Some(Budgeted::Granted { claim, counted }))
            }
            _ => Err(Stop::Broken),
        }
    }

    pub(super) fn returnable(&mut self) -> Result<Returnable, Stop> {
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

    pub(super) fn early(&mut self) -> Result<EarlyReturn, Stop> {
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
            has_found: false,
        })
    }

    pub(super) fn moment(&mut self) -> Result<Timestamp, Stop> {
        let (second, nanosecond) = (self.signed()?, self.signed()?);
        let nanosecond = i32::try_from(nanosecond).map_err(|_| Stop::Broken)?;
        Timestamp::new(second, nanosecond).map_err(|_| Stop::Broken)
    }

    pub(super) fn truth(&mut self) -> Result<bool, Stop> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Stop::Broken),
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        self.truth()?.then(|| read(self)).transpose()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::Broken)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn wide(&mut self) -> Result<u128, Stop> {
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

    pub(super) fn unsigned(&mut self) -> Result<u64, Stop> {
        u64::try_from(self.wide()?).map_err(|_| Stop::Broken)
    }

    pub(super) fn signed(&mut self) -> Result<i64, Stop> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// How many follow. Each takes a byte at least, so a number that cannot be true costs nothing.
    pub(super) fn count(&mut self) -> Result<usize, Stop> {
        let count = usize::try_from(self.unsigned()?).map_err(|_| Stop::Broken)?;
        if count > self.bytes.len() - self.at {
            return Err(Stop::Broken);
        }
        Ok(count)
    }

    pub(super) fn fixed(&mut self) -> Result<u64, Stop> {
        let bytes = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
        self.at += 8;
        bytes.map(|it| u64::from_le_bytes(*it)).ok_or(Stop::Broken)
    }

    pub(super) fn text(&mut self) -> Result<Box<str>, Stop> {
        let length = self.count()?;
        let bytes = self.bytes.get(self.at..self.at + length);
        self.at += length;
        let text = std::str::from_utf8(bytes.ok_or(Stop::Broken)?);
        text.map(Into::into).map_err(|_| Stop::Broken)
    }

    pub(super) fn decimal(&mut self) -> Result<Decimal, Stop> {
        let scale = self.byte()?;
        let value = self.wide()?;
        let digits = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
        Decimal::try_from_i128_with_scale(digits, scale.into()).map_err(|_| Stop::Broken)
    }

    pub(super) fn memory(&mut self) -> Result<Memory, Stop> {
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
            CODES => {
                let count = self.count()?;
                let codes = (0..count).map(|_| self.text()).collect::<Result<_, _>>()?;
                Ok(Memory::Codes(codes))
            }
            _ => Err(Stop::Broken),
        }
    }

    pub(super) fn sum(&mut self) -> Result<Sum, Stop> {
        Ok(Sum {
            count: self.unsigned()?,
            last: self.signed()?,
            sum: self.decimal()?,
            min: self.decimal()?,
            max: self.decimal()?,
        })
    }
}
