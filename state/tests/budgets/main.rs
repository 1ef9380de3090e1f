//! Budgets: matchers that claim and a settler that decides, in any order of their steps, with batches that are given up or
//! lost, held against plain books that are kept from the logs alone.

mod books;
mod machine;
mod scene;

use self::books::Books;
use self::machine::Machine;
use self::scene::{Dice, Scene, Turn};

/// Plays a scene to its end and checks the books after each step.
fn play(seed: u64, faults: bool) -> Machine {
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
        }
        books.keep(seed, &machine);
    }
    while machine.is_busy() {
        machine.matcher(0, 7, scene::End::Commit);
        machine.matcher(1, 7, scene::End::Commit);
        machine.settler(5, scene::End::Commit);
        books.keep(seed, &machine);
    }
    Books::close(seed, &machine);
    machine
}

#[test]
fn the_books_are_right_at_every_prefix_of_the_log() {
    for seed in 0..1_500 {
        play(seed, false);
    }
}

#[test]
fn the_books_are_right_whatever_is_given_up_or_lost() {
    for seed in 1_500..3_500 {
        play(seed, true);
    }
}

#[test]
fn the_scenes_have_all_that_can_happen() {
    let (mut granted, mut refused, mut instead, mut marks) = (0, 0, 0, 0);
    for seed in 0..200 {
        let machine = play(seed, true);
        granted += machine.settled.iter().filter(|it| it.granted).count();
        refused += machine.settled.iter().filter(|it| !it.granted).count();
        instead += machine.instead;
        marks += machine.marks;
    }
    for (what, count) in [
        ("granted", granted),
        ("refused", refused),
        ("won instead", instead),
        ("marks", marks),
    ] {
        assert!(count > 200, "{what}: {count}");
    }
}
