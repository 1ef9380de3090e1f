//! What must be done in the order of the events: each counts once, and what campaigns count is counted.
//!
//! Campaigns that ask for nothing but the event were decided by many threads at once; of their events only those that came
//! twice are left out here. If some ask for more, the events that concern them go through the matcher's engine, one by one.

use std::collections::HashSet;

use rules::{Rule, RuleSet};
use schemas::{Limits, Reader, Span, Unread};
use state::{Arrival, Decided, Due, Engine, EventTimes, Partition, Sequel, StateError, Undecided};

use super::evaluate::{Found, Sight, Totals, write_match, write_sequel};

/// The engine and what it remembers.
pub(super) struct Order<'r> {
    rules: &'r RuleSet,
    /// Whether campaigns wait for what may follow, or hold matches, so that each event may bring something due.
    waits: bool,
    wants_matches: bool,
    /// Of customers and events that won something.
    seen: HashSet<u64>,
    engine: Engine,
    partition: Partition,
    offset: i64,
}

impl<'r> Order<'r> {
    pub(super) fn new(rules: &'r RuleSet, wants_matches: bool) -> Self {
        // A file is the whole history: nothing in it is too late.
        let times = EventTimes {
            dedup_window: Span::MAX,
            max_ahead: Span::MAX,
        };
        let mut histories = rules.rules().filter_map(|rule| rule.history());
        Self {
            rules,
            waits: histories.any(|history| history.absent().is_some() || history.hold().is_some()),
            wants_matches,
            seen: HashSet::new(),
            engine: Engine::new(Reader::json(), Limits::default(), times),
            partition: Partition::default(),
            offset: 0,
        }
    }

    /// Takes in what was found in the next block; matches are added to `out`, if they are wanted.
    pub(super) fn take(&mut self, found: Found, out: &mut Vec<u8>) -> Result<Totals, StateError> {
        let mut totals = found.totals;
        let mut winners = Vec::new();
        let mut begin = 0;
        for sight in found.sights {
            match sight {
                Sight::Won { hash, matches, end } => {
                    if self.seen.insert(hash) {
                        totals.matches += u64::from(matches);
                        out.extend_from_slice(&found.matches[begin..end]);
                    } else {
                        totals.duplicates += 1;
                    }
                    begin = end;
                }
                Sight::Passed { at } => {
                    self.offset += 1;
                    self.partition.advance(at, self.offset);
                    self.due(&mut totals, out)?;
                }
                Sight::Concerned { at, line } => {
                    // What was due before the event comes first.
                    self.partition.advance(at.saturating_sub(1), self.offset);
                    self.due(&mut totals, out)?;
                    self.offset += 1;
                    let line = &found.lines[line];
                    self.decide(line, at, &mut winners, &mut totals, out)?;
                }
            }
        }
        totals.undefined_rewards += self.engine.take_undefined_rewards();
        self.settle()?;
        Ok(totals)
    }

    /// Lets time pass after the last event; matches of what waited are added to `out`.
    pub(super) fn pass(&mut self, span: Span, out: &mut Vec<u8>) -> Result<Totals, StateError> {
        let mut totals = Totals::default();
        let until = self.partition.clock().saturating_add(span.as_millis());
        self.partition.advance(until, self.offset);
        self.due(&mut totals, out)?;
        totals.undefined_rewards += self.engine.take_undefined_rewards();
        Ok(totals)
    }

    fn decide(
        &mut self,
        line: &[u8],
        at: i64,
        winners: &mut Vec<&'r Rule>,
        totals: &mut Totals,
        out: &mut Vec<u8>,
    ) -> Result<(), StateError> {
        let arrival = Arrival {
            offset: self.offset,
            time: at,
        };
        let partition = &mut self.partition;
        match (self.engine).decide(line, arrival, self.rules, partition, winners) {
            Ok(Decided::New(event, _)) => {
                totals.matches += winners.len() as u64;
                for rule in winners.iter().filter(|_| self.wants_matches) {
                    write_match(event.event_id, rule.id().as_str(), out);
                }
            }
            Ok(Decided::Duplicate(_)) => totals.duplicates += 1,
            Ok(Decided::TakenBefore | Decided::Erased(_)) => {
                unreachable!("offsets ascend, and a file has no control records")
            }
            Err(Undecided::Unread(Unread::Never(reason))) => {
                *totals.dead_letters.entry(reason.code()).or_default() += 1;
            }
            Err(Undecided::Unread(Unread::Waiting(_))) => {
                unreachable!("a reader without a registry waits for none")
            }
            Err(Undecided::State(error)) => return Err(error),
        }
        for sequel in self.engine.take_sequels() {
            self.follow(&sequel, totals, out);
        }
        if self.waits {
            self.settle()?;
        }
        Ok(())
    }

    /// Counts what became of a match, and writes it if matches are wanted.
    fn follow(&self, sequel: &Sequel, totals: &mut Totals, out: &mut Vec<u8>) {
        match &sequel.reversal {
            Some(_) => totals.reversals += 1,
            None => totals.confirmed += 1,
        }
        if self.wants_matches {
            write_sequel(sequel, out);
        }
    }

    /// Writes what is due: matches of events whose time to wait is over, and matches that are confirmed.
    fn due(&mut self, totals: &mut Totals, out: &mut Vec<u8>) -> Result<(), StateError> {
        let now = self.partition.clock();
        while self.partition.first_due().is_some_and(|due| due <= now) {
            let due = self.engine.next_due(now, self.rules, &mut self.partition)?;
            for due in due {
                match due {
                    Due::Match(won) => {
                        totals.matches += 1;
                        if self.wants_matches {
                            let id = won.rule.id().as_str();
                            write_match(&won.event.event_id, id, out);
                        }
                    }
                    Due::Sequel { sequel, .. } => self.follow(&sequel, totals, out),
                }
            }
            self.settle()?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), StateError> {
        self.partition.changes(|_| {}).commit(None)
    }
}
