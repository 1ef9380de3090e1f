//! The first story, as `docs/demo.md` tells it: typed into a shell, line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tempfile::TempDir;
use tests::page;
use tests::process::binary;
use tests::rows;
use tests::servers::Server;

const PAGE: &str = include_str!("../../docs/demo.md");

/// The trace of the purchase.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Ports that the page gives to our services.
const PORTS: [&str; 5] = ["8080", "8081", "9464", "9465", "9466"];

/// How long a command may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

#[test]
fn the_first_story_happens_as_it_is_told() {
    let folder = TempDir::new().expect("a folder");
    let kafka = Server::kafka();
    let cassandra = Server::cassandra();
    let mut shell = Shell::start(folder.path(), kafka.address(), cassandra.address());
    let mut asked = 0;
    for block in page::blocks(&with_free_ports(PAGE)) {
        if let Some(name) = block.file() {
            std::fs::write(folder.path().join(name), &block.text).expect("a file");
        }
        for step in block.steps() {
            let (printed, code) = shell.run(&step.command);
            step.check(&printed, Some(code));
        }
        if block.info == "cql" {
            let found = rows::ask(cassandra.address(), block.text.trim().trim_end_matches(';'));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0]["match_id"], "e-1:ten-for-fifty");
            let trace = found[0]["traceparent"].as_str().unwrap_or_default();
            assert!(trace.contains(TRACE), "{trace}");
            asked += 1;
        }
    }
    assert_eq!(asked, 1, "the page asks the database once");
}

/// The page with other ports: somebody may use those that it shows.
fn with_free_ports(page: &str) -> String {
    let kept = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let mut page = page.to_owned();
    for (shown, free) in PORTS.iter().zip(&kept) {
        let free = free.local_addr().expect("an address").port();
        page = page.replace(&format!(":{shown}"), &format!(":{free}"));
    }
    page
}

/// A shell that keeps its variables and its jobs from one command to the next.
struct Shell {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    fn start(folder: &Path, kafka: &str, cassandra: &str) -> Self {
        let programs = binary("campaignctl");
        let programs = programs.parent().expect("a program is in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut child = Command::new("bash")
            .current_dir(folder)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("KAFKA_BOOTSTRAP_SERVERS", kafka)
            .env("SCYLLA_NODES", cassandra)
            .env("XDG_CONFIG_HOME", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash can be run");
        let output = child.stdout.take().expect("its output is ours");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let read = BufReader::new(output).lines().map_while(Result::ok);
            read.take_while(|line| sender.send(line.clone()).is_ok())
                .for_each(drop);
        });
        let input = child.stdin.take().expect("its input is ours");
        Self {
            child,
            input,
            lines,
        }
    }

    /// Runs a command. Returns what it printed and how it ended.
    fn run(&mut self, command: &str) -> (String, i32) {
        writeln!(
            self.input,
            "{{ {command}\n}} 2>&1; printf '\\n<<%d>>\\n' $?"
        )
        .expect("the shell listens");
        let mut printed = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{command} does not end: {printed:?}"));
            let code = line.strip_prefix("<<");
            match code.and_then(|code| code.strip_suffix(">>")?.parse().ok()) {
                Some(code) => {
                    // The empty line before the mark ends what had no end of line.
                    if printed.last().is_some_and(String::is_empty) {
                        printed.pop();
                    }
                    return (printed.join("\n"), code);
                }
                None => printed.push(line),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The page ends its jobs itself, if it came so far.
        let _ = writeln!(self.input, "kill $(jobs -p) 2> /dev/null; wait; exit");
        let _ = self.child.wait();
    }
}
