//! What becomes of matches, in the plainest way: all matches and all returns are kept, with what has come of each.

use std::fmt;

use rust_decimal::Decimal;
use schemas::reverse_on::{ReverseOn, UsedLimits};
use schemas::{Campaign, Span};
use serde_json::Value as Json;

use crate::plain::{decimal, values};
use crate::stream::Arriving;

/// All matches of which something may become, and all returns.
#[derive(Default)]
pub(crate) struct Books {
    won: Vec<Won>,
    early: Vec<Returned>,
}

struct Won {
    name: String,
    campaign: String,
    event: Arriving,
    amount: Option<Decimal>,
    confirm_at: Option<i64>,
    is_confirmed: bool,
    /// Which fields tie it, and what stands in them.
    tie: Option<(String, String)>,
    within: i64,
    /// What it was of, and what of that has come back.
    of: Decimal,
    returned: Decimal,
    reversed: Decimal,
    is_gone: bool,
    decimals: u32,
    keeps_limits: bool,
}

/// A return, and what is left of it.
pub(crate) struct Returned {
    tie: (String, String),
    within: i64,
    event: Arriving,
    /// None: all of it.
    part: Option<Decimal>,
}

/// Something was taken back.
pub(crate) struct Back {
    pub(crate) customer: String,
    pub(crate) name: String,
    by: String,
    pub(crate) amount: Option<Decimal>,
    total: Decimal,
    pub(crate) whole: bool,
    pub(crate) keeps_limits: bool,
}

impl fmt::Display for Back {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.amount.map(|amount| amount.normalize());
        let total = self.total.normalize();
        write!(
            f,
            "{} by {}: {amount:?}, {total} in all, whole {}",
            self.name, self.by, self.whole
        )
    }
}

/// The one value of a field, with its kind.
fn one(event: &Arriving, field: &str) -> Option<String> {
    match values(event, field).as_slice() {
        [Json::String(text)] => Some(format!("text {text}")),
        [Json::Number(number)] => Some(format!("number {}", number.as_f64()?)),
        _ => None,
    }
}

fn tie(campaign: &str, same: &str, event: &Arriving) -> Option<(String, String)> {
    Some((format!("{campaign} {same}"), one(event, same)?))
}

/// The field that ties the campaigns of these tests; it has the same name in both events.
fn same(reverse_on: &ReverseOn) -> &str {
    reverse_on.same[0].event.as_str()
}

impl Returned {
    pub(crate) fn of(campaign: &str, reverse_on: &ReverseOn, event: &Arriving) -> Option<Self> {
        let part = match &reverse_on.amount {
            None => None,
            Some(field) => match values(event, field.as_str()).as_slice() {
                [] | [Json::Null] => None,
                [value] => Some(decimal(value)?.abs()),
                _ => return None,
            },
        };
        if part == Some(Decimal::ZERO) {
            return None;
        }
        Some(Self {
            tie: tie(campaign, same(reverse_on), event)?,
            within: reverse_on.within.as_millis(),
            event: event.clone(),
            part,
        })
    }
}

/// The share in whole units of the last decimal, by whole numbers alone.
fn share(amount: Decimal, returned: Decimal, of: Decimal, decimals: u32) -> Decimal {
    let whole = |value: Decimal| {
        let mut value = value;
        value.rescale(6);
        value.mantissa()
    };
    let (amount, returned, of_all) = (whole(amount), whole(returned), whole(of));
    // amount / 10^6 * returned / of, in units of 10^-decimals.
    let above = amount * returned * 10_i128.pow(decimals);
    let below = of_all * 1_000_000;
    let rounded = (2 * above + below) / (2 * below);
    Decimal::from_i128_with_scale(rounded, decimals)
}

impl Won {
    fn is_tied(&self, returned: &Returned) -> bool {
        self.event.customer == returned.event.customer
            && self.tie.as_ref() == Some(&returned.tie)
            && (self.event.at - returned.event.at).abs() <= returned.within.min(self.within)
    }

