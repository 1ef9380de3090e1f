//! Pools of coupons by the API.

use reqwest::Method;
use schemas::PoolName;
use serde_json::{Value as Json, json};

use super::Api;
use crate::ctl::exit::Failure;

impl Api {
    /// How full a pool of coupons is.
    pub(crate) async fn pool(&self, pool: &str) -> anyhow::Result<Json> {
        let path = path(pool, "")?;
        self.send(self.request(Method::GET, &path)).await?.json()
    }

    /// Adds codes to a pool of coupons. Returns where that is asked for.
    pub(crate) async fn add_codes(
        &self,
        pool: &str,
        codes: &[String],
        reason: Option<&str>,
    ) -> anyhow::Result<Json> {
        let path = path(pool, "/codes")?;
        let request = self.request(Method::POST, &path).reason(reason);
        let request = request.body(&json!({"codes": codes}));
        self.send(request).await?.json()
    }

    /// Drops a pool of coupons. Returns where that is asked for.
    pub(crate) async fn drop_pool(&self, pool: &str, reason: Option<&str>) -> anyhow::Result<Json> {
        let path = path(pool, "")?;
        let request = self.request(Method::DELETE, &path).reason(reason);
        self.send(request).await?.json()
    }
}

fn path(pool: &str, further: &str) -> anyhow::Result<String> {
    PoolName::check(pool).map_err(Failure::usage)?;
    Ok(format!("/v1/coupon-pools/{pool}{further}"))
}
