//! Campaigns as files.

use std::thread;

use crate::installation::{campaign, shared, text};

#[test]
fn what_is_wrong_is_told_with_its_line_and_nothing_is_applied() {
    let installation = shared();
    installation.write("all/good.yaml", &campaign("all-good", 50, ""));
    let broken = campaign("all-broken", 50, "").replace("numeric", "numerc");
    installation.write("all/deep/broken.yaml", &broken);
    let ran = installation.ctl(&["apply", "-f", "all"]).exits(1);
    assert!(
        ran.out
            .contains("broken.yaml:6: /when/payload/amount/0: there is no operator"),
        "{}",
        ran.out
    );
    assert!(
        ran.err.contains("1 problems; nothing was applied"),
        "{}",
        ran.err
    );
    installation.ctl(&["get", "all-good"]).exits(1);

    installation.remove("all/deep/broken.yaml");
    let ran = installation
        .ctl(&["apply", "-f", "all", "--reason", "to begin"])
        .exits(0);
    assert_eq!(ran.out, "all-good created\n");
    let ran = installation.ctl(&["apply", "-f", "all"]).exits(0);
    assert_eq!(ran.out, "all-good unchanged\n");
    let history = installation
        .ctl(&["history", "all-good", "-o", "json"])
        .exits(0)
        .json();
    let changes = history["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{history}");
    assert_eq!(changes[0]["reason"], "to begin");
    // The zeros of an amount are kept from the file to the server.
    let there = installation
        .ctl(&["get", "all-good", "-o", "json"])
        .exits(0)
        .json();
    assert_eq!(there["reward"]["amount"], "10.00");
}

#[test]
fn a_difference_is_shown_and_told_by_the_exit_code() {
    let installation = shared();
    let file = installation.write("diff/d.yaml", &campaign("differs", 50, ""));
    let diff = ["diff", "-f", text(&file)];
    let new = installation.ctl(&diff).exits(1);
    assert!(new.out.contains("+ id: differs"), "{}", new.out);
    installation.ctl(&["apply", "-f", text(&file)]).exits(0);
    assert_eq!(installation.ctl(&diff).exits(0).out, "");
    installation.write("diff/d.yaml", &campaign("differs", 60, ""));
    let changed = installation.ctl(&diff).exits(1);
    let lines: Vec<_> = changed
        .out
        .lines()
        .filter(|line| line.starts_with(['+', '-']))
        .collect();
    assert_eq!(
        lines,
        [
            "-     amount: [{numeric: [\">=\", 50]}]",
            "+     amount: [{numeric: [\">=\", 60]}]"
        ]
    );
    installation.write("diff/d.yaml", "id: [");
    installation.ctl(&diff).exits(2);
    let mut away = installation.command(&diff);
    away.env("CAMPAIGNCTL_SERVER", "http://127.0.0.1:1");
    installation.write("diff/d.yaml", &campaign("differs", 60, ""));
    crate::installation::run(away).exits(3);
}

#[test]
fn a_paused_campaign_is_not_started_again_by_a_file_that_does_not_say_so() {
    let installation = shared();
    let file = installation.write("paused/p.yaml", &campaign("stopped", 50, ""));
    let apply = ["apply", "-f", text(&file)];
    installation.ctl(&apply).exits(0);
    installation
        .ctl(&["pause", "stopped", "--reason", "too dear"])
        .exits(0);
    assert_eq!(installation.ctl(&apply).exits(0).out, "stopped unchanged\n");
    installation.write("paused/p.yaml", &campaign("stopped", 60, ""));
    assert_eq!(installation.ctl(&apply).exits(0).out, "stopped changed\n");
    let status = || {
        installation
            .ctl(&["get", "stopped", "-o", "json"])
            .exits(0)
            .json()["status"]
            .clone()
    };
    assert_eq!(status(), "paused");
    installation.ctl(&["resume", "stopped"]).exits(0);
    assert_eq!(status(), "active");
    let said = format!("{}status: paused\n", campaign("stopped", 60, ""));
    installation.write("paused/p.yaml", &said);
    installation.ctl(&apply).exits(0);
    assert_eq!(status(), "paused");
}

