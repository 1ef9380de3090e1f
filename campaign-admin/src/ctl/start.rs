//! From the arguments to the exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use super::api::ServerSettings;
use super::config::{Config, ConfigCommand};
use super::context::{self, Contexts};
use super::exit::{self, Exit, Failure};
use super::output::{BAD, Form, WARN, note, styled};
use super::turn::To;
use super::{
    apply, audience, backtest, budget, check, coupons, customer, dead_letters, diff, doctor, get,
    history, results, send, tail, test, try_out, turn,
};

/// Campaigns as files, and a look at what runs
#[derive(Debug, Parser)]
#[command(name = "campaignctl", version)]
#[command(after_help = "\
Exit codes: 0 done; 1 the answer is no (differences, problems, not found); 2 wrong arguments, settings or
files; 3 it could not be done; 4 somebody else changed the campaign meanwhile.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    general: General,

    #[command(flatten)]
    server: ServerSettings,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
struct General {
    /// Form of the output
    #[arg(
        short,
        long,
        env = "CAMPAIGNCTL_OUTPUT",
        value_enum,
        default_value = "table",
        global = true
    )]
    output: Form,

    /// Context to take settings from [default: the current one]
    #[arg(long, env = "CAMPAIGNCTL_CONTEXT", value_name = "NAME", global = true)]
    context: Option<String>,

    /// File with the contexts [default: ~/.config/campaignctl/config.yaml]
    #[arg(
        id = "contexts_file",
        long = "config",
        env = "CAMPAIGNCTL_CONFIG",
        value_name = "FILE",
        global = true
    )]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the campaigns on the server be those of files
    ///
    /// All are checked first, here and by the server; if anything is wrong, nothing is done. What means the
    /// same is not written. A file that does not say a `status` leaves it as it is. Changes of others are
    /// never overwritten: who is overtaken reads again and decides anew.
    Apply(apply::Apply),
    /// Show what apply would change; exits with 1 if there is anything
    Diff(diff::Diff),
    /// List campaigns, or print some
    Get(get::Get),
    /// Show a campaign with its last changes
    Describe(get::Describe),
    /// Delete campaigns; their history stays
    Delete(turn::Turn),
    /// Stop campaigns for a while
    Pause(turn::Turn),
    /// Make paused campaigns and drafts live
    Resume(turn::Turn),
    /// End campaigns for good, and keep them
    Archive(turn::Turn),
    /// Show who changed a campaign, when and why
    History(history::History),
    /// Make a campaign be as it was in an earlier version
    Revert(turn::Revert),
    /// Check files, run their tests, and ask the server
    Check(check::Check),
    /// Run the tests in files; exits with 1 if one fails
    Test(test::Test),
    /// Try events on campaigns, and explain each condition; writes nothing
    #[command(visible_alias = "explain")]
    Try(try_out::TryOut),
    /// Find the matches that campaigns would have made of past events, on all cores
    Backtest(backtest::Backtest),
    /// Show events, matches or dead letters as they come
    Tail(tail::Tail),
    /// Compare what customers did whom a campaign reached with those who were held out
    ///
    /// Reads all of matches, refusals and events that is there, and nothing else. Customers count once, from the first event that
    /// won or would have.
    Results(results::Results),
    /// Show what is used of a campaign's budgets, and reset them
    Budget(budget::Budget),
    /// Pools of coupon codes: fill them from files, and see what is left
    Coupons(coupons::Coupons),
    /// See who is in which audience, and load files of customers
    Audience(audience::Audience),
    /// Show what is remembered of a customer, and forget them
    Customer(customer::Customer),
    /// Send an event, or a file of events
    Send(send::Send),
    /// Browse dead letters and send them again
    DeadLetters(dead_letters::DeadLetters),
    /// Check that everything is set up as it must be
    Doctor(doctor::Doctor),
    /// Show and choose contexts
    Config(Config),
    /// Print a script that completes commands in a shell
    Completion {
        /// Shell
        shell: Shell,
    },
}

/// Runs the program with the arguments that it was started with.
pub fn run() -> ExitCode {
    match start() {
        Ok(exit) => exit.into(),
        Err(error) if is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            note(format_args!("{} {error:#}", styled(BAD, "error:")));
            exit::of_error(&error).into()
        }
    }
}

/// Whether nobody reads the output any more, as after `| head`.
fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let cause = cause.downcast_ref::<std::io::Error>();
        cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn start() -> anyhow::Result<Exit> {
    let command = Arguments::command();
    // Twice: the first time for the name of the context, whose settings are defaults the second time.
    let matches = command.clone().get_matches();
    let first = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let file = first.general.config.clone().or_else(context::default_file);
    let file = file.unwrap_or_else(|| PathBuf::from("campaignctl.yaml"));
    match &first.command {
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command.clone(), "campaignctl", &mut script);
            std::io::Write::write_all(&mut std::io::stdout(), &script)?;
            return Ok(Exit::Done);
        }
        Command::Config(config) if !matches!(config.command, ConfigCommand::View(_)) => {
            let contexts = Contexts::read(&file).map_err(Failure::usage)?;
            return config.run(first.general.output, &file, &contexts);
        }
        _ => {}
    }
    let contexts = Contexts::read(&file).map_err(Failure::usage)?;
    let found = contexts
        .find(first.general.context.as_deref())
        .map_err(Failure::usage)?;
    let Some((name, settings)) = found else {
        return execute(&command, &matches, first, None);
    };
    if let Some(warning) = context::warn_of_readers(&file, settings) {
        note(styled(WARN, warning));
    }
    let by_flag = source(&matches, "context") == Some(ValueSource::CommandLine);
    let command = context::apply(command, name, settings, by_flag).map_err(Failure::usage)?;
    let matches = command.clone().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    execute(&command, &matches, arguments, Some(name))
}

