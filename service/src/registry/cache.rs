//! What is known of each schema. Pure: the time is an argument, answers are brought.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemas::avro::SchemaId;
use schemas::reader::{Found, KnownSchema};

use super::RegistryError;
use crate::retry::Backoff;

/// Most ids that are remembered, known or not: whoever writes made-up ids costs no more memory.
const MAX_IDS: usize = 10_000;

/// Most ids that are asked for at the same time.
const MAX_ASKED: usize = 32;

/// How long an id that the registry does not know is asked for again before it counts as unknown: of
/// several registries, one may not have heard yet of a schema that another has just registered.
const DOUBT: Duration = Duration::from_secs(2);
const DOUBT_AGAIN: Duration = Duration::from_millis(250);

/// So many ids are given the benefit of the doubt, and one more each time that this has passed. Whoever
/// writes many made-up ids holds up a partition for no longer.
const DOUBTS: u32 = 5;
const DOUBT_EVERY: Duration = Duration::from_secs(10);

/// How long an unknown id stays so before it is asked for again.
const UNKNOWN_FOR: Duration = Duration::from_mins(1);

/// What is known of each schema, and what is being asked.
#[derive(Debug)]
pub(super) struct Cache {
    schemas: HashMap<SchemaId, State>,
    asked: usize,
    doubts: u32,
    doubts_counted: Instant,
}

#[derive(Debug)]
enum State {
    Known(Arc<KnownSchema>),
    Unusable(Arc<str>),
    /// An answer is on its way. `doubted` since, if the registry did not know it before.
    Asked {
        doubted: Option<Instant>,
        failures: Option<Backoff>,
    },
    /// To be asked for again.
    Later {
        at: Instant,
        doubted: Option<Instant>,
        failures: Option<Backoff>,
    },
    Unknown {
        until: Instant,
    },
}

/// What to tell, and whether to ask the registry.
#[derive(Debug)]
pub(super) enum Next {
    Tell(Found),
    /// Ask, and bring the answer to [`Cache::answered`]. Meanwhile it is waited for.
    Ask,
}

