//! The documents as the API's description shows them. Only their form is used: what is sent and taken
//! are the types of `schemas`, and a test compares the two.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A campaign. Only `id`, `name`, `when` and `reward` are required; further fields are kept.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "ten-for-fifty",
    "name": "$10 for purchases over $50",
    "when": {"event_type": ["purchase"], "payload": {"amount": [{"numeric": [">=", 50]}]}},
    "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
}))]
#[expect(dead_code, reason = "documentation")]
pub(super) struct CampaignDocument {
    /// Its name for machines: letters, digits, `-`, `_` and `.`, at most 256.
    id: String,
    /// Its name for people.
    name: String,
    /// Counts the changes; given by the service, and not looked at when it is sent.
    #[schema(read_only, minimum = 1)]
    version: Option<u64>,
    /// Only active campaigns match; active unless said otherwise.
    status: Option<StatusDocument>,
    /// When it is live, by the time of the event.
    schedule: Option<ScheduleDocument>,
    /// The event pattern, in the language of docs/rules.md.
    #[schema(value_type = Object)]
    when: Map<String, Value>,
    /// What a match is worth.
    reward: RewardDocument,
    /// Which share of the customers wins nothing, so that there is something to compare with.
    #[schema(example = "10%")]
    holdout: Option<String>,
    /// Rewards that the others are given by lot, at most 16.
    variants: Option<Vec<VariantDocument>>,
    /// Names the draw of the groups; campaigns of one name have the same. The id unless set.
    experiment: Option<String>,
    /// Past it the campaign is paused.
    breaker: Option<BreakerDocument>,
    /// That its breaker has paused it; written by the service, and gone when it is resumed.
    #[schema(read_only)]
    tripped: Option<TrippedDocument>,
    /// For people.
    description: Option<String>,
    /// For people and their tools.
    labels: Option<BTreeMap<String, String>>,
}

/// The state of a campaign.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "documentation")]
pub(super) enum StatusDocument {
    /// Written, not yet live.
    Draft,
    /// Live within its schedule.
    Active,
    /// Stopped for a while.
    Paused,
    /// Ended for good, kept for the record.
    Archived,
}

/// `start <= occurred_at < end`; an absent bound is open.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct ScheduleDocument {
    /// The first moment.
    #[schema(value_type = Option<String>, format = DateTime)]
    start: Option<Timestamp>,
    /// The moment after the last.
    #[schema(value_type = Option<String>, format = DateTime)]
    end: Option<Timestamp>,
}

/// What a match is worth. Further fields are the reward service's own and are passed to it; one that is an object with the
/// only field `expression` is replaced by the expression's value.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct RewardDocument {
    /// `credit` and `points` have an `amount`, `discount` a `percent` or an `amount`, `coupon` may have a `code`,
    /// `message` has a `text` or a `template`, `custom` anything; any other word is the reward service's own.
    #[schema(example = "credit")]
    kind: String,
    /// How much, as a decimal text; a number is taken, too. A text that is no number is an expression over the event, such
    /// as `min(payload.amount * 0.05, 20)`, in the language of docs/rules.md.
    #[schema(example = "10.00")]
    amount: Option<String>,
    /// The currency of the amount (ISO 4217).
    #[schema(example = "USD")]
    currency: Option<String>,
    /// Of a discount: above 0, at most 100; also as a text, or as an expression.
    #[schema(example = "12.5")]
    percent: Option<String>,
    /// Of a coupon: the same for all customers.
    code: Option<String>,
    /// Of a message.
    text: Option<String>,
    /// Of a message: its name.
    template: Option<String>,
}

/// One of the rewards that customers are given by lot.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct VariantDocument {
    /// What matches call it.
    #[schema(example = "double")]
    name: String,
    /// Its share is its weight of the sum of all weights.
    #[schema(minimum = 0, maximum = 1_000_000)]
    weight: u32,
    /// What a match is worth; the campaign's own reward unless set.
    reward: Option<RewardDocument>,
}

/// What a campaign may win at most before it is paused: a rate, a share, or both.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct BreakerDocument {
    /// Most matches in a second (`50/s`), a minute (`1000/min`) or an hour (`20000/h`).
    #[schema(example = "1000/min")]
    rate: Option<String>,
    /// The greatest share of the events that may win.
    #[schema(example = "20%")]
    share: Option<String>,
    /// How many events there must be before their share says anything; 1000 unless set.
    min_events: Option<u64>,
    /// The stretch of time of the share, if there is no rate; a minute unless set.
    #[schema(example = "5m")]
    within: Option<String>,
}

/// Why and when a breaker has paused a campaign.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct TrippedDocument {
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `rate` or `share`: which of the two was passed.
    by: String,
    /// Matches in the stretch of time.
    matches: u64,
    /// Events in it, if the breaker has a share.
    events: Option<u64>,
    /// The breaker as it was then.
    breaker: BreakerDocument,
}

/// What a customer did. Further fields are kept for the rules.
#[derive(ToSchema)]
#[schema(example = json!({"event_type": "purchase", "payload": {"amount": 75, "country": "US"}}))]
#[expect(dead_code, reason = "documentation")]
pub(super) struct EventDocument {
    /// Names the event for ever.
    event_id: Option<String>,
    /// Who did it.
    customer_id: Option<String>,
    /// What was done.
    event_type: String,
    /// When it was done.
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Timestamp>,
    /// Everything else that rules may ask for.
    #[schema(value_type = Option<Object>)]
    payload: Option<Map<String, Value>>,
}

