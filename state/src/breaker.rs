//! Breakers: how many matches and events there were of late, by what the workers have counted in their transactions.
//!
//! Counts are taken in in the order of their log, by the times of the events' records: a backlog that is worked off is spread as it came,
//! and trips nothing. They are kept beside what is used of budgets.

use jiff::Timestamp;
use rules::Rule;
use rust_decimal::Decimal;
use schemas::breaker::{BreakerCount, Tripped};

use crate::codec::StateError;
use crate::customer::{Customer, Retention};
use crate::memory::{Memory, Sum, stretch_mut};
use crate::partition::{Arrival, Partition};

/// The parts of the stretch of time, and which version they are of.
const PARTS: u64 = 0x7061_7274_736f_6662;
const VERSION: u64 = 0x7665_7273_696f_6e62;

/// What became of a count.
#[derive(Debug)]
pub enum Counted {
    /// It is taken in; or passed over, for the campaign has no breaker, or is another by now.
    Within,
    /// The breaker has tripped, now and not before.
    Tripped(Tripped),
    /// The record was taken in before; only a fault of the log brings it again.
    TakenBefore,
}

/// Takes a count in, at the time `now`, in milliseconds since 1970. `rule` is the campaign as it is now, if it is active. A breaker that
/// has tripped trips again only for a later version of its campaign: one that was resumed.
///
/// # Errors
/// [`StateError`]: what is kept cannot be read.
pub fn count(
    campaign_id: &str,
    count: &BreakerCount,
    (arrival, now): (Arrival, Timestamp),
    rule: Option<&Rule>,
    partition: &mut Partition,
) -> Result<Counted, StateError> {
    if !partition.is_new(arrival) {
        return Ok(Counted::TakenBefore);
    }
    let Some(breaker) = rule.and_then(Rule::breaker) else {
        return Ok(Counted::Within);
    };
    let account = partition.touch(&account_id(campaign_id))?;
    let window = breaker.window();
    let version = version(account, arrival.time);
    if count.campaigns_offset < version.last {
        return Ok(Counted::Within);
    }
    let was_tripped = version.count > 0;
    if count.campaigns_offset > version.last {
        *version = Sum {
            last: count.campaigns_offset,
            ..Sum::default()
        };
        if was_tripped {
            parts(account, arrival.time, window).clear();
        }
    } else if was_tripped {
        return Ok(Counted::Within);
    }
    let parts = parts(account, arrival.time, window);
    for (begin, matches, events) in &count.parts {
        let part = stretch_mut(parts, *begin);
        part.count = part.count.saturating_add(*matches);
        part.sum = part.sum.saturating_add((*events).into());
    }
    let newest = parts.last().map_or(0, |(begin, _)| *begin);
    // Another partition may be behind; what is older than this comes too late to matter.
    let oldest = newest.saturating_sub(2 * window);
    parts.retain(|(begin, _)| *begin > oldest);
    let of_late = parts.iter();
    let of_late = of_late.filter(|(begin, _)| *begin > newest.saturating_sub(window));
    let (matches, events) = of_late.fold((0_u64, Decimal::ZERO), |sum, (_, part)| {
        (sum.0.saturating_add(part.count), sum.1 + part.sum)
    });
    let events = u64::try_from(events).unwrap_or(u64::MAX);
    let Some(by) = breaker.judge(matches, events) else {
        return Ok(Counted::Within);
    };
    self::version(account, arrival.time).count = 1;
    Ok(Counted::Tripped(Tripped {
        at: now,
        by,
        matches,
        events: breaker.share.map(|_| events),
        breaker: breaker.clone(),
    }))
}

/// No campaign's id begins so, nor does any account of a budget.
pub(crate) fn account_id(campaign_id: &str) -> String {
    format!("\u{1f}breaker\u{1f}{campaign_id}")
}

/// The version that counts, by the offset of its record (`last`), and whether it has tripped (`count`).
fn version(account: &mut Customer, at: i64) -> &mut Sum {
    let none = || {
        Memory::Total(Sum {
            last: -1,
            ..Sum::default()
        })
    };
    let memory = account.memory_mut(VERSION, at, Retention::Ever, none);
    if !matches!(memory, Memory::Total(_)) {
        *memory = none();
    }
    let Memory::Total(sum) = memory else {
        unreachable!("it was made so above")
    };
    sum
}

