//! Deaths: of ingest, and of the broker behind it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::http::{Answer, Connection};
use tests::process::Process;
use tests::servers::Server;
use tests::wait;

use super::{Door, purchase};

const PATIENCE: Duration = Duration::from_mins(2);

/// Clients that send events until they are told to stop, and again what was not acknowledged.
struct Clients<'a> {
    door: &'a Door,
    /// Where ingest is now.
    address: Mutex<String>,
    stopped: AtomicBool,
    acknowledged: Mutex<HashMap<String, Value>>,
    broken: AtomicUsize,
}

impl Clients<'_> {
    /// One client: every other request is a batch. A request is repeated until it is acknowledged.
    fn run(&self, client: usize) {
        let mut connection = None;
        for number in 0.. {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            let size = if number % 2 == 0 { 1 } else { 20 };
            let events: Vec<_> = (0..size)
                .map(|at| purchase(&format!("{client}-{number}-{at}")))
                .collect();
            let body = match &*events {
                [event] => event.to_string(),
                events => json!(events).to_string(),
            };
            let request = self.door.post("application/json", &[], body.as_bytes());
            let events: HashMap<_, _> = events
                .into_iter()
                .map(|event| (event["event_id"].as_str().unwrap().to_owned(), event))
                .collect();
            loop {
                let answer = self.attempt(&mut connection, &request);
                self.note(&events, answer.as_ref());
                if answer.is_some_and(|answer| answer.status == 202) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20)); // before the next attempt
            }
        }
    }

    /// Notes what an answer promises: for several events to each its own.
    fn note(&self, events: &HashMap<String, Value>, answer: Option<&Answer>) {
        let Some(answer) = answer else {
            return;
        };
        let body = answer.json();
        let one = [json!({"status": answer.status, "event_id": body["event_id"]})];
        let items = body["items"].as_array().map_or(&one[..], |items| items);
        for item in items {
            match item["status"].as_u64() {
                Some(202) => {
                    let id = item["event_id"].as_str().unwrap();
                    let mut acknowledged = self.acknowledged.lock().unwrap();
                    acknowledged.insert(id.to_owned(), events[id].clone());
                }
                status => assert_eq!(status, Some(503), "{body}"),
            }
        }
    }

    fn attempt(&self, connection: &mut Option<Connection>, request: &[u8]) -> Option<Answer> {
        let address = self.address.lock().unwrap().clone();
        if connection.is_none() {
            *connection = Connection::open(&address).ok();
        }
        let answer = connection.as_mut()?.ask(request).ok();
        if answer.is_none() {
            *connection = None;
            self.broken.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    fn count(&self) -> usize {
        let acknowledged = self.acknowledged.lock();
        acknowledged.unwrap_or_else(PoisonError::into_inner).len()
    }

    fn wait_progress(&self, events: usize) {
        let before = self.count();
        wait::until("acknowledgements", PATIENCE, || {
            (self.count() >= before + events).then_some(())
        });
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed); // also when the test fails
    }
}

/// Lets clients send while `fault` happens, and compares what they were promised with what is there.
fn under_load(door: &Door, ingest: Process, fault: impl FnOnce(&Clients<'_>, Process) -> Process) {
    let clients = Clients {
        door,
        address: Mutex::new(ingest.api().to_owned()),
        stopped: AtomicBool::new(false),
        acknowledged: Mutex::default(),
        broken: AtomicUsize::new(0),
    };
    std::thread::scope(|scope| {
        for client in 0..8 {
            let clients = &clients;
            scope.spawn(move || clients.run(client));
        }
        let stop = Stop(&clients.stopped);
        let ingest = fault(&clients, ingest);
        drop(stop);
        // The last requests are still answered.
        ingest
    });
    let acknowledged = clients.acknowledged.into_inner().unwrap();
    let records = door.records();
    let there: HashMap<_, _> = records
        .iter()
        .map(|record| {
            let event = record.json();
            (event["event_id"].as_str().unwrap().to_owned(), event)
        })
        .collect();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|(id, event)| there.get(*id) != Some(*event))
        .collect();
    assert!(lost.is_empty(), "{} lost: {:?}", lost.len(), lost.first());
    println!(
        "{} events acknowledged, {} records, {} connections broken",
        acknowledged.len(),
        records.len(),
        clients.broken.load(Ordering::Relaxed)
    );
}

