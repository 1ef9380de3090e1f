//! What is legal in a campaign but probably wrong, or makes it slow. Warnings, never refusals; each has a code that
//! stays, listed in `docs/campaignctl.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::{Campaign, Value, Variant};

use crate::check::CampaignProblem;
use crate::condition::{Condition, Test, TextTest};
use crate::conjunction::{Conjunction, Fields, Part};
use crate::parse::Path;
use crate::pattern::Pattern;

mod reward;

/// More ways to meet one pattern than this take memory and time to change.
const MANY_WAYS: usize = 100;

/// Fields of an event that always hold one string.
const TEXTS: [&str; 4] = ["event_id", "customer_id", "event_type", "occurred_at"];

/// What is strange in the `when` and the reward of a campaign; nothing of one that does not compile.
pub(crate) fn campaign(campaign: &Campaign) -> Vec<CampaignProblem> {
    let when = campaign.when.json();
    let Ok(pattern) = Pattern::parse(when) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    for conjunction in pattern.conjunctions() {
        for warning in of_conjunction(conjunction, when) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    let ways = pattern.conjunctions().len();
    if ways > MANY_WAYS {
        let detail = format!(
            "the objects of its \"$or\"s multiply to {ways} ways to win, each of which is kept and tried; several \
             campaigns would be cheaper"
        );
        warnings.push(CampaignProblem::warning("many-ways", "/when", detail));
    }
    warnings.extend(reward::of(&campaign.reward, "", &pattern));
    for (number, variant) in campaign.variants.iter().enumerate() {
        if let Some(reward) = &variant.reward {
            warnings.extend(reward::of(reward, &format!("/variants/{number}"), &pattern));
        }
    }
    warnings.extend(of_experiment(campaign));
    warnings
}

/// Groups that say nothing.
fn of_experiment(campaign: &Campaign) -> Vec<CampaignProblem> {
    let mut warnings = Vec::new();
    let mut warn = |code, pointer: String, detail: &str| {
        warnings.push(CampaignProblem::warning(code, pointer, detail));
    };
    let variants = &campaign.variants;
    if campaign.experiment.is_some() && campaign.holdout.is_none() && variants.is_empty() {
        let detail =
            "experiment names a draw, and this campaign draws nothing; add holdout or variants";
        warn("draws-nothing", "/experiment".to_owned(), detail);
    }
    if let Some(holdout) = campaign.holdout
        && holdout.millionths() > 500_000
    {
        let detail = "more than half of the customers win nothing; is it the other way round?";
        warn("large-holdout", "/holdout".to_owned(), detail);
    }
    for (number, variant) in variants.iter().enumerate() {
        if variant.weight == 0 {
            let detail = "its weight is 0, so nobody gets it";
            warn("no-weight", format!("/variants/{number}/weight"), detail);
        }
    }
    let is_own = |variant: &Variant| variant.reward.is_some();
    if let [only] = &**variants {
        let detail = format!("everybody gets {}: there is no other variant", only.name);
        warn("one-variant", "/variants".to_owned(), &detail);
    } else if !variants.is_empty() && variants.iter().all(is_own) {
        let detail = "each variant has a reward of its own, so this one is given to nobody; leave it out of one of them";
        warn("unused-reward", "/reward".to_owned(), detail);
    }
    warnings
}

/// Campaigns that are the same but for their names: the later of each two, by its place in the list, with the earlier.
pub fn twins<'c>(campaigns: impl IntoIterator<Item = &'c Campaign>) -> Vec<(usize, usize)> {
    let mut first = BTreeMap::new();
    let mut twins = Vec::new();
    for (place, campaign) in campaigns.into_iter().enumerate() {
        let reward = serde_json::to_string(&campaign.reward).unwrap_or_default();
        let schedule = (campaign.schedule.start, campaign.schedule.end);
        let variants = serde_json::to_string(&campaign.variants).unwrap_or_default();
        let key = (campaign.when.to_string(), reward, variants, schedule);
        match first.get(&key) {
            Some(earlier) => twins.push((place, *earlier)),
            None => {
                first.insert(key, place);
            }
        }
    }
    twins
}

/// A condition with the names of its field from the top.
pub(crate) type Asked<'a> = (Vec<&'a str>, &'a [Arc<Condition>]);

