//! More partitions for the events, done as docs/operations.md says: all that is remembered goes along, events flow meanwhile,
//! and nothing is matched twice or forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::page::Block;
use tests::process::Process;
use tests::servers::Server;
use tests::shell::Shell;
use tests::topics::Kafka;
use tests::wait;

const PATIENCE: Duration = Duration::from_mins(2);

/// Partitions before and after. No multiple: customers of each new one come from several.
const BEFORE: usize = 4;
const AFTER: usize = 6;

const CUSTOMERS: usize = 24;

/// Those in the audience, the first ones.
const VIPS: usize = 12;

/// What the budget has, in matches: for the rounds 0 to 2.
const BUDGET: usize = 3 * CUSTOMERS;

/// Matches of round 0 that are taken back when the budget is used up.
const REFUNDS: usize = 5;

/// How long matches are held, and when those who signed up win: both begin before and end behind the change.
const SOON: &str = "15s";

fn campaigns() -> Vec<Value> {
    let bought = json!(["bought"]);
    let campaign = |id: &str, fields: Value| {
        let mut campaign = json!({
            "id": id, "name": id, "when": {"event_type": bought},
            "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
        });
        for (name, value) in fields.as_object().expect("fields") {
            campaign[name] = value.clone();
        }
        campaign
    };
    vec![
        campaign(
            "once",
            json!({"limits": {"per_customer": {"times": 1, "every": "30d"}}}),
        ),
        campaign(
            "third",
            json!({"across": [{"count": {"at_least": 3}, "within": "7d", "when": {"event_type": bought}}]}),
        ),
        campaign(
            "budget",
            json!({
                "limits": {"total": {"times": BUDGET}},
                "reverse_on": {"event_type": ["refunded"], "same": "payload.order"},
            }),
        ),
        campaign("held", json!({ "hold": SOON })),
        campaign("vip", json!({"audience": ["vip"]})),
        campaign("dropped", json!({"audience": ["dropped"]})),
        campaign(
            "back",
            json!({
                "when": {"event_type": ["signed_up"]},
                "across": [{"absent": true, "within": "1h", "when": {"event_type": ["left"]}}],
            }),
        ),
    ]
}

/// An installation with the default names, on a broker of its own.
struct Shop {
    kafka: Kafka,
    /// Settings with the old names.
    old: Vec<(String, String)>,
    /// In which the page is typed.
    shell: Shell,
    folder: TempDir,
    _broker: Server,
}

impl Shop {
    fn open() -> Self {
        let broker = Server::kafka();
        let folder = TempDir::new().expect("a folder");
        let settings = [
            ("KAFKA_BOOTSTRAP_SERVERS", broker.address()),
            ("AUTH", "none"),
            ("HTTP_ADDR", "127.0.0.1:0"),
            ("MATCHER_WORKERS", "2"),
        ];
        let old = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut shell = Shell::start(folder.path(), &old);
        shell.succeed(&format!(
            "matcher create-topics --partitions {BEFORE} --replication-factor 1"
        ));
        let kafka = Kafka::new(broker.address());
        for campaign in campaigns() {
            let id = campaign["id"].as_str().expect("an id");
            kafka.send_json("campaigns", id, &campaign);
        }
        kafka.flush();
        Self {
            kafka,
            old: old.to_vec(),
            shell,
            folder,
            _broker: broker,
        }
    }

    fn start(&self, program: &str, settings: &[(String, String)]) -> Process {
        let mut process = Process::start(program, self.folder.path(), settings);
        process.wait_ready();
        process
    }

    /// The audiences, one of which was dropped, and has one customer since.
    fn load_audiences(&mut self) {
        let admin = self.start("campaign-admin", &self.old);
        let (server, last) = (admin.api(), VIPS - 1);
        self.shell.succeed(&format!(
            "export CAMPAIGNCTL_SERVER=http://{server}
            for customer in $(seq 0 {last}); do echo c-$customer; done > vip.txt
            campaignctl audience load vip vip.txt
            campaignctl audience load dropped vip.txt
            campaignctl audience drop dropped --yes
            campaignctl audience add dropped c-1"
        ));
        assert!(admin.terminate().0.success());
    }

