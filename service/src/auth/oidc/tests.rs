//! Tokens of a provider that lives in the test.

use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::Metrics;

/// A provider on this machine, with keys that can be changed.
struct Idp {
    issuer: String,
    keys: Arc<StdMutex<Vec<Value>>>,
    fetches: Arc<AtomicUsize>,
}

impl Idp {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realm", listener.local_addr().unwrap());
        let keys = Arc::new(StdMutex::new(Vec::new()));
        let fetches = Arc::new(AtomicUsize::new(0));
        let discovery = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")});
        let (served, counted) = (Arc::clone(&keys), Arc::clone(&fetches));
        let routes = Router::new()
            .route(
                "/realm/.well-known/openid-configuration",
                get(async move || Json(discovery)),
            )
            .route(
                "/realm/keys",
                get(async move || {
                    counted.fetch_add(1, Ordering::Relaxed);
                    Json(json!({"keys": *served.lock().unwrap()}))
                }),
            );
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            issuer,
            keys,
            fetches,
        }
    }

    fn publish(&self, signers: &[&Signer]) {
        *self.keys.lock().unwrap() = signers.iter().map(|signer| signer.jwk()).collect();
    }

    fn oidc(&self) -> Oidc {
        Oidc::new(&self.issuer, "campaign-manager", metrics()).unwrap()
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": "campaign-manager", "sub": "ada", "exp": 4_102_444_800_i64,
            "scope": "openid events:write",
        })
    }
}

struct Signer {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { kid, pair }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let part = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        json!({
            "kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256",
            "x": part(&point[1..33]), "y": part(&point[33..]),
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": self.kid});
        let message = [header, claims.clone()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = message.join(".");
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.unwrap());
        format!("{message}.{signature}")
    }
}

fn metrics() -> AuthMetrics {
    AuthMetrics::new("test", &Metrics::new("test"))
}

#[tokio::test]
async fn a_good_token_names_its_subject_and_scopes_and_is_remembered() {
    let (idp, signer) = (Idp::start().await, Signer::new("one"));
    idp.publish(&[&signer]);
    let oidc = idp.oidc();
    let mut claims = idp.claims();
    claims["preferred_username"] = json!("ada@shop");
    claims["scp"] = json!(["matches:read", "something:else"]);
    let token = signer.sign(&claims);
    let who = oidc.who(&token).await.unwrap();
    assert_eq!((who.id(), who.name()), ("token:ada", "ada@shop (ada)"));
    assert_eq!(
        who.scopes(),
        Scopes::of(&[Scope::EventsWrite, Scope::MatchesRead])
    );
    assert_eq!(oidc.who(&token).await.unwrap(), who);
    assert_eq!(idp.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_bad_token_is_refused_for_what_is_wrong_with_it() {
    let (idp, signer) = (Idp::start().await, Signer::new("one"));
    idp.publish(&[&signer]);
    let oidc = idp.oidc();
    let with = |name: &str, value: Value| {
        let mut claims = idp.claims();
        claims[name] = value;
        signer.sign(&claims)
    };
    let good = signer.sign(&idp.claims());
    let forged = Signer::new("one").sign(&idp.claims());
    let (message, _) = good.rsplit_once('.').unwrap();
    let shared_secret = |alg: &str| {
        let header = json!({"alg": alg, "kid": "one"}).to_string();
        let (_, claims) = message.split_once('.').unwrap();
        format!("{}.{claims}.AAAA", URL_SAFE_NO_PAD.encode(header))
    };
    let cases = [
        (with("exp", json!(1)), "the token has expired"),
        (with("nbf", json!(4_102_444_799_i64)), "not valid yet"),
        (with("iss", json!("https://other")), "of another issuer"),
        (with("aud", json!(["other"])), "for another audience"),
        (with("aud", Value::Null), "lacks one of exp, iss, aud"),
        (forged, "the token's signature is wrong"),
        (format!("{message}."), "the token's signature is wrong"),
        (shared_secret("HS256"), "not one with a public key"),
        (shared_secret("none"), "neither an API key nor a token"),
        ("nonsense".to_owned(), "neither an API key nor a token"),
        (
            Signer::new("two").sign(&idp.claims()),
            "a key that the provider does not publish",
        ),
    ];
    for (token, expected) in cases {
        match oidc.who(&token).await.unwrap_err() {
            TokenRefusal::Invalid(why) => assert!(why.contains(expected), "{why}: {expected}"),
            TokenRefusal::ProviderAway(_) => panic!("{expected}: the provider is there"),
        }
    }
    oidc.who(&good).await.unwrap();
}

#[tokio::test]
async fn unknown_keys_do_not_make_us_ask_the_provider_again_and_again() {
    let (idp, signer) = (Idp::start().await, Signer::new("one"));
    idp.publish(&[&signer]);
    let oidc = idp.oidc();
    for kid in ["two", "three", "four"] {
        let token = Signer::new(kid).sign(&idp.claims());
        oidc.who(&token).await.unwrap_err();
    }
    assert_eq!(idp.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn nobody_is_let_in_while_the_provider_was_never_reached() {
    let oidc = Oidc::new("http://127.0.0.1:1", "campaign-manager", metrics()).unwrap();
    let token = Signer::new("one").sign(&json!({}));
    let refusal = oidc.who(&token).await.unwrap_err();
    assert!(matches!(refusal, TokenRefusal::ProviderAway(_)));
}

#[test]
fn an_issuer_must_prove_who_it_is() {
    for issuer in ["http://idp.example", "ftp://127.0.0.1", "idp"] {
        assert!(Oidc::new(issuer, "a", metrics()).is_err(), "{issuer}");
    }
    assert!(Oidc::new("https://idp.example", "a", metrics()).is_ok());
}

/// Signed once by OpenSSL with a key that is not kept.
#[test]
fn signatures_of_rsa_are_checked() {
    signature::install();
    let fixture: Value = serde_json::from_str(include_str!("rsa_tokens.json")).unwrap();
    let key = serde_json::from_value(fixture["jwk"].clone()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&key).unwrap();
    for algorithm in [Algorithm::RS256, Algorithm::PS256] {
        let token = fixture["tokens"][format!("{algorithm:?}")]
            .as_str()
            .unwrap();
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["campaign-manager"]);
        jsonwebtoken::decode::<Claims>(token, &key, &validation).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature: String = signature.chars().rev().collect();
        let forged = format!("{message}.{signature}");
        jsonwebtoken::decode::<Claims>(&forged, &key, &validation).unwrap_err();
    }
}
