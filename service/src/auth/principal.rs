//! Who makes a request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::scope::{Scope, Scopes};
use crate::http::Problem;
use crate::http::problem::INTERNAL;

/// Who makes a request, and what they may do. Handlers of protected routes take it as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    id: String,
    name: String,
    scopes: Scopes,
}

impl Principal {
    /// Somebody. `id` is unique among all: the rate is counted by it.
    pub(super) fn new(id: String, name: String, scopes: Scopes) -> Self {
        Self(Arc::new(Inner { id, name, scopes }))
    }

    /// Whoever it may be, where no credentials are asked for.
    pub fn anonymous() -> Self {
        Self::new(
            "anonymous".to_owned(),
            "anonymous".to_owned(),
            Scopes::all(),
        )
    }

    /// What tells it from all others: `key:` and the key's id, or `token:` and the token's subject.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// For people, such as in a history of changes: the key's name, or the token's subject.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it may do.
    pub fn scopes(&self) -> Scopes {
        self.0.scopes
    }

    /// Whether it may do that.
    pub fn may(&self, scope: Scope) -> bool {
        self.0.scopes.contains(scope)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!(path = parts.uri.path(), "a route is not protected");
            Problem::new(&INTERNAL, "")
        })
    }
}
