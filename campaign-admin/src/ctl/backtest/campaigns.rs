//! The campaigns of a backtest, from files that may hold a hundred thousand of them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use rules::{Compiler, Rule};
use schemas::{Campaign, Status};

use super::super::campaign;
use super::super::check::as_if_active;
use super::super::documents::read_all;
use super::super::exit::Failure;
use super::super::output::{BAD, note, styled};

/// So many lines are compiled at once, on all cores.
const LINES: usize = 8 * 1024;

/// Reads and compiles all campaigns, as if they were active.
///
/// # Errors
/// A file cannot be read, or a campaign is wrong; all that are wrong are told.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Arc<Rule>>> {
    let (lines, others): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| has_lines(path));
    let mut compiler = Compiler::new();
    let mut rules = Vec::new();
    let mut wrong = 0;
    for path in lines {
        let file = File::open(&path).with_context(|| format!("{} cannot be read", path.display()));
        let file = BufReader::new(file.map_err(Failure::usage)?);
        let mut lines = (1..).zip(file.split(b'\n'));
        loop {
            let lines = lines.by_ref().take(LINES).map(|(number, text)| {
                let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
                Ok((number, text))
            });
            let lines: Vec<_> = lines.collect::<anyhow::Result<_>>()?;
            if lines.is_empty() {
                break;
            }
            let is_empty = |(_, text): &(usize, Vec<u8>)| text.trim_ascii().is_empty();
            let lines: Vec<_> = lines.into_iter().filter(|line| !is_empty(line)).collect();
            let results = compiler.compile_all(&lines, |(_, text)| campaign_of(text));
            for ((line, _), rule) in lines.iter().zip(results) {
                match rule {
                    Ok(rule) => rules.push(rule),
                    Err(error) => {
                        wrong += 1;
                        note(styled(
                            BAD,
                            format_args!("{}:{line}: {error:#}", path.display()),
                        ));
                    }
                }
            }
        }
    }
    if !others.is_empty() {
        let documents = read_all(&others).map_err(Failure::usage)?;
        let (right, found) = campaign::check(documents);
        wrong += found.len();
        for problem in &found {
            note(styled(BAD, problem));
        }
        rules.extend(right.iter().map(|local| Arc::new(as_if_active(local))));
    }
    if wrong > 0 {
        return Err(Failure::usage(anyhow!("{wrong} problems in the campaigns")));
    }
    Ok(rules)
}

fn has_lines(path: &Path) -> bool {
    let extension = path.extension().and_then(std::ffi::OsStr::to_str);
    matches!(extension, Some("jsonl" | "ndjson")) && path.is_file()
}

fn campaign_of(text: &[u8]) -> anyhow::Result<Campaign> {
    let mut campaign = Campaign::from_json(text)?;
    campaign.status = Status::Active;
    Ok(campaign)
}
