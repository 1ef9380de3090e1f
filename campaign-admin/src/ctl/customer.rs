//! `customer`: what is remembered of a customer, and forgetting them.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::api::Api;
use super::exit::{Exit, Failure};
use super::output::{DIM, Form, GOOD, NAME, line, note, styled};

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
        if !self.yes && !confirmed(&self.id)? {
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

/// Asks on a terminal whether that is meant.
fn confirmed(id: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let error = anyhow::anyhow!("there is no terminal to ask on; say --yes to forget {id:?}");
        return Err(Failure::usage(error));
    }
    let _ = write!(
        io::stderr(),
        "Forget customer {id:?} everywhere? It cannot be undone. [y/N] "
    );
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("the answer cannot be read")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
