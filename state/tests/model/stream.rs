//! Streams of events and changes of campaigns, from seeds.

use schemas::{Campaign, Span};
use serde_json::{Value as Json, json};
use state::EventTimes;

/// Steps of one partition.
pub(crate) struct Stream {
    pub(crate) times: EventTimes,
    pub(crate) customers: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

pub(crate) enum Step {
    Change(Box<Campaign>),
    Event(Arriving),
    Erase(Erase),
    /// Look for what is due at that time.
    Due(i64),
    Commit,
}

/// An event and its record.
#[derive(Clone)]
pub(crate) struct Arriving {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) kind: &'static str,
    pub(crate) at: i64,
    pub(crate) record: i64,
    pub(crate) payload: Json,
}

/// A record that asks to forget a customer.
pub(crate) struct Erase {
    pub(crate) customer: String,
    pub(crate) record: i64,
}

impl Arriving {
    pub(crate) fn json(&self) -> String {
        json!({
            "event_id": self.id, "customer_id": self.customer, "event_type": self.kind,
            "occurred_at": jiff::Timestamp::from_millisecond(self.at).unwrap(), "payload": self.payload,
        })
        .to_string()
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014).
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let at = self.below(of.len() as u64);
        of[usize::try_from(at).unwrap()].clone()
    }
}

const HOUR: i64 = 3_600_000;
/// A Sunday before clocks are changed in Madrid.
const BEGIN: &str = "2026-10-24T20:00:00Z";
const KINDS: [&str; 3] = ["purchase", "refund", "visit"];

impl Stream {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let times = EventTimes {
            dedup_window: Span::parse("6h").unwrap(),
            max_ahead: Span::parse("1h").unwrap(),
        };
        let customers = vec!["ann".to_owned(), "bob".to_owned()];
        let mut steps = Vec::new();
        let count = 1 + dice.below(3);
        // In one of three hardly anything happens but that what was bought comes back.
        let is_shop = dice.one_in(3);
        let campaign = if is_shop { shop_campaign } else { campaign };
        for number in 0..count {
            steps.push(Step::Change(campaign(&mut dice, number)));
        }
        let begin: jiff::Timestamp = BEGIN.parse().unwrap();
        let mut record = begin.as_millisecond();
        let mut sent: Vec<Arriving> = Vec::new();
        for number in 0..40 {
            // Mostly whole hours, so that events lie on the edges of windows.
            record += dice.pick(&[0, HOUR / 2, HOUR, HOUR, 2 * HOUR, 5 * HOUR]);
            match dice.below(12) {
                0 => {
                    let number = dice.below(count);
                    steps.push(Step::Change(campaign(&mut dice, number)));
                }
                1 | 2 => steps.push(Step::Commit),
                3 | 4 => steps.push(Step::Due(record)),
                5 if !sent.is_empty() => {
                    let mut again = dice.pick(&sent);
                    again.record = record;
                    steps.push(Step::Event(again));
                }
                6 if dice.one_in(if is_shop { 8 } else { 2 }) => steps.push(Step::Erase(Erase {
                    customer: dice.pick(&customers),
                    record,
                })),
                _ => {
                    let late = [
                        0,
                        0,
                        0,
                        1,
                        HOUR,
                        2 * HOUR,
                        6 * HOUR,
                        6 * HOUR + 1,
                        -HOUR,
                        -HOUR - 1,
                    ];
                    let late = if is_shop { &late[..5] } else { &late[..] };
                    let event = Arriving {
                        id: format!("e-{number}"),
                        customer: dice.pick(&customers),
                        kind: dice.pick(if is_shop { &KINDS[..2] } else { &KINDS[..] }),
                        at: record - dice.pick(late),
                        record,
                        payload: payload(&mut dice, is_shop),
                    };
                    sent.push(event.clone());
                    steps.push(Step::Event(event));
                }
            }
        }
        steps.push(Step::Due(record + 100 * HOUR));
        Self {
            times,
            customers,
            steps,
        }
    }
}

