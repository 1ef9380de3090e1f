//! `results`: what customers did whom a campaign reached, beside those who were held out.

mod groups;
mod statistics;

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use rdkafka::Message as _;
use rules::Pattern;
use rules::history::Field;
use rust_decimal::Decimal;
use schemas::names::header;
use schemas::{Control, Document, Event, Limits, MatchStatus, RefusalReason, Span};
use serde::Serialize;
use serde_json::{Value as Json, json};

use self::groups::{Exposure, Group, GroupReport, Groups, SMALL, Uplift};
use self::statistics::Difference;
use super::exit::{Exit, Failure};
use super::kafka::{Cluster, Kind, Reader, Record, Schemas, Since, Start, interrupted};
use super::output::{DIM, Form, NAME, Progress, Table, WARN, note, styled};

/// Arguments of `results`.
#[derive(Debug, Args)]
pub(crate) struct Results {
    /// Campaign
    #[arg(value_name = "ID")]
    id: String,

    /// What customers are to do: a type of events, or a pattern as JSON in the language of a campaign's `when`
    #[arg(long, value_name = "TYPE|PATTERN")]
    outcome: String,

    /// Field of these events with a value to add up, as payload.amount
    #[arg(long, value_name = "FIELD")]
    value: Option<String>,

    /// How long after the first event that won, or would have, it counts
    #[arg(long, value_name = "SPAN", default_value = "14d", value_parser = Span::parse)]
    within: Span,

    /// Only customers who were reached since a time, as 2026-11-24T09:30:00Z, or as long ago as 30s, 15m, 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,

    /// Group that the others are compared with [default: the holdout, or the first variant]
    #[arg(long, value_name = "NAME")]
    against: Option<String>,

    #[command(flatten)]
    cluster: Cluster,

    #[command(flatten)]
    schemas: Schemas,
}

/// All that is told.
#[derive(Serialize)]
struct Report<'a> {
    campaign_id: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    within: Span,
    groups: Vec<GroupReport>,
    /// Customers who were in several groups, because the experiment was changed; they are in none of the above.
    mixed: usize,
    /// Events that could not be read.
    unread: u64,
    methods: Json,
}

impl Results {
    pub(crate) fn run(&self, form: Form) -> anyhow::Result<Exit> {
        let pattern = pattern(&self.outcome).map_err(Failure::usage)?;
        let now = Timestamp::now();
        let start = match self.since {
            Some(since) => Start::Since(since.at(now)),
            None => Start::Beginning,
        };
        let interrupted = interrupted();
        let mut groups = Groups::default();
        let unread = self.reached(start, &interrupted, &mut groups)?
            + self.outcomes(&pattern, &interrupted, &mut groups)?;
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        if groups.begin().is_none() {
            note(format_args!(
                "no event has won {} or would have, as far as the topics go back",
                self.id
            ));
            return Ok(Exit::No);
        }
        let has_values = self.value.is_some();
        let against = self.against.as_deref();
        let within = self.within.as_millis();
        let reports = groups.report(within, now, (against, has_values));
        if let Some(name) = against
            && !reports.iter().any(|report| report.group == name)
        {
            let names: Vec<_> = reports.iter().map(|it| it.group.as_str()).collect();
            let error = format!("there is no group {name:?}; there are {}", names.join(", "));
            return Err(Failure::usage(anyhow::anyhow!(error)));
        }
        let report = Report {
            campaign_id: &self.id,
            outcome: &self.outcome,
            value: self.value.as_deref(),
            within: self.within,
            groups: reports,
            mixed: groups.mixed(),
            unread,
            methods: json!({
                "rate": "Newcombe 1998, method 10, 95 %",
                "mean_value": "Welch 1947, 95 %",
            }),
        };
        form.print(&report, || text(&report))?;
        if form == Form::Table {
            warn(&report);
        }
        Ok(Exit::Done)
    }

