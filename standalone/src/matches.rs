//! The matches, in memory: what the database is to a real installation. Rebuilt from the topic at
//! each start.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use schemas::names::header;
use schemas::{Control, DeadLetterReason, Match, Reader, Unread};
use serde::{Deserialize, Serialize};
use service::Shutdown;
use service::kafka::record::{self, encoded};
use service::settings::KafkaSettings;

use crate::topic::{Start, TopicReader};

/// Most matches kept; the oldest go first. At about 1 KB each.
const KEPT: u16 = 20_000;

/// How often a schema that is not known yet is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Most matches on a page, and how many if nothing was said.
const LONGEST_PAGE: usize = 10_000;
const PAGE: usize = 20;

/// The newest matches by their id. Shared between the thread that reads the topic and the web pages.
#[derive(Clone, Default)]
pub struct Matches(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    by_id: BTreeMap<String, Match<'static>>,
    in_order: VecDeque<String>,
    repeated: u64,
}

/// What is shown of the store.
#[derive(Debug, Serialize)]
struct Page {
    /// Matches kept.
    kept: usize,
    /// Matches whose id was there before: anything but 0 is a broken promise.
    repeated: u64,
    /// The newest that were asked for.
    matches: Vec<Match<'static>>,
}

/// Which matches to show.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    customer_id: Option<String>,
    event_id: Option<String>,
    campaign_id: Option<String>,
    limit: Option<usize>,
}

impl Matches {
    /// Keeps a match, or what became of one that is kept.
    pub fn insert(&self, won: Match<'static>) {
        let mut kept = self.lock();
        let id = won.match_id.clone().into_owned();
        if !won.is_first() {
            // What became of it; of one that is forgotten nothing is shown.
            if let Some(there) = kept.by_id.get_mut(&id) {
                *there = won;
            }
            return;
        }
        if kept.by_id.insert(id.clone(), won).is_some() {
            kept.repeated += 1;
            return;
        }
        kept.in_order.push_back(id);
        if kept.in_order.len() > usize::from(KEPT)
            && let Some(oldest) = kept.in_order.pop_front()
        {
            kept.by_id.remove(&oldest);
        }
    }

    /// Forgets what a customer has won so far.
    pub fn forget(&self, customer_id: &str) {
        let mut kept = self.lock();
        let Kept {
            by_id, in_order, ..
        } = &mut *kept;
        by_id.retain(|_, won| won.customer_id != customer_id);
        in_order.retain(|id| by_id.contains_key(id));
    }

