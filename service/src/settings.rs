//! Settings: each from a flag or an environment variable, typed, checked, and printed without secrets.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, ValueEnum};

pub use crate::kafka::config::KafkaConfig;

/// Where Kafka is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaSettings {
    /// Brokers to begin with, as host:port, several with commas
    #[arg(
        long,
        env = "KAFKA_BOOTSTRAP_SERVERS",
        default_value = "127.0.0.1:9092"
    )]
    pub bootstrap_servers: String,

    /// Further settings of librdkafka, as key=value, several with commas
    #[arg(
        long = "kafka-config",
        env = "KAFKA_CONFIG",
        default_value = "",
        hide_default_value = true
    )]
    pub config: KafkaConfig,
}

/// Names of the topics.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Topics")]
pub struct TopicSettings {
    /// What customers did
    #[arg(long, env = "EVENTS_TOPIC", default_value = schemas::names::topic::EVENTS)]
    pub events_topic: String,

    /// The campaigns; compacted, one partition
    #[arg(long, env = "CAMPAIGNS_TOPIC", default_value = schemas::names::topic::CAMPAIGNS)]
    pub campaigns_topic: String,

    /// Who changed which campaign
    #[arg(long, env = "CAMPAIGN_CHANGES_TOPIC", default_value = schemas::names::topic::CAMPAIGN_CHANGES)]
    pub campaign_changes_topic: String,

    /// What reward services consume; as many partitions as the events
    #[arg(long, env = "MATCHES_TOPIC", default_value = schemas::names::topic::MATCHES)]
    pub matches_topic: String,

    /// Matches before the settler; as many partitions as the events
    #[arg(long, env = "CLAIMS_TOPIC", default_value = schemas::names::topic::CLAIMS)]
    pub claims_topic: String,

    /// What the matcher knows of customers; compacted, as many partitions as the events
    #[arg(long, env = "CUSTOMER_STATE_TOPIC", default_value = schemas::names::topic::CUSTOMER_STATE)]
    pub customer_state_topic: String,

    /// What the settler knows of budgets; compacted, as many partitions as the claims
    #[arg(long, env = "BUDGET_STATE_TOPIC", default_value = schemas::names::topic::BUDGET_STATE)]
    pub budget_state_topic: String,

    /// Claims that became no match; as many partitions as the events
    #[arg(long, env = "REFUSALS_TOPIC", default_value = schemas::names::topic::REFUSALS)]
    pub refusals_topic: String,

    /// What happened to campaigns themselves, such as a budget that is nearly used up
    #[arg(long, env = "CAMPAIGN_EVENTS_TOPIC", default_value = schemas::names::topic::CAMPAIGN_EVENTS)]
    pub campaign_events_topic: String,

    /// Who is in which audience; compacted, as many partitions as the events
    #[arg(long, env = "AUDIENCE_MEMBERS_TOPIC", default_value = schemas::names::topic::AUDIENCE_MEMBERS)]
    pub audience_members_topic: String,

    /// Events that can never be processed; as many partitions as the events
    #[arg(long, env = "DEAD_LETTERS_TOPIC", default_value = schemas::names::topic::DEAD_LETTERS)]
    pub dead_letters_topic: String,
}

impl Default for TopicSettings {
    /// The names that topics have where nothing else is said.
    fn default() -> Self {
        use schemas::names::topic;
        Self {
            events_topic: topic::EVENTS.to_owned(),
            campaigns_topic: topic::CAMPAIGNS.to_owned(),
            campaign_changes_topic: topic::CAMPAIGN_CHANGES.to_owned(),
            matches_topic: topic::MATCHES.to_owned(),
            claims_topic: topic::CLAIMS.to_owned(),
            customer_state_topic: topic::CUSTOMER_STATE.to_owned(),
            budget_state_topic: topic::BUDGET_STATE.to_owned(),
            refusals_topic: topic::REFUSALS.to_owned(),
            campaign_events_topic: topic::CAMPAIGN_EVENTS.to_owned(),
            audience_members_topic: topic::AUDIENCE_MEMBERS.to_owned(),
            dead_letters_topic: topic::DEAD_LETTERS.to_owned(),
        }
    }
}

