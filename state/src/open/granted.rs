//! What the settler's word makes of a match that was asked for.

use schemas::{Claim, Grant};

use super::{Budgeted, Sequel, add, awaits};
use crate::customer::Customer;

/// The place of the match that a claim asks for.
fn asked(claim: &Claim<'_>, customer: &Customer) -> Option<usize> {
    customer.open.iter().position(|won| {
        won.is_asked()
            && *won.event_id == *claim.event_id
            && *won.campaign_id == *claim.prize.campaign_id
    })
}

/// Whether the match that a claim asks for is kept.
pub(crate) fn is_asked(claim: &Claim<'_>, customer: &Customer) -> bool {
    asked(claim, customer).is_some()
}

/// The settler has granted a claim: its match is there, and returns that came before take it back. Nothing of the match is
/// believed of the claim: it is as the customer's state has it.
pub(crate) fn granted(
    claim: &Claim<'_>,
    grant: &Grant,
    now: i64,
    customer: &mut Customer,
    sequels: &mut Vec<Sequel>,
) {
    // What is not known any more had to make room, or its customer was forgotten.
    let Some(place) = asked(claim, customer) else {
        return;
    };
    let mut won = customer.open.remove(place);
    won.matched_at = grant.granted_at.as_millisecond();
    won.budget = (!grant.counted.is_empty()).then(|| Budgeted::Granted {
        claim: grant.claim,
        counted: grant.counted.clone(),
    });
    add(won, now, customer, sequels);
    settle_returns(customer);
}

/// The settler has refused a claim: there is no match.
pub(crate) fn refused(claim: &Claim<'_>, customer: &mut Customer) {
    if let Some(place) = asked(claim, customer) {
        customer.open.remove(place);
        settle_returns(customer);
    }
}

/// Of returns of the whole that have found something only those are kept that may find more of what was there.
fn settle_returns(customer: &mut Customer) {
    let open = &customer.open;
    (customer.early).retain(|early| !early.has_found || awaits(open, early));
}
