//! `campaign-admin register-schemas`, against a real registry.

use std::process::{Command, Output};

use serde_json::json;
use tests::contracts::Contracts;
use tests::process::binary;
use tests::servers::Server;
use tests::shell::Shell;

const SUBJECTS: [(&str, &str); 4] = [
    ("events-value", "BACKWARD_TRANSITIVE"),
    ("campaigns-value", "BACKWARD_TRANSITIVE"),
    ("campaign-changes-value", "FULL_TRANSITIVE"),
    ("matches-value", "FULL_TRANSITIVE"),
];

fn register(contracts: &Contracts, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("campaign-admin"));
    command
        .arg("register-schemas")
        .args(arguments)
        .env("SCHEMA_REGISTRY_URL", contracts.url())
        .env("LOG_FORMAT", "json");
    command
}

fn told(output: &Output) -> String {
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn schemas_are_registered_once_by_two_at_once_and_again() {
    let registry = Server::registry();
    let contracts = Contracts::new(registry.address());
    let dry = register(&contracts, &["--dry-run"])
        .output()
        .expect("it runs");
    let first = told(&dry);
    assert!(first.contains("events-value: register version 1, set BACKWARD_TRANSITIVE"));
    assert!(contracts.versions("events-value").is_empty());

    let both = [(); 2].map(|()| {
        let mut command = register(&contracts, &[]);
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command.spawn().expect("it runs")
    });
    for child in both {
        told(&child.wait_with_output().expect("it ends"));
    }
    let ids = || SUBJECTS.map(|(subject, _)| contracts.newest(subject));
    let registered = ids();
    let again = told(&register(&contracts, &[]).output().expect("it runs"));
    assert_eq!(ids(), registered);
    for (subject, level) in SUBJECTS {
        assert_eq!(contracts.versions(subject), [json!(1)]);
        assert_eq!(contracts.level(subject), level);
        let line = format!(
            "{subject}: schema is there (id {}), {level}",
            contracts.newest(subject)
        );
        assert!(again.contains(&line), "{line} in {again}");
    }
}

#[test]
fn the_commands_of_the_page_register_and_say_what_would_be_done() {
    let registry = Server::registry();
    let url = (
        "SCHEMA_REGISTRY_URL".to_owned(),
        Contracts::new(registry.address()).url(),
    );
    let mut shell = Shell::start(&std::env::temp_dir(), &[url]);
    for block in tests::blocks!("docs/schemas.md") {
        let said = shell.follow(&block);
        for (subject, level) in SUBJECTS {
            let made = format!("{subject}: register version 1, set {level}");
            let there = format!("{subject}: schema is there (id ");
            assert!(said.contains(&made), "{made} in {said}");
            assert!(said.contains(&there), "{there} in {said}");
        }
    }
}

#[test]
fn a_schema_that_may_not_follow_is_refused_and_nothing_is_registered() {
    let registry = Server::registry();
    let contracts = Contracts::new(registry.address());
    // Matches as somebody else wrote them: with a field that ours cannot do without.
    let schema = r#"{"type": "record", "name": "Match", "namespace": "campaign_manager", "fields": [
        {"name": "match_id", "type": "string"}, {"name": "paid", "type": "boolean"}]}"#;
    contracts.register("matches-value", schema);
    let output = register(&contracts, &[]).output().expect("it runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("nothing was registered"), "{log}");
    assert!(log.contains("matches-value: "), "{log}");
    assert!(contracts.versions("events-value").is_empty());
    assert_eq!(contracts.versions("matches-value"), [json!(1)]);

    let away = Contracts::new("127.0.0.1:1");
    let output = register(&away, &[]).output().expect("it runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(
        log.contains("events-value: the schema registry cannot be asked"),
        "{log}"
    );
}
