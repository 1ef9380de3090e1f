//! A campaign from its creation to its end, as somebody with curl sees it.

use serde_json::{Value, json};

use crate::client::Api;
use crate::installation::{Installation, campaign};

const TEN: &str = "/v1/campaigns/ten";

#[test]
fn a_campaign_is_created_changed_turned_reverted_and_deleted_and_its_history_tells() {
    let installation = Installation::new();
    let replica = installation.replica();
    let api = &replica.api;

    let created = api.post("/v1/campaigns", &campaign("ten", "first")).is(201);
    assert_eq!(
        (&*created.tag(), created.header("location")),
        ("1", Some(TEN))
    );
    assert_eq!(created.json["version"], 1);
    assert_eq!(created.json["status"], "active");
    let again = api.post("/v1/campaigns", &campaign("ten", "again")).is(409);
    assert_eq!(again.json["type"], "/problems/already-exists");
    assert_eq!(again.tag(), "1");

    // What was answered is seen at once.
    let got = api.get(TEN).is(200);
    assert_eq!(got.json, created.json);
    assert_eq!(got.tag(), "1");
    let known = api.send("GET", TEN, &[("If-None-Match", "\"1\"")], None);
    assert_eq!(known.unwrap().is(304).text, "");

    let unsaid = api
        .send("PUT", TEN, &[], Some(&campaign("ten", "x")))
        .unwrap();
    assert_eq!(
        unsaid.is(428).json["type"],
        "/problems/precondition-required"
    );
    let replaced = api.put(TEN, "1", &campaign("ten", "second")).is(200);
    assert_eq!(
        (&*replaced.tag(), &replaced.json["description"]),
        ("2", &json!("second"))
    );
    let stale = api.put(TEN, "1", &campaign("ten", "lost")).is(412);
    assert_eq!(stale.json["type"], "/problems/precondition-failed");
    assert_eq!(stale.tag(), "2");
    let same = api.put(TEN, "2", &campaign("ten", "second")).is(200);
    assert_eq!(same.tag(), "2", "what is so already is no change");

    let patch = json!({"reward": {"amount": "20.00"}, "labels": {"team": "growth"}});
    let headers = [
        ("If-Match", "\"2\""),
        ("Content-Type", "application/merge-patch+json"),
        ("Change-Reason", "more für alle"),
    ];
    let patched = api
        .send("PATCH", TEN, &headers, Some(&patch))
        .unwrap()
        .is(200);
    assert_eq!(patched.json["reward"]["amount"], "20.00");
    assert_eq!(patched.json["reward"]["kind"], "credit");

    let reason = json!({"reason": "the budget is used up"});
    let paused = api.post("/v1/campaigns/ten:pause", &reason).is(200);
    assert_eq!(
        (&paused.json["status"], &*paused.tag()),
        (&json!("paused"), "4")
    );
    assert_eq!(
        api.post("/v1/campaigns/ten:pause", &reason).is(200).tag(),
        "4"
    );
    assert_eq!(
        api.post("/v1/campaigns/ten:resume", &json!({}))
            .is(200)
            .tag(),
        "5"
    );
    let reverted = api
        .post("/v1/campaigns/ten:revert", &json!({"version": 1}))
        .is(200);
    assert_eq!(
        (&*reverted.tag(), &reverted.json["description"]),
        ("6", &json!("first"))
    );
    assert_eq!(
        api.post("/v1/campaigns/ten:archive", &json!({}))
            .is(200)
            .tag(),
        "7"
    );
    let refused = api.post("/v1/campaigns/ten:pause", &json!({})).is(409);
    assert_eq!(refused.json["type"], "/problems/conflict");
    let unknown = api.post("/v1/campaigns/ten:launch", &json!({})).is(404);
    assert_eq!(unknown.json["type"], "/problems/not-found");

    assert_eq!(api.delete(TEN, "6").is(412).tag(), "7");
    api.delete(TEN, "7").is(204);
    api.get(TEN).is(404);
    api.delete(TEN, "*").is(412);
    let created = api.post("/v1/campaigns", &campaign("ten", "anew")).is(201);
    assert_eq!(created.tag(), "8", "versions count on after a deletion");

    check_history(api);
    check_the_past(api);
}

