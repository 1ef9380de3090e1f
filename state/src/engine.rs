//! An event's whole way: read, held against the rules, the clock and what is remembered of its customer.

use std::hint::black_box;

use rules::decide::{Decider, Input};
use rules::{Rule, RuleSet};
use rust_decimal::Decimal;
use schemas::avro::SchemaId;
use schemas::control::unknown;
use schemas::{
    CampaignId, Claim, Control, DeadLetterReason, Event, Grant, Limits, Reader, Span, Unread,
};
use serde_json::value::RawValue;

use crate::audiences::{Audiences, Memberships};
use crate::claim::{Amends, amend};
use crate::codec::StateError;
use crate::customer::{Customer, Waiting};
use crate::decide::{Occasion, Winners, event_hash, grant, judge, matters_of, moment};
use crate::open::granted::{granted, is_asked};
use crate::open::{self, OpenMatch, Sequel, Winning};
use crate::partition::{Arrival, Partition};

/// Which events are taken, by their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTimes {
    /// An event may be so much older than the time of its partition. So long it is remembered, too.
    pub dedup_window: Span,
    /// An event may be so much ahead of the time of its record.
    pub max_ahead: Span,
}

/// What became of an event.
#[derive(Debug)]
pub enum Decided<'e> {
    /// It was taken in; and when it was decided, in milliseconds since 1970, which is part of a match of which something may
    /// become. [`Engine::take_sequels`] has what it made of matches before it.
    New(Event<'e>, i64),
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
    /// The audiences of its customer are asked for, and not known yet. It has left no trace: bring it again.
    #[error("the audiences of the customer are not known yet")]
    Audiences,
    /// What is remembered cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why a control record was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It can never be processed, and counts as taken in.
    #[error("the control record cannot be read")]
    Never(DeadLetterReason),
    /// What is remembered cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<ControlError> for Undecided {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Never(reason) => Self::Unread(Unread::Never(reason)),
            ControlError::State(error) => Self::State(error),
        }
    }
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
    /// When it was decided, in milliseconds since 1970.
    pub matched_at: i64,
    /// When it is confirmed; none if it is not held.
    pub confirm_at: Option<i64>,
}

