//! A Prometheus, and what it is asked over HTTP.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;
use tests::servers::Server;

pub(crate) struct Prometheus {
    server: Server,
}

impl Prometheus {
    /// Reads these addresses every half second and evaluates those rules every second. The series have
    /// the namespace that the rules ask for.
    pub(crate) fn reading(targets: &[String], rules: &Path) -> Self {
        let mut configuration = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}}\n\
             rule_files: [{}]\n\
             scrape_configs:\n\
             - job_name: campaign-manager\n  static_configs:\n",
            rules.display()
        );
        for target in targets {
            let line = format!("  - {{targets: ['{target}'], labels: {{namespace: compose}}}}");
            writeln!(configuration, "{line}").expect("a string takes all");
        }
        Self {
            server: Server::prometheus(&configuration),
        }
    }

    /// How many series answer that question with a number.
    ///
    /// # Panics
    /// Prometheus does not understand it.
    pub(crate) fn numbers(&self, question: &str) -> usize {
        let answer = self.ask("/api/v1/query", &[("query", question)]);
        let series = answer["result"].as_array().expect("an answer has series");
        let is_number = |series: &&Value| series["value"][1] != "NaN";
        series.iter().filter(is_number).count()
    }

    /// Every series that an alert looks at, as a selector of its own without the time it looks back.
    pub(crate) fn selectors_of_alerts(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for rule in self.rules() {
            let query = rule["query"].as_str().expect("a rule has a query");
            let tree = self.ask("/api/v1/parse_query", &[("query", query)]);
            collect(&tree, &mut found);
        }
        found
    }

    /// Whether all rules were evaluated, and without an error.
    pub(crate) fn all_rules_are_well(&self) -> bool {
        let rules = self.rules();
        !rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok")
    }

    fn rules(&self) -> Vec<Value> {
        let answer = self.ask("/api/v1/rules", &[]);
        let groups = answer["groups"].as_array().expect("rules have groups");
        let rules = |group: &Value| group["rules"].as_array().cloned().unwrap_or_default();
        groups.iter().flat_map(rules).collect()
    }

    fn ask(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let method = if form.is_empty() { "GET" } else { "POST" };
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", escaped(value));
        let body: Vec<_> = form.iter().map(pair).collect();
        let body = body.join("&");
        // HTTP/1.0: the answer comes in one piece and ends with the connection.
        let request = format!(
            "{method} {path} HTTP/1.0\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.server.address()).expect("Prometheus listens");
        let mut answer = String::new();
        stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.read_to_string(&mut answer))
            .expect("Prometheus answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        let mut answer: Value = serde_json::from_str(body).expect("Prometheus answers in JSON");
        assert_eq!(answer["status"], "success", "{form:?}: {answer}");
        answer["data"].take()
    }
}

/// Selectors of the tree of a query.
fn collect(tree: &Value, found: &mut BTreeSet<String>) {
    match tree {
        Value::Object(node) => {
            let kind = node.get("type").and_then(Value::as_str);
            if matches!(kind, Some("vectorSelector" | "matrixSelector")) {
                let matchers = node["matchers"].as_array().into_iter().flatten();
                let matchers: Vec<_> = matchers
                    .map(|matcher| {
                        let part = |name: &str| matcher[name].as_str().unwrap_or_default();
                        format!("{}{}{:?}", part("name"), part("type"), part("value"))
                    })
                    .collect();
                // The name is one of the matchers.
                found.insert(format!("{{{}}}", matchers.join(",")));
            }
            node.values().for_each(|node| collect(node, found));
        }
        Value::Array(nodes) => nodes.iter().for_each(|node| collect(node, found)),
        _ => {}
    }
}

/// As a form wants it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a string takes all");
        }
    }
    escaped
}
