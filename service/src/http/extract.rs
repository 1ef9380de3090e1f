//! What handlers ask for of a request, with problems where axum would answer in plain text.

use std::error::Error;

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::problem::{BAD_REQUEST, Fault, INVALID, Problem};

/// A body of JSON, as `axum::Json`, but what is wrong is told as a [`Problem`] with a pointer to it.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// The parameters behind the question mark, as `axum::extract::Query`.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The parameters within the path, as `axum::extract::Path`.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let axum::Json(value) = axum::Json::from_request(request, state).await?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Query(value) =
            axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(value) =
            axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        type Found = serde_path_to_error::Error<serde_json::Error>;
        let Some(found) = source::<Found>(&rejection) else {
            return Self::of_status(rejection.status(), rejection.body_text());
        };
        let error = found.inner().to_string();
        if rejection.status() == StatusCode::UNPROCESSABLE_ENTITY {
            let fault = Fault::new(pointer(found.path()), error);
            return Self::new(&INVALID, "the body is JSON, but not what is expected here")
                .errors(vec![fault]);
        }
        Self::new(&BAD_REQUEST, format!("the body is not JSON: {error}"))
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::of_status(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::of_status(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::of_status(rejection.status(), rejection.body_text())
    }
}

/// The cause of that type among an error's causes.
fn source<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The place as a JSON pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::header;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Order {
        #[allow(dead_code, reason = "only its type matters")]
        items: Vec<std::collections::BTreeMap<String, u32>>,
    }

    async fn read(media_type: &str, body: &str) -> Problem {
        let request = Request::builder()
            .header(header::CONTENT_TYPE, media_type)
            .body(Body::from(body.to_owned()))
            .unwrap();
        Json::<Order>::from_request(request, &()).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_body_of_another_shape_is_pointed_at() {
        let problem = read(
            "application/json",
            r#"{"items": [{"a/b": 1}, {"c~d": "x"}]}"#,
        )
        .await;
        assert_eq!(problem.kind(), &INVALID);
        let text = format!("{problem:?}");
        assert!(text.contains("/items/1/c~0d"), "{text}");
        assert!(text.contains("expected u32"), "{text}");
    }

    #[tokio::test]
    async fn what_is_not_json_says_so() {
        let problem = read("application/json", "{").await;
        assert_eq!(problem.kind(), &BAD_REQUEST);
        assert!(problem.detail().starts_with("the body is not JSON: EOF"));
        let problem = read("text/plain", "{}").await;
        assert_eq!(problem.kind().status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
