//! The contracts of Campaign Manager: what its topics carry.
//!
//! Identifiers, documents, their JSON and Avro forms, and the names of topics and headers. There are
//! no services here and no clocks. The Avro forms are the files in `schemas/avro`.
//!
//! ```
//! use schemas::{Document, Event, Limits};
//!
//! let mut document = Document::new();
//! document.read(
//!     br#"{"event_id": "e-1", "customer_id": "c-1", "event_type": "purchase",
//!          "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75}}"#,
//!     Limits::default(),
//! )?;
//! assert_eq!(Event::of(&document)?.event_type, "purchase");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod ids;
pub mod names;

pub mod amount;
pub mod currency;
pub mod document;
pub mod hash;
pub mod number;
pub mod paths;
pub mod pool;
pub mod reward;
pub mod reward_amount;
pub mod schedule;
pub mod span;
pub mod when;

pub mod across;
pub mod audience;
pub mod breaker;
pub mod campaign;
pub mod campaign_event;
pub mod change;
pub mod claim;
pub mod control;
pub mod dead_letter;
pub mod event;
pub mod experiment;
pub mod grant;
pub mod match_document;
mod match_json;
pub mod reverse_on;
pub mod stacking;

pub mod avro;
pub mod encoding;
pub mod reader;

pub use amount::{Amount, AmountError};
pub use audience::{Audience, AudienceRecord, AudienceRecordError};
pub use breaker::Breaker;
pub use campaign::{Campaign, CampaignError, Status};
pub use campaign_event::{CampaignEvent, Happening};
pub use change::{CampaignChange, ChangeAction};
pub use claim::{Claim, ClaimGroup, Prize, Refusal, RefusalReason};
pub use control::Control;
pub use dead_letter::{DeadLetter, DeadLetterReason};
pub use document::{Document, DocumentError, Limits, Node, Value};
pub use encoding::{ChangeError, Encoding, MatchError, MatchWriter};
pub use event::{Event, EventDocument, EventError};
pub use experiment::{Percent, Variant};
pub use grant::{ClaimKept, Counted, GivenBack, Grant};
pub use ids::{
    AudienceName, CampaignId, CustomerId, EventId, ExperimentName, GroupName, IdError, MatchId,
    PoolName, VariantName,
};
pub use match_document::{Match, MatchStatus, Reversal, Source};
pub use number::Number;
pub use reader::{Encoded, Reader, Unread};
pub use reverse_on::ReverseOn;
pub use reward::{Reward, RewardFormError, RewardKind};
pub use reward_amount::RewardAmount;
pub use schedule::Schedule;
pub use span::{Span, SpanError};
pub use stacking::{Priority, Stacking};
pub use when::When;
