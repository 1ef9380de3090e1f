//! How far a file was loaded, kept beside it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::output::{WARN, note, styled};

/// What is loaded, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) audience: String,
    pub(super) server: String,
    /// The SHA-256 of the file.
    pub(super) file: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    begun: Begun,
    /// Bytes of the file whose customers the server has acknowledged.
    bytes: u64,
    customers: u64,
}

/// How far a file was loaded.
pub(super) struct Loaded {
    place: Option<PathBuf>,
    kept: Kept,
}

impl Loaded {
    /// Of a file: as far as is said beside it, if that is about the same.
    pub(super) fn of(file: &Path, begun: Begun) -> Self {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let place = file.with_file_name(format!("{name}.{}.loading", begun.audience));
        let before = fs::read(&place).ok();
        let before = before.and_then(|json| serde_json::from_slice::<Kept>(&json).ok());
        let before = before.filter(|kept| kept.begun == begun);
        Self {
            place: Some(place),
            kept: before.unwrap_or(Kept {
                begun,
                bytes: 0,
                customers: 0,
            }),
        }
    }

    /// Of what cannot be read again.
    pub(super) fn nothing() -> Self {
        let none = String::new;
        Self {
            place: None,
            kept: Kept {
                begun: Begun {
                    audience: none(),
                    server: none(),
                    file: none(),
                },
                bytes: 0,
                customers: 0,
            },
        }
    }

    /// Bytes of the file that are done.
    pub(super) fn bytes(&self) -> u64 {
        self.kept.bytes
    }

    /// Customers that are done.
    pub(super) fn customers(&self) -> u64 {
        self.kept.customers
    }

    /// Whether it is known after an interruption.
    pub(super) fn is_kept(&self) -> bool {
        self.place.is_some() && self.kept.customers > 0
    }

    /// The server has acknowledged more customers, up to there in the file.
    pub(super) fn add(&mut self, customers: u64, bytes: u64) {
        self.kept.customers += customers;
        self.kept.bytes = bytes;
        let Some(place) = &self.place else { return };
        // A half of it must not be taken for it.
        let next = place.with_extension("loading-next");
        let written = serde_json::to_vec(&self.kept).map_err(std::io::Error::from);
        let written = written.and_then(|json| fs::write(&next, json));
        if let Err(error) = written.and_then(|()| fs::rename(&next, place)) {
            let place = place.display();
            note(styled(
                WARN,
                format_args!(
                    "{place} cannot be written ({error}); after an interruption all is loaded again"
                ),
            ));
            self.place = None;
        }
    }

    /// All is loaded.
    pub(super) fn done(self) {
        if let Some(place) = self.place {
            // It may never have been written.
            let _ = fs::remove_file(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_with_the_same_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vip.txt");
        let begun = |digest: &str| Begun {
            audience: "vip".to_owned(),
            server: "http://localhost".to_owned(),
            file: digest.to_owned(),
        };
        let mut loaded = Loaded::of(&file, begun("a"));
        assert!(!loaded.is_kept());
        loaded.add(3, 12);
        let again = Loaded::of(&file, begun("a"));
        assert_eq!((again.customers(), again.bytes()), (3, 12));
        assert_eq!(Loaded::of(&file, begun("b")).customers(), 0, "another file");
        again.done();
        assert_eq!(Loaded::of(&file, begun("a")).customers(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
