//! Budgets: matchers that claim and a settler that decides, in any order of their steps, with batches that are given up or
//! lost, held against plain books that are kept from the logs alone.

mod books;
mod machine;
mod records;
mod returns;
mod scene;

use self::books::Books;
use self::machine::Machine;
use self::scene::{Dice, Scene, Turn};

/// Plays a scene to its end and checks the books after each step.
fn play(seed: u64, faults: bool) -> (Machine, Books) {
    let mut dice = Dice(seed);
    let scene = Scene::new(&mut dice);
    let mut machine = Machine::new(&scene);
    let mut books = Books::default();
    for turn in scene.turns(&mut dice, faults) {
        match turn {
            Turn::Event(event) => machine.arrive(&event),
            Turn::Change(campaign) => machine.change(&campaign),
            Turn::Reset(campaign) => machine.reset(&campaign),
            Turn::Match(number, records, end) => machine.matcher(number, records, end),
            Turn::Settle(records, end) => machine.settler(records, end),
            Turn::Due(number, until, end) => machine.due(number, until, end),
        }
        books.keep(seed, &machine);
    }
    while machine.is_busy() {
        machine.matcher(0, 7, scene::End::Commit);
        machine.matcher(1, 7, scene::End::Commit);
        machine.settler(5, scene::End::Commit);
        books.keep(seed, &machine);
    }
    for number in [0, 1] {
        machine.due(number, i64::MAX, scene::End::Commit);
    }
    books.keep(seed, &machine);
    books.close(seed, &machine);
    (machine, books)
}

#[test]
fn the_books_are_right_at_every_prefix_of_the_log() {
    for seed in 0..900 {
        play(seed, false);
    }
}

#[test]
fn the_books_are_right_whatever_is_given_up_or_lost() {
    for seed in 900..2_200 {
        play(seed, true);
    }
}

#[test]
fn the_scenes_have_all_that_can_happen() {
    let (mut granted, mut refused, mut instead, mut marks) = (0, 0, 0, 0);
    let mut became = [0; 4];
    for seed in 0..200 {
        let (machine, books) = play(seed, true);
        granted += machine.settled.iter().filter(|it| it.is_granted()).count();
        refused += machine.settled.iter().filter(|it| it.is_refused()).count();
        for (all, count) in became.iter_mut().zip(books.counts()) {
            *all += count;
        }
        instead += machine.instead;
        marks += machine.marks;
    }
    for (what, count) in [
        ("granted", granted),
        ("refused", refused),
        ("won instead", instead),
        ("marks", marks),
        ("confirmed", became[0]),
        ("taken back", became[1]),
        ("taken back in part", became[2]),
        ("given back", became[3]),
    ] {
        assert!(count > 100, "{what}: {count}");
    }
}
