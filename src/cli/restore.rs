//! `dotcloud restore`: a dump takes the place of everything in a data service.

use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::api::client::{ExecReader, ExecWriter};
use crate::api::types::{DumpNews, Frame};
use crate::model::ServiceName;

use super::backup::{Begun, amount, begun, failed, lost};
use super::error::Kind;
use super::{CliError, Context, follow};

/// Replace everything in a data service by a dump
///
/// Takes what `dotcloud backup` wrote, and what the server's own tools write elsewhere: mysqldump
/// and mariadb-dump (with --databases or --all-databases), an RDB of Redis. The dump is taken in
/// and checked before the first change: one that is truncated, or not of this server, changes
/// nothing. Then everything in the service is replaced, while it runs and its slaves follow. Clients
/// are disconnected and held back meanwhile: new connections wait for up to 10 s, then they are told
/// why. Its login and password stay.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    pub service: ServiceName,
    /// The dump, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// What was done, for programs.
#[derive(Debug, Serialize)]
struct Done<'a> {
    service: &'a str,
    member: &'a str,
    bytes: u64,
    duration_ms: u64,
}

type Source = Box<dyn AsyncRead + Send + Unpin>;

/// Ends at Ctrl-C by itself: what that means depends on how far it is.
pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let source = open(&args.file).await?;
    ctx.client.service(app.as_str(), args.service.as_str()).await?;
    let from = if args.file.as_os_str() == "-" { "standard input".to_owned() } else { args.file.display().to_string() };
    let question = format!("Replace everything in \"{app}.{}\" by {from}?", args.service);
    if !ctx.confirm(&question)? {
        ctx.ui.info("Nothing was changed");
        return Ok(1);
    }
    let began = Instant::now();
    let begin = async {
        let mut exec = ctx.client.restore(app.as_str(), args.service.as_str()).await?;
        let Begun { member, .. } = begun(&mut exec.reader).await?;
        Ok::<_, CliError>((exec, member))
    };
    let (exec, member) = tokio::select! {
        begun = begin => begun?,
        () = follow::interrupted() => return Err(untouched()),
    };
    ctx.ui.info(format!("Restoring {} from {from} into {member}", args.service));
    let progress = ctx.ui.progress(format!("Restoring {}", args.service));
    let sending = tokio::spawn(send(source, exec.writer, progress.clone(), began));
    let done = attend(exec.reader, sending, &args.service, ctx, &progress).await;
    progress.finish_and_clear();
    let (bytes, duration) = (done?, began.elapsed());
    if ctx.json {
        let (service, duration_ms) = (args.service.as_str(), duration.as_millis() as u64);
        ctx.ui.json(&Done { service, member: &member, bytes, duration_ms });
    } else {
        ctx.ui.success(format!("{} is restored ({})", args.service, amount(bytes, duration)));
    }
    Ok(0)
}

async fn open(path: &Path) -> Result<Source, CliError> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(tokio::io::stdin()));
    }
    let failed = |error: std::io::Error| CliError::because(format!("cannot read {}", path.display()), &error);
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    match file.metadata().await.map_err(failed)?.is_dir() {
        true => Err(CliError::usage(format!("{} is a folder.", path.display())).hint("name the dump in it")),
        false => Ok(Box::new(file)),
    }
}

/// Sends the dump and says that it is complete; returns its bytes and how to go on listening.
async fn send(
    mut source: Source,
    mut writer: ExecWriter,
    progress: ProgressBar,
    began: Instant,
) -> Result<u64, CliError> {
    let (mut sent, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        let read = source.read(&mut buffer).await;
        let read = read.map_err(|error| CliError::because("cannot read the dump", &error))?;
        if writer.send(Frame::Stdin(Bytes::copy_from_slice(&buffer[..read]))).await.is_err() {
            // Whoever listens is told why.
            return Ok(sent);
        }
        if read == 0 {
            progress.set_message("Checking the dump");
            return Ok(sent);
        }
        sent += read as u64;
        progress.set_message(format!("Sending ({})", amount(sent, began.elapsed())));
    }
}

/// Waits for the end; returns the bytes that were sent.
async fn attend(
    mut reader: ExecReader,
    mut sending: tokio::task::JoinHandle<Result<u64, CliError>>,
    service: &ServiceName,
    ctx: &Context,
    progress: &ProgressBar,
) -> Result<u64, CliError> {
    let (mut sent, mut replacing) = (None, false);
    loop {
        let frame = tokio::select! {
            frame = reader.next() => frame,
            ended = &mut sending, if sent.is_none() => {
                let ended = ended.unwrap_or_else(|error| Err(CliError::because("cannot send the dump", &error)));
                sent = Some(ended.map_err(|error| CliError { message: format!("{}. Nothing was changed.", error.message), ..error })?);
                continue;
            }
            () = follow::interrupted() => return Err(match (replacing, sent) {
                (true, _) => going_on(service),
                (false, None) => untouched(),
                (false, Some(_)) => checking(service),
            }),
        };
        match frame.ok().flatten() {
            Some(Frame::Stderr(words)) if serde_json::from_slice(&words).ok() == Some(DumpNews::Replacing) => {
                replacing = true;
                ctx.ui.info(format!("The dump is good: replacing everything in {service}"));
                progress.set_message(format!("Replacing everything in {service}"));
            }
            Some(Frame::Exit(0)) => return Ok(sent.unwrap_or_default()),
            Some(Frame::Failed(why)) => return Err(failed(&why)),
            Some(_) => {}
            None if replacing => return Err(lost(&state(service))),
            None if sent.is_some() => return Err(lost("Whether contents were replaced is not known.").hint(activity())),
            None => return Err(lost("Nothing was changed.")),
        }
    }
}

fn untouched() -> CliError {
    CliError::new(Kind::Interrupted, "Interrupted before the dump was complete. Nothing was changed.")
}

fn checking(service: &ServiceName) -> CliError {
    let text = format!("Interrupted while the dump is checked; if it is good, {service} is replaced.");
    CliError::new(Kind::Interrupted, text).hint(activity())
}

fn going_on(service: &ServiceName) -> CliError {
    CliError::new(Kind::Interrupted, format!("Interrupted. {}", state(service))).hint(activity())
}

fn state(service: &ServiceName) -> String {
    format!("The contents of {service} are being replaced, and that goes on in the background.")
}

fn activity() -> &'static str {
    "`dotcloud activity` says how it ended; until then, contents may be old, new or both"
}
