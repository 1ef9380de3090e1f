//! Many customers: what one takes in the changelog, in memory and on disk, how quickly they are brought back, and how long a
//! restart takes that finds them on disk.

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rules::decide::Record;
use rules::{Rule, RuleSet};
use schemas::{Campaign, Limits, Reader, Span};
use serde_json::{Value, json};
use service::settings::KafkaSettings;
use state::{Arrival, Engine, EventTimes, Partition};
use tempfile::TempDir;
use tests::process::{Memory, Process, memory};
use tests::servers::{self, Server};
use tests::wait;

use crate::stage::Stage;
use crate::upstream::Backlog;
use crate::{Request, Variant};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// Customers whose records are made at a time, as if of the first events of their partition.
const TOGETHER: u64 = 1_000;

/// Most events of one of them.
const EVENTS: u64 = 4;

/// Reads `customers`, `partitions`, `workers`, `megabytes` (of `STATE_MEMORY`), `events` (of customers on disk).
pub(crate) fn measure(broker: &Server, request: &Request) {
    let customers = u64::from(request.number("customers", 10_000_000));
    let partitions = i32::try_from(request.number("partitions", 12)).expect("a few partitions");
    let workers = request.number("workers", 2);
    let megabytes = request.number("megabytes", 128);
    let events = u64::from(request.number("events", 1_000_000));
    let stage = Stage::new(broker, partitions, &campaigns());
    let begun = Instant::now();
    let written = fill(&stage, customers);
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    let each = |bytes: u64| bytes as f64 / customers as f64;
    let topic = changelog_bytes(&stage.topic("customer-state"));
    println!(
        "{customers} customers with 1 to 4 events each, {partitions} partitions, {workers} workers, \
         written in {:.0} s; bytes a customer: {:.0} of id and state, {:.0} in the changelog\n",
        begun.elapsed().as_secs_f64(),
        each(written),
        each(topic),
    );
    println!(
        "| | customers/s brought back | s from start to all read | records | MiB at rest | at most | bytes a customer in memory | on disk |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().to_str().expect("a plain path");
    let disk = |variant: Variant| {
        let bytes = (u64::from(megabytes) << 20).to_string();
        variant.with("STATE_DIR", path).with("STATE_MEMORY", &bytes)
    };
    let measure = |name: &str, variant: &Variant| {
        let begun = Instant::now();
        let matcher = stage.start(variant, workers);
        wait::until("all customers", PATIENCE, || {
            let assigned = matcher.metric("matcher_assigned_partitions")?;
            (assigned >= f64::from(partitions)).then_some(())
        });
        let took = begun.elapsed();
        let (now, most) = (
            memory(matcher.pid(), Memory::Now),
            memory(matcher.pid(), Memory::Peak),
        );
        let back = brought_back(&matcher);
        let (records, rate) = (back.records, back.per_second(customers));
        let (in_memory, on_disk) = if variant.settings.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "a figure")]
            let each = now * 1_048_576.0 / customers as f64;
            (format!("{each:.0}"), String::new())
        } else {
            (
                String::new(),
                format!("{:.0}", each(bytes_of(folder.path()))),
            )
        };
        println!(
            "| {name} | {rate:.0} | {:.1} | {records} | {now:.0} | {most:.0} | {in_memory} | {on_disk} |",
            took.as_secs_f64(),
        );
        matcher
    };
    for variant in request.variants() {
        measure("in memory", &variant).kill();
        let variant = disk(variant);
        measure("on disk, which was empty", &variant).kill();
        measure("on disk, after a kill", &variant).kill();
        let matcher = measure("on disk, after another", &variant);
        let took = decide(&stage, &matcher, customers, events);
        #[expect(clippy::cast_precision_loss, reason = "a figure")]
        let rate = events as f64 / took.as_secs_f64();
        println!(
            "\nthen {events} events of as many customers, drawn from all {customers}: {rate:.0} a second, {:.0} MiB, {:.0} at most\n",
            memory(matcher.pid(), Memory::Now),
            memory(matcher.pid(), Memory::Peak),
        );
        matcher.kill();
        std::fs::remove_dir_all(folder.path().join("customers")).expect("a folder");
    }
}

