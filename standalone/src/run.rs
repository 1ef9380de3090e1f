//! Starts everything, says where it is, shows the matches as they come, and ends in order.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use matcher::{Matcher, MatcherSettings, Settings};
use rdkafka::producer::FutureProducer;
use schemas::Match;
use service::kafka::Logged;
use service::kafka::topics::{self, TopicSpec};
use service::settings::KafkaSettings;
use service::{Component, Health, Metrics, Shutdown};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Arguments;
#[cfg(feature = "embedded-broker")]
use crate::broker::{Broker, BrokerSettings};
use crate::matches::{self, Matches, Seen};
use crate::{campaigns, events};

/// Copies of each partition on a broker that is not ours: as many as that broker makes by itself.
const REPLICATION: i32 = -1;

/// A database that is started along with us takes as long.
const DATABASE_START: Duration = Duration::from_mins(1);

/// Opening the embedded broker reads all that is there, so there had better not be much: with these, at
/// most 20 MiB a partition (1.8 GB took 0.8 s and as much memory).
const RETENTION: [(&str, u64); 2] = [
    ("retention.bytes", 16 * 1024 * 1024),
    // Old records go by whole segments.
    ("segment.bytes", 4 * 1024 * 1024),
];

/// Runs until a signal or a fatal error; then stops in the order of the data: first the events, then the
/// matcher, which commits what it has finished, then whoever reads matches, the broker last.
///
/// # Errors
/// Something cannot be started: an address is taken, the data directory is locked, the broker cannot
/// be reached.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (health, metrics, shutdown) = (Health::new(), Metrics::new("standalone"), Shutdown::new());
    shutdown.listen_for_signals()?;
    shutdown.enforce_deadline(arguments.shutdown.deadline)?;
    let address = arguments.http.metrics_addr;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("METRICS_ADDR {address} cannot be listened on"))?;
    let web = listener.local_addr()?;

    let broker = Place::find(&arguments)?;
    let mut kafka = arguments.kafka_settings.clone();
    kafka.bootstrap_servers = broker.bootstrap_servers();
    let plan = topics::plan(&arguments.topics, arguments.partitions, REPLICATION);
    topics::create_missing(&kafka, &broker.fit(plan)).await?;
    let producer: FutureProducer<Logged> = kafka.producer().create_with_context(Logged)?;
    let writes_samples = arguments.writes_samples();
    if writes_samples {
        campaigns::write_samples(&kafka, &arguments.topics.campaigns_topic, &producer).await?;
    }

    if !arguments.scylla.nodes.is_empty() {
        matcher::store::migrate(&arguments.scylla, 1, DATABASE_START).await?;
    }

    let store = Matches::default();
    let http = tokio::spawn(service::http::serve(
        listener,
        service::http::routes(&health, &metrics).merge(store.routes()),
        shutdown.clone(),
    ));
    say_where(&arguments, &kafka, web)?;
    let settings = Settings {
        matcher: broker.name_instance(arguments.matcher),
        kafka: kafka.clone(),
        topics: arguments.topics.clone(),
        recorder: arguments.recorder,
        scylla: arguments.scylla,
        transactional_id_suffix: broker.transactional_id_suffix(),
    };
    let matcher = Matcher::start(&settings, &health, &metrics, &shutdown)?;
    let shown = show_matches(
        kafka,
        arguments.topics.matches_topic,
        store,
        health.component("matches"),
        shutdown.clone(),
    );

    if writes_samples {
        let (topic, rate) = (&arguments.topics.events_topic, arguments.events_per_second);
        if let Err(error) = events::produce(&producer, topic, rate, &shutdown).await {
            shutdown.fail(&error);
        }
    }
    shutdown.requested().await;
    drop(producer);
    tokio::task::spawn_blocking(move || matcher.join()).await?;
    shown.await?;
    http.await??;
    tokio::task::spawn_blocking(move || drop(broker)).await?;
    Ok(shutdown.exit_code())
}

/// The broker that everything runs on.
enum Place {
    #[cfg(feature = "embedded-broker")]
    Embedded(Broker),
    Elsewhere(String),
}

