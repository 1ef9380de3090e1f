//! The client by which services ask others over HTTP, such as a provider of tokens.

use std::time::Duration;

use reqwest::redirect::Policy;

/// Longest time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A client that follows no redirects, for the addresses that are asked come from settings and nobody
/// else may send us elsewhere. TLS is rustls on ring, with the authorities that the system trusts
/// (`SSL_CERT_FILE` names others).
///
/// # Errors
/// The system's authorities cannot be read.
pub fn client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    builder().timeout(timeout).build()
}

/// What such a client is made of, for libraries that make their own.
pub fn builder() -> reqwest::ClientBuilder {
    // The first in the process wins; whoever was first chose one that works.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("campaign-manager/", env!("CARGO_PKG_VERSION")))
}
