//! Pages of matches over the buckets of a table, newest first. Pure: what asks the database is an argument.

use std::cmp::Reverse;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{Timestamp, ToSpan as _};
use scylla::value::CqlTimestamp;

use crate::bucket::Bucket;
use crate::{StoreError, StoredMatch};

/// Buckets asked at once. Of a campaign's hour each shard is asked.
const AHEAD: usize = 4;

/// Most buckets that one page looks into: two days of a campaign's hours, four years of a customer's
/// months. What is sparse gives pages that are not full, instead of answers that take long.
const MAX_BUCKETS: usize = 48;

/// Times of events from `from` on and before `to`, in milliseconds: finer parts are cut off, as in the
/// tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first moment.
    pub from: Timestamp,
    /// The moment after the last.
    pub to: Timestamp,
}

/// Where a page ended. Matches are ordered by the time of their event, newest first, those of one
/// moment by event and campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The time of the event of the last match.
    pub occurred_at: Timestamp,
    /// Event and campaign of that match; without them nothing of that moment is left.
    pub row: Option<(String, String)>,
}

/// Some matches.
#[derive(Debug, Clone)]
pub struct Page {
    /// The matches, newest first. There may be few or none although there is a `next`.
    pub matches: Vec<StoredMatch>,
    /// Where the next page begins; none if this was the last one.
    pub next: Option<Position>,
}

/// What is asked of one bucket: rows in order, at most `limit` of each answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its name.
    pub(crate) bucket: String,
    pub(crate) limit: i32,
    start: Timestamp,
    range: Range,
    /// The row after which the page begins, if it is in this bucket.
    after: Option<Position>,
}

impl Part {
    /// The first moment that is asked for.
    pub(crate) fn from(&self) -> CqlTimestamp {
        CqlTimestamp(self.range.from.as_millisecond())
    }

    /// The moment after the last, but for [`Part::rest_of_moment`].
    pub(crate) fn to(&self) -> CqlTimestamp {
        CqlTimestamp(self.range.to.as_millisecond())
    }

    /// Moment, event and campaign of the last row that was given out, if more of its moment may follow.
    pub(crate) fn rest_of_moment(&self) -> Option<(CqlTimestamp, &str, &str)> {
        let after = self.after.as_ref()?;
        let (event_id, campaign_id) = after.row.as_ref()?;
        let moment = CqlTimestamp(after.occurred_at.as_millisecond());
        Some((moment, event_id, campaign_id))
    }
}

/// The order of matches in pages.
pub(crate) fn order(found: &StoredMatch) -> (Reverse<Timestamp>, &str, &str) {
    let won = &found.won;
    (Reverse(won.occurred_at), &won.event_id, &won.campaign_id)
}

/// The buckets of a time, newest first, with what is asked of each.
fn parts(
    bucket: Bucket,
    range: Range,
    after: Option<Position>,
    limit: i32,
) -> impl Iterator<Item = Part> {
    let after = after.filter(|after| after.occurred_at < range.to);
    let to = after.as_ref().map_or(range.to, |after| after.occurred_at);
    let range = Range { to, ..range };
    let newest = match &after {
        Some(after) if after.row.is_some() => Some(after.occurred_at),
        _ => range.to.checked_sub(1.millisecond()).ok(),
    };
    let newest = newest.filter(|newest| *newest >= range.from);
    let times = std::iter::successors(newest, move |time| {
        let before = bucket.last_before(*time)?;
        (before >= range.from).then_some(before)
    });
    let mut after = after;
    times.map(move |time| Part {
        bucket: bucket.name(time),
        limit,
        start: bucket.start(time),
        range,
        // That row is in the first bucket.
        after: after.take(),
    })
}