/// Where a global argument's value comes from, wherever on the line it stood.
fn source(matches: &ArgMatches, id: &str) -> Option<ValueSource> {
    let inner = matches
        .subcommand()
        .and_then(|(_, inner)| source(inner, id));
    let here = matches.try_contains_id(id).unwrap_or(false);
    inner.or_else(|| here.then(|| matches.value_source(id))?)
}

fn execute(
    command: &clap::Command,
    matches: &ArgMatches,
    arguments: Arguments,
    context: Option<&str>,
) -> anyhow::Result<Exit> {
    if let Command::Config(_) = &arguments.command {
        let found = (command.find_subcommand("config"))
            .and_then(|inner| inner.find_subcommand("view"))
            .zip(
                matches
                    .subcommand()
                    .and_then(|(_, inner)| inner.subcommand()),
            );
        let Some((inner, (_, matches))) = found else {
            return Ok(Exit::Usage);
        };
        // Built, so that it has the arguments that are common to all commands.
        let mut built = command.clone();
        built.build();
        let inner = (built.find_subcommand("config"))
            .and_then(|config| config.find_subcommand("view"))
            .unwrap_or(inner);
        return super::config::view(arguments.general.output, inner, matches, context);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // One for signals, while the main thread may wait for Kafka.
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(dispatch(arguments, context))
}

async fn dispatch(arguments: Arguments, context: Option<&str>) -> anyhow::Result<Exit> {
    let form = arguments.general.output;
    let server = &arguments.server;
    let api = || server.api(context);
    match &arguments.command {
        Command::Apply(apply) => apply.run(form, &api()?).await,
        Command::Diff(diff) => diff.run(form, &api()?).await,
        Command::Get(get) => get.run(form, &api()?).await,
        Command::Describe(describe) => describe.run(form, &api()?).await,
        Command::Delete(turn) => turn.delete(form, &api()?).await,
        Command::Pause(turn) => turn.run(To::Paused, form, &api()?).await,
        Command::Resume(turn) => turn.run(To::Resumed, form, &api()?).await,
        Command::Archive(turn) => turn.run(To::Archived, form, &api()?).await,
        Command::History(history) => history.run(form, &api()?).await,
        Command::Revert(revert) => revert.run(form, &api()?).await,
        Command::Check(check) => check.run(form, &api()?).await,
        Command::Test(test) => test.run(form),
        Command::Try(try_out) => try_out.run(form, &api()?).await,
        Command::Backtest(backtest) => backtest.run(form),
        Command::Tail(tail) => tail.run(form),
        Command::Results(results) => results.run(form),
        Command::Budget(budget) => budget.run(form, &api()?).await,
        Command::Coupons(coupons) => coupons.run(form, &api()?).await,
        Command::Audience(audience) => audience.run(form, &api()?).await,
        Command::Customer(customer) => customer.run(form, &api()?).await,
        Command::Send(send) => send.run(form, server, context).await,
        Command::DeadLetters(dead_letters) => dead_letters.run(form),
        Command::Doctor(doctor) => doctor.run(form, &api()?).await,
        // Done before.
        Command::Config(_) | Command::Completion { .. } => Ok(Exit::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }

    // clap finds values by these names at run time, and panics over two of a name.
    #[test]
    fn no_command_has_an_argument_called_as_a_common_one() {
        fn check(command: &clap::Command, common: &[&str]) {
            for inner in command.get_subcommands() {
                let ids = inner
                    .get_arguments()
                    .map(|argument| argument.get_id().as_str());
                let twice: Vec<_> = ids.filter(|id| common.contains(id)).collect();
                assert!(twice.is_empty(), "{}: {twice:?}", inner.get_name());
                check(inner, common);
            }
        }
        let command = Arguments::command();
        let common = command
            .get_arguments()
            .map(|argument| argument.get_id().as_str());
        check(&command, &common.collect::<Vec<_>>());
    }

    #[test]
    fn a_context_may_hold_the_settings_of_all_commands() {
        let settings = [
            ("server", "https://a.example"),
            ("ingest", "https://b.example"),
            ("token-file", "~/token"),
            ("bootstrap-servers", "a:9092"),
            ("kafka-config", "security.protocol=ssl"),
            ("events-topic", "shop"),
            ("schema-registry-url", "https://c.example"),
            ("scylla-nodes", "a,b"),
            ("scylla-keyspace", "shop"),
            ("matcher-group", "m"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let command = context::apply(Arguments::command(), "x", &settings.into(), true).unwrap();
        let matches = command.get_matches_from(["campaignctl", "get"]);
        let arguments = Arguments::from_arg_matches(&matches).unwrap();
        assert_eq!(arguments.server.server, "https://a.example");
    }
}
