//! Where the servers are, and as whom they are spoken to.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use reqwest::Url;
use service::settings::Secret;

use super::super::exit::Failure;
use super::{Api, TIMEOUT};

/// Where the server is, and as whom it is spoken to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerSettings {
    /// Address of campaign-admin
    #[arg(
        long,
        env = "CAMPAIGNCTL_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        global = true
    )]
    pub(crate) server: String,

    /// Address of ingest
    #[arg(
        long,
        env = "CAMPAIGNCTL_INGEST",
        default_value = "http://127.0.0.1:8081",
        value_name = "URL",
        global = true
    )]
    pub(crate) ingest: String,

    /// API key (cm_…) or bearer token; better given by the environment or a file than by a flag
    #[arg(long, env = "CAMPAIGNCTL_TOKEN", hide_env_values = true, global = true)]
    token: Option<Secret>,

    /// File with the API key or token
    #[arg(
        long,
        env = "CAMPAIGNCTL_TOKEN_FILE",
        value_name = "FILE",
        global = true
    )]
    token_file: Option<PathBuf>,
}

impl ServerSettings {
    /// A client of campaign-admin.
    pub(crate) fn api(&self, context: Option<&str>) -> anyhow::Result<Api> {
        self.client(&self.server, "--server", context)
    }

    /// A client of ingest.
    pub(crate) fn ingest(&self, context: Option<&str>) -> anyhow::Result<Api> {
        self.client(&self.ingest, "--ingest", context)
    }

    fn client(
        &self,
        address: &str,
        flag: &'static str,
        context: Option<&str>,
    ) -> anyhow::Result<Api> {
        let base = Url::parse(address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.with_context(|| {
            format!("{address:?} is no address; write {flag} as https://campaigns.example.com")
        });
        Ok(Api {
            http: service::http::client::client(TIMEOUT)?,
            base: base.map_err(Failure::usage)?,
            flag,
            token: self.secret()?,
            context: context.map(str::to_owned),
        })
    }

    fn secret(&self) -> anyhow::Result<Option<Secret>> {
        let Some(file) = &self.token_file else {
            return Ok(self.token.clone());
        };
        let home = std::env::var_os("HOME");
        let path = match (file.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => file.clone(),
        };
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the token file {} cannot be read", path.display()))
            .map_err(Failure::usage)?;
        Ok(text.trim().parse().ok())
    }
}
