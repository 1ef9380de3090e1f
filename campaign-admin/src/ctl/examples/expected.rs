//! What a test may expect, and what became of its event.

use schemas::MatchStatus;

/// What a test expects of its last entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Match,
    NoMatch,
    HeldOut,
    Pending,
    Confirmed,
    Reversed,
}

impl Expected {
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "match" => Self::Match,
            "no_match" => Self::NoMatch,
            "held_out" => Self::HeldOut,
            "pending" => Self::Pending,
            "confirmed" => Self::Confirmed,
            "reversed" => Self::Reversed,
            _ => return None,
        })
    }

    /// What is to become of a match that is there.
    pub(super) fn status(self) -> Option<MatchStatus> {
        match self {
            Self::Confirmed => Some(MatchStatus::Confirmed),
            Self::Reversed => Some(MatchStatus::Reversed),
            Self::Match | Self::NoMatch | Self::HeldOut | Self::Pending => None,
        }
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Match,
    HeldOut,
    NoMatch,
}

impl Verdict {
    pub(super) fn of(wins: bool, is_held_out: bool) -> Self {
        match (wins, is_held_out) {
            (true, _) => Self::Match,
            (false, true) => Self::HeldOut,
            (false, false) => Self::NoMatch,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Match => "a match",
            Self::HeldOut => "that its customer is held out",
            Self::NoMatch => "no match",
        })
    }
}