fn parts(account: &mut Customer, at: i64, window: i64) -> &mut Vec<(i64, Sum)> {
    let none = || Memory::Stretches(Vec::new());
    let memory = account.memory_mut(PARTS, at, Retention::For(window), none);
    if !matches!(memory, Memory::Stretches(_)) {
        *memory = none();
    }
    let Memory::Stretches(parts) = memory else {
        unreachable!("it was made so above")
    };
    parts
}

/// Whether that is the identity of what a breaker keeps for as long as there is a changelog.
pub(crate) fn is_kept(identity: u64) -> bool {
    identity == VERSION
}

#[cfg(test)]
mod tests {
    use schemas::Campaign;
    use schemas::breaker::TrippedBy;

    use super::*;

    fn rule(breaker: &str) -> Rule {
        let campaign = format!(
            r#"{{"id":"a","name":"a","when":{{"x":[1]}},"reward":{{"kind":"custom"}},"breaker":{breaker}}}"#
        );
        Rule::compile(Campaign::from_json(campaign.as_bytes()).unwrap()).unwrap()
    }

    /// What becomes of counts of the version at an offset: so many matches and events of a second.
    fn tripped(
        partition: &mut Partition,
        rule: Option<&Rule>,
        (campaigns_offset, second, matches, events): (i64, i64, u64, u64),
    ) -> Option<Tripped> {
        let arrival = Arrival {
            offset: partition.offset() + 1,
            time: second * 1000,
        };
        let of = BreakerCount {
            campaigns_offset,
            parts: vec![(second * 1000, matches, events)],
        };
        match count("a", &of, (arrival, Timestamp::UNIX_EPOCH), rule, partition).unwrap() {
            Counted::Tripped(tripped) => Some(tripped),
            Counted::Within => None,
            Counted::TakenBefore => panic!("it is new"),
        }
    }

    #[test]
    fn a_breaker_trips_once_and_anew_after_it_was_resumed() {
        let rule = rule(r#"{"rate":"10/min"}"#);
        let mut partition = Partition::default();
        let mut of = |count| tripped(&mut partition, Some(&rule), count);
        assert_eq!(of((5, 0, 10, 0)), None);
        // A minute later the first are not counted any more; another partition may be behind.
        assert_eq!(of((5, 60, 10, 0)), None);
        assert_eq!(of((5, 0, 5, 0)), None);
        let told = of((5, 61, 1, 0)).unwrap();
        assert_eq!(
            (told.by, told.matches, told.events),
            (TrippedBy::Rate, 11, None)
        );
        assert_eq!(of((5, 62, 100, 0)), None, "once");
        assert_eq!(of((6, 62, 10, 0)), None, "resumed, it begins anew");
        assert_eq!(
            of((5, 62, 100, 0)),
            None,
            "what comes late of before counts no more"
        );
        assert!(of((6, 62, 1, 0)).is_some());
    }

    #[test]
    fn a_change_of_the_campaign_goes_on_with_the_count_and_one_without_breaker_counts_nothing() {
        let rule = rule(r#"{"share":"20%","min_events":50}"#);
        let mut partition = Partition::default();
        let mut of = |rule: Option<&Rule>, count| tripped(&mut partition, rule, count);
        assert_eq!(of(Some(&rule), (5, 0, 5, 25)), None);
        assert_eq!(of(None, (6, 1, 50, 50)), None);
        assert_eq!(of(Some(&rule), (7, 1, 5, 25)), None);
        let told = of(Some(&rule), (7, 1, 1, 1)).unwrap();
        assert_eq!(
            (told.by, told.matches, told.events),
            (TrippedBy::Share, 11, Some(51))
        );
    }

    #[test]
    fn a_record_that_comes_again_counts_once() {
        let rule = rule(r#"{"rate":"10/min"}"#);
        let mut partition = Partition::default();
        let arrival = Arrival { offset: 0, time: 0 };
        let of = BreakerCount {
            campaigns_offset: 1,
            parts: vec![(0, 6, 0)],
        };
        let mut take = || {
            count(
                "a",
                &of,
                (arrival, Timestamp::UNIX_EPOCH),
                Some(&rule),
                &mut partition,
            )
            .unwrap()
        };
        assert!(matches!(take(), Counted::Within));
        assert!(matches!(take(), Counted::TakenBefore));
    }
}