/// What is due.
#[derive(Debug)]
pub enum Due<'r> {
    /// An event wins whose time to wait is over.
    Match(DueMatch<'r>),
    /// It would, and its customer is held out.
    HeldOut(DueMatch<'r>),
    /// A match that was held is confirmed.
    Sequel {
        /// Whose it is.
        customer_id: Box<str>,
        /// The match.
        sequel: Box<Sequel>,
    },
}

/// Decides events. Owned by one worker; its buffers serve one event after another.
#[derive(Debug)]
pub struct Engine {
    decider: Decider,
    times: EventTimes,
    undefined_rewards: u64,
    sequels: Vec<Sequel>,
    clock: Option<fn() -> i64>,
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
            sequels: Vec::new(),
            clock: None,
        }
    }

    /// The same with a clock, in milliseconds since 1970, that says when matches are decided of which something may become.
    /// Without one that is when their records were made.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> i64) -> Self {
        self.clock = Some(clock);
        self
    }

    /// What the last event made of matches before it, and of those that it won, in this order: behind its matches.
    pub fn take_sequels(&mut self) -> Vec<Sequel> {
        std::mem::take(&mut self.sequels)
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
    /// in `partition` what counts. `audiences` is asked at most once, and only if a campaign that the event concerns is not for everybody.
    ///
    /// # Errors
    /// [`Undecided`]; `winners` is then empty. An event that can never be processed counts as taken in; one that waits for its
    /// schema, or for the audiences of its customer, leaves no trace.
    pub fn decide<'i, 'r>(
        &mut self,
        input: impl Into<Input<'i>>,
        arrival: Arrival,
        rules: &'r RuleSet,
        (partition, audiences): (&mut Partition, &mut dyn Audiences),
        winners: &mut Winners<'r>,
    ) -> Result<Decided<'_>, Undecided> {
        winners.clear();
        self.sequels.clear();
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
        // Needed soon, and with many campaigns far away.
        black_box((winners.won.iter()).fold(0, |all, rule| all ^ rule.touch()));
        let asks_audiences = winners.won.iter().any(|rule| rule.audience().is_some());
        let memberships = if asks_audiences {
            let Some(memberships) = audiences.of(event.customer_id) else {
                winners.clear();
                return Err(Undecided::Audiences);
            };
            memberships
        } else {
            Memberships::default()
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
        // Of a campaign that nothing wins any more only returns matter.
        winners
            .won
            .retain(|rule| !rule.takes_back() || matters(rule, &event));
        if asks_audiences {
            winners
                .won
                .retain(|rule| matters_of(rule, &event, memberships));
        }
        // What concerns no campaign leaves no trace: there is nothing that could count twice.
        if winners.won.is_empty() {
            return Ok(Decided::New(event, time));
        }
        let customer = partition.touch(event.customer_id)?;
        let hash = event_hash(event.event_id);
        if customer.saw(hash) {
            winners.clear();
            return Ok(Decided::Duplicate(event));
        }
        customer.expire(oldest);
        customer.see(at, hash);
        let clock = self
            .clock
            .filter(|_| winners.won.iter().any(|rule| keeps_matches(rule)));
        let now = clock.map_or(time, |clock| clock());
        let occasion = Occasion {
            event: &event,
            offset,
            now,
            memberships,
        };
        self.undefined_rewards += judge(winners, occasion, customer, &mut self.sequels);
        Ok(Decided::New(event, now))
    }

    /// Does what a control record asks for: a record of `events` without a value, by the word of its header and its key.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn control<'k>(
        &self,
        word: &[u8],
        key: Option<&'k [u8]>,
        arrival: Arrival,
        partition: &mut Partition,
    ) -> Result<Decided<'k>, ControlError> {
        if !partition.is_new(arrival) {
            return Ok(Decided::TakenBefore);
        }
        match Control::read(word, key).map_err(ControlError::Never)? {
            (Control::Erase, customer) => {
                partition.forget(customer)?;
                Ok(Decided::Erased(customer))
            }
            _ => Err(ControlError::Never(unknown(word))),
        }
    }

    /// Gives back what a claim took that was refused, and says what its event wins instead: does what a control record of
    /// `events` with the word [`Control::Refused`], its key and its claim asks for. None if it was done before.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn refused<'r>(
        &mut self,
        (key, claim): (Option<&[u8]>, Option<&[u8]>),
        arrival: Arrival,
        rules: &'r RuleSet,
        partition: &mut Partition,
    ) -> Result<Option<Amends<'r>>, ControlError> {
        if !partition.is_new(arrival) {
            return Ok(None);
        }
        let claim = told_of(Control::Refused, (key, claim))?;
        Ok(Some(self.amend(claim, rules, partition)?))
    }

    /// Keeps the match of a claim that was granted: does what a control record of `events` with the word [`Control::Granted`],
    /// its key and its claim asks for. Returns whether it was new; [`Engine::take_sequels`] has what became of the match at once.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn granted(
        &mut self,
        (key, claim): (Option<&[u8]>, Option<&[u8]>),
        arrival: Arrival,
        partition: &mut Partition,
    ) -> Result<bool, ControlError> {
        self.sequels.clear();
        if !partition.is_new(arrival) {
            return Ok(false);
        }
        let claim = told_of(Control::Granted, (key, claim))?;
        let grant = claim
            .granted
            .as_ref()
            .ok_or(ControlError::Never(NO_CLAIM))?;
        let now = self.clock.map_or(arrival.time, |clock| clock());
        self.keep_granted(&claim, grant, now, partition)?;
        Ok(true)
    }

    /// The same for a claim that needs not come as a record, at that time, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`StateError`]: what is remembered cannot be read.
    pub fn keep_granted(
        &mut self,
        claim: &Claim<'_>,
        grant: &Grant,
        now: i64,
        partition: &mut Partition,
    ) -> Result<(), StateError> {
        // Who was forgotten stays so, and a look must not make them.
        let known = partition.customer(&claim.customer_id)?;
        if known.is_some_and(|known| is_asked(claim, &known)) {
            let customer = partition.touch(&claim.customer_id)?;
            granted(claim, grant, now, customer, &mut self.sequels);
        }
        Ok(())
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
            Some(known) if knows(&known, &claim) => {
                amend(&claim, rules, partition.touch(&claim.customer_id)?)
            }
            _ => Vec::new(),
        };
        let (held_out, won) =
            (won.into_iter()).partition(|(rule, _)| rule.holds_out(&claim.customer_id));
        Ok(Amends {
            claim,
            won,
            held_out,
        })
    }

    /// Takes out what is due of a customer at `now`, milliseconds since 1970: events whose time to wait is over and what they
    /// win, and matches that are confirmed. Call it until there is none.
    ///
    /// # Errors
    /// [`StateError`]: what is remembered cannot be read.
    pub fn next_due<'r>(
        &mut self,
        now: i64,
        rules: &'r RuleSet,
        partition: &mut Partition,
    ) -> Result<Vec<Due<'r>>, StateError> {
        let mut won: Vec<Due<'r>> = Vec::new();
        let mut sequels = Vec::new();
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
            let decided_at = self.clock.map_or(now, |clock| clock());
            open::confirm(now, decided_at, customer, &mut sequels);
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
                    let is_held_out = rule.holds_out(&id);
                    if rule.is_claimed() {
                        // If the claim is refused, it is known again by this.
                        customer.see(event.due, event_hash(&event.event_id));
                    }
                    let due = DueMatch {
                        rule,
                        customer_id: id.clone(),
                        confirm_at: open::confirm_at(rule, event.due),
                        event,
                        reward,
                        amount,
                        matched_at: decided_at,
                    };
                    if is_held_out {
                        won.push(Due::HeldOut(due));
                        continue;
                    }
                    if due.confirm_at.is_some() {
                        open::add(held(&due, amount), decided_at, customer, &mut sequels);
                    }
                    won.push(Due::Match(due));
                }
            }
            won.extend(sequels.drain(..).map(|sequel| Due::Sequel {
                customer_id: id.clone(),
                sequel: Box::new(sequel),
            }));
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

