//! The API as curl would use it: one connection a request, nothing hidden.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use tests::process::Process;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// As JSON; null if it is none.
    pub(crate) json: Value,
    pub(crate) text: String,
}

impl Answer {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let same = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().find(same).map(|(_, value)| &**value)
    }

    /// The text of the state in `ETag`, without its quotes.
    pub(crate) fn tag(&self) -> String {
        let tag = self.header("etag").expect("a state").trim_matches('"');
        tag.to_owned()
    }

    /// The same answer, if it has that status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

/// The API of one replica.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    address: String,
    key: Option<String>,
}

impl Api {
    /// That of a running process.
    pub(crate) fn of(process: &Process) -> Self {
        let address = process.api().to_owned();
        Self { address, key: None }
    }

    /// The same with an API key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None).expect("an answer")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], Some(body)).expect("an answer")
    }

    pub(crate) fn put(&self, path: &str, tag: &str, body: &Value) -> Answer {
        let tag = quoted(tag);
        let answer = self.send("PUT", path, &[("If-Match", &tag)], Some(body));
        answer.expect("an answer")
    }

    pub(crate) fn delete(&self, path: &str, tag: &str) -> Answer {
        let tag = quoted(tag);
        let answer = self.send("DELETE", path, &[("If-Match", &tag)], None);
        answer.expect("an answer")
    }

    /// Sends a request. An error means that nobody knows what came of it.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> io::Result<Answer> {
        let body = body.map(Value::to_string);
        let text = body.as_deref();
        self.send_text(method, path, headers, text)
    }

    /// The same with any text as the body.
    pub(crate) fn send_text(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        let mut add = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                request.push_str(part);
            }
        };
        if let Some(key) = &self.key {
            add("Authorization", &format!("Bearer {key}"));
        }
        let typed = headers.iter().any(|(name, _)| *name == "Content-Type");
        for (name, value) in headers {
            add(name, value);
        }
        if let Some(body) = body {
            if !typed {
                add("Content-Type", "application/json");
            }
            add("Content-Length", &body.len().to_string());
        }
        request += "\r\n";
        request += body.unwrap_or_default();
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        parse(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// A state as `If-Match` takes it.
fn quoted(tag: &str) -> String {
    match tag {
        "*" => tag.to_owned(),
        tag => format!("\"{tag}\""),
    }
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    // A connection that ends early is no answer.
    if let Some((_, length)) = length
        && length.parse() != Ok(text.len())
    {
        return None;
    }
    Some(Answer {
        status,
        headers,
        json: serde_json::from_str(text).unwrap_or_default(),
        text: text.to_owned(),
    })
}
