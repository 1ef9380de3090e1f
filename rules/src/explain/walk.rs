//! One way to meet a pattern, followed through one event as the evaluator follows it.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use schemas::document::Elements;
use schemas::{Node, Value};

use super::written::{Span, Written};
use super::{Elsewhere, MAX_VALUES};
use crate::condition::Condition;
use crate::conjunction::{Conjunction, Fields, Part};
use crate::evaluate::{self, Verdict};
use crate::parse::Path;
use crate::problem::clip;

/// Fields that are named of another element.
const MAX_BUT: usize = 3;

/// What was found of each condition of a conjunction, by the condition's number.
pub(super) struct Way(BTreeMap<usize, Finding>);

/// What was found of one condition.
pub(super) struct Finding {
    pub(super) held: bool,
    /// The field.
    pub(super) path: String,
    /// Where in the event.
    pub(super) at: String,
    pub(super) found: Vec<serde_json::Value>,
    pub(super) found_further: usize,
    pub(super) why: Option<&'static str>,
    pub(super) elsewhere: Option<Elsewhere>,
}

impl Way {
    /// Follows a conjunction of the pattern through an event.
    pub(super) fn walk(conjunction: &Conjunction, written: &Written<'_>, event: Node<'_>) -> Self {
        let mut walker = Walker {
            written,
            place: Path::default(),
        };
        Self(walker.object(&conjunction.fields, Some(event)).findings)
    }

    /// What was found of a condition.
    ///
    /// # Panics
    /// If the way does not take the condition.
    pub(super) fn finding(&self, id: usize) -> &Finding {
        self.0.get(&id).expect("the way takes the condition")
    }

    /// The conditions that do not hold.
    pub(super) fn failed(&self) -> impl Iterator<Item = (&usize, &Finding)> {
        self.0.iter().filter(|(_, finding)| !finding.held)
    }

    /// Whether conditions of the span are among the way's.
    pub(super) fn takes(&self, span: Span) -> bool {
        self.0.keys().any(|id| span.contains(*id))
    }

    /// Whether the two take the same conditions beside those of the span.
    pub(super) fn is_same_beside(&self, span: Span, other: &Self) -> bool {
        let beside = |way: &Self| {
            let ids = way.0.keys().copied().filter(|id| !span.contains(*id));
            ids.collect::<Vec<_>>()
        };
        beside(self) == beside(other)
    }
}

/// What a part of the conjunction came to.
struct Seen {
    verdict: Verdict,
    findings: BTreeMap<usize, Finding>,
}

impl Seen {
    fn failures(&self) -> usize {
        let all = self.findings.values();
        all.filter(|finding| !finding.held).count()
    }
}

/// Repeats the steps of [`evaluate`], at the place where it stands in the event.
struct Walker<'w> {
    written: &'w Written<'w>,
    place: Path,
}

