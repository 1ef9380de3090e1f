//! The reference page: what it shows is what happens.
//!
//! A block marked `file=NAME` is written to a file. In a block marked `console` each line that begins with `$`
//! is run, and the lines below it are its output: `…` stands for any text, and alone on a line for any lines;
//! `(exit 1)` at the end says how it ends if not well.

use crate::installation::Installation;

const PAGE: &str = include_str!("../../../docs/campaignctl.md");

struct Step {
    line: usize,
    command: String,
    output: Vec<String>,
    code: i32,
}

#[test]
fn every_command_of_the_page_does_what_it_shows() {
    let installation = Installation::with_default_names();
    let _matcher = installation.start("matcher", &[]);
    let mut ran = 0;
    for (line, info, text) in blocks() {
        if let Some(name) = info
            .split_whitespace()
            .find_map(|word| word.strip_prefix("file="))
        {
            installation.write(name, &text);
        } else if info == "console" {
            for step in steps(line, &text) {
                run(&installation, &step);
                ran += 1;
            }
        }
    }
    assert!(ran >= 20, "{ran} commands");
}

/// Blocks with the number of their first line and what stands behind the fence.
fn blocks() -> Vec<(usize, String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in (1..).zip(PAGE.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((number + 1, info.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, _, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

fn steps(first: usize, text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (line, text) in (first..).zip(text.lines()) {
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
        match text
            .strip_prefix("(exit ")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            Some(code) => step.code = code.parse().expect("a number"),
            None => step.output.push(text.to_owned()),
        }
    }
    steps
}

fn run(installation: &Installation, step: &Step) {
    // Through a shell, as whoever types it; that is what quotes and pipes are for.
    let mut command = std::process::Command::new("sh");
    let ours = installation.command(&[]);
    for (name, value) in ours.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let folder = tests::process::binary("campaignctl");
    let folder = folder.parent().expect("a program is in a folder").display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let output = command
        .args(["-c", &step.command])
        .env("PATH", path)
        .current_dir(installation.folder.path())
        .output()
        .expect("sh can be run");
    let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let said = format!("line {}: {}\n{shown}", step.line, step.command);
    assert_eq!(output.status.code(), Some(step.code), "{said}");
    let expected: Vec<&str> = step.output.iter().map(|line| line.trim_end()).collect();
    assert!(agree(&expected, &lines), "{said}");
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
