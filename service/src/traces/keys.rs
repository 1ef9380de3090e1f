//! The words of spans: names of attributes and metrics' labels by OpenTelemetry's semantic conventions, of version
//! [`SCHEMA_URL`]. Those of messaging are not stable yet; what is renamed is renamed here.
//!
//! What is not among them is personal: no path of a request (it may name a customer), no key of a record (it is one), no payload.

/// The version of the conventions.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

/// Name of the service, of its version.
pub const SERVICE_NAME: &str = "service.name";
/// See [`SERVICE_NAME`].
pub const SERVICE_VERSION: &str = "service.version";

/// Why something failed, as a class of bounded kind.
pub const ERROR_TYPE: &str = "error.type";

/// Method of a request.
pub const HTTP_METHOD: &str = "http.request.method";
/// The template of its path.
pub const HTTP_ROUTE: &str = "http.route";
/// Status of its answer.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// http or https.
pub const URL_SCHEME: &str = "url.scheme";

/// [`KAFKA`].
pub const MESSAGING_SYSTEM: &str = "messaging.system.name";
/// What is done, in Kafka's words: [`SEND`] or [`PROCESS`].
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// What is done, in the conventions' words.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// Name of the topic.
pub const MESSAGING_DESTINATION: &str = "messaging.destination.name";
/// Number of a partition, as a text.
pub const MESSAGING_PARTITION: &str = "messaging.destination.partition.id";
/// Name of the consumer's group.
pub const MESSAGING_GROUP: &str = "messaging.consumer.group.name";
/// Records that were sent or processed together.
pub const MESSAGING_BATCH_COUNT: &str = "messaging.batch.message_count";

/// [`CASSANDRA`], of which ScyllaDB is one to its clients.
pub const DB_SYSTEM: &str = "db.system.name";
/// The keyspace.
pub const DB_NAMESPACE: &str = "db.namespace";
/// The table.
pub const DB_COLLECTION: &str = "db.collection.name";
/// The statement's first word.
pub const DB_OPERATION: &str = "db.operation.name";

/// Our own: the campaign of a match or claim.
pub const CAMPAIGN_ID: &str = "campaign_manager.campaign.id";
/// Our own: the event of a match or claim.
pub const EVENT_ID: &str = "campaign_manager.event.id";
/// Our own: the name of a match.
pub const MATCH_ID: &str = "campaign_manager.match.id";
/// Our own: partitions whose records a batch has.
pub const BATCH_PARTITIONS: &str = "campaign_manager.batch.partitions";
/// Our own: matches and claims that a batch has written.
pub const BATCH_MATCHES: &str = "campaign_manager.batch.matches";
/// Our own: [`COMMITTED`] or [`ABORTED`].
pub const BATCH_OUTCOME: &str = "campaign_manager.batch.outcome";

/// A value of [`MESSAGING_SYSTEM`].
pub const KAFKA: &str = "kafka";
/// A value of [`MESSAGING_OPERATION_NAME`] and [`MESSAGING_OPERATION_TYPE`].
pub const SEND: &str = "send";
/// A value of [`MESSAGING_OPERATION_NAME`] and [`MESSAGING_OPERATION_TYPE`].
pub const PROCESS: &str = "process";
/// A value of [`DB_SYSTEM`].
pub const CASSANDRA: &str = "cassandra";
/// A value of [`BATCH_OUTCOME`].
pub const COMMITTED: &str = "committed";
/// A value of [`BATCH_OUTCOME`].
pub const ABORTED: &str = "aborted";
