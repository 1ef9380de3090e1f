//! What a campaign asks beyond the event at hand, compiled: its `across`, its `limits`, and the groups in which it shares what
//! an event wins.
//!
//! What has been counted is kept elsewhere, by the *identity* of what counts. Two versions of a campaign whose condition has
//! the same identity share its count; that is how `on_change` is kept.

mod identity;
mod returns;
mod stretch;
mod total;

use rust_decimal::Decimal;
use schemas::across::{Aggregate, Asks, Bounds, Limit, PerCustomer, Window};
use schemas::{Campaign, Event, GroupName, Node, PoolName, Span, Value, When};
use serde_json::{Value as Json, json};

use self::identity::{Identities, span_name, window_name};
use crate::meaning::decimal;
use crate::pattern::Pattern;
use crate::problem::PatternErrors;

pub use self::returns::{Returns, Taken};
pub use self::stretch::Stretch;
pub use self::total::Total;

/// What a campaign asks beyond the event, and what may become of its matches. One without `across`, `limits`, groups, `hold`,
/// `reverse_on` and a pool of codes has none.
#[derive(Debug, Clone)]
pub struct History {
    conditions: Box<[Condition]>,
    limits: Box<[Allowance]>,
    totals: Box<[Total]>,
    groups: Box<[Group]>,
    hold: Option<Span>,
    returns: Option<Box<Returns>>,
    pool: Option<PoolName>,
}

/// A group of campaigns that share what an event wins.
#[derive(Debug, Clone)]
pub struct Group {
    name: GroupName,
    per_event: Option<u32>,
}

/// A condition on what the customer did, this event included.
#[derive(Debug, Clone)]
pub struct Condition {
    identity: u64,
    asks: Question,
    stretch: Stretch,
    /// None: the campaign's own.
    pattern: Option<Pattern>,
}

/// What a condition asks for.
#[derive(Debug, Clone)]
pub enum Question {
    /// So many events.
    Count(Bounds),
    /// A value of a field.
    Of(Aggregate, Field, Bounds),
    /// That the event ends a sequence of these steps.
    Sequence(Box<[Step]>),
    /// That nothing of the kind follows.
    Absent,
}

/// A step of a sequence.
#[derive(Debug, Clone)]
pub struct Step {
    identity: u64,
    pattern: Pattern,
    /// The longest time from its event to the next step's, in milliseconds.
    until_next: i64,
    /// The longest time from its event to the end of the sequence, in milliseconds.
    until_end: i64,
}

/// The names that lead to a field.
#[derive(Debug, Clone)]
pub struct Field(Box<[Box<str>]>);

/// A limit of one customer.
#[derive(Debug, Clone)]
pub struct Allowance {
    identity: u64,
    pointer: Box<str>,
    limit: Limit,
    stretch: Stretch,
}

/// The limits a customer, the campaign's own and then those of its group.
fn limits(campaign: &Campaign, identities: &mut Identities) -> Vec<Allowance> {
    let own = &campaign.limits.per_customer;
    let mut limits = Allowance::all(own, "/limits/per_customer", identities);
    if let Some(stacking) = &campaign.stacking {
        let mut identities = Identities::of_group(&stacking.group);
        let shared = &stacking.per_customer;
        limits.extend(Allowance::all(
            shared,
            "/stacking/per_customer",
            &mut identities,
        ));
    }
    limits
}

