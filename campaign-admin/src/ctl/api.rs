//! The campaigns' API as its clients see it.

mod audiences;
mod coupons;
mod request;
mod settings;

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{AUTHORIZATION, ETAG, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use rules::CampaignProblem;
use schemas::{CampaignId, CustomerId};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use service::settings::Secret;

pub(crate) use self::request::Request;
pub(crate) use self::settings::ServerSettings;
use super::exit::{Exit, Failure};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often a request is sent that the server cannot take now.
const ATTEMPTS: u32 = 4;

/// Longest wait before a request is sent again.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// A client of one server.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    flag: &'static str,
    token: Option<Secret>,
    context: Option<String>,
}

/// A campaign as it is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    /// The document.
    pub(crate) document: Json,
    /// Its `ETag`, to change it only if it is still so.
    pub(crate) tag: String,
}

/// What must be true for a campaign to be changed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum If<'a> {
    /// It is still so.
    Tag(&'a str),
    /// It is not there.
    Absent,
}

/// What the server said no to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    /// The status.
    pub(crate) status: u16,
    title: String,
    detail: String,
    /// What is wrong with a document.
    errors: Vec<CampaignProblem>,
    trace_id: Option<String>,
}

/// What the server says of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Report {
    /// What is wrong.
    #[serde(default)]
    pub(crate) problems: Vec<CampaignProblem>,
    /// What is strange, although it is right.
    #[serde(default)]
    pub(crate) warnings: Vec<CampaignProblem>,
}

impl std::error::Error for Problem {}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.title)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        for fault in &self.errors {
            write!(f, "\n  {fault}")?;
        }
        if let (500.., Some(trace)) = (self.status, &self.trace_id) {
            write!(f, " (trace {trace})")?;
        }
        Ok(())
    }
}

/// An answer that is no error.
pub(crate) struct Answer {
    tag: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> anyhow::Result<Json> {
        serde_json::from_slice(&self.body).context("the server's answer is no JSON")
    }

    fn stored(&self) -> anyhow::Result<Stored> {
        let tag = self
            .tag
            .clone()
            .context("the server's answer has no ETag")?;
        Ok(Stored {
            document: self.json()?,
            tag,
        })
    }
}

