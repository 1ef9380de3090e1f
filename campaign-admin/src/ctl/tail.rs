//! `tail`: events, matches or dead letters as they come, straight from Kafka.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use rdkafka::message::BorrowedMessage;
use schemas::DeadLetter;
use schemas::names::header;
use serde_json::Value as Json;

use super::exit::Exit;
use super::filter::Filter;
use super::kafka::{Cluster, Kind, Next, Reader, Record, Schemas, Since, Start, interrupted};
use super::output::{BAD, DIM, Form, GOOD, NAME, styled};

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// What to show
    #[arg(value_enum)]
    what: What,

    /// Begin with the oldest record that is there, and not with what comes next
    #[arg(long, conflicts_with = "since")]
    from_beginning: bool,

    /// Begin at a time, as 2026-11-24T09:30:00Z, or as long ago as 30s, 15m, 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,

    /// End after so many records
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,

    /// End with what is there, and do not wait for more
    #[arg(long)]
    no_follow: bool,

    #[command(flatten)]
    filter: Filter,

    #[command(flatten)]
    cluster: Cluster,

    #[command(flatten)]
    schemas: Schemas,
}

/// What there is to show.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// What customers did.
    Events,
    /// What they won.
    Matches,
    /// What can never be processed.
    DeadLetters,
}

impl Tail {
    pub(crate) fn run(&self, form: Form) -> anyhow::Result<Exit> {
        let topics = &self.cluster.topics;
        let (topic, kind) = match self.what {
            What::Events => (&topics.events_topic, Kind::Events),
            What::Matches => (&topics.matches_topic, Kind::Matches),
            What::DeadLetters => (&topics.dead_letters_topic, Kind::Events),
        };
        let mut values = self.schemas.values(kind)?;
        let start = match self.since {
            Some(since) => Start::Since(since.at(Timestamp::now())),
            None if self.from_beginning => Start::Beginning,
            None => Start::End,
        };
        let interrupted = interrupted();
        let reader = Reader::open(&self.cluster, topic, start)?;
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut show = |message: &BorrowedMessage<'_>| -> anyhow::Result<ControlFlow<()>> {
            if left == 0 {
                return Ok(ControlFlow::Break(()));
            }
            let record = values.read(message);
            if self.filter.admits(&record) {
                form.print_next(&record.document(), || self.what.line(&record))?;
                left -= 1;
            }
            Ok(if left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        };
        if self.no_follow {
            reader.each(&interrupted, show)?;
            return Ok(Exit::Done);
        }
        while !interrupted.load(Ordering::Relaxed) {
            if let Next::Record(message) = reader.next(Duration::from_millis(200))?
                && show(&message)?.is_break()
            {
                break;
            }
        }
        Ok(Exit::Done)
    }
}

impl What {
    fn line(self, record: &Record) -> String {
        let json = record.json().unwrap_or_default();
        let text = |name: &str| json[name].as_str().unwrap_or("-").to_owned();
        let place = styled(DIM, format_args!("{}", record.place()));
        match self {
            Self::Events if json.is_object() => {
                let payload = json.get("payload").map(Json::to_string);
                format!(
                    "{} {place} {} {} {}",
                    text("occurred_at"),
                    text("customer_id"),
                    styled(NAME, text("event_type")),
                    payload.unwrap_or_default(),
                )
            }
            Self::Matches if json.is_object() => format!(
                "{} {place} {} {} v{} {} {}{}",
                text("matched_at"),
                text("customer_id"),
                styled(GOOD, text("campaign_id")),
                json["campaign_version"],
                json["reward"],
                styled(DIM, text("event_id")),
                became(&json),
            ),
            Self::DeadLetters => format!("{} {place} {}", written_at(record), letter(record)),
            Self::Events | Self::Matches if record.value.is_none() => {
                let header = record.headers.iter().rev();
                let mut header = header.filter(|(name, _)| name == header::CONTROL);
                let word = header.next().and_then(|(_, value)| value.as_deref());
                let word = word.map_or("no value".into(), String::from_utf8_lossy);
                let key = record.key().unwrap_or("-");
                format!("{} {place} {} {key}", written_at(record), styled(BAD, word))
            }
            Self::Events | Self::Matches => {
                let bytes = record.value.as_deref().unwrap_or_default().len();
                let what = match record.unread() {
                    Some(why) => format!("{bytes} bytes: {why}"),
                    None => format!("{bytes} bytes that are no JSON"),
                };
                format!("{} {place} {}", written_at(record), styled(BAD, what))
            }
        }
    }
}

/// When a record was written.
pub(crate) fn written_at(record: &Record) -> String {
    record
        .written_at()
        .map_or_else(|| "-".to_owned(), |at| at.to_string())
}

/// A dead letter in a line.
/// What the record says of a match that is not final; nothing of one that is.
fn became(json: &Json) -> String {
    let Some(status) = json["status"].as_str() else {
        return String::new();
    };
    match json["reversal"]["amount"].as_str() {
        Some(amount) => format!(" {status} {amount}"),
        None => format!(" {status}"),
    }
}

fn letter(record: &Record) -> String {
    let headers = record.headers.iter();
    let headers = headers.filter_map(|(name, value)| Some((&**name, value.as_deref()?)));
    let key = record.key().unwrap_or("-");
    match DeadLetter::from_headers(headers) {
        Some(letter) => format!(
            "{} {key} {} {}",
            styled(BAD, &letter.code),
            styled(
                DIM,
                format_args!("{}:{}:{}", letter.topic, letter.partition, letter.offset)
            ),
            letter.message,
        ),
        None => format!(
            "{} {key}",
            styled(BAD, "without the headers of a dead letter")
        ),
    }
}
