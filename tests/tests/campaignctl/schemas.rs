//! What is shown of Avro, and what the doctor says of the registry.

use serde_json::{Value, json};
use tests::contracts::{self, Contracts, SCHEMA_HEADER, prefix};
use tests::process::binary;
use tests::servers::Server;
use tests::topics::Written;

use crate::installation::{Installation, campaign, text};

/// An id that no registry of the tests ever gives.
const NOBODYS: u32 = 1_000_000;

const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "number", "type": "long"},
    {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "placed", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"#;

/// An installation with a registry that has the product's schemas, all of whose programs use it.
fn with(registry: &Server) -> (Installation, Contracts) {
    let mut installation = Installation::new();
    let contracts = Contracts::new(registry.address());
    let setting = ("SCHEMA_REGISTRY_URL".to_owned(), contracts.url());
    installation.settings.push(setting);
    let registered = std::process::Command::new(binary("campaign-admin"))
        .arg("register-schemas")
        .envs(installation.settings.clone())
        .output()
        .expect("campaign-admin can be run");
    assert!(registered.status.success(), "{registered:?}");
    (installation, contracts)
}

fn event(id: &str) -> Value {
    json!({
        "event_id": id, "customer_id": "ada", "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75},
    })
}

/// Events in all forms: ours, one by its header, one in JSON, upstream's own, and two that nobody can read.
fn write(installation: &Installation, contracts: &Contracts) {
    let ours = contracts.newest(&format!("{}-value", installation.topic("events")));
    let theirs = contracts.register(&format!("{}-orders", installation.topic("events")), ORDER);
    let avro = |id| contracts::event(&event(id));
    let header = Some(prefix(ours).to_vec());
    let mut truncated = contracts.encode(ours, avro("cut"));
    truncated.truncate(9);
    let order = [&prefix(theirs)[..], &[0x02, 0x04, 0x1d, 0x56, 0x00]].concat();
    let values = [
        (contracts.encode(ours, avro("avro")), vec![]),
        (
            contracts.body(ours, avro("header")),
            vec![(SCHEMA_HEADER.to_owned(), header)],
        ),
        (event("json").to_string().into_bytes(), vec![]),
        (order, vec![]),
        ([&prefix(NOBODYS)[..], b"\xff?"].concat(), vec![]),
        (truncated, vec![]),
    ];
    for (value, headers) in values {
        let record = Written {
            key: Some(b"ada".to_vec()),
            value: Some(value),
            headers,
            partition: Some(0),
            timestamp: None,
        };
        installation
            .kafka
            .send(&installation.topic("events"), &record);
        installation.kafka.flush();
    }
}

const ALL: [&str; 4] = ["tail", "events", "--from-beginning", "--no-follow"];

#[test]
fn events_in_avro_are_shown_by_their_schemas_and_what_cannot_be_read_says_why() {
    let registry = Server::registry();
    let (installation, contracts) = with(&registry);
    write(&installation, &contracts);
    let shown = installation.ctl(&[&ALL[..], &["-o", "json"]].concat());
    let shown = shown.exits(0).lines();
    assert_eq!(shown.len(), 6);
    for (at, id) in ["avro", "header", "json"].into_iter().enumerate() {
        assert_eq!(shown[at]["value"], event(id), "{shown:?}");
        assert!(shown[at].get("unread").is_none());
    }
    let ours = contracts.newest(&format!("{}-value", installation.topic("events")));
    assert_eq!(shown[0]["schema"], format!("id {ours}"));
    assert_eq!(shown[1]["schema"], shown[0]["schema"]);
    assert!(shown[2].get("schema").is_none());
    assert_eq!(
        shown[3]["value"],
        json!({"number": 1, "total": 75.1, "placed": "1970-01-01T00:00:00Z"})
    );
    assert_eq!(shown[4]["value"], json!({"hex": "00000f4240ff3f"}));
    let why = |at: usize| shown[at]["unread"].as_str().unwrap_or_default();
    assert!(
        why(4).contains("knows no schema with id 1000000"),
        "{}",
        why(4)
    );
    assert!(why(5).contains("in the middle of"), "{}", why(5));

    let table = installation.ctl(&ALL).exits(0).out;
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines[0].ends_with(r#"ada purchase {"amount":75}"#),
        "{table}"
    );
    assert!(
        lines[4].contains("7 bytes: the schema registry knows no"),
        "{table}"
    );

    let of_ada = [&ALL[..], &["--where", "{payload: {amount: [75]}}"]].concat();
    assert_eq!(installation.ctl(&of_ada).exits(0).out.lines().count(), 3);
    let mapping = r#"[{"record": "shop.Order", "event_id": "number", "customer_id": "number",
        "occurred_at": "placed"}]"#;
    let mapping = installation.write("mapping.json", mapping);
    let mapped = ["--event", "1", "--event-mapping", text(&mapping)];
    let mapped = installation.ctl(&[&ALL[..], &mapped].concat()).exits(0);
    assert_eq!(mapped.out.lines().count(), 1, "{}", mapped.out);

    // Without a registry nothing but JSON can be read, and nothing is hidden.
    let mut command = installation.command(&[&ALL[..], &["-o", "json"]].concat());
    command.env_remove("SCHEMA_REGISTRY_URL");
    let plain = crate::installation::run(command).exits(0).lines();
    assert_eq!(plain.len(), 6);
    assert_eq!(plain[2]["value"], event("json"));
    let why = plain[0]["unread"].as_str().unwrap();
    assert!(why.contains("SCHEMA_REGISTRY_URL is not set"), "{why}");
}

