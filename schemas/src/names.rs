//! Names on the wire: topics and headers.

/// Default names of the topics; each can be set (`EVENTS_TOPIC`, …).
pub mod topic {
    /// What customers did; key `customer_id`.
    pub const EVENTS: &str = "events";
    /// The campaigns; compacted, one partition, key the campaign's id.
    pub const CAMPAIGNS: &str = "campaigns";
    /// Who changed which campaign; kept for ever.
    pub const CAMPAIGN_CHANGES: &str = "campaign-changes";
    /// What reward services consume; key `event_id`, partition that of the event.
    pub const MATCHES: &str = "matches";
    /// Matches of campaigns whose budget all customers share, before the settler.
    pub const CLAIMS: &str = "claims";
    /// Changelog of what the settler knows of each budget; compacted.
    pub const BUDGET_STATE: &str = "budget-state";
    /// Claims that became no match; key `event_id`, partition that of the event.
    pub const REFUSALS: &str = "refusals";
    /// What happened to campaigns themselves; key the campaign's id.
    pub const CAMPAIGN_EVENTS: &str = "campaign-events";
    /// Changelog of what the matcher knows of each customer; compacted.
    pub const CUSTOMER_STATE: &str = "customer-state";
    /// Who is in which audience; compacted, key `AUDIENCE:CUSTOMER`, partition that of the customer's events.
    pub const AUDIENCE_MEMBERS: &str = "audience-members";
    /// Events that can never be processed.
    pub const DEAD_LETTERS: &str = "dead-letters";
}

/// Names of record headers. Their values are UTF-8 text unless said otherwise.
pub mod header {
    /// The trace that the record belongs to (W3C Trace Context); carried from event to match.
    pub const TRACEPARENT: &str = "traceparent";
    /// Upstream's own name for the request; carried from event to match.
    pub const CORRELATION_ID: &str = "correlation-id";

    /// Which schema the value was written with, if its first bytes do not say it: the byte 0 and an id
    /// of 4 bytes, or the byte 1 and a GUID of 16 (Confluent's `SchemaId`); no text.
    pub const VALUE_SCHEMA_ID: &str = "__value_schema_id";

    /// On records of `events`, `matches` and `claims` without a value: what they ask for ([`crate::Control`]).
    pub const CONTROL: &str = "__campaign.control";
    /// On control records of `events` that say `refused` or `granted`: the claim, in JSON.
    pub const CONTROL_CLAIM: &str = "__campaign.control.claim";
    /// On control records of `claims` that say `give_back`: what budgets are given back, in JSON ([`crate::GivenBack`]).
    pub const CONTROL_GIVEN_BACK: &str = "__campaign.control.given_back";
    /// What a worker has counted for a campaign that has a breaker, with a control record that tells it.
    pub const CONTROL_COUNT: &str = "__campaign.control.count";
    /// On control records of `matches`: the record of `events` that asked, in JSON, as the `source` of a match.
    pub const CONTROL_SOURCE: &str = "__campaign.control.source";

    /// On records of `campaigns` and `campaign-changes`: the change that wrote both, 32 hexadecimal digits.
    pub const CHANGE_ID: &str = "change-id";

    /// How all headers begin that make an event a dead letter.
    pub const ERROR_PREFIX: &str = "__campaign.errors.";
    /// On dead letters: topic the event came from.
    pub const ERROR_TOPIC: &str = "__campaign.errors.topic";
    /// On dead letters: partition the event came from.
    pub const ERROR_PARTITION: &str = "__campaign.errors.partition";
    /// On dead letters: offset of the event.
    pub const ERROR_OFFSET: &str = "__campaign.errors.offset";
    /// On dead letters: why, as a stable word ([`crate::DeadLetterReason::code`]).
    pub const ERROR_CODE: &str = "__campaign.errors.code";
    /// On dead letters: why, in words.
    pub const ERROR_MESSAGE: &str = "__campaign.errors.message";
    /// On dead letters: version of the program that refused the event.
    pub const ERROR_APP_VERSION: &str = "__campaign.errors.app_version";
    /// On dead letters without the value, because `dead-letters` does not take a record of that size:
    /// how many bytes it has. It is to be had from the source topic until retention removes it there.
    pub const ERROR_VALUE_BYTES: &str = "__campaign.errors.value_bytes";

    /// On events: how often they were sent again after they had been dead letters, in decimal digits.
    pub const REDRIVES: &str = "__campaign.redrives";
}