impl Place {
    /// Takes the broker that was named, or starts ours.
    fn find(arguments: &Arguments) -> anyhow::Result<Self> {
        if let Some(address) = &arguments.kafka {
            return Ok(Self::Elsewhere(address.clone()));
        }
        #[cfg(feature = "embedded-broker")]
        {
            tracing::warn!(
                data_dir = %arguments.data_dir.display(),
                "starting the embedded broker, which is for development only"
            );
            Ok(Self::Embedded(Broker::start(&BrokerSettings {
                port: arguments.broker_port,
                data_dir: Some(arguments.data_dir.clone()),
                ..BrokerSettings::default()
            })?))
        }
        #[cfg(not(feature = "embedded-broker"))]
        anyhow::bail!("this program was built without an embedded broker; name one with --kafka")
    }

    fn bootstrap_servers(&self) -> String {
        match self {
            #[cfg(feature = "embedded-broker")]
            Self::Embedded(broker) => broker.bootstrap_servers(),
            Self::Elsewhere(address) => address.clone(),
        }
    }

    /// See [`crate::broker`] for why the embedded one needs ids that are new at each start.
    fn transactional_id_suffix(&self) -> String {
        match self {
            #[cfg(feature = "embedded-broker")]
            Self::Embedded(broker) => format!("-{}", broker.boot_id()),
            Self::Elsewhere(_) => String::new(),
        }
    }

    /// The data directory belongs to one process, so a name in the group can be stable unasked: after a
    /// kill it takes its partitions back at once instead of when the session of its predecessor is over.
    fn name_instance(&self, mut matcher: MatcherSettings) -> MatcherSettings {
        match self {
            #[cfg(feature = "embedded-broker")]
            Self::Embedded(_) => {
                matcher
                    .instance
                    .get_or_insert_with(|| "standalone".to_owned());
            }
            Self::Elsewhere(_) => {}
        }
        matcher
    }

    /// The topics as this broker should make them.
    fn fit(&self, mut plan: Vec<TopicSpec>) -> Vec<TopicSpec> {
        match self {
            #[cfg(feature = "embedded-broker")]
            Self::Embedded(_) => {
                for topic in &mut plan {
                    let bounds = RETENTION.map(|(name, bytes)| (name, bytes.to_string()));
                    topic.config.extend(bounds);
                }
            }
            Self::Elsewhere(_) => {}
        }
        plan
    }
}

/// Keeps the matches and prints those that are new. Whoever pipes the output and stops reading it ends
/// the program.
fn show_matches(
    kafka: KafkaSettings,
    topic: String,
    matches: Matches,
    component: Component,
    shutdown: Shutdown,
) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        let tell = |seen: Seen<'_>| {
            match seen {
                Seen::Rebuilt(kept) => {
                    component.ready();
                    if kept > 0 {
                        writeln!(io::stdout(), "{kept} matches are there from before.\n")?;
                    }
                }
                Seen::New(won) => print(won)?,
            }
            Ok(())
        };
        let result = matches::follow(&kafka, &topic, &matches, &shutdown, tell);
        match result {
            Ok(()) => {}
            Err(error) if error.is::<io::Error>() => shutdown.request("nobody reads the output"),
            Err(error) => shutdown.fail(&error),
        }
    })
}

fn print(won: &Match<'_>) -> io::Result<()> {
    let after = won.matched_at.duration_since(won.occurred_at);
    writeln!(
        io::stdout(),
        "match  {:<15} {:<13} {:<9} {}  after {} ms",
        won.campaign_id,
        won.customer_id,
        won.event_type,
        won.reward.get(),
        after.as_millis(),
    )
}

fn say_where(arguments: &Arguments, kafka: &KafkaSettings, web: SocketAddr) -> io::Result<()> {
    let embedded = arguments.kafka.is_none();
    let mut text = format!(
        "Campaign Manager runs, for development only. Ctrl-C ends it.\n\n  \
           Kafka    {}{}\n  \
           matches  http://{web}/matches\n  \
           health   http://{web}/readyz\n  \
           metrics  http://{web}/metrics\n",
        kafka.bootstrap_servers,
        if embedded { "  (embedded)" } else { "" },
    );
    if !arguments.writes_samples() && !embedded {
        text += "\nThis broker gets no sample campaigns and events; --samples adds them.\n";
    }
    writeln!(io::stdout(), "{text}")
}