impl History {
    /// Compiles what a campaign asks; none if it asks for nothing.
    ///
    /// # Errors
    /// What is wrong with the patterns of its conditions, each with its place in the document.
    pub(crate) fn compile(campaign: &Campaign) -> Result<Option<Self>, PatternErrors> {
        let groups = groups(campaign);
        let is_final = campaign.hold.is_none() && campaign.reverse_on.is_none();
        let pool = campaign.reward.pool();
        let pool = pool.and_then(|name| PoolName::new(name).ok());
        let is_free = campaign.limits.is_empty() && groups.is_empty() && pool.is_none();
        if campaign.across.is_empty() && is_free && is_final {
            return Ok(None);
        }
        let mut identities = Identities::of(campaign);
        let mut errors = PatternErrors::new();
        let mut parse = |pattern: &When, place: String| {
            let parsed = Pattern::parse(pattern.json());
            parsed.map_err(|found| errors.extend(found, &place)).ok()
        };
        let mut conditions = Vec::new();
        for (number, across) in campaign.across.iter().enumerate() {
            let place = format!("across[{number}]");
            let pattern = match &across.when {
                None => None,
                Some(when) => match parse(when, format!("{place}.when")) {
                    None => continue,
                    pattern => pattern,
                },
            };
            let counted = across.when.as_ref().unwrap_or(&campaign.when);
            let window = &across.window;
            let mut identity =
                |what: Json| identities.next(&json!([what, window_name(window), counted]));
            let (identity, asks) = match &across.asks {
                Asks::Count(bounds) => (identity(json!("count")), Question::Count(*bounds)),
                // The same count, whichever number is asked for.
                Asks::Nth(number) => {
                    let bounds = Bounds {
                        equals: Some(schemas::across::Exact((*number).into())),
                        ..Bounds::default()
                    };
                    (identity(json!("count")), Question::Count(bounds))
                }
                Asks::Of(aggregate, measured) => {
                    let what = json!([format!("{aggregate:?}"), measured.of]);
                    let field = Field::new(&measured.of);
                    let asks = Question::Of(*aggregate, field, measured.bounds);
                    (identity(what), asks)
                }
                Asks::Absent => (identity(json!("absent")), Question::Absent),
                Asks::Sequence(steps) => {
                    let mut compiled = Vec::new();
                    let last = match window {
                        Window::Sliding(span) => *span,
                        _ => unreachable!("a sequence has a span, as its document was checked"),
                    };
                    let following = steps.iter().skip(1).map(|step| step.within);
                    let mut gaps: Vec<Span> = following.flatten().collect();
                    gaps.push(last);
                    for (at, (step, gap)) in steps.iter().zip(&gaps).enumerate() {
                        let place = format!("{place}.sequence[{at}].when");
                        let Some(pattern) = parse(&step.when, place) else {
                            continue;
                        };
                        let until_end = gaps[at..].iter().map(|gap| gap.as_millis()).sum();
                        compiled.push(Step {
                            identity: identities.next(&json!(["step", step.when, until_end])),
                            pattern,
                            until_next: gap.as_millis(),
                            until_end,
                        });
                    }
                    (0, Question::Sequence(compiled.into()))
                }
            };
            conditions.push(Condition {
                identity,
                asks,
                stretch: Stretch::of_window(window),
                pattern,
            });
        }
        let reverse_on = campaign.reverse_on.as_ref();
        let returns = reverse_on.and_then(|reverse_on| {
            let pattern = parse(&reverse_on.when, "reverse_on.when".to_owned())?;
            Some(Box::new(Returns::new(campaign, reverse_on, pattern)))
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Some(Self {
            conditions: conditions.into(),
            limits: limits(campaign, &mut identities).into(),
            totals: Total::all(campaign),
            groups,
            hold: campaign.hold,
            returns,
            pool,
        }))
    }

    /// Its conditions, in the order of the document.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The groups in which it shares what an event wins.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Its limits in the order of the document, its own and then those of its group.
    pub fn limits(&self) -> &[Allowance] {
        &self.limits
    }

    /// Its budgets, in the order of the document. What it wins is then claimed, and the settler decides.
    pub fn totals(&self) -> &[Total] {
        &self.totals
    }

    /// The pool of which its reward is a code.
    pub fn pool(&self) -> Option<&PoolName> {
        self.pool.as_ref()
    }

    /// Whether what it wins is claimed, and the settler decides: it has a budget, or its reward is a code of a pool.
    pub fn is_claimed(&self) -> bool {
        !self.totals.is_empty() || self.pool.is_some()
    }

    /// The identities of all that it counts of a customer.
    pub fn identities(&self) -> impl Iterator<Item = u64> {
        let conditions = self.conditions.iter().flat_map(|condition| {
            let steps = match &condition.asks {
                Question::Sequence(steps) => &**steps,
                _ => &[],
            };
            let own = steps.is_empty().then_some(condition.identity);
            own.into_iter().chain(steps.iter().map(Step::identity))
        });
        conditions.chain(self.limits.iter().map(Allowance::identity))
    }

    /// All that counts: an event that meets none of these patterns and not the campaign's leaves no trace.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let conditions = self.conditions.iter().flat_map(|condition| {
            let steps = match &condition.asks {
                Question::Sequence(steps) => &**steps,
                _ => &[],
            };
            let steps = steps.iter().map(|step| &step.pattern);
            condition.pattern.iter().chain(steps)
        });
        conditions.chain(self.returns.iter().map(|returns| returns.pattern()))
    }

    /// How long its matches are held.
    pub fn hold(&self) -> Option<Span> {
        self.hold
    }

    /// What takes its matches back.
    pub fn returns(&self) -> Option<&Returns> {
        self.returns.as_deref()
    }

    /// Whether something may become of its matches after they are made.
    pub fn keeps_matches(&self) -> bool {
        self.hold.is_some() || self.returns.is_some()
    }

    /// The condition that waits for something not to happen.
    pub fn absent(&self) -> Option<&Condition> {
        let mut conditions = self.conditions.iter();
        conditions.find(|condition| matches!(condition.asks, Question::Absent))
    }
}

