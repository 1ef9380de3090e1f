//! The stream of sample events.

use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;
use jiff::Timestamp;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::avro::EventValue;
use schemas::{Encoding, EventDocument};
use service::Shutdown;
use service::kafka::Logged;
use tokio::time::MissedTickBehavior;

use crate::samples::Shop;

/// Events are produced in steps, so that many a second need no timer each.
const STEPS_PER_SECOND: u32 = 50;

/// Produces that many sample events a second until shutdown. What the broker does not take is lost, with
/// a warning: there are more where it came from.
///
/// # Errors
/// A sample cannot be written as an event.
pub async fn produce(
    producer: &FutureProducer<Logged>,
    (topic, encoding): (&str, Encoding),
    per_second: u32,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let mut shop = Shop::new(format!("demo-{}", Timestamp::now().as_millisecond()));
    let mut tick = tokio::time::interval(Duration::from_secs(1) / STEPS_PER_SECOND);
    // After a pause of the machine, go on as usual instead of catching up.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due = 0;
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            _ = tick.tick() => {}
        }
        due += per_second;
        let events = (0..due / STEPS_PER_SECOND)
            .map(|_| {
                let event = shop.next_event()?;
                let value = write(&event, encoding)?;
                Ok((event.customer_id, value))
            })
            .collect::<anyhow::Result<Vec<_>>>()
            .context("making a sample event")?;
        due %= STEPS_PER_SECOND;
        let sent = events.iter().map(|(customer, value)| {
            let record = FutureRecord::to(topic)
                .key(customer.as_str())
                .payload(value);
            producer.send(record, Duration::from_secs(10))
        });
        let results = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            results = join_all(sent) => results,
        };
        for result in results {
            if let Err((error, _)) = result {
                tracing::warn!(%error, "a sample event was not produced");
            }
        }
    }
}

fn write(event: &EventDocument, encoding: Encoding) -> anyhow::Result<Vec<u8>> {
    let payload = serde_json::to_string(&event.payload)?;
    let mut value = Vec::new();
    encoding.write_event(
        &EventValue {
            event_id: event.event_id.as_str(),
            customer_id: event.customer_id.as_str(),
            event_type: &event.event_type,
            occurred_at: event.occurred_at,
            payload: &payload,
            further: &[],
        },
        &mut value,
    );
    Ok(value)
}
