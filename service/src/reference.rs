//! The reference page of a program's settings, made from their own documentation.

use std::fmt::Write as _;

use clap::{Arg, Command};

/// The settings of a program as tables in Markdown, one a heading of its `--help`.
pub fn page(command: &Command) -> String {
    let mut page = String::new();
    for heading in headings(command) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "### {heading}\n\n| variable | flag | default | meaning |"
        );
        let _ = writeln!(page, "|---|---|---|---|");
        for argument in settings(command).filter(|found| heading_of(found) == heading) {
            page.push_str(&row(argument));
        }
        page.push('\n');
    }
    page
}

fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|argument| argument.get_action().takes_values() && !argument.is_hide_set())
}

fn headings(command: &Command) -> Vec<&str> {
    let mut headings = Vec::new();
    for argument in settings(command) {
        let heading = heading_of(argument);
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    headings
}

fn heading_of(argument: &Arg) -> &str {
    argument.get_help_heading().unwrap_or("General")
}

fn row(argument: &Arg) -> String {
    let variable = argument
        .get_env()
        .map_or(String::new(), |name| format!("`{}`", name.display()));
    let flag = argument
        .get_long()
        .map_or(String::new(), |flag| format!("`--{flag}`"));
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .filter(|value| !value.is_empty())
        .map(|value| format!("`{}`", value.display()))
        .collect();
    let help = argument.get_help().map(ToString::to_string);
    let help = help.unwrap_or_default().replace('|', "\\|");
    format!(
        "| {variable} | {flag} | {} | {} |\n",
        defaults.join(" "),
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_stands_under_its_heading_with_its_default_and_meaning() {
        let command = Command::new("test")
            .arg(
                Arg::new("topic")
                    .long("events-topic")
                    .env("EVENTS_TOPIC")
                    .default_value("events")
                    .help("What customers\ndid")
                    .help_heading("Topics"),
            )
            .arg(Arg::new("hidden").long("hidden").hide(true));
        assert_eq!(
            page(&command),
            "### Topics\n\n| variable | flag | default | meaning |\n|---|---|---|---|\n\
             | `EVENTS_TOPIC` | `--events-topic` | `events` | What customers did |\n\n"
        );
    }
}
