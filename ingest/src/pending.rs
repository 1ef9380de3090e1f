//! What a request waits for: the acknowledgements of all its events.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

/// Counts the events of a request that are on their way. One allocation a request and one wake at its
/// end, however many events it has.
///
/// The request adds tickets and waits; the thread of the deliveries takes them back.
pub(crate) struct Pending {
    /// Events on their way, and one for the request itself while it still adds some.
    left: AtomicUsize,
    failed: Mutex<Vec<Failure>>,
    done: Notify,
}

/// An event that was not acknowledged, by its number in the request.
pub(crate) type Failure = (u32, RDKafkaErrorCode);

/// One event on its way. Taken back when the broker has answered, or nobody will.
pub(crate) struct Ticket {
    pending: Arc<Pending>,
    item: u32,
}

impl Pending {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(1),
            failed: Mutex::default(),
            done: Notify::new(),
        })
    }

    /// A ticket for the event of that number.
    pub(crate) fn ticket(self: &Arc<Self>, item: u32) -> Ticket {
        self.left.fetch_add(1, Ordering::Relaxed);
        Ticket {
            pending: Arc::clone(self),
            item,
        }
    }

    /// Waits until all tickets are back; no more may be added. Returns the events that failed.
    pub(crate) async fn wait(self: Arc<Self>) -> Vec<Failure> {
        self.one_less();
        // A notification that came before is kept.
        self.done.notified().await;
        std::mem::take(&mut *self.failed())
    }

    fn one_less(&self) {
        // Acquire and release, so that the failures written before are seen by whoever is woken.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    fn failed(&self) -> MutexGuard<'_, Vec<Failure>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The broker has not acknowledged the event.
    pub(crate) fn failed(self, code: RDKafkaErrorCode) {
        self.pending.failed().push((self.item, code));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pending.one_less();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_waits_for_all_its_events_and_learns_which_failed() {
        let pending = Pending::new();
        let tickets: Vec<_> = (0..3).map(|item| pending.ticket(item)).collect();
        let waiting = tokio::spawn(Arc::clone(&pending).wait());
        for ticket in tickets {
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished());
            if ticket.item == 1 {
                ticket.failed(RDKafkaErrorCode::MessageTimedOut);
            }
        }
        let failed = waiting.await.unwrap();
        assert_eq!(failed, [(1, RDKafkaErrorCode::MessageTimedOut)]);
        assert!(
            Pending::new().wait().await.is_empty(),
            "nothing to wait for"
        );
    }
}
