//! The tables of matches, and their migrations.