/// Reads a page of at most `size` matches.
pub(crate) async fn read<Answer>(
    bucket: Bucket,
    range: Range,
    after: Option<Position>,
    size: usize,
    fetch: impl Fn(Part) -> Answer,
) -> Result<Page, StoreError>
where
    Answer: Future<Output = Result<Vec<StoredMatch>, StoreError>>,
{
    // One more than is given out, to know whether more follow.
    let limit = i32::try_from(size + 1).unwrap_or(i32::MAX);
    let mut rest = parts(bucket, range, after, limit);
    let asked: Vec<Part> = rest.by_ref().take(MAX_BUCKETS).collect();
    let unasked = rest.next().and(asked.last()).map(|oldest| Position {
        occurred_at: oldest.start,
        row: None,
    });
    let mut matches: Vec<StoredMatch> = Vec::new();
    let mut answers = std::pin::pin!(stream::iter(asked).map(fetch).buffered(AHEAD));
    while matches.len() <= size
        && let Some(found) = answers.try_next().await?
    {
        matches.extend(found);
    }
    if matches.len() <= size {
        return Ok(Page {
            matches,
            next: unasked,
        });
    }
    matches.truncate(size);
    let next = matches.last().map(|StoredMatch { won, .. }| Position {
        occurred_at: won.occurred_at,
        row: Some((won.event_id.to_string(), won.campaign_id.to_string())),
    });
    Ok(Page { matches, next })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn stored(millis: i64, event: u8, campaign: u8) -> StoredMatch {
        let time = Timestamp::from_millisecond(millis).unwrap();
        let json = json!({
            "match_id": format!("{event}:{campaign}"), "event_id": event.to_string(),
            "campaign_id": campaign.to_string(), "campaign_version": 1, "campaigns_offset": 0,
            "customer_id": "ada", "event_type": "purchase", "occurred_at": time,
            "matched_at": time, "reward": {"kind": "custom"},
            "source": {"topic": "events", "partition": 0, "offset": 0},
        });
        StoredMatch {
            won: serde_json::from_str(&json.to_string()).unwrap(),
            reversals: Vec::new(),
            traceparent: None,
            correlation_id: None,
        }
    }

    /// Answers as the statements of the reader do.
    fn ask(rows: &[StoredMatch], bucket: Bucket, part: &Part) -> Vec<StoredMatch> {
        let millis = |row: &StoredMatch| CqlTimestamp(row.won.occurred_at.as_millisecond());
        let in_bucket = |row: &&StoredMatch| bucket.name(row.won.occurred_at) == part.bucket;
        let rest = part.rest_of_moment();
        let in_rest = |row: &&StoredMatch| {
            rest.is_some_and(|(moment, event, campaign)| {
                let place = (&*row.won.event_id, &*row.won.campaign_id);
                millis(row) == moment && place > (event, campaign)
            })
        };
        let in_span = |row: &&StoredMatch| (part.from().0..part.to().0).contains(&millis(row).0);
        let limit = usize::try_from(part.limit).unwrap();
        let of = |rows: &mut dyn Iterator<Item = &StoredMatch>| -> Vec<_> {
            rows.take(limit).cloned().collect()
        };
        let mut found = of(&mut rows.iter().filter(in_bucket).filter(in_rest));
        found.extend(of(&mut rows.iter().filter(in_bucket).filter(in_span)));
        found
    }

    fn pages(rows: &[StoredMatch], bucket: Bucket, range: Range, size: usize) -> Vec<Page> {
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let fetch = |part| std::future::ready(Ok(ask(rows, bucket, &part)));
            let page = read(bucket, range, after.take(), size, fetch);
            let page = futures::executor::block_on(page).unwrap();
            assert!(page.matches.len() <= size);
            after.clone_from(&page.next);
            pages.push(page);
            if after.is_none() {
                return pages;
            }
        }
    }

    fn range(from: i64, to: i64) -> Range {
        Range {
            from: Timestamp::from_millisecond(from).unwrap(),
            to: Timestamp::from_millisecond(to).unwrap(),
        }
    }

    const HOUR: i64 = 3_600_000;

    proptest! {
        /// Whatever the size of the pages, together they are what there is in that time, in order.
        #[test]
        fn pages_neither_lose_nor_repeat_a_match(
            rows in prop::collection::btree_set(
                ((0..4i64, prop::sample::select(vec![0, 1, HOUR - 1])), 0..4u8, 0..3u8), 0..40),
            size in 1..10usize,
            (from, to) in (0..4 * HOUR, 0..5 * HOUR),
        ) {
            let mut rows: Vec<_> = rows.into_iter()
                .map(|((hour, rest), event, campaign)| stored(hour * HOUR + rest, event, campaign))
                .collect();
            rows.sort_by(|a, b| order(a).cmp(&order(b)));
            for bucket in [Bucket::Hour, Bucket::Month] {
                let found = pages(&rows, bucket, range(from, to), size);
                let found: Vec<_> = found.iter().flat_map(|page| &page.matches).map(order).collect();
                let expected: Vec<_> = rows.iter()
                    .filter(|row| (from..to).contains(&row.won.occurred_at.as_millisecond()))
                    .map(order)
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_page_of_something_sparse_is_short_instead_of_slow() {
        let rows = [stored(0, 1, 1)];
        let pages = pages(&rows, Bucket::Hour, range(0, 100 * HOUR), 10);
        let sizes: Vec<_> = pages.iter().map(|page| page.matches.len()).collect();
        assert_eq!(sizes, [0, 0, 1]);
    }

    #[test]
    fn a_position_outside_of_the_time_asked_for_reveals_nothing_of_it() {
        let rows = [stored(7 * HOUR, 1, 1), stored(HOUR, 1, 1)];
        let after = Position {
            occurred_at: Timestamp::from_millisecond(7 * HOUR).unwrap(),
            row: Some((String::new(), String::new())),
        };
        let fetch = |part| std::future::ready(Ok(ask(&rows, Bucket::Hour, &part)));
        let page = read(Bucket::Hour, range(0, 2 * HOUR), Some(after), 10, fetch);
        let page = futures::executor::block_on(page).unwrap();
        assert_eq!(page.matches.len(), 1);
    }
}
