//! YAML 1.2 with the core schema, read to JSON values with the line of every field.
//!
//! Read from the parser's events, because a tree has no text of its numbers and no lines.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::{Map, Number, Value as Json};

use super::{Lines, MAX_DEPTH, Pointer, ReadError, is_amount};

/// Most nodes of a file, so that aliases of aliases cannot fill the memory.
const MAX_NODES: usize = 1_000_000;

/// All documents of a text.
pub(super) fn read(text: &str) -> Result<Vec<(Json, Lines)>, ReadError> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        pointer: Pointer::default(),
        lines: Lines::default(),
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::DocumentStart(_), _) => {
                reader.anchors.clear();
                let value = reader.node()?;
                let lines = std::mem::take(&mut reader.lines);
                // What stands between two `---` may be nothing but comments.
                if !value.is_null() {
                    documents.push((value, lines));
                }
            }
            _ => {}
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, (Json, usize)>,
    nodes: usize,
    pointer: Pointer,
    lines: Lines,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), ReadError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(ReadError::new(error.marker().line(), error.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self) -> Result<Json, ReadError> {
        let (event, span) = self.next()?;
        self.node_of(event, span)
    }

    fn node_of(&mut self, event: Event<'t>, span: Span) -> Result<Json, ReadError> {
        let line = span.start.line();
        if !self.lines.0.contains_key(&self.pointer.text) {
            self.lines.insert(&self.pointer.text, line);
        }
        self.count(1, line)?;
        if self.pointer.depth() > MAX_DEPTH {
            let what = format!("the document nests deeper than {MAX_DEPTH} levels");
            return Err(ReadError::new(line, what));
        }
        let before = self.nodes;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, self.scalar(&text, style, tag.as_deref(), line)?)
            }
            Event::SequenceStart(anchor, _) => (anchor, self.sequence()?),
            Event::MappingStart(anchor, _) => (anchor, self.mapping()?),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                let (value, nodes) = known.cloned().ok_or_else(|| {
                    ReadError::new(line, "the alias names what contains it; write it out")
                })?;
                self.count(nodes, line)?;
                return Ok(value);
            }
            _ => (0, Json::Null),
        };
        if anchor != 0 {
            let nodes = self.nodes - before;
            self.anchors.insert(anchor, (value.clone(), nodes));
        }
        Ok(value)
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), ReadError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let what = format!("the file has more than {MAX_NODES} values, aliases written out");
            return Err(ReadError::new(line, what));
        }
        Ok(())
    }

    fn sequence(&mut self) -> Result<Json, ReadError> {
        let mut elements = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Json::Array(elements));
            }
            self.pointer.enter(elements.len());
            elements.push(self.node_of(event, span)?);
            self.pointer.leave();
        }
    }

    fn mapping(&mut self) -> Result<Json, ReadError> {
        let mut fields = Map::new();
        loop {
            let (event, span) = self.next()?;
            let line = span.start.line();
            let name = match event {
                Event::MappingEnd => return Ok(Json::Object(fields)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(ReadError::new(line, "the name of a field must be a text")),
            };
            if fields.contains_key(&name) {
                let what = format!("the field {name:?} is there twice; remove one");
                return Err(ReadError::new(line, what));
            }
            self.pointer.enter(&name);
            // The line of the name, which is the one before that of a block below it.
            self.lines.insert(&self.pointer.text, line);
            let value = self.node()?;
            self.pointer.leave();
            fields.insert(name, value);
        }
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        line: usize,
    ) -> Result<Json, ReadError> {
        let tag = match tag {
            None => None,
            Some(tag) if tag.is_yaml_core_schema() => Some(tag.suffix.as_str()),
            Some(tag) => {
                let what = format!("the tag {tag} means nothing here; remove it");
                return Err(ReadError::new(line, what));
            }
        };
        if style != ScalarStyle::Plain || tag == Some("str") {
            return Ok(text.into());
        }
        match plain(text).map_err(|what| ReadError::new(line, what))? {
            Json::Number(_) if is_amount(&self.pointer.text) => Ok(text.into()),
            value => Ok(value),
        }
    }
}

/// What a scalar without quotes is by the core schema of YAML 1.2 (section 10.3.2). `no` and `on` are
/// texts there.
pub(super) fn plain(text: &str) -> Result<Json, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Json::Null),
        "true" | "True" | "TRUE" => return Ok(true.into()),
        "false" | "False" | "FALSE" => return Ok(false.into()),
        ".nan" | ".NaN" | ".NAN" => return Err("JSON has no number .nan".to_owned()),
        _ => {}
    }
    let unsigned = text.trim_start_matches(['-', '+']);
    if text.len() - unsigned.len() <= 1 && matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Err(format!("JSON has no number {text}"));
    }
    if let Ok(number) = text.parse::<Number>() {
        return Ok(Json::Number(number));
    }
    let with_radix = [("0x", 16), ("0o", 8)]
        .into_iter()
        .find_map(|(prefix, radix)| {
            let digits = text.strip_prefix(prefix)?;
            let is_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            is_digits.then(|| u64::from_str_radix(digits, radix))
        });
    match with_radix {
        Some(Ok(number)) => return Ok(number.into()),
        Some(Err(_)) => return Err(format!("{text} is too large for a number; quote it")),
        None => {}
    }
    if let Some(json) = as_json_writes_it(unsigned) {
        let sign = if text.starts_with('-') { "-" } else { "" };
        if text.len() - unsigned.len() <= 1
            && let Ok(number) = format!("{sign}{json}").parse::<Number>()
        {
            return Ok(Json::Number(number));
        }
    }
    Ok(text.into())
}

