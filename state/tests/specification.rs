//! The examples of `docs/rules.md` about what a customer did, each block marked `json rules-history`, about campaigns that
//! share, each block marked `json rules-together`, and about what becomes of matches, marked `json rules-returns`, are run.

use std::sync::Arc;

use rules::{Explanation, Rule, RuleSet};
use schemas::{Campaign, CampaignId, Claim, Document, Event, Limits, Reader, Source, Span};
use serde_json::{Value as Json, json};
use state::settle::{Settled, settle};
use state::{Arrival, Decided, Engine, EventTimes, Partition, Trial, claim};

fn examples(mark: &str) -> impl Iterator<Item = Json> {
    let document = include_str!("../../docs/rules.md");
    let mark = format!("```json {mark}\n");
    let blocks = document.split(&mark).skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default());
    let examples: Vec<Json> = blocks
        .map(|block| serde_json::from_str(block).unwrap())
        .collect();
    examples.into_iter()
}

fn rule(id: &str, campaign: &Json) -> Rule {
    let mut campaign = campaign.clone();
    campaign["id"] = json!(id);
    campaign["name"] = json!(id);
    for (field, value) in [
        ("reward", json!({"kind": "custom"})),
        ("when", json!({"event_type": ["purchase"]})),
    ] {
        if campaign.get(field).is_none() {
            campaign[field] = value;
        }
    }
    let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
    Rule::compile(campaign).unwrap()
}

fn event(number: usize, step: &Json) -> String {
    let event = json!({
        "event_id": format!("e-{number}"), "customer_id": "c-1",
        "event_type": step.get("event_type").unwrap_or(&json!("purchase")),
        "occurred_at": step["at"],
        "payload": step.get("payload").unwrap_or(&json!({})),
    });
    event.to_string()
}

#[test]
fn campaigns_share_as_the_document_says() {
    let mut count = 0;
    for example in examples("rules-together") {
        count += 1;
        let campaigns = example["campaigns"].as_object().unwrap();
        let rules = campaigns
            .iter()
            .map(|(id, campaign)| Arc::new(rule(id, campaign)));
        let rules = RuleSet::build(rules);
        let times = EventTimes {
            dedup_window: Span::parse("7d").unwrap(),
            max_ahead: Span::parse("1d").unwrap(),
        };
        let mut engine = Engine::new(Reader::json(), Limits::default(), times);
        let mut partition = Partition::default();
        let nobody = state::Members::default();
        let mut winners = state::Winners::default();
        let (mut budgets, mut settled) = (Partition::default(), 0);
        for (number, step) in example["events"].as_array().unwrap().iter().enumerate() {
            let value = event(number, step);
            let at: jiff::Timestamp = step["at"].as_str().unwrap().parse().unwrap();
            let arrival = Arrival {
                offset: i64::try_from(number).unwrap(),
                time: at.as_millisecond(),
            };
            let value = value.as_bytes();
            let decided = engine
                .decide(
                    value,
                    arrival,
                    &rules,
                    (&mut partition, &mut &nobody),
                    &mut winners,
                )
                .unwrap();
            let Decided::New(event, _) = decided else {
                panic!("{example:#}\nevent {number} is new");
            };
            let (claimed, won): (Vec<&Rule>, Vec<&Rule>) =
                (winners.won.iter()).partition(|rule| !rule.totals().is_empty());
            let mut won: Vec<String> = won.iter().map(|it| it.id().to_string()).collect();
            let claims = claimed
                .iter()
                .filter_map(|it| claim(it, &event, nowhere(), &winners));
            let mut claims: Vec<Claim<'static>> = claims.map(Claim::into_owned).collect();
            while let Some(claim) = claims.pop() {
                settled += 1;
                let arrival = Arrival {
                    offset: settled,
                    time: arrival.time,
                };
                let id = CampaignId::new(&*claim.prize.campaign_id).unwrap();
                let rule = rules.rule(&id);
                if let Settled::Granted { .. } =
                    settle(&claim, arrival, rule, &mut budgets).unwrap()
                {
                    won.push(id.to_string());
                    continue;
                }
                let amends = engine.amend(claim, &rules, &mut partition).unwrap();
                for (rule, place) in &amends.won {
                    if rule.totals().is_empty() {
                        won.push(rule.id().to_string());
                    } else {
                        claims.push(amends.claim(rule, *place).into_owned());
                    }
                }
            }
            won.sort();
            assert_eq!(json!(won), step["wins"], "{example:#}\nevent {number}");
            let held_out = winners.held_out.iter().map(|it| it.id().as_str());
            let held_out: Vec<&str> = held_out.collect();
            let ought = step.get("held_out").cloned().unwrap_or(json!([]));
            assert_eq!(json!(held_out), ought, "{example:#}\nevent {number}");
        }
    }
    assert!(count >= 2, "{count} examples");
}

/// An example has no topics.
fn nowhere() -> Source<'static> {
    Source {
        topic: "".into(),
        partition: 0,
        offset: 0,
    }
}

/// Takes a step of an example: an event, or time that passes.
fn take(trial: &mut Trial<'_>, number: usize, step: &Json) -> Option<Explanation> {
    if let Some(span) = step["advance"].as_str() {
        let span = Span::parse(span).unwrap().as_millis();
        trial.pass(trial.now().unwrap() + span);
        return None;
    }
    let event = event(number, step);
    let mut document = Document::new();
    document.read(event.as_bytes(), Limits::default()).unwrap();
    Some(trial.take(&Event::of(&document).unwrap()))
}

#[test]
fn every_example_of_the_document_holds() {
    let examples: Vec<Json> = examples("rules-history").collect();
    assert!(examples.len() >= 5, "{} examples", examples.len());
    for example in examples {
        let rule = rule("example", &example["campaign"]);
        let mut trial = Trial::new(&rule);
        for (number, step) in example["events"].as_array().unwrap().iter().enumerate() {
            let Some(explanation) = take(&mut trial, number, step) else {
                let won = trial.take_over().iter().any(state::Over::wins);
                assert_eq!(Json::Bool(won), step["wins"], "{example:#}\nevent {number}");
                continue;
            };
            assert_eq!(
                Json::Bool(explanation.wins),
                step["wins"],
                "{example:#}\nevent {number}: {explanation}"
            );
        }
    }
}

#[test]
fn matches_are_held_and_taken_back_as_the_document_says() {
    let examples: Vec<Json> = examples("rules-returns").collect();
    assert!(examples.len() >= 3, "{} examples", examples.len());
    for example in examples {
        let rule = rule("example", &example["campaign"]);
        let mut trial = Trial::new(&rule);
        for (number, step) in example["events"].as_array().unwrap().iter().enumerate() {
            if let Some(explanation) = take(&mut trial, number, step) {
                let wins = step.get("wins").unwrap_or(&Json::Bool(false));
                assert_eq!(
                    Json::Bool(explanation.wins),
                    *wins,
                    "{example:#}\nevent {number}: {explanation}"
                );
            }
            let sequels = trial.take_sequels();
            let told = sequels.iter().map(state::Told::of);
            let told = serde_json::to_value(told.collect::<Vec<_>>()).unwrap();
            let becomes = step.get("becomes").cloned().unwrap_or_else(|| json!([]));
            assert_eq!(told, becomes, "{example:#}\nevent {number}");
        }
    }
}
