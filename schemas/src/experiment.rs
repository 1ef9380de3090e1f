//! Experiments: which share of the customers a campaign is kept from, and which variant of its reward the others get.
//!
//! Who is in which group is drawn by the `rules` crate; here is how it is written.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::VariantName;
use crate::{CampaignError, Reward};

/// Most variants of a campaign.
pub const MAX_VARIANTS: usize = 16;

/// The greatest weight of a variant.
pub const MAX_WEIGHT: u32 = 1_000_000;

/// A share of all, above 0 % and below 100 %, with four decimals at most: exact to a millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

/// Why a text is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no share; write it as \"10%\", above 0% and below 100%, with four decimals at most"
)]
pub struct PercentError(String);

impl Percent {
    /// Reads a text such as `10%` or `2.5%`.
    ///
    /// # Errors
    /// [`PercentError`]: it is none.
    pub fn parse(text: &str) -> Result<Self, PercentError> {
        let wrong = || PercentError(text.chars().take(32).collect());
        let digits = text.strip_suffix('%').ok_or_else(wrong)?;
        let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        if digits.is_empty() || digits.len() > 16 || !digits.bytes().all(is_plain) {
            return Err(wrong());
        }
        let percent = Decimal::from_str_exact(digits).map_err(|_| wrong())?;
        let millionths = (percent * Decimal::from(10_000)).normalize();
        let millionths = Some(millionths).filter(|it| it.scale() == 0);
        let millionths = millionths.and_then(|it| u32::try_from(it).ok());
        let in_range = |it: &u32| (1..1_000_000).contains(it);
        millionths.filter(in_range).map(Self).ok_or_else(wrong)
    }

    /// How many of a million.
    pub const fn millionths(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", Decimal::new(self.0.into(), 4).normalize())
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// One of the rewards that customers are given by lot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// What matches call it.
    pub name: VariantName,
    /// Its share is its weight of the sum of all weights; 0 gives it to nobody.
    pub weight: u32,
    /// What a match is worth; the campaign's own reward unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<Reward>,
}

/// Checks the variants of a campaign.
pub(crate) fn check(variants: &[Variant]) -> Result<(), CampaignError> {
    if variants.is_empty() {
        return Ok(());
    }
    if variants.len() > MAX_VARIANTS {
        return Err(CampaignError::Variants(format!(
            "there are {} of them; at most {MAX_VARIANTS} are allowed",
            variants.len()
        )));
    }
    for (number, variant) in variants.iter().enumerate() {
        if variants[..number].iter().any(|it| it.name == variant.name) {
            return Err(CampaignError::Variants(format!(
                "two are called {}; give each a name of its own",
                variant.name
            )));
        }
        if variant.weight > MAX_WEIGHT {
            return Err(CampaignError::Variants(format!(
                "the weight of {} is {}; at most {MAX_WEIGHT} is allowed",
                variant.name, variant.weight
            )));
        }
    }
    for variant in variants {
        if variant
            .reward
            .as_ref()
            .is_some_and(|it| it.pool().is_some())
        {
            return Err(CampaignError::PoolBeside("variants"));
        }
        if let Some(Err(error)) = variant.reward.as_ref().map(Reward::check) {
            let detail = format!("the reward of {}: {error}", variant.name);
            return Err(CampaignError::Variants(detail));
        }
    }
    if variants.iter().all(|it| it.weight == 0) {
        let detail = "all have the weight 0; give one of them more".to_owned();
        return Err(CampaignError::Variants(detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_to_a_millionth() {
        let cases = [
            ("10%", 100_000, "10%"),
            ("2.50%", 25_000, "2.5%"),
            ("0.0001%", 1, "0.0001%"),
            ("99.9999%", 999_999, "99.9999%"),
        ];
        for (text, millionths, written) in cases {
            let percent = Percent::parse(text).unwrap();
            assert_eq!(percent.millionths(), millionths, "{text}");
            assert_eq!(percent.to_string(), written);
        }
        for text in [
            "10", "%", "0%", "100%", "-1%", "+1%", "0.00001%", "1e1%", "10 %", "a%", "1.2.3%",
        ] {
            assert!(Percent::parse(text).is_err(), "{text}");
        }
    }
}
