//! A request to the API, before it is sent.

use anyhow::Context as _;
use reqwest::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use serde_json::Value as Json;

use super::If;

/// A request that is being filled in.
pub(crate) struct Request(pub(super) reqwest::Request);

impl Request {
    /// With a parameter.
    #[must_use]
    pub(crate) fn query(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let url = self.0.url_mut();
        url.query_pairs_mut().append_pair(name, &value.to_string());
        self
    }

    /// With a body of JSON.
    #[must_use]
    pub(crate) fn body(self, body: &Json) -> Self {
        self.bytes("application/json", body.to_string().into_bytes())
    }

    /// With a body of that kind.
    #[must_use]
    pub(crate) fn bytes(mut self, kind: &'static str, body: Vec<u8>) -> Self {
        let kind = reqwest::header::HeaderValue::from_static(kind);
        self.0.headers_mut().insert(CONTENT_TYPE, kind);
        *self.0.body_mut() = Some(body.into());
        self
    }

    /// With a header of that name.
    ///
    /// # Errors
    /// The name or the value can be none of a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> anyhow::Result<Self> {
        let name: reqwest::header::HeaderName = name
            .parse()
            .with_context(|| format!("{name:?} is no name of a header"))?;
        let value = value
            .parse()
            .with_context(|| format!("{value:?} can be no value of a header"))?;
        self.0.headers_mut().insert(name, value);
        Ok(self)
    }

    pub(super) fn condition(mut self, condition: If<'_>) -> Self {
        let (name, value) = match condition {
            If::Tag(tag) => (IF_MATCH, tag),
            If::Absent => (IF_NONE_MATCH, "*"),
        };
        // A tag comes from a header, so it can be one.
        if let Ok(value) = value.parse() {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    pub(super) fn reason(self, reason: Option<&str>) -> Self {
        match reason {
            Some(reason) => self.query("reason", reason),
            None => self,
        }
    }
}
