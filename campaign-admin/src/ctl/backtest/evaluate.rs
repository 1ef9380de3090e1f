//! Events through the rules, on several threads, with the matches in the order of the events.
//!
//! One thread reads blocks of whole lines, several evaluate them, one brings what they found into order and writes it.
//! Few blocks are under way at a time, so the memory does not depend on the number of events.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::num::NonZero;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use rules::{Decider, Rule, RuleSet};
use schemas::{Amount, Event, Limits, MatchStatus, Reader, Span, Unread};
use serde::Serialize;
use state::{Members, Sequel, Verdict, admits};

use super::order::Order;

/// Bytes of events that one thread takes at a time.
const BLOCK: usize = 1024 * 1024;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) events: u64,
    pub(super) matches: u64,
    /// Matches that were held and confirmed.
    pub(super) confirmed: u64,
    /// Returns that took back a match, or a part of it.
    pub(super) reversals: u64,
    /// What was kept from customers who are held out.
    pub(super) held_out: u64,
    /// Matches by campaign and variant.
    pub(super) variants: BTreeMap<String, BTreeMap<String, u64>>,
    /// Claims for which a budget left no room.
    pub(super) refusals: u64,
    /// Events that count for nothing because one of their id was there before.
    pub(super) duplicates: u64,
    /// Campaigns not won because an expression of their reward had no value.
    pub(super) undefined_rewards: u64,
    /// Lines that are no events, by the reason that the matcher would give.
    pub(super) dead_letters: BTreeMap<&'static str, u64>,
}

/// Whole lines, and their place among the blocks.
struct Block {
    number: u64,
    lines: Vec<u8>,
}

/// What was found in a block.
pub(super) struct Found {
    number: u64,
    /// The block, if events of it must be decided in their order.
    pub(super) lines: Vec<u8>,
    bytes: u64,
    pub(super) totals: Totals,
    /// What is to be done in the order of the events.
    pub(super) sights: Vec<Sight>,
    /// The matches, a line each.
    pub(super) matches: Vec<u8>,
}

/// A match as it is counted: the campaign, and the variant that its customer has drawn.
pub(super) type Counted<'a> = (&'a str, Option<&'a str>);

/// What was found of an event.
pub(super) enum Sight {
    /// It won something; its matches end there.
    Won {
        hash: u64,
        matches: u32,
        held_out: u32,
        /// Campaigns that have variants, and the one that was drawn.
        variants: Vec<(String, String)>,
        end: usize,
    },
    /// It was done at that time, and concerns no campaign.
    Passed { at: i64 },
    /// It concerns campaigns that ask for more than the event.
    Concerned { at: i64, line: Range<usize> },
}

#[derive(Serialize)]
struct MatchLine<'a> {
    event_id: &'a str,
    campaign_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

/// Evaluates all events, and lets time pass after the last of them. `progress` is told how many bytes are done.
///
/// # Errors
/// The events cannot be read, or the matches not written.
pub(super) fn all(
    events: impl Read + Send,
    (rules, members, advance): (&RuleSet, &Members, Option<Span>),
    threads: NonZero<usize>,
    mut matches: Option<&mut (impl Write + Send)>,
    mut progress: impl FnMut(u64),
) -> anyhow::Result<Totals> {
    let (send_block, blocks) = sync_channel::<Block>(threads.get());
    let (send_found, found) = sync_channel::<Found>(threads.get());
    let blocks = Mutex::new(blocks);
    let wants_matches = matches.is_some();
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || read(events, &send_block));
        for _ in 0..threads.get() {
            let (blocks, send_found) = (&blocks, send_found.clone());
            scope.spawn(move || work(blocks, &send_found, (rules, members), wants_matches));
        }
        drop(send_found);
        let mut totals = Totals::default();
        let mut order = Order::new(rules, members, wants_matches);
        let mut written = Vec::new();
        let (mut next, mut done) = (0, 0);
        let mut early = BTreeMap::new();
        for found in found {
            early.insert(found.number, found);
            while let Some(found) = early.remove(&next) {
                next += 1;
                done += found.bytes;
                written.clear();
                totals.add(order.take(found, &mut written)?);
                if let Some(matches) = &mut matches {
                    (matches.write_all(&written)).context("the matches cannot be written")?;
                }
                progress(done);
            }
        }
        let read = reading
            .join()
            .unwrap_or_else(|cause| std::panic::resume_unwind(cause));
        read.context("the events cannot be read")?;
        if let Some(span) = advance {
            written.clear();
            totals.add(order.pass(span, &mut written)?);
            if let Some(matches) = &mut matches {
                (matches.write_all(&written)).context("the matches cannot be written")?;
            }
        }
        Ok(totals)
    })
}

