//! What a worker does with the records of its topic.

use rdkafka::message::BorrowedMessage;
use service::kafka::transaction::Open;
use state::{Partition, StateError};

use super::Rebuild;
use super::pace::Load;
use crate::group::Until;
use crate::positions::Positions;
use crate::trace::BatchTrace;

/// Records on their way from consumed to committed.
pub(crate) struct Batch {
    pub(crate) transaction: Open,
    pub(super) positions: Positions,
    pub(crate) load: Load,
    pub(crate) trace: BatchTrace,
}

/// What a worker does with the records of its topic. Owned by its thread.
pub(crate) trait Duty {
    /// A consumer joins its group: no partition is here any more.
    fn joined(&mut self) {}

    /// Partitions came. They are read when all is there that their records may ask for.
    fn bring_back(&mut self, _partitions: &[i32]) {}

    /// Whether all is there that records of a partition may ask for, beside what is remembered.
    fn is_back(&self, _partition: i32) -> bool {
        true
    }

    /// Takes in what has come meanwhile; called all the time.
    fn tend(&mut self) {}

    /// A batch begins; what an earlier one would have told is void.
    fn begin(&mut self);

    /// Processes one record: writes to the transaction, adds to the load, and changes what is remembered. Says what has to be
    /// waited for; then it has left no trace.
    fn take(
        &mut self,
        batch: &mut Batch,
        partition: &mut Partition,
        message: &BorrowedMessage<'_>,
    ) -> Result<Option<Until>, Rebuild>;

    /// Does what waits in a partition of that number for that time, in milliseconds since 1970: some of it. False if there was
    /// nothing.
    fn fire(
        &mut self,
        batch: &mut Batch,
        partition: &mut Partition,
        at: (i32, i64),
    ) -> Result<bool, Rebuild>;

    /// The batch is about to be committed: writes to the transaction what is told of it as a whole.
    fn end(&mut self, _: &mut Batch) -> Result<(), Rebuild> {
        Ok(())
    }

    /// Whether what was waited for is known.
    fn has_answer(&self, until: Until) -> bool;

    /// Forgets some of what has expired.
    fn sweep(&self, partition: &mut Partition) -> Result<(), StateError>;

    /// The batch was committed, with so many records.
    fn committed(&mut self, records: usize);

    /// A record of the batch was too large for the broker; the batch comes again.
    fn too_large(&mut self);

    /// A partition is another worker's now.
    fn let_go(&mut self, partition: i32);
}
