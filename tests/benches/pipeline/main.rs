//! What the whole way of the data costs, on a real broker: latency, backlog, transactions, memory;
//! and what the way in costs.
//!
//! `make bench` runs all of it. Alone, after `cargo build --release -p matcher -p ingest -p campaign-admin` and
//! `make ingest-peer`:
//!
//! ```text
//! export DEV_KAFKA_JVM='-Xmx2g -XX:+UseParallelGC'
//! cargo bench -p tests --bench pipeline -- latency
//! cargo bench -p tests --bench pipeline -- backlog
//! cargo bench -p tests --bench pipeline -- http
//! dev/fetch streams
//! cargo bench -p tests --bench pipeline -- backlog streams=3
//! cargo bench -p tests --bench pipeline -- windows
//! cargo bench -p tests --bench pipeline -- customers
//! cargo bench -p tests --bench pipeline -- restore
//! cargo bench -p tests --bench pipeline -- claims
//! cargo bench -p tests --bench pipeline -- changes
//! cargo bench -p tests --bench pipeline -- backlog runs=7 campaigns=1 matcher 'matcher KAFKA_CONFIG=check.crcs=false'
//! ```
//!
//! `name=number` changes the size of a measurement; each is listed with its default where it is read.
//! Other words are variants of the matcher, measured in turn within the same run: a program beside this
//! one, and environment variables for it. So a change is compared with what was before it: keep the old
//! program as `target/release/matcher-before` and name both.

#[path = "../../../rules/benches/winners/shop.rs"]
mod shop;

mod backlog;
mod changes;
mod claims;
mod customers;
mod figures;
mod http;
mod latency;
mod memory;
mod quota;
mod relay;
mod restore;
mod stage;
mod streams;
mod transactions;
mod upstream;
mod usage;
mod windows;

use std::collections::BTreeMap;

use tests::servers::Server;

/// What was asked for on the command line.
struct Request {
    numbers: BTreeMap<String, Vec<u32>>,
    variants: Vec<Variant>,
}

/// A matcher to be measured.
#[derive(Clone, PartialEq, Eq)]
struct Variant {
    program: String,
    settings: Vec<(String, String)>,
}

impl Variant {
    /// The matcher as it is.
    fn plain() -> Self {
        Self {
            program: "matcher".to_owned(),
            settings: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program)?;
        let mut settings = self.settings.iter();
        settings.try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl Request {
    fn number(&self, name: &str, default: u32) -> u32 {
        self.numbers(name, &[default])[0]
    }

    fn numbers(&self, name: &str, default: &[u32]) -> Vec<u32> {
        let given = self.numbers.get(name);
        given.map_or_else(|| default.to_vec(), Vec::clone)
    }

    fn variants(&self) -> Vec<Variant> {
        if self.variants.is_empty() {
            vec![Variant::plain()]
        } else {
            self.variants.clone()
        }
    }
}

fn main() {
    // Cargo adds --bench.
    let words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"));
    let mut measurements = Vec::new();
    let mut request = Request {
        numbers: BTreeMap::new(),
        variants: Vec::new(),
    };
    for word in words {
        match &*word {
            "latency" | "backlog" | "windows" | "transactions" | "memory" | "http"
            | "customers" | "restore" | "claims" | "changes" => {
                measurements.push(word);
            }
            other => request.read(other),
        }
    }
    if measurements.is_empty() {
        measurements = [
            "latency",
            "backlog",
            "windows",
            "transactions",
            "memory",
            "http",
            "customers",
            "restore",
            "claims",
            "changes",
        ]
        .map(str::to_owned)
        .to_vec();
    }

    usage::print_machine();
    let broker = Server::kafka();
    for measurement in measurements {
        println!("\n## {measurement}\n");
        match &*measurement {
            "latency" => latency::measure(&broker, &request),
            "backlog" => backlog::measure(&broker, &request),
            "windows" => windows::measure(&broker, &request),
            "http" => http::measure(&broker, &request),
            "customers" => customers::measure(&broker, &request),
            "restore" => restore::measure(&broker, &request),
            "claims" => claims::measure(&broker, &request),
            "changes" => changes::measure(&broker, &request),
            "transactions" => transactions::measure(&broker, &request),
            _ => memory::measure(&broker, &request),
        }
    }
}

impl Request {
    /// `name=1,2,3`, or a variant.
    fn read(&mut self, word: &str) {
        let numbers = word.split_once('=').and_then(|(name, values)| {
            let values = values.split(',').map(str::parse);
            Some((name, values.collect::<Result<Vec<u32>, _>>().ok()?))
        });
        if let Some((name, values)) = numbers.filter(|(name, _)| !name.contains(' ')) {
            self.numbers.insert(name.to_owned(), values);
            return;
        }
        let mut words = word.split(' ');
        let mut variant = Variant {
            program: words.next().unwrap_or_default().to_owned(),
            settings: Vec::new(),
        };
        for setting in words {
            let (name, value) = setting
                .split_once('=')
                .unwrap_or_else(|| panic!("{setting} is not NAME=VALUE"));
            variant = variant.with(name, value);
        }
        self.variants.push(variant);
    }
}
