//! `dead-letters`: browse events that could not be processed, and send them again once they can.

mod fetch;
mod job;
mod letter;
mod list;
mod redrive;
mod show;

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::output::Form;

/// Arguments of `dead-letters`.
#[derive(Debug, Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List dead letters, or count them by reason
    List(list::List),
    /// Show one with all its headers and its value
    Show(show::Show),
    /// Send them to the topic they came from again
    ///
    /// Each goes with its key, its value and its own headers, byte for byte, without the headers that made it
    /// a dead letter, and with one that counts how often it was sent again. Records and progress are
    /// committed together: what is interrupted goes on where it stopped when the same command is given
    /// again, and no letter is sent twice by one job. What comes back meanwhile is left for the next time.
    Redrive(redrive::Redrive),
}

impl DeadLetters {
    pub(crate) fn run(&self, form: Form) -> anyhow::Result<Exit> {
        match &self.command {
            Command::List(list) => list.run(form),
            Command::Show(show) => show.run(form),
            Command::Redrive(redrive) => redrive.run(form),
        }
    }
}
