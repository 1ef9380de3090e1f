//! What is not let in, and how that is said.

use serde_json::json;
use tests::http::{Connection, request};
use tests::servers::Server;

use super::{Door, ask, purchase};

/// Requests that are refused, each with its status and the kind of its problem.
fn refused(door: &Door) -> Vec<(Vec<u8>, u16, &'static str)> {
    let json = "application/json";
    let bearer = format!("Bearer {}", door.key);
    let other = format!("Bearer {}", door.other_key);
    let post = |headers: &[(&str, &str)]| {
        request(
            "POST",
            "/v1/events",
            headers,
            purchase("x").to_string().as_bytes(),
        )
    };
    let mut missing = purchase("x");
    missing.as_object_mut().unwrap().remove("customer_id");
    let mut large = purchase("x");
    large["payload"]["note"] = json!("x".repeat(5000));
    let many = json!(vec![purchase("x"); 11]).to_string();
    let bomb = zstd::encode_all(&*vec![b' '; 50_000_000], 3).unwrap();
    let zstd = [("content-encoding", "zstd")];
    vec![
        (post(&[("content-type", json)]), 401, "unauthenticated"),
        (
            post(&[("content-type", json), ("authorization", "Bearer cm_1_2")]),
            401,
            "unauthenticated",
        ),
        (
            post(&[("content-type", json), ("authorization", &*other)]),
            403,
            "forbidden",
        ),
        (request("GET", "/nowhere", &[], b""), 404, "not-found"),
        (
            request("GET", "/v1/events", &[("authorization", &bearer)], b""),
            405,
            "method-not-allowed",
        ),
        (door.post(json, &[], b"{"), 400, "bad-request"),
        (door.post(json, &[], b""), 400, "bad-request"),
        (door.post(json, &[], b"[{}"), 400, "bad-request"),
        (door.post(json, &[], b"[]"), 400, "bad-request"),
        (door.post(json, &zstd, b"{}"), 400, "bad-request"),
        (door.post(json, &[], &vec![b' '; 20_001]), 413, "too-large"),
        (door.post(json, &zstd, &bomb), 413, "too-large"),
        (door.post(json, &[], many.as_bytes()), 413, "too-large"),
        (
            door.post(json, &[], large.to_string().as_bytes()),
            413,
            "too-large",
        ),
        (
            door.post("text/csv", &[], b"a,b"),
            415,
            "unsupported-media-type",
        ),
        (
            door.post(json, &[("content-encoding", "br")], b"{}"),
            415,
            "unsupported-media-type",
        ),
        (
            door.post(json, &[], missing.to_string().as_bytes()),
            422,
            "invalid",
        ),
        (
            door.post(json, &[], json!([missing, 7]).to_string().as_bytes()),
            422,
            "invalid",
        ),
    ]
}

#[test]
fn every_refusal_is_a_problem_that_says_what_to_do() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[
        ("MAX_BODY_BYTES", "20000"),
        ("MAX_BODY_EVENTS", "10"),
        ("MAX_EVENT_BYTES", "5000"),
        ("BODY_TIMEOUT_MS", "300"),
    ]);
    for (request, status, name) in refused(&door) {
        let answer = ask(&ingest, &request);
        let body = answer.json();
        let shown = String::from_utf8_lossy(&request[..60.min(request.len())]).into_owned();
        assert_eq!(answer.status, status, "{shown}: {body}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(body["type"], format!("/problems/{name}"));
        assert_eq!(body["status"], status);
        assert_eq!(body["trace_id"].as_str().map(str::len), Some(32));
        assert!(body["title"].is_string() && body["instance"].is_string());
        let page = ask(
            &ingest,
            &tests::http::request("GET", body["type"].as_str().unwrap(), &[], b""),
        );
        assert_eq!(page.status, 200);
        match status {
            401 => assert!(answer.header("www-authenticate").is_some()),
            405 => assert_eq!(answer.header("allow"), Some("POST")),
            422 if body["items"].is_null() => {
                assert_eq!(body["errors"][0]["pointer"], "/customer_id");
                assert_eq!(body["errors"][0]["code"], "missing_field");
            }
            422 => assert_eq!(body["items"][1]["code"], "not_an_object"),
            _ => {}
        }
    }

    let mut slow = Connection::open(ingest.api()).unwrap();
    let whole = door.post(
        "application/json",
        &[],
        purchase("x").to_string().as_bytes(),
    );
    slow.send(&whole[..whole.len() - 5]).unwrap();
    let answer = slow.read().unwrap();
    assert_eq!(answer.status, 408);
    assert_eq!(answer.json()["type"], "/problems/request-timeout");
    assert!(door.records().is_empty(), "nothing of all that was written");
}

#[test]
fn a_key_that_sends_too_much_waits_and_another_does_not() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[("RATE_LIMIT_PER_SECOND", "1"), ("RATE_LIMIT_BURST", "1")]);
    let batch = json!([purchase("1"), purchase("2"), purchase("3")]).to_string();
    let first = door.send(&ingest, "application/json", batch.as_bytes());
    assert_eq!(first.status, 202, "a batch is let in whole");
    let second = door.send(&ingest, "application/json", batch.as_bytes());
    assert_eq!(second.status, 429);
    let wait: u64 = second.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "its events count: {wait}");
    let other = format!("Bearer {}", door.other_key);
    let headers = [
        ("authorization", &*other),
        ("content-type", "application/json"),
    ];
    let other = ask(
        &ingest,
        &request("POST", "/v1/events", &headers, batch.as_bytes()),
    );
    assert_eq!(other.status, 403, "it has a rate of its own");
}

#[test]
fn the_api_describes_itself() {
    let door = Door::new(Server::shared_kafka().address());
    let ingest = door.ingest(&[]);
    let answer = ask(&ingest, &request("GET", "/openapi.json", &[], b""));
    assert_eq!(answer.status, 200);
    assert!(answer.json()["paths"]["/v1/events"]["post"].is_object());
}

#[test]
fn nothing_starts_that_nobody_could_use() {
    let door = Door::new(Server::shared_kafka().address());
    let missing = door.folder.path().join("missing");
    let mut ingest = door.start(&[("API_KEYS_FILE", missing.to_str().unwrap())]);
    let wait = std::time::Duration::from_secs(30);
    let status = tests::wait::until("the end", wait, || ingest.ended());
    assert!(!status.success());
    assert!(ingest.log().contains("API_KEYS_FILE"), "{}", ingest.log());
}
