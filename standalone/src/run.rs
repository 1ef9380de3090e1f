//! Starts everything, says where it is, shows the matches as they come, and ends in order.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use matcher::{Matcher, Settings};
use rdkafka::producer::FutureProducer;
use schemas::names::topic;
use schemas::{Encoding, Match, Reader};
use service::kafka::Logged;
use service::kafka::topics;
use service::program::Running;
use service::registry::Documents;
use service::settings::KafkaSettings;
use service::{Component, Shutdown};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::Arguments;
use crate::matches::{self, Matches, Seen};
use crate::place::Place;
use crate::{api, campaigns, events, ingest};

/// A database that is started along with us takes as long.
const DATABASE_START: Duration = Duration::from_mins(1);

/// Runs until a signal or a fatal error; then stops in the order of the data: first the events, then
/// the campaigns' API, the matcher, which commits what it has finished, then whoever reads matches, the
/// broker last.
///
/// # Errors
/// Something cannot be started: an address is taken, the data directory is locked, the broker cannot
/// be reached.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let kept = Matches::default();
    let running = Running::begin("standalone", &arguments.program, kept.routes()).await?;
    // Not ready before the parts are there to say so themselves.
    let starting = running.health.component("start");
    let place = Place::find(&arguments)?;
    let mut kafka = arguments.kafka_settings.clone();
    kafka.bootstrap_servers.clone_from(&place.bootstrap_servers);

    let (health, shutdown) = (&running.health, &running.shutdown);
    let documents = Documents::new(
        &arguments.registry,
        arguments.matcher.event_mapping(),
        &running.metrics,
        Handle::current(),
    )?;
    let names = &arguments.topics;
    let written = [
        (topic::EVENTS, &*names.events_topic),
        (topic::CAMPAIGNS, &*names.campaigns_topic),
    ];
    let Some([events_encoding, encoding]) =
        (documents.encodings(written, &starting, shutdown)).await
    else {
        return running.end().await;
    };
    starting.not_ready("preparing topics");
    let campaigns = (documents.reader(), encoding);
    let producer = tokio::select! {
        () = shutdown.requested() => return running.end().await,
        prepared = prepare(&arguments, &kafka, &place, campaigns) => prepared?,
    };

    let api = api::serve(&arguments, &kafka, &place, &running, &documents).await?;
    let ingest = ingest::serve(&arguments, &kafka, &running, &documents).await?;
    let places = Places {
        web: running.address(),
        api: api.address,
        ingest: ingest.address,
    };
    say_where(&arguments, &kafka, &places)?;
    let topics = &arguments.topics;
    let mut workers = arguments.matcher.clone();
    workers.instance = workers.instance.or(place.instance.clone());
    let settings = Settings {
        matcher: workers,
        settler: arguments.settler.clone(),
        kafka: kafka.clone(),
        topics: topics.clone(),
        recorder: arguments.recorder.clone(),
        scylla: arguments.scylla.clone(),
        transactional_id_suffix: place.transactional_id_suffix.clone(),
        give_back: || {},
    };
    let told = (&running.metrics, &running.tracer);
    let matcher = Matcher::start(&settings, &documents, health, told, shutdown)?;
    let shown = show_matches(
        kafka,
        topics.matches_topic.clone(),
        (documents.reader(), kept),
        health.component("matches"),
        shutdown.clone(),
    );
    drop(starting);

    if arguments.writes_samples() {
        let rate = arguments.events_per_second;
        let to = (&*topics.events_topic, events_encoding);
        let result = events::produce(&producer, to, rate, shutdown).await;
        if let Err(error) = result {
            shutdown.fail(&error);
        }
    }
    shutdown.requested().await;
    drop(producer);
    ingest.end().await?;
    api.end().await?;
    tokio::task::spawn_blocking(move || matcher.join()).await?;
    shown.await?;
    let code = running.end().await?;
    tokio::task::spawn_blocking(move || drop(place)).await?;
    Ok(code)
}

/// Makes what is missing of topics, sample campaigns and tables. Returns a producer of events.
async fn prepare(
    arguments: &Arguments,
    kafka: &KafkaSettings,
    place: &Place,
    documents: (Reader, Encoding),
) -> anyhow::Result<FutureProducer<Logged>> {
    let topics = &arguments.topics;
    topics::create_missing(kafka, &place.plan(topics, arguments.partitions)).await?;
    let producer = kafka.producer().create_with_context(Logged)?;
    if arguments.writes_samples() {
        campaigns::write_samples(kafka, &topics.campaigns_topic, documents, &producer).await?;
    }
    if !arguments.scylla.nodes.is_empty() {
        store::migrate(&arguments.scylla, 1, DATABASE_START).await?;
    }
    Ok(producer)
}

/// Keeps the matches and prints those that are new. Whoever pipes the output and stops reading it ends
/// the program.
fn show_matches(
    kafka: KafkaSettings,
    topic: String,
    (documents, matches): (Reader, Matches),
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
        let result = matches::follow(&kafka, &topic, (documents, &matches), &shutdown, tell);
        match result {
            Ok(()) => {}
            Err(error) if error.is::<io::Error>() => shutdown.request("nobody reads the output"),
            Err(error) => shutdown.fail(&error),
        }
    })
}

fn print(won: &Match<'_>) -> io::Result<()> {
    if !won.is_first() {
        return writeln!(
            io::stdout(),
            "{}  {:<15} {:<13} {}",
            won.status.as_str(),
            won.campaign_id,
            won.customer_id,
            won.event_id,
        );
    }
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

/// Where everything is.
struct Places {
    web: SocketAddr,
    api: SocketAddr,
    ingest: SocketAddr,
}

fn say_where(arguments: &Arguments, kafka: &KafkaSettings, places: &Places) -> io::Result<()> {
    let Places { web, api, ingest } = places;
    let embedded = arguments.kafka.is_none();
    let mut text = format!(
        "Campaign Manager runs, for development only. Ctrl-C ends it.\n\n  \
           Kafka      {}{}\n  \
           campaigns  http://{api}/docs\n  \
           events     http://{ingest}/v1/events\n  \
           matches    http://{web}/matches\n  \
           health     http://{web}/readyz\n  \
           metrics    http://{web}/metrics\n",
        kafka.bootstrap_servers,
        if embedded { "  (embedded)" } else { "" },
    );
    if !arguments.writes_samples() && !embedded {
        text += "\nThis broker gets no sample campaigns and events; --samples adds them.\n";
    }
    writeln!(io::stdout(), "{text}")
}
