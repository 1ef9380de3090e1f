//! A backlog of claims, settled beside the broker: all of one campaign, and spread over several; and by settlers that have a
//! part of a core each, so that two cores show what more of them bring.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::process::Process;
use tests::servers::Server;
use tests::wait;

use crate::figures::{median, spread};
use crate::quota::Quota;
use crate::stage::{Stage, everything};
use crate::upstream::Backlog;
use crate::{Request, Variant, usage};

/// Enough for four settlers, and for one, two and three to have as many each.
const PARTITIONS: i32 = 12;

/// What is to be settled, and by whom.
#[derive(Clone, Copy)]
struct Run {
    claims: u32,
    /// How many campaigns they are of, evenly.
    campaigns: u32,
    /// How many of a hundred claims the budgets leave room for.
    granted: u32,
    settlers: u32,
    /// Hundredths of a core for each settler, which then is a process of its own; all are threads of one process otherwise.
    quota: Option<u32>,
}

/// What that took.
struct Settled {
    per_second: f64,
    /// Microseconds of processor time a claim.
    settlers: f64,
    broker: f64,
    /// Cores that the settlers had.
    cores: f64,
}

/// Reads `claims`, `runs`, `settlers`, `of` (so many campaigns have them), and `granted`: how many of each hundred claims the
/// budgets leave room for. Then `held`: so many settlers, with `quota` hundredths of a core each, have `held_claims`.
pub(crate) fn measure(broker: &Server, request: &Request) {
    let claims = request.number("claims", 500_000);
    let runs = request.number("runs", 5);
    let granted = request.number("granted", 90).min(100);
    println!("{claims} claims, {granted} % granted, {runs} runs, {PARTITIONS} partitions\n");
    println!(
        "| campaigns | settlers | claims/s, median (slowest–fastest) | µs of CPU a claim: settlers | broker |"
    );
    println!("|---|---|---|---|---|");
    let run = Run {
        claims,
        campaigns: 1,
        granted,
        settlers: 1,
        quota: None,
    };
    for campaigns in request.numbers("of", &[1, 4, 16, 64]) {
        for settlers in request.numbers("settlers", &[1, 2, 4]) {
            let run = Run {
                campaigns,
                settlers,
                ..run
            };
            let all = repeat(broker, run, runs);
            println!(
                "| {campaigns} | {settlers} | {} | {:.1} | {:.1} |",
                spread(&each(&all, |it| it.per_second)),
                median(&each(&all, |it| it.settlers)),
                median(&each(&all, |it| it.broker)),
            );
        }
    }

    let held = request.numbers("held", &[1, 2, 3, 4]);
    let quota = request.number("quota", 20);
    if let Err(error) = Quota::percent(quota) {
        println!(
            "\nNo settlers with a part of a core: no control group can be made here ({error})."
        );
        return;
    }
    let claims = request.number("held_claims", 240_000);
    let campaigns = 4 * PARTITIONS.cast_unsigned();
    println!(
        "\n{claims} claims of {campaigns} campaigns, each settler a process with {quota} % of a core\n"
    );
    println!(
        "| settlers | claims/s, median (slowest–fastest) | a settler | cores that they had | µs of CPU a claim: settlers | broker |"
    );
    println!("|---|---|---|---|---|---|");
    for settlers in held {
        let run = Run {
            claims,
            campaigns,
            settlers,
            quota: Some(quota),
            ..run
        };
        let all = repeat(broker, run, runs);
        let speeds = each(&all, |it| it.per_second);
        println!(
            "| {settlers} | {} | {:.0} | {:.2} | {:.1} | {:.1} |",
            spread(&speeds),
            median(&speeds) / f64::from(settlers),
            median(&each(&all, |it| it.cores)),
            median(&each(&all, |it| it.settlers)),
            median(&each(&all, |it| it.broker)),
        );
    }
}

fn each(all: &[Settled], of: impl Fn(&Settled) -> f64) -> Vec<f64> {
    all.iter().map(of).collect()
}

fn repeat(broker: &Server, run: Run, runs: u32) -> Vec<Settled> {
    let once = |number| {
        let settled = settle(broker, run);
        eprintln!(
            "run {number}: {} campaigns, {} settlers: {:.0}/s, load {}",
            run.campaigns,
            run.settlers,
            settled.per_second,
            usage::load()
        );
        settled
    };
    (0..runs).map(once).collect()
}

