//! Matches of which something may still become: they are held, or may be taken back.
//!
//! A match is final as soon as it is made, unless its campaign has `hold` or `reverse_on`. Then the customer's state keeps all
//! of it, so that what becomes of it later does not depend on what has become of the campaign. Returns that come before what
//! they take back are kept as well.
//!
//! Of a campaign with a budget the match is *asked* for first: it is none before the settler has granted it, and returns that
//! come meanwhile are returns that came before. `granted` has what the settler's word makes of it.

pub(crate) mod granted;
mod sequel;

use jiff::Timestamp;
use rules::Rule;
use rules::history::{Returns, Taken};
use rust_decimal::Decimal;
use schemas::reverse_on::{MAX_EARLY, MAX_OPEN_BYTES, UsedLimits};
use schemas::{Amount, Counted};

use crate::customer::Customer;
use crate::decide::{Occasion, stretch_key};
use crate::memory;
use crate::proportion::share;

pub use self::sequel::{Reversal, Sequel, Told};

/// A match that is not final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMatch {
    /// The campaign that was won.
    pub campaign_id: Box<str>,
    /// Its version then.
    pub campaign_version: u64,
    /// Offset in `campaigns` of its record then.
    pub campaigns_offset: i64,
    /// The event that won it.
    pub event_id: Box<str>,
    /// Its type.
    pub event_type: Box<str>,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// Offset of its record.
    pub offset: i64,
    /// When it was decided, in milliseconds since 1970.
    pub matched_at: i64,
    /// The reward, as JSON.
    pub reward: Box<str>,
    /// The amount of it; none if it has no amount.
    pub amount: Option<Decimal>,
    /// When it is confirmed, in milliseconds since 1970; none if it was never held.
    pub confirm_at: Option<i64>,
    /// When it was.
    pub confirmed_at: Option<i64>,
    /// How it may be taken back; none if it cannot.
    pub returns: Option<Returnable>,
    /// How much of the amount was taken back.
    pub reversed: Decimal,
    /// Whether nothing is left of it.
    pub is_reversed: bool,
    /// What the settler has to say of it; none if it has nothing to say, or never will have again.
    pub budget: Option<Budgeted>,
    /// Which of the campaign's variants the customer has drawn.
    pub variant: Option<Box<str>>,
}

/// What a match is to the budgets of its campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Budgeted {
    /// It is claimed, and no match yet.
    Asked,
    /// It was granted, and what takes it back gives it back to them.
    Granted {
        /// Offset of its claim.
        claim: i64,
        /// Where it counts.
        counted: Vec<Counted>,
    },
}

/// How a match may be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returnable {
    /// Names the fields that tie returns to it.
    pub(crate) identity: u64,
    /// The hash of what stands in them.
    pub(crate) tie: u64,
    /// How far a return may be from the event, in milliseconds.
    pub(crate) within: i64,
    /// How much the event was of; zero if it does not say.
    pub(crate) original: Decimal,
    /// How much of that has come back.
    pub(crate) returned: Decimal,
    /// The decimals of a part of the amount.
    pub(crate) decimals: u32,
    /// What counts the match as a limit, and where in its memory.
    pub(crate) counted: Vec<(u64, i64)>,
}

/// A return whose event has not come, or of which something is left over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyReturn {
    pub(crate) identity: u64,
    pub(crate) tie: u64,
    /// How far it may be from its event, in milliseconds.
    pub(crate) within: i64,
    /// The return.
    pub event_id: Box<str>,
    /// Its type.
    pub event_type: Box<str>,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// Offset of its record.
    pub offset: i64,
    /// How much it takes back, of which nothing was found yet.
    pub taken: Taken,
    /// Whether it is of the whole and has found something: then it is kept for what was asked for before it came, and takes
    /// back nothing of what comes.
    pub(crate) has_found: bool,
}

/// What a return takes back of a reward.
struct Back {
    /// Of its amount; none if it has none.
    amount: Option<Decimal>,
}

/// What a match takes beside its texts.
const BYTES: usize = 128;

/// The event of a match, of which the match keeps only this.
pub(crate) struct Winning<'a> {
    pub(crate) event_id: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) occurred_at: Timestamp,
    /// Offset of its record.
    pub(crate) offset: i64,
    /// When it wins, in milliseconds since 1970: a match is held from then on.
    pub(crate) at: i64,
}

