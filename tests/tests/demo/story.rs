//! The first story, as `docs/demo.md` tells it: typed into a shell, line by line.

use std::net::TcpListener;

use tempfile::TempDir;
use tests::rows;
use tests::servers::root;
use tests::shell::Shell;

/// The trace of the purchase.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Ports that the page gives to our services.
const PORTS: [&str; 5] = ["8080", "8081", "9464", "9465", "9466"];

#[test]
fn the_first_story_happens_as_it_is_told() {
    let folder = TempDir::new().expect("a folder");
    let replaced = replacements(folder.path().to_str().expect("a plain name"));
    let mut shell = Shell::start(root(), &[]);
    let mut asked = 0;
    for mut block in tests::blocks!("docs/demo.md") {
        for (shown, here) in &replaced {
            block.text = block.text.replace(shown, here);
        }
        if block.info == "cql" {
            let cassandra = shell.succeed("echo $SCYLLA_NODES");
            let found = rows::ask(&cassandra, block.text.trim().trim_end_matches(';'));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0]["match_id"], "e-1:ten-for-fifty");
            let trace = found[0]["traceparent"].as_str().unwrap_or_default();
            assert!(trace.contains(TRACE), "{trace}");
            asked += 1;
        } else {
            shell.follow(&block);
        }
    }
    assert_eq!(asked, 1, "the page asks the database once");
}

/// What the page shows and somebody may have already, and what stands for it here: servers, a folder, ports.
fn replacements(folder: &str) -> Vec<(String, String)> {
    let pid = std::process::id();
    let mut replaced = vec![("/tmp/demo".to_owned(), folder.to_owned())];
    for kind in ["kafka", "cassandra"] {
        let (shown, here) = (format!("demo-{kind}"), format!("story-{pid}-{kind}"));
        let start = format!("dev/server start {kind}");
        let until = format!("{start} {here} --until-pid {pid}");
        replaced.push((format!("{start} {shown}"), until));
        replaced.push((shown, here));
    }
    let kept = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    for (shown, free) in PORTS.iter().zip(&kept) {
        let free = free.local_addr().expect("an address").port();
        replaced.push((format!(":{shown}"), format!(":{free}")));
    }
    replaced
}
