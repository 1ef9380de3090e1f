//! What a restore does to one campaign, given what the backup has of it and what is there. Pure.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;
use schemas::{Campaign, CampaignChange, CampaignId, ChangeAction};

use super::file::{KeptCampaign, KeptChange, Read};
use crate::catalog::{Change, ChangeId, Standing};

/// What a backup has of one campaign.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Kept {
    /// Oldest first.
    pub(super) changes: Vec<KeptChange>,
    /// None if it was gone.
    pub(super) campaign: Option<KeptCampaign>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// It is so already.
    Nothing,
    /// These records of the history, by their places in the backup, and then the document as it was, or that
    /// it is gone.
    AsItWas { changes: Vec<usize>, document: bool },
    /// Something happened here that the backup does not know. A further change can put its document in
    /// force again, in this version.
    Newer { next: u64 },
}

/// What the backup has, by campaign; with a time, as it was then.
pub(super) fn by_campaign(
    read: Read,
    at: Option<Timestamp>,
) -> anyhow::Result<BTreeMap<CampaignId, Kept>> {
    let mut all = BTreeMap::<CampaignId, Kept>::new();
    for change in read.changes {
        let kept = all.entry(change.change.campaign_id.clone()).or_default();
        kept.changes.push(change);
    }
    for campaign in read.campaigns {
        let kept = all.entry(campaign.campaign.id.clone()).or_default();
        kept.campaign = Some(campaign);
    }
    let Some(at) = at else { return Ok(all) };
    let taken_at = read.header.taken_at;
    anyhow::ensure!(
        at <= taken_at,
        "the backup was taken at {taken_at} and knows nothing of {at}"
    );
    Ok(all
        .into_iter()
        .map(|(id, kept)| (id, kept.at(at)))
        .collect())
}

impl Kept {
    /// As it was at that time: by the last change until then, or by a document that others wrote behind it.
    fn at(mut self, time: Timestamp) -> Self {
        self.changes
            .retain(|change| change.change.changed_at <= time);
        let foreign =
            |campaign: &KeptCampaign| campaign.change_id.is_none() && campaign.written_at <= time;
        if !self.campaign.as_ref().is_some_and(foreign) {
            self.campaign = self.changes.last().and_then(KeptChange::document);
        }
        self
    }

    fn highest(&self) -> u64 {
        let of_changes = self.changes.iter().flat_map(|change| {
            let change = &change.change;
            [change.before.as_deref(), change.after.as_deref()]
        });
        let of_campaign = self.campaign.as_ref().map(|campaign| &campaign.campaign);
        let all = of_changes.chain([of_campaign]).flatten();
        all.map(|campaign| campaign.version).max().unwrap_or(0)
    }
}

impl KeptChange {
    /// The document that it put in force.
    fn document(&self) -> Option<KeptCampaign> {
        let after = self.change.after.as_deref()?;
        Some(KeptCampaign {
            campaign: after.clone(),
            written_at: self.change.changed_at,
            change_id: self.change_id.clone(),
        })
    }

    pub(super) fn id(&self) -> Option<ChangeId> {
        self.change_id.as_ref()?.parse().ok()
    }

    fn is(&self, here: &Change) -> bool {
        match (self.id(), here.id) {
            (Some(id), Some(here)) => id == here,
            (None, None) => {
                let change = &self.change;
                let version = |campaign: &Option<Box<Campaign>>| {
                    campaign.as_deref().map(|campaign| campaign.version)
                };
                (change.action, change.changed_at) == (here.action, here.changed_at)
                    && version(&change.after) == here.after
            }
            _ => false,
        }
    }
}

