//! Values as bytes.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{ASKED, CODES, EVENTS, FREE, GRANTED, HASH, NOTHING, NUMBER, STRETCHES, TOTAL};
use crate::memory::{Memory, Sum, Taken};
use crate::open::{Budgeted, EarlyReturn, OpenMatch};

/// Appends to the bytes of a record.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(super) fn count(&mut self, count: usize) {
        self.unsigned(count as u64);
    }

    pub(super) fn fixed(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn moment(&mut self, moment: Timestamp) {
        self.signed(moment.as_second());
        self.signed(moment.subsec_nanosecond().into());
    }

    /// Whether it is there, and what it is.
    pub(super) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn open(&mut self, won: &OpenMatch) {
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

    /// What the settler has to say of a match.
    pub(super) fn budgeted(&mut self, budget: Option<&Budgeted>) {
        match budget {
            None => self.0.push(FREE),
            Some(Budgeted::Asked) => self.0.push(ASKED),
            Some(Budgeted::Granted { claim, counted }) => {
                self.0.push(GRANTED);
                self.signed(*claim);
                self.count(counted.len());
                for counted in counted {
                    self.fixed(counted.identity);
                    self.optional(counted.by.as_deref(), Self::text);
                    self.optional(counted.value.as_deref(), Self::text);
                    self.optional(counted.period, Self::signed);
                }
            }
        }
    }

    pub(super) fn early(&mut self, early: &EarlyReturn) {
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
    pub(super) fn decimal(&mut self, value: Decimal) {
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

    pub(super) fn memory(&mut self, memory: &Memory) {
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
            Memory::Codes(codes) => {
                self.0.push(CODES);
                self.count(codes.len());
                for code in codes {
                    self.text(code);
                }
            }
        }
    }

    pub(super) fn sum(&mut self, sum: &Sum) {
        self.unsigned(sum.count);
        self.signed(sum.last);
        self.decimal(sum.sum);
        self.decimal(sum.min);
        self.decimal(sum.max);
    }
}
