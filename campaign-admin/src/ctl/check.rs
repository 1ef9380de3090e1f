//! `check`: whether campaigns are right, here and on the server, and whether their own tests hold.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use rules::sample::Sampled;
use rules::{CampaignProblem, Rule};
use schemas::{Document, Limits};
use serde_json::json;

use super::api::Api;
use super::apply::check_on_server;
use super::campaign::{self, Files, Found, Local};
use super::exit::{Exit, Failure};
use super::output::{BAD, Form, GOOD, NAME, WARN, note, styled};
use super::{events, examples};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    files: Files,

    /// Do not ask the server
    #[arg(long)]
    offline: bool,

    /// Sample of events, such as a day of production: warn of fields that none of them has, and of campaigns that more
    /// than 90 % of them match; - is standard input
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
}

impl Check {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let (right, mut wrong) = campaign::check(self.files.documents()?);
        let mut tests = 0;
        for local in &right {
            let (run, failed) = examples::run(local);
            tests += run;
            wrong.extend(failed);
        }
        let mut strange: Vec<Found> = right.iter().flat_map(warnings).collect();
        strange.extend(twins(&right));
        if let Some(path) = &self.events {
            strange.extend(beside_sample(path, &right)?);
        }
        let mut asked = None;
        if !self.offline {
            match check_on_server(api, &right).await {
                Ok(judgement) => {
                    wrong.extend(judgement.problems);
                    strange.extend(judgement.warnings);
                    asked = Some(api.address());
                }
                Err(error) => note(styled(
                    WARN,
                    format_args!("not checked by the server: {error:#}; --offline does not ask it"),
                )),
            }
        }
        strange.sort_by(|a, b| (&a.place, &a.problem.pointer).cmp(&(&b.place, &b.problem.pointer)));
        strange.dedup();
        let document = json!({
            "right": right.iter().map(Local::id).collect::<Vec<_>>(),
            "problems": wrong,
            "warnings": strange,
            "tests": tests,
            "server": asked,
        });
        form.print(&document, || {
            let mut lines: Vec<String> = wrong.iter().map(|found| styled(BAD, found)).collect();
            lines.extend(strange.iter().map(|found| styled(WARN, found)));
            let is_wrong = |local: &&Local| {
                let id = Some(local.id());
                wrong.iter().any(|found| found.id.as_deref() == id)
            };
            for local in right.iter().filter(|local| !is_wrong(local)) {
                lines.push(format!(
                    "{} {}",
                    styled(NAME, local.id()),
                    styled(GOOD, "is right")
                ));
            }
            let by = asked.map_or_else(String::new, |server| format!(", checked by {server} too"));
            lines.push(format!(
                "{} campaigns right, {} problems, {tests} tests{by}",
                right.iter().filter(|local| !is_wrong(local)).count(),
                wrong.len(),
            ));
            lines.join("\n")
        })?;
        Ok(Exit::yes_or_no(wrong.is_empty()))
    }
}

fn twins(right: &[Local]) -> impl Iterator<Item = Found> {
    let twins = rules::lint::twins(right.iter().map(|local| &local.campaign));
    twins.into_iter().map(|(later, earlier)| {
        let (later, earlier) = (&right[later], &right[earlier]);
        let detail = format!(
            "its when, reward and schedule are those of {} at {}, so an event that wins one wins both",
            earlier.id(),
            earlier.document.place("/id")
        );
        let warning = CampaignProblem::warning("twin", "/id", detail);
        Found::new(&later.document, warning)
    })
}

/// What a sample of events shows to be strange.
fn beside_sample(path: &Path, right: &[Local]) -> anyhow::Result<Vec<Found>> {
    let sampled = right
        .iter()
        .filter_map(|local| Some((local, Sampled::new(&local.campaign)?)));
    let mut sampled: Vec<_> = sampled.collect();
    let mut document = Document::new();
    for (event, number) in events::read(path)?.zip(1..) {
        let read = document.read(event?.as_bytes(), Limits::default());
        let name = path.display();
        read.with_context(|| format!("{name}: event {number}"))
            .map_err(Failure::usage)?;
        for (_, campaign) in &mut sampled {
            campaign.see(document.root());
        }
    }
    let found = sampled.iter().flat_map(|(local, sampled)| {
        let warnings = sampled.warnings().into_iter();
        warnings.map(|warning| Found::new(&local.document, warning))
    });
    Ok(found.collect())
}

fn warnings(local: &Local) -> Vec<Found> {
    let warnings = rules::check::warnings(&local.campaign);
    let found = warnings.into_iter();
    found
        .map(|warning| Found::new(&local.document, warning))
        .collect()
}

/// The rule of a campaign that was checked, as if it was active.
///
/// # Panics
/// Never: it was compiled when it was checked.
pub(crate) fn as_if_active(local: &Local) -> Rule {
    let mut campaign = local.campaign.clone();
    campaign.status = schemas::Status::Active;
    Rule::compile(campaign).expect("the campaign was checked")
}
