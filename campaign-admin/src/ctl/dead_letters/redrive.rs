//! `dead-letters redrive`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::fetch;
use super::job::{self, Begin, Job};
use super::letter::{Change, Letter};
use super::show::Place;
use crate::ctl::events::header;
use crate::ctl::exit::Exit;
use crate::ctl::filter::Filter;
use crate::ctl::kafka::{
    Aborted, Cluster, Content, Kind, Outgoing, Reader, Record, Schemas, Since, Values, interrupted,
};
use crate::ctl::output::{Form, Progress, Table, note};

/// Arguments of `dead-letters redrive`.
#[derive(Debug, Args)]
pub(super) struct Redrive {
    /// Only these, as PARTITION:OFFSET
    #[arg(value_name = "PLACE")]
    places: Vec<Place>,

    /// Only those written since a time, as 2026-11-24T09:30:00Z, or as long ago as 30s, 15m, 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,

    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,

    /// Leave letters that have been sent again so often already
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    max_redrives: u32,

    /// Add a header, as NAME=VALUE, in place of one of that name
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,

    /// Leave out a header
    #[arg(long, value_name = "NAME")]
    without_header: Vec<String>,

    /// Name under which the progress is kept; by itself it follows from the filter, so that the same
    /// command goes on where it stopped
    #[arg(long, value_name = "NAME")]
    job: Option<String>,

    /// Forget the job's progress and begin with the oldest letter; those sent before are sent again
    #[arg(long)]
    from_beginning: bool,

    #[command(flatten)]
    filter: Filter,

    #[command(flatten)]
    cluster: Cluster,

    #[command(flatten)]
    schemas: Schemas,
}

/// How often a transaction is begun again that was given up. Brokers do so now and then, as after a change of
/// leaders.
const ATTEMPTS: u32 = 5;

/// What came of the letters.
#[derive(Debug, Clone, Default)]
struct Outcome {
    /// By topic and reason.
    redriven: BTreeMap<(String, String), u64>,
    /// By why they were left.
    left: BTreeMap<&'static str, u64>,
    /// Not wanted by the filter.
    filtered: u64,
}

impl Outcome {
    fn leave(&mut self, why: &'static str) {
        *self.left.entry(why).or_default() += 1;
    }

    fn count(&self) -> u64 {
        self.redriven.values().sum()
    }
}

impl Redrive {
    pub(super) fn run(&self, form: Form) -> anyhow::Result<Exit> {
        let interrupted = interrupted();
        let mut settled = Outcome::default();
        let mut afresh = self.from_beginning;
        let mut attempt = 1;
        let job = loop {
            let mut job = self.job(afresh)?;
            match self.go_through(&mut job, &interrupted, &mut settled) {
                Ok(()) => break job,
                Err(error) if error.is::<Aborted>() && attempt < ATTEMPTS => {
                    note(format_args!("{error}; going on from what was committed"));
                    job.abort();
                    afresh = afresh && !job.has_committed();
                    attempt += 1;
                }
                Err(error) => {
                    job.abort();
                    return Err(error.context(
                        "what was not committed was not sent; the same command goes on from there",
                    ));
                }
            }
        };
        self.report(form, &job.name, &settled)?;
        let is_whole = !interrupted.load(Ordering::Relaxed);
        if !is_whole {
            note("interrupted; the same command goes on from here");
        }
        Ok(Exit::yes_or_no(is_whole))
    }

    /// Goes through what is left of the job. `settled` is what came of the letters that are behind its last
    /// commit.
    fn go_through(
        &self,
        job: &mut Job,
        interrupted: &AtomicBool,
        settled: &mut Outcome,
    ) -> anyhow::Result<()> {
        let topic = &self.cluster.topics.dead_letters_topic;
        let reader = Reader::of_ranges(&self.cluster, topic, job.ranges.clone())?;
        let span = reader.span();
        let mut values = self.schemas.values(Kind::Events)?;
        let mut progress = Progress::new("dead letters read");
        let mut outcome = settled.clone();
        let mut read = 0;
        let result = reader.each(interrupted, |message| {
            let record = Record::from(message);
            let place = Place::of(&record);
            read += 1;
            progress.set(read, Some(span));
            if self.is_wanted(&record, &mut values)? {
                self.one(record, job, &mut outcome)?;
            } else {
                outcome.filtered += 1;
            }
            job.passed(place)?;
            if job.is_settled() {
                settled.clone_from(&outcome);
            }
            Ok(ControlFlow::Continue(()))
        });
        progress.end();
        result?;
        job.finish(!interrupted.load(Ordering::Relaxed))?;
        *settled = outcome;
        Ok(())
    }

