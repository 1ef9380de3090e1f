//! How long something takes a thread, with and without what it waited for a processor.

use std::time::{Duration, Instant};

/// Runs from when it is made.
pub(crate) struct Stopwatch {
    started: Instant,
    waited: Option<Duration>,
}

/// What a thread took for something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) clock: Duration,
    /// The same without the time in which other programs had the processor (Linux; elsewhere that of the clock).
    pub(crate) running: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        let waited = waited();
        let started = Instant::now();
        Self { started, waited }
    }

    pub(crate) fn stop(self) -> Taken {
        let clock = self.started.elapsed();
        let waited = waited().zip(self.waited);
        let waited = waited.map_or(Duration::ZERO, |(end, start)| end.saturating_sub(start));
        Taken {
            clock,
            running: clock.saturating_sub(waited),
        }
    }
}

/// How long this thread was ready to run and had no processor, up to now. The time that it had one, beside it in the
/// file, is only brought up to date a few hundred times a second.
fn waited() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = statistics.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
