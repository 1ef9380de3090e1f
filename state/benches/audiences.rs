//! What audiences cost in memory, and what it takes to ask for them.
//!
//! `cargo bench -p state --bench audiences` prints a table: millions of customers over 12 partitions, each in one audience, in
//! some of a hundred, or none in the same ones. Bytes are of the process, as the system tells them, and as
//! [`Members::bytes`] reckons.

use std::hint::black_box;
use std::time::Instant;

use state::Members;

const PARTITIONS: usize = 12;

/// Of how many the answer is timed.
const ASKED: u64 = 1_000_000;

fn main() {
    println!(
        "| customers | audiences | MiB | bytes a customer | as reckoned | ns to add | ns to ask |"
    );
    println!("|---|---|---|---|---|---|---|");
    row(10_000_000, "one", |_| vec![0]);
    row(10_000_000, "3 of 100", |customer| {
        (0..3).map(|n: u64| (customer + n * 7) % 100).collect()
    });
    row(1_000_000, "3 of 1,000, few in the same", |customer| {
        let any = |n: u64| mix(customer + (n << 40)) % 1_000;
        (0..3).map(any).collect()
    });
}

/// A row of the table: `audiences` says those of a customer.
fn row(customers: u64, what: &str, audiences: impl Fn(u64) -> Vec<u64>) {
    let names: Vec<String> = (0..1_000)
        .map(|number| format!("audience-{number}"))
        .collect();
    let before = resident();
    let mut partitions: Vec<Members> = (0..PARTITIONS).map(|_| Members::default()).collect();
    let begun = Instant::now();
    let mut added = 0_u64;
    for customer in 0..customers {
        let id = id(customer);
        let members = &mut partitions[place(customer)];
        for number in audiences(customer) {
            members.add(&names[usize::try_from(number).expect("few")], &id);
            added += 1;
        }
    }
    let adding = nanoseconds(begun, added);
    let bytes = resident() - before;
    let reckoned: usize = partitions.iter().map(Members::bytes).sum();
    let begun = Instant::now();
    let mut found = 0_u64;
    for n in 0..ASKED {
        let customer = mix(n) % (2 * customers);
        let memberships = partitions[place(customer)].of(&id(customer));
        found += u64::from(black_box(memberships.contains(&names[0])));
    }
    let asking = nanoseconds(begun, ASKED);
    black_box(found);
    println!(
        "| {customers} | {what} | {:.0} | {:.1} | {:.1} | {adding:.0} | {asking:.0} |",
        mebibytes(bytes),
        share(bytes, customers),
        share(reckoned as u64, customers),
    );
}

fn id(customer: u64) -> String {
    format!("customer-{customer:012}")
}

fn place(customer: u64) -> usize {
    usize::try_from(mix(customer)).expect("64 bits") % PARTITIONS
}

/// Spreads numbers (`SplitMix64`).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.expect("a number") * 1024
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn nanoseconds(begun: Instant, of: u64) -> f64 {
    begun.elapsed().as_nanos() as f64 / of as f64
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn share(bytes: u64, of: u64) -> f64 {
    bytes as f64 / of as f64
}