impl Cache {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            schemas: HashMap::new(),
            asked: 0,
            doubts: DOUBTS,
            doubts_counted: now,
        }
    }

    /// What is known of a schema.
    pub(super) fn find(&mut self, id: SchemaId, now: Instant) -> Next {
        let (doubted, failures) = match self.schemas.get_mut(&id) {
            Some(State::Known(schema)) => return Next::Tell(Found::Known(Arc::clone(schema))),
            Some(State::Unusable(why)) => return Next::Tell(Found::Unusable(Arc::clone(why))),
            Some(State::Unknown { until }) if now < *until => return Next::Tell(Found::Unknown),
            Some(State::Asked { .. }) => return Next::Tell(Found::Waiting),
            Some(State::Later { at, .. }) if now < *at => return Next::Tell(Found::Waiting),
            Some(State::Later {
                doubted, failures, ..
            }) => (*doubted, failures.take()),
            Some(State::Unknown { .. }) | None => (None, None),
        };
        if self.asked >= MAX_ASKED {
            return Next::Tell(Found::Waiting);
        }
        if self.schemas.len() >= MAX_IDS && !self.schemas.contains_key(&id) {
            self.make_room(now);
        }
        self.asked += 1;
        self.schemas.insert(id, State::Asked { doubted, failures });
        Next::Ask
    }

    /// Takes an answer in.
    pub(super) fn answered(
        &mut self,
        id: SchemaId,
        answer: Result<KnownSchema, RegistryError>,
        now: Instant,
    ) {
        self.asked = self.asked.saturating_sub(1);
        let (doubted, failures) = match self.schemas.remove(&id) {
            Some(State::Asked { doubted, failures }) => (doubted, failures),
            _ => (None, None),
        };
        let state = match answer {
            Ok(schema) => State::Known(Arc::new(schema)),
            Err(RegistryError::Unusable(why)) => State::Unusable(why.to_string().into()),
            Err(RegistryError::NotFound) => match doubted.or_else(|| self.doubt(now)) {
                Some(since) if now < since + DOUBT => State::Later {
                    at: now + DOUBT_AGAIN,
                    doubted: Some(since),
                    failures: None,
                },
                _ => State::Unknown {
                    until: now + UNKNOWN_FOR,
                },
            },
            Err(RegistryError::Away(_) | RegistryError::Refused(_)) => {
                let mut failures = failures.unwrap_or_else(|| {
                    Backoff::new(Duration::from_millis(200), Duration::from_secs(5))
                });
                State::Later {
                    at: now + failures.next_delay(),
                    doubted,
                    failures: Some(failures),
                }
            }
        };
        self.schemas.insert(id, state);
    }

    /// Whether an id that the registry does not know gets the benefit of the doubt, from now on.
    fn doubt(&mut self, now: Instant) -> Option<Instant> {
        while self.doubts < DOUBTS && now >= self.doubts_counted + DOUBT_EVERY {
            self.doubts += 1;
            self.doubts_counted += DOUBT_EVERY;
        }
        if self.doubts == DOUBTS {
            self.doubts_counted = now;
        }
        self.doubts = self.doubts.checked_sub(1)?;
        Some(now)
    }

    /// Forgets what can be asked for again at the least cost: unknown ids, then those that are waited for,
    /// then any.
    fn make_room(&mut self, now: Instant) {
        let rank = |state: &State| match state {
            State::Unknown { until } if now >= *until => Some(0),
            State::Unknown { .. } => Some(1),
            State::Later { .. } => Some(2),
            State::Unusable(_) => Some(3),
            State::Known(_) => Some(4),
            State::Asked { .. } => None,
        };
        let Some(least) = self.schemas.values().filter_map(rank).min() else {
            return;
        };
        // A tenth at a time, so that it is not done for each.
        let mut left = MAX_IDS / 10;
        self.schemas.retain(|_, state| {
            let goes = left > 0 && rank(state) == Some(least);
            left -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use schemas::reader::Form;

    use super::*;

    fn known() -> KnownSchema {
        KnownSchema {
            form: Form::Json,
            subjects: Vec::new(),
        }
    }

    fn is_asked(cache: &mut Cache, id: u32, now: Instant) -> bool {
        matches!(cache.find(SchemaId::Number(id), now), Next::Ask)
    }

    fn word(cache: &mut Cache, id: u32, now: Instant) -> &'static str {
        match cache.find(SchemaId::Number(id), now) {
            Next::Ask => "ask",
            Next::Tell(Found::Known(_)) => "known",
            Next::Tell(Found::Unknown) => "unknown",
            Next::Tell(Found::Waiting) => "waiting",
            Next::Tell(Found::Unusable(_)) => "unusable",
        }
    }

    fn answer(
        cache: &mut Cache,
        id: u32,
        answer: Result<KnownSchema, RegistryError>,
        now: Instant,
    ) {
        cache.answered(SchemaId::Number(id), answer, now);
    }

    fn away() -> RegistryError {
        RegistryError::Away("refused".to_owned())
    }

    #[test]
    fn an_id_is_asked_for_once_and_known_for_ever() {
        let now = Instant::now();
        let mut cache = Cache::new(now);
        assert_eq!(word(&mut cache, 7, now), "ask");
        assert_eq!(word(&mut cache, 7, now), "waiting");
        answer(&mut cache, 7, Ok(known()), now);
        let much_later = now + Duration::from_hours(1000);
        assert_eq!(word(&mut cache, 7, much_later), "known");
        assert_eq!(word(&mut cache, 8, now), "ask");
        answer(
            &mut cache,
            8,
            Err(RegistryError::Unusable(schemas::avro::Refusal::NoWidth)),
            now,
        );
        assert_eq!(word(&mut cache, 8, much_later), "unusable");
    }

    #[test]
    fn a_registry_that_is_away_is_asked_again_and_again_and_never_makes_an_id_unknown() {
        let mut now = Instant::now();
        let mut cache = Cache::new(now);
        for _ in 0..1_000 {
            assert_eq!(word(&mut cache, 7, now), "ask");
            answer(&mut cache, 7, Err(away()), now);
            assert_eq!(word(&mut cache, 7, now), "waiting");
            now += Duration::from_secs(6);
        }
        assert_eq!(word(&mut cache, 7, now), "ask");
        answer(&mut cache, 7, Ok(known()), now);
        assert_eq!(word(&mut cache, 7, now), "known");
    }

    #[test]
    fn an_id_that_the_registry_does_not_know_is_doubted_then_unknown_then_asked_for_again() {
        let mut now = Instant::now();
        let mut cache = Cache::new(now);
        let begun = now;
        let mut asked = 0;
        loop {
            match word(&mut cache, 7, now) {
                "ask" => {
                    asked += 1;
                    answer(&mut cache, 7, Err(RegistryError::NotFound), now);
                }
                "waiting" => now += Duration::from_millis(50),
                "unknown" => break,
                other => panic!("{other}"),
            }
        }
        assert!((DOUBT..DOUBT * 2).contains(&(now - begun)));
        assert!((5..20).contains(&asked), "{asked}");
        let answered = now;
        now += UNKNOWN_FOR / 2;
        assert_eq!(word(&mut cache, 7, now), "unknown");
        now = answered + UNKNOWN_FOR;
        assert_eq!(word(&mut cache, 7, now), "ask");
        // Whoever was late is welcome.
        answer(&mut cache, 7, Ok(known()), now);
        assert_eq!(word(&mut cache, 7, now), "known");
    }

    #[test]
    fn many_made_up_ids_are_not_waited_for() {
        let mut now = Instant::now();
        let mut cache = Cache::new(now);
        let waited = |cache: &mut Cache, from: u32, now: Instant| {
            let ids = from..from + 20;
            ids.filter(|id| {
                assert_eq!(word(cache, *id, now), "ask");
                answer(cache, *id, Err(RegistryError::NotFound), now);
                word(cache, *id, now) == "waiting"
            })
            .count()
        };
        assert_eq!(waited(&mut cache, 0, now), DOUBTS as usize);
        assert_eq!(waited(&mut cache, 100, now), 0);
        now += DOUBT_EVERY * 2;
        assert_eq!(waited(&mut cache, 200, now), 2);
        now += DOUBT_EVERY * 100;
        assert_eq!(waited(&mut cache, 300, now), DOUBTS as usize);
    }

    #[test]
    fn what_is_asked_and_what_is_remembered_is_bounded() {
        let now = Instant::now();
        let mut cache = Cache::new(now);
        let asked = (0..100).filter(|id| is_asked(&mut cache, *id, now)).count();
        assert_eq!(asked, MAX_ASKED);
        for id in 0..100 {
            answer(&mut cache, id, Ok(known()), now);
        }
        for id in 100..30_000 {
            assert!(is_asked(&mut cache, id, now));
            answer(&mut cache, id, Err(RegistryError::NotFound), now);
            assert!(cache.schemas.len() <= MAX_IDS);
        }
        // Made-up ids make room for one another and not for those that are known.
        for id in 0..100 {
            assert_eq!(word(&mut cache, id, now), "known");
        }
    }
}