fn payload(dice: &mut Dice, is_shop: bool) -> Json {
    if is_shop {
        let amounts = [
            json!(100),
            json!(75),
            json!("33.33"),
            json!(25),
            json!(-10),
            json!(1),
        ];
        let mut payload = json!({"order": dice.pick(&[1, 1, 2]), "sku": "a"});
        if !dice.one_in(8) {
            payload["amount"] = dice.pick(&amounts);
        }
        return payload;
    }
    let amounts = [
        json!(100),
        json!(70),
        json!(10),
        json!("10.00"),
        json!(0.1),
        json!(3),
        json!(25.5),
        json!(-5),
        json!("ten"),
        json!(null),
    ];
    let mut payload = json!({"sku": dice.pick(&["a", "b", "c"])});
    if !dice.one_in(6) {
        payload["order"] = dice.pick(&[json!(1), json!(1), json!(2), json!("2"), json!([1, 2])]);
    }
    if !dice.one_in(5) {
        payload["amount"] = dice.pick(&amounts);
    }
    if dice.one_in(3) {
        payload["items"] = json!([{"price": 1}, {"price": dice.pick(&amounts)}, {}]);
    }
    payload
}

/// A campaign whose matches are taken back, as a shop would write it.
fn shop_campaign(dice: &mut Dice, number: u64) -> Box<Campaign> {
    let mut document = json!({
        "id": format!("c-{number}"), "name": "c", "when": {"event_type": ["purchase"]},
        "reward": {"kind": "credit", "amount": dice.pick(&["10.00", "2.50", "0.05", "0.006"])},
        "reverse_on": {
            "event_type": ["refund"], "same": "payload.order", "amount": "payload.amount",
            "within": dice.pick(&["5h", "1d", "90d"]),
        },
    });
    if !dice.one_in(3) {
        document["reward"]["currency"] = json!(dice.pick(&["USD", "JPY", "KWD"]));
    }
    if dice.one_in(2) {
        document["hold"] = json!(dice.pick(&["3h", "1d"]));
    }
    if dice.one_in(2) {
        document["limits"] = json!({"per_customer": limit(dice)});
    }
    if dice.one_in(6) {
        document["status"] = json!("paused");
    }
    if dice.one_in(4) {
        document["schedule"] = json!({"end": "2026-10-25T12:00:00Z"});
    }
    if dice.one_in(4) {
        document["reverse_on"]["limits"] = json!("keep");
    }
    Box::new(Campaign::from_json(document.to_string().as_bytes()).unwrap())
}

fn campaign(dice: &mut Dice, number: u64) -> Box<Campaign> {
    let mut document = json!({
        "id": format!("c-{number}"), "name": "c", "when": pattern(dice),
        "reward": {"kind": "credit", "amount": dice.pick(&["1", "2.50", "10.00", "0.01", "0.006"])},
    });
    if !dice.one_in(3) {
        document["reward"]["currency"] = json!(dice.pick(&["USD", "JPY", "KWD"]));
    }
    if dice.one_in(8) {
        document["reward"] = json!({"kind": "coupon"});
    }
    if dice.one_in(3) {
        document["hold"] = json!(dice.pick(&["1h", "3h", "1d"]));
    }
    if dice.one_in(2) {
        document["reverse_on"] = reverse_on(dice);
    }
    if dice.one_in(8) {
        document["status"] = json!("paused");
    }
    if dice.one_in(4) {
        document["on_change"] = json!("reset");
    }
    if dice.one_in(8) {
        document["schedule"] = json!({"windows": ["every day 22:00-04:00 Europe/Madrid"]});
    }
    if dice.one_in(8) {
        document["schedule"]["start"] = json!("2026-10-25T01:00:00Z");
    }
    let conditions = dice.below(3);
    let conditions: Vec<Json> = (0..conditions).map(|_| condition(dice)).collect();
    let absents = conditions.iter().filter(|it| it.get("absent").is_some());
    if !conditions.is_empty() && absents.count() < 2 {
        document["across"] = json!(conditions);
    }
    let limits = dice.below(3);
    let limits: Vec<Json> = (0..limits).map(|_| limit(dice)).collect();
    if !limits.is_empty() {
        document["limits"] = json!({"per_customer": limits});
    }
    document["priority"] = json!(dice.below(2));
    if dice.one_in(2) {
        let mut stacking = json!({"group": dice.pick(&["g", "h"]), "per_customer": limit(dice)});
        if !dice.one_in(3) {
            stacking["per_event"] = json!(1 + dice.below(2));
        }
        document["stacking"] = stacking;
    }
    if !dice.one_in(3) {
        document["exclusive_group"] = json!("e");
    }
    Campaign::from_json(document.to_string().as_bytes()).map_or_else(
        |_| {
            // One that waits is decided on its own.
            document["exclusive_group"] = Json::Null;
            document["reverse_on"] = Json::Null;
            if let Some(stacking) = document.get_mut("stacking") {
                stacking["per_event"] = Json::Null;
            }
            Box::new(Campaign::from_json(document.to_string().as_bytes()).unwrap())
        },
        Box::new,
    )
}