    /// Reads who was reached and who was held out. Returns how many records could not be read.
    fn reached(
        &self,
        start: Start,
        interrupted: &std::sync::atomic::AtomicBool,
        groups: &mut Groups,
    ) -> anyhow::Result<u64> {
        let topics = &self.cluster.topics;
        let mut unread = 0;
        let mut forgotten = Vec::new();
        let mut values = self.schemas.values(Kind::Matches)?;
        let matches = Reader::open(&self.cluster, &topics.matches_topic, start)?;
        matches.each(interrupted, |message| {
            let record = values.read(message);
            if record.value.is_none() {
                if record.header(header::CONTROL) == Some(Control::Erase.word()) {
                    let (customer, at) = (record.key(), record.written_at());
                    forgotten.extend(customer.map(str::to_owned).zip(at));
                }
                return Ok(ControlFlow::Continue(()));
            }
            match record.json() {
                Some(won) if self.is_it(&won) && is_first(&won) => {
                    if let Some(exposed) = exposure(&won, "matched_at", reached) {
                        groups.add(exposed);
                    }
                }
                Some(_) => {}
                None => unread += 1,
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let refusals = Reader::open(&self.cluster, &topics.refusals_topic, start)?;
        refusals.each(interrupted, |message| {
            let refusal = Record::from(message).json();
            if let Some(refusal) = refusal.filter(|refusal| self.is_it(refusal)) {
                let held_out = refusal["reason"] == RefusalReason::HeldOut.as_str();
                let group = |it: &Json| {
                    if held_out {
                        Group::Holdout
                    } else {
                        reached(it)
                    }
                };
                if let Some(exposed) = exposure(&refusal, "refused_at", group) {
                    groups.add(exposed);
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for (customer, at) in forgotten {
            groups.forget(&customer, at);
        }
        Ok(unread)
    }

    fn is_it(&self, record: &Json) -> bool {
        record["campaign_id"] == *self.id
    }

    /// Reads what they did. Returns how many of their events could not be read.
    fn outcomes(
        &self,
        pattern: &Pattern,
        interrupted: &std::sync::atomic::AtomicBool,
        groups: &mut Groups,
    ) -> anyhow::Result<u64> {
        let Some(begin) = groups.begin() else {
            return Ok(0);
        };
        // An event may be ahead of its record, by an hour unless set otherwise.
        let begin = begin.checked_sub(SignedDuration::from_hours(24));
        let start = Start::Since(begin.unwrap_or(Timestamp::MIN));
        let topic = &self.cluster.topics.events_topic;
        let reader = Reader::open(&self.cluster, topic, start)?;
        let mut values = self.schemas.values(Kind::Events)?;
        let mut progress = Progress::new("events read");
        let (all, mut done, mut unread) = (reader.span(), 0, 0);
        let field = self.value.as_deref().map(Field::new);
        let within = self.within.as_millis();
        let mut document = Document::new();
        reader.each(interrupted, |message| {
            done += 1;
            progress.set(done, Some(all));
            let customer = message.key().and_then(|key| std::str::from_utf8(key).ok());
            let Some(customer) = customer.filter(|it| groups.has(it)) else {
                return Ok(ControlFlow::Continue(()));
            };
            if message.payload().is_none() {
                return Ok(ControlFlow::Continue(()));
            }
            let record = values.read(message);
            let read = document.read(&record.json_text(), Limits::default());
            let event = read.ok().and_then(|()| Event::of(&document).ok());
            let Some(event) = event else {
                unread += 1;
                return Ok(ControlFlow::Continue(()));
            };
            if pattern.matches(event.root) {
                let mut value = Decimal::ZERO;
                if let Some(field) = &field {
                    field.decimals(event.root, |part| value = value.saturating_add(part));
                }
                let did = (event.event_id, event.occurred_at);
                groups.did(customer, did, within, value);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        progress.end();
        Ok(unread)
    }
}

/// What customers are to do.
fn pattern(outcome: &str) -> anyhow::Result<Pattern> {
    let json: Json = if outcome.trim_start().starts_with('{') {
        serde_json::from_str(outcome).context("--outcome is no JSON")?
    } else {
        json!({ "event_type": [outcome] })
    };
    Pattern::parse(&json).context("--outcome")
}

fn is_first(won: &Json) -> bool {
    let status = won["status"].as_str().and_then(MatchStatus::of);
    matches!(
        status,
        None | Some(MatchStatus::Granted | MatchStatus::Pending)
    )
}

/// The group of whoever the campaign has reached.
fn reached(document: &Json) -> Group {
    Group::Reached(document["variant"].as_str().map(str::to_owned))
}

/// What a match or a refusal says; nothing of a document that is neither.
fn exposure(
    document: &Json,
    decided: &str,
    group: impl FnOnce(&Json) -> Group,
) -> Option<Exposure> {
    let time = |field: &str| document[field].as_str()?.parse::<Timestamp>().ok();
    let group = group(document);
    Some(Exposure {
        customer_id: document["customer_id"].as_str()?.to_owned(),
        event_id: document["event_id"].as_str()?.to_owned(),
        at: time("occurred_at")?,
        decided_at: time(decided)?,
        was_refused: group != Group::Holdout && document.get("reason").is_some(),
        group,
    })
}

fn text(report: &Report<'_>) -> String {
    let has_values = report.value.is_some();
    let mut headings = vec!["GROUP", "CUSTOMERS", "CONVERTERS", "RATE"];
    if has_values {
        headings.push("MEAN VALUE");
    }
    let mut table = Table::new(&headings);
    for group in &report.groups {
        let mut cells = vec![
            styled(NAME, &group.group),
            group.customers.to_string(),
            group.converters.to_string(),
            group.rate.map_or_else(|| "-".to_owned(), percent),
        ];
        cells.extend(group.mean_value.map(|mean| format!("{mean:.4}")));
        table.row(cells);
    }
    let mut text = table.to_string();
    for (group, uplift) in told(report) {
        let name = styled(NAME, &group.group);
        let _infallible = write!(text, "\n\n{name} against {}", uplift.against);
        if let Some(rate) = &uplift.rate {
            let relative = uplift.relative.map(|it| format!(", {:+.1} %", it * 100.0));
            let relative = relative.unwrap_or_default();
            let rate = interval(rate, |value| format!("{:+.2}", value * 100.0));
            let _infallible = write!(text, "\n  rate        {rate} points{relative}");
        }
        if let Some(mean) = &uplift.mean_value {
            let mean = interval(mean, |value| format!("{value:+.4}"));
            let _infallible = write!(text, "\n  mean value  {mean}");
        }
        if uplift.too_small {
            let small = format!(
                "\n  too small: these figures say little before each group has {SMALL} customers and some of them did it"
            );
            text += &styled(WARN, small);
        }
    }
    text
}

fn told<'r>(report: &'r Report<'_>) -> impl Iterator<Item = (&'r GroupReport, &'r Uplift)> {
    let groups = report.groups.iter();
    groups.filter_map(|group| Some((group, group.uplift.as_ref()?)))
}

fn percent(rate: f64) -> String {
    format!("{:.2} %", rate * 100.0)
}

fn interval(of: &Difference, shown: impl Fn(f64) -> String) -> String {
    format!(
        "{} (95 %: {} to {})",
        shown(of.estimate),
        shown(of.low),
        shown(of.high)
    )
}

/// Says what one should know before one believes the figures.
fn warn(report: &Report<'_>) {
    let unfinished: u64 = report.groups.iter().map(|group| group.unfinished).sum();
    if unfinished > 0 {
        note(styled(
            DIM,
            format_args!(
                "of {unfinished} customers the {} are not over",
                report.within
            ),
        ));
    }
    let refused: u64 = report.groups.iter().map(|group| group.refused).sum();
    if refused > 0 {
        note(styled(
            WARN,
            format_args!(
                "{refused} customers were refused by a budget; they are counted as reached"
            ),
        ));
    }
    if report.mixed > 0 {
        note(styled(
            WARN,
            format_args!(
                "{} customers were in several groups, for the experiment was changed; they are left out",
                report.mixed
            ),
        ));
    }
    if report.unread > 0 {
        note(styled(
            WARN,
            format_args!("{} records could not be read", report.unread),
        ));
    }
    if !report.groups.iter().any(|group| group.is_holdout) {
        note(styled(
            WARN,
            "nobody is held out, so this says nothing about what the campaign does as a whole",
        ));
    }
}
