//! Waiting longer after each failure.

use std::time::Duration;

use rand::RngExt as _;

/// Exponential backoff with jitter: each delay is drawn between half of a bound and the bound, which
/// doubles from `first` up to `max`. Jitter keeps processes that failed together from coming back
/// together; the lower half keeps a single one from coming back at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    bound: Duration,
}

impl Backoff {
    /// A backoff whose first delay is at most `first` and no delay more than `max`.
    pub fn new(first: Duration, max: Duration) -> Self {
        let first = first.min(max);
        Self {
            first,
            max,
            bound: first,
        }
    }

    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let share = rand::rng().random_range(0.5..=1.0);
        let delay = self.bound.mul_f64(share);
        self.bound = (self.bound * 2).min(self.max);
        delay
    }

    /// After a success: begin anew.
    pub fn reset(&mut self) {
        self.bound = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_within_their_bounds() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for bound in [100, 200, 400, 800, 1000, 1000] {
            let delay = backoff.next_delay().as_millis();
            assert!((bound / 2..=bound).contains(&delay), "{delay} of {bound}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(100));
    }
}