impl Condition {
    /// Names what it counts, for ever.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// What it asks for.
    pub fn asks(&self) -> &Question {
        &self.asks
    }

    /// In which stretch of time.
    pub fn stretch(&self) -> &Stretch {
        &self.stretch
    }

    /// Whether the event is one that counts; `is_won` says whether it meets the campaign's own pattern.
    pub fn counts(&self, event: &Event<'_>, is_won: bool) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.matches(event.root),
            None => is_won,
        }
    }
}

impl Step {
    /// Names what it remembers, for ever.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Whether the event is one of the step.
    pub fn is_met_by(&self, event: &Event<'_>) -> bool {
        self.pattern.matches(event.root)
    }

    /// The longest time from its event to the next step's, in milliseconds.
    pub fn until_next(&self) -> i64 {
        self.until_next
    }

    /// The longest time from its event to the end of the sequence, in milliseconds.
    pub fn until_end(&self) -> i64 {
        self.until_end
    }
}

/// The groups that a campaign names.
fn groups(campaign: &Campaign) -> Box<[Group]> {
    let exclusive = campaign.exclusive_group.iter().map(|name| Group {
        name: name.clone(),
        per_event: Some(1),
    });
    let stacking = campaign.stacking.iter().map(|stacking| Group {
        name: stacking.group.clone(),
        per_event: stacking.per_event,
    });
    exclusive.chain(stacking).collect()
}

impl Group {
    /// Its name; a campaign that wins counts in every group that it names.
    pub fn name(&self) -> &GroupName {
        &self.name
    }

    /// The campaign wins only while fewer of the group have won the event.
    pub fn per_event(&self) -> Option<u32> {
        self.per_event
    }
}

impl Allowance {
    fn all(limits: &PerCustomer, place: &str, identities: &mut Identities) -> Vec<Self> {
        let numbered = limits.0.iter().enumerate();
        let all = numbered.map(|(number, limit)| Self {
            identity: identities.next(&json!(["limit", span_name(&limit.span)])),
            pointer: format!("{place}/{number}").into(),
            limit: limit.clone(),
            stretch: Stretch::of_limit(&limit.span),
        });
        all.collect()
    }

    /// Names what it counts, for ever.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Where it is written: a JSON pointer into the campaign's document.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The limit as written.
    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    /// In which stretch of time.
    pub fn stretch(&self) -> &Stretch {
        &self.stretch
    }
}

impl Field {
    /// The field that these names with dots between them lead to, as `payload.amount`.
    pub fn new(names: &str) -> Self {
        Self(names.split('.').map(Into::into).collect())
    }

    /// The first text, number or truth value that the event has there, as text. Equal numbers have the same.
    pub fn first_text(&self, root: Node<'_>) -> Option<String> {
        let mut first = None;
        self.values(root, &mut |value| {
            let text = match value {
                Value::String(text) => text.to_owned(),
                Value::Number(number) => number.to_string(),
                Value::Bool(is) => is.to_string(),
                _ => return,
            };
            first.get_or_insert(text);
        });
        first
    }

    /// Hands out every value that the event has there; elements of arrays each.
    pub fn values(&self, root: Node<'_>, take: &mut impl FnMut(Value<'_>)) {
        walk(&self.0, root, take);
    }

    /// The same for numbers, and texts that are decimals; the others are left out.
    pub fn decimals(&self, root: Node<'_>, mut take: impl FnMut(Decimal)) {
        self.values(root, &mut |value| {
            if let Some(decimal) = decimal::of_value(&value) {
                take(decimal);
            }
        });
    }
}

