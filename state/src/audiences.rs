//! The audiences of customers: who is in which, in little memory.
//!
//! A customer is known by a fingerprint of 96 bits and has a number of four bytes that stands for the set of their audiences.
//! Customers who are in the same audiences share one set, so ten million customers take what their fingerprints take, whatever
//! the number of audiences.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};

use schemas::{AudienceName, AudienceRecord};

/// Knows the audiences of customers.
pub trait Audiences {
    /// The audiences of that customer; none if they are not known yet. Asked at most once an event.
    fn of(&mut self, customer_id: &str) -> Option<Memberships<'_>>;
}

impl Audiences for &Members {
    fn of(&mut self, customer_id: &str) -> Option<Memberships<'_>> {
        Some(Members::of(self, customer_id))
    }
}

/// The audiences of one customer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memberships<'m>(Of<'m>);

#[derive(Debug, Clone, Copy)]
enum Of<'m> {
    /// Places in the list.
    Known(&'m [Known], &'m [u32]),
    Named(&'m [AudienceName]),
}

impl Default for Of<'_> {
    fn default() -> Self {
        Self::Named(&[])
    }
}

impl<'m> Memberships<'m> {
    /// Of a customer who is in these.
    pub fn named(names: &'m [AudienceName]) -> Self {
        Self(Of::Named(names))
    }

    /// Whether the customer is in that audience.
    pub fn contains(self, audience: &str) -> bool {
        match self.0 {
            Of::Known(known, places) => places
                .iter()
                .any(|place| *known[*place as usize].name == *audience),
            Of::Named(names) => names.iter().any(|name| name.as_str() == audience),
        }
    }

    /// Their names, in no order.
    pub fn names(self) -> impl Iterator<Item = &'m str> {
        let (known, places, named) = match self.0 {
            Of::Known(known, places) => (known, places, &[][..]),
            Of::Named(names) => (&[][..], &[][..], names),
        };
        let known = places.iter().map(|place| &*known[*place as usize].name);
        known.chain(named.iter().map(AudienceName::as_str))
    }
}

/// The customers of all audiences, of one partition or of all. Owned by one thread, or behind a lock of its owner.
///
/// Two customers share a fingerprint once in 10¹⁴ installations of ten million customers each. Its key is thrown anew in each process, so that
/// nobody can make up an id that is taken for another's.
#[derive(Debug, Default)]
pub struct Members {
    customers: HashMap<Fingerprint, u32, BuildHasherDefault<Spread>>,
    keys: (RandomState, RandomState),
    sets: Sets,
    known: Vec<Known>,
    places: HashMap<Box<str>, u32>,
}

/// An audience that was heard of, also if nobody is in it any more.
#[derive(Debug)]
struct Known {
    name: Box<str>,
    members: u64,
}

impl Members {
    /// Takes in what a record says, in the order of the log. Says whether that changed anything.
    pub fn apply(&mut self, record: AudienceRecord<'_>) -> bool {
        match record {
            AudienceRecord::In(audience, customer) => self.add(audience, customer),
            AudienceRecord::Out(audience, customer) => self.remove(audience, customer),
            AudienceRecord::Dropped(audience) => self.drop_audience(audience),
            AudienceRecord::Nothing => false,
        }
    }

    /// Puts a customer in. False if they were in.
    pub fn add(&mut self, audience: &str, customer: &str) -> bool {
        let place = self.place(audience);
        let fingerprint = self.fingerprint(customer);
        let before = self.customers.get(&fingerprint).copied();
        let audiences = before.map_or(&[][..], |set| self.sets.audiences(set));
        let Err(at) = audiences.binary_search(&place) else {
            return false;
        };
        let mut more = Vec::with_capacity(audiences.len() + 1);
        more.extend_from_slice(&audiences[..at]);
        more.push(place);
        more.extend_from_slice(&audiences[at..]);
        let after = self.sets.enter(&more);
        if let Some(before) = before {
            self.sets.leave(before);
        }
        self.customers.insert(fingerprint, after);
        self.known[place as usize].members += 1;
        true
    }

