//! `audience load`: a file of customers, in requests of some thousands, that can be interrupted.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use ring::digest::{self, SHA256};
use serde_json::json;

use super::super::api::Api;
use super::super::exit::{Exit, Failure};
use super::super::output::{Form, NAME, Progress, note, styled};
use super::file::FileForm;
use super::progress::{Begun, Loaded};
use super::{BATCH, To, turn};

/// Arguments of `audience load`.
#[derive(Debug, Args)]
pub(super) struct Load {
    /// Audience
    #[arg(value_name = "NAME")]
    name: String,

    /// File with one customer a line, or CSV; - is standard input, which cannot be gone on with
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    form: FileForm,

    /// Why, in your words; stands in the server's log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Load {
    pub(super) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let is_file = self.file.as_os_str() != "-";
        let (total, mut loaded) = if is_file {
            let (total, digest) = self.check()?;
            let begun = Begun {
                audience: self.name.clone(),
                server: api.address().to_owned(),
                file: digest,
            };
            (Some(total), Loaded::of(&self.file, begun))
        } else {
            (None, Loaded::nothing())
        };
        let before = loaded.customers();
        if before > 0 {
            note(format_args!(
                "{before} customers were loaded before; going on behind them"
            ));
        }
        let mut progress = Progress::new("customers loaded");
        let mut batch = Vec::with_capacity(BATCH);
        let mut end = 0;
        let lines = self.form.open(&self.file)?;
        let begin = loaded.bytes();
        for line in lines {
            let line = line.with_context(|| so_far(&loaded))?;
            // What was acknowledged before.
            if line.end <= begin {
                continue;
            }
            end = line.end;
            batch.push(line.id);
            if batch.len() == BATCH {
                self.send(api, &mut batch, &mut loaded, end).await?;
                progress.set(loaded.customers(), total);
            }
        }
        if !batch.is_empty() {
            self.send(api, &mut batch, &mut loaded, end).await?;
        }
        progress.end();
        let customers = loaded.customers();
        loaded.done();
        let document = json!({"audience": self.name, "customers": customers, "before": before});
        form.print_next(&document, || {
            format!("{customers} customers are in {}", styled(NAME, &self.name))
        })?;
        Ok(Exit::Done)
    }

    /// Reads the file once: counts its customers, and makes sure that nothing is wrong with it.
    fn check(&self) -> anyhow::Result<(u64, String)> {
        let mut customers = 0;
        let mut wrong = Vec::new();
        for line in self.form.open(&self.file)? {
            match line {
                Ok(_) => customers += 1,
                Err(error) => wrong.push(format!("{}: {error:#}", self.file.display())),
            }
            if wrong.len() == MAX_PROBLEMS {
                wrong.push("and perhaps more".to_owned());
                break;
            }
        }
        if !wrong.is_empty() {
            let error = anyhow::anyhow!("{}; nothing was loaded", wrong.join("\n"));
            return Err(Failure::usage(error));
        }
        Ok((customers, digest(&self.file).map_err(Failure::usage)?))
    }

    /// Sends a batch, which ends there in the file.
    async fn send(
        &self,
        api: &Api,
        batch: &mut Vec<String>,
        loaded: &mut Loaded,
        end: u64,
    ) -> anyhow::Result<()> {
        let sent = turn(api, (&self.name, To::In), batch, self.reason.as_deref()).await;
        sent.with_context(|| so_far(loaded))?;
        loaded.add(batch.len() as u64, end);
        batch.clear();
        Ok(())
    }
}

/// What is to be said when it goes no further.
fn so_far(loaded: &Loaded) -> String {
    let customers = loaded.customers();
    let again = if loaded.is_kept() {
        "; the same command goes on behind them"
    } else {
        ""
    };
    format!("{customers} customers were loaded{again}")
}

/// Most lines of which it is told what is wrong with them.
const MAX_PROBLEMS: usize = 10;

/// The SHA-256 of a file, in hexadecimal digits.
fn digest(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut file = BufReader::new(file);
    let mut context = digest::Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(&buffer[..read]);
    }
    let digest = context.finish();
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Ok(digits.collect())
}
