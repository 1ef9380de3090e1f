//! Restores a backup: `campaign-admin restore`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use schemas::CampaignId;
use service::kafka::reader::ReadError;
use service::kafka::transaction::{Broken, Failure, Idle, Open};
use service::retry::Backoff;

use super::Installation;
use super::file::{self, KeptChange};
use super::plan::{Kept, Step, again, by_campaign, plan};
use crate::catalog::{Catalog, Change, ChangeId, Past};
use crate::changes::{Origin, Output};
use crate::follow::CatchUp;

/// Records of one transaction, unless one campaign has more.
const BATCH: usize = 500;

/// How often it is begun again when a replica or the broker comes in between.
const ATTEMPTS: usize = 10;

/// What is to be restored, and how.
#[derive(Debug, Clone, Args)]
pub struct Restore {
    /// The file that `backup` wrote
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    /// As campaigns were at this time, as 2027-01-31T00:00:00Z, not later than the backup [default: as they
    /// are in it]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,

    /// Also where a campaign was changed here since: its document comes back as one more version. Campaigns
    /// that were gone are deleted
    #[arg(long)]
    overwrite: bool,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// Who does this, for the history
    #[arg(long, value_name = "NAME", default_value = "restore")]
    actor: String,
}

/// What came of it.
pub struct Restored {
    /// A line for each campaign that is not as it was, and a last one that counts.
    pub told: String,
    /// 0 if all campaigns are as in the backup, 1 if some were newer and nothing was done.
    pub code: ExitCode,
}

/// Where restored records go: the producer's configuration and the topics.
struct Target {
    producer: ClientConfig,
    output: Output,
}