impl OpenMatch {
    /// What an event wins of a campaign at `now`, with that reward and its amount. Nothing takes it back.
    pub(crate) fn new(
        rule: &Rule,
        event: &Winning<'_>,
        (reward, amount): (Box<str>, Option<Decimal>),
        now: i64,
    ) -> Self {
        Self {
            campaign_id: rule.id().as_str().into(),
            campaign_version: rule.version(),
            campaigns_offset: rule.offset(),
            event_id: event.event_id.into(),
            event_type: event.event_type.into(),
            occurred_at: event.occurred_at,
            offset: event.offset,
            matched_at: now,
            reward,
            amount,
            confirm_at: confirm_at(rule, event.at),
            confirmed_at: None,
            returns: None,
            reversed: Decimal::ZERO,
            is_reversed: false,
            budget: (!rule.totals().is_empty()).then_some(Budgeted::Asked),
            // What waits has no variants.
            variant: None,
        }
    }

    /// Whether it waits for the settler's word.
    pub fn is_asked(&self) -> bool {
        self.budget == Some(Budgeted::Asked)
    }

    /// Whether it is held.
    pub fn is_pending(&self) -> bool {
        let is_held = self.confirm_at.is_some() && self.confirmed_at.is_none();
        is_held && !self.is_reversed && !self.is_asked()
    }

    /// Whether it must not be forgotten, however old it is.
    pub(crate) fn waits(&self) -> bool {
        self.is_asked() || self.is_pending()
    }

    /// When it is confirmed, if it is held.
    pub(crate) fn due(&self) -> Option<i64> {
        self.confirm_at.filter(|_| self.is_pending())
    }

    /// The last time of a return that can take it back, in milliseconds since 1970.
    pub fn until(&self) -> Option<i64> {
        let returns = self.returns.as_ref()?;
        let at = self.occurred_at.as_millisecond();
        Some(at.saturating_add(returns.within))
    }

    fn size(&self) -> usize {
        let texts = [
            &self.campaign_id,
            &self.event_id,
            &self.event_type,
            &self.reward,
        ];
        let limits = self.returns.as_ref().map_or(0, |it| it.counted.len() * 16);
        let budgets = match &self.budget {
            Some(Budgeted::Granted { counted, .. }) => counted.iter().map(size_of_counted).sum(),
            Some(Budgeted::Asked) | None => 0,
        };
        BYTES + limits + budgets + texts.iter().map(|text| text.len()).sum::<usize>()
    }

    fn is_tied(&self, early: &EarlyReturn) -> bool {
        let apart = (self.occurred_at.as_millisecond()).abs_diff(early.at());
        self.returns.as_ref().is_some_and(|returns| {
            returns.identity == early.identity
                && returns.tie == early.tie
                // Either is forgotten by its own.
                && apart <= early.within.min(returns.within).unsigned_abs()
        })
    }

    /// Takes back what the return asks for, as far as it is there, and leaves in `early` what is left of the return. Returns
    /// what that is of the reward; none if nothing is taken back.
    fn take(&mut self, early: &mut EarlyReturn) -> Option<Back> {
        if early.is_used_up() {
            return None;
        }
        let amount = self.amount;
        let returns = self.returns.as_mut()?;
        match early.taken {
            Taken::Part(part) if returns.original > Decimal::ZERO => {
                let room = returns.original - returns.returned;
                let used = part.min(room);
                returns.returned += used;
                early.taken = Taken::Part(part - used);
            }
            // Nothing says what it would be a part of.
            Taken::Part(_) | Taken::Whole => {
                returns.returned = returns.original;
                early.taken = Taken::Part(Decimal::ZERO);
            }
        }
        if self.is_reversed {
            return None;
        }
        let is_all = returns.returned >= returns.original;
        let Some(amount) = amount else {
            self.is_reversed = is_all;
            return is_all.then_some(Back { amount: None });
        };
        let all = share(amount, returns.returned, returns.original, returns.decimals);
        let more = all - self.reversed;
        self.reversed = all;
        self.is_reversed = is_all || (all >= amount && !amount.is_zero());
        let amount = Some(more);
        (self.is_reversed || !more.is_zero()).then_some(Back { amount })
    }
}

fn size_of_counted(counted: &Counted) -> usize {
    let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    24 + text(&counted.by) + text(&counted.value)
}

