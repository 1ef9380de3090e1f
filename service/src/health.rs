//! Health: readiness of the parts and the heartbeats of their threads.
//!
//! Liveness knows nothing of Kafka, the database or lag: a restart mends none of them. It fails only
//! when a thread has stopped turning.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The health of a process. Parts report to it, probes ask it.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    began: Instant,
    next: AtomicU64,
    components: Mutex<BTreeMap<u64, Readiness>>,
    heartbeats: Mutex<BTreeMap<u64, Pulse>>,
}

#[derive(Clone, Serialize)]
struct Readiness {
    name: String,
    /// Why the part is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<String>,
}

struct Pulse {
    name: String,
    max_age: Duration,
    /// Milliseconds from `began` to the last beat.
    last: Arc<AtomicU64>,
}

/// What a probe is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Whether all is well.
    pub ok: bool,
    /// What is not, a line each.
    pub problems: Vec<String>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// The health of a process without parts: alive, and not ready.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            next: AtomicU64::new(0),
            components: Mutex::default(),
            heartbeats: Mutex::default(),
        }))
    }

    /// Adds a part, which is not ready until it says so. It counts until it is dropped.
    pub fn component(&self, name: &str) -> Component {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let readiness = Readiness {
            name: name.to_owned(),
            waiting_for: Some("starting".to_owned()),
        };
        lock(&self.0.components).insert(id, readiness);
        Component {
            health: self.clone(),
            id,
        }
    }

    /// Adds a thread that promises to beat at least once in `max_age`. It counts until it is dropped.
    pub fn heartbeat(&self, name: &str, max_age: Duration) -> Heartbeat {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let last = Arc::new(AtomicU64::new(self.now()));
        let pulse = Pulse {
            name: name.to_owned(),
            max_age,
            last: Arc::clone(&last),
        };
        lock(&self.0.heartbeats).insert(id, pulse);
        Heartbeat {
            health: self.clone(),
            id,
            last,
        }
    }

    /// Whether every thread turns.
    pub fn live(&self) -> Report {
        let now = self.now();
        report(lock(&self.0.heartbeats).values().filter_map(|pulse| {
            let age = now.saturating_sub(pulse.last.load(Ordering::Relaxed));
            let limit = u64::try_from(pulse.max_age.as_millis()).unwrap_or(u64::MAX);
            (age > limit).then(|| format!("{} has not turned for {age} ms", pulse.name))
        }))
    }

    /// Whether every part is ready. Without parts nothing is: probes are served before the parts are
    /// made, and after they are gone.
    pub fn ready(&self) -> Report {
        let components = lock(&self.0.components);
        let waiting = components.values().filter_map(|part| {
            let reason = part.waiting_for.as_ref()?;
            Some(format!("{}: {reason}", part.name))
        });
        let none = components.is_empty().then(|| "no part runs".to_owned());
        report(none.into_iter().chain(waiting))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn report(problems: impl Iterator<Item = String>) -> Report {
    let problems: Vec<_> = problems.collect();
    Report {
        ok: problems.is_empty(),
        problems,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A part that is ready or says why not.
pub struct Component {
    health: Health,
    id: u64,
}

impl Component {
    /// The part does its work.
    pub fn ready(&self) {
        self.set(None);
    }

    /// The part cannot do its work, for this reason.
    pub fn not_ready(&self, reason: &str) {
        self.set(Some(reason.to_owned()));
    }

    fn set(&self, waiting_for: Option<String>) {
        if let Some(part) = lock(&self.health.0.components).get_mut(&self.id) {
            part.waiting_for = waiting_for;
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        lock(&self.health.0.components).remove(&self.id);
    }
}

/// The pulse of a thread.
pub struct Heartbeat {
    health: Health,
    id: u64,
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    /// Says that the thread turns. Takes no lock.
    pub fn beat(&self) {
        self.last.store(self.health.now(), Ordering::Relaxed);
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        lock(&self.health.0.heartbeats).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_all_its_parts_are() {
        let health = Health::new();
        assert!(!health.ready().ok, "its parts are still to come");
        let part = health.component("campaigns");
        assert_eq!(health.ready().problems, ["campaigns: starting"]);
        part.ready();
        assert!(health.ready().ok);
        part.not_ready("no topic");
        assert_eq!(health.ready().problems, ["campaigns: no topic"]);
        assert!(health.live().ok);
        let other = health.component("worker");
        other.ready();
        drop(part);
        assert!(health.ready().ok);
        drop(other);
        assert!(!health.ready().ok, "its parts are gone");
    }

    #[test]
    fn a_thread_that_stops_turning_makes_the_process_unhealthy() {
        let health = Health::new();
        let turning = health.heartbeat("turning", Duration::from_mins(10));
        let stuck = health.heartbeat("stuck", Duration::ZERO);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(3) {
            turning.beat();
        }
        let report = health.live();
        assert_eq!(report.problems.len(), 1);
        assert!(report.problems[0].starts_with("stuck has not turned for"));
        drop(stuck);
        assert!(health.live().ok);
    }
}