/// A number without a sign that JSON writes in another way: `.5`, `5.`, `007`.
fn as_json_writes_it(text: &str) -> Option<Cow<'_, str>> {
    let end = text.find(['e', 'E']).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(end);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{whole}{point}{fraction}{exponent}").into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(text: &str) -> Vec<Json> {
        let documents = read(text).unwrap_or_else(|error| panic!("{error}"));
        documents.into_iter().map(|(value, _)| value).collect()
    }

    #[test]
    fn scalars_are_those_of_the_core_schema() {
        let cases = [
            ("no", json!("no")),
            ("NO", json!("NO")),
            ("true", json!(true)),
            ("~", json!(null)),
            ("\"null\"", json!("null")),
            ("50", json!(50)),
            ("-0.5", json!(-0.5)),
            ("+5", json!(5)),
            (".5", json!(0.5)),
            ("5.", json!(5)),
            ("007", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1e3", json!(1000.0)),
            ("1_000", json!("1_000")),
            ("--5", json!("--5")),
            (".", json!(".")),
            ("e5", json!("e5")),
            ("12:30", json!("12:30")),
            ("2026-11-01T00:00:00Z", json!("2026-11-01T00:00:00Z")),
            ("$10 for purchases", json!("$10 for purchases")),
            ("!!str 5", json!("5")),
            ("\"\\u00e9\\n\"", json!("é\n")),
            ("'it''s'", json!("it's")),
        ];
        for (text, expected) in cases {
            assert_eq!(
                values(&format!("a: {text}")),
                [json!({"a": expected})],
                "{text}"
            );
        }
    }

    #[test]
    fn what_json_does_not_have_is_refused_with_its_line() {
        let cases = [
            ("a: 1\nb: .inf", "line 2: JSON has no number .inf"),
            ("a: -.INF", "line 1: JSON has no number -.INF"),
            ("a: .nan", "line 1: JSON has no number .nan"),
            (
                "a: 1\na: 2",
                "line 2: the field \"a\" is there twice; remove one",
            ),
            ("? [a]\n: 1", "line 1: the name of a field must be a text"),
            (
                "a: !money 5",
                "line 1: the tag !money means nothing here; remove it",
            ),
            (
                "a: 0xFFFFFFFFFFFFFFFFFF",
                "line 1: 0xFFFFFFFFFFFFFFFFFF is too large",
            ),
            ("a: &x [*x]", "line 1: the alias names what contains it"),
            ("a: *x", "line 1: "),
            ("a: [1,\nb: 2", "line "),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(
            read(&deep)
                .unwrap_err()
                .to_string()
                .contains("deeper than 64")
        );
    }

    #[test]
    fn aliases_are_written_out_but_not_without_end() {
        assert_eq!(
            values("a: &us [US, CA]\nb: *us"),
            [json!({"a": ["US", "CA"], "b": ["US", "CA"]})]
        );
        let first = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]".to_owned();
        let others = (1..10).map(|level| {
            let inner = vec![format!("*a{}", level - 1); 10].join(",");
            format!("a{level}: &a{level} [{inner}]")
        });
        let bomb: Vec<_> = std::iter::once(first).chain(others).collect();
        let bomb = bomb.join("\n");
        let error = read(&bomb).unwrap_err().to_string();
        assert!(error.contains("more than 1000000 values"), "{error}");
    }

    #[test]
    fn several_documents_are_read_and_empty_ones_left_out() {
        let text = "# first\nid: a\n---\n# nothing\n---\nid: b\n...\n";
        assert_eq!(values(text), [json!({"id": "a"}), json!({"id": "b"})]);
        assert!(values("").is_empty());
    }

    #[test]
    fn amounts_keep_their_text() {
        let text = "reward: {amount: 10.00, points: 5.0}\nlimits: {total: {amount: 50000.10}}";
        assert_eq!(
            values(text),
            [json!({
                "reward": {"amount": "10.00", "points": 5.0},
                "limits": {"total": {"amount": "50000.10"}},
            })]
        );
    }

    #[test]
    fn every_field_has_its_line() {
        let text = "id: a\nwhen:\n  payload:\n    amount:\n      - 1\n      - {prefx: x}\n";
        let (_, lines) = &read(text).unwrap()[0];
        let cases = [
            ("", 1),
            ("/id", 1),
            ("/when", 2),
            ("/when/payload/amount", 4),
            ("/when/payload/amount/0", 5),
            ("/when/payload/amount/1/prefx", 6),
            ("/when/payload/other", 3),
            ("/name", 1),
        ];
        for (pointer, line) in cases {
            assert_eq!(lines.of(pointer), line, "{pointer}");
        }
    }
}
