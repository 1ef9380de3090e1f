//! `regexp`: a regular expression that is found in a text, in time linear in the text.

use regex::{Regex, RegexBuilder};
use serde_json::Value as Json;

use crate::limits::MAX_REGEXP_BYTES;
use crate::operator;
use crate::problem::{Problem, clip};

/// A regular expression in the syntax of the `regex` crate, which has neither look-around nor back-references and
/// so never takes more than linear time.
#[derive(Debug, Clone)]
pub(super) struct Regexp(Regex);

impl Regexp {
    pub(super) fn read(operand: &Json) -> Result<Self, Problem> {
        let text = operator::string("regexp", operand)?;
        let compiled = RegexBuilder::new(text)
            .size_limit(MAX_REGEXP_BYTES)
            .dfa_size_limit(MAX_REGEXP_BYTES)
            .build();
        compiled.map(Self).map_err(|error| Problem::Regexp {
            reason: match error {
                regex::Error::CompiledTooBig(_) => {
                    format!("it compiles to more than {MAX_REGEXP_BYTES} bytes; make it simpler")
                }
                // The last line says what is wrong; those before it draw the place.
                other => clip(other.to_string().lines().last().unwrap_or_default()),
            },
        })
    }

    pub(super) fn is_met_by(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}