/// Where the database is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct ScyllaSettings {
    /// Nodes of ScyllaDB or Cassandra to begin with, as host:port, several with commas; without them
    /// matches are not recorded
    #[arg(long = "scylla-nodes", env = "SCYLLA_NODES", value_delimiter = ',')]
    pub nodes: Vec<String>,

    /// Keyspace of the tables
    #[arg(
        long = "scylla-keyspace",
        env = "SCYLLA_KEYSPACE",
        default_value = "campaign_manager",
        value_parser = keyspace
    )]
    pub keyspace: String,

    /// User to log in as
    #[arg(long = "scylla-user", env = "SCYLLA_USER", requires = "password")]
    pub user: Option<String>,

    /// Password of that user; better given by the environment than by a flag
    #[arg(
        id = "password",
        long = "scylla-password",
        env = "SCYLLA_PASSWORD",
        hide_env_values = true
    )]
    pub password: Option<Secret>,
}

/// Logs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// Form of the log [default: pretty on a terminal, otherwise json]
    #[arg(long = "log-format", env = "LOG_FORMAT")]
    pub format: Option<LogFormat>,

    /// What to log: a level, or levels by target as info,matcher=debug. The database's driver reports
    /// each connection at info
    #[arg(
        long = "log-filter",
        env = "LOG_FILTER",
        default_value = "info,scylla=warn"
    )]
    pub filter: String,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// Health and metrics.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Health and metrics")]
pub struct HttpSettings {
    /// Address of /healthz, /readyz and /metrics
    #[arg(long, env = "METRICS_ADDR", default_value = "0.0.0.0:9464")]
    pub metrics_addr: SocketAddr,
}

/// The API, of programs that have one.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "API")]
pub struct ApiSettings {
    /// Address of the API
    #[arg(long, env = "HTTP_ADDR", default_value = "0.0.0.0:8080")]
    pub http_addr: SocketAddr,

    /// Most connections at a time; further ones wait to be accepted
    #[arg(long, env = "HTTP_MAX_CONNECTIONS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub http_max_connections: u32,

    /// Longest time from a request's headers to its answer, in milliseconds
    #[arg(
        id = "http_request_timeout",
        long = "http-request-timeout-ms",
        env = "HTTP_REQUEST_TIMEOUT_MS",
        default_value = "30000",
        value_parser = millis(10..=600_000)
    )]
    pub http_request_timeout: Duration,
}

/// Shutdown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shutdown")]
pub struct ShutdownSettings {
    /// Longest time from a signal to the exit, in milliseconds
    #[arg(
        id = "shutdown_deadline",
        long = "shutdown-deadline-ms",
        env = "SHUTDOWN_DEADLINE_MS",
        default_value = "10000",
        value_parser = millis(100..=600_000)
    )]
    pub deadline: Duration,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whoever needs to send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads a duration in milliseconds within bounds; for `value_parser`.
pub fn millis(
    bounds: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| {
        let millis: u64 = text
            .parse()
            .map_err(|_| "write whole milliseconds".to_owned())?;
        if !bounds.contains(&millis) {
            return Err(format!("use {} to {} ms", bounds.start(), bounds.end()));
        }
        Ok(Duration::from_millis(millis))
    }
}

fn keyspace(name: &str) -> Result<String, String> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_lowercase());
    let rest = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if first && rest && name.len() <= 48 {
        return Ok(name.to_owned());
    }
    Err("begin with a letter; use up to 48 lower-case letters, digits and '_'".to_owned())
}

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Its environment variable, or its flag if it has none.
    pub name: String,
    /// Its value, secrets hidden.
    pub value: String,
    /// Where the value comes from: `default`, `environment` or `flag`.
    pub source: &'static str,
}

