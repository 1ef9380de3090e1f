//! Pools of coupon codes: each code is given at most once, in the order in which the pool was filled.
//!
//! A pool lies beside the budgets in the partition of `claims` where all of its records are. It has an account with how many
//! codes it has had and how many were given, one for each [`BLOCK`] of codes that are not all given, and one for each code, by
//! which it is known again.

use schemas::pool::Stock;

use crate::codec::StateError;
use crate::customer::{Customer, Retention};
use crate::memory::{Memory, Sum};
use crate::partition::{Arrival, Partition};

/// So many codes are kept together.
const BLOCK: u64 = 32;

/// Begins the id of each account of a pool; no other account's id begins so, whatever campaigns and pools are called.
const POOL: &str = "\u{1f}pool\u{1f}";

/// Parts the id of an account. No pool's name has it.
const SPLIT: char = '\u{1f}';

/// Identity of how many codes a pool has had.
const STOCKED: u64 = 0x706f_6f6c_2073_746b;

/// Identity of how many codes of a pool were given.
const GIVEN: u64 = 0x706f_6f6c_2067_766e;

/// Identity of the codes of a block.
const CODES: u64 = 0x706f_6f6c_2063_6f64;

/// Identity of a code that is known.
const KNOWN: u64 = 0x706f_6f6c_206b_6e6f;

/// How full a pool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolLevel {
    /// So many codes it has had.
    pub stocked: u64,
    /// So many of them were given.
    pub given: u64,
}

impl PoolLevel {
    /// So many codes are left.
    pub const fn left(self) -> u64 {
        self.stocked.saturating_sub(self.given)
    }
}

/// A code that was taken out of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolCode {
    /// The code.
    pub code: Box<str>,
    /// So many are left.
    pub left: u64,
}

/// Whether what has that identity is of a pool, and kept until the pool is dropped.
pub(crate) const fn is_identity(identity: u64) -> bool {
    matches!(identity, STOCKED | GIVEN | CODES | KNOWN)
}

/// Adds codes to a pool. Returns how full it is then; none if the record was taken in before.
///
/// # Errors
/// [`StateError`]: what is kept cannot be read.
pub fn stock(
    stock: &Stock<'_>,
    arrival: Arrival,
    partition: &mut Partition,
) -> Result<Option<PoolLevel>, StateError> {
    if !partition.is_new(arrival) {
        return Ok(None);
    }
    let pool = &*stock.pool;
    let mut stocked = count(partition.touch(&account_id(pool))?, STOCKED);
    for code in &stock.codes {
        let known = partition.touch(&code_id(pool, code))?;
        if count(known, KNOWN) > 0 {
            continue;
        }
        *count_mut(known, KNOWN, arrival.time) = 1;
        let block = partition.touch(&block_id(pool, stocked / BLOCK))?;
        let none = || Memory::Codes(Vec::new());
        let memory = block.memory_mut(CODES, arrival.time, Retention::Ever, none);
        if let Memory::Codes(codes) = memory {
            codes.push((&**code).into());
        }
        stocked += 1;
    }
    let account = partition.touch(&account_id(pool))?;
    *count_mut(account, STOCKED, arrival.time) = stocked;
    Ok(Some(level_of(account)))
}

/// Takes the next code out of a pool; none if none is left.
///
/// # Errors
/// [`StateError`]: what is kept cannot be read.
pub(crate) fn take(
    pool: &str,
    at: i64,
    partition: &mut Partition,
) -> Result<Option<PoolCode>, StateError> {
    let account = partition.touch(&account_id(pool))?;
    let level = level_of(account);
    let Some(left) = level.left().checked_sub(1) else {
        return Ok(None);
    };
    *count_mut(account, GIVEN, at) = level.given + 1;
    let (block, place) = (level.given / BLOCK, level.given % BLOCK);
    let id = block_id(pool, block);
    let codes = partition.touch(&id)?;
    let code = match codes.memory(CODES) {
        Some(Memory::Codes(codes)) => usize::try_from(place)
            .ok()
            .and_then(|at| codes.get(at))
            .cloned(),
        _ => None,
    };
    // A pool that was filled is never without the code; better none than one twice.
    let code = code.ok_or(StateError::Broken { at: 0 })?;
    if place + 1 == BLOCK {
        partition.forget(&id)?;
    }
    Ok(Some(PoolCode { code, left }))
}

