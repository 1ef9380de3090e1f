//! Two people change the budgets of campaigns while claims flow, and then the books are kept anew from the topics alone.
//!
//! Claims of the first campaign are written here as a matcher would write them, with the version that it would know by then, for
//! two cores do not hold matchers beside so many claims. Those of the second, one in a hundred, are a matcher's; half of its
//! matches are taken back.

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tests::audit::{Log, Report};
use tests::books::decimal;
use tests::people::{self, Done};
use tests::process::Process;
use tests::sales::{self, CAMPAIGNS};
use tests::servers::Server;
use tests::topics::{Reader, Written};
use tests::wait;

use crate::stage::Stage;
use crate::{Request, Variant, usage};

const PARTITIONS: i32 = 4;

/// Before the first change: the broker's compiler, the group's balance.
const WARM_UP: Duration = Duration::from_secs(10);

/// When nothing has come of anything for so long, all is decided: no transaction takes as long.
const QUIET: Duration = Duration::from_secs(3);

/// Reads `rate`, events a second; `seconds`, for how long the people change budgets; `pause`, how many milliseconds a person
/// looks at a budget before they change it; and `workers`.
///
/// # Panics
/// What the topics hold is not what budgets demand.
pub(crate) fn measure(broker: &Server, request: &Request) {
    let rate = request.number("rate", 60_000);
    let seconds = request.number("seconds", 20);
    let pause = Duration::from_millis(request.number("pause", 30).into());
    let workers = request.number("workers", 1);
    let stage = Stage::new(broker, PARTITIONS, &sales::campaigns());
    let mut matcher = stage.start(&Variant::plain(), workers);
    matcher.wait_ready();
    let admin = stage.admin();

    let [flowing, returned] = CAMPAIGNS.map(|(id, _)| id);
    let room = i64::from(rate / 4);
    let changed = [(flowing, room), (flowing, room), (returned, room / 100)];
    let mut till = Till::new(&stage);
    let sell = |number| till.sell(number);
    let ((done, cost), sold) = sales::while_selling(rate, sell, || {
        thread::sleep(WARM_UP);
        let cpu = || {
            let processes = [stage.broker, matcher.pid(), admin.pid()];
            processes.map(|pid| usage::cpu(pid).as_secs_f64())
        };
        let (begun, before) = (Instant::now(), cpu());
        let done = people::two(admin.api(), &changed, pause, |_| {
            begun.elapsed() > Duration::from_secs(seconds.into())
        });
        let (after, seconds) = (cpu(), begun.elapsed().as_secs_f64());
        let cost = [0, 1, 2].map(|of| (after[of] - before[of]) / seconds);
        (done, cost)
    });
    stage.kafka.flush();
    let bought = (0..sold).filter(|number| sales::is_bought(*number)).count();
    wait_decided(&matcher, bought);
    println!(
        "{bought} claims, {rate}/s, {} changes, cores: broker {:.2}, matcher and settler {:.2}, campaign-admin {:.2}\n",
        done.changes(),
        cost[0],
        cost[1],
        cost[2]
    );
    audit(&stage, &admin, &done, bought);
}

/// Writes claims, and the events of which a matcher makes some.
struct Till<'a> {
    stage: &'a Stage,
    campaigns: Reader,
    /// The newest version of the campaign, and its record.
    known: (u64, i64),
    claims: String,
    events: String,
    at: Timestamp,
}

impl<'a> Till<'a> {
    fn new(stage: &'a Stage) -> Self {
        Self {
            stage,
            campaigns: stage.kafka.reader(&stage.topic("campaigns")),
            known: (1, 0),
            claims: stage.topic("claims"),
            events: stage.topic("events"),
            at: Timestamp::now(),
        }
    }

