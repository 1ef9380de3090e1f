//! What is remembered of one customer.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::codec::{self, StateError};
use crate::memory::{self, Memory};
use crate::open::{EarlyReturn, OpenMatch};

/// The state of a customer: events seen, counts kept, and what is waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Customer {
    /// Events that must not count again, in the order of their times.
    pub(crate) seen: Vec<Seen>,
    /// By the identity of what counts, in its order.
    pub(crate) memories: Vec<(u64, Kept)>,
    /// What is waited for.
    pub(crate) waiting: Vec<Waiting>,
    /// Matches that are not final, in the order in which they were made.
    pub(crate) open: Vec<OpenMatch>,
    /// Returns that have not found what they take back, in the order in which they came.
    pub(crate) early: Vec<EarlyReturn>,
}

/// An event that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at: i64,
    /// Of its id. Two events of one customer have the same hash once in some 10¹⁹ pairs.
    pub(crate) hash: u64,
}

/// A memory, and how long it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What is remembered.
    pub memory: Memory,
    /// The greatest time of an event that was added.
    pub touched: i64,
    pub(crate) retention: Retention,
}

impl Kept {
    /// Whether it is about the groups of one event of which a claim was refused.
    pub(crate) fn is_of_one_event(&self) -> bool {
        matches!(self.memory, Memory::Stretches(_)) && self.retention == Retention::For(0)
    }
}

/// How long something is remembered, beyond the time for which late events are taken. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// So long after its event, or after the begin of its stretch of time.
    For(i64),
    /// Until a session that it is part of cannot go on; the longest pause.
    Session(i64),
    /// For as long as the campaign is there.
    Ever,
}

/// An event that wins if nothing comes between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// When the time is over, in milliseconds since 1970.
    pub due: i64,
    /// The condition that waits.
    pub condition: u64,
    /// When the event was done.
    pub occurred_at: Timestamp,
    /// Offset of the event.
    pub offset: i64,
    /// The campaign that it wins.
    pub campaign_id: Box<str>,
    /// The event.
    pub event_id: Box<str>,
    /// Its type.
    pub event_type: Box<str>,
    /// What it wins, as JSON, if that depends on the event; otherwise empty.
    pub reward: Box<str>,
    /// The amount of it.
    pub amount: Decimal,
}

/// Nothing happens at that time.
pub(crate) const NEVER: i64 = i64::MAX;