/// Forgets a pool, and that there were its codes.
///
/// # Errors
/// [`StateError`]: what is kept cannot be read.
pub fn drop_pool(
    pool: &str,
    arrival: Arrival,
    partition: &mut Partition,
) -> Result<(), StateError> {
    if !partition.is_new(arrival) {
        return Ok(());
    }
    partition.forget_all(&|id| is_account_of(id, pool))
}

/// How full a pool is that has that account.
pub fn level_of(account: &Customer) -> PoolLevel {
    PoolLevel {
        stocked: count(account, STOCKED),
        given: count(account, GIVEN),
    }
}

/// The id of the account that says how full a pool is.
pub fn account_id(pool: &str) -> String {
    format!("{POOL}{pool}")
}

fn block_id(pool: &str, block: u64) -> String {
    format!("{POOL}{pool}{SPLIT}{block}")
}

fn code_id(pool: &str, code: &str) -> String {
    format!("{POOL}{pool}{SPLIT}={code}")
}

fn is_account_of(id: &str, pool: &str) -> bool {
    let rest = id.strip_prefix(POOL).and_then(|id| id.strip_prefix(pool));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(SPLIT))
}

fn count(account: &Customer, identity: u64) -> u64 {
    match account.memory(identity) {
        Some(Memory::Total(sum)) => sum.count,
        _ => 0,
    }
}

