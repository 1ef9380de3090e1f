//! Access to Kafka as docs/security.md grants it, on a real broker that refuses everything else: each
//! service does its work with what it is granted, and is refused what is beyond.

mod grants;
mod refusals;

use std::process::Command;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::http::{Connection, request};
use tests::process::{Process, binary};
use tests::servers::Server;
use tests::wait;

const PATIENCE: Duration = Duration::from_secs(30);

/// The users; each has its name as its password.
const USERS: [&str; 7] = [
    "admin",
    "installer",
    "ingest",
    "matcher",
    "campaign-admin",
    "rewards",
    "operator",
];

/// Properties of a broker that knows these users, and lets nobody but `admin` do anything.
fn properties() -> String {
    use std::fmt::Write as _;
    let mut login = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                     username=\"admin\" password=\"admin\""
        .to_owned();
    for user in USERS {
        write!(login, " user_{user}=\"{user}\"").expect("a text can be written to");
    }
    format!(
        "listener.security.protocol.map=PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         sasl.mechanism.inter.broker.protocol=PLAIN\n\
         listener.name.plaintext.sasl.enabled.mechanisms=PLAIN\n\
         listener.name.plaintext.plain.sasl.jaas.config={login};\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:admin;User:ANONYMOUS\n"
    )
}

/// `KAFKA_CONFIG` of a user.
fn login(user: &str) -> String {
    format!(
        "security.protocol=sasl_plaintext,sasl.mechanism=PLAIN,sasl.username={user},sasl.password={user}"
    )
}

/// A client of that user.
fn client(broker: &str, user: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker);
    for pair in login(user).split(',') {
        let (key, value) = pair.split_once('=').expect("a pair");
        config.set(key, value);
    }
    config
}

/// The installation: a broker with the page's grants, a database, and the default names.
struct Guarded {
    broker: Server,
    database: Server,
    folder: TempDir,
}

impl Guarded {
    fn new() -> Self {
        let database = std::thread::spawn(Server::cassandra);
        let broker = Server::kafka_with(&properties());
        let blocks = tests::blocks!("docs/security.md");
        let granted = blocks
            .iter()
            .flat_map(|block| grants::of_commands(&block.text));
        let mut granted: Vec<_> = granted.collect();
        assert!(granted.len() >= 20, "{granted:?}");
        // In words there: "needs `Create` on the cluster".
        granted.extend(grants::of_commands(
            "kafka-acls.sh --add --allow-principal User:installer --operation Create --cluster",
        ));
        grants::give(broker.address(), ("admin", "admin"), &granted);
        let guarded = Self {
            broker,
            database: database.join().expect("a database"),
            folder: TempDir::new().expect("a folder"),
        };
        let topics = [
            "create-topics",
            "--partitions",
            "2",
            "--replication-factor",
            "1",
        ];
        guarded.run("matcher", "installer", &topics);
        guarded.run(
            "matcher",
            "installer",
            &["migrate", "--replication-factor", "1"],
        );
        guarded
    }

