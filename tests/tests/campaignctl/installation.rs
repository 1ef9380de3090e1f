//! Topics and programs for one test, and `campaignctl` beside them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use tests::process::{Process, binary};
use tests::servers::Server;
use tests::topics::{self, Kafka};

/// Partitions of the events.
pub(crate) const PARTITIONS: i32 = 4;

/// What a command did.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The same, if it ended so.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    /// The output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}", self.out))
    }

    /// The output as a JSON document a line.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// An installation with topics of its own, whose names begin with a word that no other test uses.
pub(crate) struct Installation {
    pub(crate) kafka: Kafka,
    pub(crate) folder: TempDir,
    pub(crate) settings: Vec<(String, String)>,
    name: Option<String>,
    admin: Process,
}

impl Installation {
    /// One whose topics have names of their own.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::named(Some(format!("ctl{}_{number}", std::process::id())))
    }

    /// The one whose topics have the default names. There can be one in a run.
    pub(crate) fn with_default_names() -> Self {
        Self::named(None)
    }

    fn named(name: Option<String>) -> Self {
        let bootstrap = Server::shared_kafka().address();
        let folder = TempDir::new().expect("a folder");
        let mut settings = vec![("KAFKA_BOOTSTRAP_SERVERS".to_owned(), bootstrap.to_owned())];
        if let Some(name) = &name {
            settings.extend(topics::names(name));
            settings.push(("MATCHER_GROUP".to_owned(), format!("{name}-matcher")));
            settings.push(("RECORDER_GROUP".to_owned(), format!("{name}-recorder")));
            settings.push(("SETTLER_GROUP".to_owned(), format!("{name}-settler")));
        }
        let made = Command::new(binary("matcher"))
            .args(["create-topics", "--replication-factor", "1", "--partitions"])
            .arg(PARTITIONS.to_string())
            .envs(settings.clone())
            .output()
            .expect("matcher can be run; cargo build --workspace");
        assert!(made.status.success(), "{made:?}");
        let mut with_api = settings.clone();
        with_api.push(("AUTH".to_owned(), "none".to_owned()));
        with_api.push(("HTTP_ADDR".to_owned(), "127.0.0.1:0".to_owned()));
        let mut admin = Process::start("campaign-admin", folder.path(), &with_api);
        admin.wait_ready();
        settings.push((
            "CAMPAIGNCTL_SERVER".to_owned(),
            format!("http://{}", admin.api()),
        ));
        Self {
            kafka: Kafka::new(bootstrap),
            folder,
            settings,
            name,
            admin,
        }
    }

    /// Name of one of its topics.
    pub(crate) fn topic(&self, name: &str) -> String {
        match &self.name {
            Some(prefix) => format!("{prefix}-{name}"),
            None => name.to_owned(),
        }
    }

    /// Starts a program of ours and waits until it is ready.
    pub(crate) fn start(&self, program: &str, further: &[(&str, &str)]) -> Process {
        let mut settings = self.settings.clone();
        let further = further.iter();
        settings.extend(further.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut process = Process::start(program, self.folder.path(), &settings);
        process.wait_ready();
        process
    }

    /// Runs `campaignctl` in the installation's folder.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Ran {
        run(self.command(arguments))
    }

    /// Begins to run it.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("campaignctl can be run; cargo build --workspace")
    }

    /// The command, to be changed.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("campaignctl"));
        command
            .args(arguments)
            .envs(self.settings.clone())
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("RUST_BACKTRACE", "0")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Writes a file in the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Removes a file from the folder.
    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).expect("the file is there");
    }
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Ran {
    let output = command
        .output()
        .expect("campaignctl can be run; cargo build --workspace");
    ran(&output)
}

/// What came of a command.
pub(crate) fn ran(output: &std::process::Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The installation that tests of campaigns share; each uses ids of its own.
pub(crate) fn shared() -> &'static Installation {
    static SHARED: OnceLock<Installation> = OnceLock::new();
    SHARED.get_or_init(|| {
        let installation = Installation::new();
        installation.admin.end_with_this_process();
        installation
    })
}

/// A campaign in YAML.
pub(crate) fn campaign(id: &str, amount: u32, labels: &str) -> String {
    format!(
        "id: {id}\nname: Campaign {id}\nwhen:\n  event_type: [purchase]\n  payload:\n    amount: \
         [{{numeric: ['>=', {amount}]}}]\nreward: {{kind: credit, amount: 10.00, currency: USD}}\nlabels: \
         {{{labels}}}\n"
    )
}

/// A file's path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the test is text")
}