impl EarlyReturn {
    fn at(&self) -> i64 {
        self.occurred_at.as_millisecond()
    }

    /// The last time of an event that it can take back, in milliseconds since 1970.
    pub(crate) fn until(&self) -> i64 {
        self.at().saturating_add(self.within)
    }

    fn is_used_up(&self) -> bool {
        matches!(self.taken, Taken::Part(rest) if rest.is_zero())
    }
}

/// The match of an event is made: it is kept if something may become of it, and returns that came before take it back.
pub(crate) fn keep(
    rule: &Rule,
    occasion: &Occasion<'_, '_>,
    customer: &mut Customer,
    sequels: &mut Vec<Sequel>,
) {
    let Some(history) = rule.history().filter(|history| history.keeps_matches()) else {
        return;
    };
    let event = occasion.event;
    let at = event.occurred_at.as_millisecond();
    let returns = history.returns().and_then(|returns| {
        let counted = history.limits().iter().map(|limit| {
            let key = stretch_key(limit.stretch(), at);
            (limit.identity(), key)
        });
        Some(Returnable {
            identity: returns.identity(),
            tie: returns.tie_of_event(event)?,
            within: returns.within().as_millis(),
            original: returns.original(event),
            returned: Decimal::ZERO,
            decimals: decimals(returns, rule, event),
            counted: match returns.limits() {
                UsedLimits::Restore => counted.collect(),
                UsedLimits::Keep => Vec::new(),
            },
        })
    });
    if returns.is_none() && history.hold().is_none() {
        return;
    }
    let winning = Winning {
        event_id: event.event_id,
        event_type: event.event_type,
        occurred_at: event.occurred_at,
        offset: occasion.offset,
        at,
    };
    let reward = rule.reward(event).ok();
    let reward = reward.map_or_else(Box::default, |reward| reward.get().into());
    let amount = rule.amount(event).ok().flatten().map(Amount::decimal);
    let won = OpenMatch {
        returns,
        variant: (rule.variant(event.customer_id)).map(|it| it.as_str().into()),
        ..OpenMatch::new(rule, &winning, (reward, amount), occasion.now)
    };
    add(won, occasion.now, customer, sequels);
}

/// When a match that is won at that time is confirmed, in milliseconds since 1970; none if it is not held.
pub fn confirm_at(rule: &Rule, at: i64) -> Option<i64> {
    let hold = rule.history()?.hold()?;
    Some(at.saturating_add(hold.as_millis()))
}

/// The decimals of a part of the reward: those of its currency, or of what is none as many as it has itself.
fn decimals(returns: &Returns, rule: &Rule, event: &schemas::Event<'_>) -> u32 {
    returns.minor_units().unwrap_or_else(|| {
        let amount = rule.amount(event).ok().flatten();
        // Zeros at its end are decimals, too, but no amount has more than ten.
        amount.map_or(0, |amount| amount.decimal().scale().min(10))
    })
}

/// Keeps a match, which returns that came before take back at once, unless it is only asked for.
pub(crate) fn add(
    mut won: OpenMatch,
    now: i64,
    customer: &mut Customer,
    sequels: &mut Vec<Sequel>,
) {
    if !won.is_asked() {
        let mut early = std::mem::take(&mut customer.early);
        for waiting in &mut early {
            // What is a return and wins something does not take that back.
            if !won.is_tied(waiting) || waiting.event_id == won.event_id {
                continue;
            }
            let was_there = won.offset < waiting.offset;
            if waiting.has_found && !was_there {
                continue;
            }
            let is_whole = waiting.taken == Taken::Whole;
            reverse(&mut won, waiting, now, customer, sequels);
            // It is of all that was there, and of that some may be granted yet.
            if is_whole && was_there && awaits(&customer.open, waiting) {
                (waiting.taken, waiting.has_found) = (Taken::Whole, true);
            }
        }
        early.retain(|early| !early.is_used_up());
        customer.early = early;
    }
    customer.open.push(won);
    bound(now, customer, sequels);
}

/// Whether something that a return of the whole takes back was asked for before it came, and is not granted yet.
fn awaits(open: &[OpenMatch], early: &EarlyReturn) -> bool {
    let mut open = open.iter();
    open.any(|won| won.is_asked() && won.offset < early.offset && won.is_tied(early))
}