    fn settings(&self, user: &str) -> Vec<(String, String)> {
        let settings = [
            ("KAFKA_BOOTSTRAP_SERVERS", self.broker.address()),
            ("KAFKA_CONFIG", &login(user)),
            ("SCYLLA_NODES", self.database.address()),
            ("AUTH", "none"),
            ("HTTP_ADDR", "127.0.0.1:0"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        settings.into_iter().map(owned).collect()
    }

    /// Runs a command of a program to its end. Returns what it prints.
    fn run(&self, program: &str, user: &str, arguments: &[&str]) -> String {
        let output = Command::new(binary(program))
            .args(arguments)
            .envs(self.settings(user))
            .current_dir(self.folder.path())
            .output()
            .expect("the program is built");
        let (out, log) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
        let out = String::from_utf8_lossy(out).into_owned();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {out}{log}"
        );
        out
    }

    /// A program under its own name.
    fn start(&self, program: &str) -> Process {
        let mut process = Process::start(program, self.folder.path(), &self.settings(program));
        process.wait_ready();
        process
    }
}

fn send(process: &Process, path: &str, document: &Value) -> u16 {
    ask(process, "POST", path, document.to_string().as_bytes())
}

fn ask(process: &Process, method: &str, path: &str, body: &[u8]) -> u16 {
    let mut connection = Connection::open(process.api()).expect("it listens");
    let headers = [("content-type", "application/json")];
    let request = request(method, path, &headers, body);
    connection.ask(&request).expect("an answer").status
}

#[test]
fn each_service_does_its_work_with_what_the_page_grants_and_is_refused_what_is_beyond() {
    let guarded = Guarded::new();
    let admin = guarded.start("campaign-admin");
    let ingest = guarded.start("ingest");
    let matcher = guarded.start("matcher");
    let campaign = json!({
        "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]},
        "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
        "limits": {"total": {"times": 1}},
    });
    assert_eq!(send(&admin, "/v1/campaigns", &campaign), 201);
    wait::until("the campaign to be in force", PATIENCE, || {
        (matcher.metric("matcher_campaigns_offset")? > 0.0).then_some(())
    });
    let event = json!({
        "event_id": "e-1", "customer_id": "ada", "event_type": "purchase",
        "occurred_at": jiff::Timestamp::now(),
    });
    assert_eq!(send(&ingest, "/v1/events", &event), 202);

    // A reward service, in its group.
    let rewards: BaseConsumer = client(guarded.broker.address(), "rewards")
        .set("group.id", "rewards")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .create()
        .expect("a consumer");
    rewards.subscribe(&["matches"]).expect("a topic");
    let won = wait::until("the match", PATIENCE, || {
        let record = rewards.poll(Duration::from_millis(200))?.ok()?;
        serde_json::from_slice::<Value>(record.payload()?).ok()
    });
    assert_eq!(won["match_id"], "e-1:ten");
    rewards
        .commit_consumer_state(rdkafka::consumer::CommitMode::Sync)
        .expect("the group may commit");
    wait::until("the row", PATIENCE, || {
        (matcher.metric("recorder_matches_recorded_total")? >= 1.0).then_some(())
    });

    // A dead letter, and the operator who sends it again.
    refusals::write(&guarded, "ingest", "events", b"broken").expect("ingest may write events");
    wait::until("the dead letter", PATIENCE, || {
        (matcher.metric("matcher_dead_letters_total")? >= 1.0).then_some(())
    });
    let server = format!("http://{}", admin.api());
    let operator = |arguments: &[&str]| {
        let server = ["--server", &server, "-o", "json"];
        guarded.run("campaignctl", "operator", &[arguments, &server].concat())
    };
    let doctor: Value = serde_json::from_str(&operator(&["doctor"])).expect("JSON");
    for check in doctor["checks"].as_array().expect("checks") {
        let (what, level) = (check["what"].as_str().unwrap_or_default(), &check["level"]);
        // One copy of each partition is a danger, and all that a test needs.
        let is_expected = level == "good" || level == "skipped";
        assert!(is_expected || what.starts_with("topic "), "{check}");
        let found = check["found"].as_str().unwrap_or_default();
        assert!(!found.contains("may not be read"), "{check}");
    }
    let tail = ["tail", "matches", "--from-beginning", "--count", "1"];
    assert!(operator(&tail).contains("e-1:ten"));
    let redriven: Value =
        serde_json::from_str(&operator(&["dead-letters", "redrive"])).expect("JSON");
    assert_eq!(redriven["redriven"][0]["count"], 1, "{redriven}");
    wait::until("the same letter", PATIENCE, || {
        (matcher.metric("matcher_dead_letters_total")? >= 2.0).then_some(())
    });

    // A claim is refused, for the budget is used, and what it took is given back; the budget is told of and reset.
    let mut further = event.clone();
    further["event_id"] = json!("e-2");
    assert_eq!(send(&ingest, "/v1/events", &further), 202);
    wait::until("the claim to be given back", PATIENCE, || {
        (matcher.metric("matcher_claims_given_back_total")? >= 1.0).then_some(())
    });
    assert_eq!(ask(&admin, "GET", "/v1/campaigns/ten/budget", b""), 200);
    assert_eq!(ask(&admin, "DELETE", "/v1/campaigns/ten/budget", b""), 202);

    // A campaign for an audience, which somebody comes into.
    let mut vip = campaign.clone();
    vip["id"] = json!("vip");
    vip["audience"] = json!(["gold"]);
    vip.as_object_mut().expect("fields").remove("limits");
    assert_eq!(send(&admin, "/v1/campaigns", &vip), 201);
    let members = "/v1/audiences/gold/members";
    let ada = br#"{"customer_ids": ["ada"]}"#;
    assert_eq!(ask(&admin, "PUT", members, ada), 200);
    let ada = format!("{members}/ada");
    assert_eq!(ask(&admin, "GET", &ada, b""), 200);
    wait::until("the member to be known", PATIENCE, || {
        (matcher.metric("matcher_audience_members")? >= 1.0).then_some(())
    });
    let before = matcher.metric("matcher_matches_total");
    further["event_id"] = json!("e-3");
    assert_eq!(send(&ingest, "/v1/events", &further), 202);
    wait::until("the match of a member", PATIENCE, || {
        (matcher.metric("matcher_matches_total") > before).then_some(())
    });

    // A customer is told of, and forgotten.
    assert_eq!(ask(&admin, "GET", "/v1/customers/ada", b""), 200);
    assert_eq!(ask(&admin, "DELETE", "/v1/customers/ada", b""), 202);
    wait::until("the customer to be forgotten", PATIENCE, || {
        (matcher.metric("recorder_customers_erased_total")? >= 1.0).then_some(())
    });

    refusals::check(&guarded);
    for process in [admin, ingest, matcher] {
        assert!(process.terminate().0.success());
    }
}
