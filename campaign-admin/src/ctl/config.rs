//! `config`: the contexts, and which settings are in force.

use std::path::Path;

use clap::{ArgMatches, Args, Command, Subcommand};
use serde_json::{Value as Json, json};
use service::settings::effective;

use super::context::{Contexts, HEADINGS, make_current};
use super::exit::{Exit, Failure};
use super::kafka::{Cluster, Schemas};
use super::output::{Form, GOOD, Table, line, styled};
use service::settings::ScyllaSettings;

/// Arguments of `config`.
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What to do with contexts.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// List the contexts
    Contexts,
    /// Make a context the current one
    Use {
        /// Name of the context
        name: String,
    },
    /// Show the settings in force and where each comes from, secrets hidden
    View(Box<View>),
}

/// All settings that a context may hold.
#[derive(Debug, Args)]
pub(crate) struct View {
    #[command(flatten)]
    cluster: Cluster,

    #[command(flatten)]
    schemas: Schemas,

    #[command(flatten)]
    database: ScyllaSettings,
}

impl Config {
    /// Lists the contexts or chooses one.
    pub(crate) fn run(&self, form: Form, file: &Path, contexts: &Contexts) -> anyhow::Result<Exit> {
        match &self.command {
            ConfigCommand::Contexts => {
                let list: Vec<Json> = (contexts.contexts.iter())
                    .map(|(name, settings)| {
                        let is_current = contexts.current.as_ref() == Some(name);
                        json!({"name": name, "current": is_current, "server": settings.get("server")})
                    })
                    .collect();
                form.print(&json!({"file": file, "contexts": list}), || {
                    let mut table = Table::new(&["", "CONTEXT", "SERVER"]);
                    for context in &list {
                        let text = |name: &str| context[name].as_str().unwrap_or("-").to_owned();
                        let mark = if context["current"] == true {
                            styled(GOOD, "*")
                        } else {
                            String::new()
                        };
                        table.row([mark, text("name"), text("server")]);
                    }
                    format!("{table}\nin {}", file.display())
                })?;
            }
            ConfigCommand::Use { name } => {
                make_current(file, name).map_err(Failure::usage)?;
                line(format_args!("the current context is {name}"))?;
            }
            ConfigCommand::View(_) => {}
        }
        Ok(Exit::Done)
    }
}

/// Prints the settings in force of `config view`, whose arguments these are.
pub(crate) fn view(
    form: Form,
    command: &Command,
    matches: &ArgMatches,
    context: Option<&str>,
) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    for setting in effective(command, matches) {
        let has_name = |argument: &&clap::Arg| {
            let env = argument
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            let long = argument.get_long().map(|long| format!("--{long}"));
            env.as_ref() == Some(&setting.name) || long.as_ref() == Some(&setting.name)
        };
        let Some(argument) = command.get_arguments().find(has_name) else {
            continue;
        };
        let heading = argument.get_help_heading().unwrap_or_default();
        if HEADINGS.contains(&heading) {
            let flag = argument.get_long().unwrap_or_default();
            rows.push((flag.to_owned(), setting));
        }
    }
    let documents: Vec<Json> = (rows.iter())
        .map(
            |(flag, setting)| json!({"name": flag, "value": setting.value, "from": setting.source}),
        )
        .collect();
    form.print(&json!({"context": context, "settings": documents}), || {
        let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
        for (flag, setting) in &rows {
            table.row([
                flag.clone(),
                setting.value.clone(),
                setting.source.to_owned(),
            ]);
        }
        let context = context.map_or_else(
            || "without a context".to_owned(),
            |name| format!("context {name}"),
        );
        format!("{table}\n{context}")
    })?;
    Ok(Exit::Done)
}
