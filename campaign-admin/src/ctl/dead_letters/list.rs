//! `dead-letters list`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::letter::Letter;
use crate::ctl::exit::Exit;
use crate::ctl::filter::Filter;
use crate::ctl::kafka::{Cluster, Kind, Reader, Schemas, Since, Start, interrupted};
use crate::ctl::output::{Form, Progress, Table, note};
use crate::ctl::tail::written_at;

/// Arguments of `dead-letters list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those written since a time, as 2026-11-24T09:30:00Z, or as long ago as 30s, 15m, 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,

    /// Count them by reason and topic instead of listing each
    #[arg(long)]
    summary: bool,

    /// List at most so many, the newest of each partition
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    limit: usize,

    #[command(flatten)]
    filter: Filter,

    #[command(flatten)]
    cluster: Cluster,

    #[command(flatten)]
    schemas: Schemas,
}

impl List {
    pub(super) fn run(&self, form: Form) -> anyhow::Result<Exit> {
        let start = self.since.map_or(Start::Beginning, |since| {
            Start::Since(since.at(Timestamp::now()))
        });
        let topic = &self.cluster.topics.dead_letters_topic;
        let reader = Reader::open(&self.cluster, topic, start)?;
        let mut values = self.schemas.values(Kind::Events)?;
        let mut progress = Progress::new("dead letters read");
        let mut read = 0;
        let mut counts = BTreeMap::<(String, String), u64>::new();
        let mut letters = std::collections::VecDeque::new();
        let mut left_out = 0_u64;
        let span = reader.span();
        reader.each(&interrupted(), |message| {
            let record = values.read(message);
            read += 1;
            progress.set(read, Some(span));
            if self.filter.admits(&record) {
                let letter = Letter::from(record);
                if self.summary {
                    let topic = letter
                        .origin
                        .map_or_else(|| "-".to_owned(), |origin| origin.topic);
                    *counts.entry((letter.code, topic)).or_default() += 1;
                } else {
                    letters.push_back(letter);
                    if letters.len() > self.limit {
                        letters.pop_front();
                        left_out += 1;
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        progress.end();
        if self.summary {
            return summary(form, &counts);
        }
        let documents: Vec<Json> = letters.iter().map(document).collect();
        form.print(&json!({"dead_letters": documents}), || {
            table(letters.iter())
        })?;
        if left_out > 0 {
            note(format_args!(
                "{left_out} older ones are left out; --limit, --since or a filter shows others"
            ));
        }
        Ok(Exit::Done)
    }
}

fn summary(form: Form, counts: &BTreeMap<(String, String), u64>) -> anyhow::Result<Exit> {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let documents = sorted
        .iter()
        .map(|((code, topic), count)| json!({"reason": code, "topic": topic, "count": count}));
    let documents: Vec<Json> = documents.collect();
    form.print(&json!({"reasons": documents}), || {
        let mut table = Table::new(&["COUNT", "REASON", "TOPIC"]);
        for ((code, topic), count) in sorted {
            table.row([count.to_string(), code.clone(), topic.clone()]);
        }
        table.to_string()
    })?;
    Ok(Exit::Done)
}

fn table<'l>(letters: impl Iterator<Item = &'l Letter>) -> String {
    let mut table = Table::new(&[
        "PLACE", "WRITTEN", "REASON", "ORIGIN", "KEY", "AGAIN", "MESSAGE",
    ]);
    for letter in letters {
        let origin = letter.origin.as_ref();
        table.row([
            letter.record.place(),
            written_at(&letter.record),
            letter.code.clone(),
            origin.map_or_else(|| "-".to_owned(), ToString::to_string),
            letter.record.key().unwrap_or("-").to_owned(),
            letter.redrives.to_string(),
            letter.message.clone(),
        ]);
    }
    table.to_string()
}

fn document(letter: &Letter) -> Json {
    let mut document = letter.record.document();
    document["reason"] = letter.code.clone().into();
    document["redrives"] = letter.redrives.into();
    document
}
