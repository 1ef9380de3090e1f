//! Checks of transactions.

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tests::wait;

use crate::clients::{Clients, PATIENCE};

pub(crate) fn commit(clients: &Clients) {
    let (one, other) = (clients.topic(2, &[]), clients.topic(1, &[]));
    let producer = clients.transactional(&Clients::name("commit"));
    for round in 0..3 {
        producer.begin();
        for (topic, partition) in [(&one, 0), (&one, 1), (&other, 0), (&one, 0)] {
            let sent = producer.send(topic, partition, &format!("{round}"));
            assert!(sent.is_ok(), "{sent:?}");
        }
        producer.commit().expect("the transaction commits");
    }
    assert_eq!(clients.committed(&one, 0), ["0", "0", "1", "1", "2", "2"]);
    assert_eq!(clients.committed(&one, 1), ["0", "1", "2"]);
    assert_eq!(clients.committed(&other, 0), ["0", "1", "2"]);
}

pub(crate) fn abort(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let producer = clients.transactional(&Clients::name("abort"));
    for (value, commits) in [
        ("a", false),
        ("b", true),
        ("c", false),
        ("d", false),
        ("e", true),
    ] {
        producer.begin();
        assert!(producer.send(&topic, 0, value).is_ok());
        let ended = if commits {
            producer.commit()
        } else {
            producer.abort()
        };
        ended.expect("the transaction ends");
    }
    assert_eq!(clients.committed(&topic, 0), ["b", "e"]);
    assert_eq!(clients.uncommitted(&topic, 0), ["a", "b", "c", "d", "e"]);
}

pub(crate) fn last_stable_offset(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let (open, other) = (
        clients.transactional(&Clients::name("open")),
        clients.transactional(&Clients::name("other")),
    );
    let end = |isolation| {
        let consumer = clients.consumer("observer", &[("isolation.level", isolation)]);
        let (_, end) = consumer
            .fetch_watermarks(&topic, 0, PATIENCE)
            .expect("the broker answers");
        end
    };
    assert!(clients.producer().send(&topic, 0, "before").is_ok());
    open.begin();
    assert_eq!(open.send(&topic, 0, "open"), Ok(1));
    other.begin();
    assert!(other.send(&topic, 0, "other").is_ok());
    other.commit().expect("the transaction commits");
    assert!(clients.producer().send(&topic, 0, "after").is_ok());

    assert_eq!(clients.committed(&topic, 0), ["before"]);
    // "before", "open", "other", its marker and "after".
    assert_eq!((end("read_committed"), end("read_uncommitted")), (1, 5));

    open.commit().expect("the transaction commits");
    assert_eq!(
        clients.committed(&topic, 0),
        ["before", "open", "other", "after"]
    );
    assert_eq!((end("read_committed"), end("read_uncommitted")), (6, 6));
}

pub(crate) fn fencing(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let id = Clients::name("fencing");
    let old = clients.transactional(&id);
    old.begin();
    assert!(old.send(&topic, 0, "old").is_ok());

    let new = clients.transactional(&id);
    assert!(clients.producer().send(&topic, 0, "plain").is_ok());
    // The old transaction is over by now, or "plain" would not be seen.
    assert_eq!(clients.committed(&topic, 0), ["plain"]);
    assert_fenced(old.commit());

    new.begin();
    assert!(new.send(&topic, 0, "new").is_ok());
    new.commit().expect("the transaction commits");
    assert_eq!(clients.committed(&topic, 0), ["plain", "new"]);
}

pub(crate) fn time_out(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let slow = [
        ("transaction.timeout.ms", "2000"),
        ("message.timeout.ms", "2000"),
    ];
    let producer = clients.transactional_with(&Clients::name("slow"), &slow);
    producer.init().expect("the id can be taken over");
    let plain = clients.producer();
    assert!(plain.send(&topic, 0, "first").is_ok());
    producer.begin();
    assert!(producer.send(&topic, 0, "slow").is_ok());
    assert!(plain.send(&topic, 0, "plain").is_ok());
    assert_eq!(clients.committed(&topic, 0), ["first"]);
    wait::until("the broker to abort the transaction", PATIENCE, || {
        let seen = clients.committed(&topic, 0);
        assert!(!seen.contains(&"slow".to_owned()));
        (seen == ["first", "plain"]).then_some(())
    });
    assert!(producer.commit().is_err());
    assert_eq!(clients.committed(&topic, 0), ["first", "plain"]);
}

pub(crate) fn refused_record(clients: &Clients) {
    let topic = clients.topic(1, &[("max.message.bytes", "2000")]);
    let producer = clients.transactional(&Clients::name("refused"));
    producer.begin();
    assert!(producer.send(&topic, 0, "small").is_ok());
    let refused = producer.send(&topic, 0, &"x".repeat(3_000));
    assert_eq!(refused, Err(RDKafkaErrorCode::MessageSizeTooLarge));
    let Err(KafkaError::Transaction(error)) = producer.commit() else {
        panic!("a transaction without one of its records was committed");
    };
    assert!(error.txn_requires_abort(), "{error}");
    producer.abort().expect("the transaction aborts");

    // librdkafka has given the refused record a number, and its next one finds that out of order. That
    // transaction must be aborted as well, which begins a new count.
    let tries = (1..=2).find(|_| {
        producer.begin();
        let sent = producer.send(&topic, 0, "again");
        let committed = producer.commit();
        assert_eq!(sent.is_ok(), committed.is_ok());
        if committed.is_err() {
            producer.abort().expect("the transaction aborts");
        }
        committed.is_ok()
    });
    assert_eq!(tries, Some(2));
    assert_eq!(clients.committed(&topic, 0), ["again"]);
}

/// The producer was told that another took over its id, and can never be used again.
pub(crate) fn assert_fenced(result: KafkaResult<()>) {
    let Err(KafkaError::Transaction(error)) = result else {
        panic!("not fenced: {result:?}");
    };
    assert!(error.is_fatal(), "{error}");
    let code = error.code();
    let fenced = [
        RDKafkaErrorCode::Fenced,
        RDKafkaErrorCode::ProducerFenced,
        RDKafkaErrorCode::InvalidProducerEpoch,
    ];
    assert!(fenced.contains(&code), "{error}");
}
