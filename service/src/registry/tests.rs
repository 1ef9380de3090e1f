//! The client, the lookups and the registration, held to a registry that answers what a test wants. What a
//! real one says is in `tests/tests/contracts`.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use schemas::avro::{CONTRACTS, EVENT, EventMapping, MATCH, SchemaId};
use schemas::names::topic;
use schemas::reader::{Form, KnownSchema};
use schemas::{Encoded, Encoding, Reader, Unread};
use serde_json::json;
use tokio::runtime::Handle;

use super::register::{RegisterError, carry_out, plan};
use super::*;
use crate::settings::TopicSettings;
use crate::{Health, Metrics, Shutdown};

/// What was asked: method and path with query.
type Asked = (String, String);

/// A registry that says what it was told to say, and 404 otherwise.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    answers: BTreeMap<Asked, VecDeque<(u16, String)>>,
    asked: Vec<(String, String, Option<String>)>,
}

impl Fake {
    /// Serves on a free port.
    async fn serve(&self) -> SocketAddr {
        self.serve_at("127.0.0.1:0".parse().unwrap()).await
    }

    async fn serve_at(&self, address: SocketAddr) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    /// The next answers to a question; the last one stays.
    fn say(&self, method: &str, path: &str, answers: &[(u16, String)]) {
        let question = (method.to_owned(), path.to_owned());
        let answers = answers.iter().cloned().collect();
        self.0.lock().unwrap().answers.insert(question, answers);
    }

    fn say_schema(&self, id: u32, schema: &str) {
        let answer = json!({ "schema": schema }).to_string();
        self.say("GET", &by_id(id), &[(200, answer)]);
    }

    /// How often a path was asked with a method.
    fn count(&self, method: &str, path: &str) -> usize {
        let script = self.0.lock().unwrap();
        let is_it =
            |asked: &&(String, String, Option<String>)| asked.0 == method && asked.1 == path;
        script.asked.iter().filter(is_it).count()
    }
}

async fn answer(
    State(fake): State<Fake>,
    (method, uri, headers): (Method, Uri, HeaderMap),
    _body: Bytes,
) -> (StatusCode, String) {
    let mut script = fake.0.lock().unwrap();
    let authorization = headers.get("authorization");
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    let question = (method.to_string(), uri.to_string());
    script
        .asked
        .push((question.0.clone(), question.1.clone(), authorization));
    let Some(answers) = script.answers.get_mut(&question) else {
        let body = json!({"error_code": 40403, "message": "none"}).to_string();
        return (StatusCode::NOT_FOUND, body);
    };
    let (status, body) = if answers.len() > 1 {
        answers.pop_front().unwrap()
    } else {
        answers[0].clone()
    };
    (StatusCode::from_u16(status).unwrap(), body)
}

fn by_id(id: u32) -> String {
    format!("/schemas/ids/{id}?deleted=true")
}

fn settings(addresses: &[SocketAddr]) -> RegistrySettings {
    RegistrySettings {
        urls: addresses.iter().map(|at| format!("http://{at}")).collect(),
        ..RegistrySettings::default()
    }
}

fn client(address: SocketAddr) -> Client {
    Client::new(&settings(&[address])).unwrap()
}

/// An address where nobody listens.
async fn nowhere() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn documents(urls: &[SocketAddr], metrics: &Metrics) -> Documents {
    let mapping = Arc::new(EventMapping::default());
    Documents::new(&settings(urls), mapping, metrics, Handle::current()).unwrap()
}

#[tokio::test]
async fn only_the_registrys_own_word_makes_an_id_unknown() {
    let fake = Fake::default();
    let client = client(fake.serve().await);
    let error = |code: u32| json!({"error_code": code, "message": "m"}).to_string();
    let cases = [
        (404, error(40403), "none"),
        (404, error(40401), "away"),
        (404, "<html>not found</html>".to_owned(), "away"),
        (401, error(401), "away"),
        (403, error(403), "away"),
        (429, String::new(), "away"),
        (500, error(50001), "away"),
        (502, "<html>".to_owned(), "away"),
        (503, String::new(), "away"),
        (200, "<html>hello</html>".to_owned(), "away"),
        (200, json!({"schema": "\"string"}).to_string(), "unusable"),
        (
            200,
            json!({"schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF"}).to_string(),
            "unusable",
        ),
        (200, json!({"schema": EVENT}).to_string(), "avro"),
        (
            200,
            json!({"schema": "{}", "schemaType": "JSON"}).to_string(),
            "json",
        ),
    ];
    for (status, body, expected) in cases {
        fake.say("GET", &by_id(7), &[(status, body.clone())]);
        let known = client.known(SchemaId::Number(7), false).await;
        let word = match &known {
            Ok(KnownSchema {
                form: Form::Avro(_),
                ..
            }) => "avro",
            Ok(_) => "json",
            Err(RegistryError::NotFound) => "none",
            Err(RegistryError::Away(_)) => "away",
            Err(RegistryError::Refused(_)) => "refused",
            Err(RegistryError::Unusable(_)) => "unusable",
        };
        assert_eq!(word, expected, "{status} {body}: {known:?}");
    }
}