impl Customer {
    /// Reads the bytes of a record.
    ///
    /// # Errors
    /// [`StateError`]: a later release wrote them, or nobody did.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        codec::read(bytes)
    }

    /// Appends the bytes of a record.
    pub fn write(&self, out: &mut Vec<u8>) {
        codec::write(self, out);
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
            && self.memories.is_empty()
            && self.waiting.is_empty()
            && self.is_final()
    }

    /// How many events are remembered as seen.
    pub fn seen(&self) -> usize {
        self.seen.len()
    }

    /// What is remembered of a condition or limit.
    pub fn memory(&self, identity: u64) -> Option<&Memory> {
        let place = self.memories.binary_search_by_key(&identity, |(it, _)| *it);
        Some(&self.memories[place.ok()?].1.memory)
    }

    /// All that is remembered, by the identity of what counts.
    pub fn memories(&self) -> impl Iterator<Item = (u64, &Kept)> {
        self.memories
            .iter()
            .map(|(identity, kept)| (*identity, kept))
    }

    /// What is waited for.
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// Whether nothing may become of the matches that were made.
    pub(crate) fn is_final(&self) -> bool {
        self.open.is_empty() && self.early.is_empty()
    }

    /// Whether the settler has something to do with what may become of them.
    pub(crate) fn has_budgeted(&self) -> bool {
        let mut open = self.open.iter();
        open.any(|won| won.budget.is_some()) || self.early.iter().any(|early| early.has_found)
    }

    /// Matches of which something may still become, in the order in which they were made.
    pub fn open(&self) -> &[OpenMatch] {
        &self.open
    }

    /// Returns that have not found what they take back.
    pub fn early(&self) -> &[EarlyReturn] {
        &self.early
    }

    /// The memory of that identity, if there is one, to be changed.
    pub(crate) fn memory_of(&mut self, identity: u64) -> Option<&mut Memory> {
        let place = self.memories.binary_search_by_key(&identity, |(it, _)| *it);
        Some(&mut self.memories[place.ok()?].1.memory)
    }

    /// The memory of that identity; a new one if there is none of that form.
    pub(crate) fn memory_mut(
        &mut self,
        identity: u64,
        at: i64,
        retention: Retention,
        new: impl FnOnce() -> Memory,
    ) -> &mut Memory {
        let place = self.memories.binary_search_by_key(&identity, |(it, _)| *it);
        let place = match place {
            Ok(place) => place,
            Err(place) => {
                let kept = Kept {
                    memory: new(),
                    touched: at,
                    retention,
                };
                self.memories.insert(place, (identity, kept));
                place
            }
        };
        let kept = &mut self.memories[place].1;
        kept.touched = kept.touched.max(at);
        kept.retention = retention;
        &mut kept.memory
    }

    /// Takes a match out of what a limit of that identity has counted, if it is there.
    pub(crate) fn give_back(&mut self, identity: u64, at: i64, amount: Decimal) {
        let place = self.memories.binary_search_by_key(&identity, |(it, _)| *it);
        let Ok(place) = place else {
            return;
        };
        memory::take_out(&mut self.memories[place].1.memory, at, amount);
        if self.memories[place].1.memory.is_empty() {
            self.memories.remove(place);
        }
    }

    /// Whether the event of that hash was seen.
    pub(crate) fn saw(&self, hash: u64) -> bool {
        self.seen.iter().rev().any(|seen| seen.hash == hash)
    }

    pub(crate) fn see(&mut self, at: i64, hash: u64) {
        let place = self.seen.iter().rposition(|seen| seen.at <= at);
        let place = place.map_or(0, |place| place + 1);
        self.seen.insert(place, Seen { at, hash });
    }

    /// When the first of what is waited for is due.
    pub(crate) fn due(&self) -> i64 {
        let dues = self.waiting.iter().map(|waiting| waiting.due);
        let held = self.open.iter().filter_map(OpenMatch::due);
        dues.chain(held).min().unwrap_or(NEVER)
    }

    /// The oldest time of events, after which all that expires has expired.
    pub(crate) fn stale_at(&self) -> i64 {
        let seen = self.seen.last().map(|seen| seen.at);
        let memories = self
            .memories
            .iter()
            .filter_map(|(_, kept)| match kept.retention {
                Retention::For(length) => Some(kept.touched.saturating_add(length)),
                Retention::Session(pause) => Some(kept.touched.saturating_add(pause)),
                Retention::Ever => None,
            });
        let open = self.open.iter().filter(|won| !won.waits());
        let open = open.filter_map(OpenMatch::until);
        let early = self.early.iter().map(EarlyReturn::until);
        memories
            .chain(seen)
            .chain(open)
            .chain(early)
            .max()
            .unwrap_or(NEVER)
    }

    /// Forgets what no event can ask for that is not older than `oldest`.
    pub(crate) fn expire(&mut self, oldest: i64) {
        let gone = self.seen.partition_point(|seen| seen.at < oldest);
        self.seen.drain(..gone);
        (self.open).retain(|won| won.waits() || won.until().is_some_and(|it| it >= oldest));
        self.early.retain(|early| early.until() >= oldest);
        // After an outage an event is decided long after its time to wait is over, by what was so then.
        let waiting = self.waiting.iter().map(|waiting| waiting.due);
        let oldest = waiting.min().map_or(oldest, |due| due.min(oldest));
        self.memories.retain_mut(|(_, kept)| match kept.retention {
            Retention::Ever => true,
            Retention::For(length) => match &mut kept.memory {
                Memory::Events(events) => {
                    memory::forget(events, oldest.saturating_sub(length));
                    !events.is_empty()
                }
                Memory::Stretches(stretches) => {
                    let until = oldest.saturating_sub(length);
                    let gone = stretches.partition_point(|(begin, _)| *begin < until);
                    stretches.drain(..gone);
                    !stretches.is_empty()
                }
                Memory::Total(_) | Memory::Codes(_) => true,
            },
            Retention::Session(pause) => match &mut kept.memory {
                Memory::Events(events) => {
                    // What comes is not older than `oldest`, and cannot bridge a pause before it.
                    let is_cut = |at: usize| {
                        let next = events.get(at + 1).map_or(oldest, |next| next.at);
                        next <= oldest && next.saturating_sub(events[at].at) > pause
                    };
                    let gone = (0..events.len()).rev().find(|at| is_cut(*at));
                    events.drain(..gone.map_or(0, |at| at + 1));
                    !events.is_empty()
                }
                _ => true,
            },
        });
    }

    /// Forgets what is kept for as long as its campaign is there, if that is there no more or over, and no event of late has
    /// touched it. What still waits for its time may ask for all of it, and what may be taken back gives it back.
    pub(crate) fn forget_unknown(&mut self, oldest: i64, is_known: &dyn Fn(u64, i64) -> bool) {
        if !self.waiting.is_empty() || !self.is_final() {
            return;
        }
        self.memories.retain(|(identity, kept)| {
            kept.retention != Retention::Ever
                || kept.touched >= oldest
                || is_known(*identity, oldest)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Sum;

    /// A customer of whom something is kept for as long as its campaign is there.
    fn remembered(waiting: Vec<Waiting>) -> Customer {
        let kept = Kept {
            memory: Memory::Total(Sum::default()),
            touched: 5,
            retention: Retention::Ever,
        };
        Customer {
            memories: vec![(7, kept)],
            waiting,
            ..Customer::default()
        }
    }

    fn waiting() -> Waiting {
        Waiting {
            due: 100,
            condition: 8,
            occurred_at: Timestamp::UNIX_EPOCH,
            offset: 0,
            campaign_id: "ten".into(),
            event_id: "e".into(),
            event_type: "t".into(),
            reward: Box::default(),
            amount: Decimal::ZERO,
        }
    }

    #[test]
    fn what_is_kept_for_ever_goes_when_its_campaign_is_over_and_nothing_can_ask_for_it() {
        let cases = [
            (6, false, Vec::new(), true, "of a campaign that is over"),
            (6, true, Vec::new(), false, "of one that goes on"),
            (5, false, Vec::new(), false, "touched of late"),
            (6, false, vec![waiting()], false, "while something waits"),
        ];
        for (oldest, is_known, waiting, goes, what) in cases {
            let mut customer = remembered(waiting);
            customer.forget_unknown(oldest, &|identity, at| {
                assert_eq!((identity, at), (7, oldest));
                is_known
            });
            assert_eq!(customer.memories.is_empty(), goes, "{what}");
        }
    }
}
