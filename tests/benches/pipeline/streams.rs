//! Kafka Streams with event-ruler, as a team would write it, over a backlog like the matcher's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::wait;

use crate::stage::Stage;
use crate::upstream::{Backlog, Events};

/// The part of the backlog that is decided before time is taken, so that Java's compiler is done.
const WARM_UP: f64 = 0.25;

/// A running application. Killed when dropped.
struct Application {
    child: Child,
    log: PathBuf,
    _folder: TempDir,
}

impl Drop for Application {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Drains a backlog; returns the events a second after the first quarter. `threshold` events of a customer in a
/// week make a match, or each does with 0.
pub(crate) fn drain(
    stage: &Stage,
    patterns: &[Value],
    threshold: u32,
    threads: u32,
    events: &Events,
) -> f64 {
    let backlog = Backlog::write(stage, events);
    // As many events as the partition has records that count: the last offset is the transaction's marker.
    let ends = stage
        .kafka
        .ends(&stage.topic("events"), stage.partitions)
        .expect("the broker answers");
    let ends: Vec<i64> = ends.iter().map(|end| end.high).collect();
    let application = start(stage, patterns, threshold, threads);
    let group = group(stage);
    wait::until("a balanced application", Duration::from_mins(20), || {
        let log = fs::read_to_string(&application.log).unwrap_or_default();
        assert!(!log.contains("Exception"), "Kafka Streams: {log}");
        stage.is_shared_out(&group, threads).then_some(())
    });
    backlog.release();
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    let all = events.len() as f64;
    let mut first = None;
    loop {
        let topic = stage.topic("events");
        let committed = stage.kafka.committed(&group, &topic, stage.partitions);
        let now = Instant::now();
        let pairs = committed.iter().flatten().zip(&ends);
        let done: i64 = pairs.map(|(committed, end)| committed.min(end)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
        let done = done as f64;
        if done >= all * WARM_UP {
            let (begun, before) = *first.get_or_insert((now, done));
            if done >= all {
                return (all - before) / (now - begun).as_secs_f64();
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn group(stage: &Stage) -> String {
    stage.topic("streams")
}

fn start(stage: &Stage, patterns: &[Value], threshold: u32, threads: u32) -> Application {
    let folder = TempDir::new().expect("a folder");
    let rules = folder.path().join("patterns");
    let lines: Vec<String> = patterns.iter().map(Value::to_string).collect();
    fs::write(&rules, lines.join("\n")).expect("the folder can be written to");
    let log = folder.path().join("log");
    let file = File::create(&log).expect("the folder can be written to");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let home = std::env::var_os("DEV_HOME").map_or_else(|| root.join(".dev"), PathBuf::from);
    let jars = home.join("jars/streams/*");
    let child = Command::new("java")
        .args([
            "-Xmx4g",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            "-cp",
        ])
        .arg(jars)
        .arg(root.join("tests/benches/peers/Streams.java"))
        .args([&stage.bootstrap, &group(stage)])
        .args([stage.topic("events"), stage.topic("matches")])
        .arg(&rules)
        .arg(threads.to_string())
        .arg(folder.path().join("state"))
        .arg(threshold.to_string())
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a file can be cloned"))
        .stderr(file)
        .spawn()
        .expect("Java 17; dev/fetch streams brings the jars");
    Application {
        child,
        log,
        _folder: folder,
    }
}
