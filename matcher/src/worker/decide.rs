//! The duty of a matcher: events to matches and claims.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use rules::decide::Record;
use rules::{Rule, RuleSet};
use schemas::names::header;
use schemas::{Control, DeadLetterReason, Encoding, Limits, Reader, Unread};
use service::kafka::record;
use state::{
    Arrival, ControlError, Decided, Due, Engine, EventTimes, Partition, StateError, Undecided,
    Winners,
};

use super::Rebuild;
use super::breakers::BreakerCounts;
use super::clock::Clock;
use super::dead_letters::DeadLetters;
use super::duty::{Batch, Duty};
use super::emit::{Emitter, Outputs, Written};
use super::held_out::HeldOut;
use super::metrics::{Tally, WorkerMetrics};
use crate::audiences::Audiences;
use crate::campaigns::{Armed, Counted};
use crate::group::Until;
use crate::series::Counts;

/// What an event that counts adds to the size of its batch: its customer's record of the changelog, about.
const STATE_BYTES: usize = 128;

/// Customers looked at with each batch and partition for what has expired.
const SWEPT: usize = 64;

/// What deciding events takes.
pub(crate) struct DecideSettings {
    pub(crate) events_topic: String,
    pub(crate) matches_topic: String,
    pub(crate) claims_topic: String,
    pub(crate) refusals_topic: String,
    pub(crate) dead_letters_topic: String,
    pub(crate) times: EventTimes,
    /// How matches are written.
    pub(crate) encoding: Encoding,
    pub(crate) limits: Limits,
}

/// Decides events.
pub(crate) struct Decide {
    /// The campaigns in force, loaded once a batch.
    in_force: Arc<ArcSwap<RuleSet>>,
    rules: Arc<RuleSet>,
    counted: Counted,
    metrics: WorkerMetrics,
    engine: Engine,
    clock: Clock,
    emitter: Emitter,
    dead_letters: DeadLetters,
    breakers: BreakerCounts,
    audiences: Audiences,
    tally: Tally,
    by_campaign: Counts,
}

impl Decide {
    /// `reader` is for events.
    pub(crate) fn new(
        settings: DecideSettings,
        reader: Reader,
        (in_force, counted, armed): (Arc<ArcSwap<RuleSet>>, Counted, Armed),
        audiences: Audiences,
        metrics: WorkerMetrics,
    ) -> Self {
        let outputs = Outputs {
            matches: settings.matches_topic,
            claims: settings.claims_topic,
            events: settings.events_topic,
            refusals: settings.refusals_topic,
        };
        Self {
            rules: in_force.load_full(),
            in_force,
            counted,
            by_campaign: metrics.by_campaign(),
            metrics,
            engine: Engine::new(reader, settings.limits, settings.times)
                .with_clock(|| jiff::Timestamp::now().as_millisecond()),
            clock: Clock::default(),
            emitter: Emitter::new(outputs, settings.encoding),
            dead_letters: DeadLetters::new(settings.dead_letters_topic),
            breakers: BreakerCounts::new(armed),
            audiences,
            tally: Tally::default(),
        }
    }

    /// Counts what the rule won of an event of that record. Returns its bytes.
    fn count(
        (tally, by_campaign): (&mut Tally, &mut Counts),
        written: &Written,
        rule: &Rule,
        record: rdkafka::Timestamp,
    ) -> usize {
        match written {
            Written::Match(bytes) => {
                tally.matched(record);
                by_campaign.count(rule.id().as_str());
                *bytes
            }
            Written::Claim(bytes) => {
                tally.claimed += 1;
                *bytes
            }
        }
    }

    fn die(
        &mut self,
        batch: &mut Batch,
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
    ) -> Result<(), Rebuild> {
        self.dead_letters.write(batch, message, reason)?;
        self.tally.died(reason);
        Ok(())
    }

    /// Keeps the match of a granted claim, and writes what became of it at once.
    fn keep_granted(
        &mut self,
        batch: &mut Batch,
        partition: &mut Partition,
        message: &BorrowedMessage<'_>,
        arrival: Arrival,
    ) -> Result<(), Rebuild> {
        match (self.engine).granted(claimed(message), arrival, partition) {
            Ok(true) => self.tally.granted += 1,
            Ok(false) => self.tally.came_again(),
            Err(ControlError::Never(reason)) => return self.die(batch, message, &reason),
            Err(ControlError::State(error)) => return Err(error.into()),
        }
        batch.load.output_bytes += STATE_BYTES;
        self.follow(batch, message)
    }

