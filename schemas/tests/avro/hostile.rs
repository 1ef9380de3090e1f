//! Bytes that are made to cost memory or time, or to be taken for something that they are not.

use schemas::avro::{AvroError, Program};
use schemas::{Document, Limits};

use crate::root;

/// The number as Avro writes it.
fn long(value: i64) -> Vec<u8> {
    let mut bits = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while bits >= 0x80 {
        bytes.push(u8::try_from(bits & 0x7f).unwrap() | 0x80);
        bits >>= 7;
    }
    bytes.push(u8::try_from(bits).unwrap());
    bytes
}

fn program(fields: &str) -> Program {
    let schema = format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#);
    Program::admit(&schema, &[]).unwrap()
}

fn read(program: &Program, bytes: &[u8]) -> Result<serde_json::Value, AvroError> {
    let mut document = Document::new();
    let result = program.read(bytes, Limits::default(), &mut document);
    let says = root(&document);
    if result.is_err() {
        assert!(says.is_null());
    }
    result.map(|()| says)
}

#[test]
fn what_is_no_value_of_its_schema_says_where_and_why() {
    let text = r#"{"name": "a", "type": "string"}"#;
    let int = r#"{"name": "a", "type": "int"}"#;
    let flag = r#"{"name": "a", "type": "boolean"}"#;
    let union = r#"{"name": "a", "type": ["null", "int", "string"]}"#;
    let symbol = r#"{"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["X"]}}"#;
    let array = r#"{"name": "a", "type": {"type": "array", "items": "int"}}"#;
    let uuid = r#"{"name": "a", "type": {"type": "fixed", "size": 16, "name": "U", "logicalType": "uuid"}}"#;
    let clock = r#"{"name": "a", "type": {"type": "int", "logicalType": "time-millis"}}"#;
    let cases: [(&str, Vec<u8>, &str); 18] = [
        (clock, long(1 << 31), "at byte 0 there is no int of 32 bits"),
        (text, vec![], "the value ends at byte 0"),
        (text, vec![6, b'a'], "the value ends at byte 2"),
        (text, long(-1), "at byte 0 there is no length"),
        (text, long(i64::MAX), "the value ends at byte 10"),
        (text, vec![2, 0xff], "the text at byte 1 is not UTF-8"),
        (text, vec![4, b'a', b'b', 7, 7], "2 bytes follow"),
        (int, long(1 << 31), "at byte 0 there is no int of 32 bits"),
        (
            int,
            vec![0x80; 20],
            "at byte 0 there is no number of 64 bits",
        ),
        (int, vec![0xff; 9], "the value ends at byte 9"),
        (
            int,
            [vec![0xff; 9], vec![2]].concat(),
            "at byte 0 there is no number of 64 bits",
        ),
        (flag, vec![2], "at byte 0 there is no boolean"),
        (union, long(3), "at byte 0 there is no number of a branch"),
        (union, long(-1), "at byte 0 there is no number of a branch"),
        (
            symbol,
            long(1),
            "at byte 0 there is no number of a branch or a symbol",
        ),
        (array, vec![2, 2], "the value ends at byte 2"),
        (array, long(i64::MIN), "the value ends at byte 10"),
        (uuid, vec![1; 15], "the value ends at byte 15"),
    ];
    for (field, bytes, expected) in cases {
        let error = read(&program(field), &bytes).unwrap_err();
        assert!(
            error.to_string().contains(expected),
            "{field} {bytes:?}: {error}"
        );
        assert_eq!(error.code(), "not_avro");
    }
}

#[test]
fn a_length_that_the_bytes_do_not_have_costs_nothing() {
    let array = program(r#"{"name": "a", "type": {"type": "array", "items": "int"}}"#);
    for count in [1_000_000, i64::MAX, i64::MIN] {
        let bytes = [long(count), long(1), vec![0; 100]].concat();
        let error = read(&array, &bytes).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no number of items that the value has bytes for"),
            "{error}"
        );
    }
    // A negative count is followed by the block's size.
    let bytes = [long(-2), long(2), vec![2, 4, 0]].concat();
    assert_eq!(
        read(&array, &bytes).unwrap()["a"],
        serde_json::json!([1, 2])
    );
}

#[test]
fn few_bytes_that_stand_for_very_many_values_are_refused() {
    // Each item takes a byte and would take 2001 entries of the tape.
    let nulls: Vec<_> = (0..1000)
        .map(|at| format!(r#"{{"name": "n{at}", "type": "null"}}"#))
        .collect();
    let item = format!(
        r#"{{"type": "record", "name": "I", "fields": [{{"name": "x", "type": "boolean"}}, {}]}}"#,
        nulls.join(",")
    );
    let field = format!(r#"{{"name": "a", "type": {{"type": "array", "items": {item}}}}}"#);
    let many = program(&field);
    let bytes = |count: i64| {
        let items = vec![0; usize::try_from(count).unwrap()];
        [long(count), items, vec![0]].concat()
    };
    assert!(read(&many, &bytes(400)).is_ok());
    let error = read(&many, &bytes(100_000)).unwrap_err();
    assert_eq!(error, AvroError::TooMany { max: 1 << 20 });
    assert_eq!(error.code(), "too_large");

    // A type used twice within one that is used twice, and so on: 2^60 values from no bytes at all.
    let mut fields = vec![
        r#"{"name": "f0", "type": {"type": "record", "name": "L0", "fields": []}}"#.to_owned(),
    ];
    for level in 1..60 {
        let below = format!("L{}", level - 1);
        fields.push(format!(
            r#"{{"name": "f{level}", "type": {{"type": "record", "name": "L{level}", "fields": [
                {{"name": "a", "type": "{below}"}}, {{"name": "b", "type": "{below}"}}]}}}}"#
        ));
    }
    let bomb = program(&fields.join(","));
    assert_eq!(read(&bomb, &[]), Err(AvroError::TooMany { max: 1 << 20 }));
}

#[test]
fn limits_of_size_and_depth_are_exact() {
    let nested = |depth: usize| {
        let inner = depth - 1;
        let types = r#"{"type": "array", "items": "#.repeat(inner);
        program(&format!(
            r#"{{"name": "a", "type": {types}"int"{}}}"#,
            "}".repeat(inner)
        ))
    };
    let bytes = |depth: usize| {
        let inner = depth - 1;
        [vec![2; inner], vec![14], vec![0; inner]].concat()
    };
    assert!(read(&nested(64), &bytes(64)).is_ok());
    assert_eq!(
        read(&nested(65), &bytes(65)),
        Err(AvroError::TooDeep { max: 64 })
    );
    // What could nest deeper, and does not, is read.
    assert!(read(&nested(65), &[0]).is_ok());

    let text = program(r#"{"name": "a", "type": "string"}"#);
    let limits = Limits {
        max_bytes: 4,
        max_depth: 64,
    };
    let mut document = Document::new();
    assert_eq!(
        text.read(&[6, b'a', b'b', b'c'], limits, &mut document),
        Ok(())
    );
    assert_eq!(
        text.read(&[8, b'a', b'b', b'c', b'd'], limits, &mut document),
        Err(AvroError::TooLarge { bytes: 5, max: 4 })
    );
}