    fn sell(&mut self, number: u64) {
        if number.is_multiple_of(64) {
            self.follow();
        }
        let kafka = &self.stage.kafka;
        if !sales::is_bought(number) {
            let (customer, event) = sales::event(number, self.at);
            kafka.send_json(&self.events, &customer, &event);
            return;
        }
        let (campaign, event_type) = CAMPAIGNS[0];
        let (at, events, partition) = (self.at, &self.events, number % 4);
        let (version, offset) = self.known;
        let cents = sales::amount(number) * 7;
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let claim = format!(
            r#"{{"event_id":"e-{number}","customer_id":"c-{customer}","event_type":"{event_type}","occurred_at":"{at}","counts_at":"{at}","source":{{"topic":"{events}","partition":{partition},"offset":{number}}},"prize":{{"campaign_id":"{campaign}","campaign_version":{version},"campaigns_offset":{offset},"reward":{{"kind":"credit","amount":"{amount}","currency":"EUR"}},"amount":"{amount}"}}}}"#,
            customer = number % 9_973,
        );
        let record = Written {
            key: Some(campaign.into()),
            value: Some(claim.into_bytes()),
            ..Written::default()
        };
        kafka.send(&self.claims, &record);
    }

    /// Reads the campaigns as far as they are there.
    fn follow(&mut self) {
        while let Some(record) = self.campaigns.next(Duration::ZERO) {
            if record.key.as_deref() == Some(CAMPAIGNS[0].0.as_bytes()) {
                let version = record.json()["version"].as_u64().unwrap_or(1);
                self.known = (version, record.offset);
            }
        }
    }
}

/// Waits until these claims are settled, and nothing comes of anything any more.
fn wait_decided(matcher: &Process, claims: usize) {
    let count = |name| matcher.metric(name).unwrap_or_default();
    let (mut before, mut since) = (0.0, Instant::now());
    wait::until("all claims to be settled", Duration::from_mins(3), || {
        let settled = count("settler_claims_total");
        let others = ["matcher_events_consumed_total", "settler_given_back_total"];
        let now = settled + others.map(count).iter().sum::<f64>();
        if now > before {
            (before, since) = (now, Instant::now());
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of claims")]
        let are_settled = settled >= claims as f64;
        (are_settled && since.elapsed() > QUIET).then_some(())
    });
}

fn audit(stage: &Stage, admin: &Process, done: &Done, bought: usize) {
    println!(
        "| campaign | claims/s while it was changed (slowest second) | claims | granted | worth | given back | worth | resets |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut after = Vec::new();
    for (campaign, event_type) in CAMPAIGNS {
        let is_ours = campaign == CAMPAIGNS[0].0;
        let event_type = (!is_ours).then_some(event_type);
        let log = Log::read(&stage.kafka, &stage.name, campaign, event_type);
        let report = log.and_then(|log| log.check());
        let report = report.unwrap_or_else(|wrong| panic!("the books of {campaign}: {wrong}"));
        assert_eq!(
            people::used(admin.api(), campaign),
            report.used,
            "what campaign-admin says is used of {campaign} is what the topics say"
        );
        let answered = report.answered.len();
        assert!(
            !is_ours || answered == bought,
            "{answered} of {bought} claims"
        );
        print(campaign, &report);
        after.extend(report.in_force_after);
    }
    after.sort_unstable();
    let at = |part: usize| after.get((after.len() * part / 100).min(after.len() - 1));
    assert!(!after.is_empty(), "no change came into force");
    println!(
        "\n| raised | lowered | reset | conflicts | in force after ms, median | p90 | slowest |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!(
        "| {} | {} | {} | {} | {} | {} | {} |",
        done.raised,
        done.lowered,
        done.reset,
        done.conflicts,
        at(50).unwrap_or(&0),
        at(90).unwrap_or(&0),
        at(100).unwrap_or(&0),
    );
}

fn print(campaign: &str, report: &Report) {
    let (mean, slowest) = report.rates();
    println!(
        "| {campaign} | {mean:.0} ({slowest}) | {} | {} | {} | {} | {} | {} |",
        report.answered.len(),
        report.granted,
        decimal(report.granted_amount),
        report.given_back,
        decimal(report.reversed_amount),
        report.resets,
    );
}
