//! What the programs have in common from `main` to the exit code: settings, log, runtime, probes, a
//! drained end.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::reference;
use crate::settings::{self, HttpSettings, LogSettings, ShutdownSettings};
use crate::traces::{Exporter, TraceSettings, Tracer};
use crate::{Health, Metrics, Shutdown, http, log};

/// Longest time for the last spans.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Settings that every program has; to be flattened into its arguments.
#[derive(Debug, Clone, Args)]
pub struct ProgramSettings {
    /// Logs.
    #[command(flatten)]
    pub log: LogSettings,
    /// Health and metrics.
    #[command(flatten)]
    pub http: HttpSettings,
    /// Traces.
    #[command(flatten)]
    pub traces: TraceSettings,
    /// Shutdown.
    #[command(flatten)]
    pub shutdown: ShutdownSettings,

    /// Print the settings in force and where each comes from, secrets hidden, and exit
    #[arg(long)]
    pub print_settings: bool,

    /// Ask the process that serves `METRICS_ADDR` on this machine whether it is ready, and exit with 0 if it
    /// is and with 1 if not; for health checks in images without a shell
    #[arg(long)]
    pub check_health: bool,

    /// Print the settings as tables in Markdown and exit; docs/settings.md is made of this
    #[arg(long, hide = true)]
    pub print_reference: bool,
}

/// Reads the arguments, starts the log and runs `work` on a runtime of a thread a core. An error is logged
/// with its causes and makes the exit code 1; wrong arguments make it 2.
pub fn run<A>(
    program: impl FnOnce(&A) -> &ProgramSettings,
    work: impl AsyncFnOnce(A, Effective) -> anyhow::Result<ExitCode>,
) -> ExitCode
where
    A: CommandFactory + FromArgMatches,
{
    let command = A::command();
    let matches = command.clone().get_matches();
    let arguments = A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let program = program(&arguments);
    let effective = Effective { command, matches };
    if program.print_reference {
        print!("{}", reference::page(&effective.command));
        return ExitCode::SUCCESS;
    }
    if program.print_settings {
        return settings::print_effective(&effective.list());
    }
    if program.check_health {
        return check_health(program.http.metrics_addr);
    }
    if let Err(error) = log::start(&program.log) {
        eprintln!("{}: {error:#}", effective.command.get_name());
        return ExitCode::from(2);
    }
    // At least two: probes are answered also while one is busy.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(2))
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(work(arguments, effective)),
        Err(error) => Err(error.into()),
    };
    result.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}

fn check_health(address: SocketAddr) -> ExitCode {
    match http::ask_ready(address) {
        Ok(report) if report.ok => ExitCode::SUCCESS,
        Ok(report) => {
            eprintln!("{}", report.problems.join("\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("METRICS_ADDR {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The settings in force.
pub struct Effective {
    command: Command,
    matches: ArgMatches,
}

impl Effective {
    /// Writes them to the log, secrets hidden.
    pub fn log(&self) {
        settings::log_effective(&self.list());
    }

    fn list(&self) -> Vec<settings::Effective> {
        settings::effective(&self.command, &self.matches)
    }
}

/// A running program: what its parts report to, and its probes.
pub struct Running {
    /// Parts report to it, probes ask it.
    pub health: Health,
    /// Parts register theirs.
    pub metrics: Metrics,
    /// Takes the parts' spans.
    pub tracer: Tracer,
    /// Ends the parts.
    pub shutdown: Shutdown,
    exporter: Exporter,
    probes: JoinHandle<std::io::Result<()>>,
    address: SocketAddr,
}

impl Running {
    /// Listens to signals and serves the probes, the metrics and the program's `further` routes.
    ///
    /// # Errors
    /// The address is taken, signals cannot be listened to, or the exporter of traces cannot be made.
    pub async fn begin(
        service: &'static str,
        settings: &ProgramSettings,
        further: Router,
    ) -> anyhow::Result<Self> {
        let (health, metrics, shutdown) = (Health::new(), Metrics::new(service), Shutdown::new());
        shutdown.listen_for_signals()?;
        shutdown.enforce_deadline(settings.shutdown.deadline)?;
        let (tracer, exporter) = Tracer::start(&settings.traces, service, &metrics)?;
        let address = settings.http.metrics_addr;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("METRICS_ADDR {address} cannot be listened on"))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "health and metrics");
        let routes = http::routes(&health, &metrics).merge(further);
        let probes = tokio::spawn(http::serve(listener, routes, shutdown.clone()));
        Ok(Self {
            health,
            metrics,
            tracer,
            shutdown,
            exporter,
            probes,
            address,
        })
    }

    /// Where the probes are.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Exports the last spans and waits for the probes' server after the parts have ended; then the process can exit with
    /// this.
    ///
    /// # Errors
    /// The server failed.
    pub async fn end(self) -> anyhow::Result<ExitCode> {
        // Half of what is left, so that a collector that hangs does not make it a failure.
        let left = self.shutdown.time_left().map(|left| left / 2);
        let within = left.map_or(LAST_SPANS, |left| left.min(LAST_SPANS));
        self.exporter.end(within).await;
        self.probes.await??;
        Ok(self.shutdown.exit_code())
    }
}
