//! The database from outside: all rows of the three tables.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use serde_json::{Value, json};

use crate::topics::Seen;
use crate::wait;

/// All rows, each as an object of all its columns.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Of `matches`.
    pub by_event: Vec<Value>,
    /// Of `matches_by_customer`.
    pub by_customer: Vec<Value>,
    /// Of `matches_by_campaign`.
    pub by_campaign: Vec<Value>,
}

impl Rows {
    /// The rows that these matches ought to have.
    ///
    /// What became of a match later is in the row of its first record.
    pub fn of(matches: &[Seen]) -> Self {
        let is_first = |record: &&Seen| {
            // Avro says it of each, JSON only where it is news.
            let status = &record.json()["status"];
            status.is_null() || status == "granted" || status == "pending"
        };
        let (first, later): (Vec<&Seen>, Vec<&Seen>) = matches.iter().partition(is_first);
        let mut sequels: HashMap<String, Vec<Value>> = HashMap::new();
        for record in later {
            let json = record.json();
            let id = json["match_id"].as_str().unwrap_or_default().to_owned();
            sequels.entry(id).or_default().push(json);
        }
        let rows = |row: fn(&Seen) -> Value| {
            let rows = first.iter().map(|record| {
                let mut row = row(record);
                let id = row["match_id"].as_str().unwrap_or_default();
                for sequel in sequels.get(id).into_iter().flatten() {
                    follow(&mut row, sequel);
                }
                row
            });
            rows.collect()
        };
        Self {
            by_event: rows(by_event),
            by_customer: rows(by_customer),
            by_campaign: rows(by_campaign),
        }
    }

    /// The tables with their names.
    pub fn tables(&self) -> [(&'static str, &[Value]); 3] {
        [
            ("matches", &self.by_event),
            ("matches_by_customer", &self.by_customer),
            ("matches_by_campaign", &self.by_campaign),
        ]
    }
}

/// The row that a match ought to have in `matches`.
fn by_event(record: &Seen) -> Value {
    let json = record.json();
    let time = |value: &Value| {
        let time = value
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok());
        time.map(Timestamp::as_millisecond)
    };
    json!({
        "event_id": json["event_id"],
        "campaign_id": json["campaign_id"],
        "match_id": json["match_id"],
        "campaign_version": json["campaign_version"],
        "campaigns_offset": json["campaigns_offset"],
        "customer_id": json["customer_id"],
        "event_type": json["event_type"],
        "occurred_at": time(&json["occurred_at"]),
        "matched_at": time(&json["matched_at"]),
        "reward": json["reward"],
        "source_topic": json["source"]["topic"],
        "source_partition": json["source"]["partition"],
        "source_offset": json["source"]["offset"],
        "traceparent": record.header("traceparent"),
        "correlation_id": record.header("correlation-id"),
        "confirm_at": time(&json["confirm_at"]),
        "confirmed_at": null,
        "variant": json["variant"],
        "reversals": null,
    })
}

/// Puts what became of a match later in its row.
fn follow(row: &mut Value, sequel: &Value) {
    let reversal = &sequel["reversal"];
    if let Some(id) = reversal["reversal_id"].as_str() {
        row["reversals"][id] = reversal.clone();
    } else {
        let at = sequel["confirmed_at"].as_str().unwrap_or_default();
        let at = at.parse::<Timestamp>().ok();
        row["confirmed_at"] = json!(at.map(Timestamp::as_millisecond));
    }
}

/// The same and the month in which the event was done.
fn by_customer(record: &Seen) -> Value {
    let mut row = by_event(record);
    row["bucket"] = json!(time(&row).strftime("%Y-%m").to_string());
    row
}

/// The same, the hour in which the event was done, and the shard: 32 bits of FNV-1a of the event's id,
/// modulo 16.
fn by_campaign(record: &Seen) -> Value {
    let mut row = by_event(record);
    row["bucket"] = json!(time(&row).strftime("%Y-%m-%dT%H").to_string());
    let mut hash: u64 = 0x811c_9dc5;
    for byte in row["event_id"].as_str().unwrap_or_default().bytes() {
        hash = (hash ^ u64::from(byte)) * 0x0100_0193 % (1 << 32);
    }
    row["shard"] = json!(hash % 16);
    row
}

fn time(row: &Value) -> Zoned {
    let millis = row["occurred_at"].as_i64().unwrap_or_default();
    let time = Timestamp::from_millisecond(millis).unwrap_or_default();
    time.to_zoned(TimeZone::UTC)
}

/// Reads the tables of a keyspace whole. A busy node may refuse a scan, and is asked again.
///
/// # Panics
/// When the database does not answer within a minute.
pub fn read_all(nodes: &str, keyspace: &str) -> Rows {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    wait::until("the tables to be read", Duration::from_mins(1), || {
        runtime
            .block_on(read_tables(nodes, keyspace))
            .inspect_err(|error| eprintln!("reading {keyspace} again: {error}"))
            .ok()
    })
}

