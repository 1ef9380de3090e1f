//! Whether the campaigns' API answers.

use super::Check;
use crate::ctl::api::Api;

/// Asks for one campaign.
pub(super) async fn look(api: &Api) -> Check {
    let what = format!("campaign-admin at {}", api.address());
    match api.probe().await {
        Ok(()) => Check::good(what, "answers, and the credentials may read campaigns"),
        Err(error) => Check::bad(what, format!("{error:#}")),
    }
}
