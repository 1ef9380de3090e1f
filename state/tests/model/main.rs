//! The engine against a plain model, on streams that are out of order, repeated, at the edges of windows, with campaigns
//! that change, batches that are given up and crashes at every step.

mod plain;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use rules::decide::Record;
use rules::{Rule, RuleSet};
use schemas::{Campaign, Limits, Reader, Unread};
use state::{Arrival, Decided, Engine, Partition, Undecided};

use self::plain::{Model, Outcome};
use self::stream::{Step, Stream};

/// What the log of a partition holds after a commit: the changelog, and the offset to go on from.
#[derive(Default, Clone)]
struct Log {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    next: usize,
}

/// The engine with a log, which can crash.
struct Machine {
    engine: Engine,
    rules: RuleSet,
    campaigns: BTreeMap<String, Arc<Rule>>,
    partition: Partition,
    log: Log,
}

impl Machine {
    fn new(stream: &Stream) -> Self {
        Self {
            engine: Engine::new(Reader::json(), Limits::default(), stream.times),
            rules: RuleSet::default(),
            campaigns: BTreeMap::new(),
            partition: Partition::default(),
            log: Log::default(),
        }
    }

    fn change(&mut self, campaign: &Campaign) {
        let rule = Arc::new(Rule::compile(campaign.clone()).unwrap());
        self.campaigns.insert(campaign.id.to_string(), rule);
        self.rules = RuleSet::build(self.campaigns.values().cloned());
    }

    fn take(&mut self, event: &stream::Arriving, offset: usize) -> Outcome {
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
        let mut winners = Vec::new();
        let decided = (self.engine).decide(
            record,
            arrival,
            &self.rules,
            &mut self.partition,
            &mut winners,
        );
        match decided {
            Ok(Decided::New(_)) => {
                let ids = winners.iter().map(|rule| rule.campaign().id.to_string());
                Outcome::New(ids.collect())
            }
            Ok(Decided::Duplicate(_)) => Outcome::Duplicate,
            Ok(Decided::TakenBefore | Decided::Erased(_)) => {
                panic!("offset {offset} is a new event")
            }
            Err(Undecided::Unread(Unread::Never(reason))) => Outcome::Refused(reason.code()),
            Err(other) => panic!("{other}"),
        }
    }

    fn erase(&mut self, erase: &stream::Erase, offset: usize) {
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
            won.extend(due.into_iter().map(|it| {
                let id = it.rule.campaign().id.to_string();
                (id, it.event.event_id.into_string())
            }));
        }
    }

    fn commit(&mut self, next: usize) {
        self.engine
            .sweep(&mut self.partition, 2, &|_, _| true)
            .unwrap();
        let changes = &mut self.log.changes;
        self.partition.changes(|change| {
            changes.push((change.key.to_vec(), change.value.map(<[u8]>::to_vec)));
        });
        self.partition.commit();
        self.log.next = next;
    }

    /// The process is gone, and all that it had in memory.
    fn crash(&mut self) {
        let mut partition = Partition::default();
        for (key, value) in &self.log.changes {
            partition.restore(key, value.as_deref()).unwrap();
        }
        self.partition = partition;
    }
}

/// Runs a stream without any fault and compares step by step.
fn compare(seed: u64) {
    let stream = Stream::new(seed);
    let mut machine = Machine::new(&stream);
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
type Trace = BTreeMap<usize, String>;

/// Runs a stream in which step number `fault` is hit by a fault: what the open batch did is lost, and done again.
fn run(seed: u64, fault: Option<(usize, Fault)>) -> (Trace, Vec<u8>) {
    let stream = Stream::new(seed);
    let mut machine = Machine::new(&stream);
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
enum Fault {
    /// The batch is given up, memory stays.
    Abort,
    /// All memory is lost.
    Crash,
}

#[test]
fn the_engine_agrees_with_the_model() {
    for seed in 0..3_000 {
        compare(seed);
    }
}

#[test]
fn a_batch_that_is_given_up_or_lost_at_any_step_changes_nothing() {
    for seed in 0..60 {
        let (expected, state) = run(seed, None);
        for step in 0..Stream::new(seed).steps.len() {
            for fault in [Fault::Abort, Fault::Crash] {
                let (found, after) = run(seed, Some((step, fault)));
                assert_eq!(found, expected, "seed {seed}, {fault:?} at step {step}");
                assert!(after == state, "seed {seed}, {fault:?} at step {step}");
            }
        }
    }
}

#[test]
fn the_streams_have_all_that_can_happen() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..500 {
        let stream = Stream::new(seed);
        let mut model = Model::new(stream.times);
        for step in &stream.steps {
            let what = match step {
                Step::Change(campaign) => {
                    model.change(campaign);
                    continue;
                }
                Step::Commit => continue,
                Step::Erase(erase) => {
                    model.erase(erase);
                    "erased".to_owned()
                }
                Step::Event(event) => match model.take(event) {
                    Outcome::New(ids) if ids.is_empty() => "no match".to_owned(),
                    Outcome::New(_) => "match".to_owned(),
                    Outcome::Duplicate => "duplicate".to_owned(),
                    Outcome::Refused(code) => code.to_owned(),
                },
                Step::Due(now) if model.due(*now).is_empty() => continue,
                Step::Due(_) => "due".to_owned(),
            };
            *seen.entry(what).or_default() += 1;
        }
        for (reason, count) in model.reasons {
            *seen.entry(reason.to_owned()).or_default() += count;
        }
    }
    for what in [
        "match",
        "no match",
        "duplicate",
        "too_late",
        "too_early",
        "due",
        "condition",
        "limit",
        "erased",
    ] {
        assert!(
            seen.get(what).is_some_and(|count| *count > 50),
            "{what}: {seen:?}"
        );
    }
}
