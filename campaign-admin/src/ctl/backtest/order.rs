//! What must be done in the order of the events: each counts once, and what campaigns count is counted.
//!
//! Campaigns that ask for nothing but the event were decided by many threads at once; of their events only those that came
//! twice are left out here. If some ask for more, the events that concern them go through the matcher's engine, one by one.

use std::collections::{HashSet, VecDeque};

use rules::RuleSet;
use schemas::{CampaignId, Claim, Grant, Limits, Reader, Source, Span, Unread};
use state::settle::{Settled, settle};
use state::{
    Arrival, Audiences, Decided, Due, Engine, EventTimes, Members, Partition, Sequel, StateError,
    Undecided, Winners, claim, claim_due, give_back,
};

use super::evaluate::{Counted, Found, Sight, Totals, write_match, write_sequel};

/// The engine and what it remembers.
pub(super) struct Order<'r> {
    rules: &'r RuleSet,
    members: &'r Members,
    /// Whether campaigns wait for what may follow, or hold matches, so that each event may bring something due.
    waits: bool,
    wants_matches: bool,
    /// Of customers and events that won something.
    seen: HashSet<u64>,
    engine: Engine,
    partition: Partition,
    offset: i64,
    /// What is used of budgets, and how many claims there were.
    budgets: Partition,
    claims: i64,
}

impl<'r> Order<'r> {
    pub(super) fn new(rules: &'r RuleSet, members: &'r Members, wants_matches: bool) -> Self {
        // A file is the whole history: nothing in it is too late.
        let times = EventTimes {
            dedup_window: Span::MAX,
            max_ahead: Span::MAX,
        };
        let mut histories = rules.rules().filter_map(|rule| rule.history());
        Self {
            rules,
            members,
            waits: histories.any(|history| history.absent().is_some() || history.hold().is_some()),
            wants_matches,
            seen: HashSet::new(),
            engine: Engine::new(Reader::json(), Limits::default(), times),
            partition: Partition::default(),
            offset: 0,
            budgets: Partition::default(),
            claims: 0,
        }
    }

