//! What comes of a change, given what is there. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use rules::CampaignProblem;
use schemas::{Campaign, ChangeAction, Status};
use serde_json::Value;

use super::merge::merge;
use super::request::{Change, Operation, Precondition, Refusal, Turn};
use crate::catalog::{Current, Standing};

/// Largest document, in bytes of its JSON form. A change has two of them, and with what is around them
/// must stay below the 1 MB that Kafka takes of a record unless told otherwise.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// This is to be written.
    Write(Box<Plan>),
    /// Nothing: the campaign is so already.
    Unchanged(Arc<Current>),
}

/// A change that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) action: ChangeAction,
    pub(super) changed_at: Timestamp,
    pub(super) before: Option<Arc<Current>>,
    /// The document with its new version; none if the campaign is to go.
    pub(super) after: Option<Campaign>,
}

/// Decides on a change at the time `now`.
pub(super) fn decide(
    change: &Change,
    standing: &Standing,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let current = standing.current.as_ref();
    check(change, current)?;
    // Clocks of replicas differ, the order of changes does not.
    let changed_at = standing.changed_at.map_or(now, |before| before.max(now));
    let plan = |action, after| {
        Decision::Write(Box::new(Plan {
            action,
            changed_at,
            before: standing.current.clone(),
            after,
        }))
    };
    let (action, mut after) = match (&change.operation, current) {
        (Operation::Put(campaign), None) => (ChangeAction::Created, (**campaign).clone()),
        (Operation::Put(campaign), Some(_)) => (ChangeAction::Updated, (**campaign).clone()),
        (_, None) => return Err(Refusal::Missing),
        (Operation::Delete, Some(_)) => {
            return Ok(plan(ChangeAction::Deleted, None));
        }
        (Operation::Merge(patch), Some(current)) => {
            let merged = merged(&current.campaign, patch).map_err(Refusal::Invalid)?;
            (ChangeAction::Updated, merged)
        }
        (Operation::Turn(turn), Some(current)) => {
            let (action, status) = turned(*turn, current.campaign.status)?;
            let mut campaign = current.campaign.clone();
            campaign.status = status;
            (action, campaign)
        }
        (Operation::Trip(tripped), Some(current)) => {
            let (action, status) = turned(Turn::Pause, current.campaign.status)?;
            let mut campaign = current.campaign.clone();
            campaign.status = status;
            campaign.tripped = Some((**tripped).clone());
            (action, campaign)
        }
    };
    keep_trip(&mut after, current);
    if let Some(current) = current {
        after.version = current.campaign.version;
        if after == current.campaign {
            return Ok(Decision::Unchanged(Arc::clone(current)));
        }
    }
    let version = standing.highest.checked_add(1);
    after.version = version
        .filter(|version| i64::try_from(*version).is_ok())
        .ok_or(Refusal::NoVersionLeft)?;
    if size(&after) > MAX_DOCUMENT_BYTES {
        return Err(Refusal::TooLarge);
    }
    Ok(plan(action, Some(after)))
}

fn check(change: &Change, current: Option<&Arc<Current>>) -> Result<(), Refusal> {
    let tag = current.map(|current| current.tag());
    match (&change.precondition, tag) {
        (Precondition::None, _)
        | (Precondition::Absent, None)
        | (Precondition::Present, Some(_)) => Ok(()),
        (Precondition::Absent, Some(tag)) => Err(Refusal::Exists { tag }),
        (Precondition::Tags(tags), Some(tag)) if tags.contains(&tag) => Ok(()),
        (Precondition::Present | Precondition::Tags(_), tag) => Err(Refusal::Stale { tag }),
    }
}

/// That a breaker has paused a campaign stays in its document for as long as it is paused, whatever else is changed.
fn keep_trip(after: &mut Campaign, current: Option<&Arc<Current>>) {
    if after.status != Status::Paused {
        after.tripped = None;
    } else if after.tripped.is_none() {
        after.tripped = current.and_then(|current| current.campaign.tripped.clone());
    }
}

fn turned(turn: Turn, status: Status) -> Result<(ChangeAction, Status), Refusal> {
    use Status::{Active, Archived, Draft, Paused};
    match (turn, status) {
        (Turn::Pause, Active | Paused) => Ok((ChangeAction::Paused, Paused)),
        (Turn::Resume, Paused | Draft | Active) => Ok((ChangeAction::Resumed, Active)),
        (Turn::Archive, _) => Ok((ChangeAction::Archived, Archived)),
        (Turn::Pause, Draft | Archived) | (Turn::Resume, Archived) => {
            Err(Refusal::Turn { turn, status })
        }
    }
}

