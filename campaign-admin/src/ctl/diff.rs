//! `diff`: what `apply` would change.

use clap::Args;
use serde_json::{Value as Json, json};
use similar::{ChangeTag, TextDiff};

use super::api::Api;
use super::campaign::{self, Files, Local, normal};
use super::documents::to_yaml;
use super::exit::{Exit, Failure};
use super::output::{BAD, DIM, Form, GOOD, NAME, note, styled};

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    files: Files,
}

impl Diff {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let (right, wrong) = campaign::check(self.files.documents()?);
        if !wrong.is_empty() {
            for found in &wrong {
                note(styled(BAD, found));
            }
            // Above 1, for 1 says that there are differences.
            let error = anyhow::anyhow!("{} problems; there is nothing to compare", wrong.len());
            return Err(Failure::usage(error));
        }
        let mut differences = Vec::new();
        for local in &right {
            let there = api.campaign(local.id()).await?;
            let there = there.map(|there| there.document);
            if let Some(difference) = Difference::between(there.as_ref(), local) {
                differences.push(difference);
            }
        }
        let documents: Vec<_> = differences.iter().map(Difference::document).collect();
        form.print(&json!({"differences": documents}), || {
            let texts = differences.iter().map(Difference::text);
            texts.collect::<Vec<_>>().join("\n")
        })?;
        Ok(Exit::yes_or_no(differences.is_empty()))
    }
}

/// A campaign that would be changed.
struct Difference {
    id: String,
    before: Option<Json>,
    after: Json,
    file: String,
    version: Option<u64>,
}

impl Difference {
    fn between(there: Option<&Json>, local: &Local) -> Option<Self> {
        if there.is_some_and(|there| local.is_as(there)) {
            return None;
        }
        let after = there.map_or_else(|| local.document.value.clone(), |there| local.over(there));
        Some(Self {
            id: local.id().to_owned(),
            before: there.map(normal),
            after: normal(&after),
            file: local.document.place(""),
            version: there.and_then(|there| there["version"].as_u64()),
        })
    }

    fn document(&self) -> Json {
        json!({"id": self.id, "version": self.version, "before": self.before, "after": self.after})
    }

    fn text(&self) -> String {
        let before = self.before.as_ref().map(to_yaml).unwrap_or_default();
        let version = match self.version {
            Some(version) => format!("version {version}"),
            None => "new".to_owned(),
        };
        let header = format!("{} ({version}, {})", self.id, self.file);
        let mut lines = vec![styled(NAME, header)];
        lines.extend(unified(&before, &to_yaml(&self.after)));
        lines.join("\n")
    }
}

/// The lines that differ with three around them, as `diff -u` shows them.
pub(crate) fn unified(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(3) {
        if !lines.is_empty() {
            lines.push(styled(DIM, "  …"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches('\n');
            lines.push(match change.tag() {
                ChangeTag::Delete => styled(BAD, format_args!("- {line}")),
                ChangeTag::Insert => styled(GOOD, format_args!("+ {line}")),
                ChangeTag::Equal => format!("  {line}"),
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown_with_a_little_around_it() {
        let lines: Vec<_> = (0..12).map(|n| format!("line {n}")).collect();
        let before = lines.join("\n") + "\n";
        let after = before
            .replace("line 1\n", "")
            .replace("line 10", "line ten");
        let plain = unified(&before, &after).join("\n");
        let plain = anstream::adapter::strip_str(&plain).to_string();
        insta::assert_snapshot!(plain, @r"
          line 0
        - line 1
          line 2
          line 3
          line 4
          …
          line 7
          line 8
          line 9
        - line 10
        + line ten
          line 11
        ");
    }
}
