use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::get;
use tower::ServiceExt as _;

use super::*;
use crate::auth::key::{ApiKey, make_key};
use crate::auth::scope::Scopes;

struct Door {
    routes: Router,
    key: ApiKey,
    file: tempfile::NamedTempFile,
    shutdown: Shutdown,
}

impl Door {
    async fn new(limit: Option<u32>) -> Self {
        let scopes = Scopes::of(&[Scope::CampaignsRead]);
        let (key, record) = make_key("till", scopes, Timestamp::UNIX_EPOCH, None);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), serde_json::to_string(&record).unwrap()).unwrap();
        let settings = AuthSettings {
            api_keys_file: Some(file.path().to_owned()),
            rate_limit_per_second: limit,
            ..settings()
        };
        let shutdown = Shutdown::new();
        let auth = Auth::start(&settings, "test", &Metrics::new("test"), &shutdown)
            .await
            .unwrap();
        let hello = || get(async |who: Principal| who.name().to_owned());
        let routes = Router::new()
            .route("/read", auth.protect(Scope::CampaignsRead, hello()))
            .route("/write", auth.protect(Scope::CampaignsWrite, hello()));
        Self {
            routes,
            key,
            file,
            shutdown,
        }
    }

    async fn ask(&self, path: &str, header: (&str, &str)) -> Response {
        let request = Request::builder()
            .uri(path)
            .header(header.0, header.1)
            .body(Body::empty())
            .unwrap();
        self.routes.clone().oneshot(request).await.unwrap()
    }

    async fn status(&self, path: &str, header: (&str, &str)) -> StatusCode {
        self.ask(path, header).await.status()
    }
}

fn settings() -> AuthSettings {
    AuthSettings {
        mode: AuthMode::Required,
        api_keys_file: None,
        oidc_issuer: None,
        oidc_audience: None,
        rate_limit_per_second: None,
        rate_limit_burst: None,
    }
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_allow() {
    let door = Door::new(None).await;
    let key = door.key.reveal();
    let bearer = format!("bearer {key}");
    for header in [("authorization", &*bearer), ("x-api-key", key)] {
        let answer = door.ask("/read", header).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let name = axum::body::to_bytes(answer.into_body(), 99).await.unwrap();
        assert_eq!(name, "till");
        assert_eq!(door.status("/write", header).await, StatusCode::FORBIDDEN);
    }
    let other = format!("Bearer {}", "x".repeat(key.len()));
    let basic = format!("Basic {key}");
    let unknown = key.replace(&key[16..18], "zz");
    for header in [
        ("x-other", ""),
        ("authorization", &*basic),
        ("authorization", &*other),
        ("x-api-key", &*unknown),
        ("x-api-key", ""),
    ] {
        let answer = door.ask("/read", header).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{header:?}");
        let challenge = &answer.headers()["www-authenticate"];
        assert!(challenge.to_str().unwrap().starts_with("Bearer"));
    }
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back() {
    let door = Door::new(Some(1)).await;
    let header = ("x-api-key", door.key.reveal());
    assert_eq!(door.status("/read", header).await, StatusCode::OK);
    let answer = door.ask("/read", header).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["retry-after"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_refused_without_a_restart_and_a_broken_file_changes_nothing() {
    let door = Door::new(None).await;
    let header = ("x-api-key", door.key.reveal());
    // Time is the test's: each step lets the file be looked at.
    let look = || tokio::time::sleep(std::time::Duration::from_secs(5));
    look().await;
    std::fs::write(door.file.path(), "broken").unwrap();
    look().await;
    assert_eq!(door.status("/read", header).await, StatusCode::OK);
    std::fs::write(door.file.path(), "# nobody\n").unwrap();
    look().await;
    assert_eq!(door.status("/read", header).await, StatusCode::UNAUTHORIZED);
    door.shutdown.request("test");
}

#[tokio::test]
async fn a_service_that_nobody_could_use_does_not_start() {
    let start = async |settings: AuthSettings| {
        let metrics = Metrics::new("test");
        Auth::start(&settings, "test", &metrics, &Shutdown::new()).await
    };
    let error = start(settings()).await.err().unwrap().to_string();
    assert!(error.contains("set API_KEYS_FILE"), "{error}");
    let missing = AuthSettings {
        api_keys_file: Some("nowhere".into()),
        ..settings()
    };
    let error = start(missing).await.err().unwrap().to_string();
    assert!(error.contains("API_KEYS_FILE nowhere cannot be read"));

    let open = AuthSettings {
        mode: AuthMode::None,
        ..settings()
    };
    let auth = start(open).await.unwrap();
    let who = auth
        .authorize(&HeaderMap::new(), Scope::CampaignsWrite)
        .await;
    assert_eq!(who.unwrap(), Principal::anonymous());
}
