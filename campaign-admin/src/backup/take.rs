//! Takes a backup: `campaign-admin backup`.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use schemas::names::header;
use schemas::{Reader, Unread};
use service::kafka::reader::{Next, TopicReader};

use super::Installation;
use super::file::{Header, KeptCampaign, KeptChange, Writer};
use crate::catalog::{Catalog, ChangeId, Filter, Topic};
use crate::follow::{CatchUp, encoded, text_header};

/// How long nothing may come of a topic whose end is not reached.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often both topics are read on until neither has more. Changes are made by people.
const ROUNDS: usize = 100;

/// Where a backup goes.
#[derive(Debug, Clone, Args)]
pub struct Backup {
    /// The file to be written, which must not exist [default: the output]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Writes all campaigns and their history, as of one moment. Returns how many changes and campaigns. Blocks.
///
/// # Errors
/// The broker does not answer, a document cannot be read, or the file cannot be written. A file of that name
/// is then not there.
pub fn backup(command: &Backup, from: &Installation<'_>) -> anyhow::Result<(u64, u64)> {
    let Some(path) = &command.to else {
        return write(from, io::stdout().lock());
    };
    ensure!(!path.exists(), "{} exists already", path.display());
    // Under its name only once it is whole.
    let mut part = path.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = File::create(&part).with_context(|| part.display().to_string())?;
    let counted = write(from, &file)?;
    file.sync_all()?;
    std::fs::rename(&part, path).with_context(|| path.display().to_string())?;
    Ok(counted)
}

fn write(from: &Installation<'_>, out: impl io::Write) -> anyhow::Result<(u64, u64)> {
    let mut out = BufWriter::new(out);
    let (catalog, mut catch_up) = from.catalog();
    read_to_one_moment(&catalog, &mut catch_up)?;
    let mut writer = Writer::begin(&mut out, &Header::new(Timestamp::now()))?;
    write_changes(from, catalog.next_offset(Topic::Changes), &mut writer)?;
    let (campaigns, _) = catalog.list(&Filter::default(), None, usize::MAX - 1);
    for current in campaigns {
        writer.campaign(&KeptCampaign {
            campaign: current.campaign.clone(),
            written_at: current.written_at,
            change_id: current.change.map(|change| change.to_string()),
        })?;
    }
    let counted = writer.end()?;
    out.flush()?;
    Ok(counted)
}

/// Reads both topics until neither has more. A change whose record in one of them was read then has its
/// record in the other read, too: they are committed together.
fn read_to_one_moment(catalog: &Catalog, catch_up: &mut CatchUp) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        let before = catalog.next_offset(Topic::Changes);
        catch_up.read_to_end()?;
        if catalog.next_offset(Topic::Changes) == before {
            return Ok(());
        }
    }
    anyhow::bail!("campaigns change too quickly for a backup; try again later")
}

/// Writes the history below that offset.
fn write_changes(
    from: &Installation<'_>,
    end: i64,
    writer: &mut Writer<impl io::Write>,
) -> anyhow::Result<()> {
    let reader = TopicReader::open(&from.source(Topic::Changes))?;
    reader.jump(Offset::Beginning)?;
    let mut documents = from.documents.reader();
    let mut last = Instant::now();
    loop {
        match reader.next(Duration::from_millis(100))? {
            Next::Record(message) if message.offset() >= end => return Ok(()),
            Next::Record(message) => {
                if let Some(change) = read_change(&mut documents, &message)? {
                    writer.change(&change)?;
                }
                last = Instant::now();
            }
            Next::End => return Ok(()),
            Next::Nothing => {
                let topic = from.name(Topic::Changes);
                ensure!(last.elapsed() < PATIENCE, "{topic} is not read further");
            }
        }
    }
}

/// None if the record says nothing of any campaign: nobody could restore it.
fn read_change(
    documents: &mut Reader,
    message: &BorrowedMessage<'_>,
) -> anyhow::Result<Option<KeptChange>> {
    let begun = Instant::now();
    loop {
        match documents.read_change(encoded(message)) {
            Ok(change) => {
                let id = text_header(message, header::CHANGE_ID);
                let id = id.and_then(|id| id.parse::<ChangeId>().ok());
                return Ok(Some(KeptChange {
                    change,
                    change_id: id.map(|id| id.to_string()),
                    traceparent: text_header(message, header::TRACEPARENT).map(str::to_owned),
                }));
            }
            Err(Unread::Waiting(_)) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(Unread::Waiting(id)) => {
                anyhow::bail!("the schema registry does not say what schema {id} is")
            }
            Err(Unread::Never(error)) => {
                let (topic, offset) = (message.topic(), message.offset());
                tracing::warn!(topic, offset, %error, "left out: no change can be read there");
                return Ok(None);
            }
        }
    }
}
