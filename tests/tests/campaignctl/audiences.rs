//! Audiences, from a file to the matches: who is in them wins, whatever is killed, and changes are live when it is promised.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::process::Process;
use tests::topics::Seen;
use tests::wait;

use crate::installation::{Installation, ran, text};

/// How long anything may take that is only a matter of time.
const PATIENCE: Duration = Duration::from_mins(2);

/// An event that is produced so long after a change was acknowledged is decided by it (docs/rules.md).
const PROMISED: Duration = Duration::from_secs(1);

/// Campaigns for one audience, for those who are not in another, for both, and for everybody: what wins the last one says that an event was
/// decided.
fn write_campaigns(installation: &Installation) {
    let campaign = |id: &str, fields: Value| {
        let mut campaign = json!({
            "id": id, "name": id, "when": {"event_type": ["visit"]}, "reward": {"kind": "credit", "amount": "1.00"},
        });
        for (name, value) in fields.as_object().unwrap() {
            campaign[name] = value.clone();
        }
        installation
            .kafka
            .send_json(&installation.topic("campaigns"), id, &campaign);
    };
    campaign("vip", json!({"audience": ["vip-2026"]}));
    campaign("others", json!({"audience": [{"not": "vip-2026"}]}));
    campaign(
        "no-staff",
        json!({"audience": ["vip-2026", "gold", {"not": "staff"}]}),
    );
    campaign(
        "second",
        json!({"audience": ["gold"], "across": [{"nth": 2}]}),
    );
    campaign("all", json!({}));
    installation.kafka.flush();
}

fn matcher(installation: &Installation, instance: &str) -> Process {
    let settings = [("MATCHER_INSTANCE", instance), ("MATCHER_WORKERS", "2")];
    installation.start("matcher", &settings)
}

/// Sends a visit of each customer, and says which campaigns each wins.
fn visit(installation: &Installation, event: &str, customers: &[&str]) -> Vec<BTreeSet<String>> {
    send(installation, event, customers);
    decided(installation, event, customers)
}

fn send(installation: &Installation, event: &str, customers: &[&str]) {
    for customer in customers {
        let visit = json!({
            "event_id": format!("{event}-{customer}"), "customer_id": customer, "event_type": "visit",
            "occurred_at": Timestamp::now(), "payload": {},
        });
        installation
            .kafka
            .send_json(&installation.topic("events"), customer, &visit);
    }
    installation.kafka.flush();
}

/// The campaigns that visits have won, once all are decided.
fn decided(installation: &Installation, event: &str, customers: &[&str]) -> Vec<BTreeSet<String>> {
    wait::until("the visits to be decided", PATIENCE, || {
        let matches = installation.kafka.read_all(&installation.topic("matches"));
        let matches: Vec<Value> = matches.iter().map(Seen::json).collect();
        let of = |customer: &&str| {
            let id = format!("{event}-{customer}");
            let won = matches.iter().filter(|it| it["event_id"] == *id);
            won.map(|it| it["campaign_id"].as_str().unwrap().to_owned())
                .filter(|campaign| campaign != "second")
                .collect::<BTreeSet<_>>()
        };
        let won: Vec<_> = customers.iter().map(of).collect();
        won.iter().all(|it| it.contains("all")).then_some(won)
    })
}

fn won(campaigns: &[&str]) -> BTreeSet<String> {
    let all = campaigns.iter().chain(&["all"]);
    all.map(|it| (*it).to_owned()).collect()
}

/// Waits until matchers have so many members of an audience between them.
fn wait_members(matchers: &[&Process], audience: &str, expected: f64) -> Vec<f64> {
    let metric = format!("matcher_audience_members{{audience=\"{audience}\"}}");
    wait::until("the members", PATIENCE, || {
        let of = |matcher: &&Process| {
            let metrics = matcher.get("/metrics")?;
            let line = metrics.lines().find_map(|it| it.strip_prefix(&*metric));
            Some(line.map_or(0.0, |count| count.trim().parse().unwrap()))
        };
        let counts: Vec<f64> = matchers.iter().map(of).collect::<Option<_>>()?;
        let sum: f64 = counts.iter().sum();
        ((sum - expected).abs() < 0.5).then_some(counts)
    })
}

