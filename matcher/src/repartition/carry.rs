//! Customers and members of audiences, from all partitions of a topic to those that another gives them.
//!
//! Records of a key are in one partition, and are copied in their order: what the last of them says holds. So a copy that was
//! interrupted is made again from the beginning, behind what is there.

use std::collections::HashMap;

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use schemas::AudienceRecord;
use service::kafka::partitioner::partition_of;

use super::RepartitionError;
use super::check::Cluster;
use super::read::each;
use super::writer::Writer;

/// Carries customers over. `ends` says where the partitions of the old events end, `to` how many the new ones are.
///
/// The time of each new partition is the greatest of the old ones: nobody's events were later, and nothing is due that was not
/// due before.
pub(super) fn customers(
    cluster: &Cluster,
    (old, new): (&str, &str),
    (ends, to): (&[i64], usize),
) -> Result<u64, RepartitionError> {
    let writer = Writer::open(&cluster.kafka, new)?;
    let mut carried = 0;
    let mut clock = None;
    let all = vec![Offset::Beginning; ends.len()];
    each(cluster, (old, &all), |message| {
        let key = message.key().unwrap_or_default();
        let partition = message.partition();
        let wrong = |error| RepartitionError::State {
            topic: old.to_owned(),
            partition,
            offset: message.offset(),
            error,
        };
        if state::is_progress(key) {
            let value = message.payload().unwrap_or_default();
            clock = clock.max(Some(state::clock_of(value).map_err(wrong)?));
            return Ok(());
        }
        let end = usize::try_from(partition).ok().and_then(|it| ends.get(it));
        let end = end.copied().unwrap_or_default();
        let value = message.payload().map(|bytes| state::carried(bytes, end));
        let value = value.transpose().map_err(wrong)?;
        carried += 1;
        writer.send(partition_of(key, to), key, value.as_deref())
    })?;
    // Only behind all customers.
    writer.finish()?;
    if let Some(clock) = clock {
        let progress = state::begun(clock);
        for partition in 0..i32::try_from(to).unwrap_or(i32::MAX) {
            writer.send(partition, b"", Some(&progress))?;
        }
    }
    writer.finish()?;
    Ok(carried)
}

/// Carries over who is in which audience. What was dropped is left: a record that drops an audience is about a partition, and
/// the customers of a new one come from several.
pub(super) fn members(
    cluster: &Cluster,
    (old, new): (&str, &str),
    (from, to): (usize, usize),
) -> Result<u64, RepartitionError> {
    let writer = Writer::open(&cluster.kafka, new)?;
    let mut carried = 0;
    let all = vec![Offset::Beginning; from];
    let mut dropped: HashMap<(i32, String), i64> = HashMap::new();
    each(cluster, (old, &all), |message| {
        if let Ok(AudienceRecord::Dropped(audience)) = read(message) {
            let place = (message.partition(), audience.to_owned());
            dropped.insert(place, message.offset());
        }
        Ok(())
    })?;
    each(cluster, (old, &all), |message| {
        let (AudienceRecord::In(audience, customer) | AudienceRecord::Out(audience, customer)) =
            read(message).unwrap_or(AudienceRecord::Nothing)
        else {
            return Ok(());
        };
        let dropped = dropped.get(&(message.partition(), audience.to_owned()));
        if dropped.is_some_and(|at| *at > message.offset()) {
            return Ok(());
        }
        carried += 1;
        let place = partition_of(customer.as_bytes(), to);
        writer.send(place, message.key().unwrap_or_default(), message.payload())
    })?;
    writer.finish()?;
    Ok(carried)
}

fn read<'m>(
    message: &'m BorrowedMessage<'_>,
) -> Result<AudienceRecord<'m>, schemas::AudienceRecordError> {
    AudienceRecord::read(message.key(), message.payload())
}
