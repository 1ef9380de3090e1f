//! Campaigns beside a sample of events: what they ask for that no event has, and which of them nearly all events meet.

use schemas::{Campaign, Node, Value};

use crate::check::CampaignProblem;
use crate::lint::{asked, pointer};
use crate::pattern::Pattern;

/// A smaller sample says nothing of how many events a campaign matches.
const LEAST_EVENTS: u64 = 10;

/// One campaign, and what the events so far have shown of it.
#[derive(Debug)]
pub struct Sampled {
    pattern: Pattern,
    /// Fields that it asks for and no event so far has had.
    unseen: Vec<Unseen>,
    events: u64,
    met: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Unseen {
    path: Vec<String>,
    /// Where the campaign asks for it.
    pointer: String,
}

impl Sampled {
    /// Before the first event; nothing for a campaign that does not compile.
    pub fn new(campaign: &Campaign) -> Option<Self> {
        let when = campaign.when.json();
        let pattern = Pattern::parse(when).ok()?;
        let mut unseen = Vec::new();
        for conjunction in pattern.conjunctions() {
            let mut all = Vec::new();
            asked(&conjunction.fields, &[], &mut all);
            for (path, _) in all {
                let field = Unseen {
                    pointer: pointer(&path, when),
                    path: path.into_iter().map(str::to_owned).collect(),
                };
                if !unseen.contains(&field) {
                    unseen.push(field);
                }
            }
        }
        Some(Self {
            pattern,
            unseen,
            events: 0,
            met: 0,
        })
    }

    /// Looks at one event.
    pub fn see(&mut self, event: Node<'_>) {
        self.events += 1;
        self.met += u64::from(self.pattern.matches(event));
        self.unseen.retain(|field| !has(event, &field.path));
    }

    /// What is strange, each with its code; nothing without events.
    pub fn warnings(&self) -> Vec<CampaignProblem> {
        let events = self.events;
        if events == 0 {
            return Vec::new();
        }
        let unseen = self.unseen.iter().map(|field| {
            let name = field.path.join(".");
            let detail = format!("none of the {events} events of the sample has {name}");
            CampaignProblem::warning("field-not-in-sample", &*field.pointer, detail)
        });
        let mut warnings: Vec<_> = unseen.collect();
        if events >= LEAST_EVENTS && self.met * 10 > events * 9 {
            let detail = format!("{} of the {events} events of the sample match", self.met);
            warnings.push(CampaignProblem::warning(
                "matches-nearly-all-of-sample",
                "/when",
                detail,
            ));
        }
        warnings
    }
}

/// Whether there is a field at the end of the path, also in some element of an array.
fn has(node: Node<'_>, path: &[String]) -> bool {
    let [name, below @ ..] = path else {
        return true;
    };
    match node.value() {
        Value::Object(_) => node.get(name).is_some_and(|field| has(field, below)),
        Value::Array(elements) => elements.into_iter().any(|element| has(element, path)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use schemas::{Document, Limits};
    use serde_json::{Value as Json, json};

    use super::*;

    /// The codes and places of the warnings, after these events.
    fn warnings(when: &Json, events: &[Json]) -> Vec<(String, String)> {
        let campaign = json!({"id": "c", "name": "C", "when": when, "reward": {"kind": "custom"}});
        let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
        let mut sampled = Sampled::new(&campaign).unwrap();
        for event in events {
            let mut document = Document::new();
            let event = event.to_string();
            document.read(event.as_bytes(), Limits::default()).unwrap();
            sampled.see(document.root());
        }
        let found = sampled.warnings().into_iter();
        found
            .map(|warning| (warning.code.unwrap(), warning.pointer))
            .collect()
    }

    fn unseen(pointer: &str) -> (String, String) {
        ("field-not-in-sample".to_owned(), pointer.to_owned())
    }

    #[test]
    fn a_field_that_no_event_has_is_named_wherever_it_is_asked_for() {
        let when = json!({
            "payload": {"amount": [{"numeric": [">", 5]}], "amuont": [{"exists": false}]},
            "$or": [{"items": {"sku": ["A"]}}, {"items": {"skew": ["A"]}}],
        });
        let events = [
            json!({"payload": {"amount": null}}),
            json!({"payload": 1, "items": [1, {"x": 2}, [{"sku": {}}]]}),
        ];
        assert_eq!(
            warnings(&when, &events),
            [unseen("/when/payload/amuont"), unseen("/when")]
        );
        assert_eq!(warnings(&when, &[]), []);
    }

    #[test]
    fn a_campaign_is_strange_from_more_than_nine_in_ten_events_on() {
        let when = json!({"a": [1]});
        let (met, other) = (json!({"a": 1}), json!({"a": 2}));
        let nine = [vec![met.clone(); 9], vec![other.clone()]].concat();
        assert_eq!(warnings(&when, &nine), []);
        let more = [vec![met.clone(); 10], vec![other]].concat();
        let strange = (
            "matches-nearly-all-of-sample".to_owned(),
            "/when".to_owned(),
        );
        assert_eq!(warnings(&when, &more), [strange]);
        assert_eq!(warnings(&when, &vec![met; 9]), []);
    }
}
