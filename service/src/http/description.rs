//! What the descriptions (OpenAPI 3.1) of our APIs have in common: problems and credentials.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, ToSchema};

/// An error (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation: what is sent is a `Problem`")]
pub struct ProblemDocument {
    /// What kind it is: an address that explains it.
    #[schema(example = "/problems/invalid")]
    r#type: String,
    /// The same in a few words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is special about this one.
    detail: Option<String>,
    /// The address that was asked for.
    instance: Option<String>,
    /// The trace that the request belongs to: what the logs say of it.
    trace_id: Option<String>,
    /// What is wrong with the content, each with its place.
    errors: Option<Vec<FaultDocument>>,
}

/// One thing that is wrong with a request's content.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation: what is sent is a `Fault`")]
pub struct FaultDocument {
    /// The place: a JSON pointer (RFC 6901) into the body; empty for all of it.
    #[schema(example = "/payload/amount")]
    pointer: String,
    /// What is wrong.
    detail: String,
    /// The same as a stable word, where there is one.
    code: Option<String>,
}

/// Adds to a description, as one of its `modifiers`, the security scheme `key`, and to each operation
/// that any other answer is a problem. [`ProblemDocument`] must be among its `components`.
pub struct Common;

impl Modify for Common {
    fn modify(&self, description: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, or a token of the OIDC provider"))
            .build();
        if let Some(components) = &mut description.components {
            components.add_security_scheme("key", SecurityScheme::Http(scheme));
        }
        let problem = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("ProblemDocument")))
            .build();
        let any = ResponseBuilder::new()
            .description("A problem.")
            .content("application/problem+json", problem)
            .build();
        for item in description.paths.paths.values_mut() {
            let operations = [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.patch,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                let responses = &mut operation.responses.responses;
                responses.insert("default".to_owned(), RefOr::T(any.clone()));
            }
        }
    }
}

/// A description as JSON, as it is served and kept.
///
/// # Panics
/// Never: it has no part that JSON lacks.
pub fn to_json(description: &OpenApi) -> String {
    let json = serde_json::to_string_pretty(description);
    json.expect("a description has a JSON form") + "\n"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;
    use utoipa::PartialSchema as _;

    use super::*;
    use crate::http::problem::{Fault, INVALID, Problem};

    fn names(object: &Value) -> Vec<&String> {
        let mut names: Vec<_> = object.as_object().unwrap().keys().collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn problems_are_described_as_they_are_sent() {
        let problem = Problem::new(&INVALID, "detail")
            .errors(vec![Fault::new("/a", "detail").code("code")])
            .retry_after(Duration::from_secs(1));
        let sent = problem.render(Some("/"), Some("trace")).into_body();
        let sent = axum::body::to_bytes(sent, 4096).await.unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        let described = |schema| serde_json::to_value(schema).unwrap()["properties"].clone();
        let problem = described(ProblemDocument::schema());
        assert_eq!(names(&problem), names(&sent));
        let fault = described(FaultDocument::schema());
        assert_eq!(names(&fault), names(&sent["errors"][0]));
    }
}