/// Sends purchases of customers in no order, and waits until all are decided. Returns how long that took.
fn decide(stage: &Stage, matcher: &Process, customers: u64, events: u64) -> Duration {
    let backlog = Backlog::open(stage);
    let topic = stage.topic("events");
    let partitions = u64::from(stage.partitions.unsigned_abs());
    let at = Timestamp::now();
    // The changelog says that up to so many were decided; what lies beyond becomes a dead letter.
    for partition in 0..stage.partitions {
        for _ in 0..TOGETHER * EVENTS {
            backlog.add((&topic, Some(partition)), "", b"");
        }
    }
    for event in 0..events {
        let customer = mix(!event) % customers;
        let id = id_of(customer);
        let value = format!(
            r#"{{"event_id":"further-{event}","customer_id":"{id}","event_type":"purchase","occurred_at":"{at}","payload":{{"amount":12.5}}}}"#
        );
        let partition = i32::try_from(customer % partitions).expect("a partition");
        backlog.add((&topic, Some(partition)), &id, value.as_bytes());
    }
    backlog.flush();
    let before = Stage::committed(matcher);
    backlog.release();
    let begun = Instant::now();
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    let all = before + (events + partitions * TOGETHER * EVENTS) as f64;
    wait::until("all events", PATIENCE, || {
        (Stage::committed(matcher) >= all).then_some(())
    });
    begun.elapsed()
}

fn id_of(customer: u64) -> String {
    format!("customer-{:016x}", mix(customer))
}

/// What many installations may have: two counts and a limit.
fn campaigns() -> Vec<Value> {
    let campaign = |id: &str, fields: Value| {
        let mut campaign = json!({
            "id": id, "name": id, "when": {"event_type": ["purchase"]},
            "reward": {"kind": "credit", "amount": "5.00", "currency": "EUR"},
        });
        for (name, value) in fields.as_object().expect("fields") {
            campaign[name] = value.clone();
        }
        campaign
    };
    vec![
        campaign(
            "third-in-a-week",
            json!({"across": [{"count": {"at_least": 3}, "within": "7d"}]}),
        ),
        campaign(
            "spent-200-a-month",
            json!({"across": [{"sum": {"of": "payload.amount", "at_least": 200}, "calendar": "month"}]}),
        ),
        campaign(
            "once-a-month",
            json!({"limits": {"per_customer": {"times": 1, "per": "month"}}}),
        ),
    ]
}

/// Writes the changelog as workers would have. Returns the bytes of ids and states.
fn fill(stage: &Stage, customers: u64) -> u64 {
    let kafka = KafkaSettings {
        bootstrap_servers: stage.bootstrap.clone(),
        config: service::kafka::config::KafkaConfig::default(),
    };
    let rules = campaigns().into_iter().map(|campaign| {
        let text = campaign.to_string();
        let campaign = Campaign::from_json(text.as_bytes()).expect("a campaign");
        Rule::compile(campaign)
            .expect("a campaign that compiles")
            .into()
    });
    let rules = RuleSet::build(rules);
    let partitions = u64::from(stage.partitions.unsigned_abs());
    thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let (rules, kafka) = (&rules, &kafka);
                let mine = (0..partitions).filter(move |it| it % 2 == half);
                scope.spawn(move || {
                    let producer: ThreadedProducer<DefaultProducerContext> =
                        kafka.producer().create().expect("a producer");
                    let written = mine.map(|partition| {
                        let own = (partition..customers)
                            .step_by(stage.partitions.unsigned_abs() as usize);
                        write(stage, &producer, rules, partition, own)
                    });
                    let written = written.sum::<u64>();
                    producer.flush(PATIENCE).expect("the broker answers");
                    written
                })
            })
            .collect();
        let written = halves.into_iter().map(|half| half.join().expect("a half"));
        written.sum()
    })
}

