//! What every service shares: settings, logs, metrics, health, shutdown, Kafka clients, retries.
