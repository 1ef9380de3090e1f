//! The cases on which its two matchers must agree: `src/test/resources/correctness-cases.json`, run by
//! its `StructuredFinderTest`. That file has no verdicts; they follow from README.md, "JSON Array
//! Matching".

use serde_json::{Value, json};

use crate::matches;

fn exists(fields: &[&str]) -> Value {
    let alternatives = |field: &&str| ((*field).to_owned(), json!([{"exists": true}]));
    Value::Object(fields.iter().map(alternatives).collect())
}

fn verify(cases: &[(&Value, Value, bool)]) {
    for (pattern, event, expected) in cases {
        assert_eq!(matches(pattern, event), *expected, "{pattern} on {event}");
    }
}

#[test]
fn objects() {
    let ab = json!({"d": exists(&["a", "b"])});
    verify(&[
        (&ab, json!({"d": {"a": 1, "b": 2}}), true),
        (&ab, json!({"d": {"a": 1}}), false),
        (
            &json!({"d": {"a": ["hello"], "b": ["world"]}}),
            json!({"d": {"a": "hello", "b": "world"}}),
            true,
        ),
        (
            &json!({"d": {"a": ["hello"], "b": ["world"]}}),
            json!({"d": {"a": "hello", "b": "nope"}}),
            false,
        ),
        (
            &json!({"d": {"a": [{"prefix": "hel"}]}}),
            json!({"d": {"a": "hello"}}),
            true,
        ),
        (
            &json!({"d": {"x": [{"numeric": [">", 0, "<", 100]}]}}),
            json!({"d": {"x": 50}}),
            true,
        ),
        (
            &json!({"d": {"s": [{"anything-but": "banned"}]}}),
            json!({"d": {"s": "active"}}),
            true,
        ),
    ]);
}

#[test]
fn arrays_of_objects() {
    let ab = json!({"d": exists(&["a", "b"])});
    let abc = json!({"d": exists(&["a", "b", "c"])});
    let alice = json!({"d": {"name": ["alice"], "status": ["active"]}});
    let al = json!({"d": {"name": [{"prefix": "al"}], "status": [{"exists": true}]}});
    let ice = json!({"d": {"name": [{"suffix": "ice"}], "type": [{"exists": true}]}});
    verify(&[
        (&ab, json!({"d": [{"a": 1, "b": 2}]}), true),
        (&ab, json!({"d": [{"a": 1}, {"b": 2}]}), false),
        (
            &ab,
            json!({"d": [{"a": 1}, {"b": 2}, {"a": 3, "b": 4}]}),
            true,
        ),
        (&abc, json!({"d": [{"a": 1, "b": 2, "c": 3}]}), true),
        (&abc, json!({"d": [{"a": 1}, {"b": 2}, {"c": 3}]}), false),
        (
            &alice,
            json!({"d": [{"name": "alice", "status": "active"}]}),
            true,
        ),
        (
            &alice,
            json!({"d": [{"name": "alice"}, {"status": "active"}]}),
            false,
        ),
        (&al, json!({"d": [{"name": "alice", "status": "ok"}]}), true),
        (
            &al,
            json!({"d": [{"name": "alice"}, {"status": "ok"}]}),
            false,
        ),
        (
            &ice,
            json!({"d": [{"name": "alice", "type": "user"}]}),
            true,
        ),
        (
            &ice,
            json!({"d": [{"name": "alice"}, {"type": "user"}]}),
            false,
        ),
        (
            &json!({"detail": exists(&["email", "name"])}),
            json!({"detail": [
                {"email": "a@x"}, {"email": "b@x"}, {"email": "c@x"}, {"email": "d@x"},
                {"email": "e@x", "name": "eve"},
            ]}),
            true,
        ),
        (
            &json!({"d": {"a": ["target"], "b": ["found"]}}),
            json!({"d": [{"a": "x"}, {"a": "y"}, {"a": "target", "b": "found"}, {"a": "z"}]}),
            true,
        ),
        (
            &json!({"i": {"p": [{"numeric": [">", 0, "<", 100]}], "n": [{"exists": true}]}}),
            json!({"i": [{"n": "w", "p": 50}, {"n": "g", "p": 200}]}),
            true,
        ),
        (
            &json!({"u": {"s": [{"anything-but": "banned"}], "n": [{"exists": true}]}}),
            json!({"u": [{"n": "alice", "s": "banned"}, {"n": "bob", "s": "active"}]}),
            true,
        ),
        (
            &json!({"d": exists(&["a"])}),
            json!({"d": [{"a": 1}, {"a": 2}]}),
            true,
        ),
    ]);
}