/// The conditions below these fields.
pub(crate) fn asked<'a>(fields: &'a Fields, above: &[&'a str], into: &mut Vec<Asked<'a>>) {
    for (name, part) in fields {
        let mut path = above.to_vec();
        path.push(name);
        match part {
            Part::Value(condition) => into.push((path, std::slice::from_ref(condition))),
            Part::Values(conditions) => into.push((path, conditions)),
            Part::Object(fields) => asked(fields, &path, into),
        }
    }
}

fn of_conjunction(conjunction: &Conjunction, when: &serde_json::Value) -> Vec<CampaignProblem> {
    let mut all = Vec::new();
    asked(&conjunction.fields, &[], &mut all);
    let mut warnings = Vec::new();
    for (path, conditions) in &all {
        if let Some(detail) = never(path, conditions) {
            let pointer = pointer(path, when);
            warnings.push(CampaignProblem::warning("never-met", pointer, detail));
        }
    }
    let conditions = || all.iter().flat_map(|(_, conditions)| *conditions);
    if !conditions().any(|condition| is_selective(condition)) {
        let detail = "nothing here asks for a certain value, so nearly every event wins; ask for an \"event_type\"";
        warnings.push(CampaignProblem::warning(
            "matches-nearly-all",
            "/when",
            detail,
        ));
    } else if !conditions().any(|condition| is_looked_up(condition)) {
        let detail = "no condition here can be looked up, so the campaign is tried on every event; ask for an \
                      \"event_type\" or another exact value beside";
        warnings.push(CampaignProblem::warning("slow", "/when", detail));
    }
    warnings
}

/// Where a field stands in the document; the nearest object that is written, if it stands in an `$or`.
pub(crate) fn pointer(path: &[&str], when: &serde_json::Value) -> String {
    let mut below = Path::default();
    for name in path {
        below.enter_field(name);
    }
    let mut below = below.pointer().to_owned();
    while when.pointer(&below).is_none() {
        below.truncate(below.rfind('/').unwrap_or(0));
    }
    format!("/when{below}")
}

/// Why no event meets the conditions, if none does.
fn never(path: &[&str], conditions: &[Arc<Condition>]) -> Option<String> {
    if let [first, rest @ ..] = path
        && TEXTS.contains(first)
    {
        let is_met = |condition: &Arc<Condition>| match rest {
            [] => Kinds::of(condition).text,
            _ => condition.allows_absence(),
        };
        if !conditions.iter().all(is_met) {
            return Some(format!(
                "{first} is always there and always a string, so this is never met"
            ));
        }
    }
    if *path == ["payload"]
        && !conditions
            .iter()
            .all(|condition| condition.allows_absence())
    {
        return Some(
            "payload is always an object, so no value of it meets this; ask for a field in it"
                .to_owned(),
        );
    }
    let pairs = conditions.iter().enumerate().flat_map(|(place, first)| {
        let later = conditions.iter().skip(place + 1);
        later.map(move |second| (first, second))
    });
    for (first, second) in pairs {
        if exclude_each_other(first, second) {
            let field = path.join(".");
            return Some(format!(
                "two lists for {field} meet here through an \"$or\", and no value is in both; only an array of several \
                 values could"
            ));
        }
    }
    None
}

/// Kinds of values that may meet a condition.
#[derive(Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each kind may or may not be taken"
)]
struct Kinds {
    text: bool,
    number: bool,
    other: bool,
    absent: bool,
}

impl Kinds {
    fn of(condition: &Condition) -> Self {
        let mut kinds = Self {
            text: !condition.strings().is_empty(),
            number: !condition.numbers().is_empty(),
            other: false,
            absent: condition.allows_absence(),
        };
        for test in condition.tests() {
            match test {
                Test::Null | Test::Bool(_) => kinds.other = true,
                Test::Exists | Test::AnythingBut(_) => {
                    (kinds.text, kinds.number, kinds.other) = (true, true, true);
                }
                Test::Text(_) | Test::Network(_) => kinds.text = true,
                Test::Range(_) => kinds.number = true,
                Test::Meaning(meaning) => {
                    kinds.text = true;
                    kinds.number |= meaning.takes_numbers();
                }
            }
        }
        // What asks about the field as a whole may take anything.
        if !condition.wholes().is_empty() {
            return Self {
                text: true,
                number: true,
                other: true,
                absent: true,
            };
        }
        kinds
    }

    fn meet(self, other: Self) -> bool {
        (self.text && other.text)
            || (self.number && other.number)
            || (self.other && other.other)
            || (self.absent && other.absent)
    }
}

