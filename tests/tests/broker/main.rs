//! What the product relies on at a broker, as one table of checks that runs on a real Kafka and on the
//! embedded broker, so that the two cannot drift. With librdkafka, as the product.
//!
//! What is known to differ is in [`faults`].

mod clients;

mod groups;
mod records;
mod topics;
mod transactions;

mod faults;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use standalone::broker::{Broker, BrokerSettings};
use tests::servers::Server;

use self::clients::Clients;

/// A sentence about brokers, and what shows that it is true.
type Check = (&'static str, fn(&Clients));

const CHECKS: &[Check] = &[
    // The slow ones first: they run beside the others.
    (
        "a transaction that takes too long is aborted by the broker",
        transactions::time_out,
    ),
    (
        "compaction keeps the last record of each key, tombstones and offsets",
        topics::compaction,
    ),
    (
        "two members share the partitions, and what one keeps it is never asked to give up",
        groups::cooperative_rebalance,
    ),
    (
        "a member that comes back under its name takes its partitions at once and fences its predecessor",
        groups::static_member,
    ),
    (
        "a member that has left or was left behind cannot commit offsets in a transaction",
        groups::stale_member,
    ),
    (
        "committed offsets are held back while a transaction on them is open",
        groups::unstable_offsets,
    ),
    (
        "offsets in a transaction count when it commits and not when it aborts",
        groups::offsets_in_transactions,
    ),
    (
        "offsets that a consumer commits are there for the next",
        groups::committed_offsets,
    ),
    (
        "an idempotent producer's records stand in their order, each once",
        records::order,
    ),
    (
        "keys, values and headers may be null, empty or repeated",
        records::bytes_as_they_are,
    ),
    (
        "a record over the topic's limit is refused and the next is not",
        records::too_large,
    ),
    (
        "the time of a record is its producer's, and records are found by it",
        records::offsets_for_times,
    ),
    (
        "watermarks say where a partition begins and ends",
        records::watermarks,
    ),
    (
        "partitions that are followed together are known up to a moment, also behind what nobody is told of",
        records::followed,
    ),
    (
        "a topic is made once, with its partitions and settings",
        topics::create_twice,
    ),
    (
        "a committed transaction is seen in all its partitions, in the order of its records",
        transactions::commit,
    ),
    (
        "an aborted transaction is never seen by a reader of committed records",
        transactions::abort,
    ),
    (
        "a reader of committed records waits for the oldest open transaction, and sees its end there",
        transactions::last_stable_offset,
    ),
    (
        "a new producer of a transactional id aborts what the last one left open, and fences it",
        transactions::fencing,
    ),
    (
        "a transaction with a refused record cannot be committed, and soon the next one can",
        transactions::refused_record,
    ),
];

#[test]
fn a_real_kafka_is_what_the_product_relies_on() {
    run(Server::shared_kafka().address());
}

#[test]
fn the_embedded_broker_is_what_the_product_relies_on() {
    let settings = BrokerSettings {
        cleaner_interval: Duration::from_millis(500),
        ..BrokerSettings::default()
    };
    let broker = Broker::start(&settings).expect("the embedded broker starts");
    run(&broker.bootstrap_servers());
}

/// Runs all checks, some at the same time for most of them wait, and tells of all that failed.
fn run(bootstrap: &str) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((sentence, check)) = CHECKS.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let begun = Instant::now();
                    let clients = Clients::new(bootstrap);
                    let result = catch_unwind(AssertUnwindSafe(|| check(&clients)));
                    println!("{:5} ms  {sentence}", begun.elapsed().as_millis());
                    if let Err(panic) = result {
                        let failure = format!("{sentence}: {}", reason(&*panic));
                        failed.lock().expect("nobody panics here").push(failure);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody panics here");
    assert!(
        failed.is_empty(),
        "not true of this broker:\n{}",
        failed.join("\n")
    );
}

fn reason(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}
