//! `test`: the tests that campaigns bring along, by the code that the matcher runs; nobody is asked.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::campaign;
use super::documents::read_all;
use super::examples::{self, Failed, Outcome};
use super::exit::{Exit, Failure};
use super::output::{BAD, DIM, Form, GOOD, NAME, styled};

/// Arguments of `test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// File or folder with campaigns in YAML or JSON; folders with all in them, - is standard input
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,
}

impl Test {
    pub(crate) fn run(&self, form: Form) -> anyhow::Result<Exit> {
        let (right, wrong) = campaign::check(read_all(&self.paths).map_err(Failure::usage)?);
        let outcomes: Vec<Outcome> = right.iter().flat_map(examples::outcomes).collect();
        let failed = outcomes.iter().filter(|outcome| !outcome.held).count();
        let document = json!({
            "tests": outcomes.len(),
            "failed": failed,
            "problems": wrong,
            "outcomes": outcomes,
        });
        form.print(&document, || {
            let problems = wrong.iter().map(|found| styled(BAD, found));
            let mut lines: Vec<String> = problems.chain(outcomes.iter().map(text)).collect();
            let broken = match wrong.len() {
                0 => String::new(),
                count => format!(", {count} problems in the campaigns"),
            };
            let campaigns = right.len();
            let tests = outcomes.len();
            lines.push(format!(
                "{tests} tests of {campaigns} campaigns, {failed} failed{broken}"
            ));
            lines.join("\n")
        })?;
        Ok(Exit::yes_or_no(failed == 0 && wrong.is_empty()))
    }
}

/// A line for a test that holds; for another also what was expected, what came, and why.
fn text(outcome: &Outcome) -> String {
    let id = styled(NAME, &outcome.id);
    let Some(failure) = &outcome.failure else {
        return format!("{} {id} {}", styled(GOOD, "✓"), outcome.test);
    };
    let place = styled(DIM, &outcome.place);
    let mut text = format!("{} {id} {}  {place}", styled(BAD, "✗"), outcome.test);
    let Failed {
        expected,
        found,
        detail,
        ..
    } = failure;
    if let Some(expected) = expected {
        text += "\n";
        text += &styled(GOOD, format_args!("  - {expected}"));
    }
    if let Some(found) = found {
        text += "\n";
        text += &styled(BAD, format_args!("  + {found}"));
    }
    // The first line of an explanation says what `found` says.
    for line in detail.lines().skip(usize::from(found.is_some())) {
        text += "\n  ";
        text += line;
    }
    text
}
