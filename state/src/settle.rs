//! Budgets: a claim is granted if every budget of its campaign leaves room for it, and counts then; one of a pool of coupons if a
//! code is left.
//!
//! What is used is kept in a [`Partition`] as what customers have done is: an *account* a campaign, and one more for each value
//! of a field by which a budget is split. Claims are settled in the order of their log.

use rules::Rule;
use rules::history::{Stretch, Total};
use rust_decimal::Decimal;
use schemas::across::Budget;
use schemas::{Amount, CampaignId, Claim, Counted, RefusalReason};

use crate::breaker;
use crate::codec::StateError;
use crate::customer::{Customer, Retention};
use crate::decide::taken_together;
use crate::engine::IsKnown;
use crate::memory::{Memory, Sum};
use crate::partition::{Arrival, Partition};
use crate::pool::{self, PoolCode};
use crate::restore::{self, began_of};

/// How long what was used of a day, week or month is kept after it, against the time of the partition, in milliseconds. A
/// claim that is older is refused.
pub const KEPT: i64 = 100 * 86_400_000;

/// Longer than any month, also where clocks are changed.
const MONTH: i64 = 32 * 86_400_000;

/// At how many percent of a budget it is told.
const MARKS: [u8; 3] = [50, 80, 100];

/// What became of a claim.
#[derive(Debug)]
pub enum Settled<'r> {
    /// It is a match.
    Granted {
        /// What is told of its budgets.
        marks: Vec<Mark<'r>>,
        /// How much is used of them now, in percent of the one that is used most.
        percent: u64,
        /// Where it counts, if what takes it back gives it back.
        counted: Vec<Counted>,
        /// The code that the reward is, if it is one of a pool.
        code: Option<PoolCode>,
    },
    /// It is none.
    Refused {
        /// Why.
        reason: RefusalReason,
        /// The first budget that leaves no room.
        limit: Option<&'r Total>,
        /// What is told of it.
        marks: Vec<Mark<'r>>,
    },
    /// The record was taken in before; only a fault of the log brings it again.
    TakenBefore,
}

/// A budget that is used to so many percent, for the first time.
#[derive(Debug)]
pub struct Mark<'r> {
    /// 50, 80 or 100.
    pub percent: u8,
    /// The budget.
    pub total: &'r Total,
    /// The value of the field by which it is split.
    pub value: Option<String>,
    /// When its stretch of time began, in milliseconds since 1970.
    pub period: Option<i64>,
    /// What is used of it.
    pub used: Used,
}

/// What is used of a budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Matches.
    pub times: u64,
    /// Their amount.
    pub amount: Decimal,
}

impl Used {
    pub(crate) fn of(sum: Sum) -> Self {
        Self {
            times: sum.count,
            amount: sum.sum,
        }
    }

    /// The share of a budget in whole percent, of its times or of its amount, whichever is greater.
    pub fn percent(&self, budget: &Budget) -> u64 {
        let share = |used: Decimal, of: Decimal| {
            let hundredfold = used.saturating_mul(Decimal::ONE_HUNDRED);
            let percent = hundredfold
                .checked_div(of)
                .map_or(100.into(), |it| it.floor());
            u64::try_from(percent).unwrap_or(u64::MAX)
        };
        let times = budget.times.map(|of| share(self.times.into(), of.into()));
        let amount = budget.amount.map(|of| share(self.amount, of.decimal()));
        times.max(amount).unwrap_or_default()
    }
}

