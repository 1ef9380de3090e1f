//! Files of customers: one id a line, or CSV.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use schemas::CustomerId;

use super::super::exit::Failure;

/// The column of a CSV file without `--column`, if its first line has one of that name.
const CUSTOMER_ID: &str = "customer_id";

/// How a file of customers is to be read.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FileForm {
    /// Form of the file: an id a line, byte for byte, or CSV [default: csv for a file of that name, lines for others]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Column of a CSV file that has the ids, by its name in the first line [default: the first; a first line that
    /// begins with `customer_id` is no customer]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An id a line.
    Lines,
    /// Values with commas between them, in double quotes where they have a comma or a quote (RFC 4180); a line each.
    Csv,
}

/// A customer of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Who.
    pub(crate) id: String,
    /// Where the next line begins, in bytes from the beginning of the file.
    pub(crate) end: u64,
}

impl FileForm {
    /// The customers of a file; - is standard input.
    ///
    /// # Errors
    /// It cannot be read, or has no such column.
    pub(crate) fn open(&self, path: &Path) -> anyhow::Result<Lines<Box<dyn BufRead>>> {
        let input: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(BufReader::new(io::stdin()))
        } else {
            let file = File::open(path);
            let file = file.with_context(|| format!("{} cannot be read", path.display()));
            Box::new(BufReader::with_capacity(
                1 << 20,
                file.map_err(Failure::usage)?,
            ))
        };
        let lines = self.lines(path, input);
        lines.map_err(|error| Failure::usage(error.context(path.display().to_string())))
    }

    /// The customers of what is read, as if it was that file.
    pub(super) fn lines<R: BufRead>(&self, path: &Path, input: R) -> anyhow::Result<Lines<R>> {
        let extension = path.extension().and_then(std::ffi::OsStr::to_str);
        let is_csv = extension.is_some_and(|it| it.eq_ignore_ascii_case("csv"));
        let by_name = if is_csv || self.column.is_some() {
            Format::Csv
        } else {
            Format::Lines
        };
        let mut lines = Lines {
            input,
            format: self.format.unwrap_or(by_name),
            column: 0,
            number: 0,
            end: 0,
            first: None,
        };
        if lines.format == Format::Lines {
            return if self.column.is_some() {
                Err(anyhow!("a file of lines has no columns; say --format csv"))
            } else {
                Ok(lines)
            };
        }
        let Some(head) = lines.next_text()? else {
            return Ok(lines);
        };
        let names = fields(&head)?;
        match &self.column {
            None if names.first().is_some_and(|name| name == CUSTOMER_ID) => {}
            None => lines.first = Some(head),
            Some(column) => {
                let place = names.iter().position(|name| name == column);
                lines.column = place.with_context(|| {
                    format!(
                        "there is no column {column:?}; the first line has {}",
                        names.join(", ")
                    )
                })?;
            }
        }
        Ok(lines)
    }
}

/// The customers of a file, each or what is wrong with its line. Empty lines are passed over.
pub(crate) struct Lines<R> {
    input: R,
    format: Format,
    /// Of CSV, where the ids are.
    column: usize,
    number: u64,
    end: u64,
    /// A line that was read to see whether it has names.
    first: Option<String>,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end; none behind the last.
    fn next_text(&mut self) -> anyhow::Result<Option<String>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let mut bytes = Vec::new();
        let read = self.input.read_until(b'\n', &mut bytes);
        let read = read.with_context(|| format!("line {}", self.number + 1))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.end += read as u64;
        let mut line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.number == 1 {
            // Spreadsheets begin files with it.
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        let text = std::str::from_utf8(line);
        let text = text.with_context(|| format!("line {} is not UTF-8", self.number))?;
        Ok(Some(text.to_owned()))
    }

