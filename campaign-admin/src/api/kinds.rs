//! The kinds of problems that only this API has.

use std::sync::LazyLock;

use axum::http::StatusCode;
use service::http::problem::{COMMON, Kind};

/// There is something of that id.
pub(super) const ALREADY_EXISTS: Kind = Kind {
    name: "already-exists",
    status: StatusCode::CONFLICT,
    title: "There is a campaign of this id",
    meaning: "Choose another id, or replace the campaign with PUT and If-Match.",
};

/// The campaign is not in a state for this.
pub(super) const CONFLICT: Kind = Kind {
    name: "conflict",
    status: StatusCode::CONFLICT,
    title: "The campaign's state does not allow this",
    meaning: "`detail` says in which state it is, and in which it must be.",
};

/// It changed since it was read.
pub(super) const PRECONDITION_FAILED: Kind = Kind {
    name: "precondition-failed",
    status: StatusCode::PRECONDITION_FAILED,
    title: "The campaign is not as you believe",
    meaning: "It was changed since you read it: the header ETag of this answer has its present state. Read \
              it, decide again, and send that state as If-Match.",
};

/// It must be said on which state the change is based.
pub(super) const PRECONDITION_REQUIRED: Kind = Kind {
    name: "precondition-required",
    status: StatusCode::PRECONDITION_REQUIRED,
    title: "Say which state this change is based on",
    meaning: "Send the ETag that you read as If-Match, so that nobody else's change is overwritten unseen. \
              `If-Match: *` changes the campaign whatever its state, `If-None-Match: *` creates it.",
};

/// The time was over before the broker answered.
pub(super) const OUTCOME_UNKNOWN: Kind = Kind {
    name: "outcome-unknown",
    status: StatusCode::GATEWAY_TIMEOUT,
    title: "Nobody knows whether this change was made",
    meaning: "It was on its way to Kafka when the time was over. Read the campaign before you ask again: \
              with If-Match or If-None-Match nothing is done twice.",
};

/// There is no database.
pub(super) const NOT_RECORDED: Kind = Kind {
    name: "not-recorded",
    status: StatusCode::NOT_IMPLEMENTED,
    title: "Matches are not recorded here",
    meaning: "This installation has no database. Set SCYLLA_NODES, or read the matches from their topic.",
};

/// All kinds that this API has.
pub(crate) static KINDS: LazyLock<Vec<&'static Kind>> = LazyLock::new(|| {
    let mut kinds = COMMON.to_vec();
    kinds.extend([
        &ALREADY_EXISTS,
        &CONFLICT,
        &PRECONDITION_FAILED,
        &PRECONDITION_REQUIRED,
        &OUTCOME_UNKNOWN,
        &NOT_RECORDED,
    ]);
    kinds
});