fn check_history(api: &Api) {
    let page = api.get(&format!("{TEN}/history?page_size=5")).is(200).json;
    let rest = page["next_page_token"].as_str().expect("a next page");
    let rest = api
        .get(&format!("{TEN}/history?page_token={rest}"))
        .is(200)
        .json;
    assert_eq!(rest["next_page_token"], Value::Null);
    let all: Vec<Value> = [&page, &rest]
        .iter()
        .flat_map(|page| page["changes"].as_array().unwrap().clone())
        .collect();
    let told: Vec<_> = all
        .iter()
        .map(|change| {
            assert_eq!(change["source"], "api");
            assert_eq!(change["actor"], "anonymous");
            (
                change["action"].as_str().unwrap(),
                change["previous_version"].as_u64(),
                change["version"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("created", None, Some(8)),
            ("deleted", Some(7), None),
            ("archived", Some(6), Some(7)),
            ("updated", Some(5), Some(6)),
            ("resumed", Some(4), Some(5)),
            ("paused", Some(3), Some(4)),
            ("updated", Some(2), Some(3)),
            ("updated", Some(1), Some(2)),
            ("created", None, Some(1)),
        ]
    );
    assert_eq!(all[3]["reason"], "revert to version 1");
    assert_eq!(all[5]["reason"], "the budget is used up");
    assert_eq!(all[6]["reason"], "more für alle");
    assert_eq!(
        all[5]["difference"],
        json!([{"op": "replace", "path": "/status", "value": "paused", "was": "active"}])
    );
    assert_eq!(
        all[6]["difference"],
        json!([
            {"op": "add", "path": "/labels", "value": {"team": "growth"}},
            {"op": "replace", "path": "/reward/amount", "value": "20.00", "was": "10.00"},
        ])
    );
}

fn check_the_past(api: &Api) {
    for (version, description) in [(1, "first"), (2, "second"), (6, "first"), (8, "anew")] {
        let found = api.get(&format!("{TEN}?version={version}")).is(200);
        assert_eq!(found.json["description"], description);
        assert_eq!(found.json["version"], version);
        assert_eq!(found.tag(), version.to_string());
    }
    api.get(&format!("{TEN}?version=9")).is(404);
    let history = api.get(&format!("{TEN}/history")).is(200).json;
    for change in history["changes"].as_array().unwrap() {
        let time = change["changed_at"].as_str().unwrap();
        let found = api.get(&format!("{TEN}?at={time}"));
        match change["version"].as_u64() {
            Some(version) => assert_eq!(found.is(200).json["version"], version),
            None => assert_eq!(found.status, 404),
        }
    }
    api.get(&format!("{TEN}?at=2020-01-01T00:00:00Z")).is(404);
    api.get(&format!("{TEN}?at=yesterday")).is(400);
}

#[test]
fn campaigns_are_listed_by_what_they_have_a_page_at_a_time() {
    let installation = Installation::new();
    let replica = installation.replica();
    let api = &replica.api;
    for number in 0..7 {
        let mut document = campaign(&format!("list-{number}"), "to be listed");
        document["labels"] = json!({"half": if number < 4 { "first" } else { "second" }});
        document["status"] = json!(if number % 2 == 0 { "active" } else { "draft" });
        api.post("/v1/campaigns", &document).is(201);
    }
    let ids = |query: &str| -> Vec<String> {
        let mut ids = Vec::new();
        let mut token = String::new();
        loop {
            let page = api
                .get(&format!("/v1/campaigns?{query}{token}"))
                .is(200)
                .json;
            let found = page["campaigns"].as_array().unwrap();
            ids.extend(
                found
                    .iter()
                    .map(|found| found["id"].as_str().unwrap().to_owned()),
            );
            match page["next_page_token"].as_str() {
                Some(next) => token = format!("&page_token={next}"),
                None => return ids,
            }
        }
    };
    let listed = |numbers: &[usize]| -> Vec<String> {
        numbers
            .iter()
            .map(|number| format!("list-{number}"))
            .collect()
    };
    assert_eq!(
        ids("text=To+Be+Listed&page_size=3"),
        listed(&[0, 1, 2, 3, 4, 5, 6])
    );
    assert_eq!(ids("status=draft&text=listed"), listed(&[1, 3, 5]));
    assert_eq!(ids("label=half=second&page_size=1"), listed(&[4, 5, 6]));
    assert_eq!(
        ids("label=half&status=active,paused&page_size=2"),
        listed(&[0, 2, 4, 6])
    );
    // The campaigns that others wrote to the topic are there, too.
    assert!(ids("").len() > 7);
    api.get("/v1/campaigns?status=live").is(400);
    api.get("/v1/campaigns?page_token=x").is(400);
    api.get("/v1/campaigns?colour=red").is(400);
}

#[test]
fn a_broken_document_is_told_with_pointers_and_changes_nothing() {
    let installation = Installation::new();
    let replica = installation.replica();
    let api = &replica.api;
    let mut broken = campaign("broken", "");
    broken["when"]["payload"]["amount"] = json!([{"numeric": [">="]}]);
    broken["labels"] = json!({"team": 7});
    broken.as_object_mut().unwrap().remove("name");
    let pointers = |found: &Value| -> Vec<String> {
        let found = found.as_array().unwrap();
        found
            .iter()
            .map(|one| one["pointer"].as_str().unwrap().to_owned())
            .collect()
    };
    let expected = ["/labels/team", "", "/when/payload/amount/0"];
    let refused = api.post("/v1/campaigns", &broken).is(422);
    assert_eq!(
        refused.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(pointers(&refused.json["errors"]), expected);
    let checked = api.post("/v1/campaigns:check", &broken).is(200).json;
    assert_eq!(checked["valid"], false);
    assert_eq!(pointers(&checked["problems"]), expected);
    api.get("/v1/campaigns/broken").is(404);

    let mut strange = campaign("strange", "");
    strange["prority"] = json!(1);
    let checked = api.post("/v1/campaigns:check", &strange).is(200).json;
    assert_eq!(checked["valid"], true);
    assert_eq!(pointers(&checked["warnings"]), ["/prority"]);
    api.get("/v1/campaigns/strange").is(404);
    let created = api.post("/v1/campaigns", &strange).is(201);
    assert!(
        created.header("warning").unwrap().contains("/prority"),
        "{created:?}"
    );

    let other = api
        .put("/v1/campaigns/strange", "1", &campaign("other", ""))
        .is(422);
    assert_eq!(pointers(&other.json["errors"]), ["/id"]);
    let patch = json!({"reward": {"kind": null}});
    let headers = [("If-Match", "*")];
    let patched = api.send("PATCH", "/v1/campaigns/strange", &headers, Some(&patch));
    assert_eq!(
        pointers(&patched.unwrap().is(422).json["errors"]),
        ["/reward"]
    );
    assert_eq!(api.get("/v1/campaigns/strange").is(200).tag(), "1");
}

#[test]
fn a_draft_is_tried_on_events_and_explained() {
    let installation = Installation::new();
    let replica = installation.replica();
    let mut draft = campaign("draft", "");
    draft["status"] = json!("draft");
    let request = json!({"campaign": draft, "events": [
        {"event_type": "purchase", "payload": {"amount": 75}},
        {"event_type": "purchase", "payload": {"amount": 5}},
    ]});
    let tried = replica.api.post("/v1/campaigns:try", &request).is(200).json;
    let results = tried["results"].as_array().unwrap();
    assert_eq!(results[0]["wins"], false);
    assert_eq!(results[0]["wins_if_active"], true);
    assert_eq!(results[0]["explanation"]["status"]["held"], false);
    assert_eq!(results[1]["wins_if_active"], false);
    let text = results[1]["text"].as_str().unwrap();
    assert!(
        text.contains("payload.amount") && text.contains('5'),
        "{text}"
    );
    let request = json!({"campaign": campaign("x", ""), "events": [{"event_type": 7}]});
    let refused = replica.api.post("/v1/campaigns:try", &request).is(422);
    assert_eq!(refused.json["errors"][0]["pointer"], "/events/0");
    replica.api.get("/v1/campaigns/draft").is(404);
}

#[test]
fn every_error_is_a_problem_also_those_of_the_framework() {
    let installation = Installation::new();
    let replica = installation.replica();
    let api = &replica.api;
    let large = format!("{{\"description\": \"{}\"}}", "x".repeat(300 * 1024));
    let cases = [
        ("GET", "/v2/campaigns", None, 404, "not-found"),
        ("GET", "/v1/campaigns/a%20b", None, 404, "not-found"),
        (
            "POST",
            "/v1/campaigns/ten/history",
            None,
            405,
            "method-not-allowed",
        ),
        ("POST", "/v1/campaigns", Some("{"), 400, "bad-request"),
        ("POST", "/v1/campaigns", Some(&*large), 413, "too-large"),
        ("GET", "/v1/matches?event_id=e", None, 501, "not-recorded"),
    ];
    for (method, path, body, status, kind) in cases {
        let answer = api.send_text(method, path, &[], body).unwrap().is(status);
        assert_eq!(
            answer.json["type"],
            format!("/problems/{kind}"),
            "{method} {path}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert!(answer.json["trace_id"].is_string());
        api.get(&format!("/problems/{kind}")).is(200);
    }
    let headers = [("Content-Type", "text/plain")];
    let answer = api
        .send_text("POST", "/v1/campaigns", &headers, Some("x"))
        .unwrap();
    assert_eq!(
        answer.is(415).json["type"],
        "/problems/unsupported-media-type"
    );
    let description = api.get("/openapi.json").is(200).json;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let page = api.get("/docs").is(200);
    assert!(page.text.contains("Pause a campaign"));
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    every_operation_is_there(api, &description);
}

/// No documented operation is answered with "there is no such address or method".
fn every_operation_is_there(api: &Api, description: &Value) {
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace("{id}", "nobody");
            let answer = api.send(&method.to_uppercase(), &path, &[], Some(&json!({})));
            let answer = answer.unwrap();
            let detail = answer.json["detail"].as_str().unwrap_or_default();
            let about_the_campaign = detail.contains("campaign nobody");
            let there = answer.status != 405 && (answer.status != 404 || about_the_campaign);
            assert!(there, "{method} {path}: {}", answer.text);
        }
    }
}