/// Settles a claim. `rule` is its campaign as it is now; none if it was deleted.
///
/// # Errors
/// [`StateError`]: what is kept cannot be read.
pub fn settle<'r>(
    claim: &Claim<'_>,
    arrival: Arrival,
    rule: Option<&'r Rule>,
    partition: &mut Partition,
) -> Result<Settled<'r>, StateError> {
    if !partition.is_new(arrival) {
        return Ok(Settled::TakenBefore);
    }
    let refused = |reason| {
        Ok(Settled::Refused {
            reason,
            limit: None,
            marks: Vec::new(),
        })
    };
    let Some(rule) = rule else {
        return refused(RefusalReason::CampaignGone);
    };
    let at = claim.counts_at.as_millisecond();
    if let Some(pool) = &claim.prize.pool {
        return Ok(match pool::take(pool, at, partition)? {
            None => Settled::Refused {
                reason: RefusalReason::PoolEmpty,
                limit: None,
                marks: Vec::new(),
            },
            code => Settled::Granted {
                marks: Vec::new(),
                percent: 0,
                counted: Vec::new(),
                code,
            },
        });
    }
    let oldest = partition.clock().saturating_sub(KEPT);
    let totals = rule.totals();
    let is_kept = |total: &Total| matches!(total.stretch(), Stretch::Ever) || at >= oldest;
    if !totals.iter().all(is_kept) {
        return refused(RefusalReason::TooLate);
    }
    let amount = claim.prize.amount;
    for total in totals {
        let value = value_of(claim, total);
        let id = account_id(&claim.prize.campaign_id, total, value);
        let account = partition.touch(&id)?;
        let used = taken_together(account.memory(total.identity()), total.stretch(), at);
        if !leaves_room(total.budget(), used, amount) {
            // What does not fit ends it as well as what fits exactly.
            let marks = mark(account, total, value, at, 100);
            return Ok(Settled::Refused {
                reason: RefusalReason::BudgetUsedUp,
                limit: Some(total),
                marks,
            });
        }
    }
    let (mut marks, mut most, mut counted) = (Vec::new(), 0, Vec::new());
    let restores = claim.kept.as_ref().is_some_and(|kept| kept.restores);
    for total in totals {
        let value = value_of(claim, total);
        let id = account_id(&claim.prize.campaign_id, total, value);
        let account = partition.touch(&id)?;
        account.expire(oldest);
        let sum = sum_of(account, total.identity(), total.stretch(), at);
        sum.add(at, amount.decimal());
        let percent = Used::of(*sum).percent(total.budget());
        most = most.max(percent);
        marks.append(&mut mark(account, total, value, at, percent));
        if restores {
            counted.push(restore::count(account, total, value, (at, arrival.offset)));
        }
    }
    Ok(Settled::Granted {
        marks,
        percent: most,
        counted,
        code: None,
    })
}

/// How much is used of the budgets of a claim that was refused, in percent of the one that is used most.
///
/// # Errors
/// [`StateError`]: what is kept cannot be read.
pub fn percent(
    claim: &Claim<'_>,
    rule: &Rule,
    partition: &mut Partition,
) -> Result<u64, StateError> {
    let at = claim.counts_at.as_millisecond();
    let mut most = 0;
    for total in rule.totals() {
        let value = value_of(claim, total);
        let account = partition.touch(&account_id(&claim.prize.campaign_id, total, value))?;
        let memory = account.memory(total.identity());
        let used = Used::of(taken_together(memory, total.stretch(), at));
        most = most.max(used.percent(total.budget()));
    }
    Ok(most)
}

/// Whether a budget leaves room for a claim.
pub(crate) fn has_room(claim: &Claim<'_>, total: &Total, partition: &Partition) -> bool {
    let value = value_of(claim, total);
    let id = account_id(&claim.prize.campaign_id, total, value);
    let account = partition.customer(&id).ok().flatten().unwrap_or_default();
    let memory = account.memory(total.identity());
    let used = taken_together(memory, total.stretch(), claim.counts_at.as_millisecond());
    leaves_room(total.budget(), used, claim.prize.amount)
}

/// Forgets what was used of a campaign's budgets.
///
/// # Errors
/// [`StateError`]: what is kept cannot be read.
pub fn reset(
    campaign_id: &str,
    arrival: Arrival,
    partition: &mut Partition,
) -> Result<(), StateError> {
    if !partition.is_new(arrival) {
        return Ok(());
    }
    partition.forget_all(&|id| account_of(id).is_some_and(|(campaign, _)| campaign == campaign_id))
}

/// Looks at some accounts and forgets what no claim can ask for any more.
///
/// # Errors
/// [`StateError`]: what is kept cannot be read.
pub fn sweep(
    partition: &mut Partition,
    accounts: usize,
    is_known: IsKnown<'_>,
) -> Result<(), StateError> {
    let oldest = partition.clock().saturating_sub(KEPT);
    let is_known = |identity, oldest| {
        let identities = [identity, marks_of(identity), began_of(identity)];
        breaker::is_kept(identity)
            || pool::is_identity(identity)
            || identities.iter().any(|it| is_known(*it, oldest))
    };
    partition.sweep(accounts, oldest, &is_known)
}

/// What is used of a budget, with the account that it has and the begin of its stretch of time if there is one.
#[derive(Debug, Clone)]
pub struct Spent<'r> {
    /// The budget.
    pub total: &'r Total,
    /// The value of the field by which it is split.
    pub value: Option<String>,
    /// When its stretch of time began, in milliseconds since 1970.
    pub period: Option<i64>,
    /// What is used of it.
    pub used: Used,
}

/// What is used of a campaign's budgets, of one of its accounts.
pub fn spent<'r>(rule: &'r Rule, id: &str, account: &Customer) -> Vec<Spent<'r>> {
    let mut spent = Vec::new();
    let Some((campaign, split)) = account_of(id) else {
        return spent;
    };
    if campaign != rule.id().as_str() {
        return spent;
    }
    let field = split.map(|(field, _)| field);
    let value = split.and_then(|(_, value)| value);
    let is_it = |total: &&Total| total.budget().by.as_deref() == field;
    for total in rule.totals().iter().filter(is_it) {
        let of = |period, sum: Sum| Spent {
            total,
            value: value.map(str::to_owned),
            period,
            used: Used::of(sum),
        };
        match account.memory(total.identity()) {
            Some(Memory::Stretches(stretches)) => {
                spent.extend(stretches.iter().map(|(begin, sum)| of(Some(*begin), *sum)));
            }
            Some(Memory::Total(sum)) => spent.push(of(None, *sum)),
            _ => {}
        }
    }
    spent
}

