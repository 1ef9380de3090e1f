//! `coupons`: pools of coupon codes, filled from files.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use schemas::PoolName;
use schemas::pool::{MAX_CODE_BYTES, MAX_CODES, is_code};
use serde_json::json;

use super::api::Api;
use super::exit::{Exit, Failure};
use super::output::{Form, NAME, Progress, line, styled};

/// Arguments of `coupons`.
#[derive(Debug, Args)]
pub(crate) struct Coupons {
    #[command(subcommand)]
    command: CouponsCommand,
}

/// What to do with a pool.
#[derive(Debug, Subcommand)]
enum CouponsCommand {
    /// Add the codes of a file to a pool; those that it has or had already are passed over
    Load(LoadCodes),
    /// Show how many codes a pool has left
    Get(GetPool),
    /// Drop a pool: its codes are given no more
    Drop(DropPool),
}

/// Arguments of `coupons load`.
#[derive(Debug, Args)]
struct LoadCodes {
    /// Pool, which need not exist
    #[arg(value_name = "POOL")]
    pool: String,

    /// File with a code a line, in the order in which they are to be given; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Why, in your words; stands in the server's log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Arguments of `coupons get`.
#[derive(Debug, Args)]
struct GetPool {
    /// Pool
    #[arg(value_name = "POOL")]
    pool: String,
}

/// Arguments of `coupons drop`.
#[derive(Debug, Args)]
struct DropPool {
    /// Pool
    #[arg(value_name = "POOL")]
    pool: String,

    /// Why, in your words; stands in the server's log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Coupons {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        match &self.command {
            CouponsCommand::Load(load) => load.run(form, api).await,
            CouponsCommand::Get(get) => get.run(form, api).await,
            CouponsCommand::Drop(drop) => drop.run(form, api).await,
        }
    }
}

impl LoadCodes {
    async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        PoolName::check(&self.pool).map_err(Failure::usage)?;
        // All of it is read before anything is sent: a file with a mistake costs nothing.
        let codes = self.read()?;
        let total = codes.len();
        let mut progress = Progress::new("codes sent");
        let mut sent = 0;
        for batch in codes.chunks(MAX_CODES) {
            let answer = api
                .add_codes(&self.pool, batch, self.reason.as_deref())
                .await;
            answer.with_context(|| {
                format!("{sent} of {total} codes were sent; the same command sends the rest, and passes over those")
            })?;
            sent += batch.len();
            progress.set(sent as u64, Some(total as u64));
        }
        progress.end();
        let document = json!({"pool": self.pool, "codes": total});
        form.print_next(&document, || {
            format!(
                "{total} codes are on their way into {}",
                styled(NAME, &self.pool)
            )
        })?;
        Ok(Exit::Done)
    }

    fn read(&self) -> anyhow::Result<Vec<String>> {
        let name = self.file.display();
        let lines: Box<dyn BufRead> = if self.file.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(&self.file).with_context(|| format!("{name} cannot be read"));
            Box::new(BufReader::new(file.map_err(Failure::usage)?))
        };
        let mut codes = Vec::new();
        let mut seen = HashSet::new();
        for (number, line) in lines.lines().enumerate() {
            let line = line.with_context(|| format!("{name}:{}", number + 1))?;
            let code = line.trim();
            if code.is_empty() {
                continue;
            }
            if !is_code(code) {
                let error = anyhow::anyhow!(
                    "{name}:{}: no code: 1 to {MAX_CODE_BYTES} bytes without control characters are; nothing was sent",
                    number + 1
                );
                return Err(Failure::usage(error));
            }
            if !seen.insert(code.to_owned()) {
                let error = anyhow::anyhow!(
                    "{name}:{}: {code:?} stands there twice; nothing was sent",
                    number + 1
                );
                return Err(Failure::usage(error));
            }
            codes.push(code.to_owned());
        }
        if codes.is_empty() {
            return Err(Failure::usage(anyhow::anyhow!("{name} has no codes")));
        }
        Ok(codes)
    }
}

impl GetPool {
    async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let report = api.pool(&self.pool).await?;
        if form != Form::Table {
            form.print(&report, String::new)?;
            return Ok(Exit::Done);
        }
        line(format_args!(
            "{}: {} of {} codes left",
            styled(NAME, &self.pool),
            report["left"],
            report["stocked"]
        ))?;
        Ok(Exit::Done)
    }
}

impl DropPool {
    async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let report = api.drop_pool(&self.pool, self.reason.as_deref()).await?;
        form.print_next(&report, || {
            format!(
                "the pool {} will be dropped, by the record {}:{} of the claims",
                styled(NAME, &self.pool),
                report["partition"],
                report["offset"]
            )
        })?;
        Ok(Exit::Done)
    }
}
