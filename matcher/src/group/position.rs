//! Where to begin to read a partition. Pure.

use rdkafka::topic_partition_list::Offset;

use super::GroupError;

/// What to do when a partition ends before the committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truncation {
    /// Work no more: what is read again would count twice.
    Refuse,
    /// Begin with the oldest record: what is read again does no harm.
    BeginAnew,
}

/// Where to begin, and how many events retention took before.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) offset: i64,
    pub(super) lost: Option<i64>,
}

/// A group's first start begins at the oldest event. `begin` and `end` are the partition's watermarks.
pub(super) fn starting_position(
    partition: i32,
    committed: Offset,
    begin: i64,
    end: i64,
) -> Result<Start, GroupError> {
    let Offset::Offset(committed) = committed else {
        return Ok(Start {
            offset: begin,
            lost: None,
        });
    };
    if committed > end {
        return Err(GroupError::Truncated {
            partition,
            committed,
            end,
        });
    }
    Ok(Start {
        offset: committed.max(begin),
        lost: (committed < begin).then_some(begin - committed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_from_its_committed_offset() {
        let start = |committed, begin, end| starting_position(0, committed, begin, end).unwrap();
        let at = |offset, lost| Start { offset, lost };
        assert_eq!(start(Offset::Invalid, 0, 10), at(0, None));
        assert_eq!(start(Offset::Invalid, 7, 10), at(7, None));
        assert_eq!(start(Offset::Offset(5), 0, 10), at(5, None));
        assert_eq!(start(Offset::Offset(10), 0, 10), at(10, None));
        assert_eq!(start(Offset::Offset(5), 8, 10), at(8, Some(3)));
    }

    #[test]
    fn a_partition_that_ends_before_its_committed_offset_is_not_read_again() {
        let error = starting_position(3, Offset::Offset(11), 0, 10).unwrap_err();
        assert!(matches!(error, GroupError::Truncated { partition: 3, .. }));
        // Offsets alone are not all: what customers have done is remembered by them, too.
        let advice = error.to_string();
        assert!(
            advice.contains("everything below offset 11") && advice.contains("customer-state"),
            "{advice}"
        );
    }
}
