//! Our programs as processes, to be watched, signalled and killed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait;

/// A running program of ours. Killed when dropped.
pub struct Process {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with these settings. Its log goes to a file in `folder`; its health is served
    /// on a free port.
    ///
    /// # Panics
    /// When the program is not built.
    pub fn start(program: &str, folder: &Path, settings: &[(String, String)]) -> Self {
        let path = binary(program);
        let address = format!("127.0.0.1:{}", free_port());
        let port = address.rsplit(':').next().unwrap_or_default();
        let log = folder.join(format!("{program}-{port}.log"));
        let file = File::create(&log).expect("the test's folder can be written to");
        let child = Command::new(&path)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .env("METRICS_ADDR", &address)
            .env("LOG_FORMAT", "pretty")
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
            address,
            log,
        }
    }

    /// Waits until the program says that it does its work.
    pub fn wait_ready(&mut self) {
        wait::until("readiness", Duration::from_mins(1), || {
            if let Ok(Some(status)) = self.child.try_wait() {
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
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
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

    /// Asks it to end. Returns whether it ended well.
    pub fn terminate(mut self) -> bool {
        self.signal("TERM");
        let deadline = Duration::from_secs(30);
        wait::until("the end of the program", deadline, || {
            self.child.try_wait().ok()?
        })
        .success()
    }

    /// Sends a signal by its name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// What the program has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
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

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port").port()
}