/// Takes back what an event, which is a return, asks for.
pub(crate) fn take_back(
    returns: &Returns,
    occasion: &Occasion<'_, '_>,
    customer: &mut Customer,
    sequels: &mut Vec<Sequel>,
) {
    let event = occasion.event;
    let Some((tie, taken)) = returns.tie_of_return(event).zip(returns.taken(event)) else {
        return;
    };
    let mut early = EarlyReturn {
        identity: returns.identity(),
        tie,
        within: returns.within().as_millis(),
        event_id: event.event_id.into(),
        event_type: event.event_type.into(),
        occurred_at: event.occurred_at,
        offset: occasion.offset,
        taken,
        has_found: false,
    };
    let mut open = std::mem::take(&mut customer.open);
    for won in &mut open {
        if won.is_asked() || !won.is_tied(&early) {
            continue;
        }
        // A whole return is of all that there is.
        if taken == Taken::Whole {
            (early.taken, early.has_found) = (taken, true);
        }
        reverse(won, &mut early, occasion.now, customer, sequels);
    }
    customer.open = open;
    let is_left = match taken {
        Taken::Whole if early.has_found => {
            early.taken = taken;
            awaits(&customer.open, &early)
        }
        Taken::Whole => true,
        Taken::Part(_) => !early.is_used_up(),
    };
    if is_left {
        if customer.early.len() >= MAX_EARLY {
            customer.early.remove(0);
        }
        customer.early.push(early);
    }
}

/// Takes back of a match what the return asks for, and gives back what it used of limits.
fn reverse(
    won: &mut OpenMatch,
    early: &mut EarlyReturn,
    now: i64,
    customer: &mut Customer,
    sequels: &mut Vec<Sequel>,
) {
    let left = |won: &OpenMatch| won.amount.unwrap_or_default() - won.reversed;
    let before = left(won);
    let Some(Back { amount }) = won.take(early) else {
        return;
    };
    let (after, is_reversed) = (left(won), won.is_reversed);
    let at = won.occurred_at.as_millisecond();
    if let Some(returns) = &mut won.returns {
        for (identity, key) in &returns.counted {
            if let Some(memory) = customer.memory_of(*identity) {
                let left = (!is_reversed).then_some(after);
                memory::give_back(memory, (at, *key), before, left);
            }
        }
        if is_reversed {
            returns.counted.clear();
        }
    }
    sequels.push(Sequel {
        won: won.clone(),
        reversal: Some(Reversal {
            event_id: early.event_id.clone(),
            event_type: early.event_type.clone(),
            occurred_at: early.occurred_at,
            offset: early.offset,
            amount,
            reversed_at: now,
        }),
    });
    if is_reversed {
        // Nobody asks for it any more.
        won.reward = Box::default();
        won.budget = None;
    }
}

/// Confirms what was held until `until`, in the order of those times.
pub(crate) fn confirm(until: i64, now: i64, customer: &mut Customer, sequels: &mut Vec<Sequel>) {
    let mut due: Vec<&mut OpenMatch> = customer
        .open
        .iter_mut()
        .filter(|won| won.due().is_some_and(|due| due <= until))
        .collect();
    due.sort_by(|a, b| (a.due(), &a.event_id).cmp(&(b.due(), &b.event_id)));
    for won in due {
        won.confirmed_at = Some(now);
        sequels.push(Sequel {
            won: won.clone(),
            reversal: None,
        });
    }
    customer
        .open
        .retain(|won| won.waits() || won.returns.is_some());
}

/// Keeps within bounds: what is oldest can be taken back no more, and what is held is confirmed before its time. What is
/// asked for goes last: if it is granted then, it is neither confirmed nor taken back.
fn bound(now: i64, customer: &mut Customer, sequels: &mut Vec<Sequel>) {
    let mut size: usize = customer.open.iter().map(OpenMatch::size).sum();
    while size > MAX_OPEN_BYTES && customer.open.len() > 1 {
        let first = |is_so: &dyn Fn(&OpenMatch) -> bool| customer.open.iter().position(is_so);
        let oldest = first(&|won| !won.waits()).or_else(|| first(&|won| !won.is_asked()));
        let mut won = customer.open.remove(oldest.unwrap_or(0));
        size -= won.size();
        if won.is_pending() {
            won.confirmed_at = Some(now);
            sequels.push(Sequel {
                won,
                reversal: None,
            });
        }
    }
}
