//! `get` and `describe`: campaigns as they are, or were.

use clap::Args;
use serde_json::{Value as Json, json};

use super::api::Api;
use super::documents::to_yaml;
use super::exit::{Exit, Failure};
use super::history;
use super::output::{BAD, DIM, Form, GOOD, NAME, Table, WARN, line, note, styled};

/// Arguments of `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Campaigns; all without any
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Only those with this label, as team=growth or team
    #[arg(short = 'l', long, value_name = "LABEL", conflicts_with = "ids")]
    selector: Vec<String>,

    /// Only those in this state: draft, active, paused or archived
    #[arg(long, value_name = "STATUS", conflicts_with = "ids")]
    status: Vec<String>,

    /// As it was in this version
    #[arg(long, value_name = "NUMBER", requires = "ids")]
    version: Option<u64>,
}

impl Get {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let mut campaigns = Vec::new();
        if self.ids.is_empty() {
            campaigns = api.campaigns(&self.selector, &self.status).await?;
        }
        for id in &self.ids {
            campaigns.push(match self.version {
                Some(version) => api.version(id, version).await?,
                None => there(api, id).await?.0,
            });
        }
        if campaigns.is_empty() && form == Form::Table {
            note("there are no campaigns, or none that you selected");
            return Ok(Exit::Done);
        }
        match (form, &*campaigns) {
            // What one names is that, and not a list of it.
            (_, [only]) if self.ids.len() == 1 => form.print(only, || table(&campaigns))?,
            // So that the output can be applied.
            (Form::Yaml, campaigns) => {
                for campaign in campaigns {
                    form.print_next(campaign, String::new)?;
                }
            }
            (_, campaigns) => form.print(&campaigns, || table(campaigns))?,
        }
        Ok(Exit::Done)
    }
}

/// A campaign and its tag.
pub(crate) async fn there(api: &Api, id: &str) -> anyhow::Result<(Json, String)> {
    if let Some(stored) = api.campaign(id).await? {
        return Ok((stored.document, stored.tag));
    }
    let error = anyhow::anyhow!("there is no campaign {id:?} at {}", api.address());
    Err(Failure::with(Exit::No, error))
}

fn table(campaigns: &[Json]) -> String {
    let mut table = Table::new(&["ID", "STATUS", "VERSION", "START", "END", "NAME"]);
    for campaign in campaigns {
        let text = |pointer: &str| {
            let value = campaign.pointer(pointer).and_then(Json::as_str);
            value.unwrap_or("-").to_owned()
        };
        table.row([
            styled(NAME, text("/id")),
            status(&text("/status")),
            campaign["version"].to_string(),
            text("/schedule/start"),
            text("/schedule/end"),
            text("/name"),
        ]);
    }
    table.to_string()
}

fn status(status: &str) -> String {
    match status {
        "active" => styled(GOOD, status),
        "paused" => styled(WARN, status),
        "archived" => styled(DIM, status),
        other => other.to_owned(),
    }
}

/// Arguments of `describe`.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// Campaign
    #[arg(value_name = "ID")]
    id: String,
}

/// So many of the last changes are shown.
const CHANGES: usize = 5;

impl Describe {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let (campaign, tag) = there(api, &self.id).await?;
        let mut changes = api.history(&self.id).await?;
        let further = changes.len().saturating_sub(CHANGES);
        changes.truncate(CHANGES);
        let warnings = rules::check::campaign(&campaign);
        let warnings = match warnings {
            Ok(rule) => rules::check::warnings(&rule.campaign()),
            // The server is of another version than this program.
            Err(problems) => problems,
        };
        let document = json!({
            "campaign": campaign, "etag": tag, "changes": changes, "warnings": warnings,
        });
        if form != Form::Table {
            form.print(&document, String::new)?;
            return Ok(Exit::Done);
        }
        line(to_yaml(&campaign))?;
        for warning in &warnings {
            line(styled(BAD, warning))?;
        }
        line(styled(NAME, "changes"))?;
        line(history::table(&changes))?;
        if further > 0 {
            line(format_args!(
                "and {further} older ones: campaignctl history {}",
                self.id
            ))?;
        }
        Ok(Exit::Done)
    }
}