/// Whether that is the id of an account of the campaign.
pub fn is_account_of(id: &str, campaign: &CampaignId) -> bool {
    account_of(id).is_some_and(|(it, _)| it == campaign.as_str())
}

/// Between the parts of an account's id. No campaign's id has it.
const SPLIT: char = '\u{1f}';

fn account_id(campaign: &str, total: &Total, value: Option<&str>) -> String {
    id_of(campaign, total.budget().by.as_deref(), value)
}

pub(crate) fn id_of(campaign: &str, by: Option<&str>, value: Option<&str>) -> String {
    match (by, value) {
        (None, _) => campaign.to_owned(),
        (Some(field), None) => format!("{campaign}{SPLIT}{field}"),
        (Some(field), Some(value)) => format!("{campaign}{SPLIT}{field}{SPLIT}{value}"),
    }
}

/// The field by which an account is split, and the value of it.
type Split<'i> = (&'i str, Option<&'i str>);

/// The campaign whose account has that id, and how it is split.
fn account_of(id: &str) -> Option<(&str, Option<Split<'_>>)> {
    let mut parts = id.splitn(3, SPLIT);
    let campaign = parts.next()?;
    let field = parts.next();
    let value = parts.next();
    Some((campaign, field.map(|field| (field, value))))
}

fn value_of<'c>(claim: &'c Claim<'_>, total: &Total) -> Option<&'c str> {
    let field = total.budget().by.as_deref()?;
    claim.prize.by.get(field).map(|value| &**value)
}

fn leaves_room(budget: &Budget, used: Sum, amount: Amount) -> bool {
    let all = used.sum.saturating_add(amount.decimal());
    budget.times.is_none_or(|times| used.count < times)
        && budget.amount.is_none_or(|most| all <= most.decimal())
}

/// The sum of the stretch of time around `at`.
pub(crate) fn sum_of<'a>(
    account: &'a mut Customer,
    identity: u64,
    stretch: &Stretch,
    at: i64,
) -> &'a mut Sum {
    let period = stretch.around(at).map(|(begin, _)| begin);
    let retention = period.map_or(Retention::Ever, |_| Retention::For(MONTH));
    let none = || match period {
        None => Memory::Total(Sum::default()),
        Some(_) => Memory::Stretches(Vec::new()),
    };
    let memory = account.memory_mut(identity, at, retention, none);
    // One of another form is of another identity.
    if !matches!(
        (&*memory, period),
        (Memory::Total(_), None) | (Memory::Stretches(_), Some(_))
    ) {
        *memory = none();
    }
    match (memory, period) {
        (Memory::Stretches(stretches), Some(begin)) => crate::memory::stretch_mut(stretches, begin),
        (Memory::Total(sum), _) => sum,
        _ => unreachable!("it was made so above"),
    }
}

/// What of a budget is used to so many percent now and was not told before. It is told anew when the budget has another size.
fn mark<'r>(
    account: &mut Customer,
    total: &'r Total,
    value: Option<&str>,
    at: i64,
    percent: u64,
) -> Vec<Mark<'r>> {
    if percent < MARKS[0].into() {
        return Vec::new();
    }
    let budget = total.budget();
    let memory = account.memory(total.identity());
    let used = Used::of(taken_together(memory, total.stretch(), at));
    // The size that it was told of.
    let times = budget.times.map_or(-Decimal::ONE, Decimal::from);
    let amount = budget.amount.map_or(-Decimal::ONE, Amount::decimal);
    let told = sum_of(account, marks_of(total.identity()), total.stretch(), at);
    if (told.min, told.max) != (times, amount) {
        *told = Sum {
            min: times,
            max: amount,
            ..Sum::default()
        };
    }
    let before = told.count;
    told.count = told.count.max(percent);
    let period = total.stretch().around(at).map(|(begin, _)| begin);
    let new = MARKS.into_iter().filter(|mark| {
        let mark = u64::from(*mark);
        before < mark && mark <= percent
    });
    let new = new.map(|percent| Mark {
        percent,
        total,
        value: value.map(str::to_owned),
        period,
        used,
    });
    new.collect()
}

/// The identity of what was told of a budget. Its own inverse.
const fn marks_of(identity: u64) -> u64 {
    identity ^ 0x746f_6c64_6d61_726b
}
