//! The engine against a plain model, on streams that are out of order, repeated, at the edges of windows, with campaigns
//! that change, batches that are given up and crashes at every step.

mod books;
mod machine;
mod plain;
mod stream;

use std::collections::BTreeMap;

use state::Partition;

use self::machine::{Fault, Log, Place, compare, run};
use self::plain::{Model, Outcome};
use self::stream::{Step, Stream};

/// Customers in memory: a restart reads all of the log.
struct Memory;

impl Place for Memory {
    fn restart(&mut self, log: &Log) -> Partition {
        let mut partition = Partition::default();
        log.restore(0, &mut partition);
        partition
    }
}

#[test]
fn the_engine_agrees_with_the_model() {
    for seed in (0..3_000).chain([6_438]) {
        compare(seed, Box::new(Memory));
    }
}

#[test]
fn a_batch_that_is_given_up_or_lost_at_any_step_changes_nothing() {
    for seed in 0..60 {
        let (expected, state) = run(seed, None, Box::new(Memory));
        for step in 0..Stream::new(seed).steps.len() {
            for fault in [Fault::Abort, Fault::Crash] {
                let (found, after) = run(seed, Some((step, fault)), Box::new(Memory));
                assert_eq!(found, expected, "seed {seed}, {fault:?} at step {step}");
                assert!(after == state, "seed {seed}, {fault:?} at step {step}");
            }
        }
    }
}

#[test]
fn the_streams_have_all_that_can_happen() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..1_000 {
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
                    Outcome::New(_, sequels) if sequels.iter().any(|it| it.ends_with("false")) => {
                        "a part is taken back".to_owned()
                    }
                    Outcome::New(_, sequels) if !sequels.is_empty() => "taken back".to_owned(),
                    Outcome::New(ids, _) if ids.is_empty() => "no match".to_owned(),
                    Outcome::New(..) => "match".to_owned(),
                    Outcome::Duplicate => "duplicate".to_owned(),
                    Outcome::Refused(code) => code.to_owned(),
                },
                Step::Due(now) => match model.due(*now).last() {
                    None => continue,
                    Some((_, what)) if what.contains("confirmed") => "confirmed".to_owned(),
                    Some(_) => "due".to_owned(),
                },
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
        "group",
        "taken back",
        "a part is taken back",
        "confirmed",
    ] {
        assert!(
            seen.get(what).is_some_and(|count| *count > 50),
            "{what}: {seen:?}"
        );
    }
}
