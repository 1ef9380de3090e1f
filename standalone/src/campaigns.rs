//! Writes the sample campaigns, but only those that are not on the topic as they are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::{Campaign, Encoded, Encoding, Reader, Unread};
use service::kafka::Logged;
use service::kafka::record::encoded;
use service::settings::KafkaSettings;

use crate::samples;
use crate::topic::{Start, TopicReader};

/// Longest time to read the campaigns, and to write one.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a schema that is not known yet is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Writes those sample campaigns that are missing or changed, the latter as their next version. Returns
/// how many.
///
/// # Errors
/// The topic cannot be read or written.
pub async fn write_samples(
    kafka: &KafkaSettings,
    topic: &str,
    (reader, encoding): (Reader, Encoding),
    producer: &FutureProducer<Logged>,
) -> anyhow::Result<usize> {
    let (settings, name) = (kafka.clone(), topic.to_owned());
    let there = tokio::task::spawn_blocking(move || read(&settings, &name, reader)).await??;
    let outdated = outdated(samples::campaigns()?, &there);
    for campaign in &outdated {
        let mut value = Vec::new();
        encoding.write_campaign(campaign, &mut value);
        let record = FutureRecord::to(topic)
            .key(campaign.id.as_str())
            .payload(&value);
        producer
            .send(record, PATIENCE)
            .await
            .map_err(|(error, _)| error)
            .with_context(|| format!("writing campaign {}", campaign.id))?;
    }
    Ok(outdated.len())
}

/// The campaigns of the topic in their last versions, by id. A broken one is no campaign.
fn read(
    kafka: &KafkaSettings,
    topic: &str,
    mut documents: Reader,
) -> anyhow::Result<BTreeMap<String, Campaign>> {
    let mut campaigns = BTreeMap::new();
    let mut reader = TopicReader::begin(kafka, topic, Start::Beginning)?;
    reader
        .to_end(PATIENCE, |message| {
            let id = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
            let campaign = message
                .payload()
                .and_then(|_| read_one(&mut documents, encoded(message)));
            match campaign {
                Some(campaign) => campaigns.insert(id, campaign),
                None => campaigns.remove(&id),
            };
        })
        .with_context(|| format!("reading {topic}"))?;
    Ok(campaigns)
}

/// Waits for its schema; a registry that does not answer costs the samples their start.
fn read_one(documents: &mut Reader, encoded: Encoded<'_>) -> Option<Campaign> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match documents.read_campaign(encoded) {
            Err(Unread::Waiting(_)) if Instant::now() < deadline => {
                std::thread::sleep(ASK_AGAIN);
            }
            read => return read.ok(),
        }
    }
}

/// Those of `samples` that are not among `there`, but for their version, which goes on from there.
fn outdated(samples: Vec<Campaign>, there: &BTreeMap<String, Campaign>) -> Vec<Campaign> {
    let next = |mut sample: Campaign| {
        if let Some(last) = there.get(sample.id.as_str()) {
            sample.version = last.version;
            if sample == *last {
                return None;
            }
            sample.version += 1;
        }
        Some(sample)
    };
    samples.into_iter().filter_map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_or_changed_is_written() {
        let samples = || samples::campaigns().unwrap();
        let mut there: BTreeMap<_, _> = samples()
            .into_iter()
            .map(|campaign| (campaign.id.to_string(), campaign))
            .collect();
        assert!(outdated(samples(), &there).is_empty());

        there.remove("come-back");
        let changed = there.get_mut("coffee-week").unwrap();
        changed.version = 7;
        assert_eq!(
            outdated(samples(), &there).len(),
            1,
            "a version is no change"
        );
        there.get_mut("coffee-week").unwrap().name = "Tea week".to_owned();
        let written: Vec<_> = outdated(samples(), &there)
            .into_iter()
            .map(|campaign| (campaign.id.to_string(), campaign.version))
            .collect();
        assert_eq!(
            written,
            [("coffee-week".to_owned(), 8), ("come-back".to_owned(), 1)]
        );
    }
}
