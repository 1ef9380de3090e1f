//! Documents that are run: what they show is what happens.
//!
//! A block marked `file=NAME` is a file to be written. In a block marked `console` each line that begins with
//! `$` is a command, and the lines below it are its output: `…` stands for any text, and alone on a line for
//! any lines; `(exit 1)` at the end says how it ends if not well.

/// A fenced block of a document.
#[derive(Debug, Clone)]
pub struct Block {
    /// Number of its first line.
    pub line: usize,
    /// What stands behind the fence.
    pub info: String,
    /// What is between the fences.
    pub text: String,
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

/// The blocks of a document.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block {
                    line: number + 1,
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

impl Block {
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
    fn dots_stand_for_any_text_and_alone_for_any_lines() {
        assert!(agree(&["a…c", "…", "z"], &["abc", "1", "2", "z"]));
        assert!(agree(&["…"], &[]));
        for lines in [&["abd", "z"][..], &["abc"], &["abc", "z", "1"]] {
            assert!(!agree(&["a…c", "…", "z"], lines), "{lines:?}");
        }
    }
}
