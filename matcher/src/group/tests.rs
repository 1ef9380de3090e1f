//! A member against librdkafka's own mock of a cluster, for what depends on who is quicker in librdkafka.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use service::Metrics;
use service::settings::KafkaSettings;

use super::*;

const TOPIC: &str = "events";

/// How long a cluster within this process may take.
const PATIENCE: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(50);

/// How long the cluster takes to answer: longer than it takes to give a partition back.
const ANSWER: Duration = Duration::from_millis(50);

/// A cluster that takes its time, with a topic of that many partitions.
fn cluster(partitions: i32) -> (MockCluster<'static, DefaultProducerContext>, KafkaSettings) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, partitions, 1).unwrap();
    cluster.broker_round_trip_time(-1, ANSWER).unwrap();
    let kafka = KafkaSettings {
        bootstrap_servers: cluster.bootstrap_servers(),
        config: "".parse().unwrap(),
    };
    (cluster, kafka)
}

/// Does something until it has an outcome.
fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "waiting for {what}");
        if let Some(outcome) = attempt() {
            return outcome;
        }
    }
}

/// A member of a group that has never committed, and the partitions that it was given and has not taken on.
fn member(partitions: i32, kafka: &KafkaSettings) -> (Group, TopicPartitionList) {
    let metrics = GroupMetrics::new(&Metrics::new("test"), "matcher");
    let config = kafka.consumer("never-committed");
    let group = Group::join(&config, TOPIC, Truncation::Refuse, metrics).unwrap();
    let assigned = until("partitions", || {
        if let Some(Err(error)) = group.poll(POLL) {
            panic!("{error}");
        }
        match group.next_change() {
            Some(Change::Assigned(assigned)) if assigned.count() > 0 => Some(assigned),
            _ => None,
        }
    });
    assert_eq!(assigned.count(), usize::try_from(partitions).unwrap());
    (group, assigned)
}

/// Waits until the positions of these partitions are known.
fn settle(group: &mut Group, partitions: &[i32]) {
    until("the positions", || {
        let mut arrived = group.settle().unwrap();
        arrived.sort_unstable();
        (arrived == partitions).then_some(())
    });
}

/// Writes records so that each is fetched alone.
fn write(kafka: &KafkaSettings, records: usize) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("batch.num.messages", "1")
        .create()
        .unwrap();
    for _ in 0..records {
        let record = BaseRecord::<str, str>::to(TOPIC).partition(0).payload("{}");
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// Reads the partition with that number until all its records were read, each in its turn.
fn read_all(group: &mut Group, records: usize) {
    for expected in 0.. {
        if expected == records {
            return;
        }
        let offset = until("the next record", || match group.poll(POLL) {
            Some(Ok(message)) => Some(message.offset()),
            Some(Err(error)) => panic!("{error}"),
            None => None,
        });
        assert_eq!(
            usize::try_from(offset),
            Ok(expected),
            "records were left out"
        );
    }
}

/// What is asked of the broker of a partition that leaves could be answered once it is back.
#[test]
fn a_partition_that_leaves_before_its_position_is_known_and_comes_back_is_read_from_there() {
    // It takes a second to read them.
    let records = 40;
    let (_cluster, kafka) = cluster(1);
    write(&kafka, records);
    let (mut group, assigned) = member(1, &kafka);
    group.admit(&assigned);
    group.release(&assigned).unwrap();
    group.admit(&assigned);
    settle(&mut group, &[0]);
    group.read(0).unwrap();
    read_all(&mut group, records);
}

#[test]
fn partitions_leave_whether_they_are_read_or_not() {
    let (_cluster, kafka) = cluster(2);
    let (mut group, assigned) = member(2, &kafka);
    group.admit(&assigned);
    settle(&mut group, &[0, 1]);
    group.read(0).unwrap();
    group.release(&assigned).unwrap();
    assert_eq!(group.consumer.assignment().unwrap().count(), 0);
    assert!(group.is_settled());
}

/// A position that was set back before anything was committed.
#[test]
fn a_group_that_has_never_committed_is_set_back_to_the_oldest_record() {
    let records = 40;
    let (_cluster, kafka) = cluster(1);
    write(&kafka, records);
    let (mut group, assigned) = member(1, &kafka);
    group.admit(&assigned);
    settle(&mut group, &[0]);
    group.read(0).unwrap();
    read_all(&mut group, 3);
    group.rewind().unwrap();
    read_all(&mut group, records);
}
