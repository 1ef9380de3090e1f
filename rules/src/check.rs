//! A whole campaign's document, checked; every problem with its place.

use std::fmt;

use schemas::{Campaign, CampaignError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::lint;
use crate::parse::Path;
use crate::problem::kind;
use crate::reward::Worth;
use crate::{Pattern, PatternErrors, RewardErrors, Rule, RuleError};

/// One thing that is wrong with a campaign's document, or strange in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignProblem {
    /// Where: a JSON pointer (RFC 6901) into the document, such as `/when/payload/amount/0`. A field
    /// that is missing is missing from the object that this points to.
    pub pointer: String,
    /// What, and what to write instead.
    pub detail: String,
    /// A word that stays, for warnings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl CampaignProblem {
    /// Something that is wrong.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
            code: None,
        }
    }

    /// Something that is strange, with its code.
    pub fn warning(code: &str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code: Some(code.to_owned()),
            ..Self::new(pointer, detail)
        }
    }
}

impl fmt::Display for CampaignProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.detail),
            pointer => write!(f, "{pointer}: {}", self.detail),
        }?;
        match &self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

/// Reads and compiles a campaign's document.
///
/// # Errors
/// Everything that is wrong with it, at least one problem: fields in the order of their names, then
/// what is missing, then the pattern, then the expressions of the reward.
pub fn campaign(document: &Json) -> Result<Rule, Vec<CampaignProblem>> {
    let Json::Object(fields) = document else {
        let detail = format!("a campaign is an object; this is {}", kind(document));
        return Err(vec![CampaignProblem::new("", detail)]);
    };
    let mut problems = Vec::new();
    for (name, value) in fields {
        let mut alone = least();
        alone.insert(name.clone(), value.clone());
        problems.extend(read(alone).err());
    }
    for name in least().keys().filter(|name| !fields.contains_key(*name)) {
        let mut without = least();
        without.remove(name);
        problems.extend(read(without).err());
    }
    let pattern = fields.get("when").map(Pattern::parse);
    if let Some(Err(errors)) = &pattern {
        problems.extend(of_pattern(errors, "/when"));
    }
    for (pointer, pattern) in counted(document) {
        if let Err(errors) = Pattern::parse(pattern) {
            problems.extend(of_pattern(&errors, &pointer));
        }
    }
    if let Some(types) = document.pointer("/reverse_on/event_type")
        && let Err(errors) = Pattern::parse(&json!({"event_type": types}))
    {
        problems.extend(of_pattern(&errors, "/reverse_on"));
    }
    let reward = fields.get("reward").cloned().map(serde_json::from_value);
    if let Some(Ok(reward)) = reward {
        problems.extend(Worth::compile(&reward).err().iter().flat_map(of_reward));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let campaign = read(fields.clone()).map_err(|problem| vec![problem])?;
    Rule::compile(campaign).map_err(|error| match error {
        RuleError::Pattern(errors) => of_pattern(&errors, "/when").collect(),
        RuleError::Reward(errors) => of_reward(&errors).collect(),
    })
}

/// What is strange in a campaign, although it is right: fields that no release so far knows, and what is legal but
/// probably wrong. Each has a code.
pub fn warnings(campaign: &Campaign) -> Vec<CampaignProblem> {
    let unknown = campaign.unknown_fields().map(|name| {
        let detail = "no release so far knows this field; it is kept, and has no effect";
        CampaignProblem::warning("unknown-field", field(name), detail)
    });
    unknown.chain(lint::campaign(campaign)).collect()
}

/// The smallest campaign. Fields are checked one by one in its place, so that the first one that is
/// broken does not hide the others, and so that what is right stays the word of [`Campaign`] alone.
fn least() -> Map<String, Json> {
    let least = json!({
        "id": "least", "name": "", "when": {"event_type": ["least"]}, "reward": {"kind": "least"},
    });
    let Json::Object(fields) = least else {
        unreachable!("an object is written above");
    };
    fields
}

fn read(fields: Map<String, Json>) -> Result<Campaign, CampaignProblem> {
    let campaign: Campaign = serde_path_to_error::deserialize(Json::Object(fields))
        .map_err(|error| CampaignProblem::new(pointer(error.path()), error.inner().to_string()))?;
    campaign.check().map_err(|error| CampaignProblem {
        pointer: match &error {
            CampaignError::Schedule { .. } => "/schedule/end".to_owned(),
            CampaignError::Across(_) | CampaignError::Absents => "/across".to_owned(),
            CampaignError::ReturnsOfNothing => "/reverse_on".to_owned(),
            CampaignError::PoolBeside(_) => "/reward/pool".to_owned(),
            CampaignError::Reward(error) => {
                format!("/reward{}", error.field().map(field).unwrap_or_default())
            }
            CampaignError::Variants(_) | CampaignError::VariantsWait => "/variants".to_owned(),
            CampaignError::Version(_) => "/version".to_owned(),
            CampaignError::Key { .. } => "/id".to_owned(),
            _ => String::new(),
        },
        detail: error.to_string(),
        code: None,
    })?;
    Ok(campaign)
}

/// The patterns of what is counted, with their places.
fn counted(document: &Json) -> Vec<(String, &Json)> {
    let entries = |list: Option<&Json>| list.and_then(Json::as_array).map_or(0, Vec::len);
    let mut pointers = Vec::new();
    for at in 0..entries(document.get("across")) {
        pointers.push(format!("/across/{at}/when"));
        let steps = format!("/across/{at}/sequence");
        for step in 0..entries(document.pointer(&steps)) {
            pointers.push(format!("{steps}/{step}/when"));
        }
    }
    pointers.push("/reverse_on/when".to_owned());
    let found = pointers.into_iter().filter_map(|pointer| {
        let pattern = document.pointer(&pointer)?;
        Some((pointer, pattern))
    });
    found.collect()
}

fn of_pattern<'e>(
    errors: &'e PatternErrors,
    place: &'e str,
) -> impl Iterator<Item = CampaignProblem> + 'e {
    let further = (errors.further() > 0).then(|| {
        let detail = format!("and {} further problems", errors.further());
        CampaignProblem::new(place, detail)
    });
    let listed = errors.iter().map(move |error| {
        let pointer = format!("{place}{}", error.pointer);
        CampaignProblem::new(pointer, error.problem.to_string())
    });
    listed.chain(further)
}

