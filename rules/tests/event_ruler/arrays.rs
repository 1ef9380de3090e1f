//! Arrays of values, of objects and of arrays.

use serde_json::json;

use crate::check;

// RulerTest, WHEN_JSONContainsArrays_THEN_RulerNoCompileMatchesWork; README.md, "JSON Array Matching".
// John has ids, Anna has none and Peter has an empty list of them.
#[test]
fn objects_in_nested_arrays() {
    let event = json!({"employees": [
        [
            {"firstName": "John", "lastName": "Doe", "ids": [1234, 1000, 9999]},
            {"firstName": "Anna", "lastName": "Smith"},
        ],
        [
            {"firstName": "Peter", "lastName": "Jones", "ids": []},
        ],
    ]});
    check(
        &event,
        &[
            json!({"employees": {"firstName": ["Anna"]}}),
            json!({"employees": {"firstName": ["John"], "ids": [1000]}}),
            json!({"employees": {"firstName": ["Anna"], "ids": [{"exists": false}]}}),
        ],
        &[
            json!({"employees": {"firstName": ["Alice"]}}),
            json!({"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}}),
            json!({"employees": {"firstName": ["Alice"], "lastName": ["Bob"]}}),
            json!({"a": ["b"]}),
            json!({"employees": ["b"]}),
            json!({"employees": {"firstName": ["Anna"], "ids": [1000]}}),
            json!({"employees": {"firstName": ["Anna"], "ids": [{"exists": true}]}}),
        ],
    );
}

// ACMachineTest, songsACTest.
#[test]
fn arrays_of_objects_with_arrays_of_objects() {
    let event = json!({
        "Year": 1966,
        "Genres": [{"Pop": true}, {"Classical": false}],
        "Songs": [
            {"Name": "Paperback Writer", "Writers": [
                {"First": "John", "Last": "Lennon"},
                {"First": "Paul", "Last": "McCartney"},
            ]},
            {"Name": "Paint It Black", "Writers": [
                {"First": "Mick", "Last": "Jagger"},
                {"First": "Keith", "Last": "Richards"},
            ]},
        ],
    });
    let paul = json!({"First": ["Paul"], "Last": ["McCartney"]});
    let nobody = json!({"First": ["Mick"], "Last": ["McCartney"]});
    check(
        &event,
        &[
            json!({"Year": [1966], "Songs": {"Name": ["Paperback Writer"], "Writers": paul}}),
            json!({"Genres": {"Pop": [true]}, "Songs": {"Name": ["Paint It Black"]}}),
            json!({"Year": [1966], "Songs": {"Name": ["Paint It Black"]}}),
            json!({"Songs": {"Name": ["Paperback Writer"], "Writers": paul}}),
        ],
        &[
            json!({"Year": [1966], "Songs": {"Name": ["Paperback Writer"], "Writers": {"First": ["Mick"]}}}),
            json!({"Songs": {"Writers": nobody}}),
            json!({"Genres": {"Pop": [true]}, "Songs": {"Writers": nobody}}),
        ],
    );
}

// ACMachineTest, OneEventWithDuplicatedKeyButDifferentValueMatchRules.
#[test]
fn an_array_has_the_values_of_its_elements() {
    let ab = json!({"foo": {"bar": ["ab"]}});
    let cd = json!({"foo": {"bar": ["cd"]}});
    check(
        &json!({"foo": {"bar": "ab"}}),
        std::slice::from_ref(&ab),
        std::slice::from_ref(&cd),
    );
    check(&json!({"foo": {"bar": ["ab", "cd"]}}), &[ab, cd], &[]);
}