fn count_mut(account: &mut Customer, identity: u64, at: i64) -> &mut u64 {
    let none = || Memory::Total(Sum::default());
    match account.memory_mut(identity, at, Retention::Ever, none) {
        Memory::Total(sum) => &mut sum.count,
        _ => unreachable!("nothing else has the identity"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    struct Books {
        partition: Partition,
        offset: i64,
    }

    impl Books {
        fn new() -> Self {
            Self {
                partition: Partition::default(),
                offset: -1,
            }
        }

        fn arrival(&mut self) -> Arrival {
            self.offset += 1;
            Arrival {
                offset: self.offset,
                time: self.offset,
            }
        }

        fn stock(&mut self, pool: &str, codes: &[String]) -> u64 {
            let before = self.level(pool).stocked;
            let arrival = self.arrival();
            let codes = codes.iter().map(Into::into).collect();
            let of = Stock {
                pool: pool.into(),
                codes,
            };
            let after = super::stock(&of, arrival, &mut self.partition);
            let after = after.unwrap().unwrap();
            assert_eq!(after, self.level(pool));
            after.stocked - before
        }

        fn level(&self, pool: &str) -> PoolLevel {
            let account = self.partition.customer(&account_id(pool)).unwrap();
            account.as_ref().map(level_of).unwrap_or_default()
        }

        fn take(&mut self, pool: &str) -> Option<String> {
            let taken = super::take(pool, 0, &mut self.partition).unwrap();
            taken.map(|PoolCode { code, left }| {
                assert_eq!(left, self.level(pool).left());
                code.into()
            })
        }

        fn commit(&mut self) {
            self.partition.changes(|_| {}).commit(None).unwrap();
        }

        /// As another process finds them.
        fn restored(&mut self) -> Self {
            let mut partition = Partition::default();
            let mut changes = Vec::new();
            for id in self.ids() {
                self.partition.touch(&id).unwrap();
            }
            let written = self.partition.changes(|change| {
                changes.push((change.key.to_vec(), change.value.map(<[u8]>::to_vec)));
            });
            written.commit(None).unwrap();
            for (key, value) in changes {
                partition.restore(&key, value.as_deref()).unwrap();
            }
            Self {
                partition,
                offset: self.offset,
            }
        }

        fn ids(&mut self) -> Vec<String> {
            let mut ids = Vec::new();
            let seen = std::cell::RefCell::new(&mut ids);
            let see = |id: &str| {
                seen.borrow_mut().push(id.to_owned());
                false
            };
            self.partition.forget_all(&see).unwrap();
            ids
        }
    }

    fn codes(numbers: std::ops::Range<u32>) -> Vec<String> {
        numbers.map(|number| format!("CODE-{number}")).collect()
    }

    #[test]
    fn each_code_is_given_once_in_the_order_in_which_the_pool_was_filled() {
        let mut books = Books::new();
        assert_eq!(books.take("summer"), None);
        assert_eq!(books.stock("summer", &codes(0..50)), 50);
        assert_eq!(books.stock("summer", &codes(40..100)), 50, "ten are known");
        books.commit();
        let mut given = Vec::new();
        for number in 0..70 {
            if number % 7 == 0 {
                books = books.restored();
            }
            given.extend(books.take("summer"));
            books.commit();
        }
        assert_eq!(
            books.stock("summer", &codes(0..101)),
            1,
            "what was given stays known"
        );
        while let Some(code) = books.take("summer") {
            given.push(code);
        }
        assert_eq!(given, codes(0..101));
        let level = books.level("summer");
        assert_eq!((level.stocked, level.given, level.left()), (101, 101, 0));
    }

    #[test]
    fn what_is_given_up_is_given_again() {
        let mut books = Books::new();
        books.stock("summer", &codes(0..3));
        books.commit();
        assert_eq!(books.take("summer").as_deref(), Some("CODE-0"));
        books.partition.roll_back();
        assert_eq!(books.take("summer").as_deref(), Some("CODE-0"));
        books.commit();
        assert_eq!(books.take("summer").as_deref(), Some("CODE-1"));
    }

    #[test]
    fn pools_know_nothing_of_each_other_and_one_that_is_dropped_is_forgotten() {
        let mut books = Books::new();
        books.stock("summer", &codes(0..40));
        books.stock("summer2", &codes(0..2));
        books.take("summer");
        books.commit();
        let arrival = books.arrival();
        drop_pool("summer", arrival, &mut books.partition).unwrap();
        books.commit();
        let left: BTreeSet<String> = books.ids().into_iter().collect();
        assert!(
            left.iter().all(|id| !is_account_of(id, "summer")),
            "{left:?}"
        );
        assert_eq!(books.take("summer"), None);
        assert_eq!(books.take("summer2").as_deref(), Some("CODE-0"));
        assert_eq!(books.stock("summer", &codes(0..1)), 1);
    }

    /// Breakers have accounts beside those of pools, whose ids may look alike.
    #[test]
    fn a_pool_may_have_any_name_and_touches_no_account_but_its_own() {
        let mut books = Books::new();
        let of_a_breaker = crate::breaker::account_id("0");
        let account = books.partition.touch(&of_a_breaker).unwrap();
        *count_mut(account, KNOWN, 0) = 7;
        books.stock("breaker", &codes(0..2));
        books.commit();
        let arrival = books.arrival();
        drop_pool("breaker", arrival, &mut books.partition).unwrap();
        books.commit();
        assert_eq!(books.ids(), [of_a_breaker]);
    }

    #[test]
    fn a_record_that_comes_again_fills_nothing() {
        let mut books = Books::new();
        books.stock("summer", &codes(0..1));
        let again = Arrival { offset: 0, time: 0 };
        let stock = Stock {
            pool: "summer".into(),
            codes: vec!["NEW".into()],
        };
        assert_eq!(
            super::stock(&stock, again, &mut books.partition).unwrap(),
            None
        );
        assert_eq!(books.level("summer").stocked, 1);
    }
}