/// Cuts the events into blocks of whole lines, until they end or nobody wants more.
fn read(mut events: impl Read, blocks: &SyncSender<Block>) -> std::io::Result<()> {
    let mut rest = Vec::new();
    for number in 0.. {
        let mut lines = std::mem::take(&mut rest);
        let end = loop {
            let before = lines.len();
            let read = (&mut events).take(BLOCK as u64).read_to_end(&mut lines)?;
            if read == 0 {
                break None;
            }
            if let Some(at) = lines[before..].iter().rposition(|byte| *byte == b'\n') {
                break Some(before + at + 1);
            }
        };
        if let Some(end) = end {
            rest.extend_from_slice(&lines[end..]);
            lines.truncate(end);
        }
        if blocks.send(Block { number, lines }).is_err() || end.is_none() {
            return Ok(());
        }
    }
    Ok(())
}

fn work(
    blocks: &Mutex<Receiver<Block>>,
    send_found: &SyncSender<Found>,
    (rules, members): (&RuleSet, &Members),
    wants_matches: bool,
) {
    let mut decider = Decider::new(Reader::json(), Limits::default());
    let mut winners = Vec::new();
    let in_order = rules.has_history();
    loop {
        let block = blocks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Block { number, lines }) = block else {
            return;
        };
        let mut found = Found {
            number,
            bytes: lines.len() as u64,
            lines: Vec::new(),
            totals: Totals::default(),
            sights: Vec::new(),
            matches: Vec::new(),
        };
        let mut begin = 0;
        for line in lines.split(|byte| *byte == b'\n') {
            let range = begin..begin + line.len();
            begin = range.end + 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            found.totals.events += 1;
            match decider.decide(line, rules, &mut winners) {
                Ok(event) if in_order => found.sight(&event, &winners, range),
                Ok(event) => {
                    let is_meant = |rule: &Rule| {
                        let audience = rule.audience();
                        audience.is_none() || admits(rule, members.of(event.customer_id))
                    };
                    winners.retain(|rule| is_meant(rule));
                    found.decide(&event, &winners, wants_matches);
                }
                Err(Unread::Never(reason)) => {
                    *found.totals.dead_letters.entry(reason.code()).or_default() += 1;
                }
                Err(Unread::Waiting(_)) => {
                    unreachable!("a reader without a registry waits for none")
                }
            }
        }
        if in_order {
            found.lines = lines;
        }
        if send_found.send(found).is_err() {
            return;
        }
    }
}

impl Found {
    /// Decides an event on its own.
    fn decide(&mut self, event: &Event<'_>, concerned: &[&Rule], wants_matches: bool) {
        let (mut matches, mut held_out) = (0, 0);
        let mut variants = Vec::new();
        for rule in concerned {
            match state::judge_alone(rule, event) {
                Verdict::Won if rule.holds_out(event.customer_id) => {
                    held_out += 1;
                    continue;
                }
                Verdict::Won => matches += 1,
                Verdict::UndefinedReward => {
                    self.totals.undefined_rewards += 1;
                    continue;
                }
                Verdict::NotWon => continue,
            }
            let id = rule.id().as_str();
            let variant = rule
                .variant(event.customer_id)
                .map(schemas::VariantName::as_str);
            if let Some(variant) = variant {
                variants.push((id.to_owned(), variant.to_owned()));
            }
            if wants_matches {
                write_match(event.event_id, (id, variant), &mut self.matches);
            }
        }
        if matches + held_out > 0 {
            // As in the matcher, where each customer has their own.
            let customer = state::event_hash(event.customer_id).rotate_left(32);
            self.sights.push(Sight::Won {
                hash: customer ^ state::event_hash(event.event_id),
                matches,
                held_out,
                variants,
                end: self.matches.len(),
            });
        }
    }

