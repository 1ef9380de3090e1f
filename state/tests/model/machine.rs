//! The engine with a log, which can crash, beside the plain model.

use std::collections::BTreeMap;
use std::sync::Arc;

use rules::decide::Record;
use rules::{Rule, RuleSet};
use rust_decimal::Decimal;
use schemas::{Campaign, Limits, Reader, Unread};
use state::{Arrival, Decided, Due, Engine, Members, Partition, Sequel, Undecided};

use super::plain::{Model, Outcome};
use super::stream::{Arriving, Erase, Step, Stream};

/// What the log of a partition holds after a commit: the changelog, and the offset to go on from.
#[derive(Default, Clone)]
pub(crate) struct Log {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    next: usize,
}

impl Log {
    /// Reads the changelog from that offset on.
    pub(crate) fn restore(&self, from: usize, partition: &mut Partition) {
        let mut position = None;
        for (offset, (key, value)) in self.changes.iter().enumerate().skip(from) {
            partition.restore(key, value.as_deref()).unwrap();
            if state::is_progress(key) {
                position = Some(i64::try_from(offset).unwrap());
            }
        }
        partition.restored(position).unwrap();
    }
}

/// Where customers are.
pub(crate) trait Place {
    /// The process starts, with nothing in memory.
    fn restart(&mut self, log: &Log) -> Partition;
}

/// The engine with a log, which can crash.
struct Machine {
    engine: Engine,
    rules: RuleSet,
    campaigns: BTreeMap<String, Arc<Rule>>,
    partition: Partition,
    log: Log,
    place: Box<dyn Place>,
}

impl Machine {
    fn new(stream: &Stream, mut place: Box<dyn Place>) -> Self {
        let log = Log::default();
        Self {
            engine: Engine::new(Reader::json(), Limits::default(), stream.times),
            rules: RuleSet::default(),
            campaigns: BTreeMap::new(),
            partition: place.restart(&log),
            log,
            place,
        }
    }

    fn change(&mut self, campaign: &Campaign) {
        let rule = Arc::new(Rule::compile(campaign.clone()).unwrap());
        self.campaigns.insert(campaign.id.to_string(), rule);
        self.rules = RuleSet::build(self.campaigns.values().cloned());
    }

    fn take(&mut self, event: &Arriving, offset: usize) -> Outcome {
        let value = event.json();
        let record = Record {
            key: Some(event.customer.as_bytes()),
            value: Some(value.as_bytes()),
            schema_header: None,
        };
        let arrival = Arrival {
            offset: i64::try_from(offset).unwrap(),
            time: event.record,
        };
        let mut winners = state::Winners::default();
        let decided = (self.engine).decide(
            record,
            arrival,
            &self.rules,
            (&mut self.partition, &mut &Members::default()),
            &mut winners,
        );
        match decided {
            Ok(Decided::New(..)) => {
                let ids = winners.won.iter().map(|rule| rule.id().to_string());
                let ids = ids.collect();
                let sequels = self.engine.take_sequels();
                Outcome::New(ids, sequels.iter().map(back).collect())
            }
            Ok(Decided::Duplicate(_)) => Outcome::Duplicate,
            Ok(Decided::TakenBefore | Decided::Erased(_)) => {
                panic!("offset {offset} is a new event")
            }
            Err(Undecided::Unread(Unread::Never(reason))) => Outcome::Refused(reason.code()),
            Err(other) => panic!("{other}"),
        }
    }

    fn erase(&mut self, erase: &Erase, offset: usize) {
        let arrival = Arrival {
            offset: i64::try_from(offset).unwrap(),
            time: erase.record,
        };
        let key = Some(erase.customer.as_bytes());
        let erased = (self.engine).control(b"erase", key, arrival, &mut self.partition);
        assert!(matches!(erased, Ok(Decided::Erased(it)) if it == erase.customer));
    }

    /// Campaign and event of what is due.
    fn due(&mut self, now: i64) -> Vec<(String, String)> {
        let mut won = Vec::new();
        loop {
            let due = self.engine.next_due(now, &self.rules, &mut self.partition);
            let due = due.unwrap();
            if due.is_empty() {
                won.sort();
                return won;
            }
            won.extend(due.into_iter().map(|due| match due {
                Due::Match(it) => {
                    let id = it.rule.id().to_string();
                    (id, it.event.event_id.into_string())
                }
                Due::HeldOut(it) => panic!("{} holds out nobody", it.rule.id()),
                Due::Sequel { sequel, .. } => {
                    assert_eq!(sequel.reversal, None);
                    let (won, reversed) = (&sequel.won, sequel.won.reversed.normalize());
                    let what = format!("{} confirmed, less {reversed}", won.event_id);
                    (won.campaign_id.to_string(), what)
                }
            }));
        }
    }