/// The claims are there at once, when the settlers have shared the partitions. It is measured from the first that are settled
/// until all are, or until one of several processes has nothing left.
fn settle(broker: &Server, run: Run) -> Settled {
    let budget = u64::from(run.claims) * u64::from(run.granted) / 100 / u64::from(run.campaigns);
    let documents: Vec<Value> = (0..run.campaigns)
        .map(|number| {
            let mut campaign = everything();
            campaign["id"] = json!(format!("budget-{number}"));
            campaign["limits"] = json!({"total": {"times": budget}});
            campaign
        })
        .collect();
    let stage = Stage::new(broker, PARTITIONS, &documents);
    let backlog = Backlog::open(&stage);
    let topic = stage.topic("claims");
    for number in 0..run.claims {
        let of = number % run.campaigns;
        let partition = of.cast_signed() % PARTITIONS;
        let campaign = format!("budget-{of}");
        let claim = claim(&stage, number, &campaign).to_string();
        backlog.add((&topic, Some(partition)), &campaign, claim.as_bytes());
    }
    backlog.flush();
    let quotas: Vec<Quota> = run.quota.map_or_else(Vec::new, |percent| {
        let quota = |_| Quota::percent(percent).expect("a control group, as before");
        (0..run.settlers).map(quota).collect()
    });
    let threads = if quotas.is_empty() { run.settlers } else { 1 };
    let mut settlers: Vec<Process> = (0..run.settlers / threads)
        .map(|number| {
            let instance = format!("bench-{number}");
            let variant = Variant::plain()
                .with("SETTLER_WORKERS", &threads.to_string())
                .with("MATCHER_INSTANCE", &instance);
            stage.start(&variant, u32::from(quotas.is_empty()))
        })
        .collect();
    for settler in &mut settlers {
        settler.wait_ready();
    }
    let group = format!("{}-settler", stage.name);
    wait::until("settlers that share", Duration::from_mins(3), || {
        stage.is_shared_out(&group, run.settlers).then_some(())
    });
    for (quota, settler) in quotas.iter().zip(&settlers) {
        quota.hold(settler.pid());
    }
    backlog.release();
    let settled = watch(&stage, run.claims, &settlers);
    // Before their groups go.
    drop(settlers);
    settled
}

fn watch(stage: &Stage, claims: u32, settlers: &[Process]) -> Settled {
    let counts = || -> Vec<f64> {
        let of = |it: &Process| it.metric("settler_claims_total").unwrap_or_default();
        settlers.iter().map(of).collect()
    };
    let cpu = || {
        let settlers = settlers.iter().map(|it| usage::cpu(it.pid()).as_secs_f64());
        (
            settlers.sum::<f64>(),
            usage::cpu(stage.broker).as_secs_f64(),
        )
    };
    let share = f64::from(claims) / f64::from(u32::try_from(settlers.len()).expect("few"));
    let mut first = None;
    loop {
        let (done, cpu, now) = (counts(), cpu(), Instant::now());
        if done.iter().all(|it| *it > 0.0) {
            let all: f64 = done.iter().sum();
            let (begun, before, spent) = *first.get_or_insert((now, all, cpu));
            if done.iter().any(|it| *it >= share) {
                let (settled, seconds) = (all - before, (now - begun).as_secs_f64());
                assert!(settled > 0.0, "too few claims to measure");
                return Settled {
                    per_second: settled / seconds,
                    settlers: (cpu.0 - spent.0) / settled * 1e6,
                    broker: (cpu.1 - spent.1) / settled * 1e6,
                    cores: (cpu.0 - spent.0) / seconds,
                };
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn claim(stage: &Stage, number: u32, campaign: &str) -> Value {
    json!({
        "event_id": format!("e-{number}"), "customer_id": format!("c-{}", number % 10_000),
        "event_type": "purchase", "occurred_at": "2026-11-24T09:30:00Z", "counts_at": "2026-11-24T09:30:00Z",
        "source": {"topic": stage.topic("events"), "partition": number % PARTITIONS.cast_unsigned(), "offset": number},
        "prize": {
            "campaign_id": campaign, "campaign_version": 1, "campaigns_offset": 0,
            "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"}, "amount": "10.00",
        },
    })
}