/// Whether an event matters to a campaign whose matches may be taken back: it may win, or is a return.
fn matters(rule: &Rule, event: &Event<'_>) -> bool {
    rule.is_live_for(event) || is_return(rule, event)
}

/// Whether an event takes matches of a campaign back.
pub(crate) fn is_return(rule: &Rule, event: &Event<'_>) -> bool {
    let returns = rule.history().and_then(rules::History::returns);
    returns.is_some_and(|returns| returns.is_met_by(event))
}

fn keeps_matches(rule: &Rule) -> bool {
    rule.history().is_some_and(rules::History::keeps_matches)
}

/// What is wrong with a control record that has no claim of its customer.
const NO_CLAIM: DeadLetterReason = DeadLetterReason::InvalidControl { what: "claim" };

/// Reads the claim of a control record of `events`.
fn told_of(
    control: Control,
    (key, claim): (Option<&[u8]>, Option<&[u8]>),
) -> Result<Claim<'static>, ControlError> {
    let read = Control::read(control.word().as_bytes(), key);
    let (_, customer) = read.map_err(ControlError::Never)?;
    let claim = claim.and_then(|json| serde_json::from_slice::<Claim<'static>>(json).ok());
    let claim = claim.filter(|it| it.customer_id == customer);
    claim.ok_or(ControlError::Never(NO_CLAIM))
}

/// Whether a customer's state knows the event of a claim: by its id, or by the match that it asks for.
fn knows(customer: &Customer, claim: &Claim<'_>) -> bool {
    customer.saw(event_hash(&claim.event_id)) || is_asked(claim, customer)
}

/// The match of an event that has waited, as it is held.
pub(crate) fn held(due: &DueMatch<'_>, amount: Decimal) -> OpenMatch {
    let DueMatch { rule, event, .. } = due;
    let winning = Winning {
        event_id: &event.event_id,
        event_type: &event.event_type,
        occurred_at: event.occurred_at,
        offset: event.offset,
        at: event.due,
    };
    let amount = rule.has_amount().then_some(amount);
    let reward = (due.reward.get().into(), amount);
    OpenMatch::new(rule, &winning, reward, due.matched_at)
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