#[test]
fn arrays_of_values() {
    let tagged =
        |prefix: &str| json!({"d": {"tags": [{"prefix": prefix}], "type": [{"exists": true}]}});
    let name_and_type = json!({"d": exists(&["name", "type"])});
    let tags_and_type = json!({"d": exists(&["tags", "type"])});
    verify(&[
        (
            &json!({"d": exists(&["tags", "name"])}),
            json!({"d": {"tags": ["a", "b"], "name": "x"}}),
            true,
        ),
        (
            &json!({"tags": ["admin"]}),
            json!({"tags": ["user", "admin"]}),
            true,
        ),
        (
            &json!({"tags": ["superadmin"]}),
            json!({"tags": ["user", "admin"]}),
            false,
        ),
        (
            &tags_and_type,
            json!({"d": {"tags": ["a", "b", "c"], "type": "GROUP"}}),
            true,
        ),
        (
            &tagged("ad"),
            json!({"d": {"tags": ["admin", "user", "dev"], "type": "GROUP"}}),
            true,
        ),
        (
            &tagged("super"),
            json!({"d": {"tags": ["admin", "user", "dev"], "type": "GROUP"}}),
            false,
        ),
        (
            &json!({"detail": {"data": exists(&["name", "type"])}}),
            json!({"detail": {"data": {"name": ["alice", "bob"], "type": "GROUP"}}}),
            true,
        ),
        (
            &json!({"tags": [{"exists": true}], "cats": [{"exists": true}], "v": ["1"]}),
            json!({"tags": ["a", "b"], "cats": ["x", "y"], "v": "1"}),
            true,
        ),
        (
            &json!({"d": {"name": ["target"], "type": ["GROUP"]}}),
            json!({"d": {"name": ["a", "b", "target", "c"], "type": "GROUP"}}),
            true,
        ),
        (
            &json!({"d": {"vals": [{"numeric": [">", 0, "<", 10]}], "type": [{"exists": true}]}}),
            json!({"d": {"vals": [100, 5, 200], "type": "ok"}}),
            true,
        ),
        (
            &json!({"d": {"tags": [{"anything-but": "banned"}], "type": [{"exists": true}]}}),
            json!({"d": {"tags": ["banned", "ok"], "type": "x"}}),
            true,
        ),
        (
            &name_and_type,
            json!({"d": {"name": ["only"], "type": "x"}}),
            true,
        ),
        (
            &name_and_type,
            json!({"d": {"name": [], "type": "x"}}),
            false,
        ),
        (
            &json!({"a": {"b": {"c": exists(&["vals", "type"])}}}),
            json!({"a": {"b": {"c": {"vals": ["x", "y", "z"], "type": "ok"}}}}),
            true,
        ),
    ]);
}

#[test]
fn nested_arrays() {
    let color = json!({"u": {"t": {"k": ["color"], "v": ["blue"]}}});
    let info = json!({"d": {"name": [{"exists": true}], "info": {"x": ["1"]}}});
    let xy = json!({"a": {"b": exists(&["x", "y"])}});
    verify(&[
        (
            &color,
            json!({"u": [{"t": [{"k": "color", "v": "blue"}]}]}),
            true,
        ),
        (
            &color,
            json!({"u": [{"t": [{"k": "color"}, {"v": "blue"}]}]}),
            false,
        ),
        (
            &info,
            json!({"d": [{"name": "alice"}, {"info": {"x": "1"}}]}),
            false,
        ),
        (
            &info,
            json!({"d": [{"name": "alice", "info": {"x": "1"}}]}),
            true,
        ),
        (&xy, json!({"a": [{"b": [{"x": 1, "y": 2}]}]}), true),
        (&xy, json!({"a": [{"b": [{"x": 1}, {"y": 2}]}]}), false),
    ]);
}

#[test]
fn arrays_beside_each_other() {
    let users = |version: &str| json!({"users": exists(&["name"]), "version": [version]});
    verify(&[
        (
            &users("1"),
            json!({"users": [{"name": "alice"}], "version": "1"}),
            true,
        ),
        (
            &users("2"),
            json!({"users": [{"name": "alice"}], "version": "1"}),
            false,
        ),
        (
            &json!({"users": exists(&["name"]), "tags": ["admin"]}),
            json!({"users": [{"name": "alice"}], "tags": ["admin", "user"]}),
            true,
        ),
        (
            &json!({"users": exists(&["name", "email"]), "tags": ["admin"]}),
            json!({"users": [{"name": "alice"}, {"email": "b@x"}], "tags": ["admin"]}),
            false,
        ),
    ]);
}

#[test]
fn absent_and_empty() {
    let without_b = json!({"d": {"a": [{"exists": true}], "b": [{"exists": false}]}});
    verify(&[
        (&without_b, json!({"d": [{"a": 1}]}), true),
        (&without_b, json!({"d": [{"a": 1, "b": 2}]}), false),
        (&json!({"d": exists(&["a"])}), json!({}), false),
        (&json!({"d": exists(&["a"])}), json!({"d": []}), false),
    ]);
}
