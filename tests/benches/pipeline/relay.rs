//! The least that exactly-once processing costs: consume, copy one event in eleven, commit. No parsing,
//! no rules, no group to rebalance. Its clients are configured as the product's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::settings::KafkaSettings;

use crate::stage::Stage;

/// As long as the matcher's batches are by default under load.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// Copies one event in eleven to the matches. Returns the events a second from the first to the last
/// commit.
pub(crate) fn drain(stage: &Stage, workers: i32, events: u32) -> f64 {
    let settings = KafkaSettings {
        bootstrap_servers: stage.bootstrap.clone(),
        config: service::kafka::config::KafkaConfig::default(),
    };
    let committed = AtomicU64::new(0);
    let spans: Vec<Span> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                let (settings, committed) = (&settings, &committed);
                let partitions = (0..stage.partitions).filter(move |p| p % workers == worker);
                let relay = move || relay(stage, settings, partitions, committed, events.into());
                scope.spawn(relay)
            })
            .collect();
        let spans = workers.into_iter().map(thread::ScopedJoinHandle::join);
        spans.map(|span| span.expect("a relay ends")).collect()
    });
    let first = spans.iter().min_by_key(|span| span.first);
    let first = first.expect("a worker");
    let last = spans.iter().map(|span| span.last).max().expect("a worker");
    (f64::from(events) - first.events) / (last - first.first).as_secs_f64()
}

/// When a worker first and last committed, and how many events with the first.
struct Span {
    first: Instant,
    events: f64,
    last: Instant,
}

fn relay(
    stage: &Stage,
    settings: &KafkaSettings,
    partitions: impl Iterator<Item = i32>,
    committed: &AtomicU64,
    events: u64,
) -> Span {
    let group = stage.topic("relay");
    let topic = stage.topic("events");
    let matches = stage.topic("matches");
    let consumer: BaseConsumer = settings.consumer(&group).create().expect("a consumer");
    let mut positions = TopicPartitionList::new();
    for partition in partitions {
        positions
            .add_partition_offset(&topic, partition, Offset::Beginning)
            .expect("a partition once");
    }
    let id = format!("{group}-{}", positions.elements()[0].partition());
    consumer.assign(&positions).expect("an assignment");
    let producer: ThreadedProducer<DefaultProducerContext> = settings
        .transactional_producer(&id)
        .create()
        .expect("a producer");
    let patience = Duration::from_secs(30);
    producer.init_transactions(patience).expect("a broker");

    let mut span: Option<Span> = None;
    let mut seen = 0_u64;
    while committed.load(Ordering::Relaxed) < events {
        let mut in_batch = 0_u32;
        let mut begun = None;
        let mut offsets = TopicPartitionList::new();
        let mut next = std::collections::BTreeMap::new();
        loop {
            let open_for = begun.map_or(Duration::ZERO, |begun: Instant| begun.elapsed());
            if open_for >= COMMIT_INTERVAL || committed.load(Ordering::Relaxed) >= events {
                break;
            }
            let Some(message) = consumer.poll(Duration::from_millis(10)) else {
                continue;
            };
            let message = message.expect("the broker answers");
            if begun.is_none() {
                producer.begin_transaction().expect("a transaction");
                begun = Some(Instant::now());
            }
            if seen.is_multiple_of(11) {
                let record = BaseRecord::<[u8], [u8]>::to(&matches)
                    .partition(message.partition())
                    .key(message.key().unwrap_or_default())
                    .payload(message.payload().unwrap_or_default());
                producer.send(record).expect("the queue has room");
            }
            next.insert(message.partition(), message.offset() + 1);
            seen += 1;
            in_batch += 1;
        }
        if in_batch == 0 {
            continue;
        }
        for (partition, next) in next {
            offsets
                .add_partition_offset(&topic, partition, Offset::Offset(next))
                .expect("a partition once");
        }
        let member = consumer.group_metadata().expect("a group");
        producer
            .send_offsets_to_transaction(&offsets, &member, patience)
            .expect("offsets are taken");
        while producer.in_flight_count() > 0 {
            thread::sleep(Duration::from_micros(200));
        }
        producer.commit_transaction(patience).expect("a commit");
        committed.fetch_add(in_batch.into(), Ordering::Relaxed);
        let now = Instant::now();
        let span = span.get_or_insert(Span {
            first: now,
            events: in_batch.into(),
            last: now,
        });
        span.last = now;
    }
    span.expect("every worker has events")
}
