//! Where settings come from, and what is said when they lead nowhere.

use crate::installation::{run, shared, text};

#[test]
fn a_context_is_chosen_by_its_name_and_comes_before_the_environment_when_it_is_named() {
    let installation = shared();
    let server = installation
        .settings
        .iter()
        .find(|(name, _)| name == "CAMPAIGNCTL_SERVER")
        .map(|(_, server)| server.clone())
        .unwrap();
    let file = installation.write(
        "contexts.yaml",
        &format!(
            "current: away\ncontexts:\n  away: {{server: 'http://127.0.0.1:1'}}\n  here: {{server: '{server}'}}\n"
        ),
    );
    let with_file = |arguments: &[&str]| {
        let mut command = installation.command(arguments);
        command.env("CAMPAIGNCTL_CONFIG", text(&file));
        command
    };
    let without_environment = |arguments: &[&str]| {
        let mut command = with_file(arguments);
        command.env_remove("CAMPAIGNCTL_SERVER");
        run(command)
    };
    let away = without_environment(&["get"]).exits(3);
    assert!(
        away.err.contains(
            "http://127.0.0.1:1 does not answer: Connection refused (os error 111); set --server, \
             CAMPAIGNCTL_SERVER or the context (now the context \"away\")"
        ),
        "{}",
        away.err
    );
    without_environment(&["get", "--context", "here"]).exits(0);
    // The environment has the right server; the current context gives way, a named one does not.
    run(with_file(&["get"])).exits(0);
    run(with_file(&["get", "--context", "away"])).exits(3);
    run(with_file(&["get", "--context", "nowhere"])).exits(2);

    without_environment(&["config", "use", "here"]).exits(0);
    without_environment(&["get"]).exits(0);
    let listed = without_environment(&["config", "contexts", "-o", "json"])
        .exits(0)
        .json();
    assert_eq!(listed["contexts"][1]["current"], true, "{listed}");
    let view = without_environment(&["config", "view", "-o", "json"])
        .exits(0)
        .json();
    let settings = view["settings"].as_array().unwrap();
    let find = |name: &str| settings.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(find("server")["value"], *server);
    assert_eq!(find("bootstrap-servers")["from"], "environment");
}

#[test]
fn who_is_not_let_in_is_told_what_to_set() {
    let installation = shared();
    let keys = installation.write("keys.jsonl", "");
    let admin = installation.start(
        "campaign-admin",
        &[
            ("AUTH", "required"),
            ("HTTP_ADDR", "127.0.0.1:0"),
            ("API_KEYS_FILE", text(&keys)),
        ],
    );
    let ask = |token: Option<&str>| {
        let mut command = installation.command(&["get"]);
        command.env("CAMPAIGNCTL_SERVER", format!("http://{}", admin.api()));
        if let Some(token) = token {
            command.env("CAMPAIGNCTL_TOKEN", token);
        }
        run(command)
    };
    for token in [None, Some("cm_wrong")] {
        let ran = ask(token).exits(3);
        assert!(
            ran.err
                .contains("set CAMPAIGNCTL_TOKEN, --token-file or the context"),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains("cm_wrong"), "{}", ran.err);
    }
}

#[test]
fn shells_complete_the_commands() {
    let installation = shared();
    for shell in ["bash", "zsh", "fish"] {
        let ran = installation.ctl(&["completion", shell]).exits(0);
        assert!(ran.out.contains("dead-letters"), "{shell}");
    }
    let help = installation.ctl(&["--help"]).exits(0);
    assert!(
        help.out.contains("Exit codes: 0 done; 1 the answer is no"),
        "{}",
        help.out
    );
    installation.ctl(&["aply"]).exits(2);
}
