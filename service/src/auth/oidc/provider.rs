//! The provider's keys: found by discovery, kept for a while, fetched again when a token names one that
//! is not among them, but not more often than once in a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwapOption;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::TokenRefusal;
use crate::auth::metrics::AuthMetrics;

/// Keys older than this are fetched again, so that one that the provider has withdrawn is not trusted
/// for longer.
const MAX_AGE: Duration = Duration::from_mins(10);

/// Shortest time between two fetches, however many tokens name keys that nobody knows.
const MIN_INTERVAL: Duration = Duration::from_secs(10);

/// While the provider is away its last keys are trusted for so long.
const MAX_STALE: Duration = Duration::from_hours(24);

/// Longest time for one answer of the provider.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The keys at some time.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Jwk>,
    fetched: Instant,
    /// Another for other keys.
    pub(super) generation: u64,
}

impl KeySet {
    /// The key of that name that signs by that algorithm. A token without a name is taken for signed by
    /// the only key that fits.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let named = |key: &&Jwk| kid.is_none() || key.common.key_id.as_deref() == kid;
        let mut fitting = self.keys.iter().filter(named).filter_map(|key| {
            let other_use = key.common.public_key_use.as_ref();
            if other_use.is_some_and(|other| *other != PublicKeyUse::Signature) {
                return None;
            }
            let says = key.common.key_algorithm;
            if says.is_some_and(|says| says != KeyAlgorithm::from(algorithm)) {
                return None;
            }
            let key = DecodingKey::from_jwk(key).ok()?;
            (key.family() == algorithm.family()).then_some(key)
        });
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(key),
            _ => None,
        }
    }
}

/// A provider and its keys. Requests read them without a lock; one fetches for all.
pub(super) struct Provider {
    issuer: String,
    http: reqwest::Client,
    keys: ArcSwapOption<KeySet>,
    fetch: Mutex<Fetching>,
    metrics: AuthMetrics,
}

#[derive(Default)]
struct Fetching {
    last: Option<Instant>,
    generation: u64,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

impl Provider {
    pub(super) fn new(issuer: &str, metrics: AuthMetrics) -> anyhow::Result<Self> {
        trusted(issuer).with_context(|| format!("OIDC_ISSUER {issuer:?} cannot be used"))?;
        Ok(Self {
            issuer: issuer.to_owned(),
            http: crate::http::client::client(TIMEOUT)?,
            keys: ArcSwapOption::empty(),
            fetch: Mutex::default(),
            metrics,
        })
    }

    /// The keys, not older than they may be.
    pub(super) async fn keys(&self) -> Result<Arc<KeySet>, TokenRefusal> {
        let known = self.keys.load_full();
        match known {
            Some(known) if known.fetched.elapsed() < MAX_AGE => Ok(known),
            _ => self.refreshed(MAX_AGE).await,
        }
    }

    /// The keys after a token named one that is not among those.
    pub(super) async fn newer(&self, known: &KeySet) -> Arc<KeySet> {
        let max_age = known.fetched.elapsed();
        match self.refreshed(max_age).await {
            Ok(keys) => keys,
            Err(_) => Arc::new(KeySet {
                keys: Vec::new(),
                ..*known
            }),
        }
    }

    /// Keys younger than that, fetched unless it was tried a moment ago; else those there are.
    async fn refreshed(&self, max_age: Duration) -> Result<Arc<KeySet>, TokenRefusal> {
        let mut fetching = self.fetch.lock().await;
        let known = self.keys.load_full();
        if let Some(known) = &known
            && known.fetched.elapsed() < max_age
        {
            return Ok(Arc::clone(known)); // another request has fetched them meanwhile
        }
        let since = fetching.last.map(|last| last.elapsed());
        let wait = since.map_or(Duration::ZERO, |since| MIN_INTERVAL.saturating_sub(since));
        if wait.is_zero() {
            fetching.last = Some(Instant::now());
            let fetched = self.fetch().await;
            self.metrics.fetched(fetched.is_ok());
            match fetched {
                Ok(keys) => return Ok(self.store(keys, &mut fetching, known.as_deref())),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the OIDC provider's keys cannot be fetched");
                }
            }
        }
        known
            .filter(|known| known.fetched.elapsed() < MAX_STALE)
            .ok_or(TokenRefusal::ProviderAway(wait.max(Duration::from_secs(1))))
    }

    fn store(
        &self,
        keys: Vec<Jwk>,
        fetching: &mut Fetching,
        known: Option<&KeySet>,
    ) -> Arc<KeySet> {
        if known.is_none_or(|known| known.keys != keys) {
            fetching.generation += 1;
            tracing::info!(keys = keys.len(), "the OIDC provider's keys are fetched");
        }
        let keys = Arc::new(KeySet {
            keys,
            fetched: Instant::now(),
            generation: fetching.generation,
        });
        self.keys.store(Some(Arc::clone(&keys)));
        keys
    }

    async fn fetch(&self) -> anyhow::Result<Vec<Jwk>> {
        let issuer = self.issuer.trim_end_matches('/');
        let address = format!("{issuer}/.well-known/openid-configuration");
        let discovery: Discovery = self.get(&address).await?;
        anyhow::ensure!(
            discovery.issuer == self.issuer,
            "OIDC_ISSUER is {:?} but the provider calls itself {:?}; they must be the same",
            self.issuer,
            discovery.issuer
        );
        trusted(&discovery.jwks_uri)?;
        let jwks: Jwks = self.get(&discovery.jwks_uri).await?;
        // Keys of kinds that nobody knows yet are left out.
        let keys = jwks.keys.into_iter();
        Ok(keys
            .filter_map(|key| serde_json::from_value(key).ok())
            .collect())
    }

    async fn get<T: DeserializeOwned>(&self, address: &str) -> anyhow::Result<T> {
        let mut answer = self.http.get(address).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await? {
            body.extend_from_slice(&part);
            anyhow::ensure!(body.len() <= MAX_ANSWER_BYTES, "{address} answers too much");
        }
        serde_json::from_slice(&body).with_context(|| format!("{address} answers something else"))
    }
}

/// Who can change what the provider says can make tokens: only an address that proves who answers is
/// trusted, and this machine.
fn trusted(address: &str) -> anyhow::Result<()> {
    let url = Url::parse(address)?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    anyhow::ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && is_here),
        "{address} is not an https address"
    );
    Ok(())
}
