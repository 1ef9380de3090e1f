//! Campaigns as files: found, read with the line of every field, and written.

mod files;
mod json;
mod yaml;

mod writer;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;

pub(crate) use files::read_all;
pub(crate) use writer::to_yaml;

/// A document as it stands in a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// The file, or `standard input`.
    pub(crate) file: String,
    /// What it says. Amounts that are written as numbers are their text, for a double has no zeros at
    /// its end and no more than 15 digits.
    pub(crate) value: Json,
    lines: Lines,
}

impl Document {
    /// One that came from a server.
    pub(crate) fn from_server(address: &str, value: Json) -> Self {
        Self {
            file: address.to_owned(),
            value,
            lines: Lines::default(),
        }
    }

    /// The campaign's id, if there is one.
    pub(crate) fn id(&self) -> Option<&str> {
        self.value.get("id")?.as_str()
    }

    /// Where something stands, as `file:line`; the nearest that is there if it is missing.
    pub(crate) fn place(&self, pointer: &str) -> String {
        format!("{}:{}", self.file, self.lines.of(pointer))
    }
}

/// The line of each field and element, by its JSON pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lines(BTreeMap<String, usize>);

impl Lines {
    fn insert(&mut self, pointer: &str, line: usize) {
        self.0.insert(pointer.to_owned(), line);
    }

    /// Those below a pointer, as if it was the whole document.
    fn below(&self, pointer: &str) -> Self {
        let inner = self.0.iter().filter_map(|(key, line)| {
            let rest = key.strip_prefix(pointer)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (rest.to_owned(), *line))
        });
        Self(inner.collect())
    }

    fn of(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.0.get(pointer) {
                return *line;
            }
            let Some(parent) = pointer.rfind('/') else {
                return 1;
            };
            pointer = &pointer[..parent];
        }
    }
}

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadError {
    line: usize,
    what: String,
}

impl ReadError {
    fn new(line: usize, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
        }
    }
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// A place in a document while it is read or written: a JSON pointer (RFC 6901).
#[derive(Default)]
struct Pointer {
    text: String,
    marks: Vec<usize>,
}

impl Pointer {
    fn enter(&mut self, step: impl fmt::Display) {
        self.marks.push(self.text.len());
        let step = step.to_string().replace('~', "~0").replace('/', "~1");
        self.text.push('/');
        self.text.push_str(&step);
    }

    fn leave(&mut self) {
        if let Some(mark) = self.marks.pop() {
            self.text.truncate(mark);
        }
    }

    fn depth(&self) -> usize {
        self.marks.len()
    }
}

/// Deepest nesting that is read; as deep as an event may be.
const MAX_DEPTH: usize = 64;

/// The only document of a text of YAML; `null` if there is none.
///
/// # Errors
/// It is no YAML, or there are several documents.
pub(crate) fn parse_yaml(text: &str) -> Result<Json, ReadError> {
    let mut documents = yaml::read(text)?;
    if documents.len() > 1 {
        return Err(ReadError::new(
            1,
            "there are several documents; one is wanted",
        ));
    }
    Ok(documents.pop().map_or(Json::Null, |(value, _)| value))
}

/// Whether an amount stands there, which keeps its decimal text.
fn is_amount(pointer: &str) -> bool {
    matches!(pointer, "/reward/amount" | "/limits/total/amount")
}

/// Makes documents of what a file holds: one, or a list of several.
fn split(file: &str, value: Json, lines: &Lines) -> Vec<Document> {
    let document = |value, lines| Document {
        file: file.to_owned(),
        value,
        lines,
    };
    match value {
        Json::Array(values) => (values.into_iter().enumerate())
            .map(|(index, value)| document(value, lines.below(&format!("/{index}"))))
            .collect(),
        value => vec![document(value, lines.clone())],
    }
}