impl Api {
    /// Where the server is.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A campaign; none if there is no such one.
    pub(crate) async fn campaign(&self, id: &str) -> anyhow::Result<Option<Stored>> {
        let request = self.request(Method::GET, &path(id, "")?);
        match self.send(request).await {
            Ok(answer) => Ok(Some(answer.stored()?)),
            Err(error) if is_status(&error, StatusCode::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A campaign as it was in that version.
    pub(crate) async fn version(&self, id: &str, version: u64) -> anyhow::Result<Json> {
        let request = self.request(Method::GET, &path(id, "")?);
        self.send(request.query("version", version)).await?.json()
    }

    /// All campaigns with these labels and states; none of them means any.
    pub(crate) async fn campaigns(
        &self,
        labels: &[String],
        statuses: &[String],
    ) -> anyhow::Result<Vec<Json>> {
        let mut campaigns = Vec::new();
        let mut page = None;
        loop {
            let mut request = self
                .request(Method::GET, "/v1/campaigns")
                .query("page_size", 500);
            if !labels.is_empty() {
                request = request.query("label", labels.join(","));
            }
            if !statuses.is_empty() {
                request = request.query("status", statuses.join(","));
            }
            if let Some(page) = &page {
                request = request.query("page_token", page);
            }
            let mut answer = self.send(request).await?.json()?;
            if let Json::Array(found) = answer["campaigns"].take() {
                campaigns.extend(found);
            }
            match answer["next_page_token"].take() {
                Json::String(next) if !next.is_empty() => page = Some(next),
                _ => return Ok(campaigns),
            }
        }
    }

    /// Makes a campaign be this document.
    pub(crate) async fn put(
        &self,
        id: &str,
        document: &Json,
        condition: If<'_>,
        reason: Option<&str>,
    ) -> anyhow::Result<Stored> {
        let request = self.request(Method::PUT, &path(id, "")?);
        let request = request.condition(condition).reason(reason).body(document);
        self.send(request).await?.stored()
    }

    /// Removes a campaign.
    pub(crate) async fn delete(
        &self,
        id: &str,
        condition: If<'_>,
        reason: Option<&str>,
    ) -> anyhow::Result<()> {
        let request = self.request(Method::DELETE, &path(id, "")?);
        self.send(request.condition(condition).reason(reason))
            .await?;
        Ok(())
    }

    /// Does something with a campaign: `pause`, `resume`, `archive`, or `revert` to a version.
    pub(crate) async fn turn(
        &self,
        id: &str,
        action: &str,
        version: Option<u64>,
        reason: Option<&str>,
    ) -> anyhow::Result<Stored> {
        let request = self.request(Method::POST, &path(id, &format!(":{action}"))?);
        let mut request = request.reason(reason);
        if let Some(version) = version {
            request = request.body(&json!({"version": version}));
        }
        self.send(request).await?.stored()
    }

    /// What was done to a campaign, newest first.
    ///
    /// # Errors
    /// There never was such a campaign.
    pub(crate) async fn history(&self, id: &str) -> anyhow::Result<Vec<Json>> {
        let mut history = Vec::new();
        let mut page = None;
        loop {
            let request = self.request(Method::GET, &path(id, "/history")?);
            let mut request = request.query("page_size", 100);
            if let Some(page) = &page {
                request = request.query("page_token", page);
            }
            let mut answer = self.send(request).await?.json()?;
            if let Json::Array(found) = answer["changes"].take() {
                history.extend(found);
            }
            match answer["next_page_token"].take() {
                Json::String(next) if !next.is_empty() => page = Some(next),
                _ => return Ok(history),
            }
        }
    }

    /// What the server says of a document: what is wrong, and what is strange.
    pub(crate) async fn check(&self, document: &Json) -> anyhow::Result<Report> {
        let request = self
            .request(Method::POST, "/v1/campaigns:check")
            .body(document);
        let answer = self.send(request).await?.json()?;
        serde_json::from_value(answer).context("the server's report is of another form")
    }

    /// What is used of a campaign's budgets.
    pub(crate) async fn budget(&self, id: &str) -> anyhow::Result<Json> {
        let path = path(id, "/budget")?;
        self.send(self.request(Method::GET, &path)).await?.json()
    }

    /// Resets a campaign's budgets. Returns where that is asked for.
    pub(crate) async fn reset_budget(
        &self,
        id: &str,
        reason: Option<&str>,
    ) -> anyhow::Result<Json> {
        let path = path(id, "/budget")?;
        let request = self.request(Method::DELETE, &path).reason(reason);
        self.send(request).await?.json()
    }

    /// What is remembered of a customer.
    pub(crate) async fn customer(&self, id: &str) -> anyhow::Result<Json> {
        let request = self.request_of_customer(Method::GET, id)?;
        self.send(request).await?.json()
    }

    /// Forgets a customer. Returns where that is asked for.
    pub(crate) async fn erase_customer(
        &self,
        id: &str,
        reason: Option<&str>,
    ) -> anyhow::Result<Json> {
        let request = self.request_of_customer(Method::DELETE, id)?;
        self.send(request.reason(reason)).await?.json()
    }

    fn request_of_customer(&self, method: Method, id: &str) -> anyhow::Result<Request> {
        CustomerId::check(id).map_err(Failure::usage)?;
        step(id)?;
        let mut request = self.request(method, "/v1/customers");
        // Whatever a customer's id has in it is one step of the address.
        if let Ok(mut steps) = request.0.url_mut().path_segments_mut() {
            steps.push(id);
        }
        Ok(request)
    }

    /// Whether the server answers and lets us in.
    pub(crate) async fn probe(&self) -> anyhow::Result<()> {
        let request = self
            .request(Method::GET, "/v1/campaigns")
            .query("page_size", 1);
        self.send(request).await.map(drop)
    }

    /// A request to be filled in.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        let mut url = self.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{path}"));
        Request(reqwest::Request::new(method, url))
    }

    /// Sends a request, again if the server cannot take it now.
    ///
    /// # Errors
    /// [`Problem`] is what the server says; or it could not be reached.
    pub(crate) async fn send(&self, request: Request) -> anyhow::Result<Answer> {
        let mut request = request.0;
        if let Some(token) = &self.token {
            let value = format!("Bearer {}", token.reveal());
            let mut value: reqwest::header::HeaderValue = value
                .parse()
                .context("the token has characters that no header may have")
                .map_err(Failure::usage)?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let mut attempt = 1;
        loop {
            let again = request.try_clone();
            let answer = self.http.execute(request).await;
            let answer = answer.map_err(|error| self.unreachable(&error))?;
            let status = answer.status();
            let wait = retry_after(answer.headers());
            if let (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, Some(again)) =
                (status, again)
                && attempt < ATTEMPTS
            {
                tokio::time::sleep(wait).await;
                request = again;
                attempt += 1;
                continue;
            }
            let tag = answer.headers().get(ETAG);
            let tag = tag.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
            let url = answer.url().clone();
            let body = answer.bytes().await;
            let body = body.map_err(|error| self.unreachable(&error))?.to_vec();
            if status.is_success() {
                return Ok(Answer { tag, body });
            }
            return Err(self.refused(status, &url, &body));
        }
    }

    fn refused(&self, status: StatusCode, url: &Url, body: &[u8]) -> anyhow::Error {
        let Ok(mut problem) = serde_json::from_slice::<Problem>(body) else {
            let text = String::from_utf8_lossy(body);
            let text: String = text.chars().take(200).collect();
            return anyhow::anyhow!(
                "{url} answered {status}: {text:?}; is {} the address of the right server?{}",
                self.flag,
                self.in_context()
            );
        };
        problem.status = status.as_u16();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let _infallible = write!(
                    problem.detail,
                    "; set CAMPAIGNCTL_TOKEN, --token-file or the context{}",
                    self.in_context()
                );
                Failure::with(Exit::Failed, problem)
            }
            StatusCode::NOT_FOUND => Failure::with(Exit::No, problem),
            StatusCode::PRECONDITION_FAILED => Failure::with(Exit::Conflict, problem),
            _ => problem.into(),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        // The innermost says why: connection refused, a name that is not known, a certificate.
        let mut why: &dyn std::error::Error = error;
        while let Some(source) = why.source() {
            why = source;
        }
        anyhow::anyhow!(
            "{} does not answer: {why}; set {}, {} or the context{}",
            self.address(),
            self.flag,
            if self.flag == "--ingest" {
                "CAMPAIGNCTL_INGEST"
            } else {
                "CAMPAIGNCTL_SERVER"
            },
            self.in_context()
        )
    }

    fn in_context(&self) -> String {
        let context = self.context.as_ref();
        context.map_or_else(String::new, |name| format!(" (now the context {name:?})"))
    }
}

/// Whether an error is the server's answer with that status.
pub(crate) fn is_status(error: &anyhow::Error, status: StatusCode) -> bool {
    let problem = error.downcast_ref::<Problem>().or_else(|| {
        let failure = error.downcast_ref::<Failure>()?;
        failure.cause::<Problem>()
    });
    problem.is_some_and(|problem| problem.status == status.as_u16())
}

fn retry_after(headers: &reqwest::header::HeaderMap) -> Duration {
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    seconds
        .map_or(Duration::from_millis(500), Duration::from_secs)
        .min(MAX_WAIT)
}

/// Whether a text can be a step of an address.
fn step(text: &str) -> anyhow::Result<()> {
    if matches!(text, "" | "." | "..") {
        // Addresses take them for steps of their own.
        let error = anyhow::anyhow!("{text:?} cannot be asked for in an address");
        return Err(Failure::usage(error));
    }
    Ok(())
}

fn path(id: &str, further: &str) -> anyhow::Result<String> {
    CampaignId::check(id).map_err(Failure::usage)?;
    if id.bytes().all(|byte| byte == b'.') {
        // Addresses take them for steps.
        return Err(Failure::usage(anyhow::anyhow!(
            "{id:?} can be no campaign's id here"
        )));
    }
    Ok(format!("/v1/campaigns/{id}{further}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customers_id_is_one_step_of_the_address_whatever_is_in_it() {
        let api = Api {
            http: service::http::client::client(TIMEOUT).unwrap(),
            base: "https://campaigns.example.com/shop/".parse().unwrap(),
            flag: "--server",
            token: None,
            context: None,
        };
        let path = |id: &str| {
            let request = api.request_of_customer(Method::GET, id);
            request.map(|request| request.0.url().path().to_owned())
        };
        assert_eq!(path("c-1").unwrap(), "/shop/v1/customers/c-1");
        let found = path("a/b?c#d %2e é").unwrap();
        assert_eq!(found, "/shop/v1/customers/a%2Fb%3Fc%23d%20%252e%20%C3%A9");
        for id in ["", ".", "..", "a\nb"] {
            assert!(path(id).is_err(), "{id:?}");
        }
    }
}
