//! The examples that need nothing but what `make test` needs, on a real Kafka. Those in other languages
//! are in `examples_fetched`, for `make test-examples`.

mod connect;
mod producers;
mod rewards;

use std::path::PathBuf;
use std::process::Command;

use tests::servers::{home, root};

/// A program in one file, run by Java with these jars.
fn java(jars: &str, example: &str) -> Command {
    let mut java = Command::new("java");
    java.arg("-cp").arg(classpath(jars));
    java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    java.arg(root().join(example));
    java
}

/// All jars that `dev/fetch` brings under that name.
fn classpath(name: &str) -> PathBuf {
    let fetched = Command::new(root().join("dev/fetch")).arg(name).status();
    assert!(
        fetched.is_ok_and(|status| status.success()),
        "dev/fetch {name}"
    );
    home().join("jars").join(name).join("*")
}

#[test]
fn the_producer_in_java_puts_customers_where_all_others_do() {
    let mut example = java("kafka", "examples/producers/java/Producer.java");
    producers::check("java", &mut example);
}

#[test]
fn the_producer_in_go_puts_customers_where_all_others_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("producer");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .current_dir(root().join("examples/producers/go"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "go build");
    producers::check("go", &mut Command::new(program));
}

#[test]
fn rewards_in_java_are_given_once() {
    let start = || java("kafka", "examples/rewards/java/Rewards.java");
    rewards::check("java", start, |ledger| {
        let lines = std::fs::read_to_string(ledger).unwrap_or_default();
        lines.lines().map(str::to_owned).collect()
    });
}
