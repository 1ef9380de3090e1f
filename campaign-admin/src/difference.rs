//! What differs between two documents, as people read it and as tools apply it.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One operation of a JSON Patch (RFC 6902). `was` goes beyond it: the value before, which tools that
/// apply a patch leave aside.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Operation {
    /// What is done at the place.
    pub op: Op,
    /// The place: a JSON pointer (RFC 6901).
    #[schema(example = "/reward/amount")]
    pub path: String,
    /// The value after; absent when it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The value before; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Value>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// A field that was not there.
    Add,
    /// A field that is no longer there.
    Remove,
    /// A value in place of another.
    Replace,
}

/// What makes `after` of `before`, in the order of the fields' names. Lists are told as wholes: a rule's
/// list of alternatives is one thing to whoever reads it.
pub fn between(before: &Value, after: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    compare(before, after, &mut String::new(), &mut operations);
    operations
}

fn compare(before: &Value, after: &Value, path: &mut String, out: &mut Vec<Operation>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => fields(before, after, path, out),
        _ if before == after => {}
        _ => out.push(Operation {
            op: Op::Replace,
            path: path.clone(),
            value: Some(after.clone()),
            was: Some(before.clone()),
        }),
    }
}

fn fields(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    path: &mut String,
    out: &mut Vec<Operation>,
) {
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let length = path.len();
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match (before.get(name), after.get(name)) {
            (Some(before), Some(after)) => compare(before, after, path, out),
            (was, value) => out.push(Operation {
                op: if value.is_some() { Op::Add } else { Op::Remove },
                path: path.clone(),
                value: value.cloned(),
                was: was.cloned(),
            }),
        }
        path.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_says_what_was_and_what_is() {
        let before =
            json!({"name": "Ten", "reward": {"amount": "10", "a/b": 1}, "when": {"x": [1]}});
        let after =
            json!({"name": "Ten", "reward": {"amount": "20"}, "when": {"x": [1, 2]}, "z": null});
        assert_eq!(
            serde_json::to_value(between(&before, &after)).unwrap(),
            json!([
                {"op": "remove", "path": "/reward/a~1b", "was": 1},
                {"op": "replace", "path": "/reward/amount", "value": "20", "was": "10"},
                {"op": "replace", "path": "/when/x", "value": [1, 2], "was": [1]},
                {"op": "add", "path": "/z", "value": null},
            ])
        );
        assert!(between(&after, &after).is_empty());
    }

    /// Applies operations as RFC 6902 says.
    fn apply(document: &mut Value, operations: &[Operation]) {
        for operation in operations {
            let Some((parent, name)) = operation.path.rsplit_once('/') else {
                *document = operation.value.clone().unwrap();
                continue;
            };
            let name = name.replace("~1", "/").replace("~0", "~");
            let parent = document
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap();
            match (&operation.op, &operation.value) {
                (Op::Add | Op::Replace, Some(value)) => {
                    let was = parent.insert(name, value.clone());
                    assert_eq!(was, operation.was);
                }
                (Op::Remove, None) => assert_eq!(parent.remove(&name), operation.was),
                other => panic!("{other:?}"),
            }
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3).prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab/~]{0,2}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn applied_to_the_one_it_makes_the_other(before in any_json(), after in any_json()) {
            let mut document = before.clone();
            apply(&mut document, &between(&before, &after));
            prop_assert_eq!(document, after);
        }
    }
}