fn merged(campaign: &Campaign, patch: &Value) -> Result<Campaign, Vec<CampaignProblem>> {
    let mut document = serde_json::to_value(campaign).expect("a campaign has a JSON form");
    merge(&mut document, patch.clone());
    if let Some(fields) = document.as_object_mut() {
        // The version is ours to give.
        fields.insert("version".to_owned(), Value::from(campaign.version));
    }
    let rule = rules::check::campaign(&document)?;
    if *rule.id() != campaign.id {
        let detail = "an id cannot be changed; create a campaign and delete this one";
        return Err(vec![CampaignProblem::new("/id", detail)]);
    }
    Ok(rule.campaign())
}

fn size(campaign: &Campaign) -> usize {
    serde_json::to_vec(campaign).map_or(0, |json| json.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::ChangeId;

    fn campaign(fields: &Value) -> Campaign {
        let mut document = json!({
            "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]},
            "reward": {"kind": "custom"},
        });
        merge(&mut document, fields.clone());
        Campaign::from_json(document.to_string().as_bytes()).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A campaign of ours in its third version, changed at second 50.
    fn third(fields: &Value) -> Standing {
        let mut campaign = campaign(fields);
        campaign.version = 3;
        Standing {
            current: Some(Arc::new(Current {
                campaign,
                offset: 7,
                written_at: at(50),
                change: Some(ChangeId::random()),
            })),
            highest: 3,
            changed_at: Some(at(50)),
        }
    }

    fn decide_on(
        operation: Operation,
        precondition: Precondition,
        standing: &Standing,
    ) -> Result<Decision, Refusal> {
        let change = Change {
            campaign: schemas::CampaignId::new("ten").unwrap(),
            operation,
            precondition,
            actor: "ada".into(),
            reason: None,
            traceparent: None,
        };
        decide(&change, standing, at(100))
    }

    fn put(fields: &Value) -> Operation {
        Operation::Put(Box::new(campaign(fields)))
    }

    fn written(decision: Result<Decision, Refusal>) -> Plan {
        match decision {
            Ok(Decision::Write(plan)) => *plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn versions_count_up_also_after_the_campaign_was_gone() {
        let none = Standing::default();
        let created = written(decide_on(put(&json!({})), Precondition::Absent, &none));
        assert_eq!(created.action, ChangeAction::Created);
        assert_eq!(created.after.unwrap().version, 1);
        let gone = Standing {
            highest: 7,
            ..Standing::default()
        };
        let created = written(decide_on(
            put(&json!({"version": 2})),
            Precondition::None,
            &gone,
        ));
        assert_eq!(created.after.unwrap().version, 8);
        let updated = written(decide_on(
            put(&json!({"name": "Eleven", "version": 99})),
            Precondition::Tags(vec!["2".into(), "3".into()]),
            &third(&json!({})),
        ));
        assert_eq!(updated.action, ChangeAction::Updated);
        assert_eq!(updated.after.unwrap().version, 4);
        let last = Standing {
            highest: i64::MAX.unsigned_abs(),
            ..Standing::default()
        };
        let refused = decide_on(put(&json!({})), Precondition::None, &last);
        assert_eq!(refused, Err(Refusal::NoVersionLeft));
    }

    #[test]
    fn a_precondition_that_does_not_hold_refuses_the_change() {
        let (none, third) = (Standing::default(), third(&json!({})));
        let tags = |tag: &str| Precondition::Tags(vec![tag.to_owned()]);
        let tag = Some("3".to_owned());
        let cases = [
            (
                Precondition::Absent,
                &third,
                Refusal::Exists { tag: "3".into() },
            ),
            (Precondition::Present, &none, Refusal::Stale { tag: None }),
            (tags("3"), &none, Refusal::Stale { tag: None }),
            (tags("2"), &third, Refusal::Stale { tag: tag.clone() }),
            // A tag of a document that others wrote.
            (tags("3-0000000000000000"), &third, Refusal::Stale { tag }),
        ];
        for (precondition, standing, refusal) in cases {
            let refused = decide_on(put(&json!({"name": "x"})), precondition.clone(), standing);
            assert_eq!(refused, Err(refusal), "{precondition:?}");
        }
        for operation in [
            Operation::Delete,
            Operation::Merge(json!({})),
            Operation::Turn(Turn::Pause),
        ] {
            let refused = decide_on(operation, Precondition::None, &none);
            assert_eq!(refused, Err(Refusal::Missing));
        }
    }

    #[test]
    fn what_is_so_already_is_not_changed() {
        let third = third(&json!({"status": "paused"}));
        for operation in [
            put(&json!({"status": "paused"})),
            Operation::Merge(json!({"name": "Ten", "version": 99})),
            Operation::Turn(Turn::Pause),
        ] {
            let decision = decide_on(operation, Precondition::None, &third).unwrap();
            assert!(matches!(decision, Decision::Unchanged(_)), "{decision:?}");
        }
    }

    #[test]
    fn a_breaker_says_in_the_document_why_it_has_paused_it_until_it_is_resumed() {
        let tripped = json!({
            "at": "2026-11-24T09:30:00Z", "by": "rate", "matches": 1001, "breaker": {"rate": "1000/min"},
        });
        let trip = Operation::Trip(Box::new(serde_json::from_value(tripped.clone()).unwrap()));
        let active = third(&json!({"breaker": {"rate": "1000/min"}}));
        let plan = written(decide_on(trip.clone(), Precondition::None, &active));
        assert_eq!(plan.action, ChangeAction::Paused);
        let after = plan.after.unwrap();
        assert_eq!(after.status, Status::Paused);
        assert!(after.tripped.is_some());

        let paused = third(&json!({"status": "paused", "tripped": tripped}));
        let tripped_after = |operation| {
            let plan = written(decide_on(operation, Precondition::None, &paused));
            plan.after.unwrap().tripped
        };
        assert!(tripped_after(put(&json!({"status": "paused", "name": "x"}))).is_some());
        assert!(tripped_after(Operation::Merge(json!({"name": "x"}))).is_some());
        assert_eq!(tripped_after(put(&json!({}))), None);
        assert_eq!(tripped_after(Operation::Turn(Turn::Resume)), None);
        assert_eq!(tripped_after(Operation::Turn(Turn::Archive)), None);
        let refused = decide_on(
            trip,
            Precondition::None,
            &third(&json!({"status": "draft"})),
        );
        assert!(matches!(refused, Err(Refusal::Turn { .. })));
    }

    #[test]
    fn a_campaign_turns_from_the_states_that_make_sense() {
        use Status::{Active, Archived, Draft, Paused};
        let cases = [
            (Turn::Pause, [None, Some(Paused), Some(Paused), None]),
            (
                Turn::Resume,
                [Some(Active), Some(Active), Some(Active), None],
            ),
            (Turn::Archive, [Some(Archived); 4]),
        ];
        for (turn, expected) in cases {
            for (from, to) in [Draft, Active, Paused, Archived].into_iter().zip(expected) {
                let standing = third(&json!({"status": from.as_str()}));
                let decision = decide_on(Operation::Turn(turn), Precondition::None, &standing);
                let found = match decision {
                    Ok(Decision::Write(plan)) => plan.after.map(|after| after.status),
                    Ok(Decision::Unchanged(current)) => Some(current.campaign.status),
                    Err(_) => None,
                };
                assert_eq!(found, to, "{turn:?} from {from}");
            }
        }
    }

    #[test]
    fn a_merge_that_makes_no_campaign_says_where_it_is_wrong() {
        let third = third(&json!({"labels": {"team": "growth"}}));
        let merge = |patch| decide_on(Operation::Merge(patch), Precondition::None, &third);
        let plan = written(merge(
            json!({"labels": {"team": null, "a": "b"}, "status": "draft"}),
        ));
        let after = plan.after.unwrap();
        assert_eq!(after.labels, [("a".to_owned(), "b".to_owned())].into());
        assert_eq!((after.status, after.version), (Status::Draft, 4));
        let cases = [
            (json!({"reward": {"kind": null}}), "/reward"),
            (
                json!({"when": {"event_type": ["purchase", {"prefx": 1}]}}),
                "/when/event_type/1",
            ),
            (json!({"id": "eleven"}), "/id"),
            (json!([]), ""),
        ];
        for (patch, pointer) in cases {
            let Err(Refusal::Invalid(problems)) = merge(patch.clone()) else {
                panic!("{patch} is taken");
            };
            assert_eq!(problems[0].pointer, pointer, "{patch}");
        }
    }

    #[test]
    fn a_document_beyond_the_limit_is_refused_however_it_came_about() {
        let long = "x".repeat(MAX_DOCUMENT_BYTES);
        let patch = Operation::Merge(json!({"description": long}));
        let refused = decide_on(patch, Precondition::None, &third(&json!({})));
        assert_eq!(refused, Err(Refusal::TooLarge));
    }

    #[test]
    fn a_clock_that_goes_behind_does_not_turn_the_order_of_changes() {
        let mut standing = third(&json!({}));
        standing.changed_at = Some(at(200));
        let plan = written(decide_on(Operation::Delete, Precondition::None, &standing));
        assert_eq!(plan.changed_at, at(200));
        assert_eq!(plan.after, None);
    }
}