impl Walker<'_> {
    fn object(&mut self, fields: &Fields, node: Option<Node<'_>>) -> Seen {
        match node.map(Node::value) {
            Some(Value::Object(_)) => self.all(fields, node),
            Some(Value::Array(elements)) => self.element(fields, elements),
            _ => self.all(fields, None),
        }
    }

    fn all(&mut self, fields: &Fields, object: Option<Node<'_>>) -> Seen {
        let mut all = Seen {
            verdict: Verdict::Absent,
            findings: BTreeMap::new(),
        };
        for (name, part) in fields {
            self.place.enter_field(name);
            let field = object.and_then(|object| object.get(name));
            let seen = match part {
                Part::Value(condition) => self.value(slice::from_ref(condition), field),
                Part::Values(conditions) => self.value(conditions, field),
                Part::Object(fields) => self.object(fields, field),
            };
            self.place.leave();
            all.findings.extend(seen.findings);
            all.verdict = match (all.verdict, seen.verdict) {
                (Verdict::Refused, _) | (_, Verdict::Refused) => Verdict::Refused,
                (Verdict::Met, _) | (_, Verdict::Met) => Verdict::Met,
                (Verdict::Absent, Verdict::Absent) => Verdict::Absent,
            };
        }
        all
    }

    /// The element that meets the fields, else the one that fails in the fewest.
    fn element(&mut self, fields: &Fields, elements: Elements<'_>) -> Seen {
        let mut nearest: Option<Seen> = None;
        let mut holders = Holders::default();
        for (index, element) in elements.enumerate() {
            self.place.enter_entry(index);
            let seen = self.object(fields, Some(element));
            self.place.leave();
            match seen.verdict {
                Verdict::Met => return seen,
                // It must be so of every element, and no one of them is shown for it.
                Verdict::Absent => {}
                Verdict::Refused => {
                    holders.note(&seen);
                    let is_nearer = (nearest.as_ref())
                        .is_none_or(|nearest| seen.failures() < nearest.failures());
                    if is_nearer {
                        nearest = Some(seen);
                    }
                }
            }
        }
        match nearest {
            Some(mut seen) => {
                holders.tell(&mut seen);
                seen
            }
            None => self.all(fields, None),
        }
    }

    /// Conditions on one value. Where they cannot be met together, those count that come first.
    fn value(&mut self, conditions: &[Arc<Condition>], field: Option<Node<'_>>) -> Seen {
        let (found, found_further) = values(field);
        let mut together = Vec::with_capacity(conditions.len());
        let mut findings = BTreeMap::new();
        for condition in conditions {
            together.push(Arc::clone(condition));
            let held = evaluate::value(&together, field) != Verdict::Refused;
            if !held {
                together.pop();
            }
            let (id, path) = self.written.of(condition);
            let finding = Finding {
                held,
                path: path.clone(),
                at: self.place.text().to_owned(),
                found: found.clone(),
                found_further,
                why: if held { None } else { why(condition, field) },
                elsewhere: None,
            };
            findings.insert(*id, finding);
        }
        Seen {
            verdict: evaluate::value(conditions, field),
            findings,
        }
    }
}

/// Of each condition, the first refused element in which it holds.
#[derive(Default)]
struct Holders(BTreeMap<usize, Elsewhere>);

impl Holders {
    fn note(&mut self, refused: &Seen) {
        let failed = refused.findings.values().filter(|finding| !finding.held);
        let but: Vec<_> = failed
            .map(|finding| finding.path.clone())
            .take(MAX_BUT)
            .collect();
        for (id, finding) in &refused.findings {
            if finding.held {
                self.0.entry(*id).or_insert_with(|| Elsewhere {
                    at: finding.at.clone(),
                    but: but.clone(),
                });
            }
        }
    }

    fn tell(&mut self, nearest: &mut Seen) {
        for (id, finding) in &mut nearest.findings {
            if !finding.held && finding.elsewhere.is_none() {
                finding.elsewhere = self.0.remove(id);
            }
        }
    }
}

fn why(condition: &Arc<Condition>, field: Option<Node<'_>>) -> Option<&'static str> {
    if evaluate::value(slice::from_ref(condition), field) != Verdict::Refused {
        return Some(
            "it holds, but in another inner array than the condition on this field before it",
        );
    }
    match field.map(Node::value) {
        None => Some("the field is absent"),
        Some(Value::Object(_)) => Some("the field holds an object, which is no value"),
        Some(Value::Array(elements)) if !evaluate::has_values(elements.clone()) => {
            Some("the array holds no value")
        }
        _ => None,
    }
}

/// The first values of a field, and how many further ones there are.
fn values(field: Option<Node<'_>>) -> (Vec<serde_json::Value>, usize) {
    let mut found = Vec::new();
    let mut further = 0;
    let mut keep = |value: &dyn Fn() -> serde_json::Value| {
        if found.len() < MAX_VALUES {
            found.push(value());
        } else {
            further += 1;
        }
    };
    if let Some(node) = field {
        each_value(node, &mut keep);
    }
    (found, further)
}

fn each_value(node: Node<'_>, keep: &mut dyn FnMut(&dyn Fn() -> serde_json::Value)) {
    match node.value() {
        Value::Object(_) => {}
        Value::Array(elements) => elements.for_each(|element| each_value(element, keep)),
        Value::Null => keep(&|| serde_json::Value::Null),
        Value::Bool(value) => keep(&|| value.into()),
        Value::String(text) => keep(&|| clip(text).into()),
        Value::Number(number) => keep(&|| {
            let text = number.to_string();
            serde_json::from_str(&text).unwrap_or_else(|_| text.into())
        }),
    }
}
