//! Audiences by the API.

use reqwest::Method;
use schemas::AudienceName;
use serde_json::{Value as Json, json};

use super::{Api, Request, step};
use crate::ctl::exit::Failure;

impl Api {
    /// All audiences that have members.
    pub(crate) async fn audiences(&self) -> anyhow::Result<Json> {
        let request = self.request(Method::GET, "/v1/audiences");
        self.send(request).await?.json()
    }

    /// How many customers are in an audience.
    ///
    /// # Errors
    /// Nobody is.
    pub(crate) async fn audience(&self, name: &str) -> anyhow::Result<Json> {
        let request = self.request_of_audience(Method::GET, name, &[])?;
        self.send(request).await?.json()
    }

    /// Whether a customer is in an audience.
    pub(crate) async fn member(&self, name: &str, customer: &str) -> anyhow::Result<Json> {
        step(customer)?;
        let request = self.request_of_audience(Method::GET, name, &["members", customer])?;
        self.send(request).await?.json()
    }

    /// Puts customers in an audience.
    pub(crate) async fn add_members(
        &self,
        name: &str,
        customers: &[String],
        reason: Option<&str>,
    ) -> anyhow::Result<()> {
        let request = self.request_of_audience(Method::PUT, name, &["members"])?;
        let body = json!({"customer_ids": customers});
        self.send(request.reason(reason).body(&body)).await?;
        Ok(())
    }

    /// Takes customers out of an audience.
    pub(crate) async fn remove_members(
        &self,
        name: &str,
        customers: &[String],
        reason: Option<&str>,
    ) -> anyhow::Result<()> {
        let request = self.request_of_audience(Method::POST, name, &["members:remove"])?;
        let body = json!({"customer_ids": customers});
        self.send(request.reason(reason).body(&body)).await?;
        Ok(())
    }

    /// Takes everybody out of an audience.
    pub(crate) async fn drop_audience(
        &self,
        name: &str,
        reason: Option<&str>,
    ) -> anyhow::Result<()> {
        let request = self.request_of_audience(Method::DELETE, name, &[])?;
        self.send(request.reason(reason)).await?;
        Ok(())
    }

    fn request_of_audience(
        &self,
        method: Method,
        name: &str,
        further: &[&str],
    ) -> anyhow::Result<Request> {
        AudienceName::check(name).map_err(Failure::usage)?;
        step(name)?;
        let mut request = self.request(method, "/v1/audiences");
        if let Ok(mut steps) = request.0.url_mut().path_segments_mut() {
            steps.push(name).extend(further);
        }
        Ok(request)
    }
}
