//! Counts matches and events for the campaigns that have a breaker, and tells the settler in the transaction that they are of.
//!
//! A campaign that wins something is told of at once. One whose breaker has a share must know of the events that it did not win, too: those
//! of transactions in which it won nothing are told with its next count, half a second later at most. If the process is killed before, these
//! are lost, and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rules::Rule;
use schemas::breaker::BreakerCount;
use schemas::names::header;
use schemas::{CampaignId, Control};
use service::kafka::transaction::Open;

use super::emit::now_in_millis;
use crate::campaigns::Armed;

/// How long a campaign that wins nothing may not be told of.
const TELL: Duration = Duration::from_millis(500);

/// What one worker counts.
pub(super) struct BreakerCounts {
    armed: Armed,
    /// Those in force in this batch whose breakers have a share.
    shares: Arc<Vec<Arc<Rule>>>,
    /// One of these for each stretch of time that they have.
    windows: Vec<Arc<Rule>>,
    /// Matches of this batch by campaign, with one of its rules, and by the begins of parts.
    matches: BTreeMap<CampaignId, (i64, BTreeMap<i64, u64>)>,
    /// Events of this batch and of batches that somebody was not told of, by the length of parts.
    events: BTreeMap<i64, VecDeque<Events>>,
    /// The number of this batch.
    batch: u64,
    /// The first batch that a campaign was not told of, and when it was told of the ones before.
    told: BTreeMap<CampaignId, (u64, Instant)>,
    /// Campaigns that are told of in this batch.
    telling: Vec<CampaignId>,
}

/// Events of a part in a batch.
struct Events {
    batch: u64,
    begin: i64,
    count: u64,
}

impl BreakerCounts {
    pub(super) fn new(armed: Armed) -> Self {
        Self {
            shares: Arc::default(),
            windows: Vec::new(),
            armed,
            matches: BTreeMap::new(),
            events: BTreeMap::new(),
            batch: 0,
            told: BTreeMap::new(),
            telling: Vec::new(),
        }
    }

    /// A batch begins; what an aborted one has counted is void.
    pub(super) fn begin(&mut self) {
        self.matches.clear();
        self.telling.clear();
        for events in self.events.values_mut() {
            while events.back().is_some_and(|it| it.batch == self.batch) {
                events.pop_back();
            }
        }
        let shares = self.armed.shares();
        if !Arc::ptr_eq(&shares, &self.shares) {
            self.shares = shares;
            self.follow();
        }
    }

    /// Other campaigns have a share than before.
    fn follow(&mut self) {
        let windows: BTreeMap<i64, &Arc<Rule>> = (self.shares.iter())
            .filter_map(|rule| Some((rule.breaker()?.window(), rule)))
            .collect();
        self.events.retain(|window, _| windows.contains_key(window));
        self.windows = windows.into_values().cloned().collect();
        let ids: BTreeSet<&CampaignId> = self.shares.iter().map(|rule| rule.id()).collect();
        self.told.retain(|id, _| ids.contains(id));
    }

    /// An event was decided, whose record is of that time.
    pub(super) fn event(&mut self, at: i64) {
        for rule in &self.windows {
            let Some(breaker) = rule.breaker() else {
                continue;
            };
            let events = self.events.entry(breaker.window()).or_default();
            let begin = breaker.part(at);
            match events.back_mut() {
                Some(last) if last.batch == self.batch && last.begin == begin => last.count += 1,
                _ => events.push_back(Events {
                    batch: self.batch,
                    begin,
                    count: 1,
                }),
            }
        }
    }

    /// The campaign has won, or claimed, something of an event whose record is of that time.
    pub(super) fn matched(&mut self, rule: &Rule, at: i64) {
        let Some(breaker) = rule.breaker() else {
            return;
        };
        let counted = self.matches.entry(rule.id().clone());
        let (offset, parts) = counted.or_insert_with(|| (rule.offset(), BTreeMap::new()));
        *offset = rule.offset();
        *parts.entry(breaker.part(at)).or_default() += 1;
    }

    /// Writes the counts of this batch to topic `claims`. Returns their bytes.
    pub(super) fn tell(&mut self, transaction: &Open, claims: &str) -> Result<usize, KafkaError> {
        if self.matches.is_empty() && self.shares.is_empty() {
            return Ok(0);
        }
        let mut bytes = 0;
        let mut matches = std::mem::take(&mut self.matches);
        let shares = Arc::clone(&self.shares);
        for rule in shares.iter() {
            let won = matches.remove(rule.id());
            let told = self.told.get(rule.id());
            let (from, is_due) = match told {
                Some((from, at)) => (*from, at.elapsed() >= TELL),
                None => (self.batch, true),
            };
            if won.is_none() && !is_due {
                continue;
            }
            let window = rule.breaker().map_or(0, schemas::Breaker::window);
            let mut parts: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
            let events = self.events.get(&window).into_iter().flatten();
            for of in events.filter(|it| it.batch >= from) {
                parts.entry(of.begin).or_default().1 += of.count;
            }
            for (begin, count) in won.into_iter().flat_map(|(_, parts)| parts) {
                parts.entry(begin).or_default().0 += count;
            }
            if !parts.is_empty() {
                bytes += send(transaction, claims, rule.id(), rule.offset(), parts)?;
                self.telling.push(rule.id().clone());
            }
        }
        for (id, (offset, parts)) in matches {
            let parts = parts.into_iter().map(|(begin, count)| (begin, (count, 0)));
            bytes += send(transaction, claims, &id, offset, parts.collect())?;
        }
        Ok(bytes)
    }

    /// The batch was committed.
    pub(super) fn committed(&mut self) {
        self.batch += 1;
        if self.shares.is_empty() {
            return;
        }
        let now = Instant::now();
        for id in self.telling.drain(..) {
            self.told.insert(id, (self.batch, now));
        }
        for rule in self.shares.iter() {
            let id = rule.id().clone();
            self.told.entry(id).or_insert((self.batch, now));
        }
        let first = self.told.values().map(|(from, _)| *from).min();
        let first = first.unwrap_or(self.batch);
        for events in self.events.values_mut() {
            while events.front().is_some_and(|it| it.batch < first) {
                events.pop_front();
            }
        }
    }
}

/// The partition is that of the campaign: its counts have one order with its claims.
fn send(
    transaction: &Open,
    claims: &str,
    id: &CampaignId,
    campaigns_offset: i64,
    parts: BTreeMap<i64, (u64, u64)>,
) -> Result<usize, KafkaError> {
    let parts = parts.into_iter();
    let count = BreakerCount {
        campaigns_offset,
        parts: (parts.map(|(begin, (matches, events))| (begin, matches, events))).collect(),
    };
    let json = serde_json::to_vec(&count).expect("numbers are written without fail");
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: header::CONTROL,
            value: Some(Control::Count.word()),
        })
        .insert(Header {
            key: header::CONTROL_COUNT,
            value: Some(&json),
        });
    let record = BaseRecord::<[u8], [u8]>::to(claims)
        .key(id.as_str().as_bytes())
        .timestamp(now_in_millis().as_millisecond())
        .headers(headers);
    transaction.send(record)?;
    Ok(json.len())
}