/// Whether no single value meets both. False where that is not plain.
fn exclude_each_other(first: &Condition, second: &Condition) -> bool {
    if !Kinds::of(first).meet(Kinds::of(second)) {
        return true;
    }
    let has_more =
        |condition: &Condition| condition.allows_absence() || !condition.wholes().is_empty();
    if has_more(first) || has_more(second) {
        return false;
    }
    if first.tests().is_empty() || second.tests().is_empty() {
        let (exact, other) = if first.tests().is_empty() {
            (first, second)
        } else {
            (second, first)
        };
        let texts = exact
            .strings()
            .iter()
            .any(|text| other.is_met_by(&Value::String(text)));
        let numbers = exact
            .numbers()
            .iter()
            .any(|number| other.is_met_by(&Value::Number(*number)));
        return !texts && !numbers;
    }
    let is_plain =
        |condition: &Condition| condition.strings().is_empty() && condition.numbers().is_empty();
    is_plain(first)
        && is_plain(second)
        && (first.tests().iter()).all(|a| second.tests().iter().all(|b| tests_exclude(a, b)))
}

fn tests_exclude(first: &Test, second: &Test) -> bool {
    match (first, second) {
        (Test::Range(a), Test::Range(b)) => is_below(a.high, b.low) || is_below(b.high, a.low),
        (Test::Text(TextTest::Prefix(a)), Test::Text(TextTest::Prefix(b))) => {
            !a.starts_with(&**b) && !b.starts_with(&**a)
        }
        (Test::Text(TextTest::Suffix(a)), Test::Text(TextTest::Suffix(b))) => {
            !a.ends_with(&**b) && !b.ends_with(&**a)
        }
        _ => false,
    }
}

/// Whether all numbers up to one bound are below all from the other on.
fn is_below(high: std::ops::Bound<schemas::Number>, low: std::ops::Bound<schemas::Number>) -> bool {
    use std::ops::Bound::{Excluded, Included};
    match (high, low) {
        (Included(high), Included(low)) => high < low,
        (Included(high) | Excluded(high), Excluded(low)) | (Excluded(high), Included(low)) => {
            high <= low
        }
        _ => false,
    }
}

/// Whether a condition asks for certain values: all of its alternatives do.
fn is_selective(condition: &Condition) -> bool {
    let is_open = |test: &Test| match test {
        Test::Exists | Test::AnythingBut(_) => true,
        Test::Text(TextTest::Prefix(text) | TextTest::Suffix(text)) => text.is_empty(),
        Test::Text(TextTest::Wildcard(wildcard)) => {
            wildcard.pieces().iter().all(|piece| piece.is_empty())
        }
        _ => false,
    };
    !condition.allows_absence() && !condition.tests().iter().any(is_open)
}