/// All settings in force, in the order of the help.
pub fn effective(command: &Command, matches: &ArgMatches) -> Vec<Effective> {
    let known = |id: &str| matches.try_contains_id(id).unwrap_or(false);
    command
        .get_arguments()
        .filter(|argument| known(argument.get_id().as_str()))
        .filter(|argument| argument.get_action().takes_values())
        .filter_map(|argument| {
            let id = argument.get_id().as_str();
            let source = match matches.value_source(id)? {
                ValueSource::EnvVariable => "environment",
                ValueSource::CommandLine => "flag",
                _ => "default",
            };
            let name = argument
                .get_env()
                .map(|name| name.to_string_lossy().into_owned())
                .or_else(|| argument.get_long().map(|long| format!("--{long}")))?;
            let raw = matches.get_raw(id)?;
            let value: Vec<_> = raw.map(|value| value.to_string_lossy()).collect();
            let value = if argument.is_hide_env_values_set() {
                "***".to_owned()
            } else if name == "KAFKA_CONFIG" {
                value.concat().parse::<KafkaConfig>().ok()?.to_string()
            } else {
                value.join(",")
            };
            Some(Effective {
                name,
                value,
                source,
            })
        })
        .collect()
}

/// Writes the settings in force to the log, one line in all.
pub fn log_effective(settings: &[Effective]) {
    let line: Vec<_> = settings
        .iter()
        .map(|setting| format!("{}={}", setting.name, setting.value))
        .collect();
    tracing::info!(settings = line.join(" "), "settings in force");
}

/// What a program prints and returns for `--print-settings`.
pub fn print_effective(settings: &[Effective]) -> ExitCode {
    for setting in settings {
        println!("{}={} ({})", setting.name, setting.value, setting.source);
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        kafka: KafkaSettings,
        #[command(flatten)]
        topics: TopicSettings,
        #[command(flatten)]
        scylla: ScyllaSettings,
        #[command(flatten)]
        log: LogSettings,
        #[command(flatten)]
        http: HttpSettings,
        #[command(flatten)]
        api: ApiSettings,
        #[command(flatten)]
        shutdown: ShutdownSettings,
    }

    fn parse(arguments: &[&str]) -> Result<Arguments, String> {
        Arguments::try_parse_from([&["test"], arguments].concat()).map_err(|e| e.to_string())
    }

    #[test]
    fn settings_have_the_defaults_of_the_contract() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.kafka.bootstrap_servers, "127.0.0.1:9092");
        assert_eq!(settings.topics.customer_state_topic, "customer-state");
        assert!(settings.scylla.nodes.is_empty());
        assert_eq!(settings.scylla.keyspace, "campaign_manager");
        assert_eq!(settings.shutdown.deadline, Duration::from_secs(10));
        assert_eq!(settings.http.metrics_addr.port(), 9464);
        assert_eq!(settings.api.http_addr.port(), 8080);
        assert_eq!(settings.log.format, None);
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_is_allowed() {
        let cases = [
            (
                &["--scylla-keyspace", "a-b"][..],
                "lower-case letters, digits and '_'",
            ),
            (&["--shutdown-deadline-ms", "1"], "use 100 to 600000 ms"),
            (
                &["--shutdown-deadline-ms", "soon"],
                "write whole milliseconds",
            ),
            (&["--log-format", "xml"], "json, pretty"),
            (&["--metrics-addr", "nowhere"], "--metrics-addr"),
            (&["--kafka-config", "acks=1"], "acks"),
            (&["--scylla-user", "ada"], "--scylla-password"),
        ];
        for (arguments, expected) in cases {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn settings_in_force_are_shown_without_secrets() {
        let arguments = [
            "test",
            "--scylla-user=ada",
            "--scylla-password=hunter2",
            "--kafka-config=sasl.username=ada,sasl.password=hunter2",
        ];
        let command = Arguments::command();
        let matches = command.clone().get_matches_from(arguments);
        let settings = effective(&command, &matches);
        let find = |name| {
            settings
                .iter()
                .find(|setting| setting.name == name)
                .unwrap()
        };
        assert_eq!(find("SCYLLA_PASSWORD").value, "***");
        assert_eq!(find("SCYLLA_USER").value, "ada");
        assert_eq!(find("SCYLLA_USER").source, "flag");
        assert_eq!(
            find("KAFKA_CONFIG").value,
            "sasl.username=ada,sasl.password=***"
        );
        assert_eq!(find("EVENTS_TOPIC").source, "default");
        let parsed = parse(&arguments[1..]).unwrap();
        assert!(!format!("{parsed:?}").contains("hunter2"));
        assert_eq!(parsed.scylla.password.unwrap().reveal(), "hunter2");
    }
}
