//! Contexts: the settings of one installation under a name, in a file.
//!
//! A context holds flags by their names. The order is: a flag; the environment; the context; the
//! default. A context that is named by a flag, though, comes before the environment: who says
//! `--context production` must not land elsewhere because a shell has `KAFKA_BOOTSTRAP_SERVERS` set.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Command;
use serde_json::Value as Json;

use super::documents::parse_yaml;

/// Headings of the flags that a context may hold.
pub(crate) const HEADINGS: [&str; 5] = ["Server", "Kafka", "Topics", "Schema registry", "Database"];

/// The file with the contexts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contexts {
    /// The one that is meant if none is named.
    pub(crate) current: Option<String>,
    /// Each context: values by the names of flags.
    pub(crate) contexts: BTreeMap<String, Settings>,
}

/// Settings by the names of their flags, without the dashes.
pub(crate) type Settings = BTreeMap<String, String>;

/// Where the file is unless it is said.
pub(crate) fn default_file() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_CONFIG_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(folder.join("campaignctl").join("config.yaml"))
}

impl Contexts {
    /// Reads the file; without a file there are no contexts.
    ///
    /// # Errors
    /// It cannot be read or has another form.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", file.display()));
            }
        };
        Self::parse(&text).with_context(|| format!("{} is no file of contexts", file.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut read = Self::default();
        let document = parse_yaml(text)?;
        let fields = match &document {
            Json::Null => return Ok(read),
            Json::Object(fields) => fields,
            _ => bail!("write `current: NAME` and `contexts:` with a block for each"),
        };
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("current", Json::String(current)) => read.current = Some(current.clone()),
                ("contexts", Json::Object(contexts)) => {
                    for (name, settings) in contexts {
                        let settings = self::settings(settings)
                            .with_context(|| format!("the context {name:?}"))?;
                        read.contexts.insert(name.clone(), settings);
                    }
                }
                (other, _) => {
                    bail!("{other:?} cannot stand there so; write `current: NAME` and `contexts:`")
                }
            }
        }
        Ok(read)
    }

    /// The settings of the context of that name, or of the current one. None is none.
    ///
    /// # Errors
    /// There is no context of that name.
    pub(crate) fn find(&self, name: Option<&str>) -> anyhow::Result<Option<(&str, &Settings)>> {
        let Some(name) = name.or(self.current.as_deref()) else {
            return Ok(None);
        };
        let Some((name, settings)) = self.contexts.get_key_value(name) else {
            let known: Vec<_> = self.contexts.keys().map(String::as_str).collect();
            bail!(
                "there is no context {name:?}; there are: {}",
                known.join(", ")
            );
        };
        Ok(Some((name, settings)))
    }
}

fn settings(value: &Json) -> anyhow::Result<Settings> {
    let fields = value.as_object().context("must be a block of settings")?;
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    };
    fields
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Json::Array(list) => {
                    let entries: Option<Vec<_>> = list.iter().map(text).collect();
                    entries.map(|entries| entries.join(","))
                }
                value => text(value),
            };
            let value =
                value.with_context(|| format!("{name} must be a text or a list of texts"))?;
            Ok((name.clone(), value))
        })
        .collect()
}

/// Makes a context's settings the defaults of all commands; `before_environment` if it was named by a
/// flag.
///
/// # Errors
/// The context has a setting that there is not.
pub(crate) fn apply(
    command: Command,
    name: &str,
    settings: &Settings,
    before_environment: bool,
) -> anyhow::Result<Command> {
    let mut known = BTreeMap::new();
    collect(&command, &mut known);
    for setting in settings.keys() {
        if !known.contains_key(setting) {
            let known: Vec<_> = known.into_keys().collect();
            bail!(
                "the context {name:?} has {setting:?}, which is no setting of a context; they are {}",
                known.join(", ")
            );
        }
    }
    Ok(with_defaults(command, settings, &known, before_environment))
}

/// The flags that a context may hold, of all commands: their names and ids.
fn collect(command: &Command, into: &mut BTreeMap<String, String>) {
    for argument in command.get_arguments() {
        if let (Some(long), Some(heading)) = (argument.get_long(), argument.get_help_heading())
            && HEADINGS.contains(&heading)
        {
            into.insert(long.to_owned(), argument.get_id().to_string());
        }
    }
    for inner in command.get_subcommands() {
        collect(inner, into);
    }
}

fn with_defaults(
    mut command: Command,
    settings: &Settings,
    known: &BTreeMap<String, String>,
    before_environment: bool,
) -> Command {
    for (long, id) in known {
        let Some(value) = settings.get(long) else {
            continue;
        };
        let has = |argument: &clap::Arg| argument.get_id() == id.as_str();
        if command.get_arguments().any(has) {
            // clap wants texts that live as long as the program; there are a few of them, once.
            let value: &'static str = value.clone().leak();
            command = command.mut_arg(id, |argument| {
                let argument = argument.default_value(value);
                if before_environment {
                    argument.env(None::<&str>)
                } else {
                    argument
                }
            });
        }
    }
    let names: Vec<_> = (command.get_subcommands())
        .map(|inner| inner.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, |inner| {
            with_defaults(inner, settings, known, before_environment)
        });
    }
    command
}

