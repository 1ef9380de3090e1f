//! `send`: events to ingest, or straight to Kafka.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::api::{Api, ServerSettings};
use super::events::{self, Checked, header};
use super::exit::{Exit, Failure};
use super::kafka::{Cluster, Outgoing, Producer};
use super::output::{Form, Progress, note};

/// Arguments of `send`.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Fields of the payload of one event: amount=75 country=US
    #[arg(value_name = "NAME=VALUE", conflicts_with = "file")]
    fields: Vec<String>,

    /// File with events: JSON objects one after the other, a list of them, or YAML; - is standard input.
    /// An `event_id` or `occurred_at` that is missing is filled in
    #[arg(
        short = 'f',
        long,
        value_name = "FILE",
        required_unless_present = "customer"
    )]
    file: Option<PathBuf>,

    /// Customer of the one event
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    customer: Option<String>,

    /// Type of the one event
    #[arg(
        long = "type",
        value_name = "TYPE",
        default_value = "purchase",
        conflicts_with = "file"
    )]
    event_type: String,

    /// Name of the one event [default: a new one]
    #[arg(long = "id", value_name = "ID", conflicts_with = "file")]
    event_id: Option<String>,

    /// Send a header along, as traceparent=00-…; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Straight to Kafka, and not over HTTP to ingest
    #[arg(long)]
    kafka: bool,

    #[command(flatten)]
    cluster: Cluster,
}

/// Most events in one request to ingest.
const BATCH: usize = 500;

/// Most bytes in one request to ingest.
const BATCH_BYTES: usize = 512 * 1024;

impl Send {
    pub(crate) async fn run(
        &self,
        form: Form,
        server: &ServerSettings,
        context: Option<&str>,
    ) -> anyhow::Result<Exit> {
        let events = self.events()?;
        if self.kafka {
            return self.to_kafka(form, events);
        }
        let ingest = server.ingest(context)?;
        to_ingest(form, &ingest, &self.headers, events).await
    }

    /// The events, each right or an error with its number.
    fn events(&self) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<Checked>>>> {
        let now = Timestamp::now();
        let Some(file) = &self.file else {
            let mut event = json!({
                "customer_id": self.customer,
                "event_type": self.event_type,
                "payload": events::payload(&self.fields)?,
            });
            if let Some(id) = &self.event_id {
                event["event_id"] = json!(id);
            }
            let event = events::complete(event.to_string(), now).map_err(Failure::usage)?;
            return Ok(Box::new(std::iter::once(Ok(event))));
        };
        let events = events::read(file)?.zip(1_u64..);
        Ok(Box::new(events.map(move |(event, number)| {
            events::complete(event?, now)
                .with_context(|| format!("event {number}"))
                .map_err(Failure::usage)
        })))
    }

    fn to_kafka(
        &self,
        form: Form,
        events: impl Iterator<Item = anyhow::Result<Checked>>,
    ) -> anyhow::Result<Exit> {
        let producer = Producer::open(&self.cluster, None)?;
        let topic = &self.cluster.topics.events_topic;
        let headers = self.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.clone(), Some(value.clone().into_bytes())))
            .collect();
        let mut progress = Progress::new("events acknowledged");
        let mut broken = None;
        for event in events {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            };
            producer.send(Outgoing {
                topic,
                key: Some(event.customer_id.as_bytes()),
                value: Some(event.json.as_bytes()),
                headers: &headers,
            })?;
            progress.set(producer.acknowledged(), None);
        }
        let acknowledged = producer.finish()?;
        progress.end();
        end(form, acknowledged, &format!("topic {topic}"), broken)
    }
}

/// Sends events to ingest in requests of JSON Lines.
async fn to_ingest(
    form: Form,
    ingest: &Api,
    headers: &[(String, String)],
    events: impl Iterator<Item = anyhow::Result<Checked>>,
) -> anyhow::Result<Exit> {
    let mut progress = Progress::new("events acknowledged");
    let mut acknowledged = 0;
    let mut broken = None;
    let mut batch = Vec::new();
    let mut bytes = 0;
    for event in events {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        bytes += event.json.len();
        // A line holds one event, also when the file writes it over several.
        let one_line = event
            .json
            .contains('\n')
            .then(|| serde_json::from_str(&event.json));
        batch.push(match one_line {
            Some(value) => Json::to_string(&value?),
            None => event.json,
        });
        if batch.len() >= BATCH || bytes >= BATCH_BYTES {
            acknowledged += post(ingest, headers, &batch)
                .await
                .with_context(|| so_far(acknowledged))?;
            progress.set(acknowledged, None);
            batch.clear();
            bytes = 0;
        }
    }
    if !batch.is_empty() {
        acknowledged += post(ingest, headers, &batch)
            .await
            .with_context(|| so_far(acknowledged))?;
    }
    progress.end();
    end(form, acknowledged, ingest.address(), broken)
}

fn so_far(acknowledged: u64) -> String {
    format!("{acknowledged} events were acknowledged before")
}

/// Sends one request; every event of it must be taken.
async fn post(
    ingest: &Api,
    headers: &[(String, String)],
    events: &[String],
) -> anyhow::Result<u64> {
    let body = events.join("\n").into_bytes();
    let mut request = ingest.request(Method::POST, "/v1/events");
    for (name, value) in headers {
        request = request.header(name, value).map_err(Failure::usage)?;
    }
    let answer = ingest
        .send(request.bytes("application/x-ndjson", body))
        .await?;
    let answer = answer.json()?;
    let refused = answer["refused"].as_u64().unwrap_or(0);
    if refused > 0 {
        let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
        let is_refused = |item: &&Json| item["status"] != 202;
        let first = items.iter().zip(events).find(|(item, _)| is_refused(item));
        let (item, event) = first.unwrap_or((&Json::Null, &events[0]));
        let why = item["detail"]
            .as_str()
            .or(item["code"].as_str())
            .unwrap_or("no reason given");
        bail!(
            "{refused} of {} events were refused; the first: {why}: {event}",
            events.len()
        );
    }
    Ok(u64::try_from(events.len())?)
}

/// Says what was sent; then what was wrong with the event after it.
fn end(
    form: Form,
    acknowledged: u64,
    to: &str,
    broken: Option<anyhow::Error>,
) -> anyhow::Result<Exit> {
    let document = json!({"acknowledged": acknowledged, "to": to});
    form.print_next(&document, || {
        format!("{acknowledged} events acknowledged by {to}")
    })?;
    match broken {
        None => Ok(Exit::Done),
        Some(error) => {
            note("the events after it were not sent");
            Err(error)
        }
    }
}
