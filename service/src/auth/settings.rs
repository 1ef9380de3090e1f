//! The settings of access.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Who may use the API.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Access")]
pub struct AuthSettings {
    /// Whether credentials are asked for
    #[arg(long = "auth", env = "AUTH", default_value = "required")]
    pub mode: AuthMode,

    /// File of the API keys, a record of JSON a line; changes are in force within seconds
    #[arg(long, env = "API_KEYS_FILE")]
    pub api_keys_file: Option<PathBuf>,

    /// Issuer of bearer tokens, an OIDC provider's address as its tokens' iss says it; its keys are
    /// found through ISSUER/.well-known/openid-configuration
    #[arg(long, env = "OIDC_ISSUER", requires = "oidc_audience")]
    pub oidc_issuer: Option<String>,

    /// What the tokens' aud must name
    #[arg(long, env = "OIDC_AUDIENCE", requires = "oidc_issuer")]
    pub oidc_audience: Option<String>,

    /// Requests that a key or a token's subject may make a second; for ingest, events [default: no
    /// limit]
    #[arg(long, env = "RATE_LIMIT_PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate_limit_per_second: Option<u32>,

    /// How many may come at once [default: those of a second]
    #[arg(long, env = "RATE_LIMIT_BURST", requires = "rate_limit_per_second", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate_limit_burst: Option<u32>,
}

/// Whether credentials are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// Every request needs an API key or a token.
    Required,
    /// Everybody may do everything: for trying out, or behind something that checks.
    None,
}
