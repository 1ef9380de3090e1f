//! Our programs as processes, to be watched, signalled and killed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::{servers, wait};

/// A running program of ours. Killed when dropped.
pub struct Process {
    child: Child,
    /// Of its health, once it has said it.
    address: OnceLock<String>,
    /// Of its API, likewise.
    api: OnceLock<String>,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with these settings. Its log goes to a file in `folder`; its health is served
    /// on a port that it finds itself, so that no other program can have taken it meanwhile.
    ///
    /// # Panics
    /// When the program is not built.
    pub fn start(program: &str, folder: &Path, settings: &[(String, String)]) -> Self {
        Self::start_file(&binary(program), folder, settings)
    }

    /// The same with a program that is not beside the test, such as one of an older release.
    ///
    /// # Panics
    /// When it is not there.
    pub fn start_file(path: &Path, folder: &Path, settings: &[(String, String)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let program = path.file_name().unwrap_or_default().display();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = folder.join(format!("{program}-{number}.log"));
        let file = File::create(&log).expect("the test's folder can be written to");
        let child = Command::new(path)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .env("METRICS_ADDR", "127.0.0.1:0")
            .env("LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be cloned"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{} cannot be run ({error}); cargo build --workspace",
                    path.display()
                )
            });
        Self {
            child,
            address: OnceLock::new(),
            api: OnceLock::new(),
            log,
        }
    }

    /// Waits until the program says that it does its work.
    pub fn wait_ready(&mut self) {
        wait::until("readiness", Duration::from_mins(1), || {
            if let Some(status) = self.ended() {
                panic!("the program ended with {status}:\n{}", self.log());
            }
            self.get("/readyz")
                .filter(|answer| answer.starts_with("HTTP/1.1 200"))
        });
    }

    /// The value of a metric, summed over its labels; none if it is not there.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics")?;
        let values: Vec<f64> = text
            .lines()
            .filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with([' ', '{']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Answer of its HTTP server, status line included; none if it does not answer.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()?).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Where it serves its health and metrics.
    pub fn metrics_address(&self) -> &str {
        wait::until("the address of metrics", Duration::from_secs(30), || {
            self.address()
        })
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("the program runs");
        self.child.wait().expect("a killed program ends");
    }

    /// Asks it to end, and waits until it has. Returns how it ended and how long that took.
    pub fn terminate(mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal("TERM");
        let deadline = Duration::from_secs(30);
        let status = wait::until("the end of the program", deadline, || self.ended());
        (status, asked.elapsed())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Sends a signal by its name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        servers::signal(name, self.pid());
    }

    /// Has it ended when the process of the test has, however that ends; for one in a static, which is
    /// never dropped.
    pub fn end_with_this_process(&self) {
        let (us, it) = (std::process::id().to_string(), self.pid().to_string());
        let watch = r#"(while kill -0 "$1"; do sleep 0.5; done; kill "$2") &"#;
        let watcher = Command::new("sh")
            .args(["-c", watch, "watcher", &us, &it])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            watcher.is_ok_and(|status| status.success()),
            "sh can be run"
        );
    }

    /// Where it serves its API, for programs that have one.
    pub fn api(&self) -> &str {
        let is_api = |line: &str| line.contains("\"message\":\"API\"");
        wait::until("the API's address", Duration::from_secs(30), || {
            self.announced(&self.api, is_api)
        })
    }

    /// Where it says it serves its health; none until it has said so.
    fn address(&self) -> Option<&str> {
        self.announced(&self.address, |line| line.contains("health and metrics"))
    }

    /// The address in the first line of the log of that kind.
    fn announced<'a>(
        &self,
        known: &'a OnceLock<String>,
        is_it: impl Fn(&str) -> bool,
    ) -> Option<&'a str> {
        if known.get().is_none() {
            let log = self.log();
            let line = log.lines().find(|line| is_it(line))?;
            let json: serde_json::Value = serde_json::from_str(line).ok()?;
            let address = json["fields"]["address"]
                .as_str()
                .or(json["address"].as_str())?;
            // Another call may have been quicker; it found the same.
            let _ = known.set(address.to_owned());
        }
        known.get().map(String::as_str)
    }

    /// What the program has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// So many lines of a log are shown when its test fails.
const LINES: usize = 300;

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
            eprintln!("--- {}\n{last}", self.log.display());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of ours, beside the test that runs: `target/PROFILE/NAME`.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("tests are in target/PROFILE/deps");
    profile.join(name)
}

/// Memory of a process in MiB: now, or at most so far.
pub fn memory(pid: u32, which: Memory) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let name = match which {
        Memory::Now => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    let kib: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .expect("a process has memory");
    kib / 1024.0
}

/// Which memory.
#[derive(Debug, Clone, Copy)]
pub enum Memory {
    /// As it is now.
    Now,
    /// The most so far.
    Peak,
}
