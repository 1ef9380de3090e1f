//! What apache-avro writes, the decoder reads, and both read it alike.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use proptest::prelude::*;
use schemas::avro::{EventMapping, EventPlan, Program};
use schemas::{Document, Limits};

use crate::any::any_kind;
use crate::{encode, root};

fn any_case() -> impl Strategy<Value = (String, apache_avro::types::Value, serde_json::Value)> {
    any_kind().prop_flat_map(|kind| {
        let schema = kind.schema(&mut 0).to_string();
        kind.value()
            .prop_map(move |(value, says)| (schema.clone(), value, says))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_value_of_any_schema_is_read_as_it_was_written((text, value, says) in any_case()) {
        let schema = Schema::parse_str(&text).unwrap();
        let bytes = encode(&schema, value.clone());
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        // NaN is not itself.
        if !says.to_string().contains("null") {
            prop_assert_eq!(reader.read_value(&mut &*bytes).unwrap(), value);
        }

        let program = Program::admit(&text, &[]).unwrap();
        let plan = EventPlan::new(&program, &[], &EventMapping::default());
        let mut document = Document::new();
        plan.read(&bytes, Limits::default(), &mut document).unwrap();
        prop_assert_eq!(root(&document), says);
    }

    #[test]
    fn whatever_the_bytes_nothing_is_read_that_apache_avro_refuses(
        (text, value, _) in any_case(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let schema = Schema::parse_str(&text).unwrap();
        let mut bytes = encode(&schema, value);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        for (place, byte) in changes {
            if !bytes.is_empty() {
                let at = place.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let program = Program::admit(&text, &[]).unwrap();
        let mut document = Document::new();
        if program.read(&bytes, Limits::default(), &mut document).is_ok() {
            let reader = GenericDatumReader::builder(&schema).build().unwrap();
            let mut rest = &*bytes;
            prop_assert!(reader.read_value(&mut rest).is_ok());
            prop_assert!(rest.is_empty());
        } else {
            prop_assert_eq!(root(&document), serde_json::Value::Null);
        }
    }
}
