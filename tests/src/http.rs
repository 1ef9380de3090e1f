//! A client of HTTP/1.1 that keeps its connection: one request after another, nothing in between.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A connection. Broken after an error.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| &**value)
    }
}

impl Connection {
    /// Connects to `host:port`. No answer takes longer than a minute.
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends bytes as they are, and waits for nothing.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a whole request, as [`request`] makes it, and reads its answer.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request)?;
        self.read()
    }

    /// Whether anything of an answer is there; waits for nothing.
    pub fn is_answered(&self) -> io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        match peeked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(!self.received.is_empty())
            }
            peeked => peeked.map(|_| true),
        }
    }

    /// Reads an answer.
    pub fn read(&mut self) -> io::Result<Answer> {
        loop {
            if let Some((answer, length)) = parse(&self.received)? {
                self.received.drain(..length);
                return Ok(answer);
            }
            let mut part = [0; 16 * 1024];
            match self.stream.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.received.extend_from_slice(&part[..length]),
            }
        }
    }
}

/// A request with a body.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n");
    for (name, value) in headers {
        request.push_str(&[name, ": ", value, "\r\n"].concat());
    }
    let mut request = request.into_bytes();
    request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    request
}

/// The answer at the beginning of these bytes and its length, once it is whole.
///
/// # Errors
/// They do not begin with an answer that says its length.
pub fn parse(bytes: &[u8]) -> io::Result<Option<(Answer, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| invalid())?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length
        .and_then(|(_, length)| length.parse().ok())
        .ok_or_else(invalid)?;
    let body = end + 4;
    let Some(content) = bytes.get(body..body + length) else {
        return Ok(None);
    };
    let answer = Answer {
        status: status.ok_or_else(invalid)?,
        headers,
        body: content.to_vec(),
    };
    Ok(Some((answer, body + length)))
}
