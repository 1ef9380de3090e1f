//! One event in the many forms that JSON has for it.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes an event. Each choice in turn says how the next part is written: strings plainly or in escapes, numbers
/// as they are or with an exponent, fields once or, with the same value, twice.
pub(crate) fn write(event: &Value, choices: &[u8]) -> String {
    let mut text = String::new();
    let mut choices = choices.iter().copied().cycle();
    value(&mut text, event, &mut choices);
    text
}

fn value(text: &mut String, of: &Value, choices: &mut impl Iterator<Item = u8>) {
    let choice = choices.next().expect("choices have no end");
    match of {
        Value::Number(number) => match choice % 4 {
            0 if number.is_i64() => write!(text, "{number}.0").expect("a string takes all"),
            1 if number.is_i64() => write!(text, "{number}e0").expect("a string takes all"),
            _ => text.push_str(&number.to_string()),
        },
        Value::String(string) if choice.is_multiple_of(3) => escaped(text, string),
        Value::Null | Value::Bool(_) | Value::String(_) => text.push_str(&of.to_string()),
        Value::Array(elements) => {
            text.push('[');
            for (nth, element) in elements.iter().enumerate() {
                text.push_str(if nth > 0 { ", " } else { "" });
                value(text, element, choices);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            let mut comma = "";
            for (name, field) in fields {
                // Of what is no object or array: it would have its elements twice.
                let is_leaf = !field.is_object() && !field.is_array();
                let times = if is_leaf && choice.is_multiple_of(5) {
                    2
                } else {
                    1
                };
                for _ in 0..times {
                    text.push_str(comma);
                    comma = ",";
                    if choice.is_multiple_of(7) {
                        escaped(text, name);
                    } else {
                        text.push_str(&Value::from(name.as_str()).to_string());
                    }
                    text.push(':');
                    value(text, field, choices);
                }
            }
            text.push('}');
        }
    }
}

fn escaped(text: &mut String, string: &str) {
    text.push('"');
    for unit in string.encode_utf16() {
        write!(text, "\\u{unit:04x}").expect("a string takes all");
    }
    text.push('"');
}
