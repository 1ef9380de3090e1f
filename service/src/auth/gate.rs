//! The gate in front of routes.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::MethodRouter;
use jiff::Timestamp;

use super::key::PREFIX;
use super::keys::{KeyRefusal, Keys};
use super::metrics::AuthMetrics;
use super::oidc::{Oidc, TokenRefusal};
use super::principal::Principal;
use super::rate::Rates;
use super::scope::Scope;
use super::settings::{AuthMode, AuthSettings};
use crate::http::Problem;
use crate::http::problem::{FORBIDDEN, TOO_MANY_REQUESTS, UNAUTHENTICATED, UNAVAILABLE};
use crate::{Metrics, Shutdown};

/// Longest credentials that are looked at, in bytes. Tokens have one or two thousand.
const MAX_CREDENTIALS_BYTES: usize = 16 * 1024;

/// Checks credentials, scopes and rates. Shared by all requests of a service.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    keys: Option<Arc<Keys>>,
    oidc: Option<Oidc>,
    is_open: bool,
    rates: Option<Rates>,
    metrics: AuthMetrics,
}

impl Auth {
    /// Reads the keys and follows their file until shutdown. An OIDC provider is asked when the first
    /// token comes.
    ///
    /// # Errors
    /// Credentials are required and neither keys nor an issuer are set; the file cannot be used; the
    /// issuer is no address.
    #[expect(
        clippy::unused_async,
        reason = "needs a runtime, and may need to wait one day"
    )]
    pub async fn start(
        settings: &AuthSettings,
        service: &str,
        metrics: &Metrics,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let metrics = AuthMetrics::new(service, metrics);
        let rates = settings.rate_limit_per_second.map(|per_second| {
            let burst = settings.rate_limit_burst.unwrap_or(per_second);
            Rates::new(per_second, burst)
        });
        if settings.mode == AuthMode::None {
            tracing::warn!("AUTH is none: everybody may do everything");
            return Ok(Self(Arc::new(Inner {
                keys: None,
                oidc: None,
                is_open: true,
                rates,
                metrics,
            })));
        }
        let keys = match &settings.api_keys_file {
            Some(path) => Some(Keys::load(path, &metrics)?),
            None => None,
        };
        let oidc = match (&settings.oidc_issuer, &settings.oidc_audience) {
            (Some(issuer), Some(audience)) => Some(Oidc::new(issuer, audience, metrics.clone())?),
            _ => None,
        };
        anyhow::ensure!(
            keys.is_some() || oidc.is_some(),
            "nobody could use the API: set API_KEYS_FILE, or OIDC_ISSUER and OIDC_AUDIENCE; or AUTH=none \
             to let everybody do everything"
        );
        if let Some(keys) = &keys {
            tokio::spawn(Arc::clone(keys).follow(metrics.clone(), shutdown.clone()));
        }
        Ok(Self(Arc::new(Inner {
            keys,
            oidc,
            is_open: false,
            rates,
            metrics,
        })))
    }

    /// Lets everybody do everything; for tests.
    pub fn open(service: &str, metrics: &Metrics) -> Self {
        Self(Arc::new(Inner {
            keys: None,
            oidc: None,
            is_open: true,
            rates: None,
            metrics: AuthMetrics::new(service, metrics),
        }))
    }

    /// The same routes for those only that have the scope and keep to their rate. Each request costs
    /// one token of the rate. Handlers can take the [`Principal`].
    pub fn protect<S: Clone + Send + Sync + 'static>(
        &self,
        scope: Scope,
        routes: MethodRouter<S>,
    ) -> MethodRouter<S> {
        let gate = (self.clone(), scope);
        routes.route_layer(middleware::from_fn_with_state(gate, pass))
    }

    /// Who makes a request with these headers, if they may do that and keep to their rate.
    ///
    /// # Errors
    /// 401, 403, 429; 503 while the provider of tokens cannot be asked.
    pub async fn authorize(&self, headers: &HeaderMap, scope: Scope) -> Result<Principal, Problem> {
        let who = self.who(headers).await?;
        if !who.may(scope) {
            self.0.metrics.refused("scope");
            return Err(
                Problem::new(&FORBIDDEN, format!("the scope {scope} is needed"))
                    .challenge("Bearer error=\"insufficient_scope\""),
            );
        }
        if let Some(rates) = &self.0.rates {
            rates.admit(who.id(), Instant::now()).map_err(|wait| {
                self.0.metrics.refused("rate");
                Problem::new(&TOO_MANY_REQUESTS, "the rate of this key is used up")
                    .retry_after(wait)
            })?;
        }
        Ok(who)
    }

    /// Counts a request that was let in as more than one.
    pub fn charge(&self, who: &Principal, further: usize) {
        if let Some(rates) = &self.0.rates
            && further > 0
        {
            let further = u32::try_from(further).unwrap_or(u32::MAX);
            rates.charge(who.id(), further, Instant::now());
        }
    }

    async fn who(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        let inner = &*self.0;
        if inner.is_open {
            return Ok(Principal::anonymous());
        }
        let Some(credentials) = credentials(headers) else {
            return Err(self.refuse(
                "absent",
                "send an API key or a token as `Authorization: Bearer …`",
                "Bearer",
            ));
        };
        let is_key = credentials
            .strip_prefix(PREFIX)
            .is_some_and(|rest| rest.starts_with('_'));
        if is_key && let Some(keys) = &inner.keys {
            let known = keys.who(credentials, Timestamp::now());
            return known.map_err(|refusal| match refusal {
                KeyRefusal::Unknown => self.invalid("unknown_key", "the API key is not known"),
                KeyRefusal::Expired => self.invalid("expired_key", "the API key has expired"),
            });
        }
        let Some(oidc) = &inner.oidc else {
            return Err(self.invalid("unknown_key", "this is not an API key"));
        };
        oidc.who(credentials)
            .await
            .map_err(|refusal| match refusal {
                TokenRefusal::Invalid(why) => self.invalid("invalid_token", why),
                TokenRefusal::ProviderAway(wait) => {
                    inner.metrics.refused("provider_away");
                    let detail = "the provider of tokens cannot be asked for its keys";
                    Problem::new(&UNAVAILABLE, detail).retry_after(wait)
                }
            })
    }

    fn invalid(&self, reason: &str, detail: &str) -> Problem {
        self.refuse(reason, detail, "Bearer error=\"invalid_token\"")
    }

    fn refuse(&self, reason: &str, detail: &str, challenge: &'static str) -> Problem {
        self.0.metrics.refused(reason);
        Problem::new(&UNAUTHENTICATED, detail).challenge(challenge)
    }
}

/// The key or token, from `Authorization: Bearer …` or `X-API-Key`.
fn credentials(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
    });
    let key = || headers.get("x-api-key")?.to_str().ok().map(str::trim);
    bearer
        .or_else(key)
        .filter(|found| (1..=MAX_CREDENTIALS_BYTES).contains(&found.len()))
}

async fn pass(
    State((auth, scope)): State<(Auth, Scope)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let who = auth.authorize(request.headers(), scope).await?;
    request.extensions_mut().insert(who);
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests;