    fn next_line(&mut self) -> anyhow::Result<Option<Line>> {
        while let Some(text) = self.next_text()? {
            if text.is_empty() {
                continue;
            }
            let numbered = |error: anyhow::Error| error.context(format!("line {}", self.number));
            let id = match self.format {
                Format::Lines => text,
                Format::Csv => {
                    let column = self.column;
                    let mut fields = fields(&text).map_err(numbered)?;
                    if column >= fields.len() {
                        let found = fields.len();
                        return Err(numbered(anyhow!("there are only {found} columns")));
                    }
                    fields.swap_remove(column)
                }
            };
            CustomerId::check(&id).map_err(|error| numbered(error.into()))?;
            let end = self.end;
            return Ok(Some(Line { id, end }));
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = anyhow::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().map_err(Failure::usage).transpose()
    }
}

/// The values of a line of CSV.
fn fields(line: &str) -> anyhow::Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err(anyhow!("there is something behind a closing quote")),
        }
    }
}

/// The value that begins behind a quote, and what is behind its closing quote.
fn unquoted(text: &str) -> anyhow::Result<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let end = rest
            .find('"')
            .context("a quote is not closed; a value has no line breaks here")?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            // A quote of the value is written twice.
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => return Ok((value, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, form: &FileForm, text: &str) -> Result<Vec<String>, String> {
        let lines = form.lines(Path::new(name), text.as_bytes());
        let lines = lines.map_err(|error| format!("{error:#}"))?;
        let ids = lines.map(|line| {
            line.map(|line| line.id)
                .map_err(|error| format!("{error:#}"))
        });
        ids.collect()
    }

    fn column(name: &str) -> FileForm {
        FileForm {
            format: None,
            column: Some(name.to_owned()),
        }
    }

    #[test]
    fn a_file_has_an_id_a_line_or_columns() {
        let plain = FileForm::default();
        assert_eq!(
            read("a.txt", &plain, "ada\r\n\nb,ob\n c").unwrap(),
            ["ada", "b,ob", " c"]
        );
        let csv = "\u{feff}customer_id,since\nada,2026\n\"b,\"\"ob\",2025\n";
        assert_eq!(read("a.csv", &plain, csv).unwrap(), ["ada", "b,\"ob"]);
        assert_eq!(
            read("a.CSV", &plain, "ada,1\nbob,2\n").unwrap(),
            ["ada", "bob"]
        );
        let named = "since,id\n2026,ada\n,bob\n";
        assert_eq!(read("-", &column("id"), named).unwrap(), ["ada", "bob"]);
        assert!(read("a.csv", &plain, "").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let plain = FileForm::default();
        let cases = [
            (
                "a.txt",
                &plain,
                "ada\nb\tob\n",
                "line 2: customer_id has '\\t' at byte 1",
            ),
            (
                "a.csv",
                &plain,
                "customer_id,x\n,1\n",
                "line 2: customer_id is empty",
            ),
            (
                "a.csv",
                &plain,
                "ada\n\"bob\n",
                "line 2: a quote is not closed",
            ),
            (
                "a.csv",
                &plain,
                "ada\n\"b\"ob\n",
                "line 2: there is something behind",
            ),
            (
                "a.csv",
                &column("id"),
                "a,id\nx\n",
                "line 2: there are only 1 columns",
            ),
            (
                "a.csv",
                &column("it"),
                "a,id\n",
                "no column \"it\"; the first line has a, id",
            ),
        ];
        for (name, form, text, expected) in cases {
            let error = read(name, form, text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let lines = FileForm {
            format: Some(Format::Lines),
            ..column("id")
        };
        assert!(read("a", &lines, "").unwrap_err().contains("no columns"));
        let bytes = plain.lines(Path::new("a"), &b"ada\n\xff\n"[..]).unwrap();
        let error = bytes.last().unwrap().unwrap_err();
        assert!(format!("{error:#}").contains("line 2 is not UTF-8"));
    }

    #[test]
    fn a_line_says_where_the_next_begins() {
        let text = "ada\r\nbob\ncleo";
        let lines = FileForm::default().lines(Path::new("a"), text.as_bytes());
        let ends: Vec<_> = lines.unwrap().map(|line| line.unwrap().end).collect();
        assert_eq!(ends, [5, 9, 13]);
    }
}
