//! `history`: who changed a campaign, when and why.

use clap::Args;
use serde_json::{Value as Json, json};

use super::api::Api;
use super::exit::Exit;
use super::output::{Form, Table};

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Campaign
    #[arg(value_name = "ID")]
    id: String,
}

impl History {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let changes = api.history(&self.id).await?;
        form.print(&json!({"changes": changes}), || table(&changes))?;
        Ok(Exit::Done)
    }
}

/// Changes, newest first.
pub(crate) fn table(changes: &[Json]) -> String {
    let mut table = Table::new(&["VERSION", "ACTION", "WHO", "WHEN", "WHY"]);
    for change in changes {
        let text = |name: &str| change[name].as_str().unwrap_or("-").to_owned();
        let version = change["version"].as_u64();
        table.row([
            version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
            text("action"),
            // Of what was written to the topic without the API nobody knows who it was.
            change["actor"].as_str().unwrap_or("- (topic)").to_owned(),
            text("changed_at"),
            text("reason"),
        ]);
    }
    table.to_string()
}
