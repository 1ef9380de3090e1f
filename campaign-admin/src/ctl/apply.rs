//! `apply`: makes the campaigns on the server be those of the files.

use clap::Args;
use reqwest::StatusCode;
use rules::CampaignProblem;
use serde_json::{Value as Json, json};

use super::api::{Api, If, Stored, is_status};
use super::campaign::{self, Files, Found, Local};
use super::exit::{Exit, Failure};
use super::output::{BAD, Form, GOOD, NAME, Progress, WARN, note, styled};

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    files: Files,

    /// Why, in your words; kept in the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Delete campaigns that the selector selects and no file has
    #[arg(long, requires = "selector")]
    prune: bool,

    /// Label that all campaigns of the files must have, as team=growth; with --prune, what may be
    /// deleted
    #[arg(short = 'l', long, value_name = "LABEL=VALUE", value_parser = label)]
    selector: Vec<(String, String)>,
}

pub(crate) fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as LABEL=VALUE"),
    }
}

/// How often a change is tried that others overtake.
const ATTEMPTS: u32 = 5;

/// What came of one campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Done {
    Created,
    Changed,
    Unchanged,
    Pruned,
}

impl Done {
    fn word(self, dry_run: bool) -> String {
        let (style, word) = match self {
            Self::Created => (GOOD, "created"),
            Self::Changed => (WARN, "changed"),
            Self::Unchanged => return "unchanged".to_owned(),
            Self::Pruned => (BAD, "pruned"),
        };
        let dry = if dry_run { " (dry run)" } else { "" };
        format!("{}{dry}", styled(style, word))
    }
}

impl Apply {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let (right, mut wrong) = campaign::check(self.files.documents()?);
        wrong.extend(self.without_label(&right));
        // All or nothing, as far as it can be known before: a half-applied folder is worse than none.
        if wrong.is_empty() {
            wrong = check_on_server(api, &right).await?.problems;
        }
        if !wrong.is_empty() {
            return report(form, &wrong);
        }
        let surplus = if self.prune {
            self.surplus(api, &right).await?
        } else {
            Vec::new()
        };

