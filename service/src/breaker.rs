//! Circuit breaker: stops calling what does not answer, and probes it now and then.

use std::time::{Duration, Instant};

use crate::retry::Backoff;

/// Whether calls go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls go through.
    Closed,
    /// Calls wait until the next probe.
    Open {
        /// When the next probe may go.
        until: Instant,
    },
    /// One probe is on its way and decides.
    HalfOpen,
}

/// Opens after some consecutive failures, for longer each time a probe fails. Has no clock: the time
/// is an argument.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: State,
    failures: u32,
    threshold: u32,
    backoff: Backoff,
}

impl Breaker {
    /// A closed breaker that opens after `threshold` consecutive failures; `backoff` says for how long.
    pub fn new(threshold: u32, backoff: Backoff) -> Self {
        Self {
            state: State::Closed,
            failures: 0,
            threshold: threshold.max(1),
            backoff,
        }
    }

    /// The state, for metrics and health.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether a call may go at `now`. An open breaker whose time is over lets one through, the probe.
    pub fn allows(&mut self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::HalfOpen => false,
            State::Open { until } if now < until => false,
            State::Open { .. } => {
                self.state = State::HalfOpen;
                true
            }
        }
    }

    /// How long until [`Breaker::allows`] may say yes.
    pub fn retry_after(&self, now: Instant) -> Duration {
        match self.state {
            State::Open { until } => until.saturating_duration_since(now),
            State::Closed | State::HalfOpen => Duration::ZERO,
        }
    }

    /// A call succeeded.
    pub fn succeeded(&mut self) {
        self.state = State::Closed;
        self.failures = 0;
        self.backoff.reset();
    }

    /// A call failed at `now`.
    pub fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.state == State::HalfOpen || self.failures >= self.threshold {
            let until = now + self.backoff.next_delay();
            self.state = State::Open { until };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_probe_decides() {
        let second = Duration::from_secs(1);
        let mut breaker = Breaker::new(3, Backoff::new(second, second * 4));
        let now = Instant::now();
        breaker.failed(now);
        breaker.failed(now);
        breaker.succeeded();
        breaker.failed(now);
        breaker.failed(now);
        assert!(breaker.allows(now), "two in a row are not three");
        breaker.failed(now);
        assert!(!breaker.allows(now));
        assert!(breaker.retry_after(now) <= second);

        let later = now + second;
        assert!(breaker.allows(later), "the probe");
        assert!(!breaker.allows(later), "only one probe");
        breaker.failed(later);
        assert!(!breaker.allows(later), "open again after the probe failed");
        assert!(!breaker.allows(later + second / 2), "and for longer");

        let much_later = later + second * 4;
        assert!(breaker.allows(much_later));
        breaker.succeeded();
        assert_eq!(breaker.state(), State::Closed);
        assert!(breaker.allows(much_later));
    }
}
