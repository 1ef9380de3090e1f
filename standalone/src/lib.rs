//! Everything in one process on an embedded broker, to try it out.
