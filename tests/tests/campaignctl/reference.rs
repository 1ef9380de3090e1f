//! The reference page: what it shows is what happens.

use std::time::Duration;

use tests::process::Process;
use tests::shell::Shell;
use tests::wait;

use crate::installation::Installation;

const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn every_command_of_the_page_does_what_it_shows() {
    let installation = Installation::with_default_names();
    let matcher = installation.start("matcher", &[]);
    let ingest = installation.start("ingest", &[("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")]);
    let address = format!("http://{}", ingest.api());
    let mut settings = installation.settings.clone();
    settings.push(("CAMPAIGNCTL_INGEST".to_owned(), address));
    let mut shell = Shell::start(installation.folder.path(), &settings);
    for block in tests::blocks!("docs/campaignctl.md") {
        if block.text.contains("campaignctl send") {
            wait_in_force(&installation, &matcher);
        }
        shell.follow(&block);
    }
}

/// Waits until the matcher has read what the page has applied so far.
fn wait_in_force(installation: &Installation, matcher: &Process) {
    let campaigns = installation.kafka.read_all("campaigns");
    let last = campaigns.iter().map(|record| record.offset).max();
    #[expect(clippy::cast_precision_loss, reason = "a handful of campaigns")]
    let last = last.expect("campaigns") as f64;
    wait::until("the campaigns to be in force", PATIENCE, || {
        (matcher.metric("matcher_campaigns_offset")? > last).then_some(())
    });
}
