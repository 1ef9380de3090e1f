//! More than can be taken, and the end of taking.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tests::http::Connection;
use tests::process::{Memory, memory};
use tests::servers::Server;
use tests::wait;

use super::{Door, ask, purchase};

/// A broker that stands still, 48 clients with a megabyte each, again and again: without bounds a
/// hundred megabytes a second.
#[test]
fn at_overload_requests_are_refused_and_memory_stays_bounded() {
    let kafka = Server::kafka();
    let door = Door::new(kafka.address());
    let ingest = door.ingest(&[
        ("MAX_BUFFERED_BYTES", "16777216"),
        ("KAFKA_CONFIG", "queue.buffering.max.kbytes=16384"),
        ("DELIVERY_TIMEOUT_MS", "3000"),
    ]);
    let mut event = purchase("big");
    event["payload"]["note"] = json!("x".repeat(900));
    let batch = json!(vec![event; 1000]).to_string();
    let request = door.post("application/json", &[], batch.as_bytes());
    let (stopped, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    kafka.pause();
    std::thread::scope(|scope| {
        for _ in 0..48 {
            scope.spawn(|| {
                let mut connection = Connection::open(ingest.api()).unwrap();
                while !stopped.load(Ordering::Relaxed) {
                    let answer = connection.ask(&request).expect("every request is answered");
                    if answer.status == 503 {
                        assert!(answer.header("retry-after").is_some());
                        refused.fetch_add(1, Ordering::Relaxed);
                    } else {
                        // Some events were handed over before the broker stood still.
                        assert!(matches!(answer.status, 202 | 207), "{}", answer.status);
                    }
                }
            });
        }
        wait::until("refusals", Duration::from_mins(1), || {
            (refused.load(Ordering::Relaxed) >= 2_000).then_some(())
        });
        stopped.store(true, Ordering::Relaxed);
    });
    let peak = memory(ingest.pid(), Memory::Peak);
    println!("{refused:?} requests refused, {peak:.0} MiB at most");
    assert!(peak < 160.0, "{peak} MiB");
    let health = ingest.get("/healthz").unwrap();
    assert!(health.starts_with("HTTP/1.1 200"));

    kafka.resume();
    wait::until("an acknowledgement", Duration::from_mins(1), || {
        let body = purchase("after").to_string();
        let answer = door.send(&ingest, "application/json", body.as_bytes());
        (answer.status == 202).then_some(())
    });
}

/// Bodies of 4 MiB, none of which comes to its end, where there is memory for four and a half: only so many clients
/// are asked for theirs. Without the budget all would be, and each could hold 4 MiB for as long as it likes.
#[test]
fn bodies_are_asked_for_only_as_far_as_there_is_memory_for_them() {
    const BODY: usize = 4 * 1024 * 1024;
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[("MAX_BUFFERED_BYTES", &(BODY / 2 * 9).to_string())]);
    let blank = vec![b' '; BODY];
    let request = door.post("application/json", &[("expect", "100-continue")], &blank);
    let head = &request[..request.len() - BODY];
    // The client that was told to go on, or nothing if it was refused.
    let asked = || {
        let mut stream = TcpStream::connect(ingest.api()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        stream.write_all(head).unwrap();
        let mut answer = [0; 16 * 1024];
        let length = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
        if answer.starts_with("http/1.1 100 ") {
            return Some(stream);
        }
        assert!(answer.starts_with("http/1.1 503 "), "{answer}");
        assert!(answer.contains("retry-after: "), "{answer}");
        None
    };
    let mut waiting: Vec<TcpStream> = (0..32).filter_map(|_| asked()).collect();
    assert_eq!(waiting.len(), 4);
    // Whoever gives up makes room for one.
    drop(waiting.pop());
    wait::until("the memory of one body", Duration::from_secs(30), || {
        waiting.push(asked()?);
        Some(())
    });
    assert!(asked().is_none());
    // Bodies that come to their end are answered, however little sense they make, and give all back.
    for stream in &mut waiting {
        stream.write_all(&blank).unwrap();
        let mut answer = [0; 64];
        let length = stream.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 400 "), "{answer:?}");
    }
    assert_eq!((0..32).filter_map(|_| asked()).collect::<Vec<_>>().len(), 4);
}

/// Connections beyond the bound wait; they are not refused, and none is forgotten.
#[test]
fn connections_beyond_the_bound_wait_for_their_turn() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[("HTTP_MAX_CONNECTIONS", "2")]);
    let body = purchase("1").to_string();
    let request = door.post("application/json", &[], body.as_bytes());
    let mut open: Vec<_> = (0..3)
        .map(|_| Connection::open(ingest.api()).unwrap())
        .collect();
    assert_eq!(open[0].ask(&request).unwrap().status, 202);
    assert_eq!(open[1].ask(&request).unwrap().status, 202);
    open[2].send(&request).unwrap();
    drop(open.remove(0));
    assert_eq!(open[1].read().unwrap().status, 202);
}

#[test]
fn a_request_that_waits_for_the_broker_is_answered_before_ingest_ends() {
    let kafka = Server::kafka();
    let door = Door::new(kafka.address());
    let mut ingest = door.ingest(&[]);
    let body = purchase("last").to_string();
    let request = door.post("application/json", &[], body.as_bytes());
    assert_eq!(ask(&ingest, &request).status, 202);
    kafka.pause();
    let mut waiting = Connection::open(ingest.api()).unwrap();
    waiting.send(&request).unwrap();
    wait::until(
        "the event to be on its way",
        Duration::from_secs(30),
        || (ingest.metric("ingest_inflight_events")? > 0.0).then_some(()),
    );
    let address = ingest.api().to_owned();
    ingest.signal("TERM");
    wait::until("no further connections", Duration::from_secs(30), || {
        Connection::open(&address).is_err().then_some(())
    });
    // An answer that did not wait for the broker would be here by now: ingest has long read the request.
    assert!(!waiting.is_answered().unwrap(), "an answer before its time");
    kafka.resume();
    assert_eq!(waiting.read().unwrap().status, 202);
    let patience = Duration::from_secs(30);
    let status = wait::until("the end", patience, || ingest.ended());
    assert!(status.success(), "{status}");
    assert_eq!(door.records().len(), 2);
}
