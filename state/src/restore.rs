//! Budgets that get back what returns take back.
//!
//! A claim is given back where it counted, and only if that still counts it: not of a day that is forgotten, nor of a budget that
//! was reset since. So each sum of a budget has beside it since which claim it counts those that may be given back.

use rules::Rule;
use rules::history::Total;
use rust_decimal::Decimal;
use schemas::{Counted, GivenBack};

use crate::codec::StateError;
use crate::customer::Customer;
use crate::memory::{self, Memory, Sum};
use crate::partition::{Arrival, Partition};
use crate::settle::{Used, id_of, sum_of};

/// Notes that a budget counts a claim of that time and offset, which may be given back.
pub(crate) fn count(
    account: &mut Customer,
    total: &Total,
    value: Option<&str>,
    (at, offset): (i64, i64),
) -> Counted {
    let began = sum_of(account, began_of(total.identity()), total.stretch(), at);
    if began.count == 0 {
        began.count = offset.unsigned_abs() + 1;
    }
    Counted {
        identity: total.identity(),
        by: total.budget().by.as_deref().map(Into::into),
        value: value.map(Into::into),
        period: total.stretch().around(at).map(|(begin, _)| begin),
    }
}

/// Gives back what a return takes back of a match, to the budgets that still count it. `rule` is the campaign as it is now.
/// Returns how much is used of those of them that it still has, in percent of the one that is used most; none if the record
/// was taken in before, or nothing of it counts any more.
///
/// # Errors
/// [`StateError`]: what is kept cannot be read.
pub fn give_back(
    given: &GivenBack<'_>,
    arrival: Arrival,
    rule: Option<&Rule>,
    partition: &mut Partition,
) -> Result<Option<u64>, StateError> {
    if !partition.is_new(arrival) {
        return Ok(None);
    }
    let totals = rule.map_or(&[][..], Rule::totals);
    let mut most = None;
    for counted in given.counted.iter() {
        let by = counted.by.as_deref();
        let id = id_of(&given.campaign_id, by, counted.value.as_deref());
        // A look must not make an account.
        let known = partition.customer(&id)?;
        if !known.is_some_and(|account| counts(&account, counted, given.claim)) {
            continue;
        }
        let account = partition.touch(&id)?;
        let Some(memory) = account.memory_of(counted.identity) else {
            continue;
        };
        let place = (0, counted.period.unwrap_or_default());
        let left = (!given.whole).then_some(Decimal::ZERO);
        memory::give_back(memory, place, given.amount.decimal(), left);
        let used = sum(memory, counted.period).map_or_else(Used::default, Used::of);
        let total = totals.iter().find(|it| it.identity() == counted.identity);
        most = most.max(total.map(|total| used.percent(total.budget())));
    }
    Ok(most)
}

/// Whether the account still counts the claim of that offset there.
fn counts(account: &Customer, counted: &Counted, claim: i64) -> bool {
    let began = account.memory(began_of(counted.identity));
    let began = began.and_then(|memory| sum(memory, counted.period));
    began.is_some_and(|began| began.count > 0 && began.count <= claim.unsigned_abs() + 1)
}

/// The sum of the stretch of time that began then.
fn sum(memory: &Memory, period: Option<i64>) -> Option<Sum> {
    match (memory, period) {
        (Memory::Total(sum), None) => Some(*sum),
        (Memory::Stretches(stretches), Some(begin)) => {
            let found = stretches.iter().find(|(it, _)| *it == begin);
            found.map(|(_, sum)| *sum)
        }
        _ => None,
    }
}

/// The identity of since when a budget counts what may be given back. Its own inverse.
pub(crate) const fn began_of(identity: u64) -> u64 {
    identity ^ 0x6265_6761_6e61_7431
}
