//! A registry that is away: at the start, in the middle, and while a schema is needed that nobody has
//! asked for yet.

use std::time::Duration;

use serde_json::{Value, json};
use tests::process::Process;
use tests::servers::Server;
use tests::wait;
use tests::world::{PARTITIONS, World};

use super::{wait_not_ready, world_at};

/// Registers what a later release of upstream writes. The matcher has not met it yet.
fn newer_schema(world: &World) -> u32 {
    let mut schema: Value = serde_json::from_str(schemas::avro::EVENT).expect("a schema");
    let field = json!({"name": "channel", "type": ["null", "string"], "default": null});
    schema["fields"].as_array_mut().expect("fields").push(field);
    let subject = format!("{}-value", world.topic("events"));
    let id = world.contracts().register(&subject, &schema.to_string());
    assert_ne!(id, world.event_schema());
    // Upstream has it, from now on without the registry.
    world.contracts().schema(id);
    id
}

#[test]
fn known_schemas_go_on_an_unknown_one_waits_and_nothing_becomes_a_dead_letter() {
    let mut registry = Server::registry();
    let world = world_at(&registry);
    let matcher = world.matcher("a");
    world.produce(200);
    world.settle(&[&matcher]);
    // A later release of upstream, which the matcher has not met yet.
    let newer = newer_schema(&world);
    registry.kill();
    world.produce(200);
    world.settle(&[&matcher]);
    let waiting = || matcher.metric("matcher_partitions_waiting_for_schema");
    assert_eq!(waiting(), Some(0.0));
    world.produce_with(newer, 1);
    world.kafka.flush();
    wait::until("a partition to wait", Duration::from_secs(30), || {
        (waiting() == Some(1.0)).then_some(())
    });
    // What comes behind it waits as well, all else goes on.
    world.produce(200);
    world.kafka.flush();
    let topic = world.topic("events");
    wait::until("the other partitions", Duration::from_secs(30), || {
        let ends = world.kafka.ends(&topic, PARTITIONS)?;
        let committed = world.kafka.committed(&world.name, &topic, PARTITIONS)?;
        let behind: Vec<_> = (0..ends.len())
            .filter(|at| committed[*at] < ends[*at].high)
            .collect();
        (behind == [1]).then_some(())
    });
    assert!(
        matcher
            .get("/readyz")
            .is_some_and(|ready| ready.contains("200 OK"))
    );
    assert_eq!(matcher.metric("matcher_dead_letters_total"), None);
    assert_eq!(matcher.metric("schema_registry_up"), Some(0.0));

    // Who starts now does not know how to write.
    let mut second = world.start_matcher(&[("MATCHER_INSTANCE", "b")]);
    wait_not_ready(&second, "schemas: the schema registry cannot be asked");

    registry.restart();
    second.wait_ready();
    world.check();
    assert!(
        world
            .kafka
            .read_all(&world.topic("dead-letters"))
            .is_empty()
    );
    assert!(second.terminate().0.success());
    assert!(matcher.terminate().0.success());
}

#[test]
fn a_partition_that_waits_is_taken_over_and_given_back_where_it_waits() {
    let mut registry = Server::registry();
    let world = world_at(&registry);
    let first = world.matcher("a");
    world.produce(100);
    world.settle(&[&first]);
    let newer = newer_schema(&world);
    // Ready before the registry goes, so that both know how to write.
    let second = world.matcher("b");
    world.wait_settled(4);
    registry.kill();
    for partition in 0..PARTITIONS {
        world.produce_with(newer, partition);
    }
    world.produce(100);
    world.kafka.flush();
    let waiting = |matcher: &Process, partitions: f64| {
        wait::until("partitions to wait", Duration::from_mins(1), || {
            let found = matcher.metric("matcher_partitions_waiting_for_schema")?;
            (found >= partitions).then_some(())
        });
    };
    waiting(&first, 1.0);
    waiting(&second, 1.0);
    first.kill();
    waiting(&second, f64::from(PARTITIONS));
    registry.restart();
    world.check();
    assert!(
        world
            .kafka
            .read_all(&world.topic("dead-letters"))
            .is_empty()
    );
    assert!(second.terminate().0.success());
}
