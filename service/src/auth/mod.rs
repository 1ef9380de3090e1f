//! Who may do what: API keys with scopes, bearer tokens of an OIDC provider, and how often.
//!
//! On unless it is turned off by `--auth none`. A program protects its routes by a [`Scope`] each;
//! handlers take the [`Principal`] as an argument.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use service::auth::{Auth, AuthSettings, Principal, Scope};
//! use service::{Metrics, Shutdown};
//!
//! # async fn run(settings: AuthSettings, metrics: Metrics, shutdown: Shutdown) -> anyhow::Result<()> {
//! let auth = Auth::start(&settings, "campaign_admin", &metrics, &shutdown).await?;
//! let list = get(async |who: Principal| format!("hello, {}", who.name()));
//! let routes: Router =
//!     Router::new().route("/v1/campaigns", auth.protect(Scope::CampaignsRead, list));
//! # Ok(())
//! # }
//! ```

pub mod key;
pub mod settings;

mod gate;
mod key_file;
mod keys;
mod metrics;
mod oidc;
mod principal;
mod rate;
mod scope;

pub use self::gate::Auth;
pub use self::key::{ApiKey, KeyRecord, make_key};
pub use self::key_file::{KeyFileError, read_keys};
pub use self::principal::Principal;
pub use self::scope::{Scope, Scopes};
pub use self::settings::{AuthMode, AuthSettings};
