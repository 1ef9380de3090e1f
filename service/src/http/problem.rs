//! Problems: every error of an API, in the one form of RFC 9457 (`application/problem+json`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use serde_json::value::RawValue;

use super::extract::Path;

/// A kind of problem: what clients tell problems apart by. Its address, the member `type`, is
/// `/problems/` and its name.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Stable name in the address, in kebab case.
    pub name: &'static str,
    /// Status of the answer.
    pub status: StatusCode,
    /// A few words, the same for every problem of this kind.
    pub title: &'static str,
    /// What it means and what the client can do, for the page at its address.
    pub meaning: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $constant:ident = $name:literal $status:ident $title:literal $meaning:literal;)*) => {
        $(
            $(#[$doc])*
            pub const $constant: Kind = Kind {
                name: $name,
                status: StatusCode::$status,
                title: $title,
                meaning: $meaning,
            };
        )*

        /// The kinds that every API has.
        pub const COMMON: &[&Kind] = &[$(&$constant),*];
    };
}

kinds! {
    /// The request cannot be understood.
    BAD_REQUEST = "bad-request" BAD_REQUEST "The request cannot be understood"
        "Something about the request is malformed, such as a body that is not JSON or a parameter of \
         the wrong type. `detail` says what; repeating the request unchanged gives the same answer.";
    /// No credentials, or none that are valid.
    UNAUTHENTICATED = "unauthenticated" UNAUTHORIZED "Valid credentials are needed"
        "Send an API key or a bearer token in the header `Authorization: Bearer …`. Keys may have \
         expired or been revoked; tokens have an issuer, an audience and an end.";
    /// Credentials without the scope.
    FORBIDDEN = "forbidden" FORBIDDEN "The credentials do not allow this"
        "The API key or token is valid but lacks the scope that `detail` names.";
    /// Nothing at this address.
    NOT_FOUND = "not-found" NOT_FOUND "There is nothing here"
        "The address is wrong, or what it names does not exist (any more).";
    /// The address knows other methods.
    METHOD_NOT_ALLOWED = "method-not-allowed" METHOD_NOT_ALLOWED "The method is not allowed here"
        "The header `Allow` lists the methods that are.";
    /// The body did not come in time.
    REQUEST_TIMEOUT = "request-timeout" REQUEST_TIMEOUT "The request took too long to arrive"
        "The body did not arrive in time. Send it again, quicker or in smaller parts.";
    /// The request is larger than allowed.
    TOO_LARGE = "too-large" PAYLOAD_TOO_LARGE "The request is too large"
        "The body, before or after decompression, has more bytes or more items than allowed; `detail` \
         says the limit. Send less at once.";
    /// The address is longer than allowed.
    URI_TOO_LONG = "uri-too-long" URI_TOO_LONG "The address is too long"
        "Shorten the query.";
    /// A media type or encoding that is not taken.
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE
        "The media type is not supported"
        "`Content-Type` or `Content-Encoding` names a form that is not taken here; `detail` lists those \
         that are.";
    /// Well formed, but not valid.
    INVALID = "invalid" UNPROCESSABLE_ENTITY "The content is not valid"
        "The request is well formed but breaks rules of its content; `errors` lists each with a JSON \
         pointer into the body.";
    /// More requests than the key may make.
    TOO_MANY_REQUESTS = "too-many-requests" TOO_MANY_REQUESTS "Too many requests"
        "The API key or token has used up its rate. Wait as long as `Retry-After` says.";
    /// The headers are larger than allowed.
    HEADERS_TOO_LARGE = "headers-too-large" REQUEST_HEADER_FIELDS_TOO_LARGE "The headers are too large"
        "Send fewer or shorter headers.";
    /// A mistake on our side.
    INTERNAL = "internal" INTERNAL_SERVER_ERROR "Something went wrong here"
        "A mistake on this side; the log says more under `trace_id`.";
    /// Too much to do, or something that is needed is away.
    UNAVAILABLE = "unavailable" SERVICE_UNAVAILABLE "The service cannot take this now"
        "It is overloaded, shutting down, or something that it needs is away. Repeat the request after \
         `Retry-After`; what came of this one is not certain, so repeat it with the same identifiers.";
}

/// One thing that is wrong within a request's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where, as a JSON pointer (RFC 6901) into the body; empty for all of it.
    pub pointer: String,
    /// What is wrong, in words.
    pub detail: String,
    /// The same as a stable word, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'static, str>>,
}

impl Fault {
    /// A fault at a place.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
            code: None,
        }
    }

    /// With its stable word.
    #[must_use]
    pub fn code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(code.into());
        self
    }
}

