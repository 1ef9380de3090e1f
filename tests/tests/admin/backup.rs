//! Campaigns and their history in a file, and back.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::shell::Shell;

use crate::client::Api;
use crate::installation::{Installation, campaign};

/// Takes a backup into a new file of that folder.
fn back_up(from: &Installation, folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    let (done, said) = from.run(&["backup", "--to", path(&file)]);
    assert!(done, "{said}");
    file
}

fn restore(to: &Installation, file: &Path, further: &[&str]) -> (bool, String) {
    to.run(&[&["restore", "--from", path(file)], further].concat())
}

fn path(file: &Path) -> &str {
    file.to_str().expect("UTF-8")
}

/// The lines of a backup but for the first and the last, which say when it was taken.
fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a backup is a file");
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[1..lines.len() - 1].to_vec()
}

/// Campaigns with all that can happen to one.
fn fill(api: &Api) {
    for id in ["ten", "gone", "paused"] {
        api.post("/v1/campaigns", &campaign(id, "first")).is(201);
    }
    let tag = api.get("/v1/campaigns/ten").is(200).tag();
    api.put("/v1/campaigns/ten", &tag, &campaign("ten", "second"))
        .is(200);
    api.post(
        "/v1/campaigns/paused:pause",
        &json!({"reason": "no coffee left"}),
    )
    .is(200);
    api.delete("/v1/campaigns/gone", "*").is(204);
}

/// Without the offsets, which are another topic's.
fn history(api: &Api, id: &str) -> Value {
    let answer = api.get(&format!("/v1/campaigns/{id}/history")).is(200);
    let mut history = answer.json;
    for change in history["changes"].as_array_mut().expect("changes") {
        let fields = change.as_object_mut().expect("an object");
        fields.remove("offset");
    }
    history
}

fn version(api: &Api, id: &str) -> (u64, String) {
    let campaign = api.get(&format!("/v1/campaigns/{id}")).is(200).json;
    (
        campaign["version"].as_u64().expect("a version"),
        campaign["description"].as_str().expect("text").to_owned(),
    )
}

#[test]
fn an_empty_installation_gets_campaigns_versions_and_history_as_they_were_and_nothing_twice() {
    let folder = TempDir::new().expect("a folder");
    let lost = Installation::new();
    let old = lost.replica();
    fill(&old.api);
    let file = back_up(&lost, folder.path(), "all.jsonl");
    let (done, said) = lost.run(&["backup", "--to", path(&file)]);
    assert!(!done && said.contains("exists already"), "{said}");

    // The world's own campaigns are there, the same ones, written by others; they say the same.
    let new = Installation::new();
    let (done, said) = restore(&new, &file, &["--dry-run"]);
    assert!(
        done && said.contains("3 campaigns would be restored"),
        "{said}"
    );
    assert_eq!(new.changes(), [], "a dry run writes nothing");
    let replica = new.replica();
    let (done, said) = restore(&new, &file, &[]);
    assert!(done && said.contains("3 campaigns restored"), "{said}");
    let changes = new.changes();
    let (done, said) = restore(&new, &file, &[]);
    assert!(done && said.contains("0 campaigns restored"), "{said}");
    assert_eq!(new.changes(), changes, "what is there is not written again");

    replica.wait_for("the restored campaigns", |api| {
        (api.get("/v1/campaigns/paused").status == 200).then_some(())
    });
    assert_eq!(version(&replica.api, "ten"), (2, "second".to_owned()));
    replica.api.get("/v1/campaigns/gone").is(404);
    for id in ["ten", "gone", "paused"] {
        assert_eq!(history(&replica.api, id), history(&old.api, id), "{id}");
    }
    let again = back_up(&new, folder.path(), "again.jsonl");
    // In the order of campaigns instead of times, and without what others wrote to either topic.
    let of_ours = |mut lines: Vec<String>| -> Vec<String> {
        lines.retain(|line| line.contains("\"change_id\""));
        lines.sort();
        lines
    };
    assert_eq!(of_ours(lines(&again)), of_ours(lines(&file)));
    // And versions count on from there, also of one that is gone.
    let made = replica
        .api
        .post("/v1/campaigns", &campaign("gone", "again"))
        .is(201);
    assert_eq!(made.json["version"], 2);
}

