//! Dead letters browsed and sent again.

use std::collections::HashMap;
use std::time::Duration;

use tests::topics::{Seen, Written};
use tests::wait;

use crate::installation::{Installation, ran};

const REDRIVES: &str = "__campaign.redrives";

fn header(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.as_bytes().to_vec()))
}

/// A dead letter of the events' topic, as the matcher writes it.
fn letter(installation: &Installation, number: u32, code: &str) -> Written {
    Written {
        key: Some(format!("c-{number}").into_bytes()),
        value: Some(format!("broken {number} \u{0}\u{ff}").into_bytes()),
        headers: vec![
            header("tenant", "a"),
            ("binary".to_owned(), Some(vec![0, 0xff])),
            header("__campaign.errors.topic", &installation.topic("events")),
            header("__campaign.errors.partition", "0"),
            header("__campaign.errors.offset", &number.to_string()),
            header("__campaign.errors.code", code),
            header("__campaign.errors.message", "it is broken"),
            header("__campaign.errors.app_version", "0.1.0"),
        ],
        partition: None,
        timestamp: None,
    }
}

fn write(installation: &Installation, letters: impl IntoIterator<Item = Written>) {
    for letter in letters {
        installation
            .kafka
            .send(&installation.topic("dead-letters"), &letter);
    }
    installation.kafka.flush();
}

fn events(installation: &Installation) -> Vec<Seen> {
    installation.kafka.read_all(&installation.topic("events"))
}

#[test]
fn letters_are_listed_counted_and_shown() {
    let installation = Installation::new();
    write(
        &installation,
        (0..5).map(|number| letter(&installation, number, "not_json")),
    );
    write(
        &installation,
        (5..7).map(|number| letter(&installation, number, "no_key")),
    );
    let list = installation
        .ctl(&["dead-letters", "list", "-o", "json"])
        .exits(0)
        .json();
    let letters = list["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 7);
    let summary = installation
        .ctl(&["dead-letters", "list", "--summary"])
        .exits(0);
    let lines: Vec<_> = summary
        .out
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    let topic = installation.topic("events");
    assert_eq!(lines[1], ["5", "not_json", &topic]);
    assert_eq!(lines[2], ["2", "no_key", &topic]);
    let one = letters
        .iter()
        .find(|letter| letter["reason"] == "no_key")
        .unwrap();
    let place = format!("{}:{}", one["partition"], one["offset"]);
    let shown = installation.ctl(&["dead-letters", "show", &place]).exits(0);
    assert!(shown.out.contains("no_key: it is broken"), "{}", shown.out);
    assert!(
        shown.out.contains("binary: {\"hex\":\"00ff\"}"),
        "{}",
        shown.out
    );
    installation
        .ctl(&["dead-letters", "show", "0:1000000"])
        .exits(1);
}

#[test]
fn a_letter_goes_back_to_its_topic_byte_for_byte_and_once() {
    let installation = Installation::new();
    let wanted = letter(&installation, 1, "not_json");
    write(
        &installation,
        [wanted.clone(), letter(&installation, 2, "no_key")],
    );
    let redrive = [
        "dead-letters",
        "redrive",
        "--reason",
        "not_json",
        "-o",
        "json",
    ];

    let dry = installation
        .ctl(&[&redrive[..], &["--dry-run"]].concat())
        .exits(0)
        .json();
    assert_eq!(dry["redriven"][0]["count"], 1, "{dry}");
    assert!(events(&installation).is_empty());

    let changed = ["--header", "tenant=b", "--without-header", "binary"];
    let done = installation
        .ctl(&[&redrive[..], &changed].concat())
        .exits(0)
        .json();
    assert_eq!(
        (&done["redriven"][0]["count"], &done["filtered"]),
        (&1.into(), &1.into()),
        "{done}"
    );
    let sent = events(&installation);
    assert_eq!(sent.len(), 1);
    assert_eq!((&sent[0].key, &sent[0].value), (&wanted.key, &wanted.value));
    assert_eq!(
        sent[0].headers,
        [header("tenant", "b"), header(REDRIVES, "1")]
    );

    // The same job goes on behind it; only what is new is sent.
    let again = installation.ctl(&redrive).exits(0).json();
    assert_eq!(
        again["redriven"].as_array().map(Vec::len),
        Some(0),
        "{again}"
    );
    write(&installation, [letter(&installation, 3, "not_json")]);
    installation.ctl(&redrive).exits(0);
    assert_eq!(events(&installation).len(), 2);
    // Another job has its own progress; whoever begins afresh sends again.
    installation.ctl(&["dead-letters", "redrive"]).exits(0);
    assert_eq!(events(&installation).len(), 5);
    installation
        .ctl(&[&redrive[..], &["--from-beginning"]].concat())
        .exits(0);
    assert_eq!(events(&installation).len(), 7);
}

#[test]
fn what_comes_back_is_sent_so_often_and_no_more() {
    let installation = Installation::new();
    let _matcher = installation.start("matcher", &[]);
    let broken = Written {
        key: Some(b"c-1".to_vec()),
        value: Some(b"{".to_vec()),
        ..Written::default()
    };
    installation
        .kafka
        .send(&installation.topic("events"), &broken);
    installation.kafka.flush();
    let letters = |count: usize| {
        wait::until("dead letters", Duration::from_mins(1), || {
            let letters = installation
                .kafka
                .read_all(&installation.topic("dead-letters"));
            (letters.len() == count).then_some(letters)
        })
    };
    letters(1);
    let redrive = [
        "dead-letters",
        "redrive",
        "--max-redrives",
        "2",
        "-o",
        "json",
    ];
    for round in 1..=2 {
        installation.ctl(&redrive).exits(0);
        let back = letters(1 + round);
        let last = back.iter().max_by_key(|letter| letter.offset).unwrap();
        assert_eq!(last.header(REDRIVES), Some(round.to_string().as_str()));
    }
    let left = installation.ctl(&redrive).exits(0).json();
    assert_eq!(left["redriven"].as_array().map(Vec::len), Some(0));
    assert_eq!(left["left"][0]["count"], 1, "{left}");
    assert_eq!(events(&installation).len(), 3);
}

#[test]
fn a_job_that_is_killed_goes_on_and_sends_nothing_twice() {
    const LETTERS: u32 = 6_000;
    let installation = Installation::new();
    write(
        &installation,
        (0..LETTERS).map(|number| letter(&installation, number, "not_json")),
    );
    let redrive = ["dead-letters", "redrive", "--job", "big", "-o", "json"];
    let mut killed = 0;
    for _ in 0..5 {
        let before = events(&installation).len();
        let mut child = installation.spawn(&redrive);
        let status = wait::until("some of them sent", Duration::from_mins(1), || {
            let ended = child.try_wait().unwrap();
            let moved = events(&installation).len() > before;
            (moved || ended.is_some()).then_some(ended)
        });
        if status.is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
    }
    assert!(
        killed > 0,
        "it was too quick to be killed; give it more letters"
    );
    let last = installation.spawn(&redrive);
    ran(&last.wait_with_output().unwrap()).exits(0);
    let mut counts = HashMap::new();
    for event in events(&installation) {
        *counts.entry(event.value.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), LETTERS as usize);
    assert!(
        counts.values().all(|count| *count == 1),
        "some were sent twice"
    );
}
