//! `pause`, `resume`, `archive`, `revert` and `delete`.

use clap::Args;
use serde_json::json;

use super::api::{Api, If, Stored};
use super::exit::Exit;
use super::get::there;
use super::output::{Form, NAME, styled};

/// Arguments of `pause`, `resume`, `archive` and `delete`.
#[derive(Debug, Args)]
pub(crate) struct Turn {
    /// Campaigns
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,

    /// Why, in your words; kept in the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Arguments of `revert`.
#[derive(Debug, Args)]
pub(crate) struct Revert {
    /// Campaign
    #[arg(value_name = "ID")]
    id: String,

    /// The version that it is to be as again; `campaignctl history` lists them
    #[arg(value_name = "VERSION")]
    version: u64,

    /// Why, in your words; kept in the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// A turn to another state, and the word for what came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum To {
    Paused,
    Resumed,
    Archived,
}

impl To {
    const fn action(self) -> &'static str {
        match self {
            Self::Paused => "pause",
            Self::Resumed => "resume",
            Self::Archived => "archive",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Archived => "archived",
        }
    }
}

impl Turn {
    /// Turns the campaigns to another state.
    pub(crate) async fn run(&self, to: To, form: Form, api: &Api) -> anyhow::Result<Exit> {
        for id in &self.ids {
            let stored = api
                .turn(id, to.action(), None, self.reason.as_deref())
                .await?;
            print(form, id, to.word(), Some(&stored))?;
        }
        Ok(Exit::Done)
    }

    /// Deletes the campaigns.
    pub(crate) async fn delete(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        for id in &self.ids {
            let (_, tag) = there(api, id).await?;
            api.delete(id, If::Tag(&tag), self.reason.as_deref())
                .await?;
            print(form, id, "deleted", None)?;
        }
        Ok(Exit::Done)
    }
}

impl Revert {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let reason = self.reason.as_deref();
        let stored = api
            .turn(&self.id, "revert", Some(self.version), reason)
            .await?;
        let done = format!("reverted to version {}", self.version);
        print(form, &self.id, &done, Some(&stored))?;
        Ok(Exit::Done)
    }
}

fn print(form: Form, id: &str, done: &str, stored: Option<&Stored>) -> anyhow::Result<()> {
    let version = stored.and_then(|stored| stored.document["version"].as_u64());
    let document = json!({"id": id, "done": done, "version": version});
    let version = version.map_or_else(String::new, |version| format!(", now version {version}"));
    form.print_next(&document, || {
        format!("{} {done}{version}", styled(NAME, id))
    })?;
    Ok(())
}
