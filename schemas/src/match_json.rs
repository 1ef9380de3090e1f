//! The JSON form of matches, written field by field: the same bytes as serde writes, in a third of the time. A matcher
//! writes one for each event that wins, which makes it a tenth of what an event costs.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::Serialize;

use crate::{Match, Source};

/// Writes the JSON of matches. Owned by one thread.
#[derive(Debug, Default)]
pub(crate) struct MatchJson {
    /// The last time of decision and its text: thousands of matches are decided in one millisecond.
    decided: Option<(Timestamp, Vec<u8>)>,
}

impl MatchJson {
    /// Writes a match behind what is in `out`.
    pub(crate) fn write(&mut self, won: &Match<'_>, out: &mut Vec<u8>) {
        name(b"{\"match_id\":", &won.match_id, out);
        name(b",\"event_id\":", &won.event_id, out);
        name(b",\"campaign_id\":", &won.campaign_id, out);
        field(b",\"campaign_version\":", &won.campaign_version, out);
        field(b",\"campaigns_offset\":", &won.campaigns_offset, out);
        name(b",\"customer_id\":", &won.customer_id, out);
        name(b",\"event_type\":", &won.event_type, out);
        out.extend_from_slice(b",\"occurred_at\":");
        moment(won.occurred_at, out);
        out.extend_from_slice(b",\"matched_at\":");
        self.decided(won.matched_at, out);
        out.extend_from_slice(b",\"reward\":");
        out.extend_from_slice(won.reward.get().as_bytes());
        source(&won.source, out);
        if let Some(variant) = &won.variant {
            name(b",\"variant\":", variant, out);
        }
        if !won.status.is_granted() {
            name(b",\"status\":", won.status.as_str(), out);
        }
        if let Some(at) = won.confirm_at {
            out.extend_from_slice(b",\"confirm_at\":");
            moment(at, out);
        }
        if let Some(at) = won.confirmed_at {
            out.extend_from_slice(b",\"confirmed_at\":");
            moment(at, out);
        }
        if let Some(total) = &won.reversed_total {
            field(b",\"reversed_total\":", total, out);
        }
        if let Some(reversal) = &won.reversal {
            field(b",\"reversal\":", reversal, out);
        }
        out.push(b'}');
    }

    fn decided(&mut self, at: Timestamp, out: &mut Vec<u8>) {
        match &mut self.decided {
            Some((last, text)) if *last == at => out.extend_from_slice(text),
            _ => {
                let begin = out.len();
                moment(at, out);
                self.decided = Some((at, out[begin..].to_vec()));
            }
        }
    }
}

fn source(source: &Source<'_>, out: &mut Vec<u8>) {
    name(b",\"source\":{\"topic\":", &source.topic, out);
    field(b",\"partition\":", &source.partition, out);
    field(b",\"offset\":", &source.offset, out);
    out.push(b'}');
}

/// What is not text, or seldom written.
fn field<T: Serialize>(lead: &[u8], value: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(lead);
    serde_json::to_writer(out, value).expect("our documents have a JSON form");
}

/// A text, as nearly all are without anything that JSON escapes (RFC 8259, section 7).
fn name(lead: &[u8], text: &str, out: &mut Vec<u8>) {
    let is_plain = text
        .bytes()
        .all(|it| it >= b' ' && it != b'"' && it != b'\\');
    if !is_plain {
        return field(lead, &text, out);
    }
    out.reserve(lead.len() + text.len() + 2);
    out.extend_from_slice(lead);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn moment(at: Timestamp, out: &mut Vec<u8>) {
    const PRINTER: DateTimePrinter = DateTimePrinter::new();
    out.push(b'"');
    (PRINTER.print_timestamp(&at, &mut *out)).expect("writing to memory cannot fail");
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::{Amount, MatchStatus, Reversal};

    fn times() -> impl Strategy<Value = Timestamp> {
        let whole = (-62_000_000_000_000_i64..250_000_000_000_000)
            .prop_map(|it| Timestamp::from_millisecond(it).unwrap());
        let fine = (0..2_000_000_000_000_000_000_i128)
            .prop_map(|it| Timestamp::from_nanosecond(it).unwrap());
        prop_oneof![whole, fine]
    }

    /// Of the bytes that matter in JSON, and any others.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z0-9:-]{0,40}",
            "[\"\\\\\u{0}-\u{1f}\u{7f}äß\u{2028}😀a ]{0,12}"
        ]
    }

    fn optional<T: std::fmt::Debug>(
        of: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Option<T>> {
        proptest::option::of(of)
    }

    fn sources() -> impl Strategy<Value = Source<'static>> {
        (texts(), any::<i32>(), any::<i64>()).prop_map(|(topic, partition, offset)| Source {
            topic: topic.into(),
            partition,
            offset,
        })
    }

    fn reversals() -> impl Strategy<Value = Reversal<'static>> {
        (texts(), times(), any::<bool>(), sources(), 0..100_000_u32).prop_map(
            |(text, at, whole, source, cents)| Reversal {
                reversal_id: text.clone().into(),
                event_id: text.clone().into(),
                event_type: text.into(),
                occurred_at: at,
                amount: whole.then(|| Amount::parse(&cents.to_string()).unwrap()),
                whole,
                reversed_at: at,
                source,
            },
        )
    }

    fn matches() -> impl Strategy<Value = Match<'static>> {
        let ids = (texts(), texts(), texts(), texts(), texts());
        let numbers = (any::<u64>(), any::<i64>());
        let at = (times(), times(), optional(times()), optional(times()));
        let status = prop_oneof![
            Just(MatchStatus::Granted),
            Just(MatchStatus::Pending),
            Just(MatchStatus::Confirmed),
            Just(MatchStatus::Reversed),
        ];
        let rest = (
            sources(),
            optional(texts()),
            optional(0..1000_u32),
            optional(reversals()),
        );
        (ids, numbers, at, status, rest).prop_map(|(ids, numbers, at, status, rest)| {
            let reward = serde_json::to_string(&(&ids.0, numbers.0)).unwrap();
            Match {
                match_id: ids.0.into(),
                event_id: ids.1.into(),
                campaign_id: ids.2.into(),
                campaign_version: numbers.0,
                campaigns_offset: numbers.1,
                customer_id: ids.3.into(),
                event_type: ids.4.into(),
                occurred_at: at.0,
                matched_at: at.1,
                reward: Cow::Owned(RawValue::from_string(reward).unwrap()),
                source: rest.0,
                variant: rest.1.map(Into::into),
                status,
                confirm_at: at.2,
                confirmed_at: at.3,
                reversed_total: (rest.2).map(|it| Amount::parse(&it.to_string()).unwrap()),
                reversal: rest.3,
            }
        })
    }

    proptest! {
        #[test]
        fn a_match_is_written_as_serde_writes_it(all in prop::collection::vec(matches(), 1..4)) {
            let mut writer = MatchJson::default();
            for won in &all {
                // Twice: the time of decision is known then.
                for _ in 0..2 {
                    let mut out = b"before".to_vec();
                    writer.write(won, &mut out);
                    let wanted = format!("before{}", serde_json::to_string(won).unwrap());
                    prop_assert_eq!(String::from_utf8(out).unwrap(), wanted);
                }
            }
        }
    }
}