/// Whether the index can be asked for all of its alternatives.
fn is_looked_up(condition: &Condition) -> bool {
    let is_found = |test: &Test| match test {
        Test::Network(_) | Test::Meaning(_) => false,
        Test::Text(TextTest::Wildcard(wildcard)) => {
            let ends = [wildcard.pieces().first(), wildcard.pieces().last()];
            ends.into_iter().flatten().any(|piece| !piece.is_empty())
        }
        _ => true,
    };
    is_selective(condition)
        && condition.wholes().is_empty()
        && condition.tests().iter().all(is_found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn codes(when: &serde_json::Value) -> Vec<String> {
        let document = json!({
            "id": "c", "name": "c", "when": when, "reward": {"kind": "credit", "amount": 1},
        });
        let rule = crate::check::campaign(&document).unwrap();
        let warnings = crate::check::warnings(&rule.campaign()).into_iter();
        warnings
            .map(|warning| format!("{} {}", warning.code.unwrap_or_default(), warning.pointer))
            .collect()
    }

    #[test]
    fn what_is_strange_is_told_with_its_place_and_nothing_else_is() {
        let wide: Vec<_> = (0..11).map(|n| json!({ "x": [n] })).collect();
        let wider: Vec<_> = (0..11).map(|n| json!({ "y": [n] })).collect();
        let or = |a: serde_json::Value, b: serde_json::Value| json!({"event_type": ["t"], "amount": a, "$or": [{"amount": b}, {"country": ["US"]}]});
        let cases = [
            (json!({"event_type": ["purchase"]}), ""),
            (json!({"event_type": [5]}), "never-met /when/event_type"),
            (
                json!({"event_type": [{"exists": false}]}),
                "never-met /when/event_type, matches-nearly-all /when",
            ),
            (
                json!({"occurred_at": {"x": [1]}}),
                "never-met /when/occurred_at/x",
            ),
            (json!({"payload": ["x"]}), "never-met /when/payload"),
            (
                json!({"payload": [{"exists": false}], "event_type": ["t"]}),
                "",
            ),
            (
                or(
                    json!([{"numeric": ["<", 50]}]),
                    json!([{"numeric": [">=", 50]}]),
                ),
                "never-met /when/amount",
            ),
            (
                or(
                    json!([{"numeric": ["<=", 50]}]),
                    json!([{"numeric": [">=", 50]}]),
                ),
                "",
            ),
            (
                or(json!(["US"]), json!([{"prefix": "C"}])),
                "never-met /when/amount",
            ),
            (or(json!(["CA"]), json!([{"prefix": "C"}])), ""),
            (
                or(json!([{"prefix": "A"}]), json!([{"prefix": "B"}])),
                "never-met /when/amount",
            ),
            (
                or(json!([{"exists": false}]), json!([5])),
                "never-met /when/amount",
            ),
            (
                or(json!([{"prefix": "A"}]), json!([{"numeric": [">", 1]}])),
                "never-met /when/amount",
            ),
            (or(json!([{"anything-but": "A"}]), json!(["B"])), ""),
            (
                json!({"payload": {"channel": [{"anything-but": "x"}]}}),
                "matches-nearly-all /when",
            ),
            (
                json!({"payload": {"x": [{"prefix": ""}]}}),
                "matches-nearly-all /when",
            ),
            (
                json!({"payload": {"x": [{"wildcard": "*a*"}]}}),
                "slow /when",
            ),
            (json!({"payload": {"x": [{"wildcard": "*a"}]}}), ""),
            (json!({"payload": {"x": [{"regexp": "a"}]}}), "slow /when"),
            (
                json!({"payload": {"x": [{"regexp": "a"}]}, "event_type": ["t"]}),
                "",
            ),
            (
                json!({"a": {"$or": wide}, "b": {"$or": wider}}),
                "many-ways /when",
            ),
        ];
        for (when, expected) in cases {
            assert_eq!(codes(&when).join(", "), expected, "{when}");
        }
    }

    #[test]
    fn groups_that_say_nothing_are_told() {
        let of = |fields: serde_json::Value| {
            let mut document = json!({
                "id": "c", "name": "c", "when": {"event_type": ["t"]}, "reward": {"kind": "custom"},
            });
            for (name, value) in fields.as_object().unwrap() {
                document[name] = value.clone();
            }
            let rule = crate::check::campaign(&document).unwrap();
            let warnings = crate::check::warnings(&rule.campaign()).into_iter();
            let told = warnings.map(|it| format!("{} {}", it.code.unwrap_or_default(), it.pointer));
            told.collect::<Vec<_>>().join(", ")
        };
        let variant = |name: &str, weight: u32| json!({"name": name, "weight": weight});
        let own = |name: &str, amount: &str| json!({"name": name, "weight": 1, "reward": {"kind": "credit", "amount": amount}});
        assert_eq!(of(json!({"holdout": "10%", "experiment": "x"})), "");
        assert_eq!(of(json!({"experiment": "x"})), "draws-nothing /experiment");
        assert_eq!(of(json!({"holdout": "90%"})), "large-holdout /holdout");
        let weights = json!({"variants": [variant("a", 0), variant("b", 1)]});
        assert_eq!(of(weights), "no-weight /variants/0/weight");
        assert_eq!(
            of(json!({"variants": [variant("a", 1)]})),
            "one-variant /variants"
        );
        assert_eq!(
            of(json!({"variants": [own("a", "1"), own("b", "payload.amount")]})),
            "reward-field-not-asked /variants/1/reward/amount, unused-reward /reward"
        );
    }

    #[test]
    fn campaigns_are_twins_whatever_their_names() {
        let campaign = |id: &str, x: u8| -> Campaign {
            let json =
                json!({"id": id, "name": id, "when": {"x": [x]}, "reward": {"kind": "custom"}});
            serde_json::from_value(json).unwrap()
        };
        let all = [campaign("a", 1), campaign("b", 2), campaign("c", 1)];
        assert_eq!(twins(&all), [(2, 0)]);
    }
}
