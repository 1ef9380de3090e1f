//! The rule language: event patterns, checked and evaluated. Pure, without I/O.
