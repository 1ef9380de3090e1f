//! The names of what campaigns count. They stand in changelogs: what they are made of must never change.

use schemas::across::{CampaignLimits, LimitSpan, OnChange, Total, Window};
use schemas::{Campaign, CampaignId, GroupName};
use serde_json::{Value as Json, json};

/// Gives names to what a campaign counts.
pub(super) struct Identities {
    prefix: String,
    given: Vec<u64>,
}

impl Identities {
    pub(super) fn of(campaign: &Campaign) -> Self {
        // Whatever begins all counts anew when it changes.
        let all = match campaign.on_change {
            OnChange::Keep => Json::Null,
            OnChange::Reset => {
                let schedule = &campaign.schedule;
                // A budget that is raised leaves what is counted of customers alone.
                let limits = CampaignLimits {
                    total: Total::default(),
                    ..campaign.limits.clone()
                };
                json!([campaign.when, schedule, campaign.across, limits])
            }
        };
        Self {
            prefix: json!([campaign.id, all]).to_string(),
            given: Vec::new(),
        }
    }

    /// Names of what all campaigns of a group count together.
    pub(super) fn of_group(group: &GroupName) -> Self {
        // No campaign's, which are an array whose first element is a text.
        Self {
            prefix: json!({"group": group}).to_string(),
            given: Vec::new(),
        }
    }

    /// Names of what all customers use up together. Only a person's word begins them anew.
    pub(super) fn of_budgets(campaign: &CampaignId) -> Self {
        Self {
            prefix: json!({"budgets": campaign}).to_string(),
            given: Vec::new(),
        }
    }

    /// The next name, for what is described by that document.
    pub(super) fn next(&mut self, what: &Json) -> u64 {
        let text = format!("{}{what}", self.prefix);
        // Conditions that are the same count apart.
        let numbers = 0_u32..;
        let mut identities = numbers.map(|number| schemas::hash::hash(number, text.as_bytes()));
        let identity = identities.find(|identity| !self.given.contains(identity));
        let identity = identity.unwrap_or_default();
        self.given.push(identity);
        identity
    }
}

pub(super) fn window_name(window: &Window) -> Json {
    match window {
        Window::Sliding(span) => json!(["within", span]),
        Window::Tumbling(span) => json!(["tumbling", span]),
        Window::Calendar(period, zone) => json!(["calendar", period, zone]),
        Window::Session(span) => json!(["session", span]),
        Window::Ever => json!("ever"),
    }
}

pub(super) fn span_name(span: &LimitSpan) -> Json {
    match span {
        LimitSpan::Every(span) => json!(["every", span]),
        LimitSpan::Per(period, zone) => json!(["per", period, zone]),
        LimitSpan::Ever => json!("ever"),
    }
}