    /// Everybody signs up, an hour before `SOON`.
    fn sign_up(&self, topic: &str) {
        let soon = Timestamp::now() - SignedDuration::from_hours(1) + SignedDuration::from_secs(15);
        for customer in 0..CUSTOMERS {
            let id = format!("c-{customer}");
            self.send(topic, customer, (&id, "signed_up"), soon);
        }
    }

    /// Some bring back what they bought first.
    fn bring_back(&self, topic: &str) {
        for customer in 0..REFUNDS {
            let order = format!("c-{customer}-0");
            self.send(topic, customer, (&order, "refunded"), Timestamp::now());
        }
        self.kafka.flush();
    }

    /// Types a command of the page that must be refused.
    fn refused(&mut self, command: &Block, why: &str) {
        let (said, code) = self.shell.run(command.text.trim());
        assert!(code == 1 && said.contains(why), "{said}");
    }

    /// The old settings with the names that the page has exported.
    fn new_settings(&mut self) -> Vec<(String, String)> {
        let exported = self.shell.succeed("env | grep _TOPIC=");
        let exported = exported.lines().filter_map(|line| line.split_once('='));
        let exported = exported.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.old.iter().cloned().chain(exported).collect()
    }

    /// Waits until it is so, looking when nothing waits.
    fn wait_for(&self, what: &str, matcher: &Process, is_so: impl Fn(&Won) -> bool) -> Won {
        wait::until(what, PATIENCE, || {
            wait_done(matcher);
            Some(won(&self.kafka)).filter(|won| is_so(won))
        })
    }

    fn send(&self, topic: &str, customer: usize, event: (&str, &str), at: Timestamp) {
        let (id, event_type) = event;
        let key = format!("c-{customer}");
        let event = json!({
            "event_id": format!("{id}-{event_type}"), "customer_id": key, "event_type": event_type,
            "occurred_at": at, "payload": {"order": id},
        });
        self.kafka.send_json(topic, &key, &event);
    }

    /// Everybody buys once. Sent again, it is the same events.
    fn round(&self, topic: &str, number: i64) {
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(begin() + number);
        for customer in 0..CUSTOMERS {
            let order = format!("c-{customer}-{number}");
            for _ in 0..=usize::from(customer % 3 == 0) {
                self.send(topic, customer, (&order, "bought"), at);
            }
        }
        self.kafka.flush();
    }
}

/// A second of this run of the test, always the same.
fn begin() -> i64 {
    static BEGIN: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *BEGIN.get_or_init(|| Timestamp::now().as_second() - 60)
}

/// Waits until nothing that was written so far waits, as the page says it.
fn wait_done(matcher: &Process) {
    let lag = |name: &str| matcher.metric(name).is_some_and(|lag| lag == 0.0);
    wait::until("nothing to wait", PATIENCE, || {
        (lag("matcher_consumer_lag") && lag("settler_consumer_lag")).then_some(())
    });
}

fn wait_consumed(matcher: &Process, events: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a handful of events")]
    let events = events as f64;
    wait::until("the events to be consumed", PATIENCE, || {
        (matcher.metric("matcher_events_consumed_total")? >= events).then_some(())
    });
    wait_done(matcher);
}

/// Matches by campaign, customer and status.
type Won = BTreeMap<(String, String, String), usize>;

/// The matches on both topics, none of which is there twice.
fn won(kafka: &Kafka) -> Won {
    let mut won = BTreeMap::new();
    let mut once = BTreeMap::<_, usize>::new();
    for topic in ["matches", "matches-6"] {
        for record in kafka.read_all(topic) {
            let document = record.json();
            let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
            // Of a match that is granted at once it says nothing.
            let status = document["status"].as_str().unwrap_or("granted").to_owned();
            let key = (text("campaign_id"), text("customer_id"), status.clone());
            *won.entry(key).or_default() += 1;
            *once.entry((text("match_id"), status)).or_default() += 1;
        }
    }
    let twice: Vec<_> = once.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "there twice: {twice:?}");
    won
}

fn count(won: &Won, campaign: &str, status: &str) -> usize {
    let of = won
        .iter()
        .filter(|((id, _, is), _)| id == campaign && is == status);
    of.map(|(_, times)| times).sum()
}

