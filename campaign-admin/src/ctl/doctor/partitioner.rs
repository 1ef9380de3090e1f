//! Whether events lie in the partitions of their keys.
//!
//! Upstream teams use many clients, and not all put a key in the same partition: Java's and franz-go take
//! murmur2, librdkafka by itself CRC32. Two teams with two clients part a customer's events.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use rdkafka::Message as _;
use service::kafka::partitioner::partition_of;

use super::Check;
use crate::ctl::kafka::{Cluster, Range, Reader, Start};

/// What was counted in a sample.
#[derive(Debug, Default)]
struct Sample {
    events: u64,
    without_key: u64,
    /// Not where murmur2 puts them.
    elsewhere: u64,
    /// Of those, how many are where CRC32 puts them.
    by_crc: u64,
    places: HashMap<Vec<u8>, i32>,
    /// Keys in several partitions, and one of them.
    parted: u64,
    example: Option<String>,
}

impl Sample {
    fn add(&mut self, key: Option<&[u8]>, partition: i32, partitions: usize) {
        self.events += 1;
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            self.without_key += 1;
            return;
        };
        if partition_of(key, partitions) != partition {
            self.elsewhere += 1;
            self.by_crc += u64::from(by_crc32(key, partitions) == partition);
            if self.example.is_none() {
                self.example = Some(String::from_utf8_lossy(key).into_owned());
            }
        }
        let first = *self.places.entry(key.to_vec()).or_insert(partition);
        if first != partition {
            self.parted += 1;
        }
    }

    fn check(&self) -> Check {
        let what = "partitions of keys";
        let events = self.events;
        if events == 0 {
            return Check::skipped(what, "there are no events to look at");
        }
        let example = self.example.as_deref().unwrap_or_default();
        if self.elsewhere > 0 {
            let found = format!(
                "{} of {events} events are not where murmur2 puts their key, {} of them where CRC32 does, \
                 {} events are apart from others of their customer; an example is {example:?}",
                self.elsewhere, self.by_crc, self.parted
            );
            return Check::bad(what, found).advice(
                "limits and counts are per partition; every producer must use murmur2: in clients of \
                 librdkafka set partitioner=murmur2_random",
            );
        }
        if self.without_key > 0 {
            let found = format!("{} of {events} events have no key", self.without_key);
            return Check::bad(what, found)
                .advice("they are dead letters; the key of an event is its customer_id");
        }
        Check::good(
            what,
            format!("{events} events, all where murmur2 puts their key"),
        )
    }
}

/// Looks at the newest events of each partition.
pub(super) fn look(cluster: &Cluster, sample: u32) -> anyhow::Result<Vec<Check>> {
    let topic = &cluster.topics.events_topic;
    let all = Reader::open(cluster, topic, Start::Beginning)?.ranges;
    let partitions = all.len();
    let newest: BTreeMap<i32, Range> = all
        .into_iter()
        .map(|(partition, Range { start, end })| {
            let start = start.max(end - i64::from(sample));
            (partition, Range { start, end })
        })
        .collect();
    let mut found = Sample::default();
    let reader = Reader::of_ranges(cluster, topic, newest)?;
    reader.each(&AtomicBool::new(false), |message| {
        found.add(message.key(), message.partition(), partitions);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(vec![found.check()])
}

fn by_crc32(key: &[u8], partitions: usize) -> i32 {
    i32::try_from(crc32(key) as usize % partitions).unwrap_or(-1)
}

/// CRC-32 of IEEE 802.3, as zlib's and librdkafka's.
fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn crc32_is_that_of_zlib() {
        // The check value that every catalogue of CRCs lists.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_mix_of_partitioners_is_seen() {
        let key = |number: u32| format!("customer-{number}").into_bytes();
        let mut java = Sample::default();
        let mut mixed = Sample::default();
        for number in 0..1_000 {
            let key = key(number);
            let here = partition_of(&key, 6);
            java.add(Some(&key), here, 6);
            mixed.add(Some(&key), here, 6);
            mixed.add(Some(&key), by_crc32(&key, 6), 6);
        }
        assert_eq!(java.check().level, Level::Good);
        assert!(mixed.parted > 500, "{}", mixed.parted);
        assert_eq!(mixed.by_crc, mixed.elsewhere);
        assert_eq!(mixed.check().level, Level::Bad);
        java.add(None, 0, 6);
        assert_eq!(java.check().level, Level::Bad);
        assert_eq!(Sample::default().check().level, Level::Skipped);
    }
}
