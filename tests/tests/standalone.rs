//! Everything in one process: what whoever types `make demo` sees, and that it is true.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::http::{self, Connection};
use tests::process::binary;
use tests::servers::root;
use tests::shell::Shell;
use tests::standalone::Standalone;
use tests::topics::Kafka;
use tests::wait;

/// Partitions of the topics that it makes by itself.
const PARTITIONS: i32 = 4;

#[test]
fn the_demo_shows_matches_goes_on_after_a_restart_and_ends_when_asked() {
    let folder = TempDir::new().expect("a folder");
    let demo = Standalone::start(folder.path(), &[]);
    demo.wait_kept(5);
    let printed = demo.process.log();
    for address in [
        "  campaigns  http://127.0.0.1:",
        "  events     http://127.0.0.1:",
        "  matches    http://127.0.0.1:",
        "  health     http://",
        "  metrics    http://",
    ] {
        assert!(printed.contains(address), "{printed}");
    }
    assert!(printed.contains("for development only"), "{printed}");
    assert!(printed.contains("\nmatch  "), "{printed}");

    // Each match can be found by whose it is.
    let page = demo.matches("?limit=1").expect("a page");
    let newest = &page["matches"][0];
    let customer = newest["customer_id"].as_str().expect("a customer");
    let of_customer = demo
        .matches(&format!("?customer_id={customer}"))
        .expect("a page");
    let of_customer = of_customer["matches"].as_array().expect("matches");
    assert!(of_customer.contains(newest));
    assert!(of_customer.iter().all(|won| won["customer_id"] == customer));

    // Campaigns can be changed while it runs.
    let address = demo.process.api();
    let mut api = Connection::open(address).expect("the API is there");
    let everything = json!({
        "id": "everything", "name": "A point for everything", "when": {"event_type": [{"exists": true}]},
        "reward": {"kind": "points", "amount": 1},
    });
    let body = everything.to_string();
    let headers = [("content-type", "application/json")];
    let request = http::request("POST", "/v1/campaigns", &headers, body.as_bytes());
    let answer = api.ask(&request).expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.json());
    wait::until("its matches", Duration::from_secs(30), || {
        let page = demo.matches("?limit=100")?;
        let matches = page["matches"].as_array()?;
        let ours = |won: &&Value| won["campaign_id"] == "everything";
        matches.iter().find(ours).map(drop)
    });

    // Events can be sent by hand.
    let purchase = json!({
        "customer_id": "ada", "event_type": "purchase", "occurred_at": jiff::Timestamp::now(),
        "payload": {"amount": 75},
    });
    let address = events_address(&printed);
    let (address, path) = address.split_at(address.find('/').expect("a path"));
    let mut ingest = Connection::open(address).expect("it is there");
    let request = http::request("POST", path, &headers, purchase.to_string().as_bytes());
    let answer = ingest.ask(&request).expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.json());
    let sent = answer.json()["event_id"].clone();
    wait::until("its match", Duration::from_secs(30), || {
        let page = demo.matches("?customer_id=ada")?;
        let matches = page["matches"].as_array()?;
        matches.iter().find(|won| won["event_id"] == sent).map(drop)
    });

    // And forgotten, with who sent them.
    let request = http::request("GET", "/v1/customers/ada", &[], b"");
    let told = api.ask(&request).expect("an answer");
    assert_eq!(told.status, 200, "{}", told.json());
    let request = http::request("DELETE", "/v1/customers/ada", &[], b"");
    let answer = api.ask(&request).expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.json());
    wait::until("ada to be forgotten", Duration::from_secs(30), || {
        let page = demo.matches("?customer_id=ada")?;
        page["matches"].as_array()?.is_empty().then_some(())
    });

    // Nobody else can open its data.
    let second = Command::new(binary("standalone"))
        .args([
            "--broker-port=0",
            "--metrics-addr=127.0.0.1:0",
            "--http-addr=127.0.0.1:0",
            "--data-dir",
        ])
        .arg(folder.path().join("data"))
        .output()
        .expect("the program is built");
    let error = String::from_utf8_lossy(&second.stderr);
    let owner = format!("in use by process {}", demo.process.pid());
    assert!(
        !second.status.success() && error.contains(&owner),
        "{error}"
    );

    let before = demo.kept();
    let (status, took) = demo.process.terminate();
    assert!(status.success(), "{status}");
    println!("ended within {took:?}");

    // What was there is there again, and the sample campaigns have not been written once more.
    let again = Standalone::start(folder.path(), &[("SAMPLES", "false")]);
    assert!(again.kept() >= before, "{} of {before}", again.kept());
    assert_eq!(again.kafka().read_all("campaigns").len(), 6);
    let (status, _) = again.process.terminate();
    assert!(status.success(), "{status}");
}

