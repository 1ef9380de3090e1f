//! The reference page: what it shows is what happens.

use tests::page::{self, Step};

use crate::installation::Installation;

const PAGE: &str = include_str!("../../../docs/campaignctl.md");

#[test]
fn every_command_of_the_page_does_what_it_shows() {
    let mut installation = Installation::with_default_names();
    let _matcher = installation.start("matcher", &[]);
    let ingest = installation.start("ingest", &[("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")]);
    let address = format!("http://{}", ingest.api());
    let setting = ("CAMPAIGNCTL_INGEST".to_owned(), address);
    installation.settings.push(setting);
    let mut ran = 0;
    for block in page::blocks(PAGE) {
        if let Some(name) = block.file() {
            installation.write(name, &block.text);
        }
        for step in block.steps() {
            run(&installation, &step);
            ran += 1;
        }
    }
    assert!(ran >= 20, "{ran} commands");
}

fn run(installation: &Installation, step: &Step) {
    // Through a shell, as whoever types it; that is what quotes and pipes are for.
    let mut command = std::process::Command::new("sh");
    let ours = installation.command(&[]);
    for (name, value) in ours.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let folder = tests::process::binary("campaignctl");
    let folder = folder.parent().expect("a program is in a folder").display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let output = command
        .args(["-c", &step.command])
        .env("PATH", path)
        .current_dir(installation.folder.path())
        .output()
        .expect("sh can be run");
    let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    step.check(&shown, output.status.code());
}