    /// `/matches`, with `customer_id`, `event_id`, `campaign_id` and `limit` to choose by.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/matches", get(show))
            .with_state(self.clone())
    }

    fn page(&self, wanted: &Wanted) -> Page {
        let is = |asked: &Option<String>, there: &str| asked.as_ref().is_none_or(|a| a == there);
        let kept = self.lock();
        let matches = kept
            .in_order
            .iter()
            .rev()
            .filter_map(|id| kept.by_id.get(id));
        Page {
            kept: kept.by_id.len(),
            repeated: kept.repeated,
            matches: matches
                .filter(|won| is(&wanted.customer_id, &won.customer_id))
                .filter(|won| is(&wanted.event_id, &won.event_id))
                .filter(|won| is(&wanted.campaign_id, &won.campaign_id))
                .take(wanted.limit.unwrap_or(PAGE).min(LONGEST_PAGE))
                .cloned()
                .collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn show(State(matches): State<Matches>, Query(wanted): Query<Wanted>) -> Json<Page> {
    Json(matches.page(&wanted))
}

/// What [`follow`] has seen.
#[derive(Debug)]
pub enum Seen<'a> {
    /// Everything that was there before: so many matches are kept.
    Rebuilt(usize),
    /// A match that was made since.
    New(&'a Match<'static>),
}

/// Reads the newest of the committed matches and on until shutdown, keeps them and tells of them. Blocks
/// its thread.
///
/// # Errors
/// The topic cannot be read, or `tell` failed.
pub fn follow(
    kafka: &KafkaSettings,
    topic: &str,
    (mut documents, matches): (Reader, &Matches),
    shutdown: &Shutdown,
    mut tell: impl FnMut(Seen<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = TopicReader::begin(kafka, topic, Start::Newest(KEPT))?;
    let mut rebuilt = false;
    while !shutdown.is_requested() {
        if !rebuilt && reader.is_at_end() {
            rebuilt = true;
            tell(Seen::Rebuilt(matches.lock().by_id.len()))?;
        }
        let Some(message) = reader.next(Duration::from_millis(100)) else {
            continue;
        };
        if let Some(asked) = control(&message) {
            match asked {
                Ok(customer) => matches.forget(customer),
                Err(error) => tracing::warn!(%error, offset = message.offset(), "skipped"),
            }
            continue;
        }
        let read = loop {
            match documents.read_match(encoded(&message)) {
                Err(Unread::Waiting(_)) if !shutdown.is_requested() => shutdown.wait(ASK_AGAIN),
                read => break read,
            }
        };
        match read {
            Ok(won) => {
                if rebuilt {
                    tell(Seen::New(&won))?;
                }
                matches.insert(won);
            }
            Err(error) => tracing::warn!(%error, offset = message.offset(), "skipped"),
        }
    }
    Ok(())
}

/// The customer whom a record without a value asks to forget.
fn control<'m>(message: &'m BorrowedMessage<'_>) -> Option<Result<&'m str, DeadLetterReason>> {
    if message.payload().is_some() {
        return None;
    }
    let word = record::header(message, header::CONTROL)?;
    Some(Control::read_erasure(word, message.key()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn won(event: &str, campaign: &str, customer: &str) -> Match<'static> {
        let json = serde_json::json!({
            "match_id": format!("{event}:{campaign}"), "event_id": event, "campaign_id": campaign,
            "campaign_version": 1, "campaigns_offset": 0, "customer_id": customer,
            "event_type": "purchase", "occurred_at": "2026-11-24T09:30:00Z",
            "matched_at": "2026-11-24T09:30:00Z", "reward": {"kind": "custom"},
            "source": {"topic": "events", "partition": 0, "offset": 0},
        });
        serde_json::from_str(&json.to_string()).unwrap()
    }

    #[test]
    fn a_match_is_kept_once_and_found_by_customer_event_and_campaign() {
        let matches = Matches::default();
        matches.insert(won("e-1", "ten", "ada"));
        matches.insert(won("e-2", "ten", "bob"));
        matches.insert(won("e-2", "coffee", "bob"));
        matches.insert(won("e-1", "ten", "ada"));
        let ids = |wanted: Wanted| -> Vec<String> {
            let page = matches.page(&wanted);
            page.matches
                .iter()
                .map(|m| m.match_id.to_string())
                .collect()
        };
        assert_eq!(ids(Wanted::default()), ["e-2:coffee", "e-2:ten", "e-1:ten"]);
        let ada = Wanted {
            customer_id: Some("ada".into()),
            ..Wanted::default()
        };
        assert_eq!(ids(ada), ["e-1:ten"]);
        let coffee = Wanted {
            campaign_id: Some("coffee".into()),
            ..Wanted::default()
        };
        assert_eq!(ids(coffee), ["e-2:coffee"]);
        assert_eq!(
            ids(Wanted {
                limit: Some(1),
                ..Wanted::default()
            }),
            ["e-2:coffee"]
        );
        assert_eq!(matches.page(&Wanted::default()).repeated, 1);
        // What is won again after that is no repetition.
        matches.forget("bob");
        assert_eq!(ids(Wanted::default()), ["e-1:ten"]);
        matches.insert(won("e-2", "ten", "bob"));
        assert_eq!(ids(Wanted::default()), ["e-2:ten", "e-1:ten"]);
        assert_eq!(matches.page(&Wanted::default()).repeated, 1);
    }
}
