//! Patterns as they were written.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// An event pattern as it was written: any JSON. What it must be, the `rules` crate says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct When(Json);

impl When {
    /// The pattern.
    pub fn json(&self) -> &Json {
        &self.0
    }
}

impl From<Json> for When {
    fn from(json: Json) -> Self {
        Self(json)
    }
}

/// Its JSON, without spaces; fields in the order of their names.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
