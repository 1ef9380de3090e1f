//! What the README shows under "Run it", and what other pages show of an installation that runs.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tests::page::Block;
use tests::process::Process;
use tests::servers::Server;
use tests::shell::Shell;

/// Settings that a page leaves to its reader. The ports are free ones.
fn settings() -> Vec<(String, String)> {
    let (kafka, cassandra) = (Server::shared_kafka(), Server::shared_cassandra());
    let settings = [
        ("KAFKA_BOOTSTRAP_SERVERS", kafka.address()),
        ("SCYLLA_NODES", cassandra.address()),
        ("HTTP_ADDR", "127.0.0.1:0"),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    settings.into_iter().map(owned).collect()
}

/// Starts the service of a line such as `SETTING=value program &`, and waits until it is ready.
fn start(line: &str, folder: &Path, further: &[(&str, &str)]) -> Process {
    let words = line.trim_end_matches('&').split_whitespace();
    let (pairs, programs): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('='));
    let mut settings = settings();
    for (name, value) in pairs.iter().filter_map(|pair| pair.split_once('=')) {
        settings.push((name.to_owned(), value.to_owned()));
    }
    for (name, value) in further {
        settings.push(((*name).to_owned(), (*value).to_owned()));
    }
    let mut process = Process::start(programs[0], folder, &settings);
    process.wait_ready();
    process
}

#[test]
fn an_installation_comes_up_as_the_readme_says() {
    let folder = TempDir::new().expect("a folder");
    let mut shell = Shell::start(folder.path(), &settings());
    let [run, keys] = two(tests::blocks!("README.md"));

    // One broker and one node have no room for three copies.
    let lines = run.text.lines().map(|line| line.split('#').next());
    let lines = lines.map(|line| line.unwrap_or_default().trim());
    let (once, services): (Vec<_>, Vec<_>) = lines.partition(|line| line.contains(' '));
    for line in &once {
        for _ in 0..2 {
            shell.succeed(&format!("{line} --replication-factor 1"));
        }
    }
    assert_eq!(services, ["matcher", "campaign-admin", "ingest"]);
    let open = [("AUTH", "none")];
    let running = services
        .iter()
        .map(|line| start(line, folder.path(), &open));
    let running: Vec<_> = running.collect();
    let [matcher, admin, _] = &running[..] else {
        panic!("three services")
    };

    look(&mut shell, matcher, admin);
    send_with_a_key(&mut shell, &keys, folder.path());
    make_keys(&mut shell);
}

/// An event over HTTP, with a key.
fn send_with_a_key(shell: &mut Shell, block: &Block, folder: &Path) {
    let [first, second, ..] = block.text.lines().collect::<Vec<_>>()[..] else {
        panic!("a key, a service and an event")
    };
    shell.succeed(first);
    let keys = folder.join("keys.jsonl");
    let keys = keys.to_str().expect("a plain name");
    let ingest = start(&second.replace("keys.jsonl", keys), folder, &[]);
    let (_, curl) = block.text.split_once("&\n").expect("a service, and more");
    let curl = curl.replace("127.0.0.1:8080", ingest.api());
    let answer = shell.succeed(&curl);
    assert!(answer.contains("{\"event_id\":"), "{answer}");
    let answer = shell.succeed(&curl.replace("$KEY", "cm_other"));
    assert!(answer.contains("\"status\":401"), "{answer}");
}

/// The first looks of docs/runbooks.md.
fn look(shell: &mut Shell, matcher: &Process, admin: &Process) {
    shell.succeed(&format!("export CAMPAIGNCTL_SERVER=http://{}", admin.api()));
    for mut block in tests::blocks!("docs/runbooks.md") {
        block.text = (block.text).replace("127.0.0.1:9464", matcher.metrics_address());
        let looked = shell.follow(&block);
        assert!(looked.contains("ok        brokers"), "{looked}");
        assert!(
            looked.contains("the credentials may read campaigns"),
            "{looked}"
        );
    }
}

/// Keys as docs/security.md and docs/install.md have them made: in files of the shell's folder.
fn make_keys(shell: &mut Shell) {
    for block in tests::blocks!("docs/security.md") {
        let printed = shell.follow(&block);
        assert!(
            printed.lines().any(|line| line.starts_with("cm_")),
            "{printed}"
        );
    }
    shell.succeed("rm keys.jsonl");
    for block in tests::blocks!("docs/install.md") {
        shell.follow(&block);
    }
    // What becomes a secret is the key and nothing else.
    for file in ["till.key", "test.key"] {
        let key = shell.succeed(&format!("cat {file}"));
        assert!(
            key.starts_with("cm_") && !key.contains([' ', '\n']),
            "{key}"
        );
    }
    let records = shell.succeed("cat keys.jsonl");
    let records = records.lines().map(serde_json::from_str);
    let records: Vec<Value> = records.collect::<Result<_, _>>().expect("a line each");
    assert_eq!(records.len(), 2, "{records:?}");
}

fn two(blocks: Vec<Block>) -> [Block; 2] {
    <[Block; 2]>::try_from(blocks).expect("two blocks")
}