    fn commit(&mut self, next: usize) {
        self.engine
            .sweep(&mut self.partition, 2, &|_, _| true)
            .unwrap();
        let changes = &mut self.log.changes;
        let written = self.partition.changes(|change| {
            changes.push((change.key.to_vec(), change.value.map(<[u8]>::to_vec)));
        });
        let last = changes.len().checked_sub(1);
        let position = last.map(|last| i64::try_from(last).unwrap());
        written.commit(position).unwrap();
        self.log.next = next;
    }

    /// The process is gone, and all that it had in memory.
    fn crash(&mut self) {
        // Whoever holds it lets go first.
        self.partition = Partition::default();
        self.partition = self.place.restart(&self.log);
    }
}

/// What a return took back, in the words of the model.
fn back(sequel: &Sequel) -> String {
    let Sequel { won, reversal } = sequel;
    let reversal = reversal.as_ref().expect("nothing is confirmed by an event");
    let amount = reversal.amount.map(|amount| amount.normalize());
    // At each step: what is taken back is not more than there is, and no part of it is negative.
    assert!(reversal.amount.is_none_or(|amount| amount >= Decimal::ZERO));
    assert!(won.amount.is_none_or(|amount| won.reversed <= amount));
    assert!(!won.is_reversed || won.amount.is_none_or(|amount| won.reversed == amount));
    let (name, total) = (
        format!("{}:{}", won.event_id, won.campaign_id),
        won.reversed.normalize(),
    );
    let (by, whole) = (&reversal.event_id, won.is_reversed);
    format!("{name} by {by}: {amount:?}, {total} in all, whole {whole}")
}

/// Runs a stream without any fault and compares step by step.
pub(crate) fn compare(seed: u64, place: Box<dyn Place>) {
    let stream = Stream::new(seed);
    let mut machine = Machine::new(&stream, place);
    let mut model = Model::new(stream.times);
    let mut offset = 0;
    for step in &stream.steps {
        match step {
            Step::Change(campaign) => {
                machine.change(campaign);
                model.change(campaign);
            }
            Step::Event(event) => {
                let expected = model.take(event);
                let found = machine.take(event, offset);
                assert_eq!(
                    found,
                    expected,
                    "seed {seed}, event {offset}: {}",
                    event.json()
                );
                offset += 1;
            }
            Step::Erase(erase) => {
                model.erase(erase);
                machine.erase(erase, offset);
                offset += 1;
            }
            Step::Due(now) => {
                machine.commit(offset);
                assert_eq!(machine.due(*now), model.due(*now), "seed {seed} at {now}");
            }
            Step::Commit => machine.commit(offset),
        }
    }
}

/// What a run brings about: what became of each event, and what was due at each step.
pub(crate) type Trace = BTreeMap<usize, String>;

/// Runs a stream in which step number `fault` is hit by a fault: what the open batch did is lost, and done again.
pub(crate) fn run(
    seed: u64,
    fault: Option<(usize, Fault)>,
    place: Box<dyn Place>,
) -> (Trace, Vec<u8>) {
    let stream = Stream::new(seed);
    let mut machine = Machine::new(&stream, place);
    let mut trace = Trace::new();
    let mut pending = fault;
    let (mut at, mut offset) = (0, 0);
    // Where the open batch began.
    let mut begun = (0, 0);
    while at < stream.steps.len() {
        if let Some((step, fault)) = pending
            && step == at
        {
            pending = None;
            match fault {
                Fault::Abort => machine.partition.roll_back(),
                Fault::Crash => machine.crash(),
            }
            (at, offset) = begun;
            continue;
        }
        match &stream.steps[at] {
            // The campaigns are a topic of their own, and ahead of what is read again. So that a run with a fault can be
            // held against one without, they change between batches only.
            Step::Change(campaign) => {
                machine.commit(offset);
                machine.change(campaign);
                begun = (at + 1, offset);
            }
            Step::Event(event) => {
                trace.insert(at, format!("{:?}", machine.take(event, offset)));
                offset += 1;
            }
            Step::Erase(erase) => {
                machine.erase(erase, offset);
                offset += 1;
            }
            // Only what is committed can be due.
            Step::Due(now) => {
                machine.commit(offset);
                begun = (at, offset);
                trace.insert(at, format!("{:?}", machine.due(*now)));
            }
            Step::Commit => {
                machine.commit(offset);
                begun = (at + 1, offset);
            }
        }
        at += 1;
    }
    machine.commit(offset);
    let mut state = Vec::new();
    let customers = stream.customers.iter();
    for id in customers {
        if let Some(customer) = machine.partition.customer(id).unwrap() {
            customer.write(&mut state);
        }
    }
    (trace, state)
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The batch is given up, memory stays.
    Abort,
    /// All memory is lost.
    Crash,
}
