//! Checks of consumer groups and of their offsets.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use tests::wait;

use crate::clients::{Clients, PATIENCE};

/// A group's committed offset of partition 0.
fn committed(consumer: &BaseConsumer, topic: &str, timeout: Duration) -> Option<i64> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, 0);
    let found = consumer.committed_offsets(asked, timeout).ok()?;
    let element = found.elements().pop()?;
    element.error().ok()?;
    match element.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => Some(0),
    }
}

/// Polls until the consumer has as many partitions.
fn wait_assigned<C: ConsumerContext>(consumer: &BaseConsumer<C>, partitions: usize) {
    wait::until("partitions", PATIENCE, || {
        consumer.poll(Duration::from_millis(20));
        let assignment = consumer
            .assignment()
            .expect("a consumer knows its assignment");
        (assignment.count() == partitions).then_some(())
    });
}

pub(crate) fn committed_offsets(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let group = Clients::name("group");
    let consumer = clients.consumer(&group, &[]);
    consumer.subscribe(&[&topic]).expect("a topic");
    wait_assigned(&consumer, 1);
    assert_eq!(committed(&consumer, &topic, PATIENCE), Some(0));
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(&topic, 0, Offset::Offset(7))
        .expect("a partition once");
    consumer
        .commit(&offsets, CommitMode::Sync)
        .expect("offsets are committed");
    drop(consumer);
    let next = clients.consumer(&group, &[]);
    assert_eq!(committed(&next, &topic, PATIENCE), Some(7));
}

pub(crate) fn offsets_in_transactions(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let group = Clients::name("group");
    let consumer = clients.consumer(&group, &[]);
    consumer.subscribe(&[&topic]).expect("a topic");
    wait_assigned(&consumer, 1);
    let member = consumer.group_metadata().expect("a member");
    let producer = clients.transactional(&Clients::name("offsets"));
    let mut expected = 0;
    for (offset, commits) in [(3, true), (5, false), (6, true), (9, false)] {
        producer.begin();
        assert!(producer.send(&topic, 0, "x").is_ok());
        producer
            .send_offset(&topic, offset, &member)
            .expect("offsets are added");
        if commits {
            producer.commit().expect("the transaction commits");
            expected = offset;
        } else {
            producer.abort().expect("the transaction aborts");
        }
        assert_eq!(committed(&consumer, &topic, PATIENCE), Some(expected));
    }
}

pub(crate) fn unstable_offsets(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let consumer = clients.consumer(&Clients::name("group"), &[]);
    consumer.subscribe(&[&topic]).expect("a topic");
    wait_assigned(&consumer, 1);
    let member = consumer.group_metadata().expect("a member");
    let producer = clients.transactional(&Clients::name("unstable"));
    producer.begin();
    assert!(producer.send(&topic, 0, "x").is_ok());
    producer
        .send_offset(&topic, 4, &member)
        .expect("offsets are added");
    assert_eq!(
        committed(&consumer, &topic, Duration::from_millis(500)),
        None
    );
    producer.commit().expect("the transaction commits");
    assert_eq!(committed(&consumer, &topic, PATIENCE), Some(4));
}

pub(crate) fn stale_member(clients: &Clients) {
    let topic = clients.topic(2, &[]);
    let group = Clients::name("group");
    let producer = clients.transactional(&Clients::name("stale"));
    let is_refused = |member| {
        producer.begin();
        assert!(producer.send(&topic, 0, "x").is_ok());
        let result = producer.send_offset(&topic, 1, &member);
        producer.abort().expect("the transaction aborts");
        let Err(KafkaError::Transaction(error)) = result else {
            panic!("offsets of a stale member were taken");
        };
        assert!(error.txn_requires_abort(), "{error}");
        error.code()
    };

    // A rebalance that the member was part of leaves its older metadata behind.
    let first = clients.consumer(&group, &[]);
    first.subscribe(&[&topic]).expect("a topic");
    wait_assigned(&first, 2);
    let of_old = first.group_metadata().expect("a member");
    let second = clients.consumer(&group, &[]);
    second.subscribe(&[&topic]).expect("a topic");
    wait::until("a rebalance", PATIENCE, || {
        first.poll(Duration::from_millis(20));
        second.poll(Duration::from_millis(20));
        (second.assignment().expect("an assignment").count() == 1).then_some(())
    });
    assert_eq!(is_refused(of_old), RDKafkaErrorCode::IllegalGeneration);

    let of_gone = first.group_metadata().expect("a member");
    drop(first);
    assert_eq!(is_refused(of_gone), RDKafkaErrorCode::UnknownMemberId);
    assert_eq!(committed(&second, &topic, PATIENCE), Some(0));
}

