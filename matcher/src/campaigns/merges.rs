//! Merges of the rules' indexes, on a thread of their own, so that a change never waits for one.

use std::panic;
use std::thread::{Builder, JoinHandle};

use rules::live::Merged;

use super::Catalog;

/// At most one merge at a time.
#[derive(Default)]
pub(super) struct Merges(Option<JoinHandle<Merged>>);

impl Merges {
    /// Takes in what was finished and begins what is due. Says whether something was taken in: the next rule
    /// set is then quicker than the one in force.
    pub(super) fn tend(&mut self, catalog: &mut Catalog) -> bool {
        let finished = self.0.take_if(|thread| thread.is_finished());
        let has_finished = finished.is_some();
        if let Some(thread) = finished {
            let merged = thread.join();
            catalog.adopt(merged.unwrap_or_else(|cause| panic::resume_unwind(cause)));
        }
        if self.0.is_none()
            && let Some(merge) = catalog.merge_due()
        {
            let work = merge.clone();
            match Builder::new()
                .name("merge".into())
                .spawn(move || work.run())
            {
                Ok(thread) => self.0 = Some(thread),
                Err(error) => {
                    tracing::warn!(%error, "no thread for a merge of indexes; changes wait for it");
                    catalog.adopt(merge.run());
                    return true;
                }
            }
        }
        has_finished
    }
}
