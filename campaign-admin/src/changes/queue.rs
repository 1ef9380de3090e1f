//! The way of a change to the writer's thread, and of its outcome back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use tokio::sync::oneshot;

use super::request::{Change, Outcome, Refusal};
use crate::catalog::ChangeId;

/// Changes that may wait. More of them than a second's work would only wait longer.
const WAITING: usize = 1_000;

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq)]
pub enum Unmade {
    /// It does not fit what is there.
    Refused(Refusal),
    /// It was not made, for there was no time; it may be asked for again.
    Busy,
    /// Nobody knows: it was on its way to the broker when the time was over.
    Unknown,
}

/// A queue of changes, and the end that whoever asks for changes holds.
pub fn queue(patience: Duration) -> (Changes, Queue) {
    let (sender, receiver) = mpsc::sync_channel(WAITING);
    (Changes { sender, patience }, Queue { receiver })
}

/// Takes changes. Used by many requests at once.
#[derive(Debug, Clone)]
pub struct Changes {
    sender: SyncSender<Command>,
    patience: Duration,
}

impl Changes {
    /// Makes a change. Once this has returned its outcome, every replica that reads the topics to their
    /// ends will see it, and this one does.
    ///
    /// # Errors
    /// [`Unmade`] says whether it can have been made.
    pub async fn make(&self, change: Change) -> Result<Outcome, Unmade> {
        let (reply, answer) = oneshot::channel();
        let claim = Claim::default();
        let command = Command {
            id: ChangeId::random(),
            change,
            claim: claim.clone(),
            in_doubt: None,
            reply,
        };
        if self.sender.try_send(command).is_err() {
            return Err(Unmade::Busy);
        }
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(made)) => made,
            // The time is over, or the writer has ended.
            _ if claim.give_up() => Err(Unmade::Busy),
            _ => Err(Unmade::Unknown),
        }
    }
}

/// The writer's end.
#[derive(Debug)]
pub struct Queue {
    receiver: Receiver<Command>,
}

impl Queue {
    /// Waits for changes and returns those that are there, at most `most`. None when there will never be
    /// any: nobody is left to ask for one.
    pub(super) fn wait(&self, most: usize, timeout: Duration) -> Option<Vec<Command>> {
        let mut commands = Vec::new();
        match self.receiver.recv_timeout(timeout) {
            Ok(first) => commands.push(first),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        self.fill(&mut commands, most);
        Some(commands)
    }

    /// Adds changes that are there.
    pub(super) fn fill(&self, commands: &mut Vec<Command>, most: usize) {
        let room = most.saturating_sub(commands.len());
        commands.extend(self.receiver.try_iter().take(room));
    }
}

/// A change on its way.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) id: ChangeId,
    pub(super) change: Change,
    pub(super) claim: Claim,
    /// What came of it if it was committed, which was not answered.
    pub(super) in_doubt: Option<Outcome>,
    reply: oneshot::Sender<Result<Outcome, Unmade>>,
}

impl Command {
    /// Tells whoever asked what came of it.
    pub(super) fn answer(self, made: Result<Outcome, Refusal>) {
        // They may have gone; then nobody wants to know.
        let _ = self.reply.send(made.map_err(Unmade::Refused));
    }
}

/// Settles between whoever waits for a change and the writer whether it may still be made: once given
/// up it is never begun, and once begun it cannot be said that it was not made.
#[derive(Debug, Clone, Default)]
pub(super) struct Claim(Arc<AtomicU8>);

const WAITS: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Claim {
    /// Begins the change, if nobody has given it up.
    pub(super) fn begin(&self) -> bool {
        self.0.fetch_max(BEGUN, Ordering::AcqRel) != GIVEN_UP
    }

    /// Nothing came of it: it waits again.
    pub(super) fn release(&self) {
        // It stays what it is if it is not begun.
        let _ = self.turn(BEGUN, WAITS);
    }

    /// Gives it up, if it has not begun.
    fn give_up(&self) -> bool {
        self.turn(WAITS, GIVEN_UP)
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Operation, Precondition};
    use super::*;

    fn deletion() -> Change {
        Change {
            campaign: schemas::CampaignId::new("ten").unwrap(),
            operation: Operation::Delete,
            precondition: Precondition::None,
            actor: "ada".into(),
            reason: None,
            traceparent: None,
        }
    }

    fn next(queue: &Queue) -> Option<Command> {
        queue.wait(1, Duration::ZERO)?.pop()
    }

    #[tokio::test]
    async fn a_change_that_was_given_up_is_never_begun_and_one_that_was_begun_is_in_doubt() {
        let (changes, queue) = queue(Duration::from_millis(1));
        assert_eq!(changes.make(deletion()).await.unwrap_err(), Unmade::Busy);
        let command = next(&queue).unwrap();
        assert!(!command.claim.begin());

        let making = tokio::spawn({
            let changes = changes.clone();
            async move { changes.make(deletion()).await }
        });
        let command = loop {
            if let Some(command) = next(&queue) {
                break command;
            }
            tokio::task::yield_now().await;
        };
        // Begun, or already given up if this test was held up.
        if command.claim.begin() {
            assert_eq!(making.await.unwrap().unwrap_err(), Unmade::Unknown);
            command.claim.release();
            assert!(command.claim.begin(), "a released one can be begun again");
        }
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        let (changes, _queue) = queue(Duration::ZERO);
        for _ in 0..WAITING {
            assert_eq!(changes.make(deletion()).await.unwrap_err(), Unmade::Busy);
        }
        let patient = Changes {
            patience: Duration::from_hours(1),
            ..changes
        };
        assert_eq!(patient.make(deletion()).await.unwrap_err(), Unmade::Busy);
    }
}