#[tokio::test]
async fn a_schema_is_read_with_those_that_it_refers_to() {
    let fake = Fake::default();
    let client = client(fake.serve().await);
    let place = r#"{"type": "record", "name": "shop.Place", "fields": [{"name": "city", "type": "string"}]}"#;
    let order = r#"{"type": "record", "name": "shop.Order", "fields": [{"name": "to", "type": "shop.Place"}]}"#;
    let reference = json!([{"name": "shop.Place", "subject": "place", "version": 2}]);
    let body = json!({"schema": order, "references": reference}).to_string();
    fake.say("GET", &by_id(7), &[(200, body)]);
    let id = SchemaId::Number(7);
    let away = client.known(id, false).await;
    assert!(
        matches!(away, Err(RegistryError::Away(_))),
        "what it refers to may come: {away:?}"
    );
    let body = json!({"schema": place, "subject": "place", "version": 2, "id": 3}).to_string();
    fake.say(
        "GET",
        "/subjects/place/versions/2?deleted=true",
        &[(200, body.clone())],
    );
    fake.say("GET", "/subjects/place/versions/2", &[(200, body)]);
    client.known(id, false).await.unwrap();
}

#[tokio::test]
async fn the_next_registry_is_asked_when_one_is_away_and_the_user_is_told() {
    let fake = Fake::default();
    fake.say_schema(7, MATCH);
    let mut settings = settings(&[nowhere().await, fake.serve().await]);
    settings.user = Some("ada".to_owned());
    settings.password = Some("secret".parse().unwrap());
    let client = Client::new(&settings).unwrap();
    client.known(SchemaId::Number(7), false).await.unwrap();
    assert_eq!(client.level("events-value").await, Ok(None));
    let asked = fake.0.lock().unwrap().asked.clone();
    assert_eq!(asked.len(), 2);
    for (_, _, authorization) in asked {
        assert_eq!(authorization.as_deref(), Some("Basic YWRhOnNlY3JldA=="));
    }
}

