//! From campaigns to rules, one after the other.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::{mem, thread};

use schemas::Campaign;

use crate::condition::Condition;
use crate::reward::RewardText;
use crate::rule::{Rule, RuleError};

/// Compiles campaigns, and keeps once what many of them say: names of fields, conditions such as
/// `"event_type": ["purchase"]`, rewards. 100,000 rules then take half of the memory.
///
/// Its rules are like any others, and may be used together with those of another compiler.
#[derive(Debug, Default)]
pub struct Compiler {
    names: Pool<str>,
    conditions: Pool<Condition>,
    rewards: Pool<RewardText>,
    /// Those of further threads.
    others: Vec<Self>,
}

/// Fewer documents are compiled on one thread: it takes less than to start another.
const WORTH_A_THREAD: usize = 64;

impl Compiler {
    /// A compiler that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compiles a campaign as [`Rule::compile`] does.
    ///
    /// # Errors
    /// [`RuleError`] lists everything that is wrong.
    pub fn compile(&mut self, campaign: Campaign) -> Result<Rule, RuleError> {
        let mut rule = Rule::compile(campaign)?;
        rule.share(self);
        Ok(rule)
    }

    /// Reads and compiles documents on all cores. The results are in the order of the documents.
    pub fn compile_all<D: Sync, E: Send + From<RuleError>>(
        &mut self,
        documents: &[D],
        read: impl Fn(&D) -> Result<Campaign, E> + Sync,
    ) -> Vec<Result<Arc<Rule>, E>> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.min(documents.len() / WORTH_A_THREAD).max(1);
        self.others.resize_with(threads - 1, Self::new);
        let mut parts = documents.chunks(documents.len().div_ceil(threads).max(1));
        let own = parts.next().unwrap_or_default();
        let mut others = mem::take(&mut self.others);
        let read = &read;
        let compiled = thread::scope(|scope| {
            let threads: Vec<_> = (others.iter_mut().zip(parts))
                .map(|(other, part)| scope.spawn(|| other.compile_part(part, read)))
                .collect();
            let mut compiled = self.compile_part(own, read);
            for thread in threads {
                compiled.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            compiled
        });
        self.others = others;
        compiled
    }

    fn compile_part<D, E: From<RuleError>>(
        &mut self,
        documents: &[D],
        read: impl Fn(&D) -> Result<Campaign, E>,
    ) -> Vec<Result<Arc<Rule>, E>> {
        let rules = documents.iter().map(|document| {
            let rule = self.compile(read(document)?)?;
            Ok(Arc::new(rule))
        });
        rules.collect()
    }

    pub(crate) fn name(&mut self, name: &mut Arc<str>) {
        self.names.share(name);
    }

    pub(crate) fn condition(&mut self, condition: &mut Arc<Condition>) {
        self.conditions.share(condition);
    }

    pub(crate) fn reward(&mut self, reward: &mut Arc<RewardText>) {
        self.rewards.share(reward);
    }
}

/// Values, each once, in parts that are split one at a time as more come (linear hashing, Litwin 1980): no
/// value waits for all others to be moved.
#[derive(Debug)]
struct Pool<T: ?Sized> {
    parts: Vec<HashSet<Arc<T>>>,
    count: usize,
    hasher: RandomState,
}

/// So many values are in a part on average, at most.
const PART: usize = 64;

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            count: 0,
            hasher: RandomState::new(),
        }
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// Replaces a value by the one that is here and the same, or keeps it.
    fn share(&mut self, value: &mut Arc<T>) {
        if self.parts.is_empty() {
            self.parts.push(HashSet::new());
        }
        let place = self.place(value);
        let part = &mut self.parts[place];
        if let Some(known) = part.get(&**value) {
            *value = Arc::clone(known);
            return;
        }
        // What nobody uses any more goes before the part grows.
        if part.len() == part.capacity() {
            self.count -= forget_unused(part);
            // At least as many more fit before the next time.
            part.reserve(part.len());
        }
        part.insert(Arc::clone(value));
        self.count += 1;
        if self.count > self.parts.len() * PART {
            self.split();
        }
    }

    /// The part of a value.
    fn place(&self, value: &T) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits")]
        let hash = self.hasher.hash_one(value) as usize;
        let places = self.parts.len().next_power_of_two();
        let place = hash & (places - 1);
        if place < self.parts.len() {
            place
        } else {
            // It is not split yet.
            place - places / 2
        }
    }

    /// Adds a part, with values of the one that is next to be split.
    fn split(&mut self) {
        let added = self.parts.len();
        let of = added - (added + 1).next_power_of_two() / 2;
        let mut values = mem::take(&mut self.parts[of]);
        self.count -= forget_unused(&mut values);
        self.parts.push(HashSet::new());
        for value in values {
            let place = self.place(&value);
            self.parts[place].insert(value);
        }
    }
}

