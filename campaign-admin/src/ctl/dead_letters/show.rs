//! `dead-letters show`.

use std::str::FromStr;

use clap::Args;
use schemas::names::header;

use super::fetch;
use super::letter::Letter;
use crate::ctl::exit::{Exit, Failure};
use crate::ctl::kafka::{Cluster, Kind, Record, Schemas};
use crate::ctl::output::{BAD, DIM, Form, NAME, styled};
use crate::ctl::tail::written_at;

/// Arguments of `dead-letters show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The letter, as PARTITION:OFFSET; `dead-letters list` shows them
    place: Place,

    #[command(flatten)]
    cluster: Cluster,

    #[command(flatten)]
    schemas: Schemas,
}

/// A place in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl Place {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            partition: record.partition,
            offset: record.offset,
        }
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = text.split_once(':').and_then(|(partition, offset)| {
            Some(Self {
                partition: partition.parse().ok().filter(|number| *number >= 0)?,
                offset: offset.parse().ok().filter(|number| *number >= 0)?,
            })
        });
        place.ok_or("write it as PARTITION:OFFSET, as 3:17")
    }
}

impl Show {
    pub(super) fn run(&self, form: Form) -> anyhow::Result<Exit> {
        let topic = &self.cluster.topics.dead_letters_topic;
        let found = fetch::one(
            &self.cluster,
            topic,
            self.place.partition,
            self.place.offset,
        )?;
        let Some(record) = found else {
            let Place { partition, offset } = self.place;
            let error = anyhow::anyhow!("there is no dead letter at {partition}:{offset}");
            return Err(Failure::with(Exit::No, error));
        };
        let letter = Letter::from(self.schemas.values(Kind::Events)?.read(record));
        form.print(&letter.record.document(), || text(&letter))?;
        Ok(Exit::Done)
    }
}

fn text(letter: &Letter) -> String {
    let record = &letter.record;
    let origin = letter
        .origin
        .as_ref()
        .map_or_else(|| "-".to_owned(), ToString::to_string);
    let mut lines = vec![
        format!("{}  {}", styled(NAME, record.place()), written_at(record)),
        format!("reason:  {}: {}", styled(BAD, &letter.code), letter.message),
        format!("origin:  {origin}"),
        format!("again:   sent {} times", letter.redrives),
        format!("key:     {}", record.document()["key"]),
        "headers:".to_owned(),
    ];
    for (name, value) in record.document()["headers"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if !name.starts_with(header::ERROR_PREFIX) {
            lines.push(format!("  {name}: {value}"));
        }
    }
    let value = &record.document()["value"];
    match (letter.value_bytes, serde_json::to_string_pretty(value)) {
        (Some(bytes), _) => lines.push(styled(
            DIM,
            format_args!(
                "value:   {bytes} bytes, not kept here; it is at its origin while that lasts"
            ),
        )),
        (None, Ok(value)) => {
            if let Some(schema) = record.schema() {
                lines.push(format!("schema:  {schema}"));
            }
            if let Some(why) = record.unread() {
                lines.push(format!("unread:  {}", styled(BAD, why)));
            }
            lines.push(format!("value:\n{value}"));
        }
        (None, Err(_)) => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_partition_and_an_offset() {
        assert_eq!(
            "3:17".parse(),
            Ok(Place {
                partition: 3,
                offset: 17
            })
        );
        for text in ["3", "3:", ":1", "-1:1", "1:-1", "a:b", "1:2:3"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
