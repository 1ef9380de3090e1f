//! An explanation as a short text.

use std::fmt::{self, Display, Formatter};

use serde_json::Value as Json;

use super::{Condition, ExperimentFinding, Explanation, Findings, HistoryFinding, Or, Part};
use crate::problem::clip;
use crate::reward::RewardFinding;

const HELD: char = '✓';
const FAILED: char = '✗';

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = match () {
            () if self.wins => "match",
            () if self.is_held_out() => "held out",
            () => "no match",
        };
        write!(f, "{}: {verdict}", self.campaign_id)?;
        let status = &self.status;
        line(f, 1, status.held, format_args!("status: {}", status.found))?;
        let (schedule, at) = (&self.schedule, self.schedule.found);
        if let Some(start) = schedule.asked.start {
            let held = start <= at;
            line(
                f,
                1,
                held,
                format_args!("schedule.start: {start}; the event is of {at}"),
            )?;
        }
        if let Some(end) = schedule.asked.end {
            let held = at < end;
            line(
                f,
                1,
                held,
                format_args!("schedule.end: {end}; the event is of {at}"),
            )?;
        }
        for window in &schedule.asked.windows {
            let held = window.contains(at);
            line(
                f,
                1,
                held,
                format_args!("schedule.windows: {window}; the event is of {at}"),
            )?;
        }
        findings(f, 1, &self.when)?;
        self.reward.iter().try_for_each(|found| reward(f, found))?;
        (self.experiment.iter()).try_for_each(|found| experiment(f, found))?;
        self.history.iter().try_for_each(|found| {
            let path = found.pointer[1..].replace('/', ".");
            let HistoryFinding {
                held, asked, found, ..
            } = found;
            line(f, 1, *held, format_args!("{path}: {asked}; {found}"))
        })
    }
}

fn reward(f: &mut Formatter<'_>, found: &RewardFinding) -> fmt::Result {
    let path = found.pointer[1..].replace('/', ".");
    line(
        f,
        1,
        found.held,
        format_args!("{path}: {}", found.expression),
    )?;
    if let Some(value) = found.value {
        write!(f, " is {value}")?;
    }
    if let Some(why) = &found.why {
        write!(f, " has no value; {why}")?;
    }
    Ok(())
}

fn experiment(f: &mut Formatter<'_>, found: &ExperimentFinding) -> fmt::Result {
    if let Some(share) = found.holdout {
        let is = if found.held { "is not" } else { "is" };
        line(
            f,
            1,
            found.held,
            format_args!("holdout: {share}; the customer {is} held out"),
        )?;
    }
    match &found.variant {
        Some(variant) => line(
            f,
            1,
            true,
            format_args!("variants: the customer has {variant}"),
        ),
        None => Ok(()),
    }
}

/// One line, or what begins one; `depth` counts the steps that it is moved to the right.
fn line(f: &mut Formatter<'_>, depth: usize, held: bool, text: impl Display) -> fmt::Result {
    let mark = if held { HELD } else { FAILED };
    write!(f, "\n{:indent$}{mark} {text}", "", indent = depth * 2)
}

fn findings(f: &mut Formatter<'_>, depth: usize, findings: &Findings) -> fmt::Result {
    findings.parts.iter().try_for_each(|part| match part {
        Part::Condition(found) => condition(f, depth, found),
        Part::Or(found) => or(f, depth, found),
    })
}

fn condition(f: &mut Formatter<'_>, depth: usize, found: &Condition) -> fmt::Result {
    line(f, depth, found.held, format_args!("{}: ", found.path))?;
    list(f, "asks for ", " or ", &found.asked, found.asked_further)?;
    match (&*found.found, found.why) {
        ([], None) => f.write_str("; it is absent")?,
        ([], Some(why)) => write!(f, "; {why}")?,
        (values, why) => {
            list(f, "; found ", ", ", values, found.found_further)?;
            if found.at != found.path {
                write!(f, " in {}", found.at)?;
            }
            if let Some(why) = why {
                write!(f, "; {why}")?;
            }
        }
    }
    if let Some(elsewhere) = &found.elsewhere {
        let but = elsewhere.but.join(", ");
        write!(
            f,
            "; {} would do, but {but} does not hold there",
            elsewhere.at
        )?;
    }
    Ok(())
}

fn or(f: &mut Formatter<'_>, depth: usize, found: &Or) -> fmt::Result {
    line(f, depth, found.held, "one of these:")?;
    for (number, object) in (1..).zip(&found.objects) {
        line(f, depth + 1, object.held, format_args!("{number}."))?;
        if !object.excludes.is_empty() {
            let excluded = object.excludes.join(", ");
            write!(f, " these hold, but no longer together with {excluded}")?;
        }
        findings(f, depth + 2, object)?;
    }
    Ok(())
}

fn list(
    f: &mut Formatter<'_>,
    before: &str,
    between: &str,
    values: &[Json],
    further: usize,
) -> fmt::Result {
    for (number, value) in values.iter().enumerate() {
        f.write_str(if number == 0 { before } else { between })?;
        f.write_str(&clip(&value.to_string()))?;
    }
    if further > 0 {
        write!(f, "{between}{further} more")?;
    }
    Ok(())
}