fn pattern(dice: &mut Dice) -> Json {
    match dice.below(4) {
        0 => json!({"payload": {"sku": ["a"]}}),
        1 => json!({"event_type": ["purchase", "visit"]}),
        _ => json!({"event_type": [dice.pick(&KINDS)]}),
    }
}

fn reverse_on(dice: &mut Dice) -> Json {
    let mut reverse_on = json!({
        "event_type": [dice.pick(&["refund", "refund", "visit"])],
        "same": dice.pick(&["payload.order", "payload.order", "payload.sku"]),
        "within": dice.pick(&["2h", "1d", "90d"]),
    });
    if !dice.one_in(3) {
        reverse_on["amount"] = json!("payload.amount");
    }
    if dice.one_in(4) {
        reverse_on["limits"] = json!("keep");
    }
    reverse_on
}

fn window(dice: &mut Dice, condition: &mut Json) {
    match dice.below(6) {
        0 => condition["tumbling"] = json!(dice.pick(&["2h", "7h"])),
        1 => {
            condition["calendar"] = json!(dice.pick(&["day", "week", "month"]));
            condition["time_zone"] = json!("Europe/Madrid");
        }
        2 => condition["session"] = json!(dice.pick(&["1h", "3h"])),
        3 => condition["within"] = json!("ever"),
        _ => condition["within"] = json!(dice.pick(&["1h", "2h", "5h", "1d"])),
    }
}

fn bounds(dice: &mut Dice, values: &[Json]) -> Json {
    let name = dice.pick(&[
        "at_least",
        "at_most",
        "more_than",
        "less_than",
        "equals",
        "multiple_of",
    ]);
    json!({name: dice.pick(values)})
}

fn condition(dice: &mut Dice) -> Json {
    let counts = [json!(1), json!(2), json!(3)];
    let mut condition = match dice.below(8) {
        0 | 1 => json!({"count": bounds(dice, &counts)}),
        2 => {
            let within = dice.pick(&["1h", "3h", "1d"]);
            let mut steps = vec![json!({"when": pattern(dice)})];
            if dice.one_in(2) {
                steps.push(json!({"when": pattern(dice), "within": dice.pick(&["1h", "4h"])}));
            }
            return json!({"sequence": steps, "within": within});
        }
        3 => {
            let within = dice.pick(&["1h", "3h", "1d"]);
            return json!({"absent": true, "within": within, "when": pattern(dice)});
        }
        4 => json!({"nth": 1 + dice.below(3)}),
        5 => {
            let mut of = bounds(dice, &counts);
            of["of"] = json!(dice.pick(&["payload.sku", "payload.amount"]));
            json!({"distinct": of})
        }
        _ => {
            let values = [json!(10), json!("20.1"), json!(0), json!("25.50")];
            let mut of = bounds(dice, &values);
            of["of"] = json!(dice.pick(&["payload.amount", "payload.items.price"]));
            let name = dice.pick(&["sum", "min", "max", "average"]);
            json!({name: of})
        }
    };
    window(dice, &mut condition);
    if dice.one_in(2) {
        condition["when"] = pattern(dice);
    }
    condition
}

fn limit(dice: &mut Dice) -> Json {
    let mut limit = json!({});
    match dice.below(3) {
        0 => limit["times"] = json!(1),
        1 => limit["times"] = json!(2),
        _ => limit["amount"] = json!(dice.pick(&["2.50", "5"])),
    }
    match dice.below(3) {
        0 => limit["every"] = json!(dice.pick(&["1h", "3h", "1d"])),
        1 => {
            limit["per"] = json!(dice.pick(&["day", "week", "month"]));
            limit["time_zone"] = json!("Europe/Madrid");
        }
        _ => {}
    }
    limit
}
