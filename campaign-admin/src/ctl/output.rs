//! What is printed: tables for people, JSON and YAML for programs; colour on terminals only.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value as Json;

use super::documents::to_yaml;
use super::exit::Failure;

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people; columns may be added.
    Table,
    /// One JSON document; of a stream, one a line.
    Json,
    /// YAML; of a stream, a document each.
    Yaml,
}

/// Names of things: ids and paths.
pub(crate) const NAME: Style = Style::new().bold();
/// What is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What needs a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// What is there for completeness.
pub(crate) const DIM: Style = Style::new().dimmed();

/// A text in a style. `anstream` takes the style out again where there is no terminal, and for
/// `NO_COLOR` (<https://no-color.org>).
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints a line. Who reads no further, as `head`, ends the program quietly.
pub(crate) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(anstream::stdout(), "{text}")
}

/// Prints a line about what is done, to the error stream, so that the output stays the answer.
pub(crate) fn note(text: impl std::fmt::Display) {
    // Nobody may be there to be told.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Asks on a terminal whether that is meant; `deed` is what `--yes` would do.
///
/// # Errors
/// There is no terminal.
pub(crate) fn confirmed(question: &str, deed: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let error = anyhow::anyhow!("there is no terminal to ask on; say --yes to {deed}");
        return Err(Failure::usage(error));
    }
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("the answer cannot be read")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

impl Form {
    /// Prints a document; `table` is what people get instead.
    pub(crate) fn print(
        self,
        document: &impl Serialize,
        table: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let text = match self {
            Self::Table => table(),
            Self::Json => serde_json::to_string_pretty(document)?,
            Self::Yaml => to_yaml(&serde_json::to_value(document)?),
        };
        if !text.is_empty() {
            line(text.trim_end_matches('\n'))?;
        }
        Ok(())
    }

    /// Prints one document of a stream; `text` is what people get instead.
    pub(crate) fn print_next(
        self,
        document: &Json,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        match self {
            Self::Table => line(text()),
            Self::Json => line(document),
            Self::Yaml => line(format_args!("---\n{}", to_yaml(document).trim_end())),
        }
    }
}

/// A table without lines, as kubectl's. Cells may be styled.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| (*heading).to_owned());
        Self {
            rows: vec![headings.collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // A table has a line for each row, whatever stands in a cell.
        let one_line = |cell: String| cell.replace(['\n', '\r', '\t'], " ");
        self.rows.push(cells.into_iter().map(one_line).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| shown(cell)).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            for (column, cell) in row.iter().enumerate() {
                f.write_str(cell)?;
                if column + 1 < row.len() {
                    let padding = widths[column] - shown(cell) + 3;
                    write!(f, "{:padding$}", "")?;
                }
            }
        }
        Ok(())
    }
}

/// Characters that are seen: what a style adds is not.
fn shown(cell: &str) -> usize {
    anstream::adapter::strip_str(cell)
        .to_string()
        .chars()
        .count()
}

/// Says on a terminal how far something has come, at most five times a second.
pub(crate) struct Progress {
    what: &'static str,
    shown: Option<Instant>,
    on: bool,
}

impl Progress {
    /// Progress of `what`, such as `events sent`.
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            shown: None,
            on: io::stderr().is_terminal(),
        }
    }

    /// Shows the number, unless it was just shown.
    pub(crate) fn set(&mut self, done: u64, of: Option<u64>) {
        let now = Instant::now();
        let is_due = (self.shown).is_none_or(|at| now - at >= Duration::from_millis(200));
        if !self.on || !is_due {
            return;
        }
        self.shown = Some(now);
        let of = of.map_or_else(String::new, |of| format!(" of {of}"));
        // Nobody may be there to be told.
        let _ = write!(io::stderr(), "\r\x1b[K{done}{of} {}", self.what);
        let _ = io::stderr().flush();
    }

    /// Takes the line away.
    pub(crate) fn end(&mut self) {
        if self.on && self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_whatever_their_style() {
        let mut table = Table::new(&["ID", "STATUS", "NAME"]);
        table.row([
            "ten-for-fifty".to_owned(),
            styled(GOOD, "active"),
            "a\nb".to_owned(),
        ]);
        table.row(["é".to_owned(), "paused".to_owned(), String::new()]);
        let plain = anstream::adapter::strip_str(&table.to_string()).to_string();
        insta::assert_snapshot!(plain, @r"
        ID              STATUS   NAME
        ten-for-fifty   active   a b
        é               paused
        ");
    }
}