/// Decides what to do with a campaign of which `here` are the changes.
pub(super) fn plan(kept: &Kept, standing: &Standing, here: &[Change]) -> anyhow::Result<Step> {
    let current = standing.current.as_deref();
    let same = match (&kept.campaign, current) {
        (None, None) => true,
        (Some(kept), Some(current)) => is_same(&kept.campaign, &current.campaign),
        _ => false,
    };
    let is_known = |change: &Change| kept.changes.iter().any(|kept| kept.is(change));
    let all_known = here.iter().all(is_known);
    let missing: Vec<usize> = (kept.changes.iter().enumerate())
        .filter(|(_, kept)| !here.iter().any(|change| kept.is(change)))
        .map(|(at, _)| at)
        .collect();
    // Nothing of what is here came after what the backup has.
    let is_behind = all_known
        && match (current, here.last()) {
            (None, None) => standing.highest == 0,
            (None, Some(last)) => last.action == ChangeAction::Deleted,
            // What others wrote is newer than any change it may have replaced.
            (Some(current), _) => current.change.is_some(),
        };
    if same && (missing.is_empty() || !all_known) {
        return Ok(Step::Nothing);
    }
    if same || is_behind {
        return Ok(Step::AsItWas {
            changes: missing,
            document: !same,
        });
    }
    let highest = standing.highest.max(kept.highest());
    let next = highest.checked_add(1).context("there is no version left")?;
    Ok(Step::Newer { next })
}

/// The change that puts the backup's document in force again.
pub(super) fn again(
    id: &CampaignId,
    kept: &Kept,
    standing: &Standing,
    (next, actor, reason, now): (u64, &str, &str, Timestamp),
) -> CampaignChange {
    let before = standing.current.as_deref();
    let after = kept.campaign.as_ref().map(|kept| {
        let mut campaign = kept.campaign.clone();
        campaign.version = next;
        campaign
    });
    let action = match (before, &after) {
        (_, None) => ChangeAction::Deleted,
        (None, Some(_)) => ChangeAction::Created,
        (Some(_), Some(_)) => ChangeAction::Updated,
    };
    CampaignChange {
        campaign_id: id.clone(),
        action,
        actor: actor.to_owned(),
        changed_at: standing.changed_at.map_or(now, |before| before.max(now)),
        reason: Some(reason.to_owned()),
        before: before.map(|current| Box::new(current.campaign.clone())),
        after: after.map(Box::new),
    }
}

