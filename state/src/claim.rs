//! Claims: what is asked of the settler for an event, and what is done when it refuses.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rules::history::Allowance;
use rules::{History, Rule, RuleSet};
use rust_decimal::Decimal;
use schemas::reverse_on::UsedLimits;
use schemas::{Amount, CampaignId, Claim, ClaimGroup, ClaimKept, Event, Prize, Source};

use crate::customer::{Customer, Retention};
use crate::decide::{Winners, event_hash, grant, moment};
use crate::engine::DueMatch;
use crate::memory::{Memory, Sum};
use crate::open::granted::{is_asked, refused};

/// Most campaigns that a claim names to win instead, and most bytes of their rewards. A claim fits into a record's headers.
const MAX_NEXT: usize = 16;
const MAX_NEXT_BYTES: usize = 128 * 1024;

/// The claim of an event on a campaign that it wins and that has a budget. None if the reward has no value, which the engine
/// lets nothing win with.
pub fn claim<'a>(
    rule: &'a Rule,
    event: &Event<'a>,
    source: Source<'a>,
    winners: &Winners<'a>,
) -> Option<Claim<'a>> {
    let own = |name: &str| names(rule).any(|it| it == name);
    let shares = |it: &&&Rule| names(it).any(own);
    let next = winners.next.iter().filter(shares);
    let next = next.filter_map(|it| prize(it, event));
    Some(Claim {
        event_id: Cow::Borrowed(event.event_id),
        customer_id: Cow::Borrowed(event.customer_id),
        event_type: Cow::Borrowed(event.event_type),
        occurred_at: event.occurred_at,
        counts_at: event.occurred_at,
        source,
        prize: prize(rule, event)?,
        taken: taken(rule),
        groups: groups(rule, winners),
        next: as_many_as_fit(next),
        kept: kept(rule, event),
        granted: None,
    })
}

/// What may become of the match of a claim; the customer's state keeps the match then.
fn kept(rule: &Rule, event: &Event<'_>) -> Option<ClaimKept> {
    let returns = rule.history()?.returns();
    let returns = returns.filter(|returns| returns.tie_of_event(event).is_some());
    let confirm_at = crate::open::confirm_at(rule, event.occurred_at.as_millisecond());
    (confirm_at.is_some() || returns.is_some()).then(|| ClaimKept {
        confirm_at: confirm_at.map(moment),
        restores: returns.is_some_and(|it| it.budget() == UsedLimits::Restore),
    })
}

/// The claim of an event whose time to wait is over.
pub fn claim_due<'a>(won: &'a DueMatch<'a>, source: Source<'a>) -> Claim<'a> {
    let event = &won.event;
    Claim {
        event_id: Cow::Borrowed(&event.event_id),
        customer_id: Cow::Borrowed(&won.customer_id),
        event_type: Cow::Borrowed(&event.event_type),
        occurred_at: event.occurred_at,
        counts_at: moment(event.due),
        source,
        prize: Prize {
            campaign_id: Cow::Borrowed(won.rule.id().as_str()),
            campaign_version: won.rule.version(),
            campaigns_offset: won.rule.offset(),
            reward: Cow::Borrowed(&*won.reward),
            amount: amount(won.amount),
            // What waits has no variants.
            variant: None,
            by: BTreeMap::new(),
            pool: pool(won.rule),
        },
        taken: taken(won.rule),
        groups: Vec::new(),
        next: Vec::new(),
        kept: won.confirm_at.map(|confirm_at| ClaimKept {
            confirm_at: Some(moment(confirm_at)),
            restores: false,
        }),
        granted: None,
    }
}

fn amount(decimal: Decimal) -> Amount {
    Amount::nearest(decimal).unwrap_or(Amount::ZERO)
}

fn prize<'a>(rule: &'a Rule, event: &Event<'a>) -> Option<Prize<'a>> {
    let by = rule.totals().iter().filter_map(|total| {
        let field = total.budget().by.as_deref()?;
        Some((Cow::Borrowed(field), Cow::Owned(total.value(event)?)))
    });
    Some(Prize {
        campaign_id: Cow::Borrowed(rule.id().as_str()),
        campaign_version: rule.version(),
        campaigns_offset: rule.offset(),
        reward: rule.reward(event).ok()?,
        amount: rule.amount(event).ok()?.unwrap_or(Amount::ZERO),
        variant: (rule.variant(event.customer_id)).map(|it| Cow::Borrowed(it.as_str())),
        by: by.collect(),
        pool: pool(rule),
    })
}

fn pool(rule: &Rule) -> Option<Cow<'_, str>> {
    let pool = rule.history()?.pool()?;
    Some(Cow::Borrowed(pool.as_str()))
}

fn as_many_as_fit<'a>(next: impl Iterator<Item = Prize<'a>>) -> Vec<Prize<'a>> {
    let mut bytes = 0;
    let fitting = next.take(MAX_NEXT).take_while(|it| {
        bytes += it.reward.get().len();
        bytes <= MAX_NEXT_BYTES
    });
    fitting.collect()
}

/// The limits of the customer that a match of the campaign takes.
fn taken(rule: &Rule) -> Vec<u64> {
    let limits = rule.history().into_iter().flat_map(History::limits);
    limits.map(Allowance::identity).collect()
}

/// The groups that a campaign names.
fn names(rule: &Rule) -> impl Iterator<Item = &str> {
    let groups = rule.history().into_iter().flat_map(History::groups);
    groups.map(|group| group.name().as_str())
}

