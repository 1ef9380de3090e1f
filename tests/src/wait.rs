//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

/// Looks again and again until `look` finds something.
///
/// # Panics
/// When nothing is found within `deadline`; says what was waited for.
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begun.elapsed() < deadline,
            "waited {deadline:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
