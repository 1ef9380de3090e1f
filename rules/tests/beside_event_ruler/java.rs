//! event-ruler, in a Java of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Asks event-ruler all of these questions (see `Matches.java`). Returns an answer to each.
pub(crate) fn ask(questions: &[String]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("rules is a folder of the workspace");
    let fetched = Command::new(root.join("dev/fetch"))
        .arg("event-ruler")
        .output()
        .expect("dev/fetch can be run");
    let log = String::from_utf8_lossy(&fetched.stderr);
    assert!(fetched.status.success(), "dev/fetch event-ruler: {log}");

    let home = std::env::var_os("DEV_HOME").map_or_else(|| root.join(".dev"), PathBuf::from);
    let mut java = Command::new("java")
        // The program is short: what the first of Java's compilers makes of it is enough.
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(home.join("jars/event-ruler/*"))
        .arg(root.join("rules/benches/peers/Matches.java"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Java is there");
    let mut input = java.stdin.take().expect("a pipe");
    let answers = std::thread::scope(|scope| {
        // Beside reading, or both would wait once the pipes are full.
        scope.spawn(move || {
            for question in questions {
                writeln!(input, "{question}").expect("Java reads");
            }
        });
        java.wait_with_output().expect("Java ends")
    });
    assert!(
        answers.status.success(),
        "Java ended with {}",
        answers.status
    );
    let answers = String::from_utf8(answers.stdout).expect("Java writes UTF-8");
    let answers: Vec<String> = answers.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), questions.len(), "an answer to each question");
    answers
}
