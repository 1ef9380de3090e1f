//! A member against librdkafka's own mock of a cluster, for what depends on who is quicker in librdkafka.

use std::collections::BTreeSet;

use rdkafka::mocking::MockCluster;
use service::Metrics;
use service::settings::KafkaSettings;

use super::*;

const TOPIC: &str = "events";

/// How long a cluster within this process may take.
const PATIENCE: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(50);

/// A member of a group that has never committed, and the partitions that it was given and has not taken on.
fn member(partitions: i32, kafka: &KafkaSettings) -> (Group, TopicPartitionList) {
    let mut config = kafka.consumer("never-committed");
    // So that a test sees that a partition is fetched.
    config.set("enable.partition.eof", "true");
    let metrics = GroupMetrics::new(&Metrics::new("test"), "matcher");
    let group = Group::join(&config, TOPIC, Truncation::Refuse, metrics).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "nothing was assigned");
        if let Some(Err(error)) = group.poll(POLL) {
            panic!("{error}");
        }
        match group.next_change() {
            Some(Change::Assigned(assigned)) if assigned.count() > 0 => {
                assert_eq!(assigned.count(), usize::try_from(partitions).unwrap());
                return (group, assigned);
            }
            _ => {}
        }
    }
}

/// librdkafka asks where a partition begins as soon as it is assigned, and the answer may come before it is given back. Here it
/// always does.
#[test]
fn a_partition_that_leaves_before_its_position_is_known_leaves_no_error_behind() {
    let partitions = 2;
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, partitions, 1).unwrap();
    let kafka = KafkaSettings {
        bootstrap_servers: cluster.bootstrap_servers(),
        config: "".parse().unwrap(),
    };
    let (mut group, assigned) = member(partitions, &kafka);
    group.admit(&assigned);
    group.give_up_arriving(&assigned).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut at_end = BTreeSet::new();
    while at_end.len() < assigned.count() {
        assert!(
            Instant::now() < deadline,
            "only {at_end:?} are at their end"
        );
        match group.poll(POLL) {
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                at_end.insert(partition);
            }
            Some(Err(error)) => panic!("{error}"),
            Some(Ok(message)) => panic!("read offset {}", message.offset()),
            None => {}
        }
    }
    group.consumer.incremental_unassign(&assigned).unwrap();
}
