//! Dashboards and alerts against a real Prometheus that reads the metrics of real services: each question
//! they ask is one that the services answer.

mod prometheus;
mod services;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;
use tests::servers::root;
use tests::wait;

use crate::prometheus::Prometheus;
use crate::services::Services;

/// Questions of dashboards that rightly have no answer here, by a part of their text.
const UNANSWERED: [(&str, &str); 1] = [(
    "matcher_state_disk_discarded_total",
    "nothing on disk was ever in doubt",
)];

/// Series that alerts look at and that rightly are not here, by a part of their selector.
const ABSENT: [(&str, &str); 3] = [
    (
        "result=\"failed\"",
        "the brokers acknowledged every event over HTTP",
    ),
    ("status=~\"5..\"", "every request is answered"),
    ("ingest_requests_failed", "it is a share of those"),
];

/// How long it may take until all that the services tell has been read twice.
const PATIENCE: Duration = Duration::from_mins(2);

/// Every question of every dashboard, with where it stands.
fn questions() -> Vec<(String, String)> {
    let folder = root().join("helm/campaign-manager/dashboards");
    let files = fs::read_dir(folder).expect("the chart has dashboards");
    let mut found = Vec::new();
    for file in files {
        let path = file.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a dashboard can be read");
        let board: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        let panels = board["panels"].as_array().expect("a dashboard has panels");
        for panel in panels {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let place = format!("{}: {}", board["title"], panel["title"]);
                let question = target["expr"].as_str().expect("a target asks");
                found.push((place, question.to_owned()));
            }
        }
    }
    found
}

/// The question as Grafana would send it.
fn filled_in(question: &str) -> String {
    let question = question.replace("$namespace", ".*");
    let question = question.replace("$__rate_interval", "1m");
    question.replace("$__range", "1h")
}

#[test]
fn every_question_of_a_dashboard_and_of_an_alert_is_answered_by_the_services() {
    let services = Services::start();
    let prometheus = Prometheus::reading(&services.targets(), &alerts());
    let mut questions: BTreeMap<String, String> = questions()
        .into_iter()
        .map(|(place, question)| (filled_in(&question), place))
        .collect();
    assert!(questions.len() > 80, "{} questions", questions.len());
    let (excused, asked): (BTreeMap<_, _>, _) = questions
        .into_iter()
        .partition(|(question, _)| UNANSWERED.iter().any(|(part, _)| question.contains(part)));
    questions = asked;
    assert_eq!(excused.len(), UNANSWERED.len(), "an excuse is for nothing");
    for question in excused.keys() {
        // It is still one that Prometheus understands.
        assert_eq!(prometheus.numbers(question), 0, "{question}");
    }

    let mut selectors = prometheus.selectors_of_alerts();
    assert!(selectors.len() > 15, "{} selectors", selectors.len());
    for (part, why) in ABSENT {
        let all = selectors.len();
        selectors.retain(|selector| !selector.contains(part));
        assert!(selectors.len() < all, "no alert asks for {part} ({why})");
    }

    services.at_work(|| {
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE && !(questions.is_empty() && selectors.is_empty()) {
            questions.retain(|question, _| prometheus.numbers(question) == 0);
            selectors.retain(|selector| prometheus.numbers(selector) == 0);
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    assert!(
        questions.is_empty(),
        "questions without an answer: {questions:#?}"
    );
    assert!(
        selectors.is_empty(),
        "alerts look at what is not there: {selectors:#?}"
    );
    // And the rules themselves are evaluated.
    wait::until("the rules to be evaluated", PATIENCE, || {
        prometheus.all_rules_are_well().then_some(())
    });
}

/// The alerts as Compose has them, which `make test-helm` holds to the chart's.
fn alerts() -> std::path::PathBuf {
    root().join("dev/compose/alerts.yml")
}
