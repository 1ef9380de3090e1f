//! The examples of `docs/rules.md`: each block marked `json rules-test`, `json rules-reward` or `json rules-audience` is run.

use rules::{Pattern, Rule, check, limits, problem::PatternErrors};
use schemas::{Document, Event, Limits};
use serde_json::{Value, json};

const SPECIFICATION: &str = include_str!("../../docs/rules.md");

/// Each block marked so, with the number of its first line.
fn examples(mark: &str) -> Vec<(usize, Value)> {
    let mut examples = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(SPECIFICATION.lines()) {
        match (&mut open, line) {
            (None, line) if line.strip_prefix("```json ") == Some(mark) => {
                open = Some((number + 1, String::new()));
            }
            (Some((first, text)), "```") => {
                let example = serde_json::from_str(text)
                    .unwrap_or_else(|error| panic!("the example at line {first}: {error}"));
                examples.push((*first, example));
                open = None;
            }
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "the last example is not closed");
    examples
}

fn parse(example: &Value) -> Result<Pattern, PatternErrors> {
    Pattern::parse(&example["pattern"])
}

#[test]
fn every_example_is_true() {
    let examples = examples("rules-test");
    assert!(examples.len() >= 25, "{} examples", examples.len());
    for (line, example) in examples {
        if let Some(expected) = example["invalid"].as_str() {
            let message = parse(&example).unwrap_err().to_string();
            assert!(message.contains(expected), "line {line}: {message}");
            continue;
        }
        let pattern = parse(&example).unwrap_or_else(|errors| panic!("line {line}: {errors}"));
        for (key, expected) in [("match", true), ("no_match", false)] {
            let events = example[key].as_array();
            for event in events.unwrap_or_else(|| panic!("line {line} has no {key}")) {
                let mut document = Document::new();
                document
                    .read(event.to_string().as_bytes(), Limits::default())
                    .unwrap();
                let found = pattern.matches(document.root());
                assert_eq!(found, expected, "line {line}: {event}");
            }
        }
    }
}

#[test]
fn every_draw_is_what_it_says() {
    let examples = examples("rules-draws");
    let draws = examples.iter().filter_map(|(_, list)| list.as_array());
    let mut count = 0;
    for example in draws.flatten() {
        count += 1;
        let text = |field: &str| example[field].as_str().expect("a text");
        let draw = rules::experiment::Draw::of(text("experiment"), text("customer_id"));
        assert_eq!(json!(draw.holdout()), example["holdout"], "{example}");
        assert_eq!(
            json!(draw.variant(100)),
            example["variant_of_100"],
            "{example}"
        );
    }
    assert!(count >= 4, "{count} draws");
}

/// A campaign with the reward of an example.
fn campaign(example: &Value) -> Result<Rule, String> {
    let campaign = json!({
        "id": "c", "name": "c", "when": {"event_type": ["purchase"]}, "reward": example["reward"],
    });
    check::campaign(&campaign).map_err(|problems| problems[0].to_string())
}

#[test]
fn every_reward_is_what_it_says() {
    let examples = examples("rules-reward");
    assert!(examples.len() >= 5, "{} examples", examples.len());
    for (line, example) in examples {
        if let Some(expected) = example["invalid"].as_str() {
            let problem = campaign(&example).unwrap_err();
            assert!(problem.starts_with("/reward/"), "line {line}: {problem}");
            assert!(problem.contains(expected), "line {line}: {problem}");
            continue;
        }
        let rule = campaign(&example).unwrap_or_else(|problem| panic!("line {line}: {problem}"));
        let mut event = example["event"].clone();
        for (name, value) in [
            ("event_id", "e"),
            ("customer_id", "c"),
            ("event_type", "purchase"),
            ("occurred_at", "2026-11-24T00:00:00Z"),
        ] {
            event[name] = value.into();
        }
        let mut document = Document::new();
        document
            .read(event.to_string().as_bytes(), Limits::default())
            .unwrap();
        let event = Event::of(&document).unwrap();
        match (rule.reward(&event), example["undefined"].as_str()) {
            (Ok(reward), None) => {
                let reward: Value = serde_json::from_str(reward.get()).unwrap();
                assert_eq!(reward, example["is"], "line {line}");
                assert!(rule.is_won_by(&event), "line {line}");
            }
            (Err(why), Some(expected)) => {
                assert_eq!(why.to_string(), expected, "line {line}");
                assert!(!rule.is_won_by(&event), "line {line}");
            }
            (reward, _) => panic!("line {line}: {reward:?}"),
        }
    }
}

#[test]
fn every_audience_is_met_by_the_customers_that_it_says() {
    let examples = examples("rules-audience");
    assert!(examples.len() >= 4, "{} examples", examples.len());
    for (line, example) in examples {
        let campaign = json!({
            "id": "c", "name": "c", "when": {"event_type": ["purchase"]}, "reward": {"kind": "custom"},
            "audience": example["audience"],
        });
        let rule = check::campaign(&campaign).map_err(|problems| problems[0].to_string());
        if let Some(expected) = example["invalid"].as_str() {
            let problem = rule.unwrap_err();
            assert!(problem.starts_with("/audience"), "line {line}: {problem}");
            assert!(problem.contains(expected), "line {line}: {problem}");
            continue;
        }
        let rule = rule.unwrap_or_else(|problem| panic!("line {line}: {problem}"));
        for customer in example["customers"].as_array().unwrap() {
            let of = customer["in"].as_array().unwrap();
            let found = rule
                .audience()
                .unwrap()
                .admits(|name| of.contains(&json!(name)));
            assert_eq!(json!(found), customer["wins"], "line {line}: {customer}");
        }
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let table = SPECIFICATION
        .split_once("## Limits")
        .and_then(|(_, rest)| rest.split_once("## "))
        .expect("the chapter and the one after it")
        .0;
    let written: Vec<usize> = table
        .lines()
        .filter_map(|line| line.trim_end_matches(" |").rsplit_once("| "))
        .filter_map(|(_, number)| number.replace(',', "").parse().ok())
        .collect();
    assert_eq!(
        written,
        [
            limits::MAX_DEPTH,
            limits::MAX_CONDITIONS,
            limits::MAX_LIST,
            limits::MAX_WILDCARDS,
            limits::MAX_REGEXP_BYTES,
            limits::MAX_CONJUNCTIONS,
            limits::MAX_EXPANDED_CONDITIONS,
            limits::MAX_CONDITIONS_A_FIELD,
            limits::MAX_EXPRESSION_BYTES,
            limits::MAX_EXPRESSION_DEPTH,
            limits::MAX_DECIMALS as usize,
            schemas::experiment::MAX_VARIANTS,
            schemas::experiment::MAX_WEIGHT as usize,
            schemas::across::MAX_CONDITIONS,
            schemas::audience::MAX_AUDIENCES,
            schemas::across::MAX_REMEMBERED,
            schemas::reverse_on::MAX_OPEN_BYTES,
            schemas::reverse_on::MAX_EARLY,
        ]
    );
}
