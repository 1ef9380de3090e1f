//! `customer`: what is remembered of a customer, and forgetting them.

use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::api::Api;
use super::exit::Exit;
use super::output::{DIM, Form, GOOD, NAME, confirmed, line, note, styled};

/// Arguments of `customer`.
#[derive(Debug, Args)]
pub(crate) struct Customer {
    #[command(subcommand)]
    command: CustomerCommand,
}

/// What to do with a customer.
#[derive(Debug, Subcommand)]
enum CustomerCommand {
    /// Show what campaigns remember of a customer, and what they won lately
    Get(GetCustomer),
    /// Forget a customer everywhere: what campaigns count, what they wait for, and their matches in the database
    ///
    /// It cannot be undone. What they did and won stays on the topics until the retention of these is over; an event that
    /// is sent again counts anew.
    Erase(EraseCustomer),
}

/// Arguments of `customer get`.
#[derive(Debug, Args)]
struct GetCustomer {
    /// Customer
    #[arg(value_name = "ID")]
    id: String,
}

/// Arguments of `customer erase`.
#[derive(Debug, Args)]
struct EraseCustomer {
    /// Customer
    #[arg(value_name = "ID")]
    id: String,

    /// Do not ask whether that is meant
    #[arg(short = 'y', long)]
    yes: bool,

    /// Why, in your words; stands in the server's log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Customer {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        match &self.command {
            CustomerCommand::Get(get) => get.run(form, api).await,
            CustomerCommand::Erase(erase) => erase.run(form, api).await,
        }
    }
}

impl GetCustomer {
    async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let report = api.customer(&self.id).await?;
        if form != Form::Table {
            form.print(&report, String::new)?;
            return Ok(Exit::Done);
        }
        let text = |value: &Json| value.as_str().unwrap_or("-").to_owned();
        line(text(&report["text"]))?;
        let audiences = report["audiences"].as_array().into_iter().flatten();
        let audiences: Vec<_> = audiences.filter_map(Json::as_str).collect();
        if !audiences.is_empty() {
            line(format_args!("in audiences {}", audiences.join(", ")))?;
        }
        if let Some(why) = report["no_matches"].as_str() {
            note(styled(DIM, format_args!("no matches: {why}")));
        }
        for won in report["matches"].as_array().into_iter().flatten() {
            line(format_args!(
                "{} {} v{} {} {}",
                text(&won["occurred_at"]),
                styled(GOOD, text(&won["campaign_id"])),
                won["campaign_version"],
                won["reward"],
                styled(DIM, text(&won["event_id"])),
            ))?;
        }
        Ok(Exit::Done)
    }
}

impl EraseCustomer {
    async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let question = format!(
            "Forget customer {:?} everywhere? It cannot be undone.",
            self.id
        );
        let deed = format!("forget {:?}", self.id);
        if !self.yes && !confirmed(&question, &deed)? {
            note("nothing was done");
            return Ok(Exit::No);
        }
        let report = api.erase_customer(&self.id, self.reason.as_deref()).await?;
        form.print_next(&report, || {
            format!(
                "{} will be forgotten, by the record {}:{} of the events",
                styled(NAME, &self.id),
                report["partition"],
                report["offset"]
            )
        })?;
        Ok(Exit::Done)
    }
}
