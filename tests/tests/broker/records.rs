//! Checks of single records.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, Headers as _, Message as _};
use rdkafka::producer::BaseRecord;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::kafka::partitions::{News, PartitionsReader};

use crate::clients::{Clients, PATIENCE};

pub(crate) fn order(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let producer = clients.producer();
    let values: Vec<_> = (0..2_000).map(|number| number.to_string()).collect();
    for value in &values {
        producer.enqueue(BaseRecord::<str, str>::to(&topic).payload(value));
    }
    let offsets: Vec<_> = (0..2_000).map(Ok).collect();
    assert_eq!(producer.reports(), offsets);
    assert_eq!(clients.committed(&topic, 0), values);
}

/// A key, a value and headers.
type Record<'a> = (
    Option<&'a [u8]>,
    Option<&'a [u8]>,
    Vec<(&'a str, Option<&'a [u8]>)>,
);

pub(crate) fn bytes_as_they_are(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let producer = clients.producer();
    let records: Vec<Record<'_>> = vec![
        (Some(b"key"), Some(b"value"), vec![]),
        (None, Some(b"no key"), vec![("a", Some(b"1")), ("a", None)]),
        (
            Some(b"no value"),
            None,
            vec![("", Some(b"")), ("a", Some(b"\xff\0"))],
        ),
        (
            Some(b""),
            Some(b""),
            vec![("a", Some(b"2")), ("b", None), ("a", Some(b"3"))],
        ),
        (None, None, vec![]),
    ];
    for (key, value, headers) in &records {
        let mut record = BaseRecord::<[u8], [u8]>::to(&topic);
        record.key = *key;
        record.payload = *value;
        for &(key, value) in headers {
            let so_far = record.headers.take().unwrap_or_default();
            record.headers = Some(so_far.insert(Header { key, value }));
        }
        assert!(producer.send_record(record).is_ok());
    }
    let mut expected = records.into_iter();
    clients.each(&topic, 0, "read_committed", |message| {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|header| (header.key, header.value))
                .collect()
        });
        let seen: Record<'_> = (message.key(), message.payload(), headers);
        assert_eq!(Some(seen), expected.next());
    });
    assert_eq!(expected.next(), None);
}

