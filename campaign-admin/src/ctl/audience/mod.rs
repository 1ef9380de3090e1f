//! `audience`: who is in which audience, one customer at a time or a file of them.

mod file;
mod load;
pub(super) mod named;
mod progress;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use self::file::FileForm;
use self::load::Load;
use super::api::Api;
use super::exit::{Exit, Failure};
use super::output::{Form, NAME, Table, confirmed, note, styled};

/// Most customers of one request, as the API takes them.
const BATCH: usize = 10_000;

/// Arguments of `audience`.
#[derive(Debug, Args)]
pub(crate) struct Audience {
    #[command(subcommand)]
    command: AudienceCommand,
}

/// What to do with audiences.
#[derive(Debug, Subcommand)]
enum AudienceCommand {
    /// Put the customers of a file in an audience
    ///
    /// The file is checked first; if anything is wrong with it, nothing is done. Nobody is taken out. How far it has come is kept
    /// beside the file, so that after an interruption the same command goes on where it was; to load customers twice does no harm.
    Load(Load),
    /// List the audiences
    List,
    /// Show how many customers are in an audience, or whether one is
    Get(GetAudience),
    /// Put customers in an audience
    Add(TurnMembers),
    /// Take customers out of an audience
    Remove(TurnMembers),
    /// Take everybody out of an audience
    Drop(DropAudience),
}

/// Arguments of `audience get`.
#[derive(Debug, Args)]
struct GetAudience {
    /// Audience
    #[arg(value_name = "NAME")]
    name: String,

    /// Ask for this customer; exits with 1 if they are not in it
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
}

/// Arguments of `audience add` and `audience remove`.
#[derive(Debug, Args)]
struct TurnMembers {
    /// Audience
    #[arg(value_name = "NAME")]
    name: String,

    /// Customers
    #[arg(value_name = "ID", required_unless_present = "file")]
    ids: Vec<String>,

    /// File of further customers, in the forms of `load`; - is standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<std::path::PathBuf>,

    #[command(flatten)]
    form: FileForm,

    /// Why, in your words; stands in the server's log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Arguments of `audience drop`.
#[derive(Debug, Args)]
struct DropAudience {
    /// Audience
    #[arg(value_name = "NAME")]
    name: String,

    /// Do not ask whether that is meant
    #[arg(short = 'y', long)]
    yes: bool,

    /// Why, in your words; stands in the server's log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What becomes of the customers.
#[derive(Debug, Clone, Copy)]
enum To {
    In,
    Out,
}

impl Audience {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        match &self.command {
            AudienceCommand::Load(load) => load.run(form, api).await,
            AudienceCommand::List => list(form, api).await,
            AudienceCommand::Get(get) => get.run(form, api).await,
            AudienceCommand::Add(turn) => turn.run(To::In, form, api).await,
            AudienceCommand::Remove(turn) => turn.run(To::Out, form, api).await,
            AudienceCommand::Drop(drop) => drop.run(form, api).await,
        }
    }
}

async fn list(form: Form, api: &Api) -> anyhow::Result<Exit> {
    let report = api.audiences().await?;
    form.print(&report, || {
        let mut table = Table::new(&["AUDIENCE", "MEMBERS"]);
        for audience in report["audiences"].as_array().into_iter().flatten() {
            let name = audience["audience"].as_str().unwrap_or_default();
            table.row([styled(NAME, name), audience["members"].to_string()]);
        }
        table.to_string()
    })?;
    Ok(Exit::Done)
}

impl GetAudience {
    async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let name = styled(NAME, &self.name);
        let Some(customer) = &self.customer else {
            let report = api.audience(&self.name).await?;
            form.print(&report, || format!("{name}: {} members", report["members"]))?;
            return Ok(Exit::Done);
        };
        let report = api.member(&self.name, customer).await?;
        let is_in = report["is_in"] == Json::Bool(true);
        form.print(&report, || {
            let is = if is_in { "is" } else { "is not" };
            format!("{customer} {is} in {name}")
        })?;
        Ok(Exit::yes_or_no(is_in))
    }
}

impl TurnMembers {
    async fn run(&self, to: To, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let mut ids = self.ids.clone();
        if let Some(file) = &self.file {
            for line in self.form.open(file)? {
                ids.push(line?.id);
            }
        }
        for id in &ids {
            schemas::CustomerId::check(id).map_err(Failure::usage)?;
        }
        for batch in ids.chunks(BATCH) {
            turn(api, (&self.name, to), batch, self.reason.as_deref()).await?;
        }
        let count = ids.len();
        let document = json!({"audience": self.name, "customers": count});
        form.print_next(&document, || {
            let name = styled(NAME, &self.name);
            match to {
                To::In => format!("{count} customers are in {name}"),
                To::Out => format!("{count} customers are not in {name}"),
            }
        })?;
        Ok(Exit::Done)
    }
}

async fn turn(
    api: &Api,
    (name, to): (&str, To),
    ids: &[String],
    reason: Option<&str>,
) -> anyhow::Result<()> {
    match to {
        To::In => api.add_members(name, ids, reason).await,
        To::Out => api.remove_members(name, ids, reason).await,
    }
}

impl DropAudience {
    async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let question = format!("Take everybody out of audience {:?}?", self.name);
        let deed = format!("drop {:?}", self.name);
        if !self.yes && !confirmed(&question, &deed)? {
            note("nothing was done");
            return Ok(Exit::No);
        }
        api.drop_audience(&self.name, self.reason.as_deref())
            .await?;
        let document = json!({"audience": self.name});
        form.print_next(&document, || {
            format!("nobody is in {} any more", styled(NAME, &self.name))
        })?;
        Ok(Exit::Done)
    }
}