        let mut results = Vec::new();
        let mut progress = Progress::new("campaigns applied");
        for (number, local) in (0..).zip(&right) {
            progress.set(number, u64::try_from(right.len()).ok());
            let result = self.one(api, local).await;
            self.keep(&mut results, local.id(), result, form)?;
        }
        for id in surplus {
            let result = self.prune_one(api, &id).await;
            self.keep(&mut results, &id, result, form)?;
        }
        progress.end();
        self.print(form, &results)?;
        Ok(Exit::Done)
    }

    /// Notes a result. After a failure, what was done is printed before the error.
    fn keep(
        &self,
        results: &mut Vec<Outcome>,
        id: &str,
        result: anyhow::Result<Outcome>,
        form: Form,
    ) -> anyhow::Result<()> {
        match result {
            Ok(outcome) => {
                results.push(outcome);
                Ok(())
            }
            Err(error) => {
                self.print(form, results)?;
                Err(error.context(format!(
                    "{id} could not be applied; the {} before it were, those after it were not",
                    results.len()
                )))
            }
        }
    }

    fn print(&self, form: Form, results: &[Outcome]) -> anyhow::Result<()> {
        let campaigns: Vec<Json> = results.iter().map(Outcome::document).collect();
        let document = json!({"dry_run": self.dry_run, "campaigns": campaigns});
        form.print(&document, || {
            let lines = results.iter().map(|outcome| {
                let done = outcome.done.word(self.dry_run);
                format!("{} {done}", styled(NAME, &outcome.id))
            });
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    fn without_label(&self, campaigns: &[Local]) -> Vec<Found> {
        let missing = campaigns.iter().filter_map(|local| {
            let labels = &local.campaign.labels;
            let missing = self
                .selector
                .iter()
                .find(|(name, value)| labels.get(name) != Some(value));
            missing.map(|(name, value)| {
                let detail =
                    format!("the label {name}: {value} is missing, which --selector asks for");
                let pointer = "/labels".to_owned();
                Found::new(&local.document, CampaignProblem::new(pointer, detail))
            })
        });
        missing.collect()
    }

    /// Applies one campaign. Who is overtaken reads again and decides anew.
    async fn one(&self, api: &Api, local: &Local) -> anyhow::Result<Outcome> {
        let reason = self.reason.as_deref();
        for _ in 0..ATTEMPTS {
            let there = api.campaign(local.id()).await?;
            let (done, document) = match &there {
                Some(there) if local.is_as(&there.document) => {
                    return Ok(Outcome::new(local.id(), Done::Unchanged, there));
                }
                Some(there) => (Done::Changed, local.over(&there.document)),
                None => (Done::Created, local.document.value.clone()),
            };
            if self.dry_run {
                return Ok(Outcome::of(local.id(), done));
            }
            let condition = there
                .as_ref()
                .map_or(If::Absent, |there| If::Tag(&there.tag));
            match api.put(local.id(), &document, condition, reason).await {
                Ok(stored) => return Ok(Outcome::new(local.id(), done, &stored)),
                Err(error) if is_overtaken(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(overtaken())
    }

    /// Ids of campaigns that the selector selects and no file has.
    async fn surplus(&self, api: &Api, campaigns: &[Local]) -> anyhow::Result<Vec<String>> {
        let labels: Vec<_> = (self.selector.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut surplus = Vec::new();
        for there in api.campaigns(&labels, &[]).await? {
            // Looked at again here: to delete what a server selects by another meaning of the
            // parameter would be unforgivable.
            let is_selected = self.selector.iter().all(|(name, value)| {
                there["labels"].get(name).and_then(Json::as_str) == Some(value)
            });
            let id = there["id"].as_str().unwrap_or_default();
            if is_selected && !id.is_empty() && campaigns.iter().all(|local| local.id() != id) {
                surplus.push(id.to_owned());
            }
        }
        Ok(surplus)
    }

    async fn prune_one(&self, api: &Api, id: &str) -> anyhow::Result<Outcome> {
        let reason = self.reason.as_deref();
        for _ in 0..ATTEMPTS {
            let Some(there) = api.campaign(id).await? else {
                break;
            };
            // Since it was listed somebody may have given it to another team.
            let is_selected = self.selector.iter().all(|(name, value)| {
                there.document["labels"].get(name).and_then(Json::as_str) == Some(value)
            });
            if !is_selected {
                note(format_args!("{id} no longer has the label; left alone"));
                return Ok(Outcome::new(id, Done::Unchanged, &there));
            }
            if self.dry_run {
                break;
            }
            match api.delete(id, If::Tag(&there.tag), reason).await {
                Ok(()) => break,
                Err(error) if is_overtaken(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Outcome::of(id, Done::Pruned))
    }
}

/// Whether somebody else was quicker. 504 is among them: what became of the change is not known, and to
/// read again tells.
fn is_overtaken(error: &anyhow::Error) -> bool {
    let again = [
        StatusCode::PRECONDITION_FAILED,
        StatusCode::CONFLICT,
        StatusCode::GATEWAY_TIMEOUT,
        // It was there a moment ago.
        StatusCode::NOT_FOUND,
    ];
    again.into_iter().any(|status| is_status(error, status))
}

fn overtaken() -> anyhow::Error {
    let error = anyhow::anyhow!("others changed it {ATTEMPTS} times meanwhile; try again");
    Failure::with(Exit::Conflict, error)
}

/// What the server says of documents that are right here.
#[derive(Default)]
pub(crate) struct Judgement {
    /// What is wrong.
    pub(crate) problems: Vec<Found>,
    /// What is strange.
    pub(crate) warnings: Vec<Found>,
}

/// Asks the server about each document.
pub(crate) async fn check_on_server(api: &Api, campaigns: &[Local]) -> anyhow::Result<Judgement> {
    let mut judgement = Judgement::default();
    let mut progress = Progress::new("campaigns checked by the server");
    for (number, local) in (0..).zip(campaigns) {
        progress.set(number, u64::try_from(campaigns.len()).ok());
        let report = api.check(&local.document.value).await?;
        let found = |problem| Found::new(&local.document, problem);
        judgement
            .problems
            .extend(report.problems.into_iter().map(found));
        judgement
            .warnings
            .extend(report.warnings.into_iter().map(found));
    }
    Ok(judgement)
}

/// Prints what is wrong, and that nothing was done.
fn report(form: Form, wrong: &[Found]) -> anyhow::Result<Exit> {
    form.print(&json!({"problems": wrong}), || {
        let lines = wrong.iter().map(|found| styled(BAD, found));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    note(format_args!(
        "{} problems; nothing was applied",
        wrong.len()
    ));
    Ok(Exit::No)
}

struct Outcome {
    id: String,
    done: Done,
    version: Option<u64>,
}

impl Outcome {
    fn of(id: &str, done: Done) -> Self {
        Self {
            id: id.to_owned(),
            done,
            version: None,
        }
    }

    fn new(id: &str, done: Done, stored: &Stored) -> Self {
        Self {
            version: stored.document["version"].as_u64(),
            ..Self::of(id, done)
        }
    }

    fn document(&self) -> Json {
        json!({"id": self.id, "done": self.done, "version": self.version})
    }
}