pub(crate) fn too_large(clients: &Clients) {
    let topic = clients.topic(1, &[("max.message.bytes", "2000")]);
    let producer = clients.producer();
    assert_eq!(producer.send(&topic, 0, "first"), Ok(0));
    let refused = producer.send(&topic, 0, &"x".repeat(3_000));
    assert_eq!(refused, Err(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(producer.send(&topic, 0, "second"), Ok(1));
    assert_eq!(clients.committed(&topic, 0), ["first", "second"]);
}

pub(crate) fn offsets_for_times(clients: &Clients) {
    let topic = clients.topic(1, &[]);
    let producer = clients.producer();
    // Not so old that retention would take them.
    let hour_ago = jiff::Timestamp::now().as_millisecond() - 3_600_000;
    let times = [hour_ago, hour_ago + 1_000, hour_ago + 2_000];
    for time in times {
        let record = BaseRecord::<str, str>::to(&topic)
            .payload("x")
            .timestamp(time);
        assert!(producer.send_record(record).is_ok());
    }
    let mut seen = Vec::new();
    clients.each(&topic, 0, "read_committed", |message| {
        seen.extend(message.timestamp().to_millis());
    });
    assert_eq!(seen, times);

    let consumer = clients.consumer(&Clients::name("group"), &[]);
    let find = |time| {
        let mut asked = TopicPartitionList::new();
        asked
            .add_partition_offset(&topic, 0, Offset::Offset(time))
            .expect("a partition once");
        let found = consumer.offsets_for_times(asked, PATIENCE);
        found.expect("the broker answers").elements()[0].offset()
    };
    assert_eq!(find(1), Offset::Offset(0));
    assert_eq!(find(times[1]), Offset::Offset(1));
    assert_eq!(find(times[1] + 1), Offset::Offset(2));
    assert_eq!(find(times[2] + 1), Offset::End);
}

pub(crate) fn watermarks(clients: &Clients) {
    let topic = clients.topic(2, &[]);
    let consumer = clients.consumer(&Clients::name("group"), &[]);
    let marks = |partition| {
        let marks = consumer.fetch_watermarks(&topic, partition, Duration::from_secs(10));
        marks.expect("the broker answers")
    };
    assert_eq!(marks(0), (0, 0));
    let producer = clients.producer();
    for _ in 0..7 {
        assert!(producer.send(&topic, 1, "x").is_ok());
    }
    assert_eq!((marks(0), marks(1)), ((0, 0), (0, 7)));
}

/// Reads until all is known that was there now. Returns the values that came.
fn read_up(reader: &mut PartitionsReader) -> Vec<String> {
    let now = Instant::now();
    let mut values = Vec::new();
    while now.elapsed() < PATIENCE {
        match reader.next(Duration::from_millis(20)).expect("it is read") {
            News::Record(message) => {
                let value = message.payload().unwrap_or_default();
                values.push(String::from_utf8_lossy(value).into_owned());
            }
            News::Fresh(at) if at >= now => return values,
            News::Fresh(_) | News::Back(..) | News::Nothing => {}
        }
    }
    panic!("nobody knows up to when all is read");
}

pub(crate) fn followed(clients: &Clients) {
    let topic = clients.topic(3, &[]);
    let producer = clients.producer();
    for value in ["a", "b"] {
        assert!(producer.send(&topic, 0, value).is_ok());
    }
    let settings = clients.settings();
    let mut reader = PartitionsReader::open(&settings, &topic).expect("it is there");
    assert_eq!(reader.partitions(), 3);
    assert!(reader.begin(3).is_err(), "there are three");
    reader.begin(0).expect("it is there");
    reader.begin(1).expect("it is there");
    let (mut back, mut values) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    while back.len() < 2 {
        assert!(begun.elapsed() < PATIENCE, "only {back:?} are back");
        match reader.next(Duration::from_millis(20)).expect("it is read") {
            News::Record(message) => values.push(message.offset()),
            News::Back(partition, _) => {
                assert!(partition == 1 || values.len() == 2, "not before its end");
                back.push(partition);
            }
            News::Fresh(_) | News::Nothing => {}
        }
    }
    assert_eq!(read_up(&mut reader), [""; 0]);
    for (partition, value) in [(1, "c"), (2, "of nobody"), (0, "d")] {
        assert!(producer.send(&topic, partition, value).is_ok());
    }
    let mut values = read_up(&mut reader);
    values.sort();
    assert_eq!(values, ["c", "d"]);
    // The marker at its end is told to nobody.
    let transactional = clients.transactional(&Clients::name("followed"));
    transactional.begin();
    assert!(transactional.send(&topic, 1, "e").is_ok());
    transactional.commit().expect("the transaction commits");
    assert_eq!(read_up(&mut reader), ["e"]);
    assert_eq!(read_up(&mut reader), [""; 0]);
    // A partition may go, and come again from its beginning.
    reader.let_go(0).expect("it was there");
    assert!(producer.send(&topic, 0, "f").is_ok());
    assert!(producer.send(&topic, 1, "g").is_ok());
    assert_eq!(read_up(&mut reader), ["g"]);
    reader.begin(0).expect("it is there");
    let mut values = Vec::new();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "only {values:?}");
        match reader.next(Duration::from_millis(20)).expect("it is read") {
            News::Record(message) => values.push(message.offset()),
            News::Back(partition, _) => break assert_eq!(partition, 0),
            News::Fresh(_) | News::Nothing => {}
        }
    }
    assert_eq!(values, [0, 1, 2, 3]);
}
