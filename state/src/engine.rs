//! An event's whole way: read, held against the rules, the clock and what is remembered of its customer.

use rules::decide::{Decider, Input};
use rules::{Rule, RuleSet};
use rust_decimal::Decimal;
use schemas::avro::SchemaId;
use schemas::control::unknown;
use schemas::{CampaignId, Claim, Control, DeadLetterReason, Event, Limits, Reader, Span, Unread};
use serde_json::value::RawValue;

use crate::claim::{Amends, amend};
use crate::codec::StateError;
use crate::customer::Waiting;
use crate::decide::{Winners, event_hash, grant, judge, moment};
use crate::partition::Partition;

/// Which events are taken, by their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTimes {
    /// An event may be so much older than the time of its partition. So long it is remembered, too.
    pub dedup_window: Span,
    /// An event may be so much ahead of the time of its record.
    pub max_ahead: Span,
}

/// How an event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Offset of its record; greater than that of the one before in the partition.
    pub offset: i64,
    /// The time of its record, in milliseconds since 1970, but not beyond the clock; of a record without a time, now.
    pub time: i64,
}

/// What became of an event.
#[derive(Debug)]
pub enum Decided<'e> {
    /// It was taken in.
    New(Event<'e>),
    /// An event of its id was seen within the dedup window: it counts for nothing.
    Duplicate(Event<'e>),
    /// It was no event: this customer is forgotten.
    Erased(&'e str),
    /// The record was taken in before; only a fault of the log brings it again.
    TakenBefore,
}

/// Why an event was not decided.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    /// It can never be processed, or waits for its schema.
    #[error("the event cannot be read")]
    Unread(Unread<DeadLetterReason>),
    /// What is remembered cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A match of an event whose time to wait is over.
#[derive(Debug)]
pub struct DueMatch<'r> {
    /// The campaign.
    pub rule: &'r Rule,
    /// Whose event it was.
    pub customer_id: Box<str>,
    /// The event.
    pub event: Waiting,
    /// What it wins, as JSON.
    pub reward: Box<RawValue>,
    /// The amount of it.
    pub amount: Decimal,
}

/// Decides events. Owned by one worker; its buffers serve one event after another.
#[derive(Debug)]
pub struct Engine {
    decider: Decider,
    times: EventTimes,
    undefined_rewards: u64,
}

/// Whether what counts by that identity is part of a campaign that is there, and can still take an event of that time, in
/// milliseconds since 1970, or of a later one.
pub type IsKnown<'a> = &'a dyn Fn(u64, i64) -> bool;

impl Engine {
    /// An engine for events that this reader reads, within those limits.
    pub fn new(reader: Reader, limits: Limits, times: EventTimes) -> Self {
        Self {
            decider: Decider::new(reader, limits),
            times,
            undefined_rewards: 0,
        }
    }

    /// How many campaigns were not won, since this was last asked, only because an expression of their reward has no
    /// value for the event.
    pub fn take_undefined_rewards(&mut self) -> u64 {
        std::mem::take(&mut self.undefined_rewards)
    }

    /// Whether headers of records matter.
    pub fn takes_headers(&self) -> bool {
        self.decider.takes_headers()
    }

    /// Whether there is an answer for a schema that was waited for.
    pub fn has_answer(&self, schema: SchemaId) -> bool {
        self.decider.has_answer(schema)
    }

    /// Decides an event: fills `winners` with what it wins, and remembers
    /// in `partition` what counts.
    ///
    /// # Errors
    /// [`Undecided`]; `winners` is then empty. An event that can never be processed counts as taken in; one that waits for its
    /// schema leaves no trace.
    pub fn decide<'i, 'r>(
        &mut self,
        input: impl Into<Input<'i>>,
        arrival: Arrival,
        rules: &'r RuleSet,
        partition: &mut Partition,
        winners: &mut Winners<'r>,
    ) -> Result<Decided<'_>, Undecided> {
        winners.clear();
        if arrival.offset <= partition.offset() {
            return Ok(Decided::TakenBefore);
        }
        let Arrival { offset, time } = arrival;
        let event = match self.decider.decide(input, rules, &mut winners.won) {
            Err(Unread::Waiting(schema)) => {
                return Err(Undecided::Unread(Unread::Waiting(schema)));
            }
            Err(never) => {
                partition.advance(time, offset);
                return Err(Undecided::Unread(never));
            }
            Ok(event) => event,
        };
        partition.advance(time, offset);
        let oldest = (partition.clock()).saturating_sub(self.times.dedup_window.as_millis());
        let latest = time.saturating_add(self.times.max_ahead.as_millis());
        let at = event.occurred_at.as_millisecond();
        if at < oldest || at > latest {
            winners.clear();
            let reason = if at < oldest {
                DeadLetterReason::TooLate {
                    occurred_at: event.occurred_at,
                    oldest: moment(oldest),
                }
            } else {
                DeadLetterReason::TooEarly {
                    occurred_at: event.occurred_at,
                    latest: moment(latest),
                }
            };
            return Err(Undecided::Unread(Unread::Never(reason)));
        }
        // What concerns no campaign leaves no trace: there is nothing that could count twice.
        if winners.won.is_empty() {
            return Ok(Decided::New(event));
        }
        let customer = partition.touch(event.customer_id)?;
        let hash = event_hash(event.event_id);
        if customer.saw(hash) {
            winners.clear();
            return Ok(Decided::Duplicate(event));
        }
        customer.expire(oldest);
        customer.see(at, hash);
        self.undefined_rewards += judge(winners, &event, offset, customer);
        Ok(Decided::New(event))
    }

    /// Does what a control record asks for: a record of `events` without a value, by the word of its header and its key.
    ///
    /// # Errors
    /// [`Undecided`]: it can never be processed, and counts as taken in.
    pub fn control<'k>(
        &self,
        word: &[u8],
        key: Option<&'k [u8]>,
        arrival: Arrival,
        partition: &mut Partition,
    ) -> Result<Decided<'k>, Undecided> {
        if arrival.offset <= partition.offset() {
            return Ok(Decided::TakenBefore);
        }
        partition.advance(arrival.time, arrival.offset);
        let read = Control::read(word, key);
        match read.map_err(|why| Undecided::Unread(Unread::Never(why)))? {
            (Control::Erase, customer) => {
                partition.forget(customer)?;
                Ok(Decided::Erased(customer))
            }
            _ => Err(Undecided::Unread(Unread::Never(unknown(word)))),
        }
    }

    /// Gives back what a claim took that was refused, and says what its event wins instead: does what a control record of
    /// `events` with the word [`Control::Refused`], its key and its claim asks for. None if it was done before.
    ///
    /// # Errors
    /// [`Undecided`]: it can never be processed, and counts as taken in.
    pub fn refused<'r>(
        &mut self,
        (key, claim): (Option<&[u8]>, Option<&[u8]>),
        arrival: Arrival,
        rules: &'r RuleSet,
        partition: &mut Partition,
    ) -> Result<Option<Amends<'r>>, Undecided> {
        if arrival.offset <= partition.offset() {
            return Ok(None);
        }
        partition.advance(arrival.time, arrival.offset);
        let never = |why| Undecided::Unread(Unread::Never(why));
        let read = Control::read(Control::Refused.word().as_bytes(), key);
        let (_, customer) = read.map_err(never)?;
        let claim = claim.and_then(|json| serde_json::from_slice::<Claim<'static>>(json).ok());
        let claim = claim.filter(|it| it.customer_id == customer);
        let what = "claim";
        let claim = claim.ok_or_else(|| never(DeadLetterReason::InvalidControl { what }))?;
        Ok(Some(self.amend(claim, rules, partition)?))
    }

    /// The same for a claim that needs not come as a record.
    ///
    /// # Errors
    /// [`StateError`]: what is remembered cannot be read.
    pub fn amend<'r>(
        &self,
        claim: Claim<'static>,
        rules: &'r RuleSet,
        partition: &mut Partition,
    ) -> Result<Amends<'r>, StateError> {
        // Who is not remembered any more has nothing to be given back, and a look must not make them.
        let known = partition.customer(&claim.customer_id)?;
        let won = match known {
            Some(known) if known.saw(event_hash(&claim.event_id)) => {
                amend(&claim, rules, partition.touch(&claim.customer_id)?)
            }
            _ => Vec::new(),
        };
        Ok(Amends { claim, won })
    }

    /// Takes out an event whose time to wait is over at `now`, milliseconds since 1970, and says what it wins. Call it until
    /// there is none.
    ///
    /// # Errors
    /// [`StateError`]: what is remembered cannot be read.
    pub fn next_due<'r>(
        &mut self,
        now: i64,
        rules: &'r RuleSet,
        partition: &mut Partition,
    ) -> Result<Vec<DueMatch<'r>>, StateError> {
        let mut won = Vec::new();
        while won.is_empty() {
            let Some(id) = partition.next_due(now)? else {
                break;
            };
            let customer = partition.touch(&id)?;
            let (due, waiting) = std::mem::take(&mut customer.waiting)
                .into_iter()
                .partition(|waiting| waiting.due <= now);
            customer.waiting = waiting;
            let mut due: Vec<Waiting> = due;
            due.sort_by(|a, b| (a.due, &a.event_id).cmp(&(b.due, &b.event_id)));
            for event in due {
                let Some(rule) = waited_for(rules, &event) else {
                    continue;
                };
                let Some((reward, amount)) = reward_of(rule, &event) else {
                    self.undefined_rewards += 1;
                    continue;
                };
                let history = rule.history();
                if history.is_none_or(|it| grant(it, event.due, amount, customer)) {
                    if !rule.totals().is_empty() {
                        // If the claim is refused, it is known again by this.
                        customer.see(event.due, event_hash(&event.event_id));
                    }
                    won.push(DueMatch {
                        rule,
                        customer_id: id.clone(),
                        event,
                        reward,
                        amount,
                    });
                }
            }
        }
        Ok(won)
    }

    /// Forgets what has expired of some customers; call it with each batch.
    ///
    /// # Errors
    /// [`StateError`]: what is remembered cannot be read.
    pub fn sweep(
        &self,
        partition: &mut Partition,
        customers: usize,
        is_known: IsKnown<'_>,
    ) -> Result<(), StateError> {
        let window = self.times.dedup_window.as_millis();
        let oldest = partition.clock().saturating_sub(window);
        partition.sweep(customers, oldest, is_known)
    }
}

/// What an event that waited wins, and the amount of it: what was worked out of the event, or what all matches of the
/// campaign have. None if the campaign has become one that asks the event, which nobody has any more.
pub(crate) fn reward_of(rule: &Rule, event: &Waiting) -> Option<(Box<RawValue>, Decimal)> {
    if !event.reward.is_empty() {
        let reward = RawValue::from_string(event.reward.to_string()).ok()?;
        return Some((reward, event.amount));
    }
    let amount = rule.constant_amount();
    let amount = amount.map_or(Decimal::ZERO, schemas::Amount::decimal);
    Some((rule.constant_reward()?.to_owned(), amount))
}

/// The campaign that an event waits for, if it is active and still waits for the same.
fn waited_for<'r>(rules: &'r RuleSet, event: &Waiting) -> Option<&'r Rule> {
    let id = CampaignId::new(&*event.campaign_id).ok()?;
    let rule = rules.rule(&id)?;
    let condition = rule.history()?.absent()?;
    let is_live = rule.schedule().contains(event.occurred_at);
    (is_live && condition.identity() == event.condition).then_some(rule)
}