/// Removes what nobody uses any more, and says how much that was.
fn forget_unused<T: ?Sized + Eq + Hash>(values: &mut HashSet<Arc<T>>) -> usize {
    let before = values.len();
    values.retain(|value| Arc::strong_count(value) > 1);
    before - values.len()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(id: usize) -> Value {
        json!({
            "id": format!("c-{id}"), "name": "C", "reward": {"kind": "credit", "amount": "5"},
            "when": {"event_type": ["purchase"], "payload": {"merchant": [format!("m-{}", id % 7)]}},
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "readers may fail")]
    fn read(document: &Value) -> Result<Campaign, RuleError> {
        Ok(Campaign::from_json(document.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn all_are_compiled_in_their_order_and_the_broken_ones_say_why() {
        let mut documents: Vec<_> = (0..1_000).map(document).collect();
        documents[700]["when"] = json!({"event_type": "purchase"});
        let mut compiler = Compiler::new();
        for count in [0, 1, 63, 64, 65, 1_000] {
            let results = compiler.compile_all(&documents[..count], read);
            assert_eq!(results.len(), count);
            for (at, rule) in results.iter().enumerate() {
                match rule {
                    Ok(rule) => assert_eq!(rule.id().as_str(), format!("c-{at}")),
                    Err(error) => assert_eq!((at, error), (700, &rule_error(&documents[700]))),
                }
            }
            assert_eq!(
                results.iter().filter(|rule| rule.is_err()).count(),
                count / 1_000
            );
        }
    }

    #[test]
    fn a_value_is_found_again_however_many_there_are() {
        let mut pool = Pool::<str>::default();
        let name = |n: u32| Arc::<str>::from(format!("name-{n}"));
        let mut kept: Vec<_> = (0..10_000).map(name).collect();
        for value in &mut kept {
            pool.share(value);
        }
        assert_eq!(pool.count, kept.len());
        assert!(pool.parts.iter().all(|part| part.len() < PART * 4));
        for (n, known) in (0..).zip(&kept) {
            let mut value = name(n);
            pool.share(&mut value);
            assert!(Arc::ptr_eq(&value, known), "{n}");
        }
        kept.truncate(100);
        for n in 0..100_000 {
            pool.share(&mut name(n));
        }
        assert!(pool.count < 20_000, "{}", pool.count);
    }

    fn rule_error(document: &Value) -> RuleError {
        Rule::compile(read(document).unwrap()).unwrap_err()
    }

    #[test]
    fn what_rules_have_in_common_is_there_once_and_only_while_one_of_them_is() {
        let mut compiler = Compiler::new();
        let mut compile = |id| {
            let rule = compiler.compile(read(&document(id)).unwrap()).unwrap();
            (rule, compiler.conditions.count, compiler.names.count)
        };
        let kept: Vec<_> = (0..70).map(&mut compile).collect();
        // A type and seven merchants.
        assert_eq!(kept[69].1, 8);
        // Others come and go.
        for id in 0..10_000 {
            let mut other = document(id);
            other["when"]["payload"][format!("field-{id}")] = json!([id]);
            compiler.compile(read(&other).unwrap()).unwrap();
        }
        let (conditions, names) = (compiler.conditions.count, compiler.names.count);
        assert!(conditions < 100 && names < 100, "{conditions}, {names}");
        let rule = compiler.compile(read(&document(3)).unwrap()).unwrap();
        assert_eq!(rule.pattern(), kept[3].0.pattern());
    }
}
