//! The tables, as versioned migrations.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use scylla::client::session::Session;
use scylla::value::CqlTimestamp;
use service::retry::Backoff;
use service::settings::ScyllaSettings;

use crate::{StoreError, connect};

/// One step. Never changed once released: what follows is a step of its own.
struct Migration {
    version: i32,
    what: &'static str,
    /// Each may be executed again; `{keyspace}` stands for the keyspace.
    statements: &'static [&'static str],
    /// Tables, and columns that each of them gets: name and type. `ADD IF NOT EXISTS` is Cassandra's alone, so it is looked
    /// at which are there.
    columns: (
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
    ),
}

const MIGRATIONS: [Migration; 4] = [MATCHES, MATCHES_BY_CAMPAIGN, SEQUELS, VARIANTS];

const VARIANTS: Migration = Migration {
    version: 4,
    what: "variants of campaigns",
    statements: &[],
    columns: (
        &["matches", "matches_by_customer", "matches_by_campaign"],
        &[("variant", "text")],
    ),
};

const SEQUELS: Migration = Migration {
    version: 3,
    what: "what becomes of matches",
    statements: &[],
    columns: (
        &["matches", "matches_by_customer", "matches_by_campaign"],
        &[
            ("confirm_at", "timestamp"),
            ("confirmed_at", "timestamp"),
            ("reversals", "map<text, text>"),
        ],
    ),
};

const MATCHES: Migration = Migration {
    version: 1,
    what: "matches by event and by customer",
    statements: &[
        "CREATE TABLE IF NOT EXISTS {keyspace}.matches (
            event_id text, campaign_id text, match_id text,
            campaign_version bigint, campaigns_offset bigint, customer_id text, event_type text,
            occurred_at timestamp, matched_at timestamp, reward text,
            source_topic text, source_partition int, source_offset bigint,
            traceparent text, correlation_id text,
            PRIMARY KEY ((event_id), campaign_id)
        ) WITH comment = 'What an event won. reward is JSON.'",
        // The time of the event, not of the match: an event that upstream sends twice has one row.
        "CREATE TABLE IF NOT EXISTS {keyspace}.matches_by_customer (
            customer_id text, bucket text, occurred_at timestamp, event_id text, campaign_id text,
            match_id text, campaign_version bigint, campaigns_offset bigint, event_type text,
            matched_at timestamp, reward text,
            source_topic text, source_partition int, source_offset bigint,
            traceparent text, correlation_id text,
            PRIMARY KEY ((customer_id, bucket), occurred_at, event_id, campaign_id)
        ) WITH CLUSTERING ORDER BY (occurred_at DESC, event_id ASC, campaign_id ASC)
          AND comment = 'What a customer won. bucket is the month of occurred_at, as 2026-11, UTC.'",
    ],
    columns: (&[], &[]),
};

const MATCHES_BY_CAMPAIGN: Migration = Migration {
    version: 2,
    what: "matches by campaign",
    statements: &[
        // A campaign that wins thousands of times a second would fill a partition an hour with millions
        // of rows, so an hour has several.
        "CREATE TABLE IF NOT EXISTS {keyspace}.matches_by_campaign (
            campaign_id text, bucket text, shard int, occurred_at timestamp, event_id text,
            match_id text, campaign_version bigint, campaigns_offset bigint, customer_id text,
            event_type text, matched_at timestamp, reward text,
            source_topic text, source_partition int, source_offset bigint,
            traceparent text, correlation_id text,
            PRIMARY KEY ((campaign_id, bucket, shard), occurred_at, event_id)
        ) WITH CLUSTERING ORDER BY (occurred_at DESC, event_id ASC)
          AND comment = 'Who won a campaign. bucket is the hour of occurred_at, as 2026-11-24T09, UTC; shard is FNV-1a of event_id modulo 16.'",
    ],
    columns: (&[], &[]),
};