/// The page's step that makes the topics, with fewer partitions and one broker.
fn with_fewer(make: &Block) -> Block {
    let text = make.text.replace("-48", &format!("-{AFTER}"));
    let partitions = format!(" {AFTER} --replication-factor 1");
    Block {
        text: text.replace(" 48", &partitions),
        ..make.clone()
    }
}

#[test]
fn events_get_more_partitions_as_the_page_says_and_nothing_is_forgotten_or_won_twice() {
    let blocks = tests::blocks!("docs/operations.md");
    let [make, carry] = &blocks[..] else {
        panic!("{blocks:?}")
    };
    let mut shop = Shop::open();
    shop.load_audiences();
    let matcher = shop.start("matcher", &shop.old);
    shop.sign_up("events");
    shop.round("events", 0);
    shop.round("events", 1);

    // Producers are pointed to the new topic, and send again what they do not know to be safe.
    shop.shell.follow(&with_fewer(make));
    shop.round("events-6", 1);
    shop.round("events-6", 2);
    shop.refused(carry, "stop all matchers");
    wait_consumed(&matcher, CUSTOMERS + 2 * (CUSTOMERS + CUSTOMERS / 3));
    assert!(matcher.terminate().0.success());
    // One of them comes too late.
    shop.send("events", 0, ("late", "visited"), Timestamp::now());
    shop.kafka.flush();
    shop.refused(carry, "has not taken in");
    let matcher = shop.start("matcher", &shop.old);
    wait_consumed(&matcher, 1);
    assert!(matcher.terminate().0.success());
    for _ in 0..2 {
        let said = shop.shell.follow(carry);
        assert!(said.contains("carried over: "), "{said}");
    }

    let new = shop.new_settings();
    let matcher = shop.start("matcher", &new);
    shop.round("events-6", 0);
    shop.round("events-6", 3);
    shop.wait_for("the budget to be used up", &matcher, |_| {
        shop.kafka.read_all("refusals-6").len() >= CUSTOMERS
    });
    shop.bring_back("events-6");
    shop.wait_for("the refunds", &matcher, |won| {
        count(won, "budget", "reversed") >= REFUNDS
    });
    shop.round("events-6", 4);
    let rounds = 5;
    let found = shop.wait_for("all to be confirmed", &matcher, |won| {
        count(won, "held", "confirmed") >= rounds * CUSTOMERS
            && count(won, "back", "granted") >= CUSTOMERS
    });
    check(&found, rounds);
    let refused = |topic: &str| shop.kafka.read_all(topic).len();
    assert_eq!(refused("refusals"), 0);
    assert_eq!(refused("refusals-6"), 2 * CUSTOMERS - REFUNDS);
    for topic in ["dead-letters", "dead-letters-6"] {
        assert!(shop.kafka.read_all(topic).is_empty(), "{topic}");
    }

    shop.refused(carry, "has begun to read events-6");
    let admin = shop.start("campaign-admin", &new);
    let server = format!("export CAMPAIGNCTL_SERVER=http://{}", admin.api());
    shop.shell.succeed(&server);
    let doctor = shop.shell.succeed("campaignctl doctor");
    assert!(!doctor.contains("WRONG"), "{doctor}");
    for process in [matcher, admin] {
        assert!(process.terminate().0.success());
    }
}

/// All is as if there had been one topic with those rounds, each once.
fn check(found: &Won, rounds: usize) {
    for customer in 0..CUSTOMERS {
        let of = |campaign: &str, status: &str| {
            let customer = format!("c-{customer}");
            let key = (campaign.to_owned(), customer, status.to_owned());
            found.get(&key).copied().unwrap_or(0)
        };
        let expected = [
            ("once", "granted", 1),
            ("third", "granted", rounds - 2),
            ("held", "pending", rounds),
            ("held", "confirmed", rounds),
            ("back", "granted", 1),
            ("vip", "granted", rounds * usize::from(customer < VIPS)),
            ("dropped", "granted", rounds * usize::from(customer == 1)),
        ];
        for (campaign, status, times) in expected {
            assert_eq!(of(campaign, status), times, "{campaign}, c-{customer}");
        }
    }
    // What was taken back of matches from before is there to be won once more.
    assert_eq!(count(found, "budget", "granted"), BUDGET + REFUNDS);
    assert_eq!(count(found, "budget", "reversed"), REFUNDS);
}