    /// Whether a letter is one of those to be sent. One that cannot be read yet stops the job, if what it
    /// says matters: to leave it behind would be to leave it for good.
    fn is_wanted(&self, record: &Record, values: &mut Values) -> anyhow::Result<bool> {
        let place = Place::of(record);
        if !self.places.is_empty() && !self.places.contains(&place) {
            return Ok(false);
        }
        if !self.filter.asks_values() {
            return Ok(self.filter.admits(record));
        }
        let record = values.read(record.clone());
        if let Content::Unread {
            why,
            is_passing: true,
            ..
        } = &record.content
        {
            anyhow::bail!("whether {} is wanted is not known: {why}", record.place());
        }
        Ok(self.filter.admits(&record))
    }

    /// Sends one letter, or says why not.
    fn one(&self, record: Record, job: &mut Job, outcome: &mut Outcome) -> anyhow::Result<()> {
        let letter = Letter::from(record);
        let Some(origin) = &letter.origin else {
            outcome.leave("it does not say where it came from");
            return Ok(());
        };
        if letter.redrives >= self.max_redrives {
            outcome.leave("it was sent again too often (--max-redrives)");
            return Ok(());
        }
        let whole;
        let value = if letter.value_bytes.is_none() {
            letter.record.value.as_deref()
        } else {
            let (topic, partition) = (&origin.topic, origin.partition);
            whole = fetch::one(&self.cluster, topic, partition, origin.offset)?;
            let Some(whole) = &whole else {
                outcome.leave("its value was too large to be kept, and is gone at its origin");
                return Ok(());
            };
            whole.value.as_deref()
        };
        let change = Change {
            with: self.header.clone(),
            without: self.without_header.clone(),
        };
        job.send(Outgoing {
            topic: &origin.topic,
            key: letter.record.key.as_deref(),
            value,
            headers: &letter.headers(&change),
        })?;
        let key = (origin.topic.clone(), letter.code);
        *outcome.redriven.entry(key).or_default() += 1;
        Ok(())
    }

    /// The job, at the place where it stopped.
    fn job(&self, afresh: bool) -> anyhow::Result<Job> {
        // By itself the name is made of what is wanted and where, so that it is the same for the same command,
        // and jobs of two installations on one Kafka do not fence each other.
        let topic = &self.cluster.topics.dead_letters_topic;
        let wanted = || format!("{topic} {:?}{}", self.places, self.filter.canonical());
        let name = self.job.clone().unwrap_or_else(|| job::name(&wanted()));
        let begin = Begin {
            afresh,
            since: self.since.map(|since| since.at(Timestamp::now())),
        };
        if self.dry_run {
            Job::try_out(&self.cluster, name, begin)
        } else {
            Job::open(&self.cluster, name, begin)
        }
    }

    fn report(&self, form: Form, job: &str, outcome: &Outcome) -> anyhow::Result<()> {
        let rows: Vec<_> = (outcome.redriven.iter())
            .map(|((topic, reason), count)| json!({"topic": topic, "reason": reason, "count": count}))
            .collect();
        let left: Vec<_> = (outcome.left.iter())
            .map(|(why, count)| json!({"why": why, "count": count}))
            .collect();
        let document = json!({
            "job": job,
            "dry_run": self.dry_run,
            "redriven": rows,
            "left": left,
            "filtered": outcome.filtered,
        });
        form.print(&document, || {
            let done = if self.dry_run {
                "would be sent"
            } else {
                "sent"
            };
            let mut table = Table::new(&["COUNT", "REASON", "WHAT"]);
            for ((topic, reason), count) in &outcome.redriven {
                table.row([
                    count.to_string(),
                    reason.clone(),
                    format!("{done} to {topic}"),
                ]);
            }
            for (why, count) in &outcome.left {
                table.row([count.to_string(), "-".to_owned(), format!("left: {why}")]);
            }
            let total = outcome.count();
            format!(
                "{table}\n{total} {done}, {} not wanted by the filter (job {job})",
                outcome.filtered
            )
        })
    }
}
