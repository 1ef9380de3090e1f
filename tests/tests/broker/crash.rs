//! What the embedded broker does not keep to, and what `standalone` does about it.

use tempfile::TempDir;
use tests::standalone::Standalone;

use crate::clients::Clients;

/// Commits a record under that transactional id; returns whether a reader of committed records sees it.
fn commits_visibly(clients: &Clients, id: &str, topic: &str) -> bool {
    let producer = clients.transactional(id);
    producer.begin();
    assert!(producer.send(topic, 0, id).is_ok());
    producer.commit().expect("the transaction commits");
    clients.committed(topic, 0).contains(&id.to_owned())
}

#[test]
fn after_a_crash_only_a_new_transactional_id_commits_visibly_on_the_embedded_broker() {
    let folder = TempDir::new().expect("a folder");
    let before = Standalone::start(folder.path(), &[("SAMPLES", "false")]);
    let clients = Clients::new(&before.bootstrap);
    let topic = clients.topic(1, &[]);
    assert!(commits_visibly(&clients, "settled", &topic));
    let open = clients.transactional("open");
    open.begin();
    assert!(open.send(&topic, 0, "lost").is_ok());
    before.process.kill();

    let after = Standalone::start(folder.path(), &[("SAMPLES", "false")]);
    let clients = Clients::new(&after.bootstrap);
    assert_eq!(clients.committed(&topic, 0), ["settled"]);
    assert!(commits_visibly(&clients, "new", &topic));
    assert!(commits_visibly(&clients, "settled", &topic));
    assert!(
        !commits_visibly(&clients, "open", &topic),
        "the embedded broker has been mended: `standalone` needs no boot id any more, and can fence \
         what a crash left open"
    );
    assert_eq!(
        clients.uncommitted(&topic, 0).last().map(String::as_str),
        Some("open")
    );
}
