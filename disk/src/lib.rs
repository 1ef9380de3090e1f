//! The committed customers of partitions on disk, where they need not fit in memory. Aware of files; not of Kafka.
//!
//! What is here is a copy of the changelog up to a [`Mark`], so that a restart reads only what came after. The
//! changelog is the truth: whatever looks wrong here is thrown away and read from there. So nothing waits for the disk to have
//! written anything; a batch and its mark are there together or not at all, and that is enough.
//!
//! ```text
//! DIR/customers/       a database of fjall, locked by the process
//!   keyspace PARTITION  c ID            a customer's state, as the changelog has it
//!                       d DUE ID        what is waited for, in the order of its time
//!                       m               the mark
//!                       n               how much there is
//! ```

mod customers;
mod files;
mod lot;
mod mark;

pub use customers::OnDisk;
pub use files::{Disk, DiskError};
pub use mark::Mark;
