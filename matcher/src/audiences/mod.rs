//! The audiences of a worker's partitions: brought back from `audience-members` before events of a partition are read, then
//! followed.
//!
//! A [`follow`] thread reads; the worker owns what it knows and takes in what comes, so that no lock is on the way of an event.
//! Nothing of it runs until a campaign has an audience.
//!
//! A change that was acknowledged before an event was produced has to be seen. Two topics have no common order, so the thread asks
//! ten times a second where the partitions end, and tells when all of that is read. What is known is good for [`MAX_AGE`] after that
//! moment; without such news an event that asks for audiences waits.

mod follow;
mod metrics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use schemas::AudienceRecord;
use service::settings::KafkaSettings;
use state::{Members, Memberships};

use self::follow::{Follower, News};
pub(crate) use self::metrics::AudienceMetrics;
use self::metrics::Told;

/// How old what is known of audiences may be when an event is decided by it. `docs/rules.md` promises a second, of which the way of
/// the event takes a part.
const MAX_AGE: Duration = Duration::from_millis(800);

/// How often the members are counted.
const COUNT: Duration = Duration::from_millis(500);

/// Whether some campaign has an audience, or had one since the process began. The campaigns' follower says so, workers ask.
#[derive(Debug, Clone, Default)]
pub struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// Some campaign has an audience.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`Wanted::begin`] was called.
    pub fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where audiences are.
#[derive(Debug, Clone)]
pub(crate) struct AudienceSource {
    pub(crate) kafka: KafkaSettings,
    pub(crate) topic: String,
}

/// The audiences of the partitions that a worker has. Owned by its thread; blocks on nothing.
pub(crate) struct Audiences {
    source: AudienceSource,
    wanted: Wanted,
    metrics: AudienceMetrics,
    told: Told,
    next_count: Instant,
    is_changed: bool,
    follower: Option<Follower>,
    /// Whether they could not be read when it was last tried.
    is_away: bool,
    partitions: BTreeMap<i32, Place>,
    next_ticket: u64,
}

/// A partition that the worker has.
struct Place {
    /// Which of several times it came.
    ticket: u64,
    known: Option<Known>,
}

/// What is known of a partition's customers.
struct Known {
    members: Members,
    /// When all that was there then was known.
    at: Instant,
}

impl Audiences {
    /// Of no partition yet.
    pub(crate) fn new(source: AudienceSource, wanted: Wanted, metrics: AudienceMetrics) -> Self {
        Self {
            source,
            wanted,
            told: metrics.told(),
            metrics,
            next_count: Instant::now(),
            is_changed: false,
            follower: None,
            is_away: false,
            partitions: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    /// Partitions came.
    pub(crate) fn bring_back(&mut self, partitions: &[i32]) {
        for partition in partitions {
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            let known = None;
            self.partitions.insert(*partition, Place { ticket, known });
            if let Some(follower) = &self.follower {
                follower.begin(*partition, ticket);
            }
        }
    }

    /// A partition went.
    pub(crate) fn let_go(&mut self, partition: i32) {
        self.partitions.remove(&partition);
        if let Some(follower) = &self.follower {
            follower.let_go(partition);
        }
        self.is_changed = true;
    }

    /// All partitions went.
    pub(crate) fn let_go_all(&mut self) {
        self.partitions.clear();
        self.follower = None;
        self.is_away = false;
        self.is_changed = true;
    }

    /// Whether events of that partition may be read: its audiences are there, or nobody asks for any. If there is nothing to wait for,
    /// such as where the topic was never made, those wait that ask for audiences, and not all.
    pub(crate) fn is_back(&self, partition: i32) -> bool {
        let place = self.partitions.get(&partition);
        let is_known = place.is_some_and(|place| place.known.is_some());
        self.follower.is_none() || self.is_away || is_known
    }

    /// Takes in what has come, and begins when audiences are asked for.
    pub(crate) fn tend(&mut self) {
        if self.is_changed && Instant::now() >= self.next_count {
            self.count();
        }
        if self.follower.is_none() {
            if !self.wanted.is_wanted() || self.partitions.is_empty() {
                return;
            }
            match Follower::start(&self.source, &self.metrics) {
                Ok(follower) => {
                    for (partition, place) in &self.partitions {
                        follower.begin(*partition, place.ticket);
                    }
                    self.follower = Some(follower);
                }
                // Events that ask for audiences wait meanwhile.
                Err(error) => {
                    tracing::error!(%error, "a thread that follows audiences cannot be started");
                }
            }
        }
        while let Some(news) = self.follower.as_ref().and_then(Follower::next) {
            self.take(news);
        }
    }

    /// Tells how many members there are.
    fn count(&mut self) {
        self.next_count = Instant::now() + COUNT;
        self.is_changed = false;
        let known = self.partitions.values().filter_map(|it| it.known.as_ref());
        self.told.tell(known.map(|known| &known.members));
    }

    fn take(&mut self, news: News) {
        self.is_away = matches!(news, News::Away);
        match news {
            News::Away => {}
            News::Back {
                partition,
                ticket,
                members,
                at,
            } => {
                let place = self.partitions.get_mut(&partition);
                if let Some(place) = place.filter(|place| place.ticket == ticket) {
                    let members = *members;
                    place.known = Some(Known { members, at });
                    self.is_changed = true;
                }
            }
            News::Changes { partition, changes } => {
                let place = self.partitions.get_mut(&partition);
                let Some(known) = place.and_then(|place| place.known.as_mut()) else {
                    return;
                };
                for change in &changes {
                    // What cannot be read was told of where it came.
                    if let Ok(record) = AudienceRecord::read(Some(&change.key), change.value()) {
                        self.is_changed |= known.members.apply(record);
                    }
                }
            }
            News::Fresh { at, partitions } => {
                for (partition, ticket) in partitions {
                    let place = self.partitions.get_mut(&partition);
                    let place = place.filter(|place| place.ticket == ticket);
                    if let Some(known) = place.and_then(|place| place.known.as_mut()) {
                        known.at = at;
                    }
                }
            }
        }
    }

    /// Whether audiences of a partition can be asked for.
    pub(crate) fn is_known(&self, partition: i32) -> bool {
        self.known(partition).is_some()
    }

    fn known(&self, partition: i32) -> Option<&Members> {
        let known = self.partitions.get(&partition)?.known.as_ref()?;
        (known.at.elapsed() <= MAX_AGE).then_some(&known.members)
    }

    /// For the customer of an event of that partition.
    pub(crate) fn of(&mut self, partition: i32) -> OfPartition<'_> {
        OfPartition {
            audiences: self,
            partition,
        }
    }
}

/// The audiences of customers of one partition.
pub(crate) struct OfPartition<'a> {
    audiences: &'a mut Audiences,
    partition: i32,
}

