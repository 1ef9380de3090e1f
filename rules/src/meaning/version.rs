//! `semver`: ranges of versions (Semantic Versioning 2.0.0).

use semver::{Version, VersionReq};
use serde_json::Value as Json;

use crate::operator;
use crate::problem::{Problem, clip};

/// A range of versions in Cargo's notation, such as `>=1.4, <2`.
#[derive(Debug, Clone)]
pub(super) struct VersionRange(VersionReq);

impl VersionRange {
    pub(super) fn read(operand: &Json) -> Result<Self, Problem> {
        let text = operator::string("semver", operand)?;
        let range = VersionReq::parse(text).map_err(|error| Problem::Versions {
            found: clip(text),
            reason: error.to_string(),
        })?;
        Ok(Self(range))
    }

    pub(super) fn is_met_by(&self, text: &str) -> bool {
        Version::parse(text).is_ok_and(|version| self.0.matches(&version))
    }
}
