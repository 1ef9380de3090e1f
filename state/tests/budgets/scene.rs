//! Scenes from seeds: campaigns that share events and have budgets, and the order in which everybody has a turn.

use schemas::Campaign;
use serde_json::{Value as Json, json};

/// `SplitMix64` (Steele, Lea, Flood 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let at = self.below(of.len() as u64);
        of[usize::try_from(at).unwrap()].clone()
    }
}

/// How a batch ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Commit,
    /// It is given up.
    Abort,
    /// All memory is lost.
    Crash,
}

#[derive(Clone)]
pub(crate) struct Buy {
    pub(crate) id: String,
    /// `buy`, or a return: `refund`, `cancel`.
    pub(crate) kind: &'static str,
    pub(crate) customer: &'static str,
    pub(crate) partition: usize,
    pub(crate) at: i64,
    pub(crate) payload: Json,
}

impl Buy {
    pub(crate) fn json(&self) -> String {
        json!({
            "event_id": self.id, "customer_id": self.customer, "event_type": self.kind,
            "occurred_at": jiff::Timestamp::from_millisecond(self.at).unwrap(), "payload": self.payload,
        })
        .to_string()
    }
}

pub(crate) enum Turn {
    Event(Buy),
    Change(Box<Campaign>),
    Reset(String),
    /// A matcher, how many records it takes, and how its batch ends.
    Match(usize, usize, End),
    Settle(usize, End),
    /// A matcher confirms what is held until then.
    Due(usize, i64, End),
}

pub(crate) struct Scene {
    pub(crate) campaigns: Vec<Campaign>,
    /// The fields that stay while budgets change.
    fixed: Vec<Json>,
}

const DAY: i64 = 86_400_000;
const BEGIN: &str = "2026-10-30T12:00:00Z";
const CUSTOMERS: [&str; 4] = ["ann", "bob", "cid", "dan"];

