//! The audit is audited: whatever is wrong, it must bite.

use super::*;

fn claim(log: &mut Log, (event, met, at): (&str, i64, i64), what: Result<i64, (i64, i64)>) {
    log.events.insert(event.to_owned());
    log.claims.push(Entry::Claim {
        event: event.to_owned(),
        amount: units("3"),
        met,
    });
    log.answers.insert(event.to_owned(), Answer { at, what });
}

/// Two versions, 10.00 and then 4.00, each with five times; claims of 3.00.
fn log() -> Log {
    let version = |offset: i64, amount: &str| Version {
        offset,
        at: 1_000 * offset,
        budgets: vec![Budget::amount("0", amount), Budget::times("1", 5)],
    };
    let mut log = Log {
        versions: vec![version(1, "10.00"), version(2, "4.00")],
        ..Log::default()
    };
    let ten = (i64::MAX, units("10"));
    let four = (i64::MAX, units("4"));
    let three = units("3");
    claim(&mut log, ("a", 1, 2_001), Ok(three));
    claim(&mut log, ("b", 1, 2_002), Ok(three));
    claim(&mut log, ("c", 1, 2_003), Ok(three));
    claim(&mut log, ("d", 1, 2_004), Err(ten));
    claim(&mut log, ("e", 1, 2_005), Err(four));
    log.claims.push(Entry::GiveBack {
        event: "a".to_owned(),
        by: "r".to_owned(),
        amount: three,
        whole: true,
    });
    log.reversals
        .insert(("a".to_owned(), "r".to_owned()), three);
    claim(&mut log, ("f", 2, 2_300), Err(four));
    log.claims.push(Entry::Reset { at: 2_500 });
    claim(&mut log, ("g", 1, 3_000), Ok(three));
    claim(&mut log, ("h", 1, 3_000), Err(four));
    log
}

fn bites(change: impl FnOnce(&mut Log), word: &str) {
    let mut log = log();
    change(&mut log);
    let found = log.check().expect_err(word);
    assert!(found.contains(word), "{found}");
}

fn answer<'l>(log: &'l mut Log, event: &str) -> &'l mut Answer {
    log.answers.get_mut(event).expect("it is answered")
}

#[test]
fn books_that_agree_are_summed_up() {
    let report = log().check().expect("they agree");
    assert_eq!((report.granted, report.granted_amount), (4, units("12")));
    assert_eq!((report.given_back, report.reversed_amount), (1, units("3")));
    assert_eq!((report.resets, report.used), (1, (1, units("3"))));
    assert_eq!(
        report.in_force_after,
        [5],
        "first seen with the fifth claim"
    );
    assert_eq!(report.changed, (2_000, 2_500));
    assert_eq!(report.answered.len(), 8);
}

#[test]
fn a_grant_beyond_the_budget_is_found() {
    bites(|log| answer(log, "d").what = Ok(units("3")), "granted 3.00");
    // By the count alone.
    bites(
        |log| {
            for version in &mut log.versions {
                version.budgets[1].times = 2;
            }
        },
        "granted 3.00",
    );
    // Behind what is in force.
    bites(
        |log| {
            log.versions[1].budgets[0].amount = units("8");
            answer(log, "e").what = Err((i64::MAX, units("8")));
            answer(log, "g").what = Err((i64::MAX, units("10")));
        },
        "claim 6",
    );
}

#[test]
fn an_amount_that_is_not_the_claims_is_found() {
    bites(
        |log| answer(log, "a").what = Ok(units("3.01")),
        "granted 3.01",
    );
}

#[test]
fn a_refusal_with_room_left_or_by_a_budget_of_another_size_is_found() {
    bites(
        |log| answer(log, "c").what = Err((i64::MAX, units("10"))),
        "refused by a budget of 10.00",
    );
    bites(
        |log| answer(log, "d").what = Err((i64::MAX, units("11"))),
        "refused by a budget of 11.00",
    );
    bites(
        |log| answer(log, "d").what = Err((5, i64::MAX)),
        "of 5 times",
    );
}

#[test]
fn a_version_that_is_decided_by_too_early_or_too_late_is_found() {
    bites(|log| answer(log, "e").at = 1_999, "before that was written");
    bites(
        |log| {
            let Entry::Claim { met, .. } = &mut log.claims[3] else {
                panic!("a claim")
            };
            *met = 2;
        },
        "by version 2",
    );
}

#[test]
fn what_is_missing_or_there_twice_is_found() {
    bites(
        |log| log.answers.retain(|it, _| it != "h"),
        "never answered",
    );
    bites(
        |log| log.claims.push(log.claims[0].clone()),
        "claimed twice",
    );
    bites(
        |log| log.events.extend(["z".to_owned()]),
        "z was not claimed",
    );
    bites(|log| log.events.retain(|it| it != "h"), "no event");
    bites(
        |log| {
            let of = answer(log, "a").clone();
            log.answers.insert("z".to_owned(), of);
        },
        "never claimed",
    );
    bites(|log| log.claims.push(log.claims[5].clone()), "twice");
    bites(
        |log| {
            log.claims.remove(5);
        },
        "gave nothing back",
    );
}

#[test]
fn more_given_back_than_was_taken_is_found() {
    bites(|log| log.reversals.clear(), "but its match says");
    bites(
        |log| {
            let twice = ("a".to_owned(), "s".to_owned());
            log.reversals.insert(twice, units("1"));
            log.claims.push(Entry::GiveBack {
                event: "a".to_owned(),
                by: "s".to_owned(),
                amount: units("1"),
                whole: false,
            });
        },
        "more than a won",
    );
}