/// Notes what a member is asked to give up.
#[derive(Default)]
struct Watched {
    revoked: Mutex<BTreeSet<i32>>,
}

impl ClientContext for Watched {}

impl ConsumerContext for Watched {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let mut revoked = self.revoked.lock().expect("nobody panics here");
            revoked.extend(numbers(partitions));
        }
    }
}

fn numbers(partitions: &TopicPartitionList) -> BTreeSet<i32> {
    let elements = partitions.elements();
    elements
        .iter()
        .map(TopicPartitionListElem::partition)
        .collect()
}

pub(crate) fn cooperative_rebalance(clients: &Clients) {
    let topic = clients.topic(4, &[]);
    let group = Clients::name("group");
    let member = || -> BaseConsumer<Watched> {
        let consumer: BaseConsumer<Watched> = clients
            .member_config(&group, &[])
            .create_with_context(Watched::default())
            .expect("a consumer");
        consumer.subscribe(&[&topic]).expect("a topic");
        consumer
    };
    let partitions =
        |consumer: &BaseConsumer<Watched>| numbers(&consumer.assignment().expect("an assignment"));
    let first = member();
    wait_assigned(&first, 4);
    let second = member();
    wait::until("a fair share", PATIENCE, || {
        first.poll(Duration::from_millis(20));
        second.poll(Duration::from_millis(20));
        let (of_first, of_second) = (partitions(&first), partitions(&second));
        assert!(
            of_first.is_disjoint(&of_second),
            "{of_first:?}, {of_second:?}"
        );
        (of_first.len() == 2 && of_second.len() == 2).then_some(())
    });
    let revoked = first.context().revoked.lock().expect("nobody panics here");
    assert!(revoked.is_disjoint(&partitions(&first)), "{revoked:?}");
    drop(revoked);
    drop(second);
    wait_assigned(&first, 4);
}

pub(crate) fn static_member(clients: &Clients) {
    let topic = clients.topic(2, &[]);
    let group = Clients::name("group");
    let member = |name| {
        let consumer = clients.consumer(&group, &[("group.instance.id", name)]);
        consumer.subscribe(&[&topic]).expect("a topic");
        consumer
    };
    let other = member("other");
    let first = member("name");
    wait::until("a share each", PATIENCE, || {
        other.poll(Duration::from_millis(20));
        first.poll(Duration::from_millis(20));
        let count = |c: &BaseConsumer| c.assignment().expect("an assignment").count();
        (count(&other) == 1 && count(&first) == 1).then_some(())
    });

    // As after a kill, the first has not left; its session lasts for 10 s more.
    let begun = Instant::now();
    let again = member("name");
    wait_assigned(&again, 1);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "it was waited for"
    );
    let fenced = wait::until("the first to be fenced", PATIENCE, || {
        other.poll(Duration::from_millis(5));
        again.poll(Duration::from_millis(5));
        first.poll(Duration::from_millis(20))?.err()
    });
    assert_eq!(
        fenced.rdkafka_error_code(),
        Some(RDKafkaErrorCode::FencedInstanceId),
        "{fenced}"
    );
    assert_eq!(other.assignment().expect("an assignment").count(), 1);
}
