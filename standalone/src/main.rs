//! `standalone`: everything in one process, to try it out. For development only.

use std::process::ExitCode;

use service::program;
use standalone::Arguments;

fn main() -> ExitCode {
    program::run(
        |arguments: &Arguments| &arguments.program,
        async |arguments, effective| {
            effective.log();
            standalone::run(arguments).await
        },
    )
}
