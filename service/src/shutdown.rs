//! Shutdown: asked for once, heard everywhere, over within a deadline.

use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A request to stop, shared by all parts of a process. Threads ask [`Shutdown::is_requested`] or
/// sleep in [`Shutdown::wait`]; tasks await [`Shutdown::requested`].
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    notify: Notify,
}

#[derive(Default)]
struct State {
    requested: bool,
    failed: bool,
    /// When the process is ended in any case.
    deadline: Option<Instant>,
}

impl Shutdown {
    /// A shutdown that nobody has asked for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it was asked for. Cheap enough to ask before each wait.
    pub fn is_requested(&self) -> bool {
        self.lock().requested
    }

    /// Asks for it. Further requests change nothing.
    pub fn request(&self, reason: &str) {
        let mut state = self.lock();
        if !state.requested {
            tracing::info!(reason, "shutting down");
        }
        state.requested = true;
        drop(state);
        self.0.changed.notify_all();
        self.0.notify.notify_waiters();
    }

    /// Asks for it because a part cannot go on: the process will exit with a failure, so that whoever
    /// runs it starts it afresh.
    pub fn fail(&self, error: &anyhow::Error) {
        tracing::error!(error = format!("{error:#}"), "fatal");
        self.lock().failed = true;
        self.request("a fatal error");
    }

    /// What the process should exit with.
    pub fn exit_code(&self) -> ExitCode {
        if self.lock().failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    /// How long it may take from now on, if a deadline is [enforced](Self::enforce_deadline); nothing before it is asked for.
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.lock().deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits until it is asked for.
    pub async fn requested(&self) {
        let notified = self.0.notify.notified();
        tokio::pin!(notified);
        // Listen before looking, so that a request between the two is not missed.
        notified.as_mut().enable();
        if !self.is_requested() {
            notified.await;
        }
    }

    /// Blocks a thread for that time, or until it is asked for.
    pub fn wait(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut state = self.lock();
        while !state.requested {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self
                .0
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Turns SIGTERM and SIGINT into a request; a second one ends the process at once.
    ///
    /// # Errors
    /// The signals cannot be listened to.
    pub fn listen_for_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if shutdown.is_requested() {
                    tracing::warn!("second signal, exiting at once");
                    std::process::exit(130);
                }
                shutdown.request("signal");
            }
        });
        Ok(())
    }

    /// Ends the process when a requested shutdown takes longer than `deadline`. Closing a Kafka client
    /// can hang while the broker is away (librdkafka issue 4884); nothing is lost by not waiting, for a
    /// kill may come at any time anyhow.
    ///
    /// # Errors
    /// The watching thread cannot be started.
    pub fn enforce_deadline(&self, deadline: Duration) -> std::io::Result<()> {
        let shutdown = self.clone();
        let watch = move || {
            let mut state = shutdown.lock();
            while !state.requested {
                state = shutdown
                    .0
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.deadline = Some(Instant::now() + deadline);
            drop(state);
            std::thread::sleep(deadline);
            tracing::error!(?deadline, "shutdown took too long, exiting without it");
            std::process::exit(1);
        };
        std::thread::Builder::new()
            .name("deadline".to_owned())
            .spawn(watch)?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_wakes_threads_and_stays() {
        let shutdown = Shutdown::new();
        shutdown.wait(Duration::from_millis(1));
        assert!(!shutdown.is_requested());
        let waiting = shutdown.clone();
        let thread = std::thread::spawn(move || waiting.wait(Duration::from_mins(10)));
        shutdown.request("test");
        thread.join().unwrap();
        assert!(shutdown.is_requested());
        shutdown.wait(Duration::from_mins(10));
        assert_eq!(shutdown.exit_code(), ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_request_wakes_tasks_also_when_it_came_before() {
        let shutdown = Shutdown::new();
        let waiting = shutdown.clone();
        let task = tokio::spawn(async move { waiting.requested().await });
        shutdown.fail(&anyhow::anyhow!("broken"));
        task.await.unwrap();
        shutdown.requested().await;
        assert_eq!(shutdown.exit_code(), ExitCode::FAILURE);
    }
}
