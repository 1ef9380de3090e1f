//! Changes of campaigns: Kafka is their database.
//!
//! The files follow a change: [`request`] says what is asked for, [`queue`] brings it to the writer's
//! thread and its outcome back, [`decide`] says what comes of it, [`writer`] makes it so.
//!
//! A change is one transaction on `campaigns` and `campaign-changes`. All replicas share one transactional
//! id, of which at most one producer lives: whoever begins one fences the others, and then reads both
//! topics to their ends. From then on it knows everything that any replica has acknowledged, and as long as
//! it is not fenced itself, nothing can have been added but its own. So conditions are checked against
//! what is there, and a change that another replica overtook cannot be committed: it is checked and made
//! anew.
//!
//! Whoever writes to the topic without the API stands outside of that. Their documents count as soon
//! as they are read, within milliseconds, but a change may overtake them unseen.

mod merge;

pub mod request;

mod decide;
mod queue;
mod record;
mod writer;

pub use self::decide::MAX_DOCUMENT_BYTES;
pub use self::queue::{Changes, Queue, Unmade, queue};
pub(crate) use self::record::Origin;
pub use self::record::Output;
pub use self::request::{Change, Operation, Outcome, Precondition, Refusal, Turn};
pub(crate) use self::writer::{Surroundings, Writer, WriterSettings};
