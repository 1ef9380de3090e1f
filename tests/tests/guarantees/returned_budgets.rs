//! Budgets of campaigns that hold their matches and take them back: whoever is killed, the matches are to the cent what the
//! records of `events` say, and the budgets what the records of `claims` say.
//!
//! Matchers and settlers are processes of their own here, so that each can be killed alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::books::{Books, Budget, text, units};
use tests::process::Process;
use tests::servers::Server;
use tests::topics::Seen;
use tests::wait;
use tests::world::{PARTITIONS, World};

use super::LONG_BATCHES;
use super::budgets::by_place;
use super::customers::install;

const PATIENCE: Duration = Duration::from_mins(3);
const CONTROL: &str = "__campaign.control";
const STORES: [&str; 3] = ["x", "y", "z"];

/// Taken back in parts and held, as a whole by the store, and as a whole of a budget that stays used.
fn campaigns() -> [Value; 3] {
    let campaign = |id: &str, fields: Value| {
        let mut campaign = json!({"id": id, "name": id, "when": {"event_type": ["bought"]}});
        for (name, value) in fields.as_object().expect("fields") {
            campaign[name] = value.clone();
        }
        campaign
    };
    let cancelled = json!({
        "event_type": ["cancelled"], "same": {"event": "event_id", "return": "payload.purchase"},
    });
    let mut kept = cancelled.clone();
    kept["budget"] = json!("keep");
    [
        campaign(
            "rb-part",
            json!({
                "hold": "6s",
                "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
                "limits": {"total": {"amount": "1500"}},
                "reverse_on": {"event_type": ["returned"], "same": "payload.order", "amount": "payload.amount"},
            }),
        ),
        campaign(
            "rb-store",
            json!({
                "reward": {"kind": "credit", "amount": "payload.amount * 0.1", "currency": "USD"},
                "limits": {"total": [{"times": 50, "by": "payload.store"}, {"amount": "1200.05"}]},
                "reverse_on": cancelled,
            }),
        ),
        campaign(
            "rb-keep",
            json!({
                "reward": {"kind": "coupon"}, "limits": {"total": {"times": 90}}, "reverse_on": kept,
            }),
        ),
    ]
}

/// Purchases, of which many come back: in parts, as a whole, too much, twice, or before they came.
#[derive(Default)]
struct Shop {
    number: i64,
}

impl Shop {
    fn produce(&mut self, world: &World, purchases: usize) {
        for _ in 0..purchases {
            self.number += 1;
            let number = self.number;
            let customer = format!("rb-{}", number * number % 41);
            let (purchase, order) = (format!("p-{number}"), format!("o-{number}"));
            let amount = 10 + number * 13 % 190;
            let send = |id: String, kind: &str, payload: Value| {
                let event = json!({
                    "event_id": id, "customer_id": customer, "event_type": kind,
                    "occurred_at": Timestamp::now(), "payload": payload,
                });
                (world.kafka).send_json(&world.topic("events"), &customer, &event);
            };
            let returned = |part: i64, amount: i64| {
                let payload = json!({"order": order, "amount": amount});
                send(format!("r-{number}-{part}"), "returned", payload);
            };
            let cancelled = || {
                let payload = json!({ "purchase": purchase });
                send(format!("c-{number}"), "cancelled", payload);
            };
            let bought = || {
                let store = STORES[usize::try_from(number % 3).expect("small")];
                let payload = json!({"order": order, "amount": amount, "store": store});
                send(purchase.clone(), "bought", payload);
            };
            // Before it came.
            if number % 7 == 0 {
                returned(0, amount / 3);
            }
            if number % 11 == 0 {
                cancelled();
            }
            bought();
            match number % 5 {
                0 => returned(1, amount),
                1 => (1..=3).for_each(|part| returned(part, amount / 3)),
                2 => (1..=2).for_each(|part| returned(part, amount / 2 + 3)),
                _ => {}
            }
            if number % 3 == 0 {
                cancelled();
            }
            // Twice.
            if number % 10 == 0 {
                returned(1, amount);
                bought();
            }
        }
        world.kafka.flush();
    }
}

/// An event and a campaign.
type Name = (String, String);

/// What became of a match, in ten-thousandths.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Became {
    amount: i64,
    reversed: i64,
    whole: bool,
}