fn walk(names: &[Box<str>], node: Node<'_>, take: &mut impl FnMut(Value<'_>)) {
    match (names, node.value()) {
        (_, Value::Array(elements)) => {
            for element in elements {
                walk(names, element, take);
            }
        }
        ([name, rest @ ..], Value::Object(_)) => {
            if let Some(field) = node.get(name) {
                walk(rest, field, take);
            }
        }
        ([], Value::Object(_)) | ([_, ..], _) => {}
        ([], value) => take(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(campaign: &Json) -> History {
        let mut whole = json!({
            "id": "ten", "name": "Ten", "reward": {"kind": "custom"},
            "when": {"event_type": ["purchase"]},
        });
        for (name, value) in campaign.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let campaign = Campaign::from_json(whole.to_string().as_bytes()).unwrap();
        History::compile(&campaign).unwrap().unwrap()
    }

    fn identities(campaign: &Json) -> Vec<u64> {
        let history = history(campaign);
        let limits = history.limits.iter().map(|limit| limit.identity);
        let conditions = history.conditions.iter().map(|it| it.identity);
        conditions.chain(limits).collect()
    }

    #[test]
    fn what_counts_the_same_goes_on_when_the_campaign_changes() {
        let before = json!({
            "across": [{"count": {"at_least": 3}, "within": "7d"}, {"nth": 2}],
            "limits": {"per_customer": {"times": 1, "every": "30d"}},
        });
        let mut after = before.clone();
        after["across"][0]["count"]["at_least"] = json!(5);
        after["limits"]["per_customer"]["times"] = json!(2);
        after["reward"] = json!({"kind": "coupon"});
        assert_eq!(identities(&before), identities(&after));
        // Conditions may change places.
        let mut turned = before.clone();
        turned["across"].as_array_mut().unwrap().reverse();
        let turned = identities(&turned);
        assert_eq!(identities(&before), [turned[1], turned[0], turned[2]]);

        for (pointer, value) in [
            ("/across/0/within", json!("8d")),
            ("/limits/per_customer/every", json!("31d")),
        ] {
            let mut other = before.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            let both = identities(&before).into_iter().zip(identities(&other));
            assert_eq!(both.filter(|(a, b)| a != b).count(), 1, "{pointer}");
        }
        let mut other = before.clone();
        other["when"] = json!({"event_type": ["order"]});
        let both = identities(&before).into_iter().zip(identities(&other));
        assert_eq!(
            both.filter(|(a, b)| a != b).count(),
            2,
            "what it counts changed"
        );
    }

    #[test]
    fn all_begins_anew_if_the_campaign_says_so() {
        let before = json!({
            "on_change": "reset",
            "across": [{"count": {"at_least": 3}, "within": "7d"}],
            "limits": {"per_customer": {"times": 1, "every": "30d"}},
        });
        let mut renamed = before.clone();
        renamed["name"] = json!("Eleven");
        renamed["version"] = json!(7);
        assert_eq!(identities(&before), identities(&renamed));
        let mut after = before.clone();
        after["across"][0]["count"]["at_least"] = json!(5);
        let (before, after) = (identities(&before), identities(&after));
        assert!(before.iter().all(|identity| !after.contains(identity)));
    }

    #[test]
    fn identities_are_for_ever() {
        let fixed = json!({
            "across": [
                {"count": {"at_least": 3}, "within": "7d"},
                {"sum": {"of": "payload.amount", "at_least": 9}, "calendar": "month", "time_zone": "Europe/Madrid"},
            ],
            "limits": {"per_customer": {"times": 1, "every": "30d"}},
        });
        // What is written in changelogs is found by them. Never change these numbers.
        insta::assert_debug_snapshot!(identities(&fixed));
    }

    #[test]
    fn days_weeks_and_months_are_those_of_the_zone() {
        let around = |window: Json, at: &str| {
            let history = history(&json!({"across": [window]}));
            let at: jiff::Timestamp = at.parse().unwrap();
            let (begin, end) = history.conditions[0]
                .stretch
                .around(at.as_millisecond())
                .unwrap();
            let text = |at| jiff::Timestamp::from_millisecond(at).unwrap().to_string();
            (text(begin), text(end))
        };
        let both = |begin: &str, end: &str| (begin.to_owned(), end.to_owned());
        let window = |period: &str, zone: &str| json!({"count": {"at_least": 1}, "calendar": period, "time_zone": zone});
        assert_eq!(
            around(window("day", "Europe/Madrid"), "2026-10-25T12:00:00Z"),
            both("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        );
        assert_eq!(
            around(window("week", "UTC"), "2026-11-24T12:00:00Z"),
            both("2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        );
        assert_eq!(
            around(window("month", "Asia/Tokyo"), "2026-12-31T15:00:00Z"),
            both("2026-12-31T15:00:00Z", "2027-01-31T15:00:00Z"),
        );
        assert_eq!(
            around(
                json!({"count": {"at_least": 1}, "tumbling": "1h"}),
                "1969-12-31T23:59:59.999Z"
            ),
            both("1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"),
        );
    }
}
