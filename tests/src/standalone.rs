//! The program that runs everything in one process, as `make demo` starts it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
use crate::topics::Kafka;
use crate::wait;

/// A running `standalone` with an embedded broker. Killed when dropped.
pub struct Standalone {
    /// The process.
    pub process: Process,
    /// Where its broker is.
    pub bootstrap: String,
}

impl Standalone {
    /// Starts it on the data in `folder`, on ports that it finds itself, and waits until it is ready.
    pub fn start(folder: &Path, further: &[(&str, &str)]) -> Self {
        let data = folder.join("data");
        let data = data.to_str().expect("a folder of ours has a plain name");
        let ours = [
            ("DATA_DIR", data),
            ("BROKER_PORT", "0"),
            ("HTTP_ADDR", "127.0.0.1:0"),
            ("INGEST_ADDR", "127.0.0.1:0"),
            ("LOG_FILTER", "info"),
        ];
        let settings: Vec<_> = ours
            .iter()
            .chain(further)
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut process = Process::start("standalone", folder, &settings);
        process.wait_ready();
        let bootstrap = wait::until("the broker's address", Duration::from_secs(10), || {
            let log = process.log();
            let line = log.lines().find(|line| line.starts_with("  Kafka "))?;
            Some(line.split_whitespace().nth(1)?.to_owned())
        });
        Self { process, bootstrap }
    }

    /// Its broker from outside.
    pub fn kafka(&self) -> Kafka {
        Kafka::new(&self.bootstrap)
    }

    /// The page of matches that was asked for, such as `?limit=5`.
    pub fn matches(&self, query: &str) -> Option<Value> {
        let answer = self.process.get(&format!("/matches{query}"))?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }

    /// How many matches it keeps.
    pub fn kept(&self) -> u64 {
        let page = self.matches("?limit=1");
        page.and_then(|page| page["kept"].as_u64()).unwrap_or(0)
    }

    /// Waits until it keeps so many matches.
    pub fn wait_kept(&self, matches: u64) {
        wait::until("matches", Duration::from_mins(1), || {
            (self.kept() >= matches).then_some(())
        });
    }
}
