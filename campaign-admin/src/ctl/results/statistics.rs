//! How sure a difference of two groups is: 95 % confidence intervals by methods that are well established.
//!
//! Statistics, and not money: doubles are exact enough.

use serde::Serialize;

/// The quantile of the normal distribution for 95 % on both sides together.
const Z: f64 = 1.959_963_984_540_054;

/// A difference, and the interval that has the true one in 95 of 100 experiments.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Difference {
    #[serde(rename = "difference")]
    pub(super) estimate: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// How many of how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proportion {
    pub(super) of_them: u64,
    pub(super) all: u64,
}

impl Proportion {
    pub(super) fn rate(self) -> f64 {
        number(self.of_them) / number(self.all)
    }

    /// The score interval (E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927).
    fn wilson(self) -> (f64, f64) {
        let (p, n) = (self.rate(), number(self.all));
        let square = Z * Z;
        let center = p + square / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
        let scale = 1.0 + square / n;
        ((center - half) / scale, (center + half) / scale)
    }

    /// How much greater the rate is than another one; none if one of the groups is empty. By the hybrid score method
    /// without correction for continuity, number 10 of R. G. Newcombe, "Interval estimation for the difference between
    /// independent proportions: comparison of eleven methods", Statistics in Medicine 17 (1998), 873–890. It holds for small groups and
    /// for rates of 0 and 1, too.
    pub(super) fn minus(self, other: Self) -> Option<Difference> {
        if self.all == 0 || other.all == 0 {
            return None;
        }
        let (p, q) = (self.rate(), other.rate());
        let ((p_low, p_high), (q_low, q_high)) = (self.wilson(), other.wilson());
        let difference = p - q;
        Some(Difference {
            estimate: difference,
            low: difference - (p - p_low).hypot(q_high - q),
            high: difference + (p_high - p).hypot(q - q_low),
        })
    }
}

/// Values of a group, added up one by one (B. P. Welford, "Note on a method for calculating corrected sums of squares and products",
/// 1962).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    count: u64,
    mean: f64,
    /// The sum of the squares of the differences to the mean.
    squares: f64,
}

impl Sample {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / number(self.count);
        self.squares += before * (value - self.mean);
    }

    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    fn variance(&self) -> f64 {
        self.squares / (number(self.count) - 1.0)
    }

    /// How much greater the mean is than another one; none if a group has fewer than two values. For groups of different
    /// variances (B. L. Welch, "The generalization of 'Student's' problem when several different population variances
    /// are involved", Biometrika 34 (1947), 28–35), with Satterthwaite's degrees of freedom.
    pub(super) fn minus(&self, other: &Self) -> Option<Difference> {
        if self.count < 2 || other.count < 2 {
            return None;
        }
        let part = |sample: &Self| sample.variance() / number(sample.count);
        let (a, b) = (part(self), part(other));
        let difference = self.mean - other.mean;
        let error = (a + b).sqrt();
        let half = if error > 0.0 {
            let share = |part: f64, count: u64| part * part / (number(count) - 1.0);
            let freedom = (a + b).powi(2) / (share(a, self.count) + share(b, other.count));
            student(freedom) * error
        } else {
            0.0
        };
        Some(Difference {
            estimate: difference,
            low: difference - half,
            high: difference + half,
        })
    }
}

/// The quantile of Student's distribution for 95 % on both sides together: the expansion of 26.7.5 in Abramowitz and Stegun, "Handbook
/// of Mathematical Functions". From 5 degrees of freedom on it is right to a thousandth, from 10 on to a ten-thousandth.
fn student(freedom: f64) -> f64 {
    let z = Z;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5)
            - 1920.0 * z.powi(3)
            - 945.0 * z)
            / 92160.0,
    ];
    let powers = terms.iter().zip(1..);
    z + (powers.map(|(term, power)| term / freedom.powi(power))).sum::<f64>()
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: f64, expected: f64, within: f64) -> bool {
        (found - expected).abs() < within
    }

    /// The examples of Newcombe 1998, table II, method 10.
    #[test]
    fn differences_of_rates_are_those_of_newcombe() {
        let cases = [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((6, 7), (2, 7), 0.0582, 0.8062),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((0, 10), (0, 10), -0.2775, 0.2775),
            ((10, 10), (0, 20), 0.6791, 1.0),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ];
        for (one, other, low, high) in cases {
            let of = |(of_them, all)| Proportion { of_them, all };
            let found = of(one).minus(of(other)).unwrap();
            assert!(
                is_near(found.low, low, 0.000_05) && is_near(found.high, high, 0.000_05),
                "{one:?} {other:?}: {found:?}"
            );
        }
        let none = Proportion { of_them: 0, all: 0 };
        assert!(none.minus(none).is_none());
    }

    fn sample(values: &[f64]) -> Sample {
        let mut sample = Sample::default();
        for value in values {
            sample.add(*value);
        }
        sample
    }

    /// Student's data on sleep, as R's `t.test(extra ~ group, data = sleep)` prints them: t = -1.8608, df = 17.776,
    /// -3.3654832 to 0.2054832.
    #[test]
    fn differences_of_means_are_those_of_welch() {
        let one = sample(&[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]);
        let other = sample(&[1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]);
        let found = one.minus(&other).unwrap();
        assert!(is_near(found.estimate, -1.58, 1e-9), "{found:?}");
        assert!(is_near(found.low, -3.365_483_2, 1e-4), "{found:?}");
        assert!(is_near(found.high, 0.205_483_2, 1e-4), "{found:?}");
        assert!(one.minus(&sample(&[1.0])).is_none());
        let same = sample(&[2.0, 2.0]).minus(&sample(&[1.0, 1.0])).unwrap();
        assert_eq!((same.low, same.high), (1.0, 1.0));
    }

    /// Table 26.10 of the same handbook.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, expected) in [(5.0, 2.571), (10.0, 2.228), (30.0, 2.042), (120.0, 1.980)] {
            assert!(is_near(student(freedom), expected, 0.001), "{freedom}");
        }
    }
}
