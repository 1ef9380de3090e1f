//! Avro from outside: decoding held to apache-avro's, to hostile bytes, and to what events look like.

mod any;
mod decode;
mod documents;
mod events;
mod hostile;
mod json_events;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use schemas::{Document, Node, Value};

/// What a document says.
fn json(node: Node<'_>) -> serde_json::Value {
    match node.value() {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Number(value) => serde_json::from_str(&value.to_string()).unwrap(),
        Value::String(value) => value.into(),
        Value::Array(elements) => elements.map(json).collect(),
        Value::Object(fields) => fields
            .map(|(key, value)| (key.to_owned(), json(value)))
            .collect(),
    }
}

/// What apache-avro writes.
fn encode(schema: &Schema, value: Avro) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

fn root(document: &Document) -> serde_json::Value {
    json(document.root())
}
