//! The time during which the database is away.

use std::time::{Duration, Instant};

use service::breaker::Breaker;
use service::retry::Backoff;

use super::ledger::Ledger;
use super::{IDLE, Rebuild, Recorder, Written};
use crate::group::{self, Group};
use store::{MatchRow, MatchWriter, StoreError};

impl Recorder {
    /// Reads nothing while the database is away, keeps the place in the group, and probes with a single
    /// row: the first that could not be written, or a question if there was none. Then goes back to
    /// what is committed, which is what was written a minute before the outage.
    pub(super) fn sit_out(
        &self,
        writer: &MatchWriter,
        group: &mut Group,
        ledger: &mut Ledger,
        (error, row): (&StoreError, Option<&MatchRow>),
    ) -> Result<(), Rebuild> {
        let metrics = &self.surroundings.metrics;
        tracing::warn!(%error, "the database is away; matching goes on, recording waits");
        metrics.database_up(false);
        let begun = Instant::now();
        let mut breaker = Breaker::new(1, Backoff::new(Duration::from_millis(500), MAX_DELAY));
        breaker.failed(begun);
        // Now, and not after the outage: time alone must not let them settle.
        ledger.forget_recent();
        group.pause()?;
        loop {
            self.look_after(group, ledger)?;
            match group.poll(IDLE.min(breaker.retry_after(Instant::now()))) {
                // Whatever still comes is read again after the outage.
                None | Some(Ok(_)) => {}
                Some(Err(error)) => group::tolerate(error)?,
            }
            if self.surroundings.shutdown.is_requested() {
                return Ok(());
            }
            if !breaker.allows(Instant::now()) {
                continue;
            }
            let probed = match row {
                Some(row) => self.wait_for(writer.write(row)),
                None => self.probe(writer),
            };
            match probed {
                Ok(Written::Yes) => break,
                Ok(Written::Interrupted) => return Ok(()),
                Err(error) => {
                    tracing::debug!(%error, "the database is still away");
                    breaker.failed(Instant::now());
                }
            }
        }
        group.resume()?;
        group.rewind()?;
        metrics.replayed();
        metrics.database_up(true);
        tracing::info!(
            away_ms = begun.elapsed().as_millis(),
            "the database is back; what was written in the minute before is written again"
        );
        Ok(())
    }
}

/// Longest time between two probes.
const MAX_DELAY: Duration = Duration::from_secs(5);
