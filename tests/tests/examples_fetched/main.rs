//! The examples that need Python or Node and packages of theirs: `make test-examples`, which brings the
//! packages and says where they are.

#[path = "../examples/producers.rs"]
mod producers;
#[path = "../examples/rewards.rs"]
mod rewards;

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::servers::root;

/// What `make test-examples` says.
fn told(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    let value = value.unwrap_or_else(|| panic!("{variable} is not set; run make test-examples"));
    PathBuf::from(value)
}

fn python(example: &str) -> Command {
    let mut python = Command::new(told("EXAMPLES_PYTHON"));
    python.arg(root().join(example));
    python
}

#[test]
fn the_producer_in_python_puts_customers_where_all_others_do() {
    producers::check(
        "python",
        &mut python("examples/producers/python/producer.py"),
    );
}

#[test]
fn the_producer_in_node_puts_customers_where_all_others_do() {
    let mut node = Command::new("node");
    node.arg(root().join("examples/producers/node/producer.js"));
    node.env("NODE_PATH", told("EXAMPLES_NODE_MODULES"));
    producers::check("node", &mut node);
}

#[test]
fn rewards_in_python_are_given_once() {
    let read = |ledger: &Path| {
        let script = "import sqlite3, sys\n\
                      for row in sqlite3.connect(sys.argv[1]).execute(\"SELECT match_id FROM rewards UNION ALL \
                      SELECT '-' || reversal_id FROM returns\"): print(*row)";
        let rows = Command::new(told("EXAMPLES_PYTHON"))
            .args(["-c", script])
            .arg(ledger)
            .output()
            .expect("python runs");
        let rows = String::from_utf8_lossy(&rows.stdout).into_owned();
        rows.lines().map(str::to_owned).collect()
    };
    let start = || python("examples/rewards/python/rewards.py");
    rewards::check("python", start, read);
}