/// What ought to be, from the records of `events` alone: the purchases, the returns, and the settler's word.
fn expected(events: &[Seen]) -> BTreeMap<Name, Became> {
    let mut purchases: BTreeMap<String, (String, i64)> = BTreeMap::new();
    let mut returned: BTreeMap<String, i64> = BTreeMap::new();
    let mut cancelled = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut granted = BTreeSet::new();
    for record in events {
        if record.value.is_none() {
            if record.header(CONTROL) == Some("granted") {
                let claim = record.header("__campaign.control.claim").expect("a claim");
                let claim: Value = serde_json::from_str(claim).expect("JSON");
                let campaign = text(&claim["prize"], "campaign_id").to_owned();
                let name = (text(&claim, "event_id").to_owned(), campaign);
                assert!(granted.insert(name), "granted twice: {claim}");
            }
            continue;
        }
        let event = record.json();
        if !seen.insert(text(&event, "event_id").to_owned()) {
            continue;
        }
        let payload = &event["payload"];
        let amount = payload["amount"].as_i64().unwrap_or_default();
        match text(&event, "event_type") {
            "bought" => {
                let order = text(payload, "order").to_owned();
                purchases.insert(text(&event, "event_id").to_owned(), (order, amount));
            }
            "returned" => {
                *returned
                    .entry(text(payload, "order").to_owned())
                    .or_default() += amount;
            }
            _ => {
                cancelled.insert(text(payload, "purchase").to_owned());
            }
        }
    }
    let became = granted.into_iter().map(|name| {
        let (order, of) = &purchases[&name.0];
        let is_cancelled = cancelled.contains(&name.0);
        let amount = match &*name.1 {
            "rb-part" => units("10"),
            "rb-store" => of * 1_000,
            _ => 0,
        };
        let reversed = if name.1 == "rb-part" {
            let back = returned.get(order).copied().unwrap_or_default().min(*of);
            // Whole cents, halves away from zero.
            (2 * 1_000 * back + of) / (2 * of) * 100
        } else {
            i64::from(is_cancelled) * amount
        };
        let whole = match &*name.1 {
            "rb-part" => reversed == amount,
            _ => is_cancelled,
        };
        let became = Became {
            amount,
            reversed,
            whole,
        };
        (name, became)
    });
    became.collect()
}

/// The books, from the records of `matches`; each of them must be new, and none may take back more than there is.
fn books(matches: &[Value]) -> (BTreeMap<Name, Became>, BTreeMap<(Name, String), i64>) {
    let mut books: BTreeMap<Name, Became> = BTreeMap::new();
    let mut reversals = BTreeMap::new();
    let mut confirmed = BTreeSet::new();
    for record in matches {
        let campaign = text(record, "campaign_id").to_owned();
        if !campaign.starts_with("rb-") {
            continue;
        }
        let name = (text(record, "event_id").to_owned(), campaign);
        let status = record["status"].as_str().unwrap_or("granted");
        if matches!(status, "granted" | "pending") {
            assert_eq!(status == "pending", name.1 == "rb-part", "{record}");
            let amount = record["reward"]["amount"].as_str().map_or(0, units);
            let became = Became {
                amount,
                ..Became::default()
            };
            assert_eq!(books.insert(name, became), None, "{record} is there twice");
            continue;
        }
        let became = books.get_mut(&name).expect("a match comes first");
        assert!(!became.whole, "{record}: nothing is left of it");
        if status == "confirmed" {
            assert!(confirmed.insert(name), "{record} is there twice");
            continue;
        }
        let reversal = &record["reversal"];
        let amount = reversal["amount"].as_str().map_or(0, units);
        became.reversed += amount;
        became.whole = reversal["whole"] == true;
        assert!(became.reversed <= became.amount, "{record}");
        let by = text(reversal, "event_id").to_owned();
        let is_new = reversals.insert((name, by), amount).is_none();
        assert!(is_new, "{record} is there twice");
    }
    for (name, became) in &books {
        let is_held = name.1 == "rb-part" && !became.whole;
        assert!(!is_held || confirmed.contains(name), "{name:?} is held");
    }
    (books, reversals)
}

/// Which claims ought to be granted, from the records of `claims`, and which reversals gave something back.
fn settled(claims: &[Seen]) -> (BTreeSet<Name>, BTreeMap<(Name, String), i64>) {
    let mut used = Books::default();
    let mut stores: BTreeMap<Name, String> = BTreeMap::new();
    let (mut granted, mut given_back) = (BTreeSet::new(), BTreeMap::new());
    let budgets = |name: &Name, store: &str| match &*name.1 {
        "rb-part" => vec![Budget::amount("part", "1500")],
        "rb-store" => vec![
            Budget::times(format!("store {store}"), 50),
            Budget::amount("stores", "1200.05"),
        ],
        _ => vec![Budget::times("keep", 90)],
    };
    for record in claims {
        if record.value.is_none() {
            assert_eq!(record.header(CONTROL), Some("give_back"));
            let given = record.header("__campaign.control.given_back");
            let given: Value = serde_json::from_str(given.expect("what is given")).expect("JSON");
            let field = |name: &str| text(&given, name).to_owned();
            let name = (field("event_id"), field("campaign_id"));
            let amount = units(text(&given, "amount"));
            let budgets = budgets(&name, &stores[&name]);
            used.give_back(&budgets, amount, given["whole"] == true);
            let is_new = given_back.insert((name, field("returned_by")), amount);
            assert_eq!(is_new, None, "{given} is there twice");
            continue;
        }
        let claim = record.json();
        let prize = &claim["prize"];
        let name = (
            text(&claim, "event_id").to_owned(),
            text(prize, "campaign_id").to_owned(),
        );
        let amount = units(text(prize, "amount"));
        let store = prize["by"]["payload.store"].as_str().unwrap_or_default();
        if used.grant(&budgets(&name, store), amount) {
            stores.insert(name.clone(), store.to_owned());
            assert!(granted.insert(name), "{claim} is there twice");
        }
    }
    (granted, given_back)
}