impl state::Audiences for OfPartition<'_> {
    fn of(&mut self, customer_id: &str) -> Option<Memberships<'_>> {
        self.audiences.tend();
        let members = self.audiences.known(self.partition)?;
        Some(members.of(customer_id))
    }
}

#[cfg(test)]
mod tests {
    use service::Metrics;
    use state::Audiences as _;

    use super::follow::Change;
    use super::*;

    fn audiences() -> (Audiences, Metrics) {
        let metrics = Metrics::new("test");
        let kafka = KafkaSettings {
            bootstrap_servers: "127.0.0.1:1".to_owned(),
            config: "".parse().unwrap(),
        };
        let topic = "audience-members".to_owned();
        let source = AudienceSource { kafka, topic };
        let told = AudienceMetrics::new(&metrics);
        (Audiences::new(source, Wanted::default(), told), metrics)
    }

    fn back(ticket: u64, customers: &[&str], at: Instant) -> News {
        let mut members = Box::<Members>::default();
        for customer in customers {
            members.add("vip", customer);
        }
        News::Back {
            partition: 1,
            ticket,
            members,
            at,
        }
    }

    fn is_in(audiences: &mut Audiences, customer: &str) -> Option<bool> {
        let mut of = audiences.of(1);
        of.of(customer).map(|it| it.contains("vip"))
    }

    #[test]
    fn what_is_known_grows_old_and_only_news_of_the_same_turn_count() {
        let (mut audiences, _) = audiences();
        assert!(audiences.is_back(1), "nobody asks for any");
        audiences.bring_back(&[1]);
        audiences.let_go(1);
        audiences.bring_back(&[1]);
        let long_ago = Instant::now().checked_sub(MAX_AGE * 2).unwrap();
        audiences.take(back(0, &["bob"], Instant::now()));
        assert_eq!(is_in(&mut audiences, "bob"), None, "of the turn before");
        audiences.take(back(1, &["ada"], long_ago));
        assert_eq!(
            is_in(&mut audiences, "ada"),
            None,
            "who knows what came since"
        );
        let fresh = |ticket| News::Fresh {
            at: Instant::now(),
            partitions: vec![(1, ticket), (2, 7)],
        };
        audiences.take(fresh(0));
        assert!(!audiences.is_known(1));
        audiences.take(fresh(1));
        assert_eq!(is_in(&mut audiences, "ada"), Some(true));
        let change = |key: &[u8], has_value| Change::of(key, has_value);
        audiences.take(News::Changes {
            partition: 1,
            changes: vec![
                change(b"vip:bob", true),
                change(b"no colon", true),
                change(b"vip:ada", false),
            ],
        });
        assert_eq!(is_in(&mut audiences, "ada"), Some(false));
        assert_eq!(is_in(&mut audiences, "bob"), Some(true));
        audiences.let_go_all();
        assert_eq!(is_in(&mut audiences, "bob"), None);
    }

    #[test]
    fn members_are_told_of_by_audience_and_go_with_their_partition() {
        let (mut audiences, metrics) = audiences();
        audiences.bring_back(&[1]);
        let mut members = Box::<Members>::default();
        for number in 0..150 {
            members.add(&format!("a-{number:03}"), "ada");
        }
        let at = Instant::now();
        let (partition, ticket) = (1, 0);
        audiences.take(News::Back {
            partition,
            ticket,
            members,
            at,
        });
        audiences.count();
        let text = metrics.render().unwrap();
        assert!(
            text.contains("matcher_audience_members{audience=\"a-000\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("matcher_audience_members{audience=\"other\"} 50"),
            "{text}"
        );
        audiences.let_go(1);
        audiences.count();
        let text = metrics.render().unwrap();
        assert!(
            text.contains("matcher_audience_members{audience=\"a-000\"} 0"),
            "{text}"
        );
        assert!(text.contains("matcher_audience_bytes 0"), "{text}");
    }
}
