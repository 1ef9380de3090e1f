//! Rules: campaigns ready to meet events.

use schemas::{Campaign, Event, Status};

use crate::pattern::Pattern;
use crate::problem::PatternErrors;

/// What stands for no offset, as in Kafka's own protocol.
const NO_OFFSET: i64 = -1;

/// A campaign with its pattern compiled.
///
/// Immutable, shared between rule sets as `Arc`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    campaign: Campaign,
    pattern: Pattern,
    offset: i64,
}

impl Rule {
    /// Compiles a campaign's `when`. Its other fields are checked by [`Campaign::check`].
    ///
    /// # Errors
    /// [`PatternErrors`] lists everything that is wrong with the pattern.
    pub fn compile(campaign: Campaign) -> Result<Self, PatternErrors> {
        let pattern = Pattern::parse(&campaign.when)?;
        Ok(Self {
            campaign,
            pattern,
            offset: NO_OFFSET,
        })
    }

    /// The same rule, with the offset in `campaigns` of the record that it was read from.
    #[must_use]
    pub fn at_offset(mut self, offset: i64) -> Self {
        self.offset = offset;
        self
    }

    /// The campaign as it was written.
    pub fn campaign(&self) -> &Campaign {
        &self.campaign
    }

    /// Its pattern.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The offset in `campaigns` of the record that it was read from; -1 if it came otherwise, from a
    /// file or a test.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Whether the event wins the campaign: it is active, live at the event's time and its pattern is
    /// met.
    pub fn is_won_by(&self, event: &Event<'_>) -> bool {
        self.campaign.status == Status::Active
            && self.campaign.schedule.contains(event.occurred_at)
            && self.pattern.matches(event.root)
    }
}
