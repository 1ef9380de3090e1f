//! All services of an installation, with all that they can tell of.

use std::time::Duration;

use serde_json::{Value, json};
use service::auth::{Scope, Scopes, make_key};
use tempfile::TempDir;
use tests::http::{Connection, request};
use tests::process::Process;
use tests::servers::Server;
use tests::topics::Written;
use tests::world::World;

pub(crate) struct Services {
    key: String,
    matcher: Process,
    admins: [Process; 2],
    ingest: Process,
    _folder: TempDir,
    world: World,
}

impl Services {
    pub(crate) fn start() -> Self {
        let world = World::with_registry(
            Server::shared_kafka().address(),
            Some(Server::shared_cassandra().address()),
            Server::shared_registry().address(),
        );
        let folder = TempDir::new().expect("a folder");
        let now = jiff::Timestamp::now();
        let scopes: Scopes = Scope::ALL.into_iter().collect();
        let (key, record) = make_key("all", scopes, now, None);
        let keys = folder.path().join("keys");
        let line = serde_json::to_string(&record).expect("JSON");
        std::fs::write(&keys, line).expect("the folder can be written to");
        let disk = folder.path().join("disk");
        let state = ("STATE_DIR", disk.to_str().expect("UTF-8"));
        let serve = |program: &str| {
            let topics = [
                ("EVENTS_TOPIC", world.topic("events")),
                ("API_KEYS_FILE", keys.display().to_string()),
                ("HTTP_ADDR", "127.0.0.1:0".to_owned()),
            ];
            let topics: Vec<_> = topics
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect();
            let mut process = world.start(program, &topics);
            process.wait_ready();
            process
        };
        Self {
            matcher: world.matcher_with("m-0", &[state]),
            admins: [serve("campaign-admin"), serve("campaign-admin")],
            ingest: serve("ingest"),
            key: key.reveal().to_owned(),
            _folder: folder,
            world,
        }
    }

    /// Where their metrics are.
    pub(crate) fn targets(&self) -> Vec<String> {
        let [first, second] = &self.admins;
        let processes = [&self.matcher, first, second, &self.ingest];
        let address = |process: &Process| process.metrics_address().to_owned();
        processes.into_iter().map(address).collect()
    }

    /// Lets all happen that they tell of, again and again, while `look` looks.
    pub(crate) fn at_work(&self, look: impl FnOnce() + Send) {
        self.world.under_load(200, || {
            std::thread::scope(|scope| {
                let looking = scope.spawn(look);
                // A second member comes and goes, so that the first brings customers back.
                let mut round = 0;
                let mut second = None;
                while !looking.is_finished() {
                    self.round(round);
                    if round % 20 == 5 {
                        second = Some(self.world.matcher("m-1"));
                    }
                    if round % 20 == 15
                        && let Some(second) = second.take()
                    {
                        let (status, took) = second.terminate();
                        assert!(status.success(), "{status} after {took:?}");
                    }
                    round += 1;
                    std::thread::sleep(Duration::from_millis(500));
                }
            });
        });
    }

    /// A budget that is used to half of it with the first purchase; matches are held for a moment, and half of each comes back.
    /// And a pool of coupons that nobody has filled.
    fn buy_and_return(&self, round: usize) {
        if round == 0 {
            let campaign = json!({
                "id": "budgeted", "name": "of a test", "when": {"event_type": ["order"]}, "hold": "1s",
                "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
                "limits": {"total": {"amount": "20.00"}},
                "reverse_on": {"event_type": ["refund"], "same": "payload.order", "amount": "payload.amount"},
            });
            self.post(&self.admins[0], "/v1/campaigns", &campaign, true, 201);
            let coupon = json!({
                "id": "from-a-pool", "name": "of a test", "when": {"event_type": ["order"]},
                "reward": {"kind": "coupon", "pool": "empty"},
            });
            self.post(&self.admins[0], "/v1/campaigns", &coupon, true, 201);
        }
        for (kind, amount) in [("order", 80), ("refund", 40)] {
            let event = json!({
                "event_id": format!("{kind}-{round}"), "customer_id": "joe", "event_type": kind,
                "occurred_at": jiff::Timestamp::now().to_string(),
                "payload": {"order": round, "amount": amount},
            });
            self.post(&self.ingest, "/v1/events", &event, true, 202);
        }
    }

    fn round(&self, round: usize) {
        self.buy_and_return(round);
        let event = |customer: &str| {
            json!({
                "event_id": format!("e-{round}-{customer}"), "customer_id": customer,
                "event_type": "purchase", "occurred_at": jiff::Timestamp::now().to_string(),
                "payload": {"amount": 75, "country": "US"},
            })
        };
        // Twice the same event; one that is none; somebody without a key.
        for status in [202, 202] {
            self.post(&self.ingest, "/v1/events", &event("ada"), true, status);
        }
        self.post(
            &self.ingest,
            "/v1/events",
            &json!({"event_type": 1}),
            true,
            422,
        );
        self.post(&self.ingest, "/v1/events", &event("eve"), false, 401);
        // Replicas that take turns fence each other.
        let campaign = json!({
            "id": format!("c-{round}"), "name": "of a test",
            "when": {"event_type": ["nothing"]}, "reward": {"kind": "none"},
        });
        let admin = &self.admins[round % 2];
        self.post(admin, "/v1/campaigns", &campaign, true, 201);
        self.post(admin, "/v1/campaigns", &campaign, false, 401);
        // What is poison on each topic.
        let garbage = Written {
            key: Some(b"garbage".to_vec()),
            value: Some(b"garbage".to_vec()),
            ..Written::default()
        };
        for topic in ["events", "campaigns", "matches"] {
            self.world.kafka.send(&self.world.topic(topic), &garbage);
        }
    }

    fn post(&self, to: &Process, path: &str, body: &Value, with_key: bool, status: u16) {
        let bearer = format!("Bearer {}", if with_key { &self.key } else { "nobody" });
        let headers = [
            ("authorization", &*bearer),
            ("content-type", "application/json"),
        ];
        let request = request("POST", path, &headers, body.to_string().as_bytes());
        let mut connection = Connection::open(to.api()).expect("it listens");
        let answer = connection.ask(&request).expect("it answers");
        let said = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{path}: {said}");
    }
}
