//! What `standalone` is set to: the settings of all services, and a few of its own.

use std::net::SocketAddr;
use std::ops::Deref;
#[cfg(feature = "embedded-broker")]
use std::path::PathBuf;

use campaign_admin::AdminSettings;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser};
use matcher::MatcherSettings;
use matcher::recorder::RecorderSettings;
use matcher::settler::SettlerSettings;
use service::program::ProgramSettings;
use service::registry::RegistrySettings;
use service::settings::{ApiSettings, KafkaSettings, ScyllaSettings, TopicSettings};

/// The settings, with the broker that was named.
#[derive(Debug)]
pub struct Arguments {
    flags: Flags,
    /// The broker to use instead of the embedded one.
    pub kafka: Option<String>,
}

/// The whole of Campaign Manager in one process, to try it out. For development only
///
/// Starts a broker within this process, makes the topics, writes sample campaigns and a stream of sample
/// events, and prints the matches. The embedded broker is for development only: its data survives this
/// process, but nothing is replicated. With --kafka everything runs on a broker of yours.
#[derive(Debug, Parser)]
#[command(name = "standalone", version)]
pub struct Flags {
    /// Use this broker instead of the embedded one, as host:port, several with commas; the same as
    /// --bootstrap-servers
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "bootstrap_servers")]
    kafka: Option<String>,

    /// Port of the embedded broker on 127.0.0.1; 0 takes a free one
    #[cfg(feature = "embedded-broker")]
    #[arg(long, env = "BROKER_PORT", default_value_t = 9092)]
    pub broker_port: u16,

    /// Where the embedded broker keeps its topics; delete it to begin anew
    #[cfg(feature = "embedded-broker")]
    #[arg(long, env = "DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,

    /// Partitions of the topics that are made
    #[arg(
        long,
        env = "PARTITIONS",
        default_value_t = 4,
        value_parser = clap::value_parser!(i32).range(1..=1_000)
    )]
    pub partitions: i32,

    /// Whether to write sample campaigns and sample events [default: only to the embedded broker]
    #[arg(long, env = "SAMPLES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub samples: Option<bool>,

    /// Sample events a second
    #[arg(
        long,
        env = "EVENTS_PER_SECOND",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub events_per_second: u32,

    /// Address at which events are taken over HTTP; all other settings of ingest are those of the
    /// environment
    #[arg(long, env = "INGEST_ADDR", default_value = "127.0.0.1:8081")]
    pub ingest_addr: SocketAddr,

    /// The broker.
    #[command(flatten)]
    pub kafka_settings: KafkaSettings,
    /// The topics' names.
    #[command(flatten)]
    pub topics: TopicSettings,
    /// The workers.
    #[command(flatten)]
    pub matcher: MatcherSettings,
    /// The settlers.
    #[command(flatten)]
    pub settler: SettlerSettings,
    /// The schema registry, if there is one.
    #[command(flatten)]
    pub registry: RegistrySettings,
    /// The recorder.
    #[command(flatten)]
    pub recorder: RecorderSettings,
    /// Changes of campaigns.
    #[command(flatten)]
    pub admin: AdminSettings,
    /// The campaigns' API.
    #[command(flatten)]
    pub api: ApiSettings,
    /// The database, if there is one.
    #[command(flatten)]
    pub scylla: ScyllaSettings,
    /// Log, health and the end.
    #[command(flatten)]
    pub program: ProgramSettings,
}

impl Deref for Arguments {
    type Target = Flags;

    fn deref(&self) -> &Flags {
        &self.flags
    }
}

impl CommandFactory for Arguments {
    /// Whoever tries it out reads the matches, not a log, and does so on one machine.
    fn command() -> Command {
        Flags::command()
            .mut_arg("filter", |filter| filter.default_value("warn"))
            .mut_arg("metrics_addr", |address| {
                address.default_value("127.0.0.1:9464")
            })
            .mut_arg("http_addr", |address| {
                address.default_value("127.0.0.1:8080")
            })
            .mut_arg("bootstrap_servers", |servers| {
                servers.help("The same as --kafka").hide_default_value(true)
            })
    }

    fn command_for_update() -> Command {
        Self::command()
    }
}

impl FromArgMatches for Arguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = Flags::from_arg_matches(matches)?;
        // The default of the services is nobody's wish here.
        let is_named = matches.value_source("bootstrap_servers") != Some(ValueSource::DefaultValue);
        let named = is_named.then(|| flags.kafka_settings.bootstrap_servers.clone());
        let kafka = flags.kafka.clone().or(named);
        Ok(Self { flags, kafka })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Arguments {
    /// Whether samples are written. Never unasked to a broker that is not ours: its campaigns may be in
    /// force and its matches paid.
    pub fn writes_samples(&self) -> bool {
        self.samples.unwrap_or(self.kafka.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, String> {
        Arguments::command()
            .try_get_matches_from([&["standalone"], arguments].concat())
            .and_then(|matches| Arguments::from_arg_matches(&matches))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_named_broker_is_used_and_gets_samples_only_when_asked() {
        let ours = parse(&[]).unwrap();
        assert_eq!((&ours.kafka, ours.writes_samples()), (&None, true));
        assert!(!parse(&["--samples=false"]).unwrap().writes_samples());
        for name in ["--kafka", "--bootstrap-servers"] {
            let other = parse(&[name, "kafka:9092"]).unwrap();
            assert_eq!(other.kafka.as_deref(), Some("kafka:9092"), "{name}");
            assert!(!other.writes_samples(), "{name}");
            let asked = parse(&[name, "kafka:9092", "--samples"]).unwrap();
            assert!(asked.writes_samples(), "{name}");
        }
        let both = parse(&["--kafka", "a:1", "--bootstrap-servers", "b:1"]);
        assert!(both.unwrap_err().contains("cannot be used with"));
    }

    #[test]
    fn everything_stays_on_this_machine_unless_set() {
        let ours = parse(&[]).unwrap();
        assert!(ours.program.http.metrics_addr.ip().is_loopback());
        assert!(ours.api.http_addr.ip().is_loopback());
        assert!(ours.ingest_addr.ip().is_loopback());
        let open = parse(&["--metrics-addr", "0.0.0.0:80"]).unwrap();
        assert!(open.program.http.metrics_addr.ip().is_unspecified());
    }

    #[test]
    fn the_help_says_that_it_is_for_development_only() {
        let mut command = Arguments::command();
        assert!(
            command
                .render_help()
                .to_string()
                .contains("development only")
        );
        let help = command.render_long_help().to_string();
        assert!(help.contains("embedded broker is for development only"));
    }
}
