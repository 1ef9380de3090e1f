//! Merges of the rules' indexes, on a thread of their own, so that a change never waits for one.

use std::panic;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};

use rules::live::Merged;

use super::Catalog;

/// At most one merge at a time.
pub(super) struct Merges {
    running: Option<Running>,
    give_back: fn(),
}

/// A merge, and the thread that does it. It is not waited for: a thread that has sent its result still takes some time to
/// end.
struct Running {
    merged: Receiver<Merged>,
    thread: JoinHandle<()>,
}

impl Merges {
    /// None so far. What a merge frees is given back to the system with `give_back`, on its thread.
    pub(super) fn new(give_back: fn()) -> Self {
        Self {
            running: None,
            give_back,
        }
    }

    /// Takes in what was finished and begins what is due. Says whether something was taken in: the next rule
    /// set is then quicker than the one in force.
    pub(super) fn tend(&mut self, catalog: &mut Catalog) -> bool {
        let has_finished = self.take_in(catalog);
        if self.running.is_none()
            && let Some(merge) = catalog.merge_due()
        {
            let work = merge.clone();
            let (done, merged) = sync_channel(1);
            let give_back = self.give_back;
            let thread = Builder::new().name("merge".into()).spawn(move || {
                let merged = work.run();
                give_back();
                // Nobody waits for it any more when the matcher ends.
                let _ = done.send(merged);
            });
            match thread {
                Ok(thread) => self.running = Some(Running { merged, thread }),
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
        let Some(running) = self.running.take() else {
            return false;
        };
        match running.merged.try_recv() {
            Ok(merged) => {
                catalog.adopt(merged);
                true
            }
            Err(TryRecvError::Empty) => {
                self.running = Some(running);
                false
            }
            Err(TryRecvError::Disconnected) => match running.thread.join() {
                Err(cause) => panic::resume_unwind(cause),
                Ok(()) => unreachable!("it ends when it has sent what it made"),
            },
        }
    }
}
