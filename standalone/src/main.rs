//! `standalone`: everything in one process, to try it out. For development only.

use std::process::ExitCode;

use standalone::Arguments;

fn main() -> ExitCode {
    let (arguments, effective) = Arguments::read();
    if let Err(error) = service::log::start(&arguments.log) {
        eprintln!("standalone: {error:#}");
        return ExitCode::FAILURE;
    }
    service::settings::log_effective(&effective);
    let result = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(standalone::run(arguments)));
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("standalone: {error:#}");
            ExitCode::FAILURE
        }
    }
}
