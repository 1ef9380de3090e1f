//! The rate of each principal: a bucket of tokens that fills at a constant speed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Above so many buckets, those that are full again are forgotten. There are as many as there are keys
/// and subjects of tokens.
const MAX_BUCKETS: usize = 10_000;

/// Token buckets, one for each principal. A bucket is kept as the time at which it will be full (the
/// "generic cell rate algorithm"), so nothing runs to fill it.
///
/// A lock is taken for the time of one look-up.
#[derive(Debug)]
pub(super) struct Rates {
    /// Time in which one token comes back.
    interval: Duration,
    /// Time in which an empty bucket fills.
    window: Duration,
    full_at: Mutex<HashMap<String, Instant>>,
}

impl Rates {
    /// `per_second` tokens come back each second, to at most `burst`.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self {
            interval,
            window: interval * burst.max(1),
            full_at: Mutex::default(),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// There is none; how long until there is one.
    pub(super) fn admit(&self, id: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.lock();
        let full_at = buckets.get(id).copied().unwrap_or(now).max(now);
        let after = full_at + self.interval;
        let wait = after.duration_since(now).saturating_sub(self.window);
        if !wait.is_zero() {
            return Err(wait);
        }
        set(&mut buckets, id, after, now);
        Ok(())
    }

    /// Takes further tokens, those that are not there yet included: who was let in for one and turns
    /// out to cost more waits the longer the next time.
    pub(super) fn charge(&self, id: &str, tokens: u32, now: Instant) {
        let mut buckets = self.lock();
        let full_at = buckets.get(id).copied().unwrap_or(now).max(now);
        set(&mut buckets, id, full_at + self.interval * tokens, now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(buckets: &mut HashMap<String, Instant>, id: &str, full_at: Instant, now: Instant) {
    if let Some(bucket) = buckets.get_mut(id) {
        *bucket = full_at;
        return;
    }
    if buckets.len() >= MAX_BUCKETS {
        buckets.retain(|_, full_at| *full_at > now);
    }
    buckets.insert(id.to_owned(), full_at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rates = Rates::new(10, 3);
        let now = Instant::now();
        for _ in 0..3 {
            rates.admit("a", now).unwrap();
        }
        assert_eq!(rates.admit("a", now), Err(Duration::from_millis(100)));
        rates.admit("b", now).unwrap();
        let later = now + Duration::from_millis(100);
        rates.admit("a", later).unwrap();
        assert_eq!(rates.admit("a", later), Err(Duration::from_millis(100)));
        let much_later = now + Duration::from_mins(1);
        for _ in 0..3 {
            rates.admit("a", much_later).unwrap();
        }
        assert!(
            rates.admit("a", much_later).is_err(),
            "no more than a burst"
        );
    }

    #[test]
    fn what_costs_more_than_one_is_paid_for_later() {
        let rates = Rates::new(10, 10);
        let now = Instant::now();
        rates.admit("a", now).unwrap();
        rates.charge("a", 19, now);
        let wait = rates.admit("a", now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(1100));
        rates.admit("a", now + wait).unwrap();
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        let rates = Rates::new(1000, 1);
        let now = Instant::now();
        for number in 0..MAX_BUCKETS {
            rates.admit(&number.to_string(), now).unwrap();
        }
        rates
            .admit("one more", now + Duration::from_secs(1))
            .unwrap();
        assert_eq!(rates.lock().len(), 1);
    }
}
