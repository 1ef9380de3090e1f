//! Matches to a file by Kafka Connect.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::servers::{Server, root};
use tests::wait;
use tests::world::World;

use crate::classpath;

#[test]
fn connect_writes_every_match_to_a_file_once() {
    let world = World::new(Server::shared_kafka().address(), None);
    let matcher = world.matcher("m");
    world.produce(300);
    world.wait_quiet();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("matches.jsonl");
    // What is different here: addresses and names.
    let written = |name: &str, changes: &[(&str, String)]| {
        let path = root().join("examples/connect").join(name);
        let mut text = std::fs::read_to_string(path).expect("the example is there");
        for (line, value) in changes {
            let found = text.lines().find(|found| found.starts_with(line));
            let found = found.expect("the example has the line").to_owned();
            text = text.replace(&found, &format!("{line}{value}"));
        }
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        path
    };
    let offsets = folder.path().join("connect.offsets");
    let worker = written(
        "worker.properties",
        &[
            (
                "bootstrap.servers=",
                Server::shared_kafka().address().to_owned(),
            ),
            (
                "offset.storage.file.filename=",
                offsets.display().to_string(),
            ),
        ],
    );
    let name = format!("{}-to-file", world.name);
    let sink = written(
        "matches-to-file.properties",
        &[
            ("name=", name),
            ("topics=", world.topic("matches")),
            ("file=", file.display().to_string()),
        ],
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("a file");
    let mut connect = Command::new("java")
        .arg("-cp")
        .arg(classpath("connect"))
        .args(["-Xmx256m", "org.apache.kafka.connect.cli.ConnectStandalone"])
        .args([&worker, &sink])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("java runs");
    let won = world.read("matches");
    let id = |document: &serde_json::Value| document["match_id"].to_string();
    let expected: BTreeSet<_> = won.iter().map(|seen| id(&seen.json())).collect();
    assert!(!expected.is_empty());
    let found = std::panic::catch_unwind(|| {
        wait::until("the matches in the file", Duration::from_mins(2), || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let documents: Vec<serde_json::Value> = (text.lines())
                .map_while(|line| serde_json::from_str(line).ok())
                .collect();
            (documents.len() >= expected.len()).then_some(documents)
        })
    });
    let _ = connect.kill();
    let _ = connect.wait();
    drop(matcher);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let found = found.unwrap_or_else(|_| panic!("{log}"));
    assert_eq!(found.len(), expected.len(), "none twice");
    assert_eq!(found.iter().map(id).collect::<BTreeSet<_>>(), expected);
}
