//! The keys in force: the file's, looked at again and again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::key::{KeyRecord, id_of};
use super::key_file::{KeyFileError, read, read_keys};
use super::metrics::AuthMetrics;
use super::principal::Principal;
use crate::Shutdown;

/// How often the file is looked at. It is small; reading it is cheaper than to trust the times that
/// file systems keep, and sees through the links by which Kubernetes swaps a mounted secret.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyRefusal {
    /// No key of that kind is known: never made, mistyped or revoked.
    Unknown,
    /// Its time is over.
    Expired,
}

/// The keys in force. Shared by all requests, which take no lock.
pub(super) struct Keys {
    path: PathBuf,
    keys: ArcSwap<HashMap<String, Known>>,
}

/// A record with who it stands for.
struct Known {
    record: KeyRecord,
    principal: Principal,
}

impl Keys {
    /// Reads the file.
    pub(super) fn load(path: &Path, metrics: &AuthMetrics) -> Result<Arc<Self>, KeyFileError> {
        let keys = Self {
            path: path.to_owned(),
            keys: ArcSwap::default(),
        };
        let count = keys.take(&read(path)?)?;
        metrics.keys_read(count);
        Ok(Arc::new(keys))
    }

    /// Follows the file until shutdown: a change is in force within seconds; a broken file changes
    /// nothing and is told.
    pub(super) async fn follow(self: Arc<Self>, metrics: AuthMetrics, shutdown: Shutdown) {
        let mut last = read(&self.path).map_err(|error| error.to_string());
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let now = read(&self.path).map_err(|error| error.to_string());
            if now == last {
                continue;
            }
            let taken = match &now {
                Ok(text) => self.take(text).map_err(|error| error.to_string()),
                Err(error) => Err(error.clone()),
            };
            match taken {
                Ok(count) => {
                    tracing::info!(keys = count, "API keys read again");
                    metrics.keys_read(count);
                }
                Err(error) => {
                    tracing::warn!(error, "API keys are kept as they were");
                    metrics.keys_broken();
                }
            }
            last = now;
        }
    }

    /// Puts the keys of a text in force, all or none. Returns how many there are.
    pub(super) fn take(&self, text: &str) -> Result<usize, KeyFileError> {
        let known: HashMap<_, _> = read_keys(text)?
            .into_iter()
            .map(|(id, record)| {
                let name = record.name.clone();
                let principal = Principal::new(format!("key:{id}"), name, record.scopes);
                (id, Known { record, principal })
            })
            .collect();
        let count = known.len();
        self.keys.store(Arc::new(known));
        Ok(count)
    }

    /// Who holds that key.
    pub(super) fn who(&self, key: &str, now: Timestamp) -> Result<Principal, KeyRefusal> {
        let id = id_of(key).ok_or(KeyRefusal::Unknown)?;
        let keys = self.keys.load();
        let known = keys.get(id).ok_or(KeyRefusal::Unknown)?;
        if !known.record.hash.is_of(key) {
            return Err(KeyRefusal::Unknown);
        }
        if known.record.expires_at.is_some_and(|end| end <= now) {
            return Err(KeyRefusal::Expired);
        }
        Ok(known.principal.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{ApiKey, make_key};
    use super::super::scope::{Scope, Scopes};
    use super::*;
    use crate::Metrics;

    fn line(name: &str, expires_at: Option<Timestamp>) -> (ApiKey, String) {
        let scopes = Scopes::of(&[Scope::EventsWrite]);
        let (key, record) = make_key(name, scopes, Timestamp::UNIX_EPOCH, expires_at);
        (key, serde_json::to_string(&record).unwrap() + "\n")
    }

    fn loaded(text: &str) -> Arc<Keys> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let metrics = AuthMetrics::new("test", &Metrics::new("test"));
        Keys::load(file.path(), &metrics).unwrap()
    }

    #[test]
    fn a_key_is_known_until_it_expires_or_is_revoked() {
        let end: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let before: Timestamp = "2026-11-30T23:59:59Z".parse().unwrap();
        let (till, till_line) = line("till", Some(end));
        let (app, app_line) = line("app", None);
        let keys = loaded(&format!("{till_line}{app_line}"));
        let who = keys.who(till.reveal(), before).unwrap();
        assert_eq!(who.name(), "till");
        assert!(who.may(Scope::EventsWrite) && !who.may(Scope::CampaignsWrite));
        assert_eq!(keys.who(till.reveal(), end), Err(KeyRefusal::Expired));

        keys.take(&till_line).unwrap();
        assert_eq!(keys.who(app.reveal(), before), Err(KeyRefusal::Unknown));
        keys.take("broken").unwrap_err();
        assert!(
            keys.who(till.reveal(), before).is_ok(),
            "the last good file"
        );
    }

    #[test]
    fn a_key_with_a_known_id_and_another_secret_is_unknown() {
        let (key, line) = line("till", None);
        let keys = loaded(&line);
        let last = key.reveal().chars().last().unwrap();
        let other = if last == '0' { '1' } else { '0' };
        let forged = key.reveal()[..key.reveal().len() - 1].to_owned() + &other.to_string();
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(keys.who(&forged, now), Err(KeyRefusal::Unknown));
        assert_eq!(keys.who("", now), Err(KeyRefusal::Unknown));
    }
}