    /// Takes from the return what it can, and says what goes back.
    fn take(&mut self, returned: &mut Returned) -> Option<Back> {
        // Nothing is left of it.
        if returned.part == Some(Decimal::ZERO) {
            return None;
        }
        match &mut returned.part {
            Some(part) if self.of > Decimal::ZERO => {
                let used = (*part).min(self.of - self.returned);
                self.returned += used;
                *part -= used;
            }
            part => {
                self.returned = self.of;
                *part = Some(Decimal::ZERO);
            }
        }
        if self.is_gone {
            return None;
        }
        let is_all = self.returned == self.of;
        let before = self.reversed;
        let amount = match self.amount {
            None if is_all => None,
            None => return None,
            Some(amount) => {
                self.reversed = if is_all {
                    amount
                } else {
                    share(amount, self.returned, self.of, self.decimals).min(amount)
                };
                Some(self.reversed - before)
            }
        };
        self.is_gone = is_all || self.amount == Some(self.reversed);
        if !self.is_gone && amount == Some(Decimal::ZERO) {
            return None;
        }
        Some(Back {
            customer: self.event.customer.clone(),
            name: self.name.clone(),
            by: returned.event.id.clone(),
            amount,
            total: self.reversed,
            whole: self.is_gone,
            keeps_limits: self.keeps_limits,
        })
    }
}

impl Books {
    /// A match was made at that time: returns that came before take it back.
    pub(crate) fn keep(&mut self, campaign: &Campaign, event: &Arriving, at: i64) -> Vec<Back> {
        let reward = &campaign.reward;
        let amount = reward
            .amount
            .as_ref()
            .and_then(schemas::RewardAmount::exact);
        let reverse_on = campaign.reverse_on.as_ref();
        let of =
            reverse_on.and_then(
                |it| match values(event, it.of.as_ref()?.as_str()).as_slice() {
                    [value] => decimal(value),
                    _ => None,
                },
            );
        let decimals = match reward.currency.as_deref() {
            Some("JPY") => 0,
            Some("USD") => 2,
            Some("KWD") => 3,
            _ => amount.map_or(0, |it| it.decimal().scale()),
        };
        let mut won = Won {
            name: format!("{}:{}", event.id, campaign.id),
            campaign: campaign.id.to_string(),
            event: event.clone(),
            amount: amount.map(schemas::Amount::decimal),
            confirm_at: campaign.hold.map(Span::as_millis).map(|hold| at + hold),
            is_confirmed: false,
            tie: reverse_on.and_then(|it| tie(campaign.id.as_str(), same(it), event)),
            within: reverse_on.map_or(0, |it| it.within.as_millis()),
            of: of.unwrap_or_default().abs(),
            returned: Decimal::ZERO,
            reversed: Decimal::ZERO,
            is_gone: false,
            decimals,
            keeps_limits: reverse_on.is_some_and(|it| it.limits == UsedLimits::Keep),
        };
        let mut back = Vec::new();
        for early in &mut self.early {
            let is_used_up = early.part == Some(Decimal::ZERO);
            if !is_used_up && won.is_tied(early) && early.event.id != event.id {
                back.extend(won.take(early));
            }
        }
        self.won.push(won);
        back
    }

    /// A return came.
    pub(crate) fn take_back(&mut self, mut returned: Returned) -> Vec<Back> {
        let whole = returned.part.is_none();
        let mut back = Vec::new();
        let mut has_found = false;
        for won in &mut self.won {
            if won.is_tied(&returned) {
                if whole {
                    returned.part = None;
                }
                has_found = true;
                back.extend(won.take(&mut returned));
            }
        }
        if !(whole && has_found) {
            self.early.push(returned);
        }
        back
    }

    /// Campaign and event of what is confirmed, with what is left of it.
    pub(crate) fn confirm(&mut self, until: i64) -> Vec<(String, String)> {
        let mut confirmed = Vec::new();
        for won in &mut self.won {
            if won.is_confirmed || won.is_gone || won.confirm_at.is_none_or(|at| at > until) {
                continue;
            }
            won.is_confirmed = true;
            let reversed = won.reversed.normalize();
            let what = format!("{} confirmed, less {reversed}", won.event.id);
            confirmed.push((won.campaign.clone(), what));
        }
        confirmed
    }

    pub(crate) fn forget(&mut self, customer: &str) {
        self.won.retain(|won| won.event.customer != customer);
        self.early.retain(|early| early.event.customer != customer);
    }
}
