//! The examples of `docs/rules.md` about what a customer did: each block marked `json rules-history` is run.

use rules::Rule;
use schemas::{Campaign, Document, Event, Limits, Span};
use serde_json::{Value as Json, json};
use state::Trial;

#[test]
fn every_example_of_the_document_holds() {
    let document = include_str!("../../docs/rules.md");
    let blocks: Vec<&str> = document
        .split("```json rules-history\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert!(blocks.len() >= 5, "{} examples", blocks.len());
    for block in blocks {
        let example: Json = serde_json::from_str(block).unwrap();
        let mut campaign = example["campaign"].clone();
        campaign["id"] = json!("example");
        campaign["name"] = json!("example");
        if campaign.get("reward").is_none() {
            campaign["reward"] = json!({"kind": "credit"});
        }
        let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
        let rule = Rule::compile(campaign).unwrap();
        let mut trial = Trial::new(&rule);
        for (number, step) in example["events"].as_array().unwrap().iter().enumerate() {
            if let Some(span) = step["advance"].as_str() {
                let span = Span::parse(span).unwrap().as_millis();
                trial.pass(trial.now().unwrap() + span);
                let won = trial.take_over().iter().any(state::Over::wins);
                assert_eq!(Json::Bool(won), step["wins"], "{block}\nevent {number}");
                continue;
            }
            let event = json!({
                "event_id": format!("e-{number}"), "customer_id": "c-1",
                "event_type": step.get("event_type").unwrap_or(&json!("purchase")),
                "occurred_at": step["at"],
                "payload": step.get("payload").unwrap_or(&json!({})),
            });
            let mut document = Document::new();
            let event = event.to_string();
            document.read(event.as_bytes(), Limits::default()).unwrap();
            let explanation = trial.take(&Event::of(&document).unwrap());
            assert_eq!(
                Json::Bool(explanation.wins),
                step["wins"],
                "{block}\nevent {number}: {explanation}"
            );
        }
    }
}