/// One event won one campaign.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct MatchDocument {
    /// `event_id:campaign_id`; pay each at most once.
    match_id: String,
    /// The event that won.
    event_id: String,
    /// The campaign it won.
    campaign_id: String,
    /// The version of the campaign that the event met.
    campaign_version: u64,
    /// Offset in `campaigns` of the record that the event met.
    campaigns_offset: i64,
    /// Whose event it was.
    customer_id: String,
    /// The type of the event.
    event_type: String,
    /// When the event was done.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    /// When the matcher decided.
    #[schema(value_type = String, format = DateTime)]
    matched_at: Timestamp,
    /// The campaign's reward as it was then.
    #[schema(value_type = Object)]
    reward: Map<String, Value>,
    /// The record that carried the event.
    source: SourceDocument,
    /// Which of the campaign's variants the customer has drawn; absent if it has none.
    #[schema(example = "double")]
    variant: Option<String>,
    /// What became of it; absent if it is granted, and nothing else can become of it than that it is taken back.
    status: Option<MatchStatusDocument>,
    /// When it is confirmed, if it was held.
    #[schema(value_type = Option<String>, format = DateTime)]
    confirm_at: Option<Timestamp>,
    /// When it was confirmed.
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_at: Option<Timestamp>,
    /// How much of the reward's amount was taken back.
    #[schema(example = "3.33")]
    reversed_total: Option<String>,
    /// What took it back, in the order in which it was decided.
    reversals: Option<Vec<ReversalDocument>>,
    /// The trace that it belongs to (W3C Trace Context).
    traceparent: Option<String>,
    /// Upstream's own name for the request.
    correlation_id: Option<String>,
}

/// What became of a match. One that is not wholly taken back keeps its status; `reversed_total` says how much is.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "documentation")]
pub(super) enum MatchStatusDocument {
    /// Won and owed.
    Granted,
    /// Held: not owed before it is confirmed.
    Pending,
    /// The time that it was held is over: what is left is owed.
    Confirmed,
    /// Nothing is left.
    Reversed,
}

/// A return took back a match, or a part of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct ReversalDocument {
    /// `event_id:match_id`, with the event of the return.
    reversal_id: String,
    /// The return.
    event_id: String,
    /// Its type.
    event_type: String,
    /// When it was done.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    /// How much of the reward's amount it takes back.
    #[schema(example = "3.33")]
    amount: Option<String>,
    /// Whether nothing is left of the reward.
    whole: bool,
    /// When the matcher decided.
    #[schema(value_type = String, format = DateTime)]
    reversed_at: Timestamp,
    /// The record that carried the return.
    source: SourceDocument,
}

/// The place of an event in its topic.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct SourceDocument {
    /// Name of the topic.
    topic: String,
    /// Partition of the record.
    partition: i32,
    /// Offset of the record.
    offset: i64,
}

/// Events of a customer that will not count again, which concerned campaigns.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct SeenDocument {
    /// How many.
    events: usize,
    /// When the first of them was done.
    #[schema(value_type = Option<String>, format = DateTime)]
    first: Option<Timestamp>,
    /// When the last of them was done.
    #[schema(value_type = Option<String>, format = DateTime)]
    last: Option<Timestamp>,
}

/// What one campaign holds of a customer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct CampaignAccountDocument {
    /// The campaign.
    campaign_id: String,
    /// Its version.
    version: u64,
    /// Its state.
    status: StatusDocument,
    /// What its conditions and limits count.
    holds: Vec<HoldingDocument>,
    /// Events that win if nothing comes between.
    waits: Vec<WaitDocument>,
    /// Matches that are held, or may be taken back.
    open: Option<Vec<OpenDocument>>,
}

/// A match that is held, or may be taken back.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct OpenDocument {
    /// The event that won.
    event_id: String,
    /// When it was done.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    /// What became of it so far; absent while it is claimed and the settler has not decided.
    status: Option<MatchStatusDocument>,
    /// When it is confirmed, if it is held.
    #[schema(value_type = Option<String>, format = DateTime)]
    confirm_at: Option<Timestamp>,
    /// How much of its reward is left; absent if the reward has no amount.
    #[schema(example = "6.67")]
    left: Option<String>,
    /// The last time of a return that can take it back.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// What a condition or limit counts.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct HoldingDocument {
    /// Its place in the campaign's document, as a JSON Pointer.
    #[schema(example = "/across/0")]
    pointer: String,
    /// What it asks for, as written.
    asked: String,
    /// What there is of it now, in words.
    #[schema(example = "2 events")]
    found: String,
    /// When it will be less: the window ends, or its first event leaves it.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// An event that wins if nothing comes between.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct WaitDocument {
    /// The event.
    event_id: String,
    /// Its type.
    event_type: String,
    /// When it was done.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    /// When it wins.
    #[schema(value_type = String, format = DateTime)]
    due: Timestamp,
}

/// What became of a match after it was made.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct SequelDocument {
    /// The event that won.
    event_id: String,
    /// `confirmed` or `reversed`.
    status: MatchStatusDocument,
    /// How much of the reward's amount is taken back; of what is reversed.
    #[schema(example = "3.33")]
    amount: Option<String>,
    /// The return; of what is reversed.
    returned_by: Option<String>,
    /// How much of the reward is left; absent if it has no amount.
    #[schema(example = "6.67")]
    left: Option<String>,
}

/// An event whose time to wait is over, and nothing came between.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
pub(super) struct OverDocument {
    /// The event.
    event_id: String,
    /// Whose it is.
    customer_id: String,
    /// When its time was over.
    #[schema(value_type = String, format = DateTime)]
    due: Timestamp,
    /// What it wins then.
    #[schema(value_type = Option<Object>)]
    reward: Option<Map<String, Value>>,
    /// Why it wins nothing all the same.
    why: Option<String>,
}
