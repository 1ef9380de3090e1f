//! Members that come and go so quickly that the group is never at rest.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tests::wait;
use tests::world::{PARTITIONS, PATIENCE, World};

use super::world;

const STORM: Duration = Duration::from_mins(1);

#[test]
fn a_storm_of_rebalances_loses_nothing_and_repeats_nothing() {
    let world = world();
    // Without a stable name each is a member that the group has never seen, and leaves it at once.
    let join = |number: u32| {
        let mut matcher = world.start_matcher(&[("HOSTNAME", &format!("host-{number}"))]);
        matcher.wait_ready();
        matcher
    };
    let members = world.under_load(400, || {
        let mut members = VecDeque::from([join(0)]);
        let begun = Instant::now();
        let mut joined = 1;
        while begun.elapsed() < STORM {
            members.push_back(join(joined));
            joined += 1;
            // One to three of them, in turns.
            if joined % 4 != 0 {
                let oldest = members.pop_front().expect("there is always one");
                assert!(oldest.terminate().0.success());
            }
            if members.len() > 3 {
                members.pop_front().expect("there are four").kill();
            }
        }
        println!("{joined} members came in {STORM:?}");
        assert!(joined > 10, "that was no storm: {joined} members");
        members
    });
    world.check();
    for member in members {
        assert!(member.terminate().0.success());
    }
}

/// A member with a stable name dies after the round that takes partitions from it, and before it has joined the one that
/// gives them to the next. Under its name it comes back to what that round left it, and no other round is due.
#[test]
fn partitions_that_a_dead_member_was_about_to_give_away_are_read_by_somebody() {
    let world = world();
    let died = join(&world, true);
    wait::until("all partitions", PATIENCE, || {
        died.serve();
        (died.context().assigned() == 4).then_some(())
    });
    let mut matcher = world.start_matcher(&[("MATCHER_INSTANCE", "b"), ("MATCHER_WORKERS", "1")]);
    matcher.wait_ready();
    wait::until("partitions to be asked for", PATIENCE, || {
        died.serve();
        died.context()
            .is_asked
            .load(Ordering::Relaxed)
            .then_some(())
    });
    // Its session goes on until its name comes back.
    std::mem::forget(died);

    let back = join(&world, false);
    wait::until("its partitions", PATIENCE, || {
        back.serve();
        (back.context().assigned() > 0).then_some(())
    });
    let left = PARTITIONS - i32::try_from(back.context().assigned()).expect("a few");
    assert!(left > 0, "the group took nothing from it");
    wait::until("the others to be read", PATIENCE, || {
        back.serve();
        let read = matcher.metric("matcher_assigned_partitions")?;
        (read >= f64::from(left)).then_some(())
    });
    // It was no matcher; what it held is read when its session is over.
    drop(back);
    world.produce(100);
    world.check();
    assert!(matcher.terminate().0.success());
}

/// A member of the matchers' group under a name that stays, which commits nothing.
struct Named(BaseConsumer<Answers>);

fn join(world: &World, keeps: bool) -> Named {
    let member: BaseConsumer<_> = ClientConfig::new()
        .set("bootstrap.servers", world.bootstrap())
        .set("group.id", &world.name)
        .set("group.instance.id", "a-0")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "500")
        .set("enable.auto.commit", "false")
        .create_with_context(Answers {
            keeps,
            ..Answers::default()
        })
        .expect("a consumer");
    let events = world.topic("events");
    member.subscribe(&[&events]).expect("a subscription");
    Named(member)
}

impl Named {
    /// Lets librdkafka say what it has to say.
    fn serve(&self) {
        let _ = self.0.poll(Duration::from_millis(10));
    }

    fn context(&self) -> &Answers {
        self.0.context()
    }
}

/// Answers the group; or takes, and gives nothing away.
#[derive(Default)]
struct Answers {
    keeps: bool,
    is_asked: AtomicBool,
    assigned: AtomicUsize,
}

impl Answers {
    fn assigned(&self) -> usize {
        self.assigned.load(Ordering::Relaxed)
    }
}

impl ClientContext for Answers {}

impl ConsumerContext for Answers {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigned = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let done: KafkaResult<()> = if assigned {
            self.assigned
                .fetch_add(partitions.count(), Ordering::Relaxed);
            consumer.incremental_assign(partitions)
        } else {
            self.is_asked.store(true, Ordering::Relaxed);
            if self.keeps {
                return;
            }
            consumer.incremental_unassign(partitions)
        };
        done.expect("an answer");
    }
}
