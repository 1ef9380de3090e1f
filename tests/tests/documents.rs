//! The documents are true: their links lead somewhere, their commands exist, and the reference of the
//! settings is what the programs say. `UPDATE_DOCS=1 cargo test -p tests --test documents` writes the
//! reference anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::process::binary;
use tests::servers::root;

/// The programs whose settings docs/settings.md lists.
const PROGRAMS: [&str; 3] = ["ingest", "matcher", "campaign-admin"];

fn documents() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--", "*.md"])
        .current_dir(root())
        .output()
        .expect("git lists the documents");
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .map(|name| root().join(name))
        .collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The targets of Markdown links, without those to other sites and within the page.
fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default().to_owned())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let documents = documents();
    assert!(!documents.is_empty());
    for document in documents {
        let folder = document.parent().expect("a file is in a folder");
        for link in links(&read(&document)) {
            let target = folder.join(&link);
            assert!(target.exists(), "{} links to {link}", document.display());
        }
    }
}

#[test]
fn every_make_command_of_a_document_is_a_target() {
    let makefile = read(&root().join("Makefile"));
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['.', '\t', '#']))
        .filter_map(|line| line.split_once(':'))
        .map(|(target, _)| target)
        .collect();
    let mut named = 0;
    for document in documents() {
        let text = read(&document);
        for rest in text.split("`make ").skip(1) {
            let target = rest.split(['`', ' ']).next().unwrap_or_default();
            assert!(
                targets.contains(target),
                "{} names make {target}",
                document.display()
            );
            named += 1;
        }
    }
    assert!(named >= 2, "the README names its two commands");
}

#[test]
fn the_reference_of_the_settings_is_what_the_programs_say() {
    let path = root().join("docs/settings.md");
    let page = read(&path);
    let (introduction, _) = page
        .split_once("\n## ")
        .expect("a section for each program");
    let mut current = introduction.to_owned();
    for program in PROGRAMS {
        let printed = Command::new(binary(program))
            .arg("--print-reference")
            .output()
            .expect("the program is built");
        assert!(printed.status.success(), "{program} --print-reference");
        let tables = String::from_utf8(printed.stdout).expect("Markdown is text");
        current.push_str(&["\n## ", program, "\n\n", &tables].concat());
    }
    let current = format!("{}\n", current.trim_end());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).expect("the page can be written");
    }
    assert!(
        read(&path) == current,
        "docs/settings.md is not what the programs say; UPDATE_DOCS=1 writes it anew"
    );
}