    /// Takes a customer out. False if they were not in.
    pub fn remove(&mut self, audience: &str, customer: &str) -> bool {
        // A name is kept, for whoever is to be forgotten may have an older record of it.
        let place = self.place(audience);
        let fingerprint = self.fingerprint(customer);
        let Some(before) = self.customers.get(&fingerprint).copied() else {
            return false;
        };
        let audiences = self.sets.audiences(before);
        if audiences.binary_search(&place).is_err() {
            return false;
        }
        let fewer = without(audiences, place);
        if fewer.is_empty() {
            self.customers.remove(&fingerprint);
        } else {
            let after = self.sets.enter(&fewer);
            self.customers.insert(fingerprint, after);
        }
        self.sets.leave(before);
        self.known[place as usize].members -= 1;
        true
    }

    /// Takes everybody out of an audience. Looks at each customer once. False if nobody was in.
    pub fn drop_audience(&mut self, audience: &str) -> bool {
        let place = self.place(audience);
        if self.known[place as usize].members == 0 {
            return false;
        }
        let Self {
            customers, sets, ..
        } = self;
        customers.retain(|_, set| {
            let before = *set;
            let audiences = sets.audiences(before);
            if audiences.binary_search(&place).is_err() {
                return true;
            }
            let fewer = without(audiences, place);
            if !fewer.is_empty() {
                *set = sets.enter(&fewer);
            }
            sets.leave(before);
            !fewer.is_empty()
        });
        if customers.len() < customers.capacity() / 4 {
            customers.shrink_to_fit();
        }
        self.known[place as usize].members = 0;
        true
    }

    /// The audiences of a customer.
    pub fn of(&self, customer: &str) -> Memberships<'_> {
        let set = self.customers.get(&self.fingerprint(customer));
        let audiences = set.map_or(&[][..], |set| self.sets.audiences(*set));
        Memberships(Of::Known(&self.known, audiences))
    }

    /// All audiences that were heard of, each with its members, in the order in which they were heard of.
    pub fn counts(&self) -> impl ExactSizeIterator<Item = (&str, u64)> {
        self.known.iter().map(|it| (&*it.name, it.members))
    }

    /// How many customers are in some audience.
    pub fn customers(&self) -> usize {
        self.customers.len()
    }

    /// How many bytes of memory this takes, about.
    pub fn bytes(&self) -> usize {
        // As the standard library's table: a power of two, of which seven eighths are used, with a byte beside each entry.
        let buckets = match self.customers.capacity() {
            0 => 0,
            capacity => (capacity * 8 / 7).next_power_of_two(),
        };
        let names = self.known.iter().map(|it| 2 * it.name.len() + 80);
        buckets * (size_of::<(Fingerprint, u32)>() + 1) + self.sets.bytes() + names.sum::<usize>()
    }

    /// The place of an audience, which is heard of if it was not.
    fn place(&mut self, audience: &str) -> u32 {
        if let Some(place) = self.places.get(audience) {
            return *place;
        }
        let place = u32::try_from(self.known.len()).expect("fewer than 2³² audiences");
        self.known.push(Known {
            name: audience.into(),
            members: 0,
        });
        self.places.insert(audience.into(), place);
        place
    }

    fn fingerprint(&self, customer: &str) -> Fingerprint {
        let (first, second) = &self.keys;
        let (first, second) = (first.hash_one(customer), second.hash_one(customer));
        #[expect(clippy::cast_possible_truncation, reason = "parts of the hashes")]
        let parts = [first as u32, (first >> 32) as u32, second as u32];
        Fingerprint(parts)
    }
}

fn without(audiences: &[u32], place: u32) -> Vec<u32> {
    let rest = audiences.iter().filter(|it| **it != place);
    rest.copied().collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Fingerprint([u32; 3]);

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(u64::from(self.0[0]) | u64::from(self.0[1]) << 32);
    }
}

/// A fingerprint is a hash already.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed, and they are numbers")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Sets of audiences, each kept once for all customers who have it.
#[derive(Debug, Default)]
struct Sets {
    all: Vec<Set>,
    numbers: HashMap<Box<[u32]>, u32>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Set {
    /// Ascending.
    audiences: Box<[u32]>,
    customers: u32,
}

impl Sets {
    fn audiences(&self, set: u32) -> &[u32] {
        &self.all[set as usize].audiences
    }