#[test]
fn only_what_the_selector_selects_is_pruned() {
    let installation = shared();
    installation.write("prune/a.yaml", &campaign("prune-a", 50, "pruned: mine"));
    installation.write("prune/b.yaml", &campaign("prune-b", 50, "pruned: mine"));
    let other = installation.write("other/c.yaml", &campaign("prune-c", 50, "pruned: yours"));
    installation
        .ctl(&["apply", "-f", "prune", "-f", text(&other)])
        .exits(0);
    installation.remove("prune/b.yaml");

    installation
        .ctl(&["apply", "-f", "prune", "--prune"])
        .exits(2);
    let prune = ["apply", "-f", "prune", "--prune", "-l", "pruned=mine"];
    let dry = installation
        .ctl(&[&prune[..], &["--dry-run"]].concat())
        .exits(0);
    assert_eq!(dry.out, "prune-a unchanged\nprune-b pruned (dry run)\n");
    installation.ctl(&["get", "prune-b"]).exits(0);
    let done = installation.ctl(&prune).exits(0);
    assert_eq!(done.out, "prune-a unchanged\nprune-b pruned\n");
    installation.ctl(&["get", "prune-b"]).exits(1);
    installation.ctl(&["get", "prune-c"]).exits(0);
    // Its history stays.
    let history = installation
        .ctl(&["history", "prune-b", "-o", "json"])
        .exits(0)
        .json();
    assert_eq!(history["changes"][0]["action"], "deleted");

    // What lacks the label could never be pruned again.
    installation.write("prune/d.yaml", &campaign("prune-d", 50, "pruned: yours"));
    let refused = installation.ctl(&prune).exits(1);
    assert!(
        refused.out.contains("the label pruned: mine is missing"),
        "{}",
        refused.out
    );
}

#[test]
fn who_is_overtaken_reads_again_and_no_change_is_lost() {
    let installation = shared();
    let amounts = 10..50;
    let writers = 4;
    thread::scope(|scope| {
        for writer in 0..writers {
            let amounts = amounts.clone();
            scope.spawn(move || {
                for amount in amounts.filter(|amount| amount % writers == writer) {
                    let file = format!("race/{amount}.yaml");
                    let file = installation.write(&file, &campaign("race", amount, ""));
                    let ran = installation.ctl(&["apply", "-f", text(&file)]);
                    assert!(matches!(ran.code, 0 | 4), "{ran:?}");
                }
            });
        }
    });
    let history = installation
        .ctl(&["history", "race", "-o", "json"])
        .exits(0)
        .json();
    let changes = history["changes"].as_array().unwrap();
    let versions: Vec<_> = changes
        .iter()
        .map(|change| change["version"].as_u64().unwrap())
        .collect();
    let expected: Vec<_> = (1..=u64::try_from(versions.len()).unwrap()).rev().collect();
    assert_eq!(versions, expected);
    assert!(versions.len() > 1, "{versions:?}");
}

#[test]
fn a_campaign_goes_back_to_an_earlier_version() {
    let installation = shared();
    for amount in [50, 60] {
        let file = installation.write("revert/r.yaml", &campaign("reverts", amount, ""));
        installation.ctl(&["apply", "-f", text(&file)]).exits(0);
    }
    let old = installation
        .ctl(&["get", "reverts", "--version", "1", "-o", "json"])
        .exits(0)
        .json();
    let ran = installation.ctl(&["revert", "reverts", "1"]).exits(0);
    assert_eq!(ran.out, "reverts reverted to version 1, now version 3\n");
    let now = installation
        .ctl(&["get", "reverts", "-o", "json"])
        .exits(0)
        .json();
    assert_eq!(now["when"], old["when"]);
    installation.ctl(&["revert", "reverts", "9"]).exits(1);
    installation.ctl(&["archive", "reverts"]).exits(0);
    let described = installation.ctl(&["describe", "reverts"]).exits(0);
    assert!(
        described.out.contains("status: archived"),
        "{}",
        described.out
    );
    installation.ctl(&["delete", "reverts"]).exits(0);
    installation.ctl(&["delete", "reverts"]).exits(1);
}