#[test]
fn a_demo_that_is_killed_again_and_again_matches_each_event_exactly_once() {
    let folder = TempDir::new().expect("a folder");
    // The embedded broker writes the end of a transaction in several steps, and a kill between them
    // leaves half of it. So there are few transactions here, with many events each.
    let settings = [
        ("EVENTS_PER_SECOND", "400"),
        ("MIN_COMMIT_INTERVAL_MS", "100"),
    ];
    for _ in 0..4 {
        let demo = Standalone::start(folder.path(), &settings);
        demo.wait_kept(demo.kept() + 100);
        demo.process.kill();
    }
    let last = Standalone::start(folder.path(), &[("SAMPLES", "false")]);
    let kafka = last.kafka();
    wait_all_committed(&kafka);
    let expected: BTreeSet<_> = kafka
        .read_all("events")
        .iter()
        .flat_map(|event| wins(&event.json()))
        .collect();
    assert!(expected.len() >= 400, "only {}", expected.len());
    let mut found = BTreeMap::<_, u32>::new();
    for won in kafka.read_all("matches") {
        *found.entry(text(&won.json()["match_id"])).or_default() += 1;
    }
    let twice: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let found: BTreeSet<_> = found.into_keys().collect();
    let missing: Vec<_> = expected.difference(&found).take(5).collect();
    let surplus: Vec<_> = found.difference(&expected).take(5).collect();
    assert_eq!(found, expected, "missing {missing:?}, surplus {surplus:?}");

    // The store in memory is the topic.
    wait::until("the store to be rebuilt", Duration::from_secs(30), || {
        let page = last.matches("?limit=10000")?;
        assert_eq!(page["repeated"], 0);
        let kept = page["matches"].as_array()?;
        let kept: BTreeSet<_> = kept.iter().map(|won| text(&won["match_id"])).collect();
        (kept == expected).then_some(())
    });
    let (status, _) = last.process.terminate();
    assert!(status.success(), "{status}");
}

/// Where events can be sent by hand, as the demo says.
fn events_address(printed: &str) -> &str {
    let address = |line: &str| line.find("http://").map(|at| at + "http://".len());
    let mut lines = printed.lines();
    let line = lines.find(|line| line.starts_with("  events     "));
    let line = line.expect("an address");
    &line[address(line).expect("an address")..]
}

#[test]
fn what_the_readme_shows_can_be_tried_on_the_demo() {
    let folder = TempDir::new().expect("a folder");
    let demo = Standalone::start(folder.path(), &[]);
    let settings = [
        ("KAFKA_BOOTSTRAP_SERVERS", demo.bootstrap.clone()),
        (
            "CAMPAIGNCTL_SERVER",
            format!("http://{}", demo.process.api()),
        ),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    let mut shell = Shell::start(root(), &settings);
    let log = demo.process.log();
    let events = events_address(&log).split('/').next().expect("an address");
    let mut printed = String::new();
    for block in tests::blocks!("README.md") {
        let text = block.text.replace("127.0.0.1:8081", events);
        // Whoever watches a stream ends it.
        let text = text.replace("tail matches ", "tail matches | head -n 1 ");
        printed.push_str(&shell.succeed(&text));
    }
    assert_eq!(printed.matches(" unchanged").count(), 5, "{printed}");
    assert!(printed.contains("coffee-week paused"), "{printed}");
    assert!(printed.contains("{\"event_id\":"), "{printed}");
    wait::until("the match of ada", Duration::from_secs(30), || {
        let page = demo.matches("?customer_id=ada")?;
        let mut matches = page["matches"].as_array()?.iter();
        let is_it = |won: &Value| won["campaign_id"] == "ten-for-fifty";
        matches.any(is_it).then_some(())
    });
}

fn wait_all_committed(kafka: &Kafka) {
    wait::until("all events to be committed", Duration::from_mins(1), || {
        let committed = kafka.committed("matcher", "events", PARTITIONS)?;
        let ends = kafka.ends("events", PARTITIONS)?;
        let ends: Vec<_> = ends.iter().map(|end| end.high).collect();
        (committed == ends).then_some(())
    });
}

/// The matches of an event by the sample campaigns, which are written here a second time.
fn wins(event: &Value) -> Vec<String> {
    let (kind, payload) = (text(&event["event_type"]), &event["payload"]);
    let number = |field: &str| payload[field].as_f64().unwrap_or_default();
    let among = |field: &str, of: &[&str]| of.contains(&payload[field].as_str().unwrap_or("-"));
    let two_breakfasts = |item: &Value| {
        item["category"] == "breakfast" && item["quantity"].as_f64().is_some_and(|n| n >= 2.0)
    };
    let items = payload["items"].as_array().map_or(&[][..], Vec::as_slice);
    let coupon = payload["coupon"].as_str().unwrap_or_default();
    let (channel, email) = (text(&payload["channel"]), text(&payload["email"]));
    let campaigns = [
        (
            "coffee-week",
            kind == "purchase" && (items.iter().any(two_breakfasts) || among("tier", &["gold"])),
        ),
        (
            "come-back",
            kind == "visit"
                && coupon.starts_with("BACK-")
                && coupon.ends_with("-2026")
                && number("days_away") > 30.0,
        ),
        (
            "five-percent-back",
            kind == "purchase" && number("amount") >= 10.0 && among("tier", &["silver", "gold"]),
        ),
        (
            "ten-for-fifty",
            kind == "purchase" && number("amount") >= 50.0 && among("country", &["US", "CA"]),
        ),
        (
            "welcome-points",
            kind == "signup" && channel.starts_with("app-") && !email.ends_with("@example.com"),
        ),
    ];
    let id = text(&event["event_id"]);
    let won = campaigns.into_iter().filter(|(_, wins)| *wins);
    won.map(|(campaign, _)| format!("{id}:{campaign}"))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
