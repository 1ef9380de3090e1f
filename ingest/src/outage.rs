//! Whether the broker acknowledges anything at the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use service::http::Problem;
use service::http::problem::UNAVAILABLE;

/// While the broker is away every event waits for its whole time-out, and whoever sends it as well.
/// So after the first that waited in vain, requests are refused at once, but for one at a time that
/// tries. The first acknowledgement lets all in again.
///
/// Shared by all requests and the thread of the deliveries; takes no lock.
pub(crate) struct Outage {
    is_out: AtomicBool,
    is_tried: AtomicBool,
}

/// The right to send; the one that tries while the broker is away gives it back when dropped.
pub(crate) struct Admission {
    tried: Option<Arc<Outage>>,
}

impl Outage {
    /// The broker has not been seen yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            is_out: AtomicBool::new(true),
            // Nobody tries before the topic was seen: the start does.
            is_tried: AtomicBool::new(true),
        })
    }

    /// The topic is there for the first time.
    pub(crate) fn began(&self) {
        self.is_tried.store(false, Ordering::Relaxed);
        self.is_out.store(false, Ordering::Relaxed);
    }

    /// The broker has acknowledged an event.
    pub(crate) fn acknowledged(&self) {
        // Looks before it writes: this is called for each event, from the thread that all wait for.
        if self.is_out.load(Ordering::Relaxed) {
            self.is_out.store(false, Ordering::Relaxed);
            tracing::info!("the broker acknowledges events again");
        }
    }

    /// An event waited in vain.
    pub(crate) fn timed_out(&self) {
        if !self.is_out.swap(true, Ordering::Relaxed) {
            tracing::warn!("the broker does not acknowledge events; requests are refused");
        }
    }

    /// Lets a request in, or refuses it at once.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Admission, Problem> {
        if !self.is_out.load(Ordering::Relaxed) {
            return Ok(Admission { tried: None });
        }
        if self.is_tried.swap(true, Ordering::Relaxed) {
            return Err(
                Problem::new(&UNAVAILABLE, "the broker is away; nothing was written")
                    .retry_after(Duration::from_secs(2)),
            );
        }
        Ok(Admission {
            tried: Some(Arc::clone(self)),
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(outage) = &self.tried {
            outage.is_tried.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_the_broker_is_away_one_at_a_time_tries() {
        let outage = Outage::new();
        assert!(outage.admit().is_err(), "before the topic was seen");
        outage.began();
        let (_first, _second) = (outage.admit().unwrap(), outage.admit().unwrap());
        outage.timed_out();
        let tries = outage.admit().unwrap();
        assert!(outage.admit().is_err());
        drop(tries);
        let _tries = outage.admit().unwrap();
        outage.acknowledged();
        assert!(outage.admit().is_ok());
    }
}