#[test]
fn what_was_changed_since_is_kept_until_it_is_told_otherwise_and_no_version_is_given_twice() {
    let folder = TempDir::new().expect("a folder");
    let installation = Installation::new();
    let (one, two) = (installation.replica(), installation.replica());
    fill(&one.api);
    let file = back_up(&installation, folder.path(), "before.jsonl");
    let before = jiff::Timestamp::now().to_string();
    let tag = one.api.get("/v1/campaigns/ten").is(200).tag();
    one.api
        .put("/v1/campaigns/ten", &tag, &campaign("ten", "a mistake"))
        .is(200);
    one.api
        .post("/v1/campaigns", &campaign("later", ""))
        .is(201);
    let changes = installation.changes().len();

    let (done, said) = restore(&installation, &file, &[]);
    assert!(!done, "{said}");
    assert!(said.contains("ten  newer here: in version 3"), "{said}");
    assert_eq!(installation.changes().len(), changes, "nothing was done");

    let (done, said) = restore(&installation, &file, &["--overwrite", "--actor", "ada"]);
    assert!(done && said.contains("1 campaigns restored"), "{said}");
    two.wait_for("the document of before", |api| {
        (version(api, "ten") == (4, "second".to_owned())).then_some(())
    });
    let last = history(&two.api, "ten")["changes"][0].clone();
    let first = history(&two.api, "ten")["changes"][3].clone();
    let newest = if last["version"] == 4 { last } else { first };
    assert_eq!(newest["actor"], "ada", "{newest}");
    let (done, said) = restore(&installation, &file, &["--overwrite"]);
    assert!(done && said.contains("0 campaigns restored"), "{said}");
    // What the backup does not know is left alone.
    one.api.get("/v1/campaigns/later").is(200);

    // To a point in time, with a backup of now: what was made since is gone.
    let now = back_up(&installation, folder.path(), "now.jsonl");
    let at = ["--at", &*before, "--overwrite"];
    let (done, said) = restore(&installation, &now, &at);
    assert!(done && said.contains("1 campaigns restored"), "{said}");
    two.wait_for("the campaign that was made since to be gone", |api| {
        (api.get("/v1/campaigns/later").status == 404).then_some(())
    });
    assert_eq!(version(&two.api, "ten"), (4, "second".to_owned()));
    // Replicas that were fenced by the restore take changes again.
    for replica in [&one, &two] {
        let tag = replica.api.get("/v1/campaigns/ten").is(200).tag();
        let further = campaign("ten", &format!("after {tag}"));
        replica.wait_for("a change to be taken", |api| {
            let tag = api.get("/v1/campaigns/ten").is(200).tag();
            (api.put("/v1/campaigns/ten", &tag, &further).status == 200).then_some(())
        });
    }
}

#[test]
fn the_commands_of_the_page_back_up_restore_and_undo() {
    let blocks = tests::blocks!("docs/operations.md");
    let [backup, restore, undo] = &blocks[..] else {
        panic!("{blocks:?}")
    };
    let folder = TempDir::new().expect("a folder");
    let (lost, new) = (Installation::new(), Installation::new());
    fill(&lost.replica().api);
    Shell::start(folder.path(), &lost.settings()).follow(backup);

    let mut shell = Shell::start(folder.path(), &new.settings());
    let said = shell.follow(restore);
    assert!(said.contains("3 campaigns would be restored"), "{said}");
    assert!(said.contains("3 campaigns restored"), "{said}");

    let replica = new.replica();
    let before = jiff::Timestamp::now().to_string();
    let tag = replica.api.get("/v1/campaigns/ten").is(200).tag();
    let mistake = campaign("ten", "a mistake");
    (replica.api.put("/v1/campaigns/ten", &tag, &mistake)).is(200);
    let mut undo = undo.clone();
    undo.text = undo.text.replace("2026-11-26T14:00:00Z", &before);
    let said = shell.follow(&undo);
    assert!(said.contains("1 campaigns restored"), "{said}");
    replica.wait_for("the campaign as it was", |api| {
        (version(api, "ten") == (4, "second".to_owned())).then_some(())
    });
}

#[test]
fn a_damaged_file_restores_nothing() {
    let folder = TempDir::new().expect("a folder");
    let installation = Installation::new();
    fill(&installation.replica().api);
    let file = back_up(&installation, folder.path(), "all.jsonl");
    let text = std::fs::read_to_string(&file).expect("a backup is a file");
    std::fs::write(&file, text.replace("second", "sekond")).expect("it can be written");
    let new = Installation::new();
    let (done, said) = restore(&new, &file, &[]);
    assert!(!done && said.contains("checksum"), "{said}");
    assert_eq!(new.changes(), []);
}
