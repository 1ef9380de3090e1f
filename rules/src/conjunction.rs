//! The ways to meet a pattern: `$or` multiplied out, and conditions on the same place brought together.
//!
//! An `$or` may speak of the same objects as the fields beside it. Multiplied out and merged into one
//! tree, conditions on one object of the event stand together wherever they were written, so that an
//! element of an array is chosen once for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compiler::Compiler;
use crate::condition::Condition;
use crate::limits::{MAX_CONDITIONS_A_FIELD, MAX_CONJUNCTIONS, MAX_EXPANDED_CONDITIONS};
use crate::parse::{Clause, Path};
use crate::problem::{PatternErrors, Problem};

/// Conditions that must all hold, ordered as the event is: by object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conjunction {
    pub(crate) fields: Fields,
}

/// Fields of one object, the most telling first, but `event_type` last; at least one.
pub(crate) type Fields = Box<[(Arc<str>, Part)]>;

/// What is asked of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its value.
    Value(Arc<Condition>),
    /// Its value, and that by several conditions: two to [`MAX_CONDITIONS_A_FIELD`]. So it is where an
    /// `$or` speaks of a field that is asked for beside it, too.
    Values(Box<[Arc<Condition>]>),
    /// Fields of it.
    Object(Fields),
}

/// Multiplies the `$or`s out.
pub(crate) fn conjunctions(clauses: &[Clause]) -> Result<Vec<Conjunction>, PatternErrors> {
    let mut errors = PatternErrors::new();
    let size = Size::of_all(clauses);
    if size.conjunctions > MAX_CONJUNCTIONS || size.conditions > MAX_EXPANDED_CONDITIONS {
        errors.push(Path::default().error(Problem::TooManyConjunctions {
            conjunctions: size.conjunctions,
            conditions: size.conditions,
        }));
        return Err(errors);
    }
    if let Some(fields) = plain(clauses) {
        return Ok(vec![last_event_type(fields)]);
    }
    let mut conjunctions = Vec::with_capacity(size.conjunctions);
    for conditions in expand(clauses) {
        let mut tree = Tree::default();
        for (clause_path, condition) in conditions {
            if let Err(error) = tree.insert(&clause_path, condition) {
                errors.push(error);
                return Err(errors);
            }
        }
        match tree.finish(&mut Vec::new()) {
            Ok(fields) => conjunctions.push(last_event_type(fields)),
            Err(error) => {
                errors.push(error);
                return Err(errors);
            }
        }
    }
    Ok(conjunctions)
}

impl Conjunction {
    /// Takes what others have, too, from the compiler.
    pub(crate) fn share(&mut self, compiler: &mut Compiler) {
        share(&mut self.fields, compiler);
    }
}

fn share(fields: &mut Fields, compiler: &mut Compiler) {
    for (name, part) in fields {
        compiler.name(name);
        match part {
            Part::Value(condition) => compiler.condition(condition),
            Part::Values(conditions) => conditions.iter_mut().for_each(|it| compiler.condition(it)),
            Part::Object(fields) => share(fields, compiler),
        }
    }
}

fn last_event_type(mut fields: Fields) -> Conjunction {
    // A rule set has looked at the event's type before it tries a rule.
    fields.sort_by_key(|(name, _)| **name == *"event_type");
    Conjunction { fields }
}

/// The only way to meet clauses without an `$or`, as nearly all are: a field stands there once, and nothing is to be
/// brought together.
fn plain(clauses: &[Clause]) -> Option<Fields> {
    if !clauses.is_sorted_by(|a, b| a.name() < b.name()) {
        return None;
    }
    let field = |clause: &Clause| match clause {
        Clause::Value(name, condition) => {
            Some((Arc::clone(name), Part::Value(Arc::clone(condition))))
        }
        Clause::Object(name, clauses) => Some((Arc::clone(name), Part::Object(plain(clauses)?))),
        Clause::Or(_) => None,
    };
    let mut fields: Fields = clauses.iter().map(field).collect::<Option<_>>()?;
    sort(&mut fields);
    Some(fields)
}

/// The most telling first; of one rank in the order of their names.
fn sort(fields: &mut Fields) {
    fields.sort_by(|(a_name, a), (b_name, b)| (a.rank().cmp(&b.rank())).then(a_name.cmp(b_name)));
}

/// How much an expansion would make, known before it is made.
#[derive(Clone, Copy)]
struct Size {
    conjunctions: usize,
    conditions: usize,
}

