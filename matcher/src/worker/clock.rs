//! The times of records, held to the clock.

use jiff::Timestamp;

/// The clock as it was last looked at, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Clock(i64);

impl Clock {
    /// The time of a record, but not beyond the clock; without one, now. The clock is looked at only when the
    /// record is not older than the last look: not for the records of a backlog.
    pub(crate) fn bound(&mut self, record: Option<i64>) -> i64 {
        let record = record.unwrap_or(i64::MAX);
        if record > self.0 {
            self.0 = Timestamp::now().as_millisecond();
        }
        record.min(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_record_is_ahead_of_the_clock() {
        let before = Timestamp::now().as_millisecond();
        let mut clock = Clock::default();
        assert_eq!(clock.bound(Some(before - 5)), before - 5);
        let ahead = clock.bound(Some(before + 3_600_000));
        let none = clock.bound(None);
        let after = Timestamp::now().as_millisecond();
        assert!((before..=after).contains(&ahead), "{ahead}");
        assert!((ahead..=after).contains(&none), "{none}");
        assert_eq!(clock.bound(Some(7)), 7);
    }
}
