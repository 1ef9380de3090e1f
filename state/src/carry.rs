//! What is remembered of customers, carried over to events that begin anew: those of another topic.
//!
//! The offsets of a partition's records are part of it, by which it knows what came before what. Carried over, all of them lie
//! below zero, in the order that they had, and so before everything that the new partition will have.

use crate::codec::{self, StateError};
use crate::customer::Customer;
use crate::partition::Progress;

/// The state of a customer whose events were in a partition that ends at offset `end`, as it is to be remembered where they
/// begin anew.
///
/// # Errors
/// [`StateError`]: a later release wrote it, or nobody did.
pub fn carried(state: &[u8], end: i64) -> Result<Vec<u8>, StateError> {
    let mut customer = Customer::from_bytes(state)?;
    for waiting in &mut customer.waiting {
        waiting.offset -= end;
    }
    for won in &mut customer.open {
        won.offset -= end;
    }
    for early in &mut customer.early {
        early.offset -= end;
    }
    let mut out = Vec::with_capacity(state.len());
    customer.write(&mut out);
    Ok(out)
}

/// The time of a partition, in milliseconds since 1970, that a record of its progress tells.
///
/// # Errors
/// [`StateError`]: a later release wrote it, or nobody did.
pub fn clock_of(progress: &[u8]) -> Result<i64, StateError> {
    Ok(codec::read_progress(progress)?.clock)
}

/// The value of the record of progress of a partition of that time, none of whose events was taken in.
pub fn begun(clock: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let progress = Progress {
        clock,
        ..Progress::default()
    };
    codec::write_progress(progress, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rust_decimal::Decimal;

    use super::*;
    use crate::customer::Waiting;
    use crate::partition::Partition;

    fn waiting(offset: i64) -> Waiting {
        Waiting {
            due: 1_000,
            condition: 1,
            occurred_at: Timestamp::UNIX_EPOCH,
            offset,
            campaign_id: "come-back".into(),
            event_id: "e".into(),
            event_type: "sign_up".into(),
            reward: Box::default(),
            amount: Decimal::ZERO,
        }
    }

    #[test]
    fn what_was_before_stays_before_what_comes_in_its_order() {
        let customer = Customer {
            waiting: vec![waiting(0), waiting(41), waiting(99)],
            ..Customer::default()
        };
        let mut before = Vec::new();
        customer.write(&mut before);
        let after = Customer::from_bytes(&carried(&before, 100).unwrap()).unwrap();
        let offsets: Vec<_> = after.waiting.iter().map(|it| it.offset).collect();
        assert_eq!(offsets, [-100, -59, -1]);
        let back = carried(&carried(&before, 100).unwrap(), -100).unwrap();
        assert_eq!(back, before, "nothing else is changed");
    }

    #[test]
    fn a_partition_that_begins_anew_has_its_time_and_no_events() {
        let begun = begun(1_700_000_000_000);
        assert_eq!(clock_of(&begun), Ok(1_700_000_000_000));
        let mut partition = Partition::default();
        partition.restore(b"", Some(&begun)).unwrap();
        assert_eq!(
            (partition.clock(), partition.offset(), partition.lineage()),
            (1_700_000_000_000, -1, None)
        );
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        assert!(carried(b"\xff", 0).is_err());
        assert!(clock_of(b"\xff").is_err());
    }
}
