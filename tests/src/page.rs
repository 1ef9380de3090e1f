//! Documents that are run: what they show is what happens.
//!
//! Every block of commands, `sh` or `console`, says in a comment right before it who runs it:
//!
//! ```text
//! <!-- run by tests/tests/demo/story.rs -->
//! <!-- not run: needs a container engine; dev/compose/check takes the same steps -->
//! ```
//!
//! or above all blocks of its page, `<!-- all run by … -->`. Whoever is named gets its blocks from the document, by
//! [`blocks!`](crate::blocks), so that a change of the document changes what is run.
//!
//! A block marked `file=NAME` is a file to be written. In a block marked `console` each line that begins with
//! `$` is a command, and the lines below it are its output: `…` stands for any text, and alone on a line for
//! any lines; `(exit 1)` at the end says how it ends if not well.

use crate::servers::root;

/// The blocks of a document that the test in which this stands is to run, in their order.
#[macro_export]
macro_rules! blocks {
    ($document:literal) => {
        $crate::page::run_by($document, file!())
    };
}

/// A fenced block of a document.
#[derive(Debug, Clone)]
pub struct Block {
    /// Number of its first line.
    pub line: usize,
    /// What stands behind the fence.
    pub info: String,
    /// What is between the fences.
    pub text: String,
    /// Who runs it.
    pub marker: Marker,
}

/// What a document says of who runs a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// Nothing.
    Absent,
    /// The file that runs it.
    RunBy(String),
    /// Nobody, for that reason.
    NotRun(String),
}

/// A command and what it should do.
#[derive(Debug, Clone)]
pub struct Step {
    /// Where it stands.
    pub line: usize,
    /// What is typed.
    pub command: String,
    /// What is printed.
    pub output: Vec<String>,
    /// How it ends.
    pub code: i32,
}

/// See [`blocks!`](crate::blocks).
///
/// # Panics
/// When there are none.
pub fn run_by(document: &str, test: &str) -> Vec<Block> {
    let page = std::fs::read_to_string(root().join(document));
    let page = page.unwrap_or_else(|error| panic!("{document}: {error}"));
    let mut blocks = blocks(&page);
    blocks.retain(|block| block.marker == Marker::RunBy(test.to_owned()));
    assert!(!blocks.is_empty(), "{document} has no block for {test}");
    blocks
}

/// The blocks of a document.
///
/// # Panics
/// When a marker stands before no block, or a block is not closed.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut of_page = Marker::Absent;
    let mut next = None;
    for (number, line) in (1..).zip(page.lines()) {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                open = Some(Block {
                    line: number + 1,
                    info: info.to_owned(),
                    text: String::new(),
                    marker: next.take().unwrap_or_else(|| of_page.clone()),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {
                assert!(next.is_none(), "line {number}: no block after a marker");
                let comment = line.strip_prefix("<!-- ");
                let Some(comment) = comment.and_then(|rest| rest.strip_suffix(" -->")) else {
                    continue;
                };
                if let Some(test) = comment.strip_prefix("all run by ") {
                    of_page = Marker::RunBy(test.to_owned());
                } else if let Some(test) = comment.strip_prefix("run by ") {
                    next = Some(Marker::RunBy(test.to_owned()));
                } else if let Some(reason) = comment.strip_prefix("not run: ") {
                    next = Some(Marker::NotRun(reason.to_owned()));
                }
            }
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    assert!(next.is_none(), "no block after a marker");
    blocks
}

impl Block {
    /// The language that is written in it; empty if it does not say.
    pub fn language(&self) -> &str {
        self.info.split_whitespace().next().unwrap_or_default()
    }

    /// Whether it has commands.
    pub fn is_commands(&self) -> bool {
        matches!(self.language(), "sh" | "console") && self.file().is_none()
    }

    /// The name of the file that it is.
    pub fn file(&self) -> Option<&str> {
        let mut words = self.info.split_whitespace();
        words.find_map(|word| word.strip_prefix("file="))
    }

    /// The commands of a console; none if it is something else.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        if self.info != "console" {
            return steps;
        }
        for (line, text) in (self.line..).zip(self.text.lines()) {
            if let Some(command) = text.strip_prefix("$ ") {
                steps.push(Step {
                    line,
                    command: command.to_owned(),
                    output: Vec::new(),
                    code: 0,
                });
                continue;
            }
            let step = steps.last_mut().expect("a console begins with a command");
            let code = text.strip_prefix("(exit ");
            match code.and_then(|rest| rest.strip_suffix(')')) {
                Some(code) => step.code = code.parse().expect("a number"),
                None => step.output.push(text.trim_end().to_owned()),
            }
        }
        steps
    }
}

impl Step {
    /// Checks what a run of it printed, and how it ended.
    pub fn check(&self, printed: &str, code: Option<i32>) {
        let said = format!("line {}: {}\n{printed}", self.line, self.command);
        assert_eq!(code, Some(self.code), "{said}");
        let lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
        let expected: Vec<&str> = self.output.iter().map(String::as_str).collect();
        assert!(agree(&expected, &lines), "{said}");
    }
}

fn agree(expected: &[&str], lines: &[&str]) -> bool {
    match (expected, lines) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=lines.len()).any(|skip| agree(rest, &lines[skip..])),
        ([first, rest @ ..], [line, further @ ..]) => is_like(first, line) && agree(rest, further),
        _ => false,
    }
}

/// Whether a line has the pieces between the dots, in their order, and nothing before or after them.
fn is_like(expected: &str, line: &str) -> bool {
    let Some((first, rest)) = expected.split_once('…') else {
        return expected == line;
    };
    let Some(line) = line.strip_prefix(first) else {
        return false;
    };
    line.char_indices()
        .map(|(at, _)| at)
        .chain([line.len()])
        .any(|at| is_like(rest, &line[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_knows_who_runs_it() {
        let page = "```text\na\n```\n<!-- run by x.rs -->\n```sh\nb\n```\n<!-- all run by y.rs -->\n\n```sh\nc\n```\n\
                    <!-- not run: it rains -->\n```sh\nd\n```\n";
        let found: Vec<_> = blocks(page).into_iter().map(|it| it.marker).collect();
        let run_by = |test: &str| Marker::RunBy(test.to_owned());
        let not_run = Marker::NotRun("it rains".to_owned());
        assert_eq!(
            found,
            [Marker::Absent, run_by("x.rs"), run_by("y.rs"), not_run]
        );
    }

    #[test]
    #[should_panic(expected = "line 2: no block after a marker")]
    fn a_marker_that_stands_before_no_block_is_a_mistake() {
        blocks("<!-- run by x.rs -->\ntext\n");
    }

    #[test]
    fn dots_stand_for_any_text_and_alone_for_any_lines() {
        assert!(agree(&["a…c", "…", "z"], &["abc", "1", "2", "z"]));
        assert!(agree(&["…"], &[]));
        for lines in [&["abd", "z"][..], &["abc"], &["abc", "z", "1"]] {
            assert!(!agree(&["a…c", "…", "z"], lines), "{lines:?}");
        }
    }
}