fn of_reward(errors: &RewardErrors) -> impl Iterator<Item = CampaignProblem> {
    errors
        .iter()
        .map(|error| CampaignProblem::new(error.pointer(), error.error.to_string()))
}

fn field(name: &str) -> String {
    let mut path = Path::default();
    path.enter_field(name);
    path.pointer().to_owned()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = Path::default();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.enter_entry(*index),
            Segment::Map { key } => pointer.enter_field(key),
            Segment::Enum { variant } => pointer.enter_field(variant),
            Segment::Unknown => break,
        }
    }
    pointer.pointer().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(document: &Json) -> String {
        let problems = campaign(document).expect_err("the document is broken");
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_place() {
        let document = json!({
            "id": "Ten for fifty",
            "status": "live",
            "version": 0,
            "schedule": {"start": "2026-12-01T00:00:00Z", "end": "2026-11-01T00:00:00Z"},
            "when": {"payload": {"a/b": 5, "amount": [{"numeric": [">="]}, {"prefx": "x"}]}},
            "reward": {"kind": "credit", "amount": -1},
            "labels": {"team": 5},
            "hold": "soon",
            "audience": [],
            "holdout": "0%",
        });
        insta::assert_snapshot!(problems(&document), @r#"
        /audience: audience is empty; name an audience, or leave it out to mean everybody
        /hold: "soon" is no span of time; write numbers with units, as 7d, 1d12h, 30m, 45s or 500ms
        /holdout: "0%" is no share; write it as "10%", above 0% and below 100%, with four decimals at most
        /id: campaign id has ' ' at byte 3; letters, digits, '-', '_' and '.' are allowed
        /labels/team: invalid type: integer `5`, expected a string
        /reward/amount: -1 is below zero; an amount may not be negative
        /schedule/end: schedule.end 2026-11-01T00:00:00Z is not after schedule.start 2026-12-01T00:00:00Z
        /status: unknown variant `live`, expected one of `draft`, `active`, `paused`, `archived`
        /version: version 0 is out of range; use 1 to 9223372036854775807
        missing field `name`
        /when/payload/a~1b: a field takes a list of alternatives; this is a number, write [5]
        /when/payload/amount/0: "numeric" needs a number after ">="; there is nothing
        /when/payload/amount/1: there is no operator "prefx"; did you mean "prefix"? The operators are exactly, prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists, regexp, time, decimal, semver, contains-all, size, field
        "#);
    }

    #[test]
    fn a_document_of_another_form_says_what_a_campaign_is() {
        insta::assert_snapshot!(problems(&json!([])), @r#"
        a campaign is an object; this is a list
        "#);
        insta::assert_snapshot!(problems(&json!({"schedule": {"begin": 1}, "reward": {}})), @r#"
        /reward: missing field `kind`
        /schedule/begin: unknown field `begin`, expected one of `start`, `end`, `windows`
        missing field `id`
        missing field `name`
        missing field `when`
        "#);
    }

    #[test]
    fn pointers_lead_to_what_is_wrong() {
        let document = json!({
            "id": "ten", "name": "Ten", "reward": {"kind": "custom"},
            "when": {
                "$or": [{"a": [1]}, {"b": [1]}],
                "x": {"y": {"z": [1]}, "$or": [{"y": [2]}, {"w": [1]}]},
                "list": [[1]],
            },
        });
        let mut document = document;
        for expected in ["/when/list/0", "/when/x/y"] {
            let problems = campaign(&document).unwrap_err();
            assert_eq!(problems[0].pointer, expected);
            assert!(document.pointer(expected).is_some());
            document["when"].as_object_mut().unwrap().remove("list");
        }
    }

    #[test]
    fn what_is_counted_is_checked_where_it_stands() {
        let document = json!({
            "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]},
            "reward": {"kind": "custom"},
            "across": [
                {"first": true, "when": {"event_type": "purchase"}},
                {"sequence": [{"when": {"a": [{"prefx": "b"}]}}], "within": "1d"},
            ],
            "limits": {"per_customer": {"times": 0}},
        });
        insta::assert_snapshot!(problems(&document), @r#"
        /limits/per_customer: times is 1 to 4096
        /across/0/when/event_type: a field takes a list of alternatives; this is a string, write ["purchase"]
        /across/1/sequence/0/when/a/0: there is no operator "prefx"; did you mean "prefix"? The operators are exactly, prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists, regexp, time, decimal, semver, contains-all, size, field
        "#);
        let more = json!({"across": [{"count": {"at_least": 3}, "wthin": "7d"}]});
        assert_eq!(
            problems(&more).lines().next(),
            Some(
                "/across/0/wthin: unknown field `wthin`, expected one of `count`, `sum`, `min`, `max`, \
                 `average`, `distinct`, `sequence`, `absent`, `first`, `nth`, `within`, `tumbling`, \
                 `calendar`, `time_zone`, `session`, `when`"
            )
        );
    }

    #[test]
    fn a_right_document_is_compiled_and_unknown_fields_are_told() {
        let document = json!({
            "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]},
            "reward": {"kind": "credit", "amount": "10.00"}, "prority": 1, "priority": 1,
        });
        let rule = campaign(&document).unwrap();
        let warnings = warnings(&rule.campaign());
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].pointer, "/prority");
    }
}