impl Scene {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let per_customer = |dice: &mut Dice| match dice.below(3) {
            0 => json!({"times": 1 + dice.below(2), "per": "day"}),
            1 => json!({"amount": "6", "every": "1d"}),
            _ => json!({"times": 3}),
        };
        let mut fixed = vec![
            // Three that share an event, the last of which always may win it.
            json!({"id": "a", "priority": 3, "exclusive_group": "g", "amount": "2.50"}),
            json!({"id": "b", "priority": 2, "exclusive_group": "g", "amount": "1"}),
            json!({"id": "c", "exclusive_group": "g", "amount": "0.10"}),
            json!({"id": "d", "amount": "payload.amount * 0.1"}),
            // Two of four win an event together.
            json!({"id": "e", "priority": 4, "stacking": {"group": "s", "per_event": 2}, "amount": "3"}),
            json!({"id": "f", "priority": 3, "stacking": {"group": "s", "per_event": 2}, "amount": "4"}),
            json!({"id": "h", "priority": 2, "stacking": {"group": "s", "per_event": 2}, "amount": "5"}),
            json!({"id": "i", "priority": 1, "stacking": {"group": "s", "per_event": 2}, "amount": "6"}),
            // Two that always take back, and of whose purchases several have the same order.
            json!({"id": "j", "amount": "2.50", "hold": "1d", "reverse_on": parts()}),
            json!({"id": "k", "amount": "1.25", "reverse_on": {"event_type": ["cancel"], "same": "payload.order"}}),
        ];
        for number in [0, 3, 4] {
            if dice.below(3) == 0 {
                fixed[number]["reverse_on"] = parts();
            }
            if dice.below(3) == 0 {
                fixed[number]["hold"] = json!("1d");
            }
        }
        for number in [0, 3, 4, 8, 9] {
            if !fixed[number]["reverse_on"].is_null() && dice.below(4) == 0 {
                let name = dice.pick(&["limits", "budget"]);
                fixed[number]["reverse_on"][name] = json!("keep");
            }
        }
        for number in [0, 1, 3, 4] {
            if dice.below(2) == 0 {
                fixed[number]["per_customer"] = per_customer(dice);
            }
        }
        let mut scene = Self {
            campaigns: Vec::new(),
            fixed,
        };
        scene.campaigns = (0..scene.fixed.len())
            .map(|number| scene.campaign(dice, number))
            .collect();
        scene
    }

    /// A campaign with a new budget; some have none.
    fn campaign(&self, dice: &mut Dice, number: usize) -> Campaign {
        let fixed = &self.fixed[number];
        let mut document = json!({
            "id": fixed["id"], "name": "n", "when": {"event_type": ["buy"]},
            "reward": {"kind": "credit", "amount": fixed["amount"], "currency": "USD"}, "limits": {},
        });
        for field in [
            "priority",
            "exclusive_group",
            "stacking",
            "hold",
            "reverse_on",
        ] {
            if !fixed[field].is_null() {
                document[field] = fixed[field].clone();
            }
        }
        if !fixed["per_customer"].is_null() {
            document["limits"]["per_customer"] = fixed["per_customer"].clone();
        }
        // Purchases of one order win in their order only as long as all of them are claimed.
        let takes_back = !fixed["reverse_on"].is_null();
        let has_budget = !matches!(number, 2 | 7) && (takes_back || dice.below(8) > 0);
        if has_budget {
            let budgets = 1 + dice.below(2);
            let budgets: Vec<Json> = (0..budgets).map(|_| budget(dice)).collect();
            document["limits"]["total"] = json!(budgets);
        }
        Campaign::from_json(document.to_string().as_bytes()).unwrap()
    }

    pub(crate) fn turns(&self, dice: &mut Dice, faults: bool) -> Vec<Turn> {
        let begin: jiff::Timestamp = BEGIN.parse().unwrap();
        let begin = begin.as_millisecond();
        let mut sent: Vec<Buy> = Vec::new();
        let turns = (0..80).map(|_| match dice.below(14) {
            // One in ten comes twice.
            0..=4 if !sent.is_empty() && dice.below(10) == 0 => Turn::Event(dice.pick(&sent)),
            4 | 13 if !sent.is_empty() => {
                let event = returned(dice, &sent);
                sent.push(event.clone());
                Turn::Event(event)
            }
            0..=4 => {
                let customer = usize::try_from(dice.below(4)).unwrap();
                let mut payload =
                    json!({"amount": dice.pick(&[json!(10), json!("33.33"), json!(0)])});
                payload["order"] = json!(dice.below(5));
                if dice.below(4) > 0 {
                    payload["store"] = dice.pick(&[json!("x"), json!(7), json!(true)]);
                }
                let event = Buy {
                    id: format!("e-{}", sent.len()),
                    kind: "buy",
                    customer: CUSTOMERS[customer],
                    partition: customer % 2,
                    at: begin + dice.pick(&[0, 1, 2, 3]) * DAY,
                    payload,
                };
                sent.push(event.clone());
                Turn::Event(event)
            }
            5 => {
                let number = usize::try_from(dice.below(self.fixed.len() as u64)).unwrap();
                Turn::Change(Box::new(self.campaign(dice, number)))
            }
            6 if dice.below(3) == 0 => {
                Turn::Reset(dice.pick(&["a", "b", "d", "j", "k"]).to_owned())
            }
            12 => {
                let number = usize::try_from(dice.below(2)).unwrap();
                let until = begin + dice.pick(&[1, 2, 3]) * DAY;
                Turn::Due(number, until, end(dice, faults))
            }
            7..=9 => {
                let number = usize::try_from(dice.below(2)).unwrap();
                let records = usize::try_from(1 + dice.below(4)).unwrap();
                Turn::Match(number, records, end(dice, faults))
            }
            _ => {
                let records = usize::try_from(1 + dice.below(5)).unwrap();
                Turn::Settle(records, end(dice, faults))
            }
        });
        turns.collect()
    }
}

/// What takes back in parts.
fn parts() -> Json {
    json!({"event_type": ["refund"], "same": "payload.order", "amount": "payload.amount"})
}

/// A return of an order of the customer of some event so far, which may be there or come later.
fn returned(dice: &mut Dice, sent: &[Buy]) -> Buy {
    let of = dice.pick(sent);
    let order = match dice.below(4) {
        0 => json!(dice.below(5)),
        _ => of.payload["order"].clone(),
    };
    let amounts = [json!(3), json!("11.11"), json!(40), json!(0), Json::Null];
    Buy {
        id: format!("e-{}", sent.len()),
        kind: dice.pick(&["refund", "refund", "cancel"]),
        payload: json!({"order": order, "amount": dice.pick(&amounts)}),
        ..of
    }
}

fn end(dice: &mut Dice, faults: bool) -> End {
    match dice.below(6) {
        0 if faults => End::Abort,
        1 if faults => End::Crash,
        _ => End::Commit,
    }
}

fn budget(dice: &mut Dice) -> Json {
    let mut budget = json!({});
    if dice.below(2) == 0 {
        budget["times"] = json!(1 + dice.below(6));
    } else {
        budget["amount"] = dice.pick(&[json!("2.49"), json!("2.50"), json!("7.5"), json!("12")]);
    }
    if dice.below(2) == 0 {
        budget["per"] = dice.pick(&[json!("day"), json!("week"), json!("month")]);
        budget["time_zone"] = json!("Europe/Madrid");
    }
    if dice.below(3) == 0 {
        budget["by"] = json!("payload.store");
    }
    budget
}
