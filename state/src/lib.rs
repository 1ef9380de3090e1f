//! What the system remembers of its customers, and what an event makes of it. Pure: no I/O, no clocks; time is an argument.
//!
//! A [`Partition`] holds the state of its customers and the changes of the open batch. [`Engine`] takes an event through
//! the rules, the clock and its customer's state. The matcher, `campaignctl` and the tests run this same code; what the words
//! mean is in `docs/rules.md`.
//!
//! Invariants: what is not committed is never in what is committed; the state after a batch is a function of the state
//! before, the rules and the batch.

mod claim;
mod codec;
mod decide;
mod proportion;
mod restore;

pub mod account;
pub mod audiences;
pub mod base;
pub mod breaker;
pub mod carry;
pub mod customer;
pub mod engine;
pub mod memory;
pub mod open;
pub mod partition;
pub mod pool;
pub mod settle;
pub mod trial;

pub use account::Account;
pub use audiences::{Audiences, Members, Memberships};
pub use base::Base;
pub use carry::{begun, carried, clock_of};
pub use claim::{Amends, claim, claim_due};
pub use codec::StateError;
pub use customer::Customer;
pub use decide::{Verdict, Winners, admits, event_hash, judge_alone};
pub use engine::{ControlError, Decided, Due, DueMatch, Engine, EventTimes, Undecided};
pub use open::{OpenMatch, Sequel, Told, confirm_at};
pub use partition::{Arrival, Change, Partition, Written, due_of, is_progress, lineage_of};
pub use restore::give_back;
pub use trial::{Over, Trial};