fn write(
    stage: &Stage,
    producer: &ThreadedProducer<DefaultProducerContext>,
    rules: &RuleSet,
    partition: u64,
    customers: impl Iterator<Item = u64>,
) -> u64 {
    let topic = stage.topic("customer-state");
    let number = i32::try_from(partition).expect("a partition");
    let window = Span::parse("7d").expect("a span");
    let times = EventTimes {
        dedup_window: window,
        max_ahead: window,
    };
    let mut engine = Engine::new(Reader::json(), Limits::default(), times);
    let now = Timestamp::now().as_millisecond();
    let (mut written, mut value) = (0, String::new());
    let mut customers = customers.peekable();
    while customers.peek().is_some() {
        let (mut remembered, mut offset) = (Partition::default(), 0);
        let nobody = state::Members::default();
        // As workers with a disk would have written it.
        remembered.begin_lineage(partition);
        for customer in customers
            .by_ref()
            .take(usize::try_from(TOGETHER).expect("small"))
        {
            let mixed = mix(customer);
            let id = id_of(customer);
            for event in 0..=(mixed % EVENTS) {
                value.clear();
                let at = now - i64::try_from(mix(mixed ^ event) % 500_000_000).expect("days");
                let at = Timestamp::from_millisecond(at).expect("a time");
                let amount = mix(mixed + event) % 9_000;
                write!(
                    value,
                    r#"{{"event_id":"{mixed:016x}-{event}","customer_id":"{id}","event_type":"purchase","occurred_at":"{at}","payload":{{"amount":{}.{:02}}}}}"#,
                    amount / 100,
                    amount % 100
                )
                .expect("a string");
                let record = Record {
                    key: Some(id.as_bytes()),
                    value: Some(value.as_bytes()),
                    schema_header: None,
                };
                let arrival = Arrival { offset, time: now };
                offset += 1;
                let mut winners = state::Winners::default();
                engine
                    .decide(
                        record,
                        arrival,
                        rules,
                        (&mut remembered, &mut &nobody),
                        &mut winners,
                    )
                    .expect("an event");
            }
        }
        let _never_committed = remembered.changes(|change| {
            let size = change.key.len() + change.value.map_or(0, <[u8]>::len);
            written += size as u64;
            let mut record = BaseRecord::<[u8], [u8]>::to(&topic)
                .partition(number)
                .key(change.key);
            record.payload = change.value;
            while let Err((_, returned)) = producer.send(record) {
                record = returned;
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
    written
}

/// `SplitMix64`'s end (Steele, Lea, Flood 2014): customers in no order, as ids are.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a log says of customers that were brought back.
pub(crate) struct Back {
    /// Records that were read.
    pub(crate) records: u64,
    /// When the first partition was begun with.
    pub(crate) begin: Timestamp,
    /// When the last one was back.
    pub(crate) end: Timestamp,
}

impl Back {
    /// From the begin of the first restore to the end of the last.
    pub(crate) fn per_second(&self, customers: u64) -> f64 {
        let took = self.end.duration_since(self.begin);
        #[expect(clippy::cast_precision_loss, reason = "a figure")]
        let customers = customers as f64;
        customers / took.as_secs_f64()
    }
}

/// Reads a matcher's log.
pub(crate) fn brought_back(matcher: &Process) -> Back {
    let log = matcher.log();
    let mut records = 0;
    let mut span: Option<(Timestamp, Timestamp)> = None;
    for line in log
        .lines()
        .filter(|line| line.contains("customers are back"))
    {
        let line: Value = serde_json::from_str(line).expect("a line of the log");
        let field = |name: &str| {
            let field = line.get("fields").and_then(|it| it.get(name));
            field.or(line.get(name)).cloned().unwrap_or_default()
        };
        records += field("records").as_u64().expect("a number");
        let at = line["timestamp"].as_str().expect("a time");
        let end: Timestamp = at.parse().expect("a time");
        let took = field("took_ms");
        let took = took.as_str().and_then(|it| it.parse().ok());
        let took = took.expect("milliseconds");
        let begin = end - jiff::SignedDuration::from_millis(took);
        let (first, last) = span.unwrap_or((begin, end));
        span = Some((first.min(begin), last.max(end)));
    }
    let (begin, end) = span.expect("partitions");
    Back {
        records,
        begin,
        end,
    }
}

/// What the broker has of the topics whose names begin so.
pub(crate) fn changelog_bytes(topic: &str) -> u64 {
    let servers = std::fs::read_dir(servers::home()).expect("the servers' folder");
    let data =
        servers.filter_map(|server| std::fs::read_dir(server.ok()?.path().join("data")).ok());
    let folders = data.flatten().filter_map(Result::ok);
    let ours = folders.filter(|it| it.file_name().to_string_lossy().starts_with(topic));
    ours.map(|folder| bytes_of(&folder.path())).sum()
}

/// Bytes that the files take on disk; some are longer than what they hold.
pub(crate) fn bytes_of(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let sizes = entries.filter_map(Result::ok).map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            bytes_of(&path)
        } else {
            path.metadata().map_or(0, |it| it.blocks() * 512)
        }
    });
    sizes.sum()
}
