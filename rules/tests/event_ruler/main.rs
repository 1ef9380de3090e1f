//! The cases that event-ruler publishes in its own tests (<https://github.com/aws/event-ruler>): which
//! pattern matches which event. Each group names the test it comes from; the documents are shortened
//! to what the case is about.

mod accepted;
mod array_cases;
mod arrays;
mod examples;
mod operators;
mod or;
mod presence;

use rules::Pattern;
use schemas::{Document, Limits};
use serde_json::Value;

fn matches(pattern: &Value, event: &Value) -> bool {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|errors| panic!("{pattern}: {errors}"));
    let mut document = Document::new();
    document
        .read(event.to_string().as_bytes(), Limits::default())
        .unwrap();
    pattern.matches(document.root())
}

/// All of these patterns, and none of those, match the event.
fn check(event: &Value, matching: &[Value], refused: &[Value]) {
    for pattern in matching {
        assert!(matches(pattern, event), "{pattern} should match {event}");
    }
    for pattern in refused {
        assert!(
            !matches(pattern, event),
            "{pattern} should not match {event}"
        );
    }
}