    /// Leaves an event to be decided in its order.
    fn sight(&mut self, event: &Event<'_>, concerned: &[&Rule], line: Range<usize>) {
        let at = event.occurred_at.as_millisecond();
        self.sights.push(if concerned.is_empty() {
            Sight::Passed { at }
        } else {
            Sight::Concerned { at, line }
        });
    }
}

/// Writes a match as a line.
pub(super) fn write_match(event_id: &str, won: Counted<'_>, out: &mut Vec<u8>) {
    let (campaign_id, variant) = won;
    let line = MatchLine {
        event_id,
        campaign_id,
        variant,
    };
    serde_json::to_writer(&mut *out, &line).expect("strings can be written to memory");
    out.push(b'\n');
}

/// Writes what became of a match as a line.
pub(super) fn write_sequel(sequel: &Sequel, out: &mut Vec<u8>) {
    let reversal = sequel.reversal.as_ref();
    let line = SequelLine {
        event_id: &sequel.won.event_id,
        campaign_id: &sequel.won.campaign_id,
        status: if reversal.is_some() {
            MatchStatus::Reversed
        } else {
            MatchStatus::Confirmed
        },
        amount: reversal.and_then(|reversal| Amount::nearest(reversal.amount?).ok()),
        returned_by: reversal.map(|reversal| &*reversal.event_id),
    };
    serde_json::to_writer(&mut *out, &line).expect("strings can be written to memory");
    out.push(b'\n');
}

/// What became of a match.
#[derive(Serialize)]
struct SequelLine<'a> {
    event_id: &'a str,
    campaign_id: &'a str,
    status: MatchStatus,
    /// What the return takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    returned_by: Option<&'a str>,
}

impl Totals {
    /// Counts a match.
    pub(super) fn won(&mut self, (campaign_id, variant): Counted<'_>) {
        self.matches += 1;
        if let Some(variant) = variant {
            self.drew(campaign_id, variant);
        }
    }