/// All groups of the event, with how many of their campaigns it has won; none if the campaign is in none.
fn groups<'a>(rule: &'a Rule, winners: &Winners<'a>) -> Vec<ClaimGroup<'a>> {
    let mut all = BTreeMap::<&str, u32>::new();
    if names(rule).next().is_none() || winners.next.is_empty() {
        return Vec::new();
    }
    let taken = winners.won.iter().chain(&winners.held_out);
    for name in taken.flat_map(|rule| names(rule)) {
        *all.entry(name).or_default() += 1;
    }
    let groups = all.into_iter().map(|(name, won)| ClaimGroup {
        name: Cow::Borrowed(name),
        won,
        own: names(rule).any(|it| it == name),
    });
    groups.collect()
}

/// A claim that was refused, and what its event wins instead.
#[derive(Debug)]
pub struct Amends<'r> {
    /// The claim.
    pub claim: Claim<'static>,
    /// The campaigns, and which of the claim's [`next`](Claim::next) each is. Those that have budgets it claims.
    pub won: Vec<(&'r Rule, usize)>,
    /// The same of campaigns whose holdout the customer is in.
    pub held_out: Vec<(&'r Rule, usize)>,
}

impl Amends<'_> {
    /// The claim on one of them: the same event, and what is left to win after it.
    pub fn claim(&self, rule: &Rule, place: usize) -> Claim<'_> {
        let before = &self.claim;
        let settled = || self.won.iter().chain(&self.held_out);
        let is_left = |it: &usize| !settled().any(|(_, place)| place == it);
        let left = (place + 1..before.next.len()).filter(is_left);
        let own = |name: &str| names(rule).any(|it| it == name);
        let groups = before.groups.iter().map(|group| ClaimGroup {
            name: Cow::Borrowed(&*group.name),
            won: group.won,
            own: own(&group.name),
        });
        Claim {
            prize: before.next[place].clone(),
            taken: taken(rule),
            groups: groups.collect(),
            next: left.map(|at| before.next[at].clone()).collect(),
            kept: None,
            granted: None,
            ..before.clone()
        }
    }
}

/// Gives back what a refused claim took, forgets the match that it asked for, and lets what is next win where groups and limits leave room now. An event that the
/// customer's state does not know any more gets nothing.
pub(crate) fn amend<'r>(
    claim: &Claim<'_>,
    rules: &'r RuleSet,
    customer: &mut Customer,
) -> Vec<(&'r Rule, usize)> {
    let mut won = Vec::new();
    let at = claim.counts_at.as_millisecond();
    let prize = &claim.prize;
    let is_known = customer.saw(event_hash(&claim.event_id)) || is_asked(claim, customer);
    if !is_known || is_done("refused", claim, prize, customer) {
        return won;
    }
    refused(claim, customer);
    for identity in &claim.taken {
        customer.give_back(*identity, at, prize.amount.decimal());
    }
    for group in claim.groups.iter().filter(|group| group.own) {
        change(claim, &group.name, -Decimal::ONE, customer);
    }
    for (place, prize) in claim.next.iter().enumerate() {
        let id = CampaignId::new(&*prize.campaign_id).ok();
        let rule = id.and_then(|id| rules.rule(&id));
        let Some((rule, history)) = rule.and_then(|rule| Some((rule, rule.history()?))) else {
            continue;
        };
        let mut groups = history.groups().iter();
        let have_room = groups.all(|group| {
            let won = won_of(claim, group.name().as_str(), customer);
            (group.per_event()).is_none_or(|most| won < most.into())
        });
        if !have_room
            || history.absent().is_some()
            || history.keeps_matches()
            || customer.saw(done("won", claim, prize))
            || !grant(history, at, prize.amount.decimal(), customer)
        {
            continue;
        }
        customer.see(at, done("won", claim, prize));
        for name in names(rule) {
            change(claim, name, Decimal::ONE, customer);
        }
        won.push((rule, place));
    }
    won
}

/// Whether that was done for the event and the campaign before; from now on it was.
fn is_done(what: &str, claim: &Claim<'_>, prize: &Prize<'_>, customer: &mut Customer) -> bool {
    let hash = done(what, claim, prize);
    let is_done = customer.saw(hash);
    if !is_done {
        customer.see(claim.counts_at.as_millisecond(), hash);
    }
    is_done
}

fn done(what: &str, claim: &Claim<'_>, prize: &Prize<'_>) -> u64 {
    let text = format!("{what}:{}:{}", claim.event_id, prize.campaign_id);
    schemas::hash::hash(5, text.as_bytes())
}

/// How many campaigns of a group the event has won by now: when it was decided, and since.
fn won_of(claim: &Claim<'_>, group: &str, customer: &Customer) -> Decimal {
    let before = claim.groups.iter().find(|it| it.name == group);
    let before = before.map_or(0, |it| it.won);
    let since = match customer.memory(group_of(claim, group)) {
        Some(Memory::Stretches(stretches)) => {
            stretches.first().map_or(Decimal::ZERO, |it| it.1.sum)
        }
        _ => Decimal::ZERO,
    };
    Decimal::from(before) + since
}

/// Remembers that the event has won one more or one less of a group.
fn change(claim: &Claim<'_>, group: &str, by: Decimal, customer: &mut Customer) {
    let at = claim.counts_at.as_millisecond();
    let none = || Memory::Stretches(vec![(at, Sum::default())]);
    let identity = group_of(claim, group);
    let memory = customer.memory_mut(identity, at, Retention::For(0), none);
    if let Memory::Stretches(stretches) = memory
        && let Some((_, sum)) = stretches.first_mut()
    {
        sum.add(at, by);
    }
}

fn group_of(claim: &Claim<'_>, group: &str) -> u64 {
    let text = format!("{}:{group}", claim.event_id);
    schemas::hash::hash(6, text.as_bytes())
}
