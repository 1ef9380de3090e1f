//! The documents are true: their links lead somewhere, their commands exist, and the reference of the
//! settings is what the programs say. `UPDATE_DOCS=1 cargo test -p tests --test documents` writes the
//! reference anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::page::{self, Block, Marker};
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
fn every_crate_is_in_the_table_of_folders_and_in_what_docker_builds_of() {
    let manifest = read(&root().join("Cargo.toml"));
    let members = manifest.split("members = [").nth(1).expect("members");
    let members = quoted(members.split(']').next().unwrap_or_default());
    assert!(members.contains(&"matcher"), "{members:?}");
    let folders = read(&root().join("docs/architecture.md"));
    let built_of = read(&root().join(".dockerignore"));
    for member in members {
        let is_in_table = folders.contains(&format!("| `{member}/` |"));
        assert!(is_in_table, "docs/architecture.md says nothing of {member}");
        let mut lines = built_of.lines();
        let is_built_of = lines.any(|line| line.strip_prefix('!') == Some(member));
        assert!(is_built_of, ".dockerignore leaves {member} out");
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
        let blocks = page::blocks(&text).into_iter().filter(Block::is_commands);
        let typed: String = blocks.map(|block| block.text).collect();
        let typed = typed.lines().filter_map(|line| line.strip_prefix("make "));
        for rest in text.split("`make ").skip(1).chain(typed) {
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

/// Languages of blocks that have no commands; of those that have, `sh` and `console`.
const LANGUAGES: [&str; 6] = ["text", "json", "yaml", "csv", "java", "cql"];

/// Why a block may be left alone. What follows a semicolon says what does the same.
const REASONS: [&str; 6] = [
    "builds for minutes",
    "builds and measures for minutes",
    "runs all tests",
    "needs a container engine",
    "needs a Kubernetes cluster",
    "shows figures of thousands of customers",
];

/// What is wrong with a block of that document, if anything is.
fn objection(document: &str, block: &Block) -> Option<String> {
    let is_there = |path: &str| root().join(path).is_file();
    let named = match &block.marker {
        _ if !block.is_commands() => {
            let is_known = LANGUAGES.contains(&block.language()) || block.file().is_some();
            if !is_known {
                return Some(format!("does not say its language: {:?}", block.info));
            }
            let typed = block.text.lines().any(|line| line.starts_with("$ "));
            return typed.then(|| "has commands, and is no console".to_owned());
        }
        Marker::Absent => return Some("is not marked by who runs it, or why not".to_owned()),
        Marker::RunBy(runner) => {
            let runner = Path::new(runner);
            let text = std::fs::read_to_string(root().join(runner)).unwrap_or_default();
            let reads = text.contains(&format!("blocks!(\"{document}\")"));
            let is_script = runner.extension().is_none() && text.contains(document);
            return (!reads && !is_script).then(|| format!("is not read by {}", runner.display()));
        }
        Marker::NotRun(reason) => reason,
    };
    let (reason, instead) = named.split_once("; ").unwrap_or((named, ""));
    if !REASONS.contains(&reason) {
        return Some(format!("is not run for no known reason: {reason:?}"));
    }
    let path = instead.split(' ').next().unwrap_or_default();
    (!instead.is_empty() && !is_there(path)).then(|| format!("names {path}, which is not there"))
}

#[test]
fn every_block_of_commands_is_run_or_says_why_not() {
    let mut objections = Vec::new();
    let (mut run, mut left) = (0, 0);
    for path in documents() {
        let document = path.strip_prefix(root()).expect("it is in the tree");
        let document = document.to_str().expect("a plain name");
        for block in page::blocks(&read(&path)) {
            match block.marker {
                Marker::NotRun(_) => left += 1,
                Marker::RunBy(_) if block.is_commands() => run += 1,
                _ => {}
            }
            let objection = objection(document, &block);
            let at = |what| format!("{document}:{}: the block {what}", block.line);
            objections.extend(objection.map(at));
        }
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
    println!("{run} blocks are run, {left} are not");
    assert!(run > 2 * left, "{run} blocks are run, {left} are not");
}

#[test]
fn an_unmarked_block_and_one_with_an_empty_excuse_are_objected_to() {
    let wrong = [
        "```\nmake\n```",
        "```zsh\nmake\n```",
        "```sh\nmake\n```",
        "```text\n$ make\n```",
        "<!-- not run:  -->\n```sh\nmake\n```",
        "<!-- not run: no time -->\n```sh\nmake\n```",
        "<!-- not run: runs all tests; tests/gone.rs does -->\n```sh\nmake\n```",
        "<!-- run by tests/gone.rs -->\n```sh\nmake\n```",
        "<!-- run by tests/src/page.rs -->\n```sh\nmake\n```",
    ];
    for page in wrong {
        let block = page::blocks(page).remove(0);
        assert!(objection("README.md", &block).is_some(), "{page}");
    }
    let right = page::blocks("<!-- not run: runs all tests; Makefile has it -->\n```sh\nmake\n```");
    assert_eq!(objection("README.md", &right[0]), None);
}

#[test]
fn settings_of_librdkafka_are_taken_as_the_page_shows_them() {
    let mut lines = 0;
    for block in tests::blocks!("docs/security.md") {
        for line in block.text.lines() {
            let pairs = line.strip_prefix("KAFKA_CONFIG=").expect("a setting");
            let kafka = service::settings::KafkaSettings {
                bootstrap_servers: String::new(),
                config: pairs.parse().expect("pairs that are allowed"),
            };
            let reader = kafka.reader();
            assert!(reader.get("security.protocol").is_some(), "{line}");
            lines += 1;
        }
    }
    assert_eq!(lines, 2);
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

/// The default of a setting, as its reference says.
fn default(settings: &str, variable: &str) -> String {
    let row = format!("| `{variable}` |");
    let row = settings.lines().find(|line| line.starts_with(&row));
    let cell = row.and_then(|row| row.split('|').nth(3));
    let cell = cell.unwrap_or_else(|| panic!("{variable} is a setting"));
    cell.trim().trim_matches('`').to_owned()
}

#[test]
fn access_to_kafka_is_given_by_the_names_that_the_services_use() {
    let settings = read(&root().join("docs/settings.md"));
    let default = |variable| default(&settings, variable);
    let kafka = service::settings::KafkaSettings {
        bootstrap_servers: String::new(),
        config: "".parse().expect("no pairs are pairs"),
    };
    let reader = kafka.reader();
    let reader = reader.get("group.id").expect("readers have a group");
    let (matcher, recorder) = (default("MATCHER_GROUP"), default("RECORDER_GROUP"));
    let (events, campaigns) = (default("EVENTS_TOPIC"), default("CAMPAIGNS_TOPIC"));
    let (won, letters) = (default("MATCHES_TOPIC"), default("DEAD_LETTERS_TOPIC"));
    // What each cannot do without: the operation, and on what.
    let state = default("CUSTOMER_STATE_TOPIC");
    let (claims, budgets) = (default("CLAIMS_TOPIC"), default("BUDGET_STATE_TOPIC"));
    let settler = default("SETTLER_GROUP");
    let happenings = default("CAMPAIGN_EVENTS_TOPIC");
    let refusals = default("REFUSALS_TOPIC");
    let audiences = default("AUDIENCE_MEMBERS_TOPIC");
    let needed = [
        ("matcher", "Write", format!("--topic {events}")),
        ("matcher", "Read", format!("--topic {claims}")),
        ("matcher", "Write", format!("--topic {claims}")),
        ("matcher", "Read", format!("--topic {budgets}")),
        ("matcher", "Write", format!("--topic {budgets}")),
        ("matcher", "Write", format!("--topic {refusals}")),
        ("matcher", "Write", format!("--topic {happenings}")),
        ("matcher", "Read", format!("--topic {happenings}")),
        ("campaign-admin", "Read", format!("--topic {happenings}")),
        ("matcher", "Read", format!("--group {settler}")),
        ("matcher", "Write", format!("--transactional-id {settler}-")),
        ("matcher", "Read", format!("--topic {audiences}")),
        ("campaign-admin", "Read", format!("--topic {audiences}")),
        ("campaign-admin", "Write", format!("--topic {audiences}")),
        ("campaign-admin", "Read", format!("--topic {budgets}")),
        ("campaign-admin", "Write", format!("--topic {claims}")),
        ("ingest", "Write", format!("--topic {events}")),
        ("matcher", "Read", format!("--topic {events}")),
        ("matcher", "Read", format!("--topic {campaigns}")),
        ("matcher", "Read", format!("--topic {won}")),
        ("matcher", "Write", format!("--topic {won}")),
        ("matcher", "Read", format!("--topic {state}")),
        ("matcher", "Write", format!("--topic {state}")),
        ("matcher", "Write", format!("--topic {letters}")),
        ("matcher", "Read", format!("--group {matcher}")),
        ("matcher", "Read", format!("--group {recorder}")),
        ("matcher", "Describe", format!("--group {reader}")),
        ("matcher", "Write", format!("--transactional-id {matcher}-")),
        ("campaign-admin", "Read", format!("--topic {campaigns}")),
        ("campaign-admin", "Read", format!("--topic {state}")),
        ("campaign-admin", "Write", format!("--topic {events}")),
        ("campaign-admin", "Write", format!("--topic {campaigns}")),
        (
            "campaign-admin",
            "Write",
            format!("--topic {}", default("CAMPAIGN_CHANGES_TOPIC")),
        ),
        ("campaign-admin", "Describe", format!("--group {reader}")),
        (
            "campaign-admin",
            "Write",
            format!("--transactional-id campaign-admin-{campaigns}"),
        ),
        ("operator", "Read", format!("--topic {letters}")),
        ("operator", "Read", format!("--topic {refusals}")),
        ("operator", "Describe", format!("--group {reader}")),
    ];
    let page = read(&root().join("docs/security.md"));
    let given: Vec<String> = (page.lines())
        .filter(|line| line.starts_with("kafka-acls.sh"))
        .map(|line| format!("{line} "))
        .collect();
    for (who, operation, what) in &needed {
        let is_given = given.iter().any(|line| {
            line.contains(&format!(" User:{who} "))
                && line.contains(&format!(" --operation {operation} "))
                && line.contains(&format!(" {what} "))
        });
        assert!(is_given, "{who} needs {operation} {what}");
    }
    // And no name is misspelt: each is one of those above, or of somebody else's.
    let others = ["rewards", "'*'", "campaignctl-redrive-"];
    for line in &given {
        let mut words = line.split_whitespace();
        let is_flag = |word: &str| matches!(word, "--topic" | "--group" | "--transactional-id");
        let flag = words.find(|word| is_flag(word)).expect("what it is about");
        let name = words.next().expect("a name");
        let known = (needed.iter()).any(|(_, _, what)| *what == format!("{flag} {name}"));
        assert!(known || others.contains(&name), "{line}");
    }
}

/// The words in quotes of a template's expression.
fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

#[test]
fn strimzi_makes_the_topics_that_create_topics_makes() {
    let values = read(&root().join("helm/campaign-manager/values.yaml"));
    let template = read(&root().join("helm/campaign-manager/templates/kafkatopics.yaml"));
    let name = |key: &str| {
        let line = format!("  {key}: ");
        let found = values.lines().find_map(|found| found.strip_prefix(&line));
        found
            .unwrap_or_else(|| panic!("topics.{key} is a value"))
            .to_owned()
    };
    let topics = service::settings::TopicSettings {
        events_topic: name("events"),
        campaigns_topic: name("campaigns"),
        campaign_changes_topic: name("campaignChanges"),
        matches_topic: name("matches"),
        claims_topic: name("claims"),
        customer_state_topic: name("customerState"),
        budget_state_topic: name("budgetState"),
        refusals_topic: name("refusals"),
        campaign_events_topic: name("campaignEvents"),
        audience_members_topic: name("audienceMembers"),
        dead_letters_topic: name("deadLetters"),
    };
    let mut rendered: Vec<_> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(dict \"name\" $topics."))
        .map(|line| {
            let (key, rest) = line.split_once(' ').expect("a topic has partitions");
            let partitions = if rest.contains("\"partitions\" 1") {
                1
            } else {
                24
            };
            let config = rest.split_once("(dict ").map_or("", |(_, config)| config);
            let config = quoted(config);
            let pairs = config
                .chunks(2)
                .map(|pair| (pair[0].to_owned(), pair[1].to_owned()));
            let mut pairs: Vec<_> = pairs.collect();
            pairs.sort();
            (name(key), partitions, pairs)
        })
        .collect();
    rendered.sort();
    let mut planned: Vec<_> = service::kafka::topics::plan(&topics, (24, 24), 3)
        .into_iter()
        .map(|topic| {
            let pairs = topic.config.into_iter();
            let mut pairs: Vec<_> = pairs.map(|(key, value)| (key.to_owned(), value)).collect();
            pairs.sort();
            (topic.name, topic.partitions, pairs)
        })
        .collect();
    planned.sort();
    assert_eq!(rendered, planned);
}
