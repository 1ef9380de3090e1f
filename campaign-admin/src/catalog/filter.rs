//! Which campaigns a list shows.

use schemas::{Campaign, Status};

/// What campaigns must have to be listed; the default takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these, if there are any.
    pub statuses: Vec<Status>,
    /// Each of these labels, with that value or with any.
    pub labels: Vec<(String, Option<String>)>,
    /// This text, in lower case, in the id, the name or the description.
    pub text: Option<String>,
}

impl Filter {
    /// Whether the campaign has all that.
    pub fn takes(&self, campaign: &Campaign) -> bool {
        self.takes_status(campaign.status)
            && self.labels.iter().all(|label| has(campaign, label))
            && self.text.as_ref().is_none_or(|text| says(campaign, text))
    }

    fn takes_status(&self, status: Status) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }
}

fn has(campaign: &Campaign, (name, value): &(String, Option<String>)) -> bool {
    let found = campaign.labels.get(name);
    found.is_some_and(|found| value.as_ref().is_none_or(|value| found == value))
}

fn says(campaign: &Campaign, text: &str) -> bool {
    let fields = [campaign.id.as_str(), &campaign.name, &campaign.description];
    fields
        .iter()
        .any(|field| field.to_lowercase().contains(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_campaign_is_listed_that_has_all_that_is_asked_for() {
        let campaign: Campaign = serde_json::from_value(json!({
            "id": "ten", "name": "Über 50", "status": "paused", "when": {"event_type": ["purchase"]},
            "reward": {"kind": "custom"}, "labels": {"team": "growth"},
        }))
        .unwrap();
        let label = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let takes =
            |statuses: &[Status], labels: &[(String, Option<String>)], text: Option<&str>| {
                Filter {
                    statuses: statuses.to_vec(),
                    labels: labels.to_vec(),
                    text: text.map(str::to_owned),
                }
                .takes(&campaign)
            };
        assert!(takes(&[], &[], None));
        assert!(takes(&[Status::Draft, Status::Paused], &[], None));
        assert!(!takes(&[Status::Draft], &[], None));
        assert!(takes(
            &[],
            &[label("team", None), label("team", Some("growth"))],
            None
        ));
        assert!(!takes(&[], &[label("team", Some("other"))], None));
        assert!(!takes(&[], &[label("region", None)], None));
        assert!(takes(&[], &[], Some("über")));
        assert!(takes(
            &[Status::Paused],
            &[label("team", None)],
            Some("ten")
        ));
        assert!(!takes(&[], &[], Some("twenty")));
    }
}
