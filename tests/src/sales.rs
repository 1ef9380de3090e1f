//! Two campaigns with budgets that people change, and the sales that claim them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

/// The campaigns, and the type of the events that win each. All but one in a hundred events win the first; half of what wins the
/// second is taken back, in part or whole.
pub const CAMPAIGNS: [(&str, &str); 2] = [("flowing", "bought"), ("returned", "rented")];

/// Their documents, in their first version.
pub fn campaigns() -> Vec<Value> {
    let campaigns = CAMPAIGNS.map(|(id, event_type)| {
        json!({
            "id": id, "name": id, "when": {"event_type": [event_type]},
            "reward": {"kind": "credit", "amount": "payload.amount * 0.07", "currency": "EUR"},
            "limits": {"total": [{"amount": "10000.00"}, {"times": 100_000}]},
        })
    });
    let mut campaigns = campaigns.to_vec();
    campaigns[1]["reverse_on"] = json!({
        "event_type": ["brought-back"], "same": "payload.order", "amount": "payload.amount",
    });
    campaigns
}

/// Whether the event of that number is one that wins the first.
pub fn is_bought(number: u64) -> bool {
    !matches!(number % 200, 0 | 100 | 150)
}

/// The amount of the event of that number.
pub fn amount(number: u64) -> u64 {
    1 + number % 199
}

/// The customer of the event of that number, and the event. Of each two hundred two are rented, and one of those is brought back
/// a hundred events later.
pub fn event(number: u64, at: Timestamp) -> (String, Value) {
    let (of, kind) = match number % 200 {
        0 | 150 => (number, "rented"),
        100 => (number - 100, "brought-back"),
        _ => (number, "bought"),
    };
    let amount = amount(of);
    let is_part = kind == "brought-back" && number % 400 == 100;
    let part = if is_part { amount.div_ceil(2) } else { amount };
    let customer = format!("c-{}", of * of % 9_973);
    let event = json!({
        "event_id": format!("e-{number}"), "customer_id": customer, "event_type": kind, "occurred_at": at,
        "payload": {"order": format!("o-{of}"), "amount": part},
    });
    (customer, event)
}

/// Does something while sales are made, so many a second as a clock says: `sell` is told the number of each. Returns how many
/// there were, too.
pub fn while_selling<T>(
    rate: u32,
    mut sell: impl FnMut(u64) + Send,
    what: impl FnOnce() -> T,
) -> (T, u64) {
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = AtomicBool::new(false);
    let is_over = &is_over;
    thread::scope(|scope| {
        let selling = scope.spawn(move || {
            let (begun, mut number) = (Instant::now(), 0);
            while !is_over.load(Ordering::Relaxed) {
                let due = begun.elapsed().mul_f64(f64::from(rate)).as_secs();
                while number < due {
                    sell(number);
                    number += 1;
                }
                thread::sleep(Duration::from_millis(2));
            }
            number
        });
        let done = {
            // Also when it panics.
            let _over = Over(is_over);
            what()
        };
        (done, selling.join().expect("a sale can be made"))
    })
}
