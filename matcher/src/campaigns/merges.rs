//! Merges of the rules' indexes, on a thread of their own, so that a change never waits for one.

use std::panic;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};

use rules::live::Merged;

use super::Catalog;

/// At most one merge at a time.
#[derive(Default)]
pub(super) struct Merges(Option<Running>);

/// A merge, and the thread that does it. It is not waited for: a thread that has sent its result still takes some time to
/// end.
struct Running {
    merged: Receiver<Merged>,
    thread: JoinHandle<()>,
}

impl Merges {
    /// Takes in what was finished and begins what is due. Says whether something was taken in: the next rule
    /// set is then quicker than the one in force.
    pub(super) fn tend(&mut self, catalog: &mut Catalog) -> bool {
        let has_finished = self.take_in(catalog);
        if self.0.is_none()
            && let Some(merge) = catalog.merge_due()
        {
            let work = merge.clone();
            let (done, merged) = sync_channel(1);
            let thread = Builder::new().name("merge".into()).spawn(move || {
                // Nobody waits for it any more when the matcher ends.
                let _ = done.send(work.run());
            });
            match thread {
                Ok(thread) => self.0 = Some(Running { merged, thread }),
                Err(error) => {
                    tracing::warn!(%error, "no thread for a merge of indexes; changes wait for it");
                    catalog.adopt(merge.run());
                    return true;
                }
            }
        }
        has_finished
    }

    fn take_in(&mut self, catalog: &mut Catalog) -> bool {
        let Some(running) = self.0.take() else {
            return false;
        };
        match running.merged.try_recv() {
            Ok(merged) => {
                catalog.adopt(merged);
                true
            }
            Err(TryRecvError::Empty) => {
                self.0 = Some(running);
                false
            }
            Err(TryRecvError::Disconnected) => match running.thread.join() {
                Err(cause) => panic::resume_unwind(cause),
                Ok(()) => unreachable!("it ends when it has sent what it made"),
            },
        }
    }
}
