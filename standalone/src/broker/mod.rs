//! The embedded broker: franz-go's `kfake` (BSD-3-Clause), a Kafka broker of one node within this
//! process. **For development only**: nothing is replicated, and it calls itself a fake.
//!
//! It keeps the promises that the product rests on (the tests run one table of checks on it and on a
//! real Kafka), but for some that its callers make up for or have to live with:
//!
//! - After a kill in mid-transaction, a transactional id that is used again loses sight of what it
//!   commits afterwards. So each start has a [`Broker::boot_id`] to be added to those ids; as the ids
//!   then fence nobody, the data directory is locked.
//! - It writes the end of a transaction partition by partition, and the consumed offsets last. A kill
//!   in between leaves part of a commit; that takes a few system calls a transaction, so a kill hits it
//!   rarely (in none of 168 that were tried).
//! - Retention takes old records of compacted topics as well, after 7 days by default: those topics must
//!   be made with `retention.ms=-1`.
//! - A group waits for a minute (`max.poll.interval.ms`) for a member that dies while it joins, unless it
//!   comes back under a static name.

mod directory;
mod ffi;

use std::ffi::{CString, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::directory::Locked;

/// Compacting and cutting topics that need neither costs next to nothing.
const CLEANER_INTERVAL: Duration = Duration::from_secs(15);

/// What the embedded broker is set to.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// Its port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Where it keeps its data, which a kill of the process does not hurt; `None` keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// How often topics are compacted and cut to their retention.
    pub cleaner_interval: Duration,
}

impl Default for BrokerSettings {
    /// In memory, on a free port.
    fn default() -> Self {
        Self {
            port: 0,
            data_dir: None,
            cleaner_interval: CLEANER_INTERVAL,
        }
    }
}

/// Why the embedded broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The data directory belongs to another process.
    #[error(
        "the data in {} is in use by process {process}; end it, or choose another place with \
         --data-dir", directory.display()
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// Who uses it.
        process: String,
    },
    /// The data directory cannot be made or locked.
    #[error("the data directory {} cannot be used: {error}", directory.display())]
    Directory {
        /// The data directory.
        directory: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Something else listens there.
    #[error(
        "port {port} is taken; choose another with --broker-port, 0 for any that is free, or use \
         what listens there with --kafka 127.0.0.1:{port}"
    )]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The broker's own reason.
    #[error("the embedded broker cannot start: {0}")]
    Start(String),
}

/// A running embedded broker. Dropping it writes everything to disk and stops it; clients should be
/// gone by then.
#[derive(Debug)]
pub struct Broker {
    handle: c_int,
    port: u16,
    boot_id: String,
    /// Kept until the broker has stopped: fields are dropped after [`Broker::drop`].
    _locked: Option<Locked>,
}

impl Broker {
    /// Starts a broker. It takes some milliseconds, and about half a second for each GB of data.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub fn start(settings: &BrokerSettings) -> Result<Self, BrokerError> {
        let locked = settings.data_dir.as_deref().map(Locked::lock).transpose()?;
        let folder = locked.as_ref().map_or(Path::new(""), Locked::topics);
        let folder = CString::new(folder.as_os_str().as_bytes())
            .map_err(|_| BrokerError::Start("the data directory's name has a NUL".to_owned()))?;
        let cleaner_ms = u32::try_from(settings.cleaner_interval.as_millis()).unwrap_or(u32::MAX);
        let port = settings.port;
        let (handle, port) = ffi::start(port, &folder, cleaner_ms).map_err(|reason| {
            if reason.contains("address already in use") {
                BrokerError::PortTaken { port }
            } else {
                BrokerError::Start(reason)
            }
        })?;
        Ok(Self {
            handle,
            port,
            boot_id: format!("{:016x}", rand::random::<u64>()),
            _locked: locked,
        })
    }

    /// Its address, as host:port.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A word that no other start has; to be part of every transactional id.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        ffi::stop(self.handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_belongs_to_one_broker_until_it_stops() {
        let folder = tempfile::tempdir().unwrap();
        let settings = BrokerSettings {
            data_dir: Some(folder.path().join("new")),
            ..BrokerSettings::default()
        };
        let first = Broker::start(&settings).unwrap();
        let error = Broker::start(&settings).unwrap_err().to_string();
        let process = format!("in use by process {};", std::process::id());
        assert!(error.contains(&process), "{error}");
        let boot_id = first.boot_id().to_owned();
        drop(first);
        assert_ne!(Broker::start(&settings).unwrap().boot_id(), boot_id);
    }

    #[test]
    fn what_cannot_be_started_says_what_to_do() {
        let first = Broker::start(&BrokerSettings::default()).unwrap();
        let port = first.port;
        let same_port = BrokerSettings {
            port,
            ..BrokerSettings::default()
        };
        let error = Broker::start(&same_port).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("port {port} is taken; ")),
            "{error}"
        );

        let file = tempfile::NamedTempFile::new().unwrap();
        let no_folder = BrokerSettings {
            data_dir: Some(file.path().to_owned()),
            ..BrokerSettings::default()
        };
        let error = Broker::start(&no_folder).unwrap_err().to_string();
        assert!(error.contains("cannot be used: "), "{error}");
    }
}