impl Size {
    fn of_all(clauses: &[Clause]) -> Self {
        let mut product = Self {
            conjunctions: 1,
            conditions: 0,
        };
        for clause in clauses {
            let size = Self::of(clause);
            product = Self {
                conjunctions: product.conjunctions.saturating_mul(size.conjunctions),
                conditions: (product.conditions.saturating_mul(size.conjunctions))
                    .saturating_add(size.conditions.saturating_mul(product.conjunctions)),
            };
        }
        product
    }

    fn of(clause: &Clause) -> Self {
        match clause {
            Clause::Value(..) => Self {
                conjunctions: 1,
                conditions: 1,
            },
            Clause::Object(_, clauses) => Self::of_all(clauses),
            Clause::Or(objects) => {
                let mut sum = Self {
                    conjunctions: 0,
                    conditions: 0,
                };
                for size in objects.iter().map(|clauses| Self::of_all(clauses)) {
                    sum.conjunctions = sum.conjunctions.saturating_add(size.conjunctions);
                    sum.conditions = sum.conditions.saturating_add(size.conditions);
                }
                sum
            }
        }
    }
}

type Steps<'a> = Vec<&'a str>;
type Conditions<'a> = Vec<(Steps<'a>, &'a Arc<Condition>)>;

/// Every way to meet the clauses: lists of conditions with their paths.
fn expand(clauses: &[Clause]) -> Vec<Conditions<'_>> {
    let mut ways = vec![Conditions::new()];
    for clause in clauses {
        let options = match clause {
            Clause::Value(name, condition) => vec![vec![(vec![&**name], condition)]],
            Clause::Object(name, clauses) => {
                let mut options = expand(clauses);
                for (steps, _) in options.iter_mut().flatten() {
                    steps.insert(0, name);
                }
                options
            }
            Clause::Or(objects) => objects.iter().flat_map(|clauses| expand(clauses)).collect(),
        };
        ways = match &*options {
            [only] => {
                for way in &mut ways {
                    way.extend_from_slice(only);
                }
                ways
            }
            _ => ways
                .iter()
                .flat_map(|way| {
                    options
                        .iter()
                        .map(move |option| [&**way, &**option].concat())
                })
                .collect(),
        };
    }
    ways
}

/// A conjunction while it is put together.
#[derive(Default)]
struct Tree<'a>(BTreeMap<&'a str, TreePart<'a>>);

enum TreePart<'a> {
    Value(Vec<Arc<Condition>>),
    Object(Tree<'a>),
}