/// Why an attempt came to nothing. What it committed is there, and the next attempt finds it.
#[derive(Debug, thiserror::Error)]
enum Stumble {
    #[error("the transactional producer failed at {0}")]
    Producer(#[from] Broken),
    #[error("the transaction was aborted: {0}")]
    Aborted(KafkaError),
    #[error("a record cannot be produced: {0}")]
    Produce(#[from] KafkaError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Plan(#[from] anyhow::Error),
}

impl Stumble {
    fn passes(&self) -> bool {
        match self {
            Self::Producer(broken) => broken.is_fenced() || broken.is_unanswered(),
            Self::Aborted(_) => true,
            Self::Read(error) => error.passes(),
            Self::Produce(_) | Self::Plan(_) => false,
        }
    }
}

/// Brings campaigns and their history back. Safe to repeat: what is there is not written again. Blocks.
///
/// # Errors
/// The file is damaged, or the broker does not take what is to be written; what was committed until then
/// stays, whole campaigns only, and the next run goes on.
pub fn restore(
    command: &Restore,
    to: &Installation<'_>,
    output: Output,
) -> anyhow::Result<Restored> {
    let path = command.from.display();
    let file = File::open(&command.from).with_context(|| path.to_string())?;
    let read = file::read(BufReader::new(file)).with_context(|| path.to_string())?;
    let taken_at = read.header.taken_at;
    let all = by_campaign(read, command.at)?;
    let id = format!("campaign-admin-{}", output.campaigns);
    let target = Target {
        producer: to.kafka.transactional_producer(&id),
        output,
    };
    let (catalog, catch_up) = to.catalog();
    let mut run = Run {
        command,
        all: &all,
        catalog: &catalog,
        catch_up,
        target,
        reason: format!(
            "restored as of {} from the backup of {taken_at}",
            command.at.unwrap_or(taken_at)
        ),
        written: BTreeMap::new(),
    };
    let mut backoff = Backoff::new(Duration::from_millis(80), Duration::from_secs(5));
    let mut left = ATTEMPTS;
    loop {
        match run.attempt() {
            Ok(restored) => return Ok(restored),
            Err(error) if error.passes() && left > 0 => {
                tracing::warn!(%error, "trying again");
                left -= 1;
                std::thread::sleep(backoff.next_delay());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What is done to a campaign, in words.
fn tell(id: &CampaignId, step: &Step) -> (CampaignId, String) {
    let what = match step {
        Step::Nothing => "unchanged".to_owned(),
        Step::AsItWas { changes, document } => {
            let document = if *document { "document and " } else { "" };
            format!("{document}{} changes as they were", changes.len())
        }
        Step::Newer { next } => format!("as it was, as version {next}"),
    };
    (id.clone(), what)
}

struct Run<'r> {
    command: &'r Restore,
    all: &'r BTreeMap<CampaignId, Kept>,
    catalog: &'r Catalog,
    catch_up: CatchUp,
    target: Target,
    reason: String,
    /// What was done, also in attempts that came to an end early.
    written: BTreeMap<CampaignId, String>,
}

impl Run<'_> {
    fn attempt(&mut self) -> Result<Restored, Stumble> {
        // From here on no replica can commit what is not read.
        let producer = if self.command.dry_run {
            None
        } else {
            Some(Idle::connect(&self.target.producer)?)
        };
        self.catch_up.read_to_end()?;
        let steps = self.steps()?;
        let newer: Vec<_> = (steps.iter())
            .filter(|(_, step)| matches!(step, Step::Newer { .. }))
            .collect();
        if !newer.is_empty() && !self.command.overwrite {
            return Ok(self.refused(&newer));
        }
        if let Some(producer) = producer {
            self.write(producer, &steps)?;
        } else {
            let told = steps.iter().map(|(id, step)| tell(id, step));
            self.written.extend(told);
        }
        Ok(self.done())
    }

    /// What is to be done, without the campaigns that are as they should be.
    fn steps(&self) -> anyhow::Result<Vec<(CampaignId, Step)>> {
        let mut steps = Vec::new();
        for (id, kept) in self.all {
            let step = plan(kept, &self.catalog.standing(id), &self.changes(id))
                .with_context(|| format!("campaign {id}"))?;
            if step != Step::Nothing {
                steps.push((id.clone(), step));
            }
        }
        Ok(steps)
    }

    fn changes(&self, id: &CampaignId) -> Vec<Change> {
        let history = self.catalog.history(id).into_iter();
        let changes = history.filter_map(|past| match past {
            Past::Change(change) => Some(change),
            Past::Foreign(_) => None,
        });
        changes.collect()
    }

    fn write(&mut self, mut idle: Idle, steps: &[(CampaignId, Step)]) -> Result<(), Stumble> {
        let mut steps = steps.iter().peekable();
        while steps.peek().is_some() {
            let transaction = idle.begin()?;
            let mut records = 0;
            let mut told = Vec::new();
            while records < BATCH
                && let Some((id, step)) = steps.next()
            {
                records += self.write_campaign(&transaction, id, step)?;
                told.push(tell(id, step));
            }
            idle = match transaction.commit() {
                Ok(idle) => idle,
                Err(Failure::Aborted { why, .. }) => return Err(Stumble::Aborted(why)),
                Err(Failure::Broken(broken)) => return Err(broken.into()),
            };
            self.written.extend(told);
        }
        Ok(())
    }

    /// Returns how many records it added.
    fn write_campaign(
        &self,
        transaction: &Open,
        id: &CampaignId,
        step: &Step,
    ) -> Result<usize, KafkaError> {
        let (output, kept) = (&self.target.output, &self.all[id]);
        match step {
            Step::Nothing => Ok(0),
            Step::AsItWas { changes, document } => {
                for at in changes {
                    let change = &kept.changes[*at];
                    let origin = Origin {
                        change: change.id(),
                        traceparent: change.traceparent.as_deref(),
                    };
                    output.write_change(transaction, &change.change, origin)?;
                }
                if *document {
                    let last = kept.changes.last();
                    let campaign = kept.campaign.as_ref();
                    let change = match campaign {
                        Some(campaign) => {
                            campaign.change_id.as_ref().and_then(|id| id.parse().ok())
                        }
                        None => last.and_then(KeptChange::id),
                    };
                    let written_at = (campaign.map(|campaign| campaign.written_at))
                        .or(last.map(|last| last.change.changed_at))
                        .unwrap_or_default();
                    let origin = Origin {
                        change,
                        traceparent: None,
                    };
                    let campaign = campaign.map(|campaign| &campaign.campaign);
                    output.write_campaign(transaction, id, campaign, (written_at, origin))?;
                }
                Ok(changes.len() + usize::from(*document))
            }
            Step::Newer { next } => {
                let standing = self.catalog.standing(id);
                let with = (*next, &*self.command.actor, &*self.reason, Timestamp::now());
                let change = again(id, kept, &standing, with);
                let origin = Origin {
                    change: Some(ChangeId::random()),
                    traceparent: None,
                };
                let after = change.after.as_deref();
                output.write_campaign(transaction, id, after, (change.changed_at, origin))?;
                output.write_change(transaction, &change, origin)?;
                Ok(2)
            }
        }
    }

    fn refused(&self, newer: &[&(CampaignId, Step)]) -> Restored {
        let mut told = String::new();
        for (id, _) in newer {
            let standing = self.catalog.standing(id);
            let version = standing.current.map(|current| current.campaign.version);
            let is = version.map_or("gone".to_owned(), |version| format!("in version {version}"));
            let last = self.changes(id).pop();
            let by = last.map_or(String::new(), |last| {
                format!(", last changed by {} at {}", last.actor, last.changed_at)
            });
            let _ = writeln!(told, "{id}  newer here: {is}{by}");
        }
        let _ = writeln!(
            told,
            "{} campaigns are newer here, nothing was done; --overwrite restores them as further versions",
            newer.len()
        );
        Restored {
            told,
            code: ExitCode::FAILURE,
        }
    }

    fn done(&self) -> Restored {
        let mut told = String::new();
        for (id, what) in &self.written {
            let _ = writeln!(told, "{id}  {what}");
        }
        let would = if self.command.dry_run {
            "would be "
        } else {
            ""
        };
        let _ = writeln!(
            told,
            "{} campaigns {would}restored, {} unchanged",
            self.written.len(),
            self.all.len() - self.written.len()
        );
        Restored {
            told,
            code: ExitCode::SUCCESS,
        }
    }
}