    /// Writes what a record has made of matches.
    fn follow(&mut self, batch: &mut Batch, message: &BorrowedMessage<'_>) -> Result<(), Rebuild> {
        for sequel in self.engine.take_sequels() {
            // The key of an event that was read is its customer.
            let customer = message.key().and_then(|key| std::str::from_utf8(key).ok());
            let whose = (message.partition(), customer.unwrap_or_default());
            let written =
                (self.emitter).write_sequel(&batch.transaction, whose, &sequel, Some(message));
            batch.load.output_bytes += STATE_BYTES + written.map_err(Rebuild::Produce)?;
            self.tally.followed(&sequel);
        }
        Ok(())
    }

    /// Gives back what a refused claim took, and writes what its event wins instead.
    fn make_amends(
        &mut self,
        batch: &mut Batch,
        partition: &mut Partition,
        message: &BorrowedMessage<'_>,
        arrival: Arrival,
    ) -> Result<(), Rebuild> {
        let asked = claimed(message);
        let amends = match self.engine.refused(asked, arrival, &self.rules, partition) {
            Ok(Some(amends)) => amends,
            Ok(None) => {
                self.tally.came_again();
                return Ok(());
            }
            Err(ControlError::Never(reason)) => return self.die(batch, message, &reason),
            Err(ControlError::State(error)) => return Err(error.into()),
        };
        batch.load.output_bytes += STATE_BYTES;
        self.tally.refused += 1;
        for (rule, place) in &amends.won {
            let won = (*rule, *place);
            let out = (&batch.transaction, &mut batch.trace);
            let written = (self.emitter).write_instead(out, message, &amends, won);
            let written = written.map_err(Rebuild::Produce)?;
            self.breakers.matched(rule, arrival.time);
            let bytes = Self::count(
                (&mut self.tally, &mut self.by_campaign),
                &written,
                rule,
                message.timestamp(),
            );
            batch.load.output_bytes += STATE_BYTES + bytes;
        }
        for (rule, place) in &amends.held_out {
            let claim = amends.claim(rule, *place);
            let kept = HeldOut::of_claim(&claim);
            let written = self
                .emitter
                .write_held_out(&batch.transaction, Some(message), &kept);
            batch.load.output_bytes += written.map_err(Rebuild::Produce)?;
            self.tally.held_out += 1;
        }
        Ok(())
    }
}

/// The key of a control record, and the claim that it has.
fn claimed<'m>(message: &'m BorrowedMessage<'_>) -> (Option<&'m [u8]>, Option<&'m [u8]>) {
    let claim = record::header(message, header::CONTROL_CLAIM);
    (message.key(), claim)
}

impl Duty for Decide {
    fn joined(&mut self) {
        self.audiences.let_go_all();
    }

    fn bring_back(&mut self, partitions: &[i32]) {
        self.audiences.bring_back(partitions);
    }

    fn is_back(&self, partition: i32) -> bool {
        self.audiences.is_back(partition)
    }

    fn tend(&mut self) {
        self.audiences.tend();
    }

    fn begin(&mut self) {
        self.rules = self.in_force.load_full();
        self.tally = Tally::default();
        self.by_campaign.clear();
        self.breakers.begin();
    }