#[test]
fn what_get_prints_can_be_applied() {
    let installation = shared();
    for id in ["round-1", "round-2"] {
        let file = format!("round/{id}.yaml");
        installation.write(&file, &campaign(id, 50, "round: trip"));
    }
    installation.ctl(&["apply", "-f", "round"]).exits(0);
    for form in ["yaml", "json"] {
        let printed = installation
            .ctl(&["get", "-l", "round=trip", "-o", form])
            .exits(0);
        let file = installation.write(&format!("round-{form}.{form}"), &printed.out);
        let applied = installation.ctl(&["apply", "-f", text(&file)]).exits(0);
        assert_eq!(applied.out, "round-1 unchanged\nround-2 unchanged\n");
    }
}

#[test]
fn tests_in_a_file_are_run_by_check_and_events_tried() {
    let installation = shared();
    let tests =
        "tests: [{given: [{event_type: purchase, payload: {amount: 40}}], expect: match}]\n";
    let file = installation.write("check/c.yaml", &(campaign("checked", 50, "") + tests));
    let ran = installation.ctl(&["check", "-f", text(&file)]).exits(1);
    assert!(
        ran.out
            .contains("✗ payload.amount: asks for {\"numeric\":[\">=\",50]}; found 40"),
        "{}",
        ran.out
    );
    let right = tests.replace("40", "50");
    installation.write("check/c.yaml", &(campaign("checked", 50, "") + &right));
    let ran = installation.ctl(&["check", "-f", text(&file)]).exits(0);
    assert!(
        ran.out.contains("1 tests, checked by http://"),
        "{}",
        ran.out
    );
    let offline = installation
        .ctl(&["check", "--offline", "-f", text(&file)])
        .exits(0);
    assert!(!offline.out.contains("http"), "{}", offline.out);
    let mut away = installation.command(&["check", "-f", text(&file)]);
    away.env("CAMPAIGNCTL_SERVER", "http://127.0.0.1:1");
    let away = crate::installation::run(away).exits(0);
    assert!(
        away.err.contains("not checked by the server"),
        "{}",
        away.err
    );

    let events = "{\"customer_id\": \"c-1\", \"event_type\": \"purchase\", \"payload\": {\"amount\": 75}}\n\
                  {\"event_id\": \"e-2\", \"customer_id\": \"c-1\", \"event_type\": \"refund\"}\n";
    let events = installation.write("check/e.jsonl", events);
    let tried = [
        "try",
        "-f",
        text(&file),
        "--events",
        text(&events),
        "-o",
        "json",
    ];
    let lines = installation.ctl(&tried).exits(0).lines();
    assert_eq!(lines[0]["matches"][0], "checked");
    assert_eq!(lines[1]["event_id"], "e-2");
    assert_eq!(lines[1]["matches"].as_array().map(Vec::len), Some(0));
    let parts = &lines[1]["explanations"][0]["when"]["parts"];
    assert_eq!(parts[0]["condition"]["held"], false, "{parts}");
}

#[test]
fn a_sample_of_events_shows_what_is_strange_in_a_campaign() {
    let installation = shared();
    let file = installation.write("sample/c.yaml", &campaign("sampled", 50, ""));
    let event = |field: &str| {
        format!("{{\"event_type\": \"purchase\", \"payload\": {{\"{field}\": 75}}}}\n")
    };
    let codes = |sample: &str| {
        let events = installation.write("sample/events.jsonl", sample);
        let checked = [
            "check",
            "--offline",
            "-f",
            text(&file),
            "--events",
            text(&events),
            "-o",
            "json",
        ];
        let document = installation.ctl(&checked).exits(0).json();
        let warnings = document["warnings"].as_array().unwrap().iter();
        warnings
            .map(|found| found["code"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&event("total").repeat(20)), ["field-not-in-sample"]);
    assert_eq!(
        codes(&event("amount").repeat(20)),
        ["matches-nearly-all-of-sample"]
    );
    assert_eq!(
        codes(&(event("amount").repeat(10) + &event("total").repeat(10))),
        [""; 0]
    );

    let events = installation.write("sample/events.jsonl", "no event");
    installation
        .ctl(&[
            "check",
            "--offline",
            "-f",
            text(&file),
            "--events",
            text(&events),
        ])
        .exits(2);
}
