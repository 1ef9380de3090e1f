//! Which records are wanted.

use clap::Args;
use rules::Pattern;
use schemas::{Document, Limits};

use super::documents::parse_yaml;
use super::kafka::Record;
use schemas::names::header;

/// Flags that choose records; all that are given must hold.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filter")]
pub(crate) struct Filter {
    /// Only this customer's: the field `customer_id`, or the key
    #[arg(long, value_name = "ID")]
    customer: Option<String>,

    /// Only of this event: the field `event_id`
    #[arg(long, value_name = "ID")]
    event: Option<String>,

    /// Only of this `event_type`
    #[arg(long = "event-type", value_name = "TYPE")]
    event_type: Option<String>,

    /// Only of this campaign: the field `campaign_id`
    #[arg(long, value_name = "ID")]
    campaign: Option<String>,

    /// Only dead letters with this reason, such as `not_json`
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,

    /// Only what meets this pattern, in the language of campaigns, as JSON or YAML: '{payload: {amount:
    /// [{numeric: [">=", 50]}]}}'
    #[arg(long = "where", value_name = "PATTERN", value_parser = pattern)]
    pattern: Option<Where>,
}

/// A pattern and what was written.
#[derive(Debug, Clone)]
struct Where {
    pattern: Pattern,
    text: String,
}

fn pattern(text: &str) -> Result<Where, String> {
    let value = parse_yaml(text).map_err(|error| error.to_string())?;
    let pattern = Pattern::parse(&value).map_err(|errors| errors.to_string())?;
    Ok(Where {
        pattern,
        text: value.to_string(),
    })
}

impl Filter {
    /// Whether it depends on what values say.
    pub(crate) fn asks_values(&self) -> bool {
        let fields = [
            &self.customer,
            &self.event,
            &self.event_type,
            &self.campaign,
        ];
        fields.iter().any(|field| field.is_some()) || self.pattern.is_some()
    }

    /// Whether the record is wanted. What is no JSON and was not read has no fields.
    pub(crate) fn admits(&self, record: &Record) -> bool {
        if let Some(reason) = &self.reason
            && record.header(header::ERROR_CODE) != Some(reason)
        {
            return false;
        }
        if !self.asks_values() {
            return true;
        }
        let mut document = Document::new();
        let value = record.json_text();
        // A document that cannot be read is null: it has no fields, and meets no pattern that asks
        // for one.
        let is_read = document.read(&value, Limits::default()).is_ok();
        let root = document.root();
        let has = |name: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| {
                matches!(root.get(name).map(schemas::Node::value), Some(schemas::Value::String(found)) if found == wanted)
            })
        };
        let is_customers = has("customer_id", &self.customer)
            || (!is_read && record.key() == self.customer.as_deref());
        is_customers
            && has("event_id", &self.event)
            && has("event_type", &self.event_type)
            && has("campaign_id", &self.campaign)
            && (self.pattern.as_ref()).is_none_or(|one| is_read && one.pattern.matches(root))
    }

    /// The same text for the same filter, and another one for another.
    pub(crate) fn canonical(&self) -> String {
        let pattern = self.pattern.as_ref().map(|one| &*one.text);
        format!(
            "{:?}",
            [
                self.customer.as_deref(),
                self.event.as_deref(),
                self.event_type.as_deref(),
                self.campaign.as_deref(),
                self.reason.as_deref(),
                pattern,
            ]
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::ctl::kafka::Content;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        filter: Filter,
    }

    fn filter(arguments: &[&str]) -> Filter {
        let arguments = [&["test"], arguments].concat();
        Arguments::try_parse_from(arguments)
            .unwrap_or_else(|error| panic!("{error}"))
            .filter
    }

    fn record(value: &str) -> Record {
        Record {
            topic: "events".to_owned(),
            partition: 0,
            offset: 0,
            timestamp: None,
            key: Some(b"c-1".to_vec()),
            headers: vec![(header::ERROR_CODE.to_owned(), Some(b"not_json".to_vec()))],
            value: Some(value.as_bytes().to_vec()),
            content: Content::Plain,
        }
    }

    #[test]
    fn every_flag_must_hold() {
        let purchase = record(
            r#"{"event_id": "e-1", "customer_id": "c-2", "event_type": "purchase", "payload": {"amount": 75}}"#,
        );
        let broken = record("{");
        let cases: [(&[&str], bool, bool); 12] = [
            (&[], true, true),
            (&["--customer", "c-2"], true, false),
            (&["--customer", "c-1"], false, true),
            (&["--event", "e-1"], true, false),
            (&["--event-type", "purchase"], true, false),
            (&["--event-type", "refund"], false, false),
            (&["--campaign", "ten"], false, false),
            (&["--reason", "not_json"], true, true),
            (&["--reason", "too_large"], false, false),
            (
                &["--where", "{payload: {amount: [{numeric: ['>=', 50]}]}}"],
                true,
                false,
            ),
            (&["--where", "{coupon: [{exists: false}]}"], true, false),
            (
                &["--customer", "c-2", "--where", "{payload: {amount: [5]}}"],
                false,
                false,
            ),
        ];
        for (arguments, of_purchase, of_broken) in cases {
            let filter = filter(arguments);
            assert_eq!(filter.admits(&purchase), of_purchase, "{arguments:?}");
            assert_eq!(filter.admits(&broken), of_broken, "{arguments:?}");
        }
    }

    #[test]
    fn a_broken_pattern_says_what_is_wrong() {
        let error = Arguments::try_parse_from(["test", "--where", "{amount: 5}"]);
        let error = error.err().unwrap().to_string();
        assert!(
            error.contains("amount: a field takes a list of alternatives"),
            "{error}"
        );
    }

    #[test]
    fn filters_have_the_same_name_when_they_are_the_same() {
        let one = filter(&["--reason", "a", "--where", "{x: [1], y: [2]}"]);
        let same = filter(&["--where", "{\"y\": [2], \"x\": [1]}", "--reason=a"]);
        assert_eq!(one.canonical(), same.canonical());
        assert_ne!(
            filter(&["--event", "a"]).canonical(),
            filter(&["--customer", "a"]).canonical()
        );
    }
}
