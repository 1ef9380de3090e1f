//! Kafka Streams with event-ruler, as a team would write it: over a backlog like the matcher's, and as a process that is
//! stopped and started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::{servers, wait};

use crate::stage::Stage;
use crate::upstream::{Backlog, Events};

/// The part of the backlog that is decided before time is taken, so that Java's compiler is done.
const WARM_UP: f64 = 0.25;

/// What is to run, and where its files are.
pub(crate) struct Program {
    group: String,
    threads: u32,
    /// Its arguments.
    arguments: Vec<String>,
    folder: TempDir,
}

/// A running application. Killed when dropped.
pub(crate) struct Application {
    child: Child,
    log: PathBuf,
}

impl Drop for Application {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// `threshold` events of a customer in a week make a match, or each does with 0.
    pub(crate) fn new(stage: &Stage, patterns: &[Value], threshold: u32, threads: u32) -> Self {
        let folder = TempDir::new().expect("a folder");
        let rules = folder.path().join("patterns");
        let lines: Vec<String> = patterns.iter().map(Value::to_string).collect();
        fs::write(&rules, lines.join("\n")).expect("the folder can be written to");
        let path = |path: &Path| path.to_str().expect("a plain path").to_owned();
        let group = stage.topic("streams");
        let arguments = vec![
            stage.bootstrap.clone(),
            group.clone(),
            stage.topic("events"),
            stage.topic("matches"),
            path(&rules),
            threads.to_string(),
            path(&folder.path().join("state")),
            threshold.to_string(),
        ];
        Self {
            group,
            threads,
            arguments,
            folder,
        }
    }

    /// Its consumer group.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Where its stores are.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Application {
        static COMPILED: Once = Once::new();
        // Once, so that no start waits for the compiler.
        let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("streams");
        let jars = servers::home().join("jars/streams/*");
        COMPILED.call_once(|| {
            let made = Command::new("javac")
                .arg("-cp")
                .arg(&jars)
                .arg("-d")
                .arg(&classes)
                .arg(servers::root().join("tests/benches/peers/Streams.java"))
                .output()
                .expect("Java 17");
            let said = String::from_utf8_lossy(&made.stderr);
            assert!(made.status.success(), "dev/fetch streams? {said}");
        });
        let log = self.folder.path().join("log");
        let file = File::create(&log).expect("the folder can be written to");
        let child = Command::new("java")
            .args([
                "-Xmx4g",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                "-cp",
            ])
            .arg(format!("{}:{}", classes.display(), jars.display()))
            .arg("Streams")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be cloned"))
            .stderr(file)
            .spawn()
            .expect("Java 17");
        Application { child, log }
    }

    /// Waits until its threads have shared the partitions.
    pub(crate) fn wait_shared_out(&self, application: &Application, stage: &Stage) {
        wait::until("a balanced application", Duration::from_mins(20), || {
            application.log();
            stage.is_shared_out(&self.group, self.threads).then_some(())
        });
    }
}

impl Application {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        assert!(!log.contains("Exception"), "Kafka Streams: {log}");
        log
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) {
        servers::signal("TERM", self.pid());
        self.child.wait().expect("it ends");
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(self) {
        drop(self);
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
    let program = Program::new(stage, patterns, threshold, threads);
    let application = program.start();
    program.wait_shared_out(&application, stage);
    backlog.release();
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    let all = events.len() as f64;
    let mut first = None;
    loop {
        let topic = stage.topic("events");
        let committed = stage
            .kafka
            .committed(program.group(), &topic, stage.partitions);
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
