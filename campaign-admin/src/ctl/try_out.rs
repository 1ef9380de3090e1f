//! `try`: how events would fare with campaigns, and why; nothing is written.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use rules::Explanation;
use schemas::{Document as Read, Event, Limits, Span};
use serde_json::{Value as Json, json};
use state::{Told, Trial};

use super::api::Api;
use super::audience::named::{self, NamedAudience};
use super::campaign::{self, Local};
use super::check::as_if_active;
use super::documents::{Document, read_all};
use super::events;
use super::exit::{Exit, Failure};
use super::get::there;
use super::output::{BAD, DIM, Form, GOOD, NAME, note, styled};

/// Arguments of `try`.
#[derive(Debug, Args)]
pub(crate) struct TryOut {
    /// Campaigns of the server
    #[arg(value_name = "ID", required_unless_present = "paths")]
    ids: Vec<String>,

    /// File or folder with drafts in YAML or JSON; - is standard input
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// File with events: JSON objects one after the other, a list of them, or YAML; - is standard input.
    /// What every event has may be left out but the customer and the type. {"advance": "31d"} among them
    /// lets time pass
    #[arg(long, value_name = "FILE")]
    events: PathBuf,

    /// Audience that the customers of a file are in, or all; may be repeated. What the server knows of audiences is not asked
    #[arg(long = "audience", value_name = "NAME[=FILE]")]
    audiences: Vec<NamedAudience>,

    /// Do not explain, only say what matches
    #[arg(long)]
    brief: bool,
}

impl TryOut {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let mut documents = Vec::new();
        if !self.paths.is_empty() {
            documents = read_all(&self.paths).map_err(Failure::usage)?;
        }
        for id in &self.ids {
            let (campaign, _) = there(api, id).await?;
            documents.push(Document::from_server(api.address(), campaign));
        }
        let (campaigns, wrong) = campaign::check(documents);
        if !wrong.is_empty() {
            for found in &wrong {
                note(styled(BAD, found));
            }
            return Err(Failure::usage(anyhow::anyhow!(
                "{} problems in the campaigns",
                wrong.len()
            )));
        }
        // Drafts are what one tries; that they are drafts is no reason against them.
        let rules: Vec<_> = campaigns.iter().map(as_if_active).collect();
        let mut trials: Vec<_> = rules.iter().map(Trial::new).collect();
        let mut members = named::read(&self.audiences)?;
        let of_everybody = self
            .audiences
            .iter()
            .filter_map(NamedAudience::of_everybody);
        let now = Timestamp::now();
        let (mut count, mut matches) = (0_u64, 0_u64);
        let mut read = Read::new();
        for event in events::read(&self.events)? {
            let event = event?;
            if let Some(span) = advance(&event)? {
                for trial in &mut trials {
                    let begin = trial.now().unwrap_or_else(|| now.as_millisecond());
                    trial.pass(begin.saturating_add(span.as_millis()));
                }
                matches += tell_over(form, &campaigns, &mut trials)?;
                tell_sequels(form, &campaigns, &mut trials)?;
                continue;
            }
            count += 1;
            let numbered =
                |error: anyhow::Error| Failure::usage(error.context(format!("event {count}")));
            let event = events::complete(event, now).map_err(numbered)?;
            read.read(event.json.as_bytes(), Limits::default())?;
            let event = Event::of(&read)?;
            for audience in of_everybody.clone() {
                members.add(audience.as_str(), event.customer_id);
            }
            let memberships = members.of(event.customer_id);
            let taken = trials.iter_mut();
            let taken = taken.map(|trial| trial.take_of(&event, memberships));
            let explanations: Vec<_> = taken.collect();
            matches += tell_over(form, &campaigns, &mut trials)?;
            let won = explanations.iter().filter(|explanation| explanation.wins);
            let won: Vec<_> = won
                .map(|explanation| explanation.campaign_id.to_string())
                .collect();
            matches += u64::try_from(won.len()).unwrap_or(u64::MAX);
            let mut document = json!({"event_id": event.event_id, "matches": won});
            if !self.brief {
                document["explanations"] = serde_json::to_value(&explanations)?;
            }
            form.print_next(&document, || self.text(&document, &explanations))?;
            tell_sequels(form, &campaigns, &mut trials)?;
        }
        if form == Form::Table {
            note(format_args!(
                "{count} events, {} campaigns, {matches} matches",
                campaigns.len()
            ));
            let drafts: Vec<_> = campaigns
                .iter()
                .filter(|local| is_not_active(local))
                .collect();
            for local in drafts {
                let status = local.campaign.status;
                note(styled(
                    DIM,
                    format_args!("{} is {status}; tried as if it was active", local.id()),
                ));
            }
        }
        Ok(Exit::Done)
    }

    fn text(&self, document: &Json, explanations: &[Explanation]) -> String {
        let id = document["event_id"].as_str().unwrap_or_default();
        let won = document["matches"].as_array().map_or(0, Vec::len);
        let style = if won > 0 { GOOD } else { DIM };
        let mut text = format!(
            "{}  {}",
            styled(NAME, id),
            styled(style, format_args!("{won} matches"))
        );
        for explanation in explanations {
            let whole = explanation.to_string();
            let mut lines = whole.lines();
            let style = if explanation.wins { GOOD } else { BAD };
            text.push('\n');
            text += &styled(style, lines.next().unwrap_or_default());
            for line in lines.filter(|_| !self.brief) {
                text.push('\n');
                text += line;
            }
        }
        text
    }
}

/// How much time passes, if that is what stands among the events.
fn advance(entry: &str) -> anyhow::Result<Option<Span>> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Advance {
        advance: Box<str>,
    }
    let Ok(Advance { advance }) = serde_json::from_str(entry) else {
        return Ok(None);
    };
    let span = Span::parse(&advance).context("advance");
    Ok(Some(span.map_err(Failure::usage)?))
}

/// Tells of events whose time to wait is over. Returns how many of them win.
fn tell_over(form: Form, campaigns: &[Local], trials: &mut [Trial<'_>]) -> anyhow::Result<u64> {
    let mut matches = 0;
    for (local, trial) in campaigns.iter().zip(trials) {
        let id = local.id();
        for over in trial.take_over() {
            matches += u64::from(over.wins());
            let won: &[&str] = if over.wins() { &[id] } else { &[] };
            let document = json!({
                "event_id": over.event_id, "due": over.due, "matches": won, "why": over.why,
            });
            form.print_next(&document, || {
                let event = styled(NAME, &over.event_id);
                match over.why {
                    None => {
                        let won = styled(GOOD, format_args!("{id}: match at {}", over.due));
                        format!("{event}  {won}; nothing came between")
                    }
                    Some(why) => {
                        let lost = styled(BAD, format_args!("{id}: no match at {}", over.due));
                        format!("{event}  {lost}; {why}")
                    }
                }
            })?;
        }
    }
    Ok(matches)
}

/// Tells of what became of matches after they were made.
fn tell_sequels(form: Form, campaigns: &[Local], trials: &mut [Trial<'_>]) -> anyhow::Result<()> {
    for (local, trial) in campaigns.iter().zip(trials) {
        for sequel in trial.take_sequels() {
            let told = Told::of(&sequel);
            let mut document = serde_json::to_value(&told)?;
            document["campaign_id"] = json!(local.id());
            form.print_next(&document, || {
                let id = styled(NAME, local.id());
                format!("{id}: the match of {told}")
            })?;
        }
    }
    Ok(())
}

fn is_not_active(local: &Local) -> bool {
    local.campaign.status != schemas::Status::Active
}
