//! `dotcloud backup`: a dump of a data service, as a file that is whole or not there.

pub mod file;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar};
use serde::Serialize;

use crate::api::client::ExecReader;
use crate::api::types::{DumpNews, Frame};
use crate::model::ServiceName;

use super::{CliError, Context, follow};
use file::{DumpFile, Sum};

/// Write a consistent dump of a data service to a file
///
/// The file is db-TIME.EXTENSION in this folder unless one is named: SQL for PostgreSQL and, within
/// gzip, for MySQL, an RDB for Redis, definitions without messages for RabbitMQ; such files can be
/// restored here and elsewhere. It is taken from a synchronized slave where there is one. The
/// service goes on meanwhile. A file appears under its name only when it is complete.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    pub service: ServiceName,
    /// A file, a folder, or - for standard output
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(short, long)]
    pub force: bool,
}

/// What was done, for programs.
#[derive(Debug, Serialize)]
struct Done<'a> {
    service: &'a str,
    member: &'a str,
    file: String,
    bytes: u64,
    duration_ms: u64,
    sha256: String,
}

/// Ends at Ctrl-C by itself: then nothing goes on in the background.
pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    tokio::select! {
        biased;
        () = follow::interrupted() => {
            let text = "Interrupted. No file was written.";
            Err(CliError::new(super::error::Kind::Interrupted, text))
        }
        ended = back_up(args, ctx) => ended,
    }
}

async fn back_up(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let to_stdout = args.file.as_ref().is_some_and(|file| file.as_os_str() == "-");
    check_stdout(to_stdout, ctx)?;
    if let Some(file) = args.file.as_ref().filter(|_| !to_stdout) {
        file::check_free(&ctx.folder.join(file), args.force)?;
    }
    let began = Instant::now();
    let mut reader = ctx.client.backup(app.as_str(), args.service.as_str()).await?.reader;
    let Begun { member, extension, holds } = begun(&mut reader).await?;
    let mut target = match to_stdout {
        true => DumpFile::stdout(),
        false => {
            let path = file::named(&ctx.folder, args.file.as_deref(), args.service.as_str(), &extension);
            file::check_free(&path, args.force)?;
            DumpFile::create(path, args.force)?
        }
    };
    ctx.ui.info(format!("Backing {} up from {member}", args.service));
    let progress = ctx.ui.progress(format!("Backing {} up", args.service));
    let taken = take(reader, &mut target, &progress, began).await;
    progress.finish_and_clear();
    taken?;
    let (file, Sum { bytes, sha256 }) = target.finish().await?;
    let duration = began.elapsed();
    if ctx.json {
        let (service, duration_ms) = (args.service.as_str(), duration.as_millis() as u64);
        ctx.ui.json(&Done { service, member: &member, file, bytes, duration_ms, sha256 });
    } else {
        let said = format!("{} is backed up to {file} ({})", args.service, amount(bytes, duration));
        if to_stdout {
            ctx.ui.info(said)
        } else {
            ctx.ui.success(said)
        }
        if !holds.is_empty() {
            ctx.ui.info(format!("It holds {holds}"));
        }
    }
    Ok(0)
}

fn check_stdout(to_stdout: bool, ctx: &Context) -> Result<(), CliError> {
    if to_stdout && std::io::stdout().is_terminal() {
        return Err(CliError::usage("A dump is nothing for a terminal.").hint("name a file, or send it on: `| ssh …`"));
    }
    if to_stdout && ctx.json {
        return Err(CliError::usage("Standard output cannot take both the dump and JSON.").hint("name a file"));
    }
    Ok(())
}

/// What is told before a dump.
pub struct Begun {
    pub member: String,
    pub extension: String,
    pub holds: String,
}

/// The first words of a dump's stream.
pub async fn begun(reader: &mut ExecReader) -> Result<Begun, CliError> {
    match reader.next().await? {
        Some(Frame::Stderr(words)) => match serde_json::from_slice(&words) {
            Ok(DumpNews::Begun { member, extension, holds }) => Ok(Begun { member, extension, holds }),
            _ => Err(unexpected()),
        },
        Some(Frame::Failed(why)) => Err(failed(&why)),
        Some(_) => Err(unexpected()),
        None => Err(lost("Nothing was written.")),
    }
}

async fn take(
    mut reader: ExecReader,
    target: &mut DumpFile,
    progress: &ProgressBar,
    began: Instant,
) -> Result<(), CliError> {
    while let Some(frame) = reader.next().await? {
        match frame {
            Frame::Stdout(part) => {
                target.write(&part).await?;
                progress.set_message(format!("Backing up ({})", amount(target.bytes(), began.elapsed())));
            }
            Frame::Exit(0) => return Ok(()),
            Frame::Failed(why) => return Err(failed(&why)),
            _ => {}
        }
    }
    Err(lost("The dump is not complete, and was removed."))
}

/// What the daemon said, as a sentence.
pub fn failed(why: &str) -> CliError {
    let mut text: String = why.to_owned();
    if !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    CliError::failed(text)
}

pub fn lost(state: &str) -> CliError {
    let text = format!("The connection to the daemon was lost. {state}");
    CliError::new(super::error::Kind::Unreachable, text)
        .hint("the daemon may have been restarted: `dotcloud daemon status`")
}

fn unexpected() -> CliError {
    CliError::failed("The daemon's answer cannot be understood.")
        .hint("it may be of another version: `dotcloud daemon stop` ends it, the next command starts this one")
}

/// `12.00 MiB, 3.00 MiB/s`
pub fn amount(bytes: u64, duration: Duration) -> String {
    let rate = bytes as f64 / duration.as_secs_f64().max(0.001);
    format!("{}, {}/s", HumanBytes(bytes), HumanBytes(rate as u64))
}
