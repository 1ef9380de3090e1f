//! `backtest`: which matches campaigns would have made of past events. No Kafka, all cores, by the code that the
//! matcher runs.

mod campaigns;
mod evaluate;
mod order;

use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use rules::RuleSet;
use schemas::Span;
use serde_json::json;
use service::metrics::peak_memory_bytes;

use self::evaluate::Totals;
use super::audience::named::{self, NamedAudience};
use super::exit::{Exit, Failure};
use super::output::{Form, Progress, WARN, note, styled};

/// Arguments of `backtest`.
#[derive(Debug, Args)]
pub(crate) struct Backtest {
    /// File or folder with campaigns in YAML or JSON, or a file of one JSON document a line (.jsonl, .ndjson);
    /// all count as active
    #[arg(long, value_name = "PATH", required = true)]
    campaigns: Vec<PathBuf>,

    /// File of events, one JSON document a line; - is standard input
    #[arg(long, value_name = "FILE")]
    events: PathBuf,

    /// File for the matches, in the order of the events: `event_id` and `campaign_id`, one JSON document a line; what becomes of
    /// them later with its `status`
    #[arg(long, value_name = "FILE")]
    matches: Option<PathBuf>,

    /// Audience and the file of its customers, as `audience load` takes it; may be repeated. What the server knows of audiences is
    /// not asked
    #[arg(long = "audience", value_name = "NAME=FILE", value_parser = named::with_file)]
    audiences: Vec<NamedAudience>,

    /// Time that passes after the last event, as 31d: what waits for nothing to happen may be due then, and
    /// what is held may be confirmed
    #[arg(long, value_name = "SPAN", value_parser = Span::parse)]
    advance: Option<Span>,

    /// Threads that evaluate [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
}

impl Backtest {
    pub(crate) fn run(&self, form: Form) -> anyhow::Result<Exit> {
        let started = Instant::now();
        let rules = campaigns::read(&self.campaigns)?;
        let rules = RuleSet::build(rules);
        let members = named::read(&self.audiences)?;
        let build_seconds = started.elapsed().as_secs_f64();

        let (events, size) = self.open_events()?;
        let matches = self.matches.as_ref().map(|path| {
            let file = File::create(path);
            file.with_context(|| format!("{} cannot be written", path.display()))
        });
        let mut matches = matches
            .transpose()
            .map_err(Failure::usage)?
            .map(BufWriter::new);
        let cores = || std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        let threads = self.threads.unwrap_or_else(cores);
        let mut progress = Progress::new("MB of events evaluated");
        let megabytes = |bytes: u64| bytes / 1_000_000;

        let started = Instant::now();
        let totals = evaluate::all(
            events,
            (&rules, &members, self.advance),
            threads,
            matches.as_mut(),
            |bytes| progress.set(megabytes(bytes), size.map(megabytes)),
        )
        .with_context(|| self.events.display().to_string())?;
        let seconds = started.elapsed().as_secs_f64();
        progress.end();
        if let Some(mut matches) = matches {
            matches.flush().context("the matches cannot be written")?;
        }
        self.tell(form, &totals, &rules, build_seconds, seconds)?;
        Ok(Exit::Done)
    }

    /// The events, and how many bytes they are, if that is known.
    fn open_events(&self) -> anyhow::Result<(Box<dyn Read + Send>, Option<u64>)> {
        if self.events.as_os_str() == "-" {
            return Ok((Box::new(std::io::stdin()), None));
        }
        let file = File::open(&self.events)
            .with_context(|| format!("{} cannot be read", self.events.display()))
            .map_err(Failure::usage)?;
        let size = file.metadata().ok().map(|metadata| metadata.len());
        Ok((Box::new(file), size))
    }

    fn tell(
        &self,
        form: Form,
        totals: &Totals,
        rules: &RuleSet,
        build_seconds: f64,
        seconds: f64,
    ) -> anyhow::Result<()> {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let per_second = (totals.events as f64 / seconds.max(1e-9)).round();
        let peak = peak_memory_bytes();
        let document = json!({
            "events": totals.events,
            "matches": totals.matches,
            "confirmed": totals.confirmed,
            "reversals": totals.reversals,
            "refusals": totals.refusals,
            "held_out": totals.held_out,
            "variants": totals.variants,
            "duplicates": totals.duplicates,
            "undefined_rewards": totals.undefined_rewards,
            "dead_letters": totals.dead_letters,
            "events_per_second": per_second,
            "campaigns": rules.len(),
            "build_seconds": build_seconds,
            "peak_memory_bytes": peak,
        });
        form.print(&document, || {
            let memory = peak.map_or_else(String::new, |bytes| {
                format!(", at most {} MB of memory", bytes / 1_000_000)
            });
            format!(
                "{} events, {} campaigns, {} matches\n{per_second} events/s, campaigns ready after {build_seconds:.2} s{memory}",
                totals.events,
                rules.len(),
                totals.matches,
            )
        })?;
        if form == Form::Table {
            if totals.undefined_rewards > 0 {
                let count = totals.undefined_rewards;
                note(styled(
                    WARN,
                    format_args!(
                        "{count} campaigns not won, for their reward had no value; try says why"
                    ),
                ));
            }
            if totals.confirmed + totals.reversals > 0 {
                note(format_args!(
                    "{} matches that were held were confirmed; returns took {} times something back",
                    totals.confirmed, totals.reversals
                ));
            }
            if totals.held_out > 0 {
                note(format_args!(
                    "{} matches were kept from customers who are held out",
                    totals.held_out
                ));
            }
            for (campaign, counts) in &totals.variants {
                let counts = counts.iter().map(|(name, count)| format!("{name} {count}"));
                let counts: Vec<_> = counts.collect();
                note(format_args!("matches of {campaign}: {}", counts.join(", ")));
            }
            if totals.refusals > 0 {
                let count = totals.refusals;
                note(styled(
                    WARN,
                    format_args!("{count} claims were refused, for a budget left no room"),
                ));
            }
            for (reason, count) in &totals.dead_letters {
                let file = self.events.display();
                note(styled(
                    WARN,
                    format_args!("{count} lines of {file} are no events: {reason}"),
                ));
            }
        }
        Ok(())
    }
}
