//! What it costs to read an event from Avro and to write a match as Avro, beside the libraries that do the
//! same and beside JSON.
//!
//! `cargo bench -p schemas --bench avro` prints a table: nanoseconds for each, the median of several rounds
//! in which all take turns, the fastest and the slowest. Time that the thread waits for a processor does not
//! count.

mod shop;

use std::hint::black_box;
use std::time::{Duration, Instant};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use schemas::avro::{EventMapping, EventPlan, Program};
use schemas::{Document, Encoding, Event, Limits, Match, MatchWriter};

use self::shop::{AvroMatch, Borrowed, Envelope, Owned};

const EVENTS: u64 = 1_000;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(40);

fn main() {
    read_events();
    write_matches();
}

fn read_events() {
    let schema = Schema::parse_str(shop::EVENT).expect("a schema");
    let fast: serde_avro_fast::Schema = shop::EVENT.parse().expect("a schema");
    let program = Program::admit(shop::EVENT, &[]).expect("a schema");
    let mapping = EventMapping::default();
    let plan = EventPlan::new(&program, &[], &mapping);
    let theirs = GenericDatumReader::builder(&schema)
        .build()
        .expect("a reader");

    let json: Vec<Vec<u8>> = (0..EVENTS)
        .map(|n| shop::event(n).to_string().into())
        .collect();
    let avro: Vec<Vec<u8>> = json
        .iter()
        .map(|json| {
            let event: Owned = serde_json::from_slice(json).expect("an event");
            let mut config = serde_avro_fast::ser::SerializerConfig::new(&fast);
            serde_avro_fast::to_datum_vec(&event, &mut config).expect("an event")
        })
        .collect();
    println!(
        "reading an event: Avro of {} bytes, JSON of {} bytes on average\n",
        size(&avro),
        size(&json)
    );
    let (mut a, mut b, mut c) = (Document::new(), Document::new(), Document::new());
    table(&mut [
        run("Avro: this, to where rules can look", &avro, |bytes| {
            plan.read(bytes, Limits::default(), &mut a)
                .expect("an event");
            black_box(Event::of(&a).expect("an event"));
        }),
        run("Avro: this, the tape alone", &avro, |bytes| {
            program
                .read(bytes, Limits::default(), &mut b)
                .expect("an event");
            black_box(b.root());
        }),
        run("Avro: serde_avro_fast, all fields owned", &avro, |bytes| {
            let event: Owned = serde_avro_fast::from_datum_slice(bytes, &fast).expect("an event");
            black_box(event);
        }),
        run(
            "Avro: serde_avro_fast, all fields borrowed",
            &avro,
            |bytes| {
                let event: Borrowed<'_> =
                    serde_avro_fast::from_datum_slice(bytes, &fast).expect("an event");
                black_box(event);
            },
        ),
        run("Avro: serde_avro_fast, 4 fields borrowed", &avro, |bytes| {
            let event: Envelope<'_> =
                serde_avro_fast::from_datum_slice(bytes, &fast).expect("an event");
            black_box(event);
        }),
        run("Avro: apache-avro, Value", &avro, |bytes| {
            black_box(theirs.read_value(&mut &**bytes).expect("an event"));
        }),
        run("Avro: apache-avro, all fields owned", &avro, |bytes| {
            let event: Owned = theirs.read_deser(&mut &**bytes).expect("an event");
            black_box(event);
        }),
        run("JSON: this, to where rules can look", &json, |bytes| {
            c.read(bytes, Limits::default()).expect("an event");
            black_box(Event::of(&c).expect("an event"));
        }),
        run("JSON: serde_json, Value", &json, |bytes| {
            let value: serde_json::Value = serde_json::from_slice(bytes).expect("an event");
            black_box(value);
        }),
        run("JSON: serde_json, all fields owned", &json, |bytes| {
            let event: Owned = serde_json::from_slice(bytes).expect("an event");
            black_box(event);
        }),
    ]);
}

fn write_matches() {
    let texts: Vec<String> = (0..EVENTS).map(|n| shop::won(n).to_string()).collect();
    let matches: Vec<Match<'_>> = texts
        .iter()
        .map(|text| serde_json::from_str(text).expect("a match"))
        .collect();
    let structs: Vec<AvroMatch> = matches.iter().map(AvroMatch::of).collect();
    let schema = Schema::parse_str(schemas::avro::MATCH).expect("a schema");
    let theirs = GenericDatumWriter::builder(&schema)
        .build()
        .expect("a writer");
    let fast: serde_avro_fast::Schema = schemas::avro::MATCH.parse().expect("a schema");
    let mut config = serde_avro_fast::ser::SerializerConfig::new(&fast);

    let mut avro = MatchWriter::new(Encoding::Avro { schema: 1 });
    let mut json = MatchWriter::new(Encoding::Json);
    let (mut a, mut b, mut c, mut d) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    avro.write(&matches[0], &mut a);
    json.write(&matches[0], &mut b);
    println!(
        "\nwriting a match: Avro of {} bytes, JSON of {} bytes\n",
        a.len(),
        b.len()
    );
    table(&mut [
        run("Avro: this", &matches, |won| {
            a.clear();
            avro.write(won, &mut a);
            black_box(&a);
        }),
        run("Avro: serde_avro_fast", &structs, |won| {
            c.clear();
            serde_avro_fast::to_datum(won, &mut c, &mut config).expect("a match");
            black_box(&c);
        }),
        run("Avro: apache-avro", &structs, |won| {
            d.clear();
            theirs.write_ser(&mut d, won).expect("a match");
            black_box(&d);
        }),
        run("JSON: this", &matches, |won| {
            b.clear();
            json.write(won, &mut b);
            black_box(&b);
        }),
    ]);
}

/// Something to be measured, and its rounds so far in nanoseconds for each item.
struct Run<'a> {
    name: &'static str,
    round: Box<dyn FnMut() -> f64 + 'a>,
    rounds: Vec<f64>,
}

fn run<'a, T>(name: &'static str, items: &'a [T], mut each: impl FnMut(&'a T) + 'a) -> Run<'a> {
    Run {
        name,
        round: Box::new(move || {
            let (begun, before) = (Instant::now(), running());
            let mut done = 0;
            while begun.elapsed() < ROUND {
                items.iter().for_each(&mut each);
                done += items.len();
            }
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
            let per_item = (running() - before) as f64 / done as f64;
            per_item
        }),
        rounds: Vec::new(),
    }
}

/// Nanoseconds that this thread has run: what the machine does meanwhile is not ours (Linux).
fn running() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = schedstat
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok());
    nanos.expect("the time on a processor")
}

/// All take turns, so that what else the machine does hits all alike.
fn table(runs: &mut [Run<'_>]) {
    for _ in 0..ROUNDS {
        for run in &mut *runs {
            run.rounds.push((run.round)());
        }
    }
    println!("| | ns, median | fastest | slowest |\n|---|---|---|---|");
    for run in runs {
        run.rounds.sort_by(f64::total_cmp);
        println!(
            "| {} | {:.0} | {:.0} | {:.0} |",
            run.name,
            run.rounds[ROUNDS / 2],
            run.rounds[0],
            run.rounds[ROUNDS - 1]
        );
    }
}

fn size(values: &[Vec<u8>]) -> usize {
    values.iter().map(Vec::len).sum::<usize>() / values.len()
}