/// Makes the keyspace and the tables, or brings them up to date. Safe to repeat and safe when two do
/// it at once: every statement may be executed again. Waits for the database for as long as `patience`.
///
/// `replication_factor` counts the copies of a new keyspace in each data centre; an existing keyspace
/// is left as it is.
///
/// # Errors
/// [`StoreError`]: the database cannot be reached or refuses; what was done before stays done.
pub async fn migrate(
    settings: &ScyllaSettings,
    replication_factor: u8,
    patience: Duration,
) -> Result<(), StoreError> {
    let deadline = Instant::now() + patience;
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
    loop {
        match attempt(settings, replication_factor).await {
            Err(error) if Instant::now() < deadline => {
                tracing::warn!(%error, "migrating again");
                tokio::time::sleep(backoff.next_delay()).await;
            }
            result => return result,
        }
    }
}

async fn attempt(settings: &ScyllaSettings, replication_factor: u8) -> Result<(), StoreError> {
    let session = connect(settings).await?;
    let keyspace = &settings.keyspace;
    let execute = async |statement: &str| {
        let statement = statement.replace("{keyspace}", keyspace);
        // Waits until all nodes agree on the schema.
        session.query_unpaged(statement, &[]).await
    };
    execute(&format!(
        "CREATE KEYSPACE IF NOT EXISTS {{keyspace}} WITH replication = \
         {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replication_factor}}}"
    ))
    .await?;
    execute(
        "CREATE TABLE IF NOT EXISTS {keyspace}.schema_migrations (
            version int PRIMARY KEY, what text, applied_at timestamp)",
    )
    .await?;
    let applied = applied(&session, keyspace).await?;
    for migration in &MIGRATIONS {
        if applied.contains(&migration.version) {
            continue;
        }
        for statement in migration.statements {
            execute(statement).await?;
        }
        let (tables, columns) = migration.columns;
        for table in tables {
            let there = columns_of(&session, keyspace, table).await?;
            for (column, kind) in columns.iter().filter(|(it, _)| !there.contains(*it)) {
                // Who is overtaken by another fails here, and finds it there the next time.
                execute(&format!(
                    "ALTER TABLE {{keyspace}}.{table} ADD {column} {kind}"
                ))
                .await?;
            }
        }
        session
            .query_unpaged(
                format!(
                    "INSERT INTO {keyspace}.schema_migrations (version, what, applied_at) \
                     VALUES (?, ?, ?)"
                ),
                (
                    migration.version,
                    migration.what,
                    CqlTimestamp(Timestamp::now().as_millisecond()),
                ),
            )
            .await?;
        tracing::info!(
            keyspace,
            version = migration.version,
            what = migration.what,
            "migrated"
        );
    }
    Ok(())
}

async fn columns_of(
    session: &Session,
    keyspace: &str,
    table: &str,
) -> Result<BTreeSet<String>, StoreError> {
    let statement =
        "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";
    let answer = session
        .query_unpaged(statement, (keyspace, table))
        .await?
        .into_rows_result()
        .map_err(|error| StoreError::Answer(error.to_string()))?;
    answer
        .rows::<(String,)>()
        .map_err(|error| StoreError::Answer(error.to_string()))?
        .map(|row| row.map(|(column,)| column))
        .collect::<Result<_, _>>()
        .map_err(|error| StoreError::Answer(error.to_string()))
}

async fn applied(session: &Session, keyspace: &str) -> Result<BTreeSet<i32>, StoreError> {
    let answer = session
        .query_unpaged(
            format!("SELECT version FROM {keyspace}.schema_migrations"),
            &[],
        )
        .await?
        .into_rows_result()
        .map_err(|error| StoreError::Answer(error.to_string()))?;
    answer
        .rows::<(i32,)>()
        .map_err(|error| StoreError::Answer(error.to_string()))?
        .map(|row| row.map(|(version,)| version))
        .collect::<Result<_, _>>()
        .map_err(|error| StoreError::Answer(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_up_and_every_statement_may_be_executed_again() {
        for (migration, version) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.version, version);
            for statement in migration.statements {
                assert!(statement.contains("IF NOT EXISTS"), "{statement}");
            }
        }
    }
}