#[test]
fn matches_and_dead_letters_in_avro_are_shown_and_redriven_by_what_they_say() {
    let mut registry = Server::registry();
    let (installation, contracts) = with(&registry);
    let file = installation.write("c.yaml", &campaign("ten", 50, ""));
    installation.ctl(&["apply", "-f", text(&file)]).exits(0);
    let matcher = installation.start("matcher", &[]);
    write(&installation, &contracts);
    let wanted = [
        "tail",
        "matches",
        "--from-beginning",
        "--count",
        "3",
        "-o",
        "json",
    ];
    let won = installation.ctl(&wanted).exits(0).lines();
    for (record, id) in won.iter().zip(["avro", "header", "json"]) {
        assert_eq!(record["value"]["match_id"], format!("{id}:ten"));
        assert_eq!(record["value"]["reward"]["amount"], "10");
        assert!(record["schema"].is_string(), "matches are in Avro");
    }

    // The order says no customer, and two cannot be read.
    let letters = [
        "tail",
        "dead-letters",
        "--from-beginning",
        "--count",
        "3",
        "-o",
        "json",
    ];
    let letters = installation.ctl(&letters).exits(0).lines();
    assert_eq!(letters[0]["value"]["number"], 1);
    assert!(letters[1]["unread"].is_string());
    let place = |at: usize| format!("{}:{}", letters[at]["partition"], letters[at]["offset"]);
    let order = installation
        .ctl(&["dead-letters", "show", &place(0)])
        .exits(0)
        .out;
    assert!(
        order.contains("\"number\": 1") && order.contains("schema:  id "),
        "{order}"
    );
    let unknown = installation
        .ctl(&["dead-letters", "show", &place(1)])
        .exits(0)
        .out;
    assert!(
        unknown.contains("unread:  the schema registry knows no"),
        "{unknown}"
    );
    let list = [
        "dead-letters",
        "list",
        "-o",
        "json",
        "--where",
        "{number: [1]}",
    ];
    let list = installation.ctl(&list).exits(0).json();
    assert_eq!(list["dead_letters"].as_array().unwrap().len(), 1);
    assert!(matcher.terminate().0.success());

    // What a letter says matters here, and cannot be known: none is left behind as not wanted.
    registry.kill();
    let redrive = [
        "dead-letters",
        "redrive",
        "--where",
        "{number: [1]}",
        "-o",
        "json",
    ];
    let stopped = installation.ctl(&redrive).exits(3);
    assert!(
        stopped.err.contains("is wanted is not known"),
        "{}",
        stopped.err
    );
    let away = installation
        .ctl(&["dead-letters", "show", &place(0)])
        .exits(0)
        .out;
    assert!(away.contains("unread:  the schema with id"), "{away}");
    registry.restart();
    let sent = installation.ctl(&redrive).exits(0).json();
    assert_eq!(sent["redriven"][0]["count"], 1, "{sent}");
    assert_eq!(sent["filtered"], 2, "{sent}");
}

