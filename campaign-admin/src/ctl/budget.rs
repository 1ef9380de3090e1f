//! `budget`: what is used of a campaign's budgets, and resetting them.

use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::api::Api;
use super::exit::Exit;
use super::output::{Form, NAME, line, styled};

/// Arguments of `budget`.
#[derive(Debug, Args)]
pub(crate) struct Budget {
    #[command(subcommand)]
    command: BudgetCommand,
}

/// What to do with a budget.
#[derive(Debug, Subcommand)]
enum BudgetCommand {
    /// Show what is used of a campaign's budgets
    Get(GetBudget),
    /// Reset a campaign's budgets: all of them may be used anew; matches stay
    Reset(ResetBudget),
}

/// Arguments of `budget get`.
#[derive(Debug, Args)]
struct GetBudget {
    /// Campaign
    #[arg(value_name = "ID")]
    id: String,
}

/// Arguments of `budget reset`.
#[derive(Debug, Args)]
struct ResetBudget {
    /// Campaign
    #[arg(value_name = "ID")]
    id: String,

    /// Why, in your words; stands in the server's log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Budget {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        match &self.command {
            BudgetCommand::Get(get) => get.run(form, api).await,
            BudgetCommand::Reset(reset) => reset.run(form, api).await,
        }
    }
}

impl GetBudget {
    async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let report = api.budget(&self.id).await?;
        if form != Form::Table {
            form.print(&report, String::new)?;
            return Ok(Exit::Done);
        }
        for used in report["budgets"].as_array().into_iter().flatten() {
            let text = |value: &Json| value.as_str().map(|text| format!(" {text}"));
            line(format_args!(
                "{} {}{}{}: used {} %, {} times, amount {}",
                styled(NAME, &self.id),
                used["limit"],
                text(&used["value"]).unwrap_or_default(),
                text(&used["period"]).unwrap_or_default(),
                used["used_percent"],
                used["used_times"],
                used["used_amount"].as_str().unwrap_or("-"),
            ))?;
        }
        Ok(Exit::Done)
    }
}

impl ResetBudget {
    async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let report = api.reset_budget(&self.id, self.reason.as_deref()).await?;
        form.print_next(&report, || {
            format!(
                "the budgets of {} will be reset, by the record {}:{} of the claims",
                styled(NAME, &self.id),
                report["partition"],
                report["offset"]
            )
        })?;
        Ok(Exit::Done)
    }
}
