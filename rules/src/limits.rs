//! Bounds of a pattern. What exceeds them is refused when it is written, so that no campaign can make
//! the matcher slow or large.

/// Deepest nesting of a pattern's objects. The pattern itself is at depth 1, and an `$or` takes two
/// levels: its list and the object in it.
pub const MAX_DEPTH: usize = 32;

/// Most fields with a list of alternatives in a pattern, as written.
pub const MAX_CONDITIONS: usize = 1_000;

/// Most entries of one list: alternatives of a field, values of `anything-but`, objects of `$or`. A
/// campaign for 10,000 articles fits.
pub const MAX_LIST: usize = 20_000;

/// Most `*` in one `wildcard`. Each costs a search through the text.
pub const MAX_WILDCARDS: usize = 32;

/// Largest program that a `regexp` may compile to, in bytes, and largest cache of it. A class of a thousand characters
/// repeated a hundred times is too much.
pub const MAX_REGEXP_BYTES: usize = 256 * 1024;

/// Most ways to meet a pattern: the objects of one `$or` are added, those of several `$or` beside each
/// other multiplied. Each way is a conjunction that the rule set keeps for itself.
pub const MAX_CONJUNCTIONS: usize = 1_000;

/// Most conditions over all conjunctions: one beside an `$or` of ten objects counts ten times.
pub const MAX_EXPANDED_CONDITIONS: usize = 20_000;

/// Most conditions that may meet on one field in one conjunction, through `$or`.
pub const MAX_CONDITIONS_A_FIELD: usize = 64;

/// Most problems that are listed; further ones are only counted.
pub const MAX_PROBLEMS: usize = 100;

/// Longest expression of a reward, in bytes. Rates of a dozen tiers take 200.
pub const MAX_EXPRESSION_BYTES: usize = 1_000;

/// Deepest nesting of an expression: brackets, arguments, signs and the branches of a choice.
pub const MAX_EXPRESSION_DEPTH: usize = 32;

/// Most decimals that an expression may round to: as many as an amount has.
pub const MAX_DECIMALS: u32 = 10;
