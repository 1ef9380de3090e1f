//! The examples of `docs/rules.md`: each block marked `json rules-test` is run.

use rules::{Pattern, limits, problem::PatternErrors};
use schemas::{Document, Limits};
use serde_json::Value;

const SPECIFICATION: &str = include_str!("../../docs/rules.md");

/// Each marked block, with the number of its first line.
fn examples() -> Vec<(usize, Value)> {
    let mut examples = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(SPECIFICATION.lines()) {
        match (&mut open, line) {
            (None, "```json rules-test") => open = Some((number + 1, String::new())),
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
    let examples = examples();
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
        ]
    );
}
