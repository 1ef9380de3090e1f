//! Real servers, brought and started by the project's own scripts in `dev/`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::{NamedTempFile, TempDir};

use crate::markers::Markers;

/// A server of this test run, under a name of its own. Ends and forgets its data when it is dropped,
/// or when the test's process ends.
#[derive(Debug)]
pub struct Server {
    kind: &'static str,
    name: String,
    address: String,
    /// Further properties of a broker, or what a Prometheus is to read.
    properties: Option<NamedTempFile>,
    /// The name of the broker whose cluster it joins.
    joins: Option<String>,
}

impl Server {
    /// Starts a Kafka broker.
    pub fn kafka() -> Self {
        Self::start("kafka", None)
    }

    /// Starts a Kafka broker with these properties besides, a line each.
    pub fn kafka_with(properties: &str) -> Self {
        Self::start("kafka", Some(self::properties(properties)))
    }

    /// Starts a Kafka broker that joins the cluster of that one; its id is 2, as the first's is 1.
    pub fn kafka_beside(first: &Self) -> Self {
        Self::started("kafka", None, Some(first.name.clone()))
    }

    /// The same, known to all under the address of those markers.
    pub fn kafka_behind(first: &Self, markers: &Markers) -> Self {
        let advertised = format!("advertised.listeners=PLAINTEXT://{}\n", markers.address());
        let second = Self::started(
            "kafka",
            Some(properties(&advertised)),
            Some(first.name.clone()),
        );
        markers.lead_to(second.address());
        second
    }

    /// Starts a Cassandra node.
    pub fn cassandra() -> Self {
        Self::start("cassandra", None)
    }

    /// Starts a schema registry.
    pub fn registry() -> Self {
        Self::start("registry", None)
    }

    /// Starts a Prometheus that reads what this configuration says. Its paths are absolute.
    pub fn prometheus(configuration: &str) -> Self {
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), configuration).expect("the file can be written");
        Self::start("prometheus", Some(file))
    }

    /// A broker that the tests of this binary share. Nobody may stop it.
    pub fn shared_kafka() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::kafka)
    }

    /// A node that the tests of this binary share. Nobody may stop it.
    pub fn shared_cassandra() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::cassandra)
    }

    /// A schema registry that the tests of this binary share. Nobody may stop it.
    pub fn shared_registry() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::registry)
    }

    fn start(kind: &'static str, properties: Option<NamedTempFile>) -> Self {
        Self::started(kind, properties, None)
    }

    fn started(
        kind: &'static str,
        properties: Option<NamedTempFile>,
        joins: Option<String>,
    ) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{kind}-{number}", std::process::id());
        let mut server = Self {
            kind,
            name,
            address: String::new(),
            properties,
            joins,
        };
        server.restart();
        server
    }

    /// Where it listens, as host:port; the same after a restart.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Kills it, as a crash would.
    pub fn kill(&self) {
        script(&["kill", &self.name]);
    }

    /// What a Cassandra has written to its log so far, as it may be found on the disk after a loss of
    /// power: it forces its log to the disk every 10 s (`commitlog_sync_period`).
    pub fn disk(&self) -> Disk {
        let copy = TempDir::new().expect("a folder");
        copy_files(&self.commit_log(), copy.path());
        Disk(copy)
    }

    /// Kills it as a loss of power would: of its log there is what was on the disk.
    pub fn lose_power(&self, disk: &Disk) {
        self.kill();
        let log = self.commit_log();
        std::fs::remove_dir_all(&log).expect("the log can be removed");
        std::fs::create_dir(&log).expect("a folder");
        copy_files(disk.0.path(), &log);
    }

    fn commit_log(&self) -> PathBuf {
        home().join(&self.name).join("data/commitlog")
    }

    /// Stops it from running, as a machine that is out of breath: it keeps its connections and answers
    /// nobody, until [`Server::resume`].
    pub fn pause(&self) {
        signal("STOP", self.pid());
    }

    /// Lets it run again.
    pub fn resume(&self) {
        signal("CONT", self.pid());
    }

    /// Starts it again, with the data it had. Returns when it answers.
    pub fn restart(&mut self) {
        let pid = std::process::id().to_string();
        let properties = self.properties.as_ref().map(NamedTempFile::path);
        let variable = match self.kind {
            "prometheus" => "DEV_PROMETHEUS_CONFIG",
            _ => "DEV_KAFKA_PROPERTIES",
        };
        let properties = properties.map(|file| (variable, file.as_os_str()));
        let joins = self
            .joins
            .as_ref()
            .map(|name| ("DEV_KAFKA_JOIN", name.as_ref()));
        let arguments = ["start", self.kind, &self.name, "--until-pid", &pid];
        let printed = script_with(&arguments, properties.into_iter().chain(joins));
        printed.trim().clone_into(&mut self.address);
    }

    /// Process id of the server, to look at what it costs.
    pub fn pid(&self) -> u32 {
        let file = home().join(&self.name).join("pid");
        let pid = std::fs::read_to_string(file).expect("a started server has a pid file");
        pid.trim().parse().expect("a pid file holds a pid")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script(&["remove", &self.name]);
    }
}

fn properties(lines: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), lines).expect("the file can be written");
    file
}

/// See [`Server::disk`].
pub struct Disk(TempDir);

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a file has a name");
        std::fs::copy(&path, to.join(name)).expect("a file can be copied");
    }
}

/// Sends a signal by its name, such as `STOP`.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
}

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the workspace")
}

/// Where servers keep their data; not part of the repository.
pub fn home() -> PathBuf {
    std::env::var_os("DEV_HOME").map_or_else(|| root().join(".dev"), PathBuf::from)
}

fn script(arguments: &[&str]) -> String {
    script_with(arguments, [])
}

/// Runs it with variables of its environment.
fn script_with<'v>(
    arguments: &[&str],
    variables: impl IntoIterator<Item = (&'v str, &'v OsStr)>,
) -> String {
    let mut command = Command::new(root().join("dev/server"));
    command.args(arguments);
    command.envs(variables);
    let output = command.output().expect("dev/server can be run");
    assert!(
        output.status.success(),
        "dev/server {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