    fn take(
        &mut self,
        batch: &mut Batch,
        partition: &mut Partition,
        message: &BorrowedMessage<'_>,
    ) -> Result<Option<Until>, Rebuild> {
        let arrival = Arrival {
            offset: message.offset(),
            time: self.clock.bound(message.timestamp().to_millis()),
        };
        // Only what has no value can be a control record, so that events need not be asked for it.
        let control = match message.payload() {
            None => record::header(message, header::CONTROL),
            Some(_) => None,
        };
        if control == Some(Control::Refused.word().as_bytes()) {
            self.make_amends(batch, partition, message, arrival)?;
            return Ok(None);
        }
        if control == Some(Control::Granted.word().as_bytes()) {
            self.keep_granted(batch, partition, message, arrival)?;
            return Ok(None);
        }
        let record = Record {
            key: message.key(),
            value: message.payload(),
            schema_header: if self.engine.takes_headers() {
                record::header(message, header::VALUE_SCHEMA_ID)
            } else {
                None
            },
        };
        let mut winners = Winners::default();
        let mut audiences = self.audiences.of(message.partition());
        let engine = &mut self.engine;
        let decided = if let Some(word) = control {
            (engine.control(word, message.key(), arrival, partition)).map_err(Undecided::from)
        } else {
            let known = (partition, &mut audiences as &mut dyn state::Audiences);
            engine.decide(record, arrival, &self.rules, known, &mut winners)
        };
        match decided {
            Ok(Decided::New(event, decided_at)) => {
                self.breakers.event(arrival.time);
                for rule in &winners.won {
                    self.breakers.matched(rule, arrival.time);
                    let written = (self.emitter).write_won(
                        (&batch.transaction, &mut batch.trace),
                        message,
                        (&event, decided_at),
                        (*rule, &winners),
                    );
                    let written = written.map_err(Rebuild::Produce)?;
                    let bytes = Self::count(
                        (&mut self.tally, &mut self.by_campaign),
                        &written,
                        rule,
                        message.timestamp(),
                    );
                    batch.load.output_bytes += STATE_BYTES + bytes;
                }
                for rule in &winners.held_out {
                    let place = (message.partition(), message.offset());
                    let kept = HeldOut::of_event(rule, &event, place, &self.emitter.outputs);
                    let written =
                        (self.emitter).write_held_out(&batch.transaction, Some(message), &kept);
                    batch.load.output_bytes += STATE_BYTES + written.map_err(Rebuild::Produce)?;
                    self.tally.held_out += 1;
                }
            }
            Ok(Decided::Duplicate(event)) => self.tally.repeated(event.event_type),
            Ok(Decided::Erased(customer)) => {
                batch.load.output_bytes += self
                    .emitter
                    .write_erased(&batch.transaction, message, customer)
                    .map_err(Rebuild::Produce)?;
                self.tally.erased += 1;
            }
            Ok(Decided::TakenBefore) => self.tally.came_again(),
            Err(Undecided::Unread(Unread::Waiting(schema))) => {
                return Ok(Some(Until::Schema(schema)));
            }
            Err(Undecided::Audiences) => {
                return Ok(Some(Until::Audiences(message.partition())));
            }
            Err(Undecided::Unread(Unread::Never(reason))) => self.die(batch, message, &reason)?,
            Err(Undecided::State(error)) => return Err(error.into()),
        }
        self.follow(batch, message)?;
        self.tally.undefined_rewards += self.engine.take_undefined_rewards();
        Ok(None)
    }

    fn fire(
        &mut self,
        batch: &mut Batch,
        partition: &mut Partition,
        (number, time): (i32, i64),
    ) -> Result<bool, Rebuild> {
        let due = self.engine.next_due(time, &self.rules, partition)?;
        for due in &due {
            let transaction = &batch.transaction;
            batch.load.output_bytes += match due {
                Due::Match(won) => {
                    self.breakers.matched(won.rule, time);
                    let out = (transaction, &mut batch.trace);
                    let written = self.emitter.write_due(out, number, won);
                    let written = written.map_err(Rebuild::Produce)?;
                    let when = rdkafka::Timestamp::CreateTime(won.event.due);
                    Self::count(
                        (&mut self.tally, &mut self.by_campaign),
                        &written,
                        won.rule,
                        when,
                    )
                }
                Due::HeldOut(kept) => {
                    self.tally.held_out += 1;
                    let kept = HeldOut::of_due(kept, number, &self.emitter.outputs);
                    let written = self.emitter.write_held_out(transaction, None, &kept);
                    written.map_err(Rebuild::Produce)?
                }
                Due::Sequel {
                    customer_id,
                    sequel,
                } => {
                    self.tally.followed(sequel);
                    let whose = (number, &**customer_id);
                    let written = self.emitter.write_sequel(transaction, whose, sequel, None);
                    written.map_err(Rebuild::Produce)?
                }
            };
        }
        Ok(!due.is_empty())
    }

    fn end(&mut self, batch: &mut Batch) -> Result<(), Rebuild> {
        let claims = &self.emitter.outputs.claims;
        let told = self.breakers.tell(&batch.transaction, claims);
        batch.load.output_bytes += told.map_err(Rebuild::Produce)?;
        Ok(())
    }

    fn has_answer(&self, until: Until) -> bool {
        match until {
            Until::Schema(schema) => self.engine.has_answer(schema),
            Until::Campaigns(_) => true,
            Until::Audiences(partition) => self.audiences.is_known(partition),
        }
    }

    fn sweep(&self, partition: &mut Partition) -> Result<(), StateError> {
        let is_known = |identity, oldest| self.counted.is_known(identity, oldest);
        self.engine.sweep(partition, SWEPT, &is_known)
    }

    fn committed(&mut self, records: usize) {
        self.metrics.committed(&self.tally, records);
        self.by_campaign.add();
        self.dead_letters.committed();
        self.breakers.committed();
    }

    fn too_large(&mut self) {
        self.dead_letters.too_large();
    }

    fn let_go(&mut self, partition: i32) {
        self.audiences.let_go(partition);
    }
}
