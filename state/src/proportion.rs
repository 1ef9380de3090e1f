//! How much of a reward goes back when a part of what it was for comes back.

use rust_decimal::{Decimal, RoundingStrategy};

/// How much of `reward` goes back in all when `returned` of `original` has come back: its share, rounded to so many decimals,
/// halves away from zero, and never more than the reward; all of it when all has come back.
///
/// It never falls as `returned` grows, so that what each return adds is not negative, and all of it together is the reward.
pub(crate) fn share(
    reward: Decimal,
    returned: Decimal,
    original: Decimal,
    decimals: u32,
) -> Decimal {
    if returned >= original {
        return reward;
    }
    // The product first, for it is exact where 28 digits hold it; halves stay halves then.
    let share = match reward.checked_mul(returned) {
        Some(product) => product.checked_div(original),
        None => (returned.checked_div(original)).and_then(|part| reward.checked_mul(part)),
    };
    let halves = RoundingStrategy::MidpointAwayFromZero;
    let share = share.unwrap_or_default();
    share.round_dp_with_strategy(decimals, halves).min(reward)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::currency::minor_units;

    use super::*;

    /// One of each number of decimals, and what is no currency.
    const CURRENCIES: [&str; 8] = ["JPY", "KRW", "USD", "EUR", "KWD", "TND", "CLF", "CHF"];

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[test]
    fn a_part_goes_back_in_minor_units_and_the_last_takes_the_rest() {
        for (reward, returned, original, currency, expected) in [
            ("10.00", "25", "75", "USD", "3.33"),
            ("10.00", "50", "75", "USD", "6.67"),
            ("10.00", "75", "75", "USD", "10.00"),
            ("10.00", "80", "75", "USD", "10.00"),
            ("1000", "1", "3", "JPY", "333"),
            ("1.000", "2", "3", "KWD", "0.667"),
            // A half goes away from zero.
            ("0.01", "1", "2", "USD", "0.01"),
            ("0.15", "1", "30", "USD", "0.01"),
            // A reward that is finer than its currency: never more than there is, and the rest with the last.
            ("0.006", "99", "100", "USD", "0.006"),
            ("3.755", "50", "100", "USD", "1.88"),
            ("3.755", "100", "100", "USD", "3.755"),
        ] {
            let decimals = minor_units(currency).unwrap();
            let found = share(
                decimal(reward),
                decimal(returned),
                decimal(original),
                decimals,
            );
            assert_eq!(found, decimal(expected), "{returned} of {original}");
        }
    }

    #[test]
    fn the_largest_amounts_have_shares() {
        let reward = decimal("999999999999999999.9999999999");
        let original = decimal("9999999999999999999999999999");
        let half = decimal("4999999999999999999999999999");
        let found = share(reward, half, original, 2);
        assert!(found < reward && found > reward / decimal("2.1"), "{found}");
        assert_eq!(share(reward, original, original, 2), reward);
    }

    proptest! {
        /// The plain arithmetic of whole minor units: twice the product and the original over twice the original.
        #[test]
        fn shares_are_those_of_whole_minor_units(
            place in 0..CURRENCIES.len(),
            reward in 0_i64..10_000_000,
            original in 1_i64..10_000_000,
            part in 0_i64..=1_000,
        ) {
            let decimals = minor_units(CURRENCIES[place]).unwrap();
            let returned = original * part / 1_000;
            let expected = (2 * reward * returned + original) / (2 * original);
            let found = share(
                Decimal::new(reward, decimals),
                Decimal::new(returned, 2),
                Decimal::new(original, 2),
                decimals,
            );
            prop_assert_eq!(found, Decimal::new(expected, decimals));
        }

        /// However a purchase comes back in parts: no part takes less than nothing, and together they take the reward.
        #[test]
        fn the_parts_of_a_purchase_take_back_its_reward_and_no_more(
            place in 0..CURRENCIES.len(),
            reward in 0_i64..1_000_000_000,
            finer in 0_u32..3,
            parts in prop::collection::vec(1_i64..100_000, 1..20),
        ) {
            let decimals = minor_units(CURRENCIES[place]).unwrap();
            let reward = Decimal::new(reward, decimals + finer);
            let original = Decimal::new(parts.iter().sum(), 2);
            let (mut returned, mut taken) = (Decimal::ZERO, Decimal::ZERO);
            for part in &parts {
                returned += Decimal::new(*part, 2);
                let all = share(reward, returned, original, decimals);
                prop_assert!(all >= taken && all <= reward);
                if returned < original && all < reward {
                    prop_assert!(all.normalize().scale() <= decimals);
                }
                taken = all;
            }
            prop_assert_eq!(taken, reward);
        }
    }
}
