//! Bearer tokens of an OIDC provider: JSON Web Tokens, checked against the keys that it publishes.

mod provider;
mod signature;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use self::provider::{KeySet, Provider};
use super::metrics::AuthMetrics;
use super::principal::Principal;
use super::scope::{Scope, Scopes};

/// Algorithms that are taken: those with a public key. With a shared secret whoever can check a token
/// could make one.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;

/// Tokens that are remembered as good, so that their signatures are not checked at each request.
const MAX_REMEMBERED: usize = 10_000;

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenRefusal {
    /// It is not good.
    Invalid(&'static str),
    /// Nobody can say: the provider's keys cannot be had. Ask again after this time.
    ProviderAway(Duration),
}

/// Checks tokens of one provider for one audience.
pub(super) struct Oidc {
    provider: Provider,
    issuer: String,
    audience: String,
    /// By the hash of the token. A lock is taken for the time of one look-up.
    remembered: Mutex<HashMap<[u8; 32], Remembered>>,
}

#[derive(Clone)]
struct Remembered {
    principal: Principal,
    /// Seconds since 1970.
    expires: i64,
    /// Of the keys that it was checked against.
    generation: u64,
}

/// The claims that count.
#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    preferred_username: Option<String>,
    /// Separated by blanks (RFC 8693, section 4.2).
    scope: Option<String>,
    /// The same as some providers write it.
    scp: Option<OneOrMany>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Oidc {
    /// For tokens of that issuer that name that audience.
    pub(super) fn new(issuer: &str, audience: &str, metrics: AuthMetrics) -> anyhow::Result<Self> {
        signature::install();
        Ok(Self {
            provider: Provider::new(issuer, metrics)?,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            remembered: Mutex::default(),
        })
    }

    /// Whose token it is.
    pub(super) async fn who(&self, token: &str) -> Result<Principal, TokenRefusal> {
        let hash = digest(&SHA256, token.as_bytes());
        let hash: [u8; 32] = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let keys = self.provider.keys().await?;
        if let Some(principal) = self.recall(&hash, keys.generation) {
            return Ok(principal);
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| TokenRefusal::Invalid("this is neither an API key nor a token"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(TokenRefusal::Invalid(
                "the token's algorithm is not one with a public key",
            ));
        }
        let kid = header.kid.as_deref();
        let (keys, key) = match keys.find(kid, header.alg) {
            Some(key) => (Arc::clone(&keys), key),
            None => self.newer(&keys, kid, header.alg).await?,
        };
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &self.validation(header.alg))
            .map_err(|error| TokenRefusal::Invalid(words(&error)))?
            .claims;
        let remembered = Remembered {
            expires: claims.exp,
            generation: keys.generation,
            principal: principal(claims),
        };
        self.remember(hash, remembered.clone());
        Ok(remembered.principal)
    }

    /// The key from the keys as the provider has them now.
    async fn newer(
        &self,
        known: &KeySet,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Arc<KeySet>, jsonwebtoken::DecodingKey), TokenRefusal> {
        let keys = self.provider.newer(known).await;
        let key = keys.find(kid, algorithm);
        let key = key.ok_or(TokenRefusal::Invalid(
            "the token is signed by a key that the provider does not publish",
        ))?;
        Ok((keys, key))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation
    }

    fn recall(&self, hash: &[u8; 32], generation: u64) -> Option<Principal> {
        let remembered = self.remembered.lock();
        let remembered = remembered.unwrap_or_else(PoisonError::into_inner);
        let found = remembered.get(hash)?;
        let good = found.generation == generation && found.expires > Timestamp::now().as_second();
        good.then(|| found.principal.clone())
    }

    fn remember(&self, hash: [u8; 32], token: Remembered) {
        let remembered = self.remembered.lock();
        let mut remembered = remembered.unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(hash, token);
    }
}

/// The subject with its scopes; those that we do not know are somebody else's.
fn principal(claims: Claims) -> Principal {
    let mut scopes: Vec<Scope> = Vec::new();
    let mut add =
        |text: &str| scopes.extend(text.split(' ').filter_map(|s| s.parse::<Scope>().ok()));
    if let Some(scope) = &claims.scope {
        add(scope);
    }
    match &claims.scp {
        Some(OneOrMany::One(scope)) => add(scope),
        Some(OneOrMany::Many(all)) => all.iter().for_each(|scope| add(scope)),
        None => {}
    }
    let name = match claims.preferred_username {
        // The subject as well: a username may be given to somebody else one day.
        Some(username) => format!("{username} ({})", claims.sub),
        None => claims.sub.clone(),
    };
    let scopes: Scopes = scopes.into_iter().collect();
    Principal::new(format!("token:{}", claims.sub), name, scopes)
}

fn words(error: &jsonwebtoken::errors::Error) -> &'static str {
    use jsonwebtoken::errors::ErrorKind as Kind;
    match error.kind() {
        Kind::ExpiredSignature => "the token has expired",
        Kind::ImmatureSignature => "the token is not valid yet",
        Kind::InvalidIssuer => "the token is of another issuer",
        Kind::InvalidAudience => "the token is for another audience",
        Kind::MissingRequiredClaim(_) => "the token lacks one of exp, iss, aud and sub",
        Kind::InvalidSignature => "the token's signature is wrong",
        _ => "the token cannot be understood",
    }
}

#[cfg(test)]
mod tests;
