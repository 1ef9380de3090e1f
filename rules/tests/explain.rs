//! What is said of an event that wins a campaign, or does not.

use rules::{Explanation, Rule};
use schemas::{Campaign, Document, Event, Limits};
use serde_json::{Value, json};

fn explanation(when: &Value, payload: &Value) -> Explanation {
    let campaign = json!({
        "id": "ten", "name": "Ten", "when": when, "reward": {"kind": "custom"},
    });
    let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
    let rule = Rule::compile(campaign).unwrap();
    let event = json!({
        "event_id": "e-1", "customer_id": "c-1", "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z", "payload": payload,
    });
    let mut document = Document::new();
    document
        .read(event.to_string().as_bytes(), Limits::default())
        .unwrap();
    Explanation::of(&rule, &Event::of(&document).unwrap())
}

fn text(when: &Value, payload: &Value) -> String {
    explanation(when, payload).to_string()
}

#[test]
fn each_condition_says_what_it_asks_for_and_what_was_found() {
    let when = json!({
        "event_type": ["purchase", "order"],
        "payload": {
            "amount": [{"numeric": [">=", 50]}],
            "country": ["US"],
            "coupon": [{"exists": false}],
            "tags": ["vip"],
            "who": [{"exists": true}],
        },
    });
    let payload = json!({
        "amount": 49.99, "coupon": "X", "tags": ["new", ["old"]], "who": {"name": "Ann"},
    });
    insta::assert_snapshot!(text(&when, &payload), @r#"
    ten: no match
      ✓ status: active
      ✓ event_type: asks for "purchase" or "order"; found "purchase"
      ✗ payload.amount: asks for {"numeric":[">=",50]}; found 49.99
      ✗ payload.country: asks for "US"; the field is absent
      ✗ payload.coupon: asks for {"exists":false}; found "X"
      ✗ payload.tags: asks for "vip"; found "new", "old"
      ✗ payload.who: asks for {"exists":true}; the field holds an object, which is no value
    "#);
}

#[test]
fn conditions_that_hold_in_different_elements_say_so() {
    let when = json!({"payload": {"items": {"sku": ["A"], "quantity": [{"numeric": [">=", 2]}]}}});
    let payload = json!({"items": [
        {"sku": "C", "quantity": 1}, {"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 3},
    ]});
    insta::assert_snapshot!(text(&when, &payload), @r#"
    ten: no match
      ✓ status: active
      ✗ payload.items.quantity: asks for {"numeric":[">=",2]}; found 1 in payload.items[1].quantity; payload.items[2].quantity would do, but payload.items.sku does not hold there
      ✓ payload.items.sku: asks for "A"; found "A" in payload.items[1].sku
    "#);
}

#[test]
fn an_or_shows_each_of_its_objects() {
    let when = json!({"payload": {
        "$or": [
            {"amount": [{"numeric": [">=", 100]}]},
            {"tier": ["gold"], "amount": [{"numeric": [">=", 50]}]},
        ],
        "country": ["US"],
    }});
    let payload = json!({"amount": 60, "tier": "silver", "country": "US"});
    insta::assert_snapshot!(text(&when, &payload), @r#"
    ten: no match
      ✓ status: active
      ✗ one of these:
        ✗ 1.
          ✗ payload.amount: asks for {"numeric":[">=",100]}; found 60
        ✗ 2.
          ✓ payload.amount: asks for {"numeric":[">=",50]}; found 60
          ✗ payload.tier: asks for "gold"; found "silver"
      ✓ payload.country: asks for "US"; found "US"
    "#);
}

#[test]
fn an_object_of_an_or_that_needs_another_element_than_its_neighbours_says_so() {
    let when = json!({
        "payload": {"items": {"sku": ["A"]}},
        "$or": [{"payload": {"items": {"quantity": [2]}}}, {"payload": {"tier": ["gold"]}}],
    });
    let payload = json!({"items": [{"quantity": 2, "sku": "B"}, {"quantity": 1, "sku": "A"}]});
    insta::assert_snapshot!(text(&when, &payload), @r#"
    ten: no match
      ✓ status: active
      ✓ one of these:
        ✓ 1.
          ✓ payload.items.quantity: asks for 2; found 2 in payload.items[0].quantity
        ✗ 2.
          ✗ payload.tier: asks for "gold"; the field is absent
      ✗ payload.items.sku: asks for "A"; found "B" in payload.items[0].sku; payload.items[1].sku would do, but payload.items.quantity does not hold there
    "#);
}

#[test]
fn an_object_of_an_or_that_would_spoil_what_holds_beside_it_says_so() {
    let when = json!({
        "payload": {"items": {"sku": ["A"]}},
        "$or": [{"payload": {"tier": ["gold"]}}, {"payload": {"items": {"quantity": [2]}}}],
    });
    let payload = json!({"items": [{"quantity": 2, "sku": "B"}, {"quantity": 1, "sku": "A"}]});
    insta::assert_snapshot!(text(&when, &payload), @r#"
    ten: no match
      ✓ status: active
      ✗ one of these:
        ✗ 1.
          ✗ payload.tier: asks for "gold"; the field is absent
        ✗ 2. these hold, but no longer together with payload.items.sku
          ✓ payload.items.quantity: asks for 2; found 2 in payload.items[0].quantity
      ✓ payload.items.sku: asks for "A"; found "A" in payload.items[1].sku
    "#);
}

#[test]
fn a_program_reads_the_same_with_pointers_into_the_campaign() {
    let when = json!({"payload": {"$or": [{"items": {"sku": ["A"]}}, {"a/b~c": [1]}]}});
    let payload = json!({"items": [{"sku": "B"}, {"sku": "A"}]});
    insta::assert_json_snapshot!(explanation(&when, &payload), @r#"
    {
      "campaign_id": "ten",
      "version": 1,
      "wins": true,
      "status": {
        "held": true,
        "found": "active"
      },
      "schedule": {
        "held": true,
        "asked": {},
        "found": "2026-11-24T09:30:00Z"
      },
      "when": {
        "held": true,
        "parts": [
          {
            "or": {
              "held": true,
              "pointer": "/when/payload/$or",
              "objects": [
                {
                  "held": true,
                  "parts": [
                    {
                      "condition": {
                        "held": true,
                        "path": "payload.items.sku",
                        "pointer": "/when/payload/$or/0/items/sku",
                        "asked": [
                          "A"
                        ],
                        "at": "payload.items[1].sku",
                        "found": [
                          "A"
                        ]
                      }
                    }
                  ]
                },
                {
                  "held": false,
                  "parts": [
                    {
                      "condition": {
                        "held": false,
                        "path": "payload[\"a/b~c\"]",
                        "pointer": "/when/payload/$or/1/a~1b~0c",
                        "asked": [
                          1
                        ],
                        "at": "payload[\"a/b~c\"]",
                        "found": [],
                        "why": "the field is absent"
                      }
                    }
                  ]
                }
              ]
            }
          }
        ]
      }
    }
    "#);
}

#[test]
fn what_is_shown_is_cut() {
    let many: Vec<u32> = (0..25).collect();
    let when = json!({"payload": {"sku": many}});
    let long = "x".repeat(100);
    let mut found = vec![json!(long)];
    found.extend((100..120).map(Value::from));
    insta::assert_snapshot!(text(&when, &json!({"sku": found})), @r#"
    ten: no match
      ✓ status: active
      ✗ payload.sku: asks for 0 or 1 or 2 or 3 or 4 or 5 or 6 or 7 or 8 or 9 or 15 more; found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…, 100, 101, 102, 103, 104, 105, 106, 107, 108, 11 more
    "#);
}
