//! The events of a body, each as the bytes that it came in.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use service::http::Problem;
use service::http::problem::{BAD_REQUEST, TOO_LARGE};

/// The elements of a JSON array. They are JSON, but nothing is known of them yet.
pub(crate) fn of_array(body: &[u8], max: usize) -> Result<Vec<&[u8]>, Problem> {
    let mut too_many = false;
    let mut json = serde_json::Deserializer::from_slice(body);
    let elements = Elements {
        max,
        too_many: &mut too_many,
    };
    let items = json.deserialize_seq(elements);
    if too_many {
        return Err(too_many_events(max));
    }
    items
        .and_then(|items| json.end().map(|()| items))
        .map_err(|error| Problem::new(&BAD_REQUEST, format!("the body is not JSON: {error}")))
}

/// The lines that are not blank. What they hold is not known yet.
pub(crate) fn of_lines(body: &[u8], max: usize) -> Result<Vec<&[u8]>, Problem> {
    let mut items = Vec::new();
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', body).chain([body.len()]);
    for end in ends {
        let line = body[start..end].trim_ascii();
        start = end + 1;
        if line.is_empty() {
            continue;
        }
        if items.len() == max {
            return Err(too_many_events(max));
        }
        items.push(line);
    }
    Ok(items)
}

fn too_many_events(max: usize) -> Problem {
    let detail = format!("the body has more than {max} events; send fewer at once");
    Problem::new(&TOO_LARGE, detail)
}

struct Elements<'t> {
    max: usize,
    too_many: &'t mut bool,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Vec<&'de [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if items.len() == self.max {
                *self.too_many = true;
                return Err(A::Error::custom("too many"));
            }
            items.push(element.get().as_bytes());
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: Result<Vec<&[u8]>, Problem>) -> Result<Vec<&str>, String> {
        items
            .map(|items| {
                items
                    .into_iter()
                    .map(|item| std::str::from_utf8(item).unwrap())
                    .collect()
            })
            .map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn an_array_is_taken_apart_without_a_change() {
        let body = br#" [ {"a": "],[" , "b":[1, 2]},3, "x" ] "#;
        let items = texts(of_array(body, 3)).unwrap();
        assert_eq!(items, [r#"{"a": "],[" , "b":[1, 2]}"#, "3", "\"x\""]);
        assert_eq!(texts(of_array(b"[]", 3)), Ok(vec![]));
        let error = texts(of_array(body, 2)).unwrap_err();
        assert!(error.contains("more than 2 events"), "{error}");
        for broken in [&b"[{}"[..], b"[{},]", b"[{}] x", b"{}", b"[\"\xff\"]"] {
            let error = texts(of_array(broken, 3)).unwrap_err();
            assert!(error.starts_with("the body is not JSON"), "{error}");
        }
    }

    #[test]
    fn lines_are_items_whatever_they_hold() {
        let body = b"{\"a\":1}\r\n\n  {\"b\"\n{}";
        assert_eq!(
            texts(of_lines(body, 3)).unwrap(),
            ["{\"a\":1}", "{\"b\"", "{}"]
        );
        assert_eq!(texts(of_lines(b"\n \n", 3)), Ok(vec![]));
        assert!(
            texts(of_lines(body, 2))
                .unwrap_err()
                .contains("more than 2")
        );
    }
}
