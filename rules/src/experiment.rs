//! Who is held out of a campaign, and which variant of its reward each of the others has drawn.
//!
//! The draw is a pure function of two texts, so that it is the same on every platform, in every release, and whatever becomes of
//! the campaign; and whoever analyses can repeat it. With `NAME` the campaign's `experiment`, or its id if it has none:
//!
//! ```text
//! digest   = SHA-256(NAME + 0x0A + customer_id)               (UTF-8; FIPS 180-4)
//! holdout  = floor(first 8 bytes of digest, big-endian × 1,000,000 / 2^64)
//! variant  = floor(next 8 bytes of digest, big-endian × sum of the weights / 2^64)
//! ```
//!
//! A customer is held out if `holdout` is below the share in millionths (10 % are 100,000). The others have the first variant
//! up to which the weights, added up in their order, are more than `variant`. The two numbers are independent: to change the share
//! moves nobody from one variant to another. No name has a line feed in it, so different pairs are different texts.

use ring::digest::{SHA256, digest};
use schemas::{Campaign, VariantName};

use crate::compiler::Compiler;
use crate::reward::{RewardError, RewardErrors, Worth};

/// A million: what shares are counted in.
const ALL: u64 = 1_000_000;

/// What a customer has drawn: two numbers, each evenly spread over all of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    holdout: u64,
    variant: u64,
}

/// The groups of a campaign, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Experiment {
    name: Box<str>,
    /// Of a million; 0 if nobody is held out.
    holdout: u32,
    arms: Box<[Arm]>,
    /// The sum of all weights.
    weights: u64,
}

/// A variant.
#[derive(Debug, Clone)]
struct Arm {
    name: VariantName,
    weight: u64,
    /// None: the campaign's own.
    worth: Option<Worth>,
}

impl Draw {
    /// What the customer has drawn in the experiment of that name.
    ///
    /// # Panics
    /// Never: a digest has as many bytes as are taken of it.
    pub fn of(experiment: &str, customer_id: &str) -> Self {
        let mut text = Vec::with_capacity(experiment.len() + 1 + customer_id.len());
        text.extend_from_slice(experiment.as_bytes());
        text.push(b'\n');
        text.extend_from_slice(customer_id.as_bytes());
        let digest = digest(&SHA256, &text);
        let number = |at: usize| {
            let bytes = digest.as_ref()[at..].first_chunk();
            u64::from_be_bytes(*bytes.expect("a digest has 32 bytes"))
        };
        Self {
            holdout: number(0),
            variant: number(8),
        }
    }

    /// Which of a million it is, for the holdout.
    pub fn holdout(self) -> u64 {
        scaled(self.holdout, ALL)
    }

    /// Which of so many it is, for the variants.
    pub fn variant(self, weights: u64) -> u64 {
        scaled(self.variant, weights)
    }
}

/// The part of `of` that the number is of all numbers.
fn scaled(number: u64, of: u64) -> u64 {
    let product = u128::from(number) * u128::from(of);
    u64::try_from(product >> 64).expect("it is below `of`")
}

impl Experiment {
    /// Compiles the groups of a campaign; none if it has none.
    ///
    /// # Errors
    /// The expressions of the variants' rewards that are wrong.
    pub(crate) fn compile(campaign: &Campaign) -> Result<Option<Self>, RewardErrors> {
        if campaign.holdout.is_none() && campaign.variants.is_empty() {
            return Ok(None);
        }
        let mut wrong = Vec::new();
        let mut arms = Vec::new();
        for (number, variant) in campaign.variants.iter().enumerate() {
            let worth = variant.reward.as_ref().map(Worth::compile).transpose();
            let worth = worth.unwrap_or_else(|errors| {
                wrong.extend(errors.iter().map(|error| RewardError {
                    variant: Some(number),
                    ..error.clone()
                }));
                None
            });
            arms.push(Arm {
                name: variant.name.clone(),
                weight: variant.weight.into(),
                worth,
            });
        }
        if !wrong.is_empty() {
            return Err(RewardErrors::new(wrong));
        }
        let name = campaign.experiment.as_ref();
        let name = name.map_or(campaign.id.as_str(), |name| name.as_str());
        Ok(Some(Self {
            name: name.into(),
            holdout: campaign.holdout.map_or(0, schemas::Percent::millionths),
            weights: arms.iter().map(|arm| arm.weight).sum(),
            arms: arms.into(),
        }))
    }

    /// Takes what other rules have, too, from the compiler.
    pub(crate) fn share(&mut self, compiler: &mut Compiler) {
        for arm in &mut self.arms {
            if let Some(worth) = &mut arm.worth {
                worth.share(compiler);
            }
        }
    }

    /// Whether the customer is held out.
    pub(crate) fn holds_out(&self, customer_id: &str) -> bool {
        // Who holds out nobody needs no draw.
        self.holdout > 0 && Draw::of(&self.name, customer_id).holdout() < self.holdout.into()
    }

    /// The variant that the customer has drawn.
    pub(crate) fn variant(&self, customer_id: &str) -> Option<&VariantName> {
        Some(&self.arms[self.drawn(customer_id)?].name)
    }

    /// The place of the variant that the customer has drawn.
    pub(crate) fn drawn(&self, customer_id: &str) -> Option<usize> {
        if self.arms.is_empty() {
            return None;
        }
        let drawn = Draw::of(&self.name, customer_id).variant(self.weights);
        let mut until = 0;
        self.arms.iter().position(|arm| {
            until += arm.weight;
            drawn < until
        })
    }

    /// The reward of the variant that the customer has drawn; none if it is the campaign's own.
    pub(crate) fn worth(&self, customer_id: &str) -> Option<&Worth> {
        self.arms[self.drawn(customer_id)?].worth.as_ref()
    }
}

#[cfg(test)]
mod tests;
