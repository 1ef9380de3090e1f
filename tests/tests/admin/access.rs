//! Keys: who may do what, and who did it.

use std::process::Command;

use serde_json::json;
use tests::process::binary;

use crate::installation::{Installation, campaign};

/// Makes a key with the program's own command.
fn key(file: &std::path::Path, name: &str, scopes: &str) -> String {
    let output = Command::new(binary("campaign-admin"))
        .args(["key", "create", "--name", name, "--scope", scopes, "--file"])
        .arg(file)
        .output()
        .expect("campaign-admin is built");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let key = said.lines().find(|line| line.starts_with("cm_"));
    key.expect("a key").to_owned()
}

#[test]
fn a_key_allows_what_its_scopes_say_and_its_name_stands_in_the_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    let reader = key(&file, "reader", "campaigns:read");
    let writer = key(&file, "ada", "campaigns:read,campaigns:write");
    let support = key(&file, "support", "customers:read");
    let installation = Installation::new();
    let replica = installation.replica_with(&[("API_KEYS_FILE", file.to_str().unwrap())]);
    let support = replica.api.with_key(&support);
    let (reader, writer) = (replica.api.with_key(&reader), replica.api.with_key(&writer));

    let nobody = replica.api.get("/v1/campaigns").is(401);
    assert_eq!(nobody.json["type"], "/problems/unauthenticated");
    assert!(nobody.header("www-authenticate").is_some());
    reader.get("/v1/campaigns").is(200);
    let refused = reader.post("/v1/campaigns", &campaign("ten", "")).is(403);
    assert!(
        refused.json["detail"]
            .as_str()
            .unwrap()
            .contains("campaigns:write")
    );
    writer.post("/v1/campaigns", &campaign("ten", "")).is(201);
    reader.post("/v1/campaigns/ten:pause", &json!({})).is(403);
    reader.delete("/v1/campaigns/ten", "*").is(403);
    reader
        .post("/v1/campaigns:check", &campaign("ten", ""))
        .is(200);
    writer.get("/v1/matches?event_id=e").is(403);
    writer.get("/v1/customers/ada").is(403);
    support.get("/v1/customers/ada").is(200);
    let refused = support.delete("/v1/customers/ada", "*").is(403);
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(detail.contains("customers:erase"), "{detail}");
    let history = reader.get("/v1/campaigns/ten/history").is(200).json;
    assert_eq!(history["changes"][0]["actor"], "ada");
    // The description is for everybody.
    replica.api.get("/openapi.json").is(200);
    replica.api.get("/docs").is(200);
}