#[test]
fn the_doctor_looks_at_the_subjects_and_says_what_to_do() {
    let mut registry = Server::registry();
    let (installation, contracts) = with(&registry);
    let subject = |topic: &str| format!("{}-value", installation.topic(topic));
    let checks = || {
        // What is wrong elsewhere, such as that there is no matcher, is not the question.
        let checks = installation.ctl(&["doctor", "-o", "json"]).json();
        let checks = checks["checks"].as_array().expect("checks").clone();
        let of_registry = move |check: &Value| {
            let what = check["what"].as_str().unwrap_or_default();
            what.starts_with("schema registry") || what.starts_with("subject ")
        };
        checks.into_iter().filter(of_registry).collect::<Vec<_>>()
    };
    let sound = checks();
    assert_eq!(sound.len(), 5);
    for check in &sound {
        assert_eq!(check["level"], "good", "{check}");
    }
    let events = contracts.newest(&subject("events"));
    let found = format!("this release's schema is there (id {events}), BACKWARD_TRANSITIVE");
    assert_eq!(sound[1]["found"], found);

    contracts.set_level(&subject("events"), "NONE");
    // With a field that ours cannot do without, beside ours.
    let other = r#"{"type": "record", "name": "Match", "namespace": "campaign_manager", "fields": [
        {"name": "paid", "type": "boolean"}]}"#;
    contracts.register(&subject("matches"), other);
    let wrong = checks();
    let find = |checks: &[Value], topic: &str| {
        let what = format!("subject {}", subject(topic));
        let found = checks.iter().find(|check| check["what"] == what);
        let check = found.expect("a check of the subject").clone();
        let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
        (text("level"), text("found"), text("advice"))
    };
    let (level, found, advice) = find(&wrong, "events");
    assert_eq!(level, "warning");
    assert!(
        found.contains("NONE instead of BACKWARD_TRANSITIVE"),
        "{found}"
    );
    assert!(advice.contains("register-schemas"), "{advice}");
    let (level, found, advice) = find(&wrong, "matches");
    assert_eq!(level, "bad");
    assert!(
        found.contains("does not read what version 2 wrote"),
        "{found}"
    );
    assert!(advice.contains("delete that version"), "{advice}");
    assert_eq!(find(&wrong, "campaigns").0, "good");

    let away = installation.topic("nowhere");
    let elsewhere = ["doctor", "-o", "json", "--campaigns-topic", &away];
    let missing = installation.ctl(&elsewhere).exits(1).json();
    let missing = missing["checks"].as_array().expect("checks");
    let check = (missing.iter()).find(|check| check["what"] == format!("subject {away}-value"));
    let check = check.expect("a check of the subject");
    assert_eq!(check["found"], "not registered");

    registry.kill();
    let away = checks();
    assert_eq!(away.len(), 1);
    assert_eq!(away[0]["level"], "bad");
    let found = away[0]["found"].as_str().unwrap_or_default();
    assert!(
        found.contains("the schema registry cannot be asked"),
        "{found}"
    );
    registry.restart();
    assert_eq!(checks().len(), 5);
}
