//! Committed matches to the database.