/// Whether they say the same; versions count who said it.
fn is_same(one: &Campaign, other: &Campaign) -> bool {
    let mut one = one.clone();
    one.version = other.version;
    one == *other
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::file::Header;
    use super::*;
    use crate::catalog::Current;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn campaign(version: u64) -> Campaign {
        let document = json!({
            "id": "ten", "version": version, "name": format!("Ten, {version}"),
            "when": {"event_type": ["purchase"]}, "reward": {"kind": "custom"},
        });
        Campaign::from_json(document.to_string().as_bytes()).unwrap()
    }

    fn id(number: u64) -> String {
        format!("{number:032x}")
    }

    /// The change that made that version, at that second; 0 deletes.
    fn change(number: u64, version: u64) -> KeptChange {
        let after = (version > 0).then(|| Box::new(campaign(version)));
        let action = match (number, version) {
            (_, 0) => ChangeAction::Deleted,
            (1, _) => ChangeAction::Created,
            _ => ChangeAction::Updated,
        };
        KeptChange {
            change: CampaignChange {
                campaign_id: campaign(1).id,
                action,
                actor: "ada".to_owned(),
                changed_at: at(i64::try_from(number).unwrap()),
                reason: None,
                before: None,
                after,
            },
            change_id: Some(id(number)),
            traceparent: None,
        }
    }

    /// A history, and its end.
    fn kept(versions: &[u64]) -> Kept {
        let changes: Vec<_> = (1..)
            .zip(versions)
            .map(|(number, version)| change(number, *version))
            .collect();
        Kept {
            campaign: changes.last().and_then(KeptChange::document),
            changes,
        }
    }

    /// The same on the topics.
    fn here(kept: &Kept) -> (Standing, Vec<Change>) {
        let version =
            |campaign: &Option<Box<Campaign>>| campaign.as_deref().map(|campaign| campaign.version);
        let changes: Vec<_> = (kept.changes.iter())
            .map(|kept| Change {
                id: kept.id(),
                offset: 0,
                action: kept.change.action,
                actor: "ada".into(),
                changed_at: kept.change.changed_at,
                reason: None,
                before: version(&kept.change.before),
                after: version(&kept.change.after),
            })
            .collect();
        let current = kept.campaign.as_ref().map(|kept| {
            Arc::new(Current {
                campaign: kept.campaign.clone(),
                offset: 0,
                written_at: kept.written_at,
                change: kept.change_id.as_ref().map(|id| id.parse().unwrap()),
            })
        });
        let standing = Standing {
            current,
            highest: kept.highest(),
            changed_at: kept.changes.last().map(|kept| kept.change.changed_at),
        };
        (standing, changes)
    }

    fn step(backup: &Kept, there: &Kept) -> Step {
        let (standing, changes) = here(there);
        plan(backup, &standing, &changes).unwrap()
    }

    #[test]
    fn what_is_behind_the_backup_is_brought_on_and_what_is_newer_is_told() {
        let as_it_was = |changes: &[usize]| Step::AsItWas {
            changes: changes.to_vec(),
            document: true,
        };
        let cases: [(&[u64], &[u64], Step); 9] = [
            (&[1, 2], &[], as_it_was(&[0, 1])),
            (&[1, 2], &[1, 2], Step::Nothing),
            (&[1, 2, 3], &[1], as_it_was(&[1, 2])),
            (&[1, 0, 2], &[1, 0], as_it_was(&[2])),
            (&[1, 0], &[1], as_it_was(&[1])),
            (&[1, 0], &[1, 0], Step::Nothing),
            (&[1], &[1, 2], Step::Newer { next: 3 }),
            (&[1, 2], &[1, 2, 0], Step::Newer { next: 3 }),
            (&[1, 0], &[1, 0, 2], Step::Newer { next: 3 }),
        ];
        for (backup, there, expected) in cases {
            let found = step(&kept(backup), &kept(there));
            assert_eq!(found, expected, "{backup:?} onto {there:?}");
        }
        // Gone by both: the history alone comes back.
        let history = Step::AsItWas {
            changes: vec![0, 1],
            document: false,
        };
        assert_eq!(step(&kept(&[1, 0]), &Kept::default()), history);
    }

    #[test]
    fn what_others_wrote_to_the_topic_is_newer_unless_it_says_the_same() {
        let mut foreign = kept(&[1, 2]);
        foreign.campaign.as_mut().unwrap().change_id = None;
        assert_eq!(step(&kept(&[1, 2]), &foreign), Step::Nothing);
        foreign.campaign.as_mut().unwrap().campaign.name = "Theirs".to_owned();
        assert_eq!(step(&kept(&[1, 2]), &foreign), Step::Newer { next: 3 });
        // A tombstone of theirs.
        foreign.campaign = None;
        assert_eq!(step(&kept(&[1, 2]), &foreign), Step::Newer { next: 3 });
    }

    #[test]
    fn a_document_comes_back_in_a_version_that_nothing_had() {
        let (backup, there) = (kept(&[1]), kept(&[1, 2]));
        let (standing, _) = here(&there);
        let change = again(
            &campaign(1).id,
            &backup,
            &standing,
            (3, "eve", "undone", at(1)),
        );
        let after = change.after.as_deref().unwrap();
        assert_eq!((after.version, &*after.name), (3, "Ten, 1"));
        assert_eq!(change.action, ChangeAction::Updated);
        assert_eq!(change.changed_at, at(2), "not before the last change");
        // Once that is done there is nothing to do.
        let mut done = there;
        done.campaign.as_mut().unwrap().campaign = after.clone();
        assert_eq!(step(&backup, &done), Step::Nothing);
    }

    #[test]
    fn a_campaign_is_as_it_was_at_a_time() {
        let read = |campaign: Option<KeptCampaign>| Read {
            header: Header::new(at(100)),
            changes: kept(&[1, 2, 0, 3]).changes,
            campaigns: campaign.into_iter().collect(),
        };
        let version = |campaign, time| {
            let all = by_campaign(read(campaign), Some(at(time))).unwrap();
            let kept = &all[&super::tests::campaign(1).id];
            let campaign = kept.campaign.as_ref();
            campaign.map(|kept| kept.campaign.version)
        };
        let last = kept(&[1, 2, 0, 3]).campaign;
        let found = [0, 1, 2, 3, 4, 99].map(|time| version(last.clone(), time));
        assert_eq!(found, [None, Some(1), Some(2), None, Some(3), Some(3)]);
        let theirs = KeptCampaign {
            campaign: campaign(7),
            written_at: at(50),
            change_id: None,
        };
        assert_eq!(version(Some(theirs.clone()), 49), Some(3));
        assert_eq!(version(Some(theirs), 50), Some(7));
        let error = by_campaign(read(None), Some(at(101))).unwrap_err();
        assert!(error.to_string().contains("knows nothing"), "{error}");
    }
}
