//! People who change the budgets of a campaign at once, each by the HTTP API of campaign-admin, as the other does.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::books::{decimal, text, units};
use crate::http::{Answer, Connection, request};
use crate::world::PATIENCE;

/// Two of them raise, lower and reset budgets until each has done enough: those of these campaigns in turn, with room for so many
/// claims. Each campaign has a budget of an amount, and behind it one of times. Before they change what they have read they look
/// at it for that long.
///
/// # Panics
/// The API answers with anything but that it is done, that another was first or, for less than [`PATIENCE`], that it cannot take this now.
pub fn two(
    api: &str,
    campaigns: &[(&str, i64)],
    pause: Duration,
    is_enough: impl Fn(&Done) -> bool + Sync,
) -> Done {
    thread::scope(|scope| {
        let people = [0, 1].map(|number| {
            let person = Person {
                api,
                campaigns,
                number,
                pause,
            };
            let is_enough = &is_enough;
            scope.spawn(move || person.change(is_enough))
        });
        let [one, other] = people.map(|it| it.join().expect("a person who can do their work"));
        one.and(other)
    })
}

struct Person<'a> {
    api: &'a str,
    campaigns: &'a [(&'a str, i64)],
    /// They do not do the same at a time.
    number: i64,
    pause: Duration,
}

/// What people have done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    /// Budgets made greater than what is used of them.
    pub raised: usize,
    /// Budgets made less than that.
    pub lowered: usize,
    /// Budgets that begin anew.
    pub reset: usize,
    /// How often another person was first, and it had to be looked at again.
    pub conflicts: usize,
}

impl Done {
    fn and(self, other: Self) -> Self {
        Self {
            raised: self.raised + other.raised,
            lowered: self.lowered + other.lowered,
            reset: self.reset + other.reset,
            conflicts: self.conflicts + other.conflicts,
        }
    }

    /// How many changes were made.
    pub fn changes(&self) -> usize {
        self.raised + self.lowered + self.reset
    }
}

impl Person<'_> {
    fn change(self, is_enough: impl Fn(&Done) -> bool) -> Done {
        let mut connection = Connection::open(self.api).expect("campaign-admin listens");
        let mut done = Done::default();
        let campaigns = self.campaigns.iter().cycle();
        for (turn, (campaign, room)) in (self.number..).zip(campaigns) {
            if is_enough(&done) {
                break;
            }
            if turn % 8 == 7 {
                let path = format!("/v1/campaigns/{campaign}/budget");
                let answer = self.ask(&mut connection, &request("DELETE", &path, &[], b""));
                assert_eq!(answer.status, 202, "{}", answer.json());
                done.reset += 1;
                thread::sleep(self.pause);
                continue;
            }
            // Now the one is used up first, and now the other.
            let room = [1 + turn % 3, 1 + (turn + 1) % 3].map(|parts| parts * room);
            let room = (turn % 4 != 2).then_some(room);
            while !self.put(&mut connection, campaign, room) {
                done.conflicts += 1;
            }
            match room {
                Some(_) => done.raised += 1,
                None => done.lowered += 1,
            }
        }
        done
    }

    /// Asks again while the service says that it cannot take this now, as it does when its broker does not answer.
    fn ask(&self, connection: &mut Connection, request: &[u8]) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = connection.ask(request).expect("an answer");
            if answer.status != 503 || begun.elapsed() > PATIENCE {
                return answer;
            }
            thread::sleep(self.pause);
        }
    }

    /// Makes room for so many claims of each budget, or takes it from one of them. Says whether nobody else has changed the
    /// document meanwhile.
    fn put(&self, connection: &mut Connection, campaign: &str, room: Option<[i64; 2]>) -> bool {
        let path = format!("/v1/campaigns/{campaign}");
        let mut get = |path: &str| {
            let answer = self.ask(connection, &request("GET", path, &[], b""));
            assert_eq!(answer.status, 200, "{}", answer.json());
            answer
        };
        let read = get(&path);
        let tag = read.header("etag").expect("a tag").to_owned();
        let (times, amount) = of_report(&get(&format!("{path}/budget")).json());
        let mut document = read.json();
        let budgets = &mut document["limits"]["total"];
        if let Some([worth, most]) = room {
            budgets[0]["amount"] = json!(decimal(amount + worth * WORTH));
            budgets[1]["times"] = json!(times + most);
        } else if self.number % 2 == 0 {
            budgets[0]["amount"] = json!(decimal((amount / 2).max(100)));
        } else {
            budgets[1]["times"] = json!((times / 2).max(1));
        }
        thread::sleep(self.pause);
        let headers = [("if-match", &*tag), ("content-type", "application/json")];
        let put = request("PUT", &path, &headers, document.to_string().as_bytes());
        let answer = self.ask(connection, &put);
        assert!(
            matches!(answer.status, 200 | 412),
            "{}: {}",
            answer.status,
            answer.json()
        );
        answer.status == 200
    }
}

/// What a claim is worth, about, in [`units`].
const WORTH: i64 = 70_000;

/// What the API says is used of the budgets of a campaign: matches, and their worth in [`units`].
///
/// # Panics
/// It says nothing.
pub fn used(api: &str, campaign: &str) -> (i64, i64) {
    let mut connection = Connection::open(api).expect("campaign-admin listens");
    let path = format!("/v1/campaigns/{campaign}/budget");
    let answer = connection.ask(&request("GET", &path, &[], b""));
    of_report(&answer.expect("an answer").json())
}

fn of_report(report: &Value) -> (i64, i64) {
    let first = &report["budgets"][0];
    let times = first["used_times"].as_i64();
    (times.expect("a number"), units(text(first, "used_amount")))
}