/// Reads a match until the reader says something else than that it waits.
async fn read(reader: &mut Reader, value: &[u8]) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match reader.read_match(Encoded::plain(value)) {
            Ok(_) => return Ok(()),
            Err(Unread::Never(error)) => return Err(error.code().to_owned()),
            Err(Unread::Waiting(_)) if Instant::now() > deadline => return Err("waits".to_owned()),
            Err(Unread::Waiting(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// A match as it is written with a schema of that id.
fn written(schema: u32) -> Vec<u8> {
    let won = json!({
        "match_id": "e-1:ten", "event_id": "e-1", "campaign_id": "ten", "campaign_version": 3,
        "campaigns_offset": 41, "customer_id": "c-1", "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z", "matched_at": "2026-11-24T09:30:00.128Z",
        "reward": {"kind": "custom"}, "source": {"topic": "events", "partition": 2, "offset": 9},
    });
    let won = won.to_string();
    let won: schemas::Match<'_> = serde_json::from_str(&won).unwrap();
    let mut value = Vec::new();
    schemas::MatchWriter::new(Encoding::Avro { schema }).write(&won, &mut value);
    value
}

#[tokio::test]
async fn a_known_id_goes_on_working_and_another_waits_while_the_registry_is_away() {
    let metrics = Metrics::new("test");
    let fake = Fake::default();
    fake.say_schema(7, MATCH);
    let away = (503, String::new());
    let answer = (200, json!({ "schema": MATCH }).to_string());
    fake.say(
        "GET",
        &by_id(8),
        &[away.clone(), away.clone(), away, answer],
    );
    let documents = documents(&[fake.serve().await], &metrics);
    let mut reader = documents.reader();
    assert_eq!(read(&mut reader, &written(7)).await, Ok(()));

    let eight = written(8);
    let mut waited = false;
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(unread) = reader.read_match(Encoded::plain(&eight)) {
        assert_eq!(unread, Unread::Waiting(SchemaId::Number(8)));
        assert!(Instant::now() < deadline);
        waited = true;
        assert_eq!(
            read(&mut reader, &written(7)).await,
            Ok(()),
            "known ids work"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(waited);
    assert_eq!(fake.count("GET", &by_id(8)), 4, "asked again with pauses");
    assert_eq!(fake.count("GET", &by_id(7)), 1, "asked once");
    let text = metrics.render().unwrap();
    let has = |line: &str| assert!(text.contains(line), "{line} in {text}");
    has(r#"schema_registry_lookups_total{outcome="away"} 3"#);
    has(r#"schema_registry_lookups_total{outcome="found"} 2"#);
    has("schema_registry_up");
}

#[tokio::test]
async fn an_id_that_the_registry_has_never_heard_of_is_unknown_in_the_end() {
    let metrics = Metrics::new("test");
    let fake = Fake::default();
    let documents = documents(&[fake.serve().await], &metrics);
    let mut reader = documents.reader();
    let begun = Instant::now();
    assert_eq!(
        read(&mut reader, &written(9)).await,
        Err("unknown_schema".to_owned())
    );
    assert!(begun.elapsed() >= Duration::from_secs(2), "it was doubted");
    // A broken value of a known schema is told from it.
    fake.say_schema(7, MATCH);
    let mut broken = written(7);
    broken.truncate(broken.len() - 1);
    assert_eq!(read(&mut reader, &broken).await, Err("not_avro".to_owned()));
}

#[tokio::test]
async fn a_service_is_not_ready_until_the_registry_has_its_schemas() {
    let (health, metrics, shutdown) = (Health::new(), Metrics::new("test"), Shutdown::new());
    let address = nowhere().await;
    let documents = documents(&[address], &metrics);
    let component = health.component("schemas");
    let problem = || health.ready().problems.join("");
    let waiting = {
        let (documents, shutdown) = (documents.clone(), shutdown.clone());
        tokio::spawn(async move {
            let topics = [(topic::MATCHES, "prizes")];
            let found = documents.encodings(topics, &component, &shutdown).await;
            (found, component)
        })
    };
    let until = |what: &'static str| {
        let health = health.clone();
        async move {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !health.ready().problems.join("").contains(what) {
                assert!(Instant::now() < deadline, "{:?}", health.ready());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    until("cannot be asked").await;
    let fake = Fake::default();
    fake.serve_at(address).await;
    until("prizes-value does not have this release's schema; run campaign-admin register-schemas")
        .await;
    let body = json!({"subject": "prizes-value", "version": 1, "id": 5, "schema": MATCH});
    let path = "/subjects/prizes-value?deleted=false";
    for path in [path, "/subjects/prizes-value"] {
        fake.say("POST", path, &[(200, body.to_string())]);
    }
    let (found, _component) = waiting.await.unwrap();
    assert_eq!(found, Some([Encoding::Avro { schema: 5 }]));
    assert_eq!(problem(), "");

    // Without a registry everything is JSON, and nobody is asked.
    let json = Documents::default();
    assert_eq!(
        json.encoding(topic::MATCHES, "prizes").await,
        Ok(Encoding::Json)
    );
}

#[tokio::test]
async fn schemas_that_may_not_follow_are_refused_and_nothing_is_written() {
    let fake = Fake::default();
    let client = client(fake.serve().await);
    let other = r#"{"type": "record", "name": "campaign_manager.Match", "fields": [{"name": "match_id", "type": "int"}]}"#;
    fake.say(
        "GET",
        "/subjects/matches-value/versions",
        &[(200, "[1]".to_owned())],
    );
    let body = json!({"subject": "matches-value", "version": 1, "id": 3, "schema": other});
    for query in ["", "?deleted=true"] {
        let path = format!("/subjects/matches-value/versions/1{query}");
        fake.say("GET", &path, &[(200, body.to_string())]);
    }
    let error = plan(&client, &TopicSettings::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RegisterError::Incompatible(_)), "{text}");
    assert!(
        text.starts_with(
            "nothing was registered, for schemas are not compatible:\n  matches-value: "
        ),
        "{text}"
    );
    let script = fake.0.lock().unwrap();
    let writes = script.asked.iter().filter(|(method, path, _)| {
        method == "PUT" || (method == "POST" && path.ends_with("/versions"))
    });
    assert_eq!(writes.count(), 0);
}

#[tokio::test]
async fn what_the_registry_refuses_is_said_in_its_words() {
    let fake = Fake::default();
    let client = client(fake.serve().await);
    let steps = plan(&client, &TopicSettings::default()).await.unwrap();
    assert_eq!(steps.len(), CONTRACTS.len());
    assert!(steps.iter().all(|step| !step.is_done()));
    assert_eq!(
        steps[0].to_string(),
        "events-value: register version 1, set BACKWARD_TRANSITIVE"
    );
    let level = json!({"compatibility": "BACKWARD_TRANSITIVE"}).to_string();
    fake.say("PUT", "/config/events-value", &[(200, level)]);
    let refusal = json!({"error_code": 409, "message": "not with me"}).to_string();
    for path in [
        "/subjects/events-value/versions",
        "/subjects/events-value/versions?normalize=false",
    ] {
        fake.say("POST", path, &[(409, refusal.clone())]);
    }
    let error = carry_out(&client, &steps).await.unwrap_err().to_string();
    assert!(error.starts_with("events-value: "), "{error}");
    assert!(error.contains("refuses"), "{error}");
    // A registry that does not let us in is named as such, too.
    let denied = json!({"error_code": 403, "message": "forbidden"}).to_string();
    fake.say("PUT", "/config/events-value", &[(403, denied)]);
    let error = carry_out(&client, &steps).await.unwrap_err().to_string();
    assert!(error.contains("403"), "{error}");
}
