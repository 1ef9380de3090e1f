//! Which traces have spans.

/// Decides whether a trace has spans here: the samplers of OpenTelemetry's specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// Traces whose number is below it; see [`Sampler::ratio`].
    below: u64,
    /// Whether what the caller decided goes before.
    follows_parent: bool,
}

/// The number of a trace has so many values, and of them the upper bound has one more: it samples all.
const NUMBERS: u64 = 1 << 63;

impl Sampler {
    /// That part of all traces, 0 to 1. It is the same part in every process that asks for as much, for it is the id that decides.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of 2^63, for which a double is exact enough"
    )]
    pub const fn ratio(part: f64) -> Self {
        Self {
            below: (part * NUMBERS as f64) as u64,
            follows_parent: false,
        }
    }

    /// As the caller decided; where a trace begins, as this one does.
    #[must_use]
    pub const fn following_parents(self) -> Self {
        Self {
            follows_parent: true,
            ..self
        }
    }

    /// Whether a trace has spans. `parent` says whether the caller has some, if there is one.
    pub fn samples(&self, parent: Option<bool>, trace_id: [u8; 16]) -> bool {
        if let (true, Some(sampled)) = (self.follows_parent, parent) {
            return sampled;
        }
        // The last 8 bytes are random also where the first tell the time.
        #[expect(clippy::cast_possible_truncation, reason = "the last 8 bytes")]
        let number = u128::from_be_bytes(trace_id) as u64;
        number >> 1 < self.below
    }
}

impl Default for Sampler {
    /// As the caller decided; all traces that begin here.
    fn default() -> Self {
        Self::ratio(1.0).following_parents()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_all_traces_is_chosen_by_their_ids() {
        let ids = (0..64_u8).map(|at| {
            let mut id = [7; 16];
            id[8] = at << 2;
            id
        });
        let count = |sampler: Sampler| ids.clone().filter(|id| sampler.samples(None, *id)).count();
        assert_eq!(count(Sampler::ratio(0.0)), 0);
        assert_eq!(count(Sampler::ratio(0.25)), 16);
        assert_eq!(count(Sampler::ratio(1.0)), 64);
        assert!(Sampler::ratio(1.0).samples(None, [0xff; 16]));
        assert!(!Sampler::ratio(0.0).samples(None, [0; 16]));
    }

    #[test]
    fn a_parent_goes_before_only_where_it_is_followed() {
        let cases = [
            (Sampler::ratio(1.0), Some(false), true),
            (Sampler::ratio(0.0), Some(true), false),
            (Sampler::ratio(1.0).following_parents(), Some(false), false),
            (Sampler::ratio(0.0).following_parents(), Some(true), true),
            (Sampler::ratio(0.0).following_parents(), None, false),
            (Sampler::default(), None, true),
        ];
        for (sampler, parent, expected) in cases {
            let found = sampler.samples(parent, [1; 16]);
            assert_eq!(found, expected, "{sampler:?} {parent:?}");
        }
    }
}