/// What to say of a file with secrets that others can read.
pub(crate) fn warn_of_readers(file: &Path, settings: &Settings) -> Option<String> {
    let secrets = [
        "token",
        "scylla-password",
        "schema-registry-password",
        "kafka-config",
    ];
    let secret = secrets.iter().find(|name| settings.contains_key(**name))?;
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        format!(
            "warning: {} holds {secret} and others can read it; chmod 600 {0}",
            file.display()
        )
    })
}

/// Makes another context the current one; comments and all else in the file stay as they are.
///
/// # Errors
/// There is no such context, or the file cannot be written.
pub(crate) fn make_current(file: &Path, name: &str) -> anyhow::Result<()> {
    Contexts::read(file)?.find(Some(name))?;
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let new = format!("current: {}", serde_json::to_string(name)?);
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter().position(|line| line.starts_with("current:")) {
        Some(at) => lines[at] = &new,
        None => lines.insert(0, &new),
    }
    let mut text = lines.join("\n");
    text.push('\n');
    // In one step, so that a full disk leaves the old file.
    let beside = file.with_extension("yaml.new");
    let written = std::fs::write(&beside, text)
        .and_then(|()| std::fs::set_permissions(&beside, std::fs::metadata(file)?.permissions()))
        .and_then(|()| std::fs::rename(&beside, file));
    written.with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgMatches};

    use super::*;

    const FILE: &str = "\
# mine
current: staging
contexts:
  staging: {server: 'https://staging.example', scylla-nodes: [a, b]}
  production:
    server: https://production.example # careful
    events-topic: 5
";

    fn command() -> Command {
        let server = Arg::new("server")
            .long("server")
            .env("CONTEXT_TEST_SERVER")
            .global(true);
        let topic = Arg::new("events_topic")
            .long("events-topic")
            .help_heading("Topics");
        let inner = Command::new("inner").arg(topic);
        Command::new("outer")
            .arg(server.help_heading("Server"))
            .arg(Arg::new("form").long("output"))
            .subcommand(Command::new("kafka").subcommand(inner))
    }

    fn inner(matches: &ArgMatches) -> &ArgMatches {
        let (_, kafka) = matches.subcommand().unwrap();
        kafka.subcommand().unwrap().1
    }

    #[test]
    fn a_context_gives_defaults_to_every_command() {
        let contexts = Contexts::parse(FILE).unwrap();
        assert_eq!(contexts.find(None).unwrap().unwrap().0, "staging");
        let (name, settings) = contexts.find(Some("production")).unwrap().unwrap();
        let command = apply(command(), name, settings, false).unwrap();
        let arguments = ["outer", "kafka", "inner"];
        let matches = command.clone().get_matches_from(arguments);
        let value = |name| inner(&matches).get_one::<String>(name).map(String::as_str);
        assert_eq!(value("server"), Some("https://production.example"));
        assert_eq!(value("events_topic"), Some("5"));
        let matches = command.get_matches_from([&arguments[..], &["--events-topic=x"]].concat());
        let topic = inner(&matches).get_one::<String>("events_topic").unwrap();
        assert_eq!(topic, "x", "a flag comes first");
    }

    #[test]
    fn a_context_named_by_a_flag_comes_before_the_environment() {
        let contexts = Contexts::parse(FILE).unwrap();
        let (name, settings) = contexts.find(None).unwrap().unwrap();
        let settings: Settings = settings
            .iter()
            .filter(|(name, _)| *name == "server")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let has_env = |before| {
            let command = apply(command(), name, &settings, before).unwrap();
            let server = command.get_arguments().find(|one| one.get_id() == "server");
            server.unwrap().get_env().is_some()
        };
        assert!(has_env(false));
        assert!(!has_env(true));
    }

    #[test]
    fn mistakes_in_the_file_are_named() {
        let cases = [
            ("- a", "write `current: NAME`"),
            ("curent: a", "\"curent\" cannot stand there so"),
            (
                "contexts: {a: 5}",
                "the context \"a\": must be a block of settings",
            ),
            (
                "contexts: {a: {server: {b: 1}}}",
                "server must be a text or a list of texts",
            ),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", Contexts::parse(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
        let contexts = Contexts::parse(FILE).unwrap();
        let error = contexts.find(Some("prod")).unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no context \"prod\"; there are: production, staging"
        );
        let settings = Settings::from([("output".to_owned(), "json".to_owned())]);
        let error = apply(command(), "x", &settings, false)
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("they are events-topic, server"), "{error}");
        assert_eq!(Contexts::parse("# nothing\n").unwrap(), Contexts::default());
    }

    #[test]
    fn another_context_becomes_the_current_one_and_comments_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        assert_eq!(Contexts::read(&file).unwrap(), Contexts::default());
        std::fs::write(&file, FILE).unwrap();
        make_current(&file, "production").unwrap();
        assert!(make_current(&file, "nowhere").is_err());
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            text,
            FILE.replace("current: staging", "current: \"production\"")
        );
        std::fs::write(&file, "contexts: {a: {token: x}}").unwrap();
        make_current(&file, "a").unwrap();
        let contexts = Contexts::read(&file).unwrap();
        assert_eq!(contexts.current.as_deref(), Some("a"));
        let warning = warn_of_readers(&file, &contexts.contexts["a"]);
        assert!(
            warning
                .unwrap()
                .contains("holds token and others can read it")
        );
    }
}