    /// The number of a set, for one more customer.
    fn enter(&mut self, audiences: &[u32]) -> u32 {
        if let Some(set) = self.numbers.get(audiences) {
            self.all[*set as usize].customers += 1;
            return *set;
        }
        let new = Set {
            audiences: audiences.into(),
            customers: 1,
        };
        let set = if let Some(set) = self.free.pop() {
            self.all[set as usize] = new;
            set
        } else {
            let set = u32::try_from(self.all.len()).expect("fewer than 2³² customers");
            self.all.push(new);
            set
        };
        self.numbers.insert(audiences.into(), set);
        set
    }

    /// A customer has it no more.
    fn leave(&mut self, set: u32) {
        let left = &mut self.all[set as usize];
        left.customers -= 1;
        if left.customers == 0 {
            let audiences = std::mem::take(&mut left.audiences);
            self.numbers.remove(&audiences);
            self.free.push(set);
        }
    }

    fn bytes(&self) -> usize {
        // Of each the audiences twice, a set, and an entry of the table with what that has in reserve.
        let one = |set: &Set| 2 * (4 * set.audiences.len() + 16) + size_of::<Set>() + 48;
        self.all.iter().map(one).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn names(members: &Members, customer: &str) -> Vec<String> {
        let mut names: Vec<_> = members.of(customer).names().map(str::to_owned).collect();
        names.sort();
        names
    }

    #[test]
    fn customers_come_go_and_an_audience_is_dropped_with_all() {
        let mut members = Members::default();
        assert!(members.add("vip", "ada"));
        assert!(!members.add("vip", "ada"), "once");
        assert!(members.add("gold", "ada") && members.add("vip", "bob"));
        assert_eq!(names(&members, "ada"), ["gold", "vip"]);
        assert!(members.of("bob").contains("vip") && !members.of("bob").contains("gold"));
        assert!(names(&members, "cleo").is_empty());
        assert_eq!(
            members.counts().collect::<Vec<_>>(),
            [("vip", 2), ("gold", 1)]
        );
        assert!(!members.remove("gold", "bob") && !members.remove("none", "bob"));
        assert!(members.drop_audience("vip") && !members.drop_audience("vip"));
        assert_eq!(names(&members, "ada"), ["gold"]);
        assert_eq!(members.customers(), 1, "nothing is left of bob");
        assert!(members.remove("gold", "ada"));
        assert_eq!(members.customers(), 0);
        assert!(members.sets.numbers.is_empty());
        assert!(members.add("vip", "bob"), "it may begin anew");
    }

    #[test]
    fn records_are_taken_in_in_the_order_of_the_log() {
        let mut members = Members::default();
        let log = [
            AudienceRecord::In("vip", "ada"),
            AudienceRecord::In("vip", "bob"),
            AudienceRecord::Dropped("vip"),
            AudienceRecord::Nothing,
            AudienceRecord::In("vip", "bob"),
            AudienceRecord::In("vip", "cleo"),
            AudienceRecord::Out("vip", "cleo"),
        ];
        for record in log {
            members.apply(record);
        }
        let left = ["ada", "bob", "cleo"].map(|it| members.of(it).contains("vip"));
        assert_eq!(left, [false, true, false]);
    }

    /// More audiences than bits of a word, and many sets: the plain way knows the same.
    #[test]
    fn a_plain_map_of_sets_knows_the_same() {
        let mut members = Members::default();
        let mut plain: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..20_000 {
            let (audience, customer) = (format!("a{}", next(150)), format!("c{}", next(40)));
            let theirs = plain.entry(customer.clone()).or_default();
            match next(100) {
                0 => {
                    let any = plain.values().any(|it| it.contains(&audience));
                    assert_eq!(members.drop_audience(&audience), any);
                    for theirs in plain.values_mut() {
                        theirs.remove(&audience);
                    }
                }
                1..40 => assert_eq!(
                    members.remove(&audience, &customer),
                    theirs.remove(&audience)
                ),
                _ => assert_eq!(members.add(&audience, &customer), theirs.insert(audience)),
            }
        }
        for (customer, theirs) in &plain {
            assert!(names(&members, customer).iter().eq(theirs));
        }
        for (name, count) in members.counts() {
            let expected = plain.values().filter(|it| it.contains(name)).count();
            assert_eq!(count, expected as u64, "{name}");
        }
        let used: u32 = members.sets.all.iter().map(|set| set.customers).sum();
        assert_eq!(used as usize, members.customers());
    }
}
