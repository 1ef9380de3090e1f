//! How commands end: the exit codes, which scripts rely on.

use std::fmt;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked, or there was nothing to do.
    Done = 0,
    /// It has an answer, and the answer is no: there are differences, a document is wrong, a check failed,
    /// or what was asked for is not there.
    No = 1,
    /// Arguments, settings or files cannot be understood; nothing was done.
    Usage = 2,
    /// It could not be done: a server was away or refused.
    Failed = 3,
    /// Somebody else changed the same campaign meanwhile.
    Conflict = 4,
}

impl Exit {
    /// No, unless it is true.
    pub(crate) fn yes_or_no(yes: bool) -> Self {
        if yes { Self::Done } else { Self::No }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with the exit code that it ends in.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code.
    pub(crate) exit: Exit,
    error: anyhow::Error,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl Failure {
    /// What the user must change before anything can be done.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> anyhow::Error {
        Self::with(Exit::Usage, error)
    }

    /// What is behind it, if it is of that type.
    pub(crate) fn cause<E: std::error::Error + Send + Sync + 'static>(&self) -> Option<&E> {
        self.error.downcast_ref()
    }

    /// An error that ends in that code.
    pub(crate) fn with(exit: Exit, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        Self { exit, error }.into()
    }
}

/// The exit code of an error: that of the [`Failure`] in it, or [`Exit::Failed`].
pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    error
        .downcast_ref::<Failure>()
        .map_or(Exit::Failed, |failure| failure.exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_code_under_what_is_said_of_it_later() {
        use anyhow::Context as _;
        let error = Failure::usage(anyhow::anyhow!("no such file"));
        let error = Err::<(), _>(error).context("campaigns").unwrap_err();
        assert_eq!(of_error(&error), Exit::Usage);
        assert_eq!(format!("{error:#}"), "campaigns: no such file");
        assert_eq!(of_error(&anyhow::anyhow!("away")), Exit::Failed);
    }
}
