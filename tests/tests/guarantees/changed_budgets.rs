//! Two people raise, lower and reset budgets while claims flow: every answer is the one that the budget demands that was in force
//! then. The bench `changes` asks the same at the speed that is wanted.

use std::time::Duration;

use jiff::Timestamp;
use tests::audit::Log;
use tests::people;
use tests::sales::{self, CAMPAIGNS};
use tests::servers::Server;
use tests::world::World;

use super::customers::install;

/// Events a second: less than what matchers that are not optimised get done beside other tests.
const RATE: u32 = 1_000;

/// How many changes each makes.
const CHANGES: usize = 24;

#[test]
fn two_people_raise_lower_and_reset_budgets_while_claims_flow_and_each_answer_is_to_the_cent() {
    let world = World::new(Server::shared_kafka().address(), None);
    install(&world, &sales::campaigns());
    let matcher = world.matcher("a");
    let further = [("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")];
    let mut admin = world.start("campaign-admin", &further);
    admin.wait_ready();
    let api = admin.api();

    let (topic, at) = (world.topic("events"), Timestamp::now());
    let sell = |number| {
        let (customer, event) = sales::event(number, at);
        world.kafka.send_json(&topic, &customer, &event);
    };
    let campaigns = [(CAMPAIGNS[0].0, 50), (CAMPAIGNS[1].0, 2)];
    let (done, _) = sales::while_selling(RATE, sell, || {
        people::two(api, &campaigns, Duration::from_millis(30), |done| {
            done.changes() >= CHANGES
        })
    });
    world.wait_decided();

    assert_eq!(done.changes(), 2 * CHANGES);
    assert!(done.raised > 0 && done.lowered > 0 && done.reset > 0);
    for (campaign, event_type) in CAMPAIGNS {
        let log = Log::read(&world.kafka, &world.name, campaign, Some(event_type));
        let report = log.and_then(|log| log.check());
        let report = report.unwrap_or_else(|wrong| panic!("the books of {campaign}: {wrong}"));
        assert_eq!(
            people::used(api, campaign),
            report.used,
            "what campaign-admin says is used of {campaign}"
        );
        let (answered, granted) = (report.answered.len(), report.granted);
        println!("{campaign}: {granted} of {answered} granted, {done:?}");
        assert!(granted > 0 && granted < answered && report.resets > 0);
        assert_eq!(report.given_back > 0, campaign == "returned");
    }
    assert!(admin.terminate().0.success());
    assert!(matcher.terminate().0.success());
}
