//! The description for people: one page of HTML, made from it, with nothing to load from elsewhere.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde_json::{Map, Value};

use super::openapi;

const STYLE: &str = include_str!("rendered.css");

/// `/openapi.json` and `/docs`, for everybody.
pub(super) fn routes() -> Router {
    static JSON: LazyLock<String> = LazyLock::new(openapi::json);
    static PAGE: LazyLock<String> = LazyLock::new(|| {
        let description = serde_json::from_str(&JSON);
        page(&description.expect("the description is JSON"))
    });
    let json = async || ([(CONTENT_TYPE, "application/json")], JSON.as_str());
    let docs = async || {
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        ([(CONTENT_SECURITY_POLICY, policy)], Html(PAGE.as_str())).into_response()
    };
    Router::new()
        .route("/openapi.json", get(json))
        .route("/docs", get(docs))
}

fn page(description: &Value) -> String {
    let info = &description["info"];
    let title = escaped(text(&info["title"]));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n"
    );
    paragraphs(&mut out, text(&info["description"]));
    out += "<p>For tools: <a href=\"/openapi.json\">/openapi.json</a></p>\n";
    let operations = operations(description);
    out += "<nav><ul>\n";
    for operation in &operations {
        let name = escaped(text(&operation.json["operationId"]));
        let summary = escaped(text(&operation.json["summary"]));
        add(
            &mut out,
            format_args!("<li><a href=\"#{name}\">{summary}</a></li>\n"),
        );
    }
    out += "</ul></nav>\n<main>\n";
    for tag in list(&description["tags"]) {
        let name = text(&tag["name"]);
        add(&mut out, format_args!("<h2>{}</h2>\n", escaped(name)));
        paragraphs(&mut out, text(&tag["description"]));
        let of_tag = |operation: &&Operation<'_>| operation.json["tags"][0] == *name;
        for operation in operations.iter().filter(of_tag) {
            operation.render(&mut out, description);
        }
    }
    out += "<h2>Documents</h2>\n";
    for (name, schema) in fields(&description["components"]["schemas"]) {
        document(&mut out, name, schema);
    }
    out + "</main></body></html>\n"
}

struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    json: &'a Value,
}

fn operations(description: &Value) -> Vec<Operation<'_>> {
    let paths = fields(&description["paths"]);
    let operations = paths.flat_map(|(path, item)| {
        fields(item).map(move |(method, json)| Operation { method, path, json })
    });
    operations.collect()
}

impl Operation<'_> {
    fn render(&self, out: &mut String, description: &Value) {
        let json = self.json;
        let name = escaped(text(&json["operationId"]));
        let summary = escaped(text(&json["summary"]));
        let (method, path) = (self.method.to_uppercase(), escaped(self.path));
        add(
            out,
            format_args!(
                "<section id=\"{name}\">\n<h3>{summary}</h3>\n\
                 <p><code class=\"call\"><b>{method}</b> {path}</code></p>\n"
            ),
        );
        paragraphs(out, text(&json["description"]));
        let parameters = list(&json["parameters"]).map(|parameter| {
            let name = escaped(text(&parameter["name"]));
            let place = escaped(text(&parameter["in"]));
            let needed = if parameter["required"] == true {
                ", required"
            } else {
                ""
            };
            let meaning = escaped(text(&parameter["description"]));
            (
                format!("<code>{name}</code> <small>{place}{needed}</small>"),
                meaning,
            )
        });
        table(out, "Parameters", parameters);
        for (media_type, content) in fields(&json["requestBody"]["content"]) {
            let example = example(content, description);
            add(
                out,
                format_args!(
                    "<h4>Body</h4>\n<p><code>{}</code>: {}</p>\n{example}",
                    escaped(media_type),
                    type_of(&content["schema"]),
                ),
            );
        }
        let responses = fields(&json["responses"]).map(|(status, response)| {
            let content = fields(&response["content"]).next();
            let of = content.map_or(String::new(), |(_, content)| type_of(&content["schema"]));
            let meaning = escaped(text(&response["description"]));
            (
                format!("<code>{}</code>", escaped(status)),
                format!("{meaning} {of}"),
            )
        });
        table(out, "Answers", responses);
        out.push_str("</section>\n");
    }
}