    /// Counts a match for its variant.
    pub(super) fn drew(&mut self, campaign_id: &str, variant: &str) {
        let counts = self.variants.entry(campaign_id.to_owned()).or_default();
        *counts.entry(variant.to_owned()).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.events += other.events;
        self.matches += other.matches;
        self.refusals += other.refusals;
        self.held_out += other.held_out;
        for (campaign, counts) in other.variants {
            let own = self.variants.entry(campaign).or_default();
            for (variant, count) in counts {
                *own.entry(variant).or_default() += count;
            }
        }
        self.duplicates += other.duplicates;
        self.confirmed += other.confirmed;
        self.reversals += other.reversals;
        self.undefined_rewards += other.undefined_rewards;
        for (reason, count) in other.dead_letters {
            *self.dead_letters.entry(reason).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use schemas::Campaign;

    use super::*;

    fn rules() -> RuleSet {
        let campaign = |id: &str, field: &str| {
            let json = format!(
                r#"{{"id":"{id}","name":"n","when":{{"payload":{{"{field}":[1]}}}},"reward":{{"kind":"custom"}}}}"#
            );
            Arc::new(Rule::compile(Campaign::from_json(json.as_bytes()).unwrap()).unwrap())
        };
        RuleSet::build([campaign("a", "x"), campaign("b", "y")])
    }

    fn event(id: &str, payload: &str) -> String {
        format!(
            r#"{{"event_id":"{id}","customer_id":"c","event_type":"t","occurred_at":"2026-11-24T00:00:00Z","payload":{payload}}}"#
        )
    }

    fn run(events: &str, threads: usize) -> (Totals, String) {
        let mut matches = Vec::new();
        let threads = NonZero::new(threads).unwrap();
        let totals = all(
            events.as_bytes(),
            (&rules(), &Members::default(), None),
            threads,
            Some(&mut matches),
            |_| {},
        )
        .unwrap();
        (totals, String::from_utf8(matches).unwrap())
    }

    #[test]
    fn matches_come_in_the_order_of_the_events_however_many_threads_there_are() {
        // Some hundred blocks, of which some take longer than others.
        let filler = "z".repeat(20_000);
        let mut events = String::new();
        let mut expected = String::new();
        for n in 0..6_000 {
            let id = format!("\\\"{n}");
            let payload = match n % 3 {
                0 => format!(r#"{{"x":1,"y":1,"note":"{filler}"}}"#),
                1 => r#"{"y":1}"#.to_owned(),
                _ => "{}".to_owned(),
            };
            events += &event(&id, &payload);
            events.push('\n');
            for campaign in ["a", "b"].iter().skip(n % 3) {
                let line = format!(r#"{{"event_id":"{id}","campaign_id":"{campaign}"}}"#);
                expected.extend([&line, "\n"]);
            }
        }
        assert!(events.len() > 30 * BLOCK);
        for threads in [1, 4] {
            let (totals, matches) = run(&events, threads);
            assert_eq!((totals.events, totals.matches), (6_000, 6_000));
            assert!(matches == expected, "{threads} threads");
        }
    }

    #[test]
    fn what_is_no_event_is_counted_and_hurts_no_other() {
        let long = event(
            "long",
            &format!(r#"{{"note":"{}"}}"#, "z".repeat(3 * BLOCK)),
        );
        let events = format!(
            "{}\n\nnonsense\n{long}\n \r\n{}",
            event("1", "{\"x\":1}"),
            event("2", "{\"x\":1}")
        );
        let (totals, matches) = run(&events, 2);
        assert_eq!((totals.events, totals.matches), (4, 2));
        let expected = [("not_json", 1), ("too_large", 1)].into();
        assert_eq!(totals.dead_letters, expected);
        assert_eq!(matches.lines().count(), 2);
        assert_eq!(run("", 2).0, Totals::default());
    }

    #[test]
    fn campaigns_for_an_audience_are_won_by_its_customers_whether_or_not_order_matters() {
        let campaign = |id: &str, further: &str| {
            let json = format!(
                r#"{{"id":"{id}","name":"n","when":{{"event_type":["t"]}},"reward":{{"kind":"custom"}},{further}}}"#
            );
            Arc::new(Rule::compile(Campaign::from_json(json.as_bytes()).unwrap()).unwrap())
        };
        let vip = campaign("vip", r#""audience":["vip"]"#);
        let others = campaign("others", r#""audience":[{"not":"vip"}]"#);
        let limited = campaign(
            "limited",
            r#""audience":["vip"],"limits":{"per_customer":{"times":1}}"#,
        );
        let mut members = Members::default();
        members.add("vip", "c");
        let other = event("e3", "{}").replace(r#""customer_id":"c""#, r#""customer_id":"d""#);
        let events = [event("e1", "{}"), event("e2", "{}"), other].join("\n");
        let run = |rules: RuleSet| {
            let mut matches = Vec::new();
            let threads = NonZero::new(2).unwrap();
            let given = (&rules, &members, None);
            all(
                events.as_bytes(),
                given,
                threads,
                Some(&mut matches),
                |_| {},
            )
            .unwrap();
            let text = String::from_utf8(matches).unwrap();
            let lines = text.lines().map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                format!("{}:{}", line["event_id"], line["campaign_id"]).replace('"', "")
            });
            lines.collect::<Vec<_>>()
        };
        let alone = run(RuleSet::build([vip.clone(), others.clone()]));
        assert_eq!(alone, ["e1:vip", "e2:vip", "e3:others"]);
        let all = run(RuleSet::build([vip, others, limited]));
        assert_eq!(all, ["e1:limited", "e1:vip", "e2:vip", "e3:others"]);
    }
}