/// An error as an answer. Use it as the error type of handlers.
///
/// [`super::api`] adds the trace id; without it the answer is complete but for that.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: &'static Kind,
    detail: String,
    errors: Vec<Fault>,
    further: Vec<(&'static str, Box<RawValue>)>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
}

/// The document that is sent.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
    #[serde(flatten)]
    further: BTreeMap<&'a str, &'a RawValue>,
}

impl Problem {
    /// A problem of that kind; `detail` says, in words for people, what is special about this one.
    pub fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            further: Vec::new(),
            retry_after: None,
            challenge: None,
        }))
    }

    /// The problem that a bare status stands for.
    pub fn of_status(status: StatusCode, detail: impl Into<String>) -> Self {
        let kind = COMMON.iter().find(|kind| kind.status == status);
        let kind = kind.copied().unwrap_or(if status.is_client_error() {
            &BAD_REQUEST
        } else {
            &INTERNAL
        });
        Self::new(kind, detail)
    }

    /// With what is wrong, each with its place.
    #[must_use]
    pub fn errors(mut self, errors: Vec<Fault>) -> Self {
        self.0.errors = errors;
        self
    }

    /// With a member of its own (RFC 9457, section 3.2).
    ///
    /// # Panics
    /// When the value has no JSON form: a mistake in the program.
    #[must_use]
    pub fn with<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        let value = serde_json::value::to_raw_value(value).expect("the value has a JSON form");
        self.0.further.push((name, value));
        self
    }

    /// With the time after which a repetition makes sense, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.0.retry_after = Some(time);
        self
    }

    /// With the header `WWW-Authenticate`, which belongs to 401 and 403 (RFC 6750, section 3).
    #[must_use]
    pub(crate) fn challenge(mut self, challenge: &'static str) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    /// Its kind.
    pub const fn kind(&self) -> &'static Kind {
        self.0.kind
    }

    /// What is special about this one.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The answer, with the address that was asked for and the trace that the request belongs to.
    pub(super) fn render(self, instance: Option<&str>, trace_id: Option<&str>) -> Response {
        let kind = self.0.kind;
        let document = Document {
            r#type: format!("/problems/{}", kind.name),
            title: kind.title,
            status: kind.status.as_u16(),
            detail: &self.0.detail,
            instance,
            trace_id,
            errors: &self.0.errors,
            further: self
                .0
                .further
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect(),
        };
        let body = serde_json::to_vec(&document).expect("texts and numbers can be written");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = kind.status;
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        if let Some(time) = self.0.retry_after {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        if let Some(challenge) = self.0.challenge {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.render(None, None)
    }
}

/// A page for each of those kinds, at its address.
pub(super) fn pages(kinds: &'static [&'static Kind]) -> Router {
    Router::new().route(
        "/problems/{name}",
        get(async move |Path(name): Path<String>| {
            let kind = kinds.iter().find(|kind| kind.name == name);
            let kind = kind.ok_or_else(|| Problem::new(&NOT_FOUND, "there is no such problem"))?;
            let status = kind.status.as_u16();
            Ok::<_, Problem>(format!("{} ({status})\n\n{}\n", kind.title, kind.meaning))
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_says_all_that_a_client_needs() {
        let problem = Problem::new(&INVALID, "two things are wrong")
            .errors(vec![
                Fault::new("/reward/kind", "is missing").code("missing"),
                Fault::new("", "is empty"),
            ])
            .with("items", &[1, 2])
            .retry_after(Duration::from_millis(1500));
        let response = problem.render(Some("/v1/campaigns"), Some("0af7"));
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        assert_eq!(response.headers()["retry-after"], "2");
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "/problems/invalid",
                "title": "The content is not valid",
                "status": 422,
                "detail": "two things are wrong",
                "instance": "/v1/campaigns",
                "trace_id": "0af7",
                "items": [1, 2],
                "errors": [
                    {"pointer": "/reward/kind", "detail": "is missing", "code": "missing"},
                    {"pointer": "", "detail": "is empty"},
                ],
            })
        );
    }

    #[test]
    fn a_bare_status_is_a_problem_of_its_kind_or_of_its_class() {
        let kind = |status| Problem::of_status(status, "").kind();
        assert_eq!(kind(StatusCode::NOT_FOUND), &NOT_FOUND);
        assert_eq!(kind(StatusCode::EXPECTATION_FAILED), &BAD_REQUEST);
        assert_eq!(kind(StatusCode::BAD_GATEWAY), &INTERNAL);
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        for (at, kind) in COMMON.iter().enumerate() {
            assert!(COMMON[..at].iter().all(|other| other.name != kind.name));
        }
    }
}