impl<'a> Tree<'a> {
    fn insert(
        &mut self,
        steps: &[&'a str],
        condition: &Arc<Condition>,
    ) -> Result<(), crate::PatternError> {
        let (last, objects) = steps.split_last().expect("a condition has a field");
        let mut tree = self;
        for (depth, name) in objects.iter().enumerate() {
            let part = (tree.0)
                .entry(name)
                .or_insert_with(|| TreePart::Object(Tree::default()));
            match part {
                TreePart::Object(inner) => tree = inner,
                TreePart::Value(_) => return Err(value_and_object(&steps[..=depth])),
            }
        }
        let part = (tree.0)
            .entry(last)
            .or_insert_with(|| TreePart::Value(Vec::new()));
        match part {
            TreePart::Value(conditions) => conditions.push(Arc::clone(condition)),
            TreePart::Object(_) => return Err(value_and_object(steps)),
        }
        Ok(())
    }

    fn finish(self, steps: &mut Steps<'a>) -> Result<Fields, crate::PatternError> {
        let mut fields = Vec::with_capacity(self.0.len());
        for (name, part) in self.0 {
            steps.push(name);
            let part = match part {
                TreePart::Object(tree) => Part::Object(tree.finish(steps)?),
                TreePart::Value(conditions) if conditions.len() > MAX_CONDITIONS_A_FIELD => {
                    let found = conditions.len();
                    return Err(path(steps).error(Problem::TooManyOnOneField { found }));
                }
                TreePart::Value(mut conditions) if conditions.len() == 1 => {
                    Part::Value(conditions.remove(0))
                }
                TreePart::Value(conditions) => Part::Values(conditions.into()),
            };
            steps.pop();
            fields.push((Arc::from(name), part));
        }
        let mut fields = fields.into();
        sort(&mut fields);
        Ok(fields)
    }
}

fn value_and_object(steps: &[&str]) -> crate::PatternError {
    path(steps).error(Problem::ValueAndObject)
}

fn path(steps: &[&str]) -> Path {
    let mut path = Path::default();
    for step in steps {
        path.enter_field(step);
    }
    path
}

impl Part {
    fn rank(&self) -> u8 {
        match self {
            Self::Value(condition) => condition.rank(),
            Self::Values(conditions) => {
                let ranks = conditions.iter().map(|condition| condition.rank());
                ranks.min().expect("there are several conditions")
            }
            // The first is the most telling one.
            Self::Object(fields) => fields[0].1.rank(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::parse::clauses;

    fn size(pattern: &serde_json::Value) -> usize {
        conjunctions(&clauses(pattern).unwrap()).unwrap().len()
    }

    // How many there are is event-ruler's: its JsonRuleCompilerTest, testBasicFunctionOfOrRelationshipRules
    // and testMoreCaseOfOrRelationshipRules.
    #[test]
    fn alternatives_of_several_ors_multiply() {
        let or = json!([{"c": [1]}, {"d": [1]}, {"x": [1]}]);
        assert_eq!(size(&json!({"a": [1]})), 1);
        assert_eq!(size(&json!({"detail": {"$or": or}})), 3);
        assert_eq!(
            size(
                &json!({"detail": {"a": [1], "$or": or}, "news": {"$or": [{"e": [1]}, {"f": [1]}]}})
            ),
            6
        );
        assert_eq!(
            size(
                &json!({"$or": [{"a": [1]}, {"b": [1], "$or": [{"c": [1]}, {"d": [1]}]}, {"e": [1]}]})
            ),
            4
        );
    }

    #[test]
    fn the_size_is_known_before_it_is_made() {
        let two = |name: &str| json!([{ format!("{name}1"): [1] }, { format!("{name}2"): [1] }]);
        let nested = |depth: u32| {
            let mut pattern = json!({"a": [1]});
            for level in 0..depth {
                pattern = json!({"$or": two(&level.to_string()), "x": pattern});
            }
            pattern
        };
        assert_eq!(size(&nested(9)), 512);
        let read = clauses(&nested(25)).unwrap();
        let size = Size::of_all(&read);
        assert_eq!((size.conjunctions, size.conditions), (1 << 25, 26 << 25));
        assert!(conjunctions(&read).is_err());
    }

    #[test]
    fn conditions_of_one_object_stand_together_wherever_they_are_written() {
        let pattern = json!({
            "items": {"sku": ["A"]},
            "$or": [{"items": {"price": [1]}}, {"tier": ["gold"]}],
        });
        let ways = conjunctions(&clauses(&pattern).unwrap()).unwrap();
        let names = |fields: &Fields| {
            let names = fields.iter().map(|(name, _)| name.to_string());
            names.collect::<Vec<_>>()
        };
        let [(items, Part::Object(inner))] = &*ways[0].fields else {
            panic!("one object: {:?}", ways[0]);
        };
        assert_eq!(
            (&**items, names(inner)),
            ("items", vec!["price".into(), "sku".into()])
        );
        assert_eq!(names(&ways[1].fields), ["items", "tier"]);
    }

    #[test]
    fn the_most_telling_condition_comes_first() {
        let pattern = json!({
            "event_type": ["purchase"],
            "a": [{"anything-but": "x"}],
            "b": [{"exists": true}],
            "c": {"d": ["exact"], "e": [{"numeric": [">", 0]}]},
            "f": [{"prefix": "x"}],
            "g": ["x", {"exists": false}],
        });
        let ways = conjunctions(&clauses(&pattern).unwrap()).unwrap();
        let names: Vec<_> = ways[0].fields.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["c", "f", "a", "b", "g", "event_type"]);
    }
    #[test]
    fn more_conditions_than_bits_on_one_field_are_refused() {
        let condition = || clauses(&json!({"a": [1]})).unwrap().remove(0);
        let many = |count| (0..count).map(|_| condition()).collect::<Vec<_>>();
        assert!(conjunctions(&many(MAX_CONDITIONS_A_FIELD)).is_ok());
        let errors = conjunctions(&many(MAX_CONDITIONS_A_FIELD + 1)).unwrap_err();
        let found = MAX_CONDITIONS_A_FIELD + 1;
        let problem = &errors.iter().next().unwrap().problem;
        assert_eq!(problem, &Problem::TooManyOnOneField { found });
    }
}