/// The example of a body: its own, or that of its document.
fn example(content: &Value, description: &Value) -> String {
    let own = Some(&content["example"]).filter(|example| !example.is_null());
    let name = reference(&content["schema"]);
    let example = own.or_else(|| description["components"]["schemas"][name?].get("example"));
    let pretty = example.and_then(|example| serde_json::to_string_pretty(example).ok());
    pretty.map_or(String::new(), |json| {
        format!("<pre>{}</pre>\n", escaped(&json))
    })
}

fn document(out: &mut String, name: &str, schema: &Value) {
    let title = escaped(name);
    add(
        out,
        format_args!("<section id=\"{title}\">\n<h3>{title}</h3>\n"),
    );
    paragraphs(out, text(&schema["description"]));
    let required: Vec<_> = list(&schema["required"]).collect();
    let rows = fields(&schema["properties"]).map(|(field, schema)| {
        let needed = if required.iter().any(|name| **name == **field) {
            ", required"
        } else {
            ""
        };
        let left = format!(
            "<code>{}</code> <small>{}{needed}</small>",
            escaped(field),
            type_of(schema)
        );
        (left, escaped(text(&schema["description"])))
    });
    table(out, "Fields", rows);
    let words: Vec<_> = list(&schema["enum"])
        .map(|word| escaped(text(word)))
        .collect();
    if !words.is_empty() {
        add(
            out,
            format_args!(
                "<p>One of <code>{}</code></p>\n",
                words.join("</code>, <code>")
            ),
        );
    }
    out.push_str("</section>\n");
}

/// The type of a schema, as a link where it is a document of its own.
fn type_of(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        let name = escaped(name);
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if schema["items"].is_object() {
        return format!("list of {}", type_of(&schema["items"]));
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds
            .iter()
            .map(text)
            .filter(|kind| *kind != "null")
            .collect(),
        kind => vec![text(kind)],
    };
    escaped(&kinds.join(" or "))
}

/// The name of the document that a schema is, also where it may be absent.
fn reference(schema: &Value) -> Option<&str> {
    let direct = schema["$ref"].as_str();
    let of_one = || list(&schema["oneOf"]).find_map(|one| one["$ref"].as_str());
    direct.or_else(of_one)?.rsplit('/').next()
}

fn table(out: &mut String, title: &str, rows: impl Iterator<Item = (String, String)>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    add(out, format_args!("<h4>{title}</h4>\n<table>\n"));
    for (left, right) in rows {
        add(
            out,
            format_args!("<tr><th scope=\"row\">{left}</th><td>{right}</td></tr>\n"),
        );
    }
    out.push_str("</table>\n");
}

fn paragraphs(out: &mut String, text: &str) {
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        add(out, format_args!("<p>{}</p>\n", escaped(paragraph)));
    }
}

fn add(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(what);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// A text as HTML, with what stands between backticks as code.
fn escaped(text: &str) -> String {
    let html = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let parts = html.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => part.to_owned(),
        _ => format!("<code>{part}</code>"),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_document_has_its_place_and_every_link_leads_somewhere() {
        let description: Value = serde_json::from_str(&openapi::json()).unwrap();
        let page = page(&description);
        for operation in operations(&description) {
            let name = text(&operation.json["operationId"]);
            assert!(page.contains(&format!("<section id=\"{name}\">")), "{name}");
        }
        let targets = page.split("href=\"#").skip(1);
        for target in targets.filter_map(|rest| rest.split('"').next()) {
            assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
        }
        assert!(!page.contains("http://") && !page.contains("https://"));
    }

    #[test]
    fn texts_cannot_become_markup() {
        assert_eq!(
            escaped("<b> & `a<b`"),
            "&lt;b&gt; &amp; <code>a&lt;b</code>"
        );
    }
}
