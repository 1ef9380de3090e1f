//! What docs/security.md grants, given to a broker by Kafka's own protocol: rdkafka has no call for it, and
//! `kafka-acls.sh` would take a second for each line.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A grant, in the numbers of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    principal: String,
    operation: i8,
    resource: i8,
    name: String,
    pattern: i8,
}

const RESOURCES: [(&str, i8); 4] = [
    ("--topic", 2),
    ("--group", 3),
    ("--cluster", 4),
    ("--transactional-id", 5),
];
const OPERATIONS: [(&str, i8); 5] = [
    ("Read", 3),
    ("Write", 4),
    ("Create", 5),
    ("Describe", 8),
    ("DescribeConfigs", 10),
];
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const ALLOW: i8 = 3;

fn number(of: &[(&str, i8)], word: &str) -> i8 {
    let found = of.iter().find(|(known, _)| *known == word);
    found.unwrap_or_else(|| panic!("{word:?} is not known")).1
}

/// The grants of commands, one a line.
pub(crate) fn of_commands(commands: &str) -> Vec<Grant> {
    let command = |line: &str| {
        let arguments = line.strip_prefix("kafka-acls.sh --add ");
        of_command(arguments.unwrap_or_else(|| panic!("{line:?} grants nothing")))
    };
    commands.lines().flat_map(command).collect()
}

fn of_command(arguments: &str) -> Vec<Grant> {
    let mut words = arguments.split_whitespace();
    let (mut principal, mut operations) = (String::new(), Vec::new());
    let (mut resource, mut name, mut pattern) = (0, String::new(), LITERAL);
    while let Some(flag) = words.next() {
        let mut value = || words.next().expect("a value").trim_matches('\'').to_owned();
        match flag {
            "--allow-principal" => principal = value(),
            "--operation" => operations.push(number(&OPERATIONS, &value())),
            "--resource-pattern-type" => {
                assert_eq!(value(), "prefixed");
                pattern = PREFIXED;
            }
            "--cluster" => {
                (resource, name) = (number(&RESOURCES, flag), "kafka-cluster".to_owned());
            }
            flag => (resource, name) = (number(&RESOURCES, flag), value()),
        }
    }
    let grants = operations.into_iter().map(|operation| Grant {
        principal: principal.clone(),
        operation,
        resource,
        name: name.clone(),
        pattern,
    });
    grants.collect()
}

/// Gives all of them at once, as that user.
pub(crate) fn give(broker: &str, (user, password): (&str, &str), grants: &[Grant]) {
    let mut connection = Connection(TcpStream::connect(broker).expect("the broker listens"));
    let timeout = Some(Duration::from_secs(30));
    (connection.0.set_read_timeout(timeout)).expect("a time that a socket takes");

    // SaslHandshake, version 1.
    let mut handshake = Vec::new();
    text(&mut handshake, "PLAIN");
    let answer = connection.ask(17, 1, &handshake);
    assert_eq!(answer[..2], [0, 0], "PLAIN is known");
    // SaslAuthenticate, version 0.
    let plain = format!("\0{user}\0{password}");
    let mut authenticate = Vec::new();
    length(&mut authenticate, plain.len());
    authenticate.extend_from_slice(plain.as_bytes());
    let answer = connection.ask(36, 0, &authenticate);
    assert_eq!(answer[..2], [0, 0], "{user} is known");
    // CreateAcls, version 1.
    let mut create = Vec::new();
    length(&mut create, grants.len());
    for grant in grants {
        create.push(grant.resource.cast_unsigned());
        text(&mut create, &grant.name);
        create.push(grant.pattern.cast_unsigned());
        text(&mut create, &grant.principal);
        text(&mut create, "*");
        create.push(grant.operation.cast_unsigned());
        create.push(ALLOW.cast_unsigned());
    }
    let answer = connection.ask(30, 1, &create);
    // How long the client is throttled, the number of results, and for each an error and no message.
    let results = answer[8..].chunks(4).map(|result| result[..2] == [0, 0]);
    let results: Vec<bool> = results.collect();
    assert_eq!(results, vec![true; grants.len()], "{answer:?}");
}

struct Connection(TcpStream);

impl Connection {
    /// Asks, and gives what follows after the header of the answer.
    fn ask(&mut self, request: i16, version: i16, body: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend_from_slice(&request.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&7_i32.to_be_bytes());
        text(&mut frame, "tests");
        frame.extend_from_slice(body);
        let mut sized = Vec::new();
        length(&mut sized, frame.len());
        sized.extend_from_slice(&frame);
        self.0.write_all(&sized).expect("the broker listens");
        let mut size = [0; 4];
        self.0.read_exact(&mut size).expect("the broker answers");
        let mut answer = vec![0; u32::from_be_bytes(size) as usize];
        self.0.read_exact(&mut answer).expect("a whole answer");
        answer.split_off(4)
    }
}

fn length(out: &mut Vec<u8>, length: usize) {
    let length = i32::try_from(length).expect("a short request");
    out.extend_from_slice(&length.to_be_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).expect("a short text");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}
