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
//! From version 3 on each match that is not final ends with what the settler has to say of it and its variant, and each return
//! says whether it has found something; and codes of pools are a kind of memory.
//!
//! A customer who has nothing that is new in a version is written in the one before, so that whoever uses none of it can
//! go back to the release before.
//!
//! Numbers are base-128 varints as in Avro and Protocol Buffers, signed ones zigzag; times in a list are the differences to
//! the one before. A reader refuses a version that it does not know, and takes every version before its own.

mod reader;
mod writer;

use self::reader::{Input, Stop};
use self::writer::Writer;
use crate::customer::{Customer, NEVER, Retention};
use crate::memory::Memory;
use crate::partition::Progress;

/// The newest version.
const VERSION: u8 = 3;

/// The version without variants, and without what budgets and matches that are not final have to do with each other.
const SECOND: u8 = 2;

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
const CODES: u8 = 3;

const FOR: u8 = 0;
const SESSION: u8 = 1;
const EVER: u8 = 2;

const FREE: u8 = 0;
const ASKED: u8 = 1;
const GRANTED: u8 = 2;

const NOTHING: u8 = 0;
const NUMBER: u8 = 1;
const HASH: u8 = 2;

/// Whether a customer has something that the version before cannot say.
fn is_of_the_newest(customer: &Customer) -> bool {
    let mut memories = customer.memories.iter();
    customer.has_budgeted()
        || customer.open.iter().any(|won| won.variant.is_some())
        || memories.any(|(_, kept)| matches!(kept.memory, Memory::Codes(_)))
}

/// Writes a customer's state.
pub(crate) fn write(customer: &Customer, out: &mut Vec<u8>) {
    let mut out = Writer(out);
    let version = match () {
        () if is_of_the_newest(customer) => VERSION,
        () if customer.is_final() => FIRST,
        () => SECOND,
    };
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
        if version > SECOND {
            out.budgeted(won.budget.as_ref());
            out.optional(won.variant.as_deref(), Writer::text);
        }
    }
    out.count(customer.early.len());
    for early in &customer.early {
        out.early(early);
        if version > SECOND {
            out.0.push(early.has_found.into());
        }
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

#[cfg(test)]
mod tests;