    /// Takes in what was found in the next block; matches are added to `out`, if they are wanted.
    pub(super) fn take(&mut self, found: Found, out: &mut Vec<u8>) -> Result<Totals, StateError> {
        let mut totals = found.totals;
        let mut winners = Winners::default();
        let mut begin = 0;
        for sight in found.sights {
            match sight {
                Sight::Won {
                    hash,
                    matches,
                    held_out,
                    variants,
                    end,
                } => {
                    if self.seen.insert(hash) {
                        totals.matches += u64::from(matches);
                        totals.held_out += u64::from(held_out);
                        for (campaign, variant) in &variants {
                            totals.drew(campaign, variant);
                        }
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
        self.commit()?;
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
        winners: &mut Winners<'r>,
        totals: &mut Totals,
        out: &mut Vec<u8>,
    ) -> Result<(), StateError> {
        let arrival = Arrival {
            offset: self.offset,
            time: at,
        };
        let mut members = self.members;
        let known = (&mut self.partition, &mut members as &mut dyn Audiences);
        match (self.engine).decide(line, arrival, self.rules, known, winners) {
            Ok(Decided::New(event, _)) => {
                let mut claims = Vec::new();
                totals.held_out += winners.held_out.len() as u64;
                for rule in &winners.won {
                    if rule.totals().is_empty() {
                        let variant = rule
                            .variant(event.customer_id)
                            .map(schemas::VariantName::as_str);
                        let won = (rule.id().as_str(), variant);
                        totals.won(won);
                        if self.wants_matches {
                            write_match(event.event_id, won, out);
                        }
                    } else if let Some(claim) = claim(rule, &event, nowhere(), winners) {
                        claims.push(claim.into_owned());
                    }
                }
                self.follow_all(totals, out)?;
                self.settle_all(claims, totals, out)?;
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
            Err(Undecided::Audiences) => unreachable!("the audiences were read before"),
            Err(Undecided::State(error)) => return Err(error),
        }
        if self.waits {
            self.commit()?;
        }
        Ok(())
    }

    /// Takes in what an event, or the settler's word, has made of matches.
    fn follow_all(&mut self, totals: &mut Totals, out: &mut Vec<u8>) -> Result<(), StateError> {
        for sequel in self.engine.take_sequels() {
            self.follow(&sequel, totals, out);
            let Some(given) = sequel.given_back() else {
                continue;
            };
            let arrival = self.next_claim();
            let id = CampaignId::new(&*given.campaign_id).ok();
            let rule = id.and_then(|id| self.rules.rule(&id));
            give_back(&given, arrival, rule, &mut self.budgets)?;
        }
        Ok(())
    }

    /// Where the next record of the settler's log is.
    fn next_claim(&mut self) -> Arrival {
        self.claims += 1;
        Arrival {
            offset: self.claims,
            time: self.partition.clock(),
        }
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
            let mut claims = Vec::new();
            for due in &due {
                match due {
                    Due::Match(won) if won.rule.totals().is_empty() => {
                        totals.matches += 1;
                        if self.wants_matches {
                            let id = won.rule.id().as_str();
                            write_match(&won.event.event_id, (id, None), out);
                        }
                    }
                    Due::HeldOut(_) => totals.held_out += 1,
                    Due::Match(won) => claims.push(claim_due(won, nowhere()).into_owned()),
                    Due::Sequel { sequel, .. } => self.follow(sequel, totals, out),
                }
            }
            drop(due);
            self.settle_all(claims, totals, out)?;
            self.commit()?;
        }
        Ok(())
    }

    /// Settles claims and what their events win instead, as if the settler never had to wait.
    fn settle_all(
        &mut self,
        claims: Vec<Claim<'static>>,
        totals: &mut Totals,
        out: &mut Vec<u8>,
    ) -> Result<(), StateError> {
        let mut claims = VecDeque::from(claims);
        while let Some(claim) = claims.pop_front() {
            let arrival = self.next_claim();
            let id = CampaignId::new(&*claim.prize.campaign_id).ok();
            let rule = id.and_then(|id| self.rules.rule(&id));
            let settled = settle(&claim, arrival, rule, &mut self.budgets)?;
            if let Settled::Granted {
                counted: places, ..
            } = settled
            {
                let won = counted(&claim);
                totals.won(won);
                if self.wants_matches {
                    write_match(&claim.event_id, won, out);
                }
                if claim.kept.is_some() {
                    let grant = Grant {
                        claim: arrival.offset,
                        granted_at: claim.counts_at,
                        counted: places,
                    };
                    let partition = &mut self.partition;
                    (self.engine).keep_granted(&claim, &grant, arrival.time, partition)?;
                    self.follow_all(totals, out)?;
                }
                continue;
            }
            totals.refusals += 1;
            let amends = (self.engine).amend(claim, self.rules, &mut self.partition)?;
            totals.held_out += amends.held_out.len() as u64;
            for (rule, place) in &amends.won {
                let next = amends.claim(rule, *place);
                if !rule.totals().is_empty() {
                    claims.push_back(next.into_owned());
                    continue;
                }
                let won = counted(&next);
                totals.won(won);
                if self.wants_matches {
                    write_match(&next.event_id, won, out);
                }
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StateError> {
        self.budgets.changes(|_| {}).commit(None)?;
        self.partition.changes(|_| {}).commit(None)
    }
}

/// What a claim wins.
fn counted<'c>(claim: &'c Claim<'_>) -> Counted<'c> {
    let prize = &claim.prize;
    (&prize.campaign_id, prize.variant.as_deref())
}

/// A file has no topic.
fn nowhere() -> Source<'static> {
    Source {
        topic: "".into(),
        partition: 0,
        offset: 0,
    }
}
