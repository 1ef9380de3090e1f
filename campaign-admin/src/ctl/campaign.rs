//! A campaign's document from a file beside the one on the server.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use rules::CampaignProblem;
use schemas::Campaign;
use serde_json::Value as Json;

use super::documents::{Document, read_all};
use super::exit::Failure;

/// Which files.
#[derive(Debug, Clone, Args)]
pub(crate) struct Files {
    /// File or folder with campaigns in YAML or JSON; folders with all in them, - is standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

impl Files {
    /// Their documents.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn documents(&self) -> anyhow::Result<Vec<Document>> {
        read_all(&self.paths).map_err(Failure::usage)
    }
}

/// A document that is right, as far as can be said here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Local {
    pub(crate) document: Document,
    pub(crate) campaign: Campaign,
}

/// Something wrong, with its place in a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Found {
    /// As `file:line`.
    pub(crate) place: String,
    /// The campaign, if it has an id.
    pub(crate) id: Option<String>,
    #[serde(flatten)]
    pub(crate) problem: CampaignProblem,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl Found {
    /// A problem of a document.
    pub(crate) fn new(document: &Document, problem: CampaignProblem) -> Self {
        Self {
            place: document.place(&problem.pointer),
            id: document.id().map(str::to_owned),
            problem,
        }
    }
}

/// Checks documents by the code that the server runs, and that no id is there twice.
pub(crate) fn check(documents: Vec<Document>) -> (Vec<Local>, Vec<Found>) {
    let mut right: Vec<Local> = Vec::new();
    let mut places = HashMap::new();
    let mut wrong = Vec::new();
    for document in documents {
        match rules::check::campaign(&document.value) {
            Ok(rule) => {
                let campaign = rule.campaign();
                if let Some(&twin) = places.get(&campaign.id) {
                    let twin: &Local = &right[twin];
                    let detail = format!(
                        "the id {} is there twice; the other is {}",
                        campaign.id,
                        twin.document.place("/id")
                    );
                    let pointer = "/id".to_owned();
                    wrong.push(Found::new(&document, CampaignProblem::new(pointer, detail)));
                } else {
                    places.insert(campaign.id.clone(), right.len());
                    right.push(Local { document, campaign });
                }
            }
            Err(problems) => {
                let found = problems
                    .into_iter()
                    .map(|problem| Found::new(&document, problem));
                wrong.extend(found);
            }
        }
    }
    (right, wrong)
}

impl Local {
    /// The id.
    pub(crate) fn id(&self) -> &str {
        self.campaign.id.as_str()
    }

    /// The document to be written over one that is there.
    ///
    /// A file that does not say a `status` leaves it as it is: who stopped a campaign in a hurry must not
    /// see it started again by the next run of a pipeline.
    pub(crate) fn over(&self, there: &Json) -> Json {
        let mut document = self.document.value.clone();
        let Json::Object(fields) = &mut document else {
            return document;
        };
        if let Some(status) = there.get("status") {
            fields.entry("status").or_insert_with(|| status.clone());
        }
        // Why it is paused is the server's to say.
        if let Some(tripped) = there
            .get("tripped")
            .filter(|_| fields.get("status") == Some(&Json::from("paused")))
        {
            fields.insert("tripped".to_owned(), tripped.clone());
        }
        document
    }

    /// Whether writing it over that one would change nothing but the version.
    pub(crate) fn is_as(&self, there: &Json) -> bool {
        let plain = |document: &Json| {
            let mut campaign = Campaign::from_json(document.to_string().as_bytes()).ok()?;
            campaign.version = 1;
            Some(campaign)
        };
        plain(&self.over(there)).is_some_and(|local| plain(there) == Some(local))
    }
}

/// A document as it is compared and shown: with all that it leaves to the defaults, and without the
/// version, which the server counts.
pub(crate) fn normal(document: &Json) -> Json {
    let campaign = Campaign::from_json(document.to_string().as_bytes());
    let normal = campaign
        .ok()
        .and_then(|campaign| serde_json::to_value(campaign).ok());
    let mut normal = normal.unwrap_or_else(|| document.clone());
    if let Json::Object(fields) = &mut normal {
        fields.remove("version");
    }
    normal
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn local(value: &Json) -> Local {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.json");
        std::fs::write(&file, value.to_string()).unwrap();
        let (mut right, wrong) = check(read_all(&[file]).unwrap());
        assert!(wrong.is_empty(), "{wrong:?}");
        right.remove(0)
    }

    fn document(fields: &Json) -> Json {
        let mut document = json!({
            "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]},
            "reward": {"kind": "credit", "amount": "10.00"},
        });
        for (name, value) in fields.as_object().unwrap() {
            document[name] = value.clone();
        }
        document
    }

    #[test]
    fn only_what_means_something_else_is_a_change() {
        let there = document(&json!({"version": 7, "status": "paused"}));
        let same = [
            json!({}),
            json!({"status": "paused"}),
            json!({"version": 3}),
            json!({"reward": {"kind": "credit", "amount": 10.0}}),
            json!({"schedule": {}, "labels": {}, "description": ""}),
        ];
        for fields in same {
            assert!(local(&document(&fields)).is_as(&there), "{fields}");
        }
        let other = [
            json!({"status": "active"}),
            json!({"name": "Eleven"}),
            json!({"reward": {"kind": "credit", "amount": "10.01"}}),
            json!({"unknown": 1}),
        ];
        for fields in other {
            assert!(!local(&document(&fields)).is_as(&there), "{fields}");
        }
    }

    #[test]
    fn a_file_without_a_status_leaves_it_as_it_is() {
        let there = document(&json!({"status": "archived"}));
        assert_eq!(
            local(&document(&json!({}))).over(&there)["status"],
            "archived"
        );
        let active = document(&json!({"status": "active"}));
        assert_eq!(local(&active).over(&there)["status"], "active");
    }

    #[test]
    fn problems_have_their_line_and_ids_are_unique() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.yaml");
        let good = "id: ten\nname: Ten\nwhen: {event_type: [purchase]}\nreward: {kind: custom}\n";
        let text = format!(
            "{good}---\n{good}---\nid: x\nname: X\nwhen:\n  amount: 5\nreward:\n  kind: c\n"
        );
        std::fs::write(&file, text).unwrap();
        let (right, wrong) = check(read_all(&[file]).unwrap());
        assert_eq!(right.len(), 1);
        let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
        assert!(
            wrong[0].contains("c.yaml:6: /id: the id ten is there twice"),
            "{wrong:?}"
        );
        assert!(
            wrong[1].contains("c.yaml:14: /when/amount: a field takes a list"),
            "{wrong:?}"
        );
    }

    #[test]
    fn a_normal_document_says_what_was_left_to_the_defaults() {
        let normal = normal(&document(&json!({"version": 3})));
        assert_eq!(normal["status"], "active");
        assert!(normal.get("version").is_none());
    }
}
