//! Replicas of the API in an installation of a test.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::process::{Process, binary};
use tests::servers::Server;
use tests::topics::Seen;
use tests::wait;
use tests::world::World;

use crate::client::Api;

/// How long anything may take that is only a matter of time.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// An installation with topics of its own and no campaigns but those of the world.
pub(crate) struct Installation {
    pub(crate) world: World,
    folder: TempDir,
    database: Option<String>,
}

impl Installation {
    /// On the brokers that the tests share.
    pub(crate) fn new() -> Self {
        Self::with(None)
    }

    /// The same with a database.
    pub(crate) fn recorded() -> Self {
        Self::with(Some(Server::shared_cassandra().address()))
    }

    fn with(database: Option<&str>) -> Self {
        let kafka = Server::shared_kafka().address();
        Self {
            world: World::new(kafka, database),
            folder: TempDir::new().expect("a folder"),
            database: database.map(str::to_owned),
        }
    }

    /// A replica that lets everybody do everything, once it is ready.
    pub(crate) fn replica(&self) -> Replica {
        self.replica_with(&[("AUTH", "none")])
    }

    /// The settings of campaign-admin here.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let topic = |what: &str| self.world.topic(what);
        let mut settings = vec![
            (
                "KAFKA_BOOTSTRAP_SERVERS".to_owned(),
                Server::shared_kafka().address().to_owned(),
            ),
            ("CAMPAIGNS_TOPIC".to_owned(), topic("campaigns")),
            (
                "CAMPAIGN_CHANGES_TOPIC".to_owned(),
                topic("campaign-changes"),
            ),
            ("EVENTS_TOPIC".to_owned(), topic("events")),
            ("CUSTOMER_STATE_TOPIC".to_owned(), topic("customer-state")),
            ("CLAIMS_TOPIC".to_owned(), topic("claims")),
            ("BUDGET_STATE_TOPIC".to_owned(), topic("budget-state")),
            (
                "AUDIENCE_MEMBERS_TOPIC".to_owned(),
                topic("audience-members"),
            ),
            ("HTTP_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
            (
                "LOG_FILTER".to_owned(),
                "info,campaign_admin=debug".to_owned(),
            ),
        ];
        if let Some(nodes) = &self.database {
            settings.push(("SCYLLA_NODES".to_owned(), nodes.clone()));
            settings.push(("SCYLLA_KEYSPACE".to_owned(), self.world.name.clone()));
        }
        settings
    }

    /// Runs a command of campaign-admin to its end. Returns whether it succeeded, and what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(binary("campaign-admin"))
            .args(arguments)
            .envs(self.settings())
            .output()
            .expect("campaign-admin is built");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let printed = if printed.is_empty() { log } else { printed };
        (output.status.success(), printed)
    }

    /// A replica with these settings beyond those of the installation.
    pub(crate) fn replica_with(&self, further: &[(&str, &str)]) -> Replica {
        let mut settings = self.settings();
        let further = further.iter();
        settings.extend(further.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut process = Process::start("campaign-admin", self.folder.path(), &settings);
        process.wait_ready();
        Replica {
            api: Api::of(&process),
            process,
        }
    }

    /// All committed changes, in their order.
    pub(crate) fn changes(&self) -> Vec<Seen> {
        self.world
            .kafka
            .read_all(&self.world.topic("campaign-changes"))
    }

    /// All committed records of the campaigns, in their order.
    pub(crate) fn campaigns(&self) -> Vec<Seen> {
        self.world.kafka.read_all(&self.world.topic("campaigns"))
    }
}

/// A running replica.
pub(crate) struct Replica {
    pub(crate) api: Api,
    pub(crate) process: Process,
}

impl Replica {
    /// Waits until it shows something.
    pub(crate) fn wait_for<T>(&self, what: &str, look: impl Fn(&Api) -> Option<T>) -> T {
        wait::until(what, PATIENCE, || look(&self.api))
    }
}

/// A campaign of that id and description.
pub(crate) fn campaign(id: &str, description: &str) -> Value {
    json!({
        "id": id,
        "name": "$10 for purchases over $50",
        "description": description,
        "when": {"event_type": ["purchase"], "payload": {"amount": [{"numeric": [">=", 50]}]}},
        "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
    })
}