#[test]
fn who_is_in_wins_whoever_is_killed_and_changes_are_live_within_a_second() {
    let installation = Installation::new();
    write_campaigns(&installation);
    let ctl = |arguments: &[&str]| installation.ctl(arguments).exits(0);
    let customers: String = (0..2_000).fold(String::new(), |mut lines, number| {
        let _infallible = writeln!(lines, "c-{number},\"since, perhaps\"");
        lines
    });
    let file = installation.write("vip.csv", &customers);
    ctl(&["audience", "load", "vip-2026", text(&file)]);
    ctl(&["audience", "add", "staff", "c-1", "z-1"]);
    // Known before the first event is decided, although nobody waited for the matcher to hear of it.
    let first = matcher(&installation, "one");
    let found = visit(&installation, "a", &["c-0", "c-1", "c-1999", "z-0", "z-1"]);
    let expected = [
        won(&["vip", "no-staff"]),
        won(&["vip"]),
        won(&["vip", "no-staff"]),
        won(&["others"]),
        won(&["others"]),
    ];
    assert_eq!(found, expected);
    wait_members(&[&first], "vip-2026", 2_000.0);

    ctl(&["audience", "remove", "vip-2026", "c-0"]);
    ctl(&["audience", "add", "gold", "z-0"]);
    std::thread::sleep(PROMISED);
    let found = visit(&installation, "b", &["c-0", "z-0"]);
    assert_eq!(found, [won(&["others"]), won(&["others", "no-staff"])]);
    // What was done before somebody came in is counted: it was the second visit.
    let second = || {
        let matches = installation.kafka.read_all(&installation.topic("matches"));
        let seconds = matches.iter().map(Seen::json);
        let seconds = seconds.filter(|it| it["campaign_id"] == "second");
        seconds
            .map(|it| it["event_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(second(), ["b-z-0"]);

    // Changes and events while nobody is there, behind a crash.
    first.kill();
    ctl(&["audience", "add", "vip-2026", "late"]);
    send(&installation, "c", &["late", "c-1", "c-0"]);
    let first = matcher(&installation, "one");
    let found = decided(&installation, "c", &["late", "c-1", "c-0"]);
    let expected = [won(&["vip", "no-staff"]), won(&["vip"]), won(&["others"])];
    assert_eq!(found, expected);

    // Memberships move with the partitions of their customers.
    let other = matcher(&installation, "two");
    let counts = wait::until("both to have partitions", PATIENCE, || {
        let counts = wait_members(&[&first, &other], "vip-2026", 2_000.0);
        counts.iter().all(|it| *it > 0.0).then_some(counts)
    });
    println!("members of both: {counts:?}");
    let all: Vec<String> = (2..42).map(|number| format!("c-{number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let found = visit(&installation, "d", &all);
    assert!(found.iter().all(|it| *it == won(&["vip", "no-staff"])));
    other.kill();
    let found = visit(&installation, "e", &all);
    assert!(found.iter().all(|it| *it == won(&["vip", "no-staff"])));
    wait_members(&[&first], "vip-2026", 2_000.0);

    // Who is erased is in no audience, and no record says that they were.
    ctl(&["customer", "erase", "c-2", "--yes"]);
    let member = ["audience", "get", "vip-2026", "--customer", "c-2"];
    installation.ctl(&member).exits(1);
    let records = installation
        .kafka
        .read_all(&installation.topic("audience-members"));
    let last = records
        .iter()
        .rfind(|it| it.key.as_deref() == Some(b"vip-2026:c-2"));
    assert!(last.unwrap().value.is_none());

    ctl(&["audience", "drop", "vip-2026", "--yes"]);
    ctl(&["audience", "add", "vip-2026", "c-7"]);
    std::thread::sleep(PROMISED);
    let found = visit(&installation, "f", &["c-3", "c-7"]);
    assert_eq!(found, [won(&["others"]), won(&["vip", "no-staff"])]);
    wait_members(&[&first], "vip-2026", 1.0);
    let listed = ctl(&["audience", "list", "-o", "json"]).json();
    let expected = json!([
        {"audience": "gold", "members": 1},
        {"audience": "staff", "members": 2},
        {"audience": "vip-2026", "members": 1},
    ]);
    assert_eq!(listed["audiences"], expected);
    assert!(first.terminate().0.success());
}

#[test]
fn a_load_that_is_killed_goes_on_where_it_was() {
    const CUSTOMERS: u64 = 200_000;
    let installation = Installation::new();
    let lines = (0..CUSTOMERS).fold(String::new(), |mut lines, number| {
        let _infallible = writeln!(lines, "customer-{number:09}");
        lines
    });
    let file = installation.write("many.txt", &lines);
    let load = ["audience", "load", "many", text(&file), "-o", "json"];
    let mut begun = installation.spawn(&load);
    let noted = installation.folder.path().join("many.txt.many.loading");
    wait::until("something to be acknowledged", PATIENCE, || {
        noted.exists().then_some(())
    });
    begun.kill().unwrap();
    let killed = ran(&begun.wait_with_output().unwrap());
    let done = installation.ctl(&load).exits(0).json();
    assert_eq!(done["customers"], CUSTOMERS, "{done}");
    let before = done["before"].as_u64().unwrap();
    assert!(
        (10_000..CUSTOMERS).contains(&before),
        "{before} before; {killed:?}"
    );
    assert!(!noted.exists(), "it is done");
    let get = ["audience", "get", "many", "-o", "json"];
    let report = installation.ctl(&get).exits(0).json();
    assert_eq!(report["members"], CUSTOMERS);
    // Again, from its beginning: nothing changes.
    let again = installation.ctl(&load).exits(0).json();
    assert_eq!(again["before"], 0);
    let report = installation.ctl(&get).exits(0).json();
    assert_eq!(report["members"], CUSTOMERS);
}

#[test]
fn what_is_no_audience_and_no_customer_is_told_and_changes_nothing() {
    let installation = Installation::new();
    let broken = installation.write("broken.csv", "customer_id,x\nada,1\n,2\n");
    let load = installation.ctl(&["audience", "load", "vip", text(&broken)]);
    let load = load.exits(2);
    assert!(
        load.err.contains("line 3: customer_id is empty"),
        "{}",
        load.err
    );
    assert!(load.err.contains("nothing was loaded"), "{}", load.err);
    let name = installation
        .ctl(&["audience", "add", "v:p", "ada"])
        .exits(2);
    assert!(
        name.err.contains("audience has ':' at byte 1"),
        "{}",
        name.err
    );
    installation.ctl(&["audience", "get", "vip"]).exits(1);
    let list = installation
        .ctl(&["audience", "list", "-o", "json"])
        .exits(0);
    assert_eq!(list.json()["audiences"], json!([]));
    // To name an audience that nobody is in is no mistake, but strange.
    let campaign =
        "id: v\nname: v\nwhen: {event_type: [visit]}\naudience: [vip]\nreward: {kind: custom}\n";
    let file = installation.write("v.yaml", campaign);
    let check = installation.ctl(&["check", "-f", text(&file)]).exits(0);
    let said = check.out + &check.err;
    assert!(said.contains("empty-audience"), "{said}");
    installation.ctl(&["apply", "-f", text(&file)]).exits(0);
}