#[test]
fn no_acknowledged_event_is_lost_when_ingest_is_killed_under_load() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[]);
    under_load(&door, ingest, |clients, mut ingest| {
        for _ in 0..4 {
            clients.wait_progress(2_000);
            let broken = clients.broken.load(Ordering::Relaxed);
            ingest.kill();
            ingest = door.ingest(&[]);
            ingest
                .api()
                .clone_into(&mut clients.address.lock().unwrap());
            clients.wait_progress(100);
            let after = clients.broken.load(Ordering::Relaxed);
            assert!(after >= broken + 8, "every client was cut off");
        }
        ingest
    });
}

#[test]
fn no_acknowledged_event_is_lost_when_the_broker_is_killed_under_load() {
    let mut kafka = Server::kafka();
    let door = Door::new(kafka.address());
    let ingest = door.ingest(&[("DELIVERY_TIMEOUT_MS", "2000")]);
    under_load(&door, ingest, |clients, ingest| {
        for _ in 0..2 {
            clients.wait_progress(2_000);
            kafka.kill();
            kafka.restart();
        }
        clients.wait_progress(2_000);
        ingest
    });
}

#[test]
fn ingest_follows_the_broker_that_is_away_comes_goes_and_comes_back() {
    let mut kafka = Server::kafka();
    let door = Door::new(kafka.address());
    kafka.kill();
    let mut ingest = door.start(&[("DELIVERY_TIMEOUT_MS", "2000")]);
    not_ready(&door, &ingest);
    kafka.restart();
    ingest.wait_ready();
    let send = |id: &str| -> (Answer, Duration) {
        let begun = Instant::now();
        let body = purchase(id).to_string();
        let answer = door.send(&ingest, "application/json", body.as_bytes());
        (answer, begun.elapsed())
    };
    assert_eq!(send("before").0.status, 202);

    kafka.kill();
    let (answer, _) = send("lost");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["event_id"], "lost", "to be sent again");
    // From now on one at a time tries; all others hear at once.
    let quick = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|at| scope.spawn(move || send(&format!("{at}"))))
            .collect();
        let answers = threads.into_iter().map(|thread| thread.join().unwrap());
        answers
            .filter(|(answer, took)| {
                assert_eq!(answer.status, 503);
                assert!(answer.header("retry-after").is_some());
                *took < Duration::from_secs(1)
            })
            .count()
    });
    assert!(quick >= 7, "{quick} of 8 were refused at once");
    let health = ingest.get("/healthz").unwrap();
    assert!(
        health.starts_with("HTTP/1.1 200"),
        "a restart would mend nothing"
    );

    kafka.restart();
    let back = wait::until("an acknowledgement", PATIENCE, || {
        let (answer, _) = send("back");
        (answer.status == 202).then_some(answer)
    });
    assert_eq!(back.json()["event_id"], "back");
    let ids: HashSet<_> = door
        .records()
        .iter()
        .map(|record| record.json()["event_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids.contains("before") && ids.contains("back"));
}

/// Ingest has not seen the topic yet, says so, and refuses events.
fn not_ready(door: &Door, ingest: &Process) {
    let body = purchase("early").to_string();
    let request = door.post("application/json", &[], body.as_bytes());
    let answer = wait::until("an answer", PATIENCE, || {
        Connection::open(ingest.api()).ok()?.ask(&request).ok()
    });
    assert_eq!(answer.status, 503);
    let ready = ingest.get("/readyz").unwrap();
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("ingest"),
        "{ready}"
    );
}
