//! The file of a backup: JSON lines. The first says what it is; then come the changes in the order of their
//! topic, then the documents in force, and last a line that says how many there were and the SHA-256 of
//! all lines before it.

use std::io::{BufRead, Write};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use ring::digest::{Context as Digest, SHA256};
use schemas::{Campaign, CampaignChange};
use serde::{Deserialize, Serialize};

/// The form of the file. Files of a later form are refused.
const FORM: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Always `campaign-manager`.
    pub(super) backup: String,
    pub(super) form: u32,
    /// No change after this time is in the file.
    pub(super) taken_at: Timestamp,
    /// The release that wrote it.
    pub(super) release: String,
}

impl Header {
    pub(super) fn new(taken_at: Timestamp) -> Self {
        Self {
            backup: "campaign-manager".to_owned(),
            form: FORM,
            taken_at,
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// A record of the history, with what its headers say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptChange {
    pub(super) change: CampaignChange,
    /// None if whoever wrote the record gave it none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) change_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
}

/// A document in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptCampaign {
    pub(super) campaign: Campaign,
    pub(super) written_at: Timestamp,
    /// The change that wrote it. None if others wrote it straight to the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) change_id: Option<String>,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct End {
    end: Counts,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Counts {
    changes: u64,
    campaigns: u64,
    sha256: String,
}

/// Writes a file line by line.
pub(super) struct Writer<W> {
    out: W,
    digest: Digest,
    counts: Counts,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(out: W, header: &Header) -> anyhow::Result<Self> {
        let mut writer = Self {
            out,
            digest: Digest::new(&SHA256),
            counts: Counts::default(),
        };
        writer.line(header)?;
        Ok(writer)
    }

    pub(super) fn change(&mut self, change: &KeptChange) -> anyhow::Result<()> {
        self.counts.changes += 1;
        self.line(change)
    }

    pub(super) fn campaign(&mut self, campaign: &KeptCampaign) -> anyhow::Result<()> {
        self.counts.campaigns += 1;
        self.line(campaign)
    }

    /// Writes the last line. Returns how many changes and campaigns there are.
    pub(super) fn end(mut self) -> anyhow::Result<(u64, u64)> {
        self.counts.sha256 = hex(self.digest.clone());
        let counted = (self.counts.changes, self.counts.campaigns);
        let end = End {
            end: std::mem::take(&mut self.counts),
        };
        self.line(&end)?;
        self.out.flush()?;
        Ok(counted)
    }

    fn line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.digest.update(&line);
        Ok(self.out.write_all(&line)?)
    }
}

/// A file that was read to its end, and whose checksum is right.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) header: Header,
    pub(super) changes: Vec<KeptChange>,
    pub(super) campaigns: Vec<KeptCampaign>,
}

/// Reads a file. Takes memory for all of it.
///
/// # Errors
/// It is no backup, of a later form, damaged, or cut short; says in which line.
pub(super) fn read(input: impl BufRead) -> anyhow::Result<Read> {
    let mut lines = input.split(b'\n');
    let first = lines.next().context("the file is empty")??;
    let header: Header = serde_json::from_slice(&first).context("line 1 is no backup's header")?;
    ensure!(
        header.backup == "campaign-manager",
        "line 1 is the header of a backup of {:?}",
        header.backup
    );
    ensure!(
        header.form == FORM,
        "the backup has form {}, and this release reads form {FORM}; restore with the release that wrote it, {}",
        header.form,
        header.release
    );
    let mut digest = Digest::new(&SHA256);
    let mut add = |line: &[u8]| {
        digest.update(line);
        digest.update(b"\n");
    };
    add(&first);
    let (mut changes, mut campaigns) = (Vec::new(), Vec::new());
    for (number, line) in (2..).zip(lines.by_ref()) {
        let line = line?;
        let place = || format!("line {number}");
        if line.starts_with(b"{\"end\":") {
            let End { end } = serde_json::from_slice(&line).with_context(place)?;
            ensure!(
                end.sha256 == hex(digest),
                "the checksum is not that of the lines; the file was changed or damaged"
            );
            let counted = (end.changes, end.campaigns);
            let found = (changes.len() as u64, campaigns.len() as u64);
            ensure!(
                counted == found,
                "there are {found:?} changes and campaigns of {counted:?}"
            );
            ensure!(lines.next().is_none(), "there is something behind the end");
            return Ok(Read {
                header,
                changes,
                campaigns,
            });
        }
        add(&line);
        if line.starts_with(b"{\"change\":") {
            changes.push(serde_json::from_slice(&line).with_context(place)?);
        } else {
            campaigns.push(serde_json::from_slice(&line).with_context(place)?);
        }
    }
    bail!("the file is cut short: its last line is missing")
}

fn hex(digest: Digest) -> String {
    let digest = digest.finish();
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use schemas::ChangeAction;
    use serde_json::json;

    use super::*;

    fn backup() -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header::new(Timestamp::UNIX_EPOCH);
        let mut writer = Writer::begin(&mut out, &header).unwrap();
        let campaign = json!({
            "id": "ten", "version": 3, "name": "Ten", "when": {"event_type": ["purchase"]},
            "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"}, "of_ours": [1.50],
        });
        let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
        let change = KeptChange {
            change: CampaignChange {
                campaign_id: campaign.id.clone(),
                action: ChangeAction::Created,
                actor: "ada".to_owned(),
                changed_at: Timestamp::UNIX_EPOCH,
                reason: None,
                before: None,
                after: Some(Box::new(campaign.clone())),
            },
            change_id: Some("0".repeat(32)),
            traceparent: None,
        };
        writer.change(&change).unwrap();
        let campaign = KeptCampaign {
            campaign,
            written_at: Timestamp::UNIX_EPOCH,
            change_id: change.change_id,
        };
        writer.campaign(&campaign).unwrap();
        assert_eq!(writer.end().unwrap(), (1, 1));
        out
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let read = read(&*backup()).unwrap();
        assert_eq!((read.changes.len(), read.campaigns.len()), (1, 1));
        assert_eq!(read.campaigns[0].campaign.version, 3);
        let after = read.changes[0].change.after.as_deref();
        assert_eq!(after, Some(&read.campaigns[0].campaign));
    }

    #[test]
    fn what_is_damaged_or_cut_short_is_refused_wherever_it_is() {
        let file = String::from_utf8(backup()).unwrap();
        let lines: Vec<_> = file.lines().collect();
        let cases = [
            (String::new(), "empty"),
            (lines[1..].join("\n"), "line 1"),
            (lines[..3].join("\n"), "cut short"),
            (file.replace("ada", "eve"), "checksum"),
            (file.replace("\"form\":1", "\"form\":2"), "form 2"),
            ([&file, "{}\n"].concat(), "behind the end"),
            (
                file.replace("\"action\":\"created\"", "\"action\":\"made\""),
                "line 2",
            ),
            ([lines[0], lines[1], lines[3]].join("\n"), "checksum"),
        ];
        for (file, expected) in cases {
            let error = format!("{:#}", read(file.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
