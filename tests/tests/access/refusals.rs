//! What each user is refused.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::Mutex;

use crate::{Guarded, PATIENCE, client};

/// Writes a record as a user.
pub(crate) fn write(
    guarded: &Guarded,
    user: &str,
    topic: &str,
    value: &[u8],
) -> Result<(), RDKafkaErrorCode> {
    #[derive(Default)]
    struct Heard(Mutex<Option<Result<(), RDKafkaErrorCode>>>);
    impl ClientContext for Heard {}
    impl ProducerContext for Heard {
        type DeliveryOpaque = ();
        fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
            let result = result
                .as_ref()
                .map(|_| ())
                .map_err(|(error, _)| code(error));
            *self.0.lock().expect("no test panicked") = Some(result);
        }
    }
    let producer: BaseProducer<Heard> = client(guarded.broker.address(), user)
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", "20000")
        .create_with_context(Heard::default())
        .expect("a producer");
    let record = BaseRecord::to(topic).key(&b"ada"[..]).payload(value);
    if let Err((error, _)) = producer.send(record) {
        return Err(code(&error));
    }
    let _ = producer.flush(PATIENCE);
    let heard = producer.context().0.lock().expect("no test panicked");
    heard.expect("an answer")
}

/// Reads a topic as a user: what the first poll says that says anything.
fn read(guarded: &Guarded, user: &str, topic: &str) -> Result<(), RDKafkaErrorCode> {
    let consumer: BaseConsumer = client(guarded.broker.address(), user)
        .set("group.id", "nobody")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    // Who may not even know of the topic is told so here, and not by a poll.
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE);
    let metadata = metadata.expect("the broker answers");
    if let Some(error) = metadata.topics().first().and_then(MetadataTopic::error) {
        return Err(error.into());
    }
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning)
        .expect("a partition");
    consumer.assign(&from).expect("an assignment");
    // librdkafka asks for the group's coordinator, too; the group is not the question.
    poll(&consumer, Some(RDKafkaErrorCode::GroupAuthorizationFailed))
}

/// Joins a group as a user.
fn join(guarded: &Guarded, user: &str, group: &str, topic: &str) -> Result<(), RDKafkaErrorCode> {
    let consumer: BaseConsumer = client(guarded.broker.address(), user)
        .set("group.id", group)
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[topic]).expect("a topic");
    poll(&consumer, None)
}

/// What the broker says first, but for that error.
fn poll(
    consumer: &BaseConsumer,
    but_for: Option<RDKafkaErrorCode>,
) -> Result<(), RDKafkaErrorCode> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) if Some(code(&error)) == but_for => {}
            Some(Err(error)) => return Err(code(&error)),
            None => {}
        }
    }
    panic!("the broker said nothing");
}

/// Takes a transactional id over, as a user.
fn take_over(guarded: &Guarded, user: &str, id: &str) -> Result<(), RDKafkaErrorCode> {
    let producer: BaseProducer = client(guarded.broker.address(), user)
        .set("transactional.id", id)
        .create()
        .expect("a producer");
    producer
        .init_transactions(PATIENCE)
        .map_err(|error| code(&error))
}

fn code(error: &KafkaError) -> RDKafkaErrorCode {
    match error {
        KafkaError::Transaction(error) => error.code(),
        error => error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
    }
}

/// Tries what nobody may: the topics of others, their groups and their transactional ids.
pub(crate) fn check(guarded: &Guarded) {
    let topic = Err(RDKafkaErrorCode::TopicAuthorizationFailed);
    let group = Err(RDKafkaErrorCode::GroupAuthorizationFailed);
    let id = Err(RDKafkaErrorCode::TransactionalIdAuthorizationFailed);
    let write = |user, to| assert_eq!(write(guarded, user, to, b"{}"), topic, "{user} to {to}");
    let read = |user, of| assert_eq!(read(guarded, user, of), topic, "{user} of {of}");

    write("ingest", "matches");
    write("ingest", "campaigns");
    write("ingest", "claims");
    write("ingest", "audience-members");
    read("ingest", "events");

    write("matcher", "campaigns");
    write("matcher", "audience-members");
    read("matcher", "campaign-changes");

    write("campaign-admin", "matches");
    write("campaign-admin", "customer-state");
    write("campaign-admin", "budget-state");
    read("campaign-admin", "claims");
    read("campaign-admin", "events");

    write("rewards", "matches");
    write("rewards", "claims");
    read("rewards", "events");
    read("rewards", "customer-state");

    write("operator", "campaigns");
    write("operator", "matches");
    read("operator", "customer-state");

    let join = |user, name, of| assert_eq!(join(guarded, user, name, of), group, "{user}");
    join("rewards", "matcher", "matches");
    join("operator", "matcher", "events");
    join("rewards", "settler", "matches");

    let take = |user, name| assert_eq!(take_over(guarded, user, name), id, "{user}: {name}");
    take("matcher", "campaign-admin-campaigns");
    take("campaign-admin", "matcher-a-0");
    take("campaign-admin", "settler-a-settler-0");
    take("operator", "matcher-a-0");
}