/// A matcher that settles nothing, or a settler that decides no event.
fn role(world: &World, name: &str, is_settler: bool, further: &[(&str, &str)]) -> Process {
    let none = if is_settler {
        "MATCHER_WORKERS"
    } else {
        "SETTLER_WORKERS"
    };
    let further: Vec<_> = further.iter().copied().chain([(none, "0")]).collect();
    world.matcher_with(name, &further)
}

#[test]
fn budgets_get_back_what_is_taken_back_to_the_cent_while_matchers_and_settlers_are_killed_alone() {
    let world = World::new(Server::shared_kafka().address(), None);
    install(&world, &campaigns());
    let mut shop = Shop::default();
    for round in 0..6 {
        let matcher_dies = round % 2 == 0;
        let settings = |dies: bool| if dies { &LONG_BATCHES[..] } else { &[] };
        let matcher = role(&world, "a", false, settings(matcher_dies));
        let settler = role(&world, "b", true, settings(!matcher_dies));
        shop.produce(&world, 30);
        let settled = || {
            settler
                .metric("settler_claims_total")
                .filter(|it| *it > 0.0)
        };
        wait::until("claims to be settled", PATIENCE, settled);
        shop.produce(&world, 40);
        // What only the one that dies writes.
        let (dies, lives, topic) = if matcher_dies {
            (matcher, settler, world.topic("claims"))
        } else {
            (settler, matcher, world.topic("matches"))
        };
        wait::until("an open transaction", PATIENCE, || {
            let ends = world.kafka.ends(&topic, PARTITIONS)?;
            ends.iter().any(|end| end.stable < end.high).then_some(())
        });
        dies.kill();
        // The other has its turn alone.
        let before = lives.metric("matcher_claims_total").unwrap_or_default();
        shop.produce(&world, 20);
        if !matcher_dies {
            wait::until("claims without a settler", PATIENCE, || {
                (lives.metric("matcher_claims_total")? > before).then_some(())
            });
        }
        lives.kill();
    }
    let matcher = role(&world, "a", false, &[]);
    let settler = role(&world, "b", true, &[]);
    let both = world.matcher("c");
    shop.produce(&world, 60);
    assert!(matcher.terminate().0.success());
    assert!(settler.terminate().0.success());
    shop.produce(&world, 40);
    world.wait_decided();
    wait::until("all that is held to be confirmed", PATIENCE, || {
        let mut open = BTreeSet::new();
        for record in by_place(world.read("matches")) {
            let id = text(&record, "match_id").to_owned();
            let is_over = record["status"] == "confirmed" || record["reversal"]["whole"] == true;
            if record["status"] == "pending" {
                open.insert(id);
            } else if is_over {
                open.remove(&id);
            }
        }
        open.is_empty().then_some(())
    });
    world.wait_decided();

    let expected = expected(&world.kafka.read_all(&world.topic("events")));
    let (books, reversals) = books(&by_place(world.read("matches")));
    for (name, became) in &expected {
        assert_eq!(books.get(name), Some(became), "{name:?}");
    }
    assert_eq!(books.len(), expected.len(), "and nothing else is a match");
    let mut claims = world.read("claims");
    claims.sort_by_key(|record| (record.partition, record.offset));
    let (granted, given_back) = settled(&claims);
    let names: BTreeSet<Name> = books.keys().cloned().collect();
    assert_eq!(names, granted, "the matches are what the budgets grant");
    let restored = |(((_, campaign), _), _): &(&(Name, String), &i64)| campaign != "rb-keep";
    let ought = reversals.iter().filter(restored);
    let ought: BTreeMap<_, _> = ought
        .map(|(name, amount)| (name.clone(), *amount))
        .collect();
    assert_eq!(given_back, ought, "each reversal gave back what it took");
    let refused = world.read("refusals").len();
    let parts = books.values().filter(|it| !it.whole && it.reversed > 0);
    println!(
        "{} matches, {refused} refused, {} given back, {} in part",
        books.len(),
        given_back.len(),
        parts.clone().count()
    );
    assert!(books.len() > 200 && refused > 100 && given_back.len() > 100 && parts.count() > 30);
    assert!(both.terminate().0.success());
}