/// The answer to a `SELECT JSON …`.
///
/// # Panics
/// When the database does not answer within a minute.
pub fn ask(nodes: &str, question: &str) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let ask = async || -> Result<Vec<Value>, Box<dyn Error>> {
        let session = SessionBuilder::new().known_nodes(nodes.split(','));
        let session = session.build().await?;
        let pager = session.query_iter(question, &[]).await?;
        let rows = pager.rows_stream::<(String,)>()?;
        let rows: Vec<(String,)> = rows.try_collect().await?;
        let rows = rows.iter().map(|(json,)| serde_json::from_str(json));
        Ok(rows.collect::<Result<_, _>>()?)
    };
    wait::until("an answer", Duration::from_mins(1), || {
        let answer = runtime.block_on(ask());
        answer
            .inspect_err(|error| eprintln!("asking again: {error}"))
            .ok()
    })
}

async fn read_tables(nodes: &str, keyspace: &str) -> Result<Rows, Box<dyn Error>> {
    let builder = SessionBuilder::new().known_nodes(nodes.split(','));
    let session = builder.build().await?;
    Ok(Rows {
        by_event: read(&session, &format!("{keyspace}.matches")).await?,
        by_customer: read(&session, &format!("{keyspace}.matches_by_customer")).await?,
        by_campaign: read(&session, &format!("{keyspace}.matches_by_campaign")).await?,
    })
}

async fn read(session: &Session, table: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let pager = session
        .query_iter(format!("SELECT JSON * FROM {table}"), &[])
        .await?;
    let rows = pager
        .rows_stream::<(String,)>()?
        .map_ok(|(json,)| normal(&json));
    Ok(rows.try_collect().await?)
}

/// The database's own way of writing times, and the JSON within the JSON, made comparable.
fn normal(row: &str) -> Value {
    let mut row: Value = serde_json::from_str(row).expect("the database writes JSON");
    for column in ["occurred_at", "matched_at", "confirm_at", "confirmed_at"] {
        // 2026-11-24 09:30:00.005Z
        let text = row[column].as_str().unwrap_or_default().replace(' ', "T");
        row[column] = json!(
            text.parse::<Timestamp>()
                .ok()
                .map(Timestamp::as_millisecond)
        );
    }
    let reward = row["reward"].as_str().unwrap_or_default();
    row["reward"] = serde_json::from_str(reward).unwrap_or_default();
    for (_, reversal) in row["reversals"].as_object_mut().into_iter().flatten() {
        let text = reversal.as_str().unwrap_or_default();
        *reversal = serde_json::from_str(text).unwrap_or_default();
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_as_the_database_writes_it_is_the_row_of_its_match() {
        let record = Seen {
            value: Some(
                json!({
                    "match_id": "foobar:c", "event_id": "foobar", "campaign_id": "c",
                    "campaign_version": 2,
                    "campaigns_offset": 7, "customer_id": "ada", "event_type": "purchase",
                    "occurred_at": "2026-10-31T23:30:00.0019-01:00",
                    "matched_at": "2026-11-01T00:30:01.002Z",
                    "reward": {"kind": "credit", "amount": "1.5"},
                    "source": {"topic": "events", "partition": 3, "offset": 9},
                })
                .to_string()
                .into_bytes(),
            ),
            headers: vec![("correlation-id".into(), Some(b"r-1".to_vec()))],
            ..Seen::default()
        };
        let written = r#"{"customer_id": "ada", "bucket": "2026-11-01T00", "shard": 8,
            "occurred_at": "2026-11-01 00:30:00.001Z", "event_id": "foobar", "campaign_id": "c",
            "match_id": "foobar:c", "campaign_version": 2, "campaigns_offset": 7,
            "event_type": "purchase", "matched_at": "2026-11-01 00:30:01.002Z",
            "reward": "{\"amount\":\"1.5\",\"kind\":\"credit\"}", "source_topic": "events",
            "source_partition": 3, "source_offset": 9, "traceparent": null,
            "correlation_id": "r-1", "confirm_at": null, "confirmed_at": null, "variant": null,
            "reversals": null}"#;
        // FNV-1a of foobar is bf9cf968 in its authors' list.
        assert_eq!(normal(written), by_campaign(&record));
        assert_eq!(by_customer(&record)["bucket"], "2026-11");
    }

    #[test]
    fn what_became_of_a_match_is_in_its_row() {
        let record = |fields: Value| {
            let mut json =
                json!({"match_id": "e:c", "event_id": "e", "confirm_at": "2026-11-01T00:00:01Z"});
            for (name, value) in fields.as_object().expect("fields") {
                json[name] = value.clone();
            }
            Seen {
                value: Some(json.to_string().into_bytes()),
                ..Seen::default()
            }
        };
        let reversal = json!({"reversal_id": "r:e:c", "amount": "1"});
        let rows = Rows::of(&[
            record(json!({"status": "reversed", "reversal": reversal})),
            record(json!({"status": "pending"})),
            record(json!({"status": "confirmed", "confirmed_at": "2026-11-01T00:00:02Z"})),
        ]);
        assert_eq!(rows.by_event.len(), 1);
        let row = &rows.by_event[0];
        assert_eq!(row["confirmed_at"], 1_793_491_202_000_i64);
        assert_eq!(row["reversals"]["r:e:c"], reversal);
    }
}
