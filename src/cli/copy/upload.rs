//! From this machine to instances: one reading, written to all of them at once.

use std::io::{self, Write};
use std::path::PathBuf;

use bytes::Bytes;
use indicatif::HumanBytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::api::client::ExecWriter;
use crate::api::types::Frame;
use crate::cli::Context;
use crate::cli::error::{CliError, chain};
use crate::cli::pack::{self, PackError, PackReport};
use crate::cli::parts::PartWriter;
use crate::faults::{Aim, Place as Who};
use crate::model::{AppName, InstanceName};

use super::place::{Place, name_of};
use super::remote;

pub async fn run(app: &AppName, from: &Place, aim: &Aim, path: &str, ctx: &Context) -> Result<(), CliError> {
    let source = Source::open(from, path).await?;
    let instances = instances(app, aim, ctx).await?;
    let mut targets = Vec::new();
    // All of them are reached before any of them is written to.
    for instance in &instances {
        targets.push(Target::open(app, instance, &source, path, ctx).await?);
    }
    let progress = ctx.ui.progress(format!("Copying to {aim}"));
    let (sender, parts) = mpsc::channel(4);
    let bar = progress.clone();
    let packing = tokio::task::spawn_blocking(move || {
        source.send(PartWriter::new("Copying", bar, move |part| sender.blocking_send(part).is_ok()))
    });
    distribute(parts, &mut targets).await;
    let packed = packing.await;
    // One that could not be sent on is explained by those who did not take it.
    let readable = matches!(packed, Ok(Ok(_) | Err(PackError::Send { .. } | PackError::Finish(_))));
    let mut ended = Ok(());
    for target in targets {
        ended = ended.and(target.finish(readable, ctx).await);
    }
    progress.finish_and_clear();
    match packed {
        // Nobody took it: they say why.
        Ok(Err(PackError::Send { .. } | PackError::Finish(_))) | Err(_) if ended.is_err() => {}
        Ok(Err(error)) => return Err(CliError::failed(chain(&error))),
        Err(error) => return Err(CliError::because("the copy could not be read", &error)),
        Ok(Ok(report)) => {
            ended?;
            tell(&report, &instances, ctx);
            return Ok(());
        }
    }
    ended
}

fn tell(report: &PackReport, instances: &[InstanceName], ctx: &Context) {
    for skipped in &report.skipped {
        ctx.ui.warning(format!("{} was not copied: it {}", skipped.path.display(), skipped.why));
    }
    let names: Vec<String> = instances.iter().map(ToString::to_string).collect();
    let PackReport { files, bytes, .. } = report;
    ctx.ui.info(format!("Copied {files} files ({}) to {}", HumanBytes(*bytes), names.join(", ")));
}

/// The one that is named; of a service, all.
async fn instances(app: &AppName, aim: &Aim, ctx: &Context) -> Result<Vec<InstanceName>, CliError> {
    if aim.place == Who::Any {
        let service = ctx.client.service(app.as_str(), aim.service.as_str()).await?;
        return Ok((0..service.instance_count).map(|index| aim.service.instance(index)).collect());
    }
    let found = ctx.client.resolve(app.as_str(), &aim.to_string()).await?;
    Ok(vec![aim.service.instance(found.instance_id)])
}

// === what is sent ===

enum Source {
    /// `name`: what it is called where it goes.
    File {
        path: PathBuf,
        name: String,
        /// Standard input, kept until it is sent: only a file that ended has a length.
        _spool: Option<tempfile::NamedTempFile>,
    },
    Folder {
        path: PathBuf,
        name: String,
    },
    /// Standard input is a tar already.
    Tar,
}

impl Source {
    async fn open(from: &Place, to: &str) -> Result<Self, CliError> {
        let Place::Local(path) = from else {
            return if to.ends_with('/') || to == "." { Ok(Self::Tar) } else { Self::spool().await };
        };
        let unreadable = |error: io::Error| CliError::because(format!("cannot read {}", path.display()), &error);
        let real = path.canonicalize().map_err(unreadable)?;
        let name = name_of(&path.to_string_lossy()).to_owned();
        if real.is_dir() {
            return Ok(Self::Folder { path: real, name });
        }
        Ok(Self::File { path: real, name, _spool: None })
    }

    /// By a blocking thread: whoever types may never come to an end, and may press Ctrl-C.
    async fn spool() -> Result<Self, CliError> {
        let spooled = || {
            let mut file = tempfile::NamedTempFile::new()?;
            io::copy(&mut io::stdin().lock(), &mut file)?;
            file.flush()?;
            Ok(file)
        };
        let file = tokio::task::spawn_blocking(spooled).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let file = file.map_err(|error: io::Error| CliError::because("cannot keep standard input", &error))?;
        Ok(Self::File { path: file.path().to_owned(), name: String::new(), _spool: Some(file) })
    }

    /// The script that takes it, and the name of the copy in a folder that exists.
    fn script(&self) -> (&'static str, &str) {
        match self {
            Self::File { name, .. } => (remote::WRITE_FILE, name),
            Self::Folder { name, .. } => (remote::WRITE_FOLDER, name),
            Self::Tar => (remote::WRITE_FOLDER, ""),
        }
    }

    fn send(self, mut out: PartWriter) -> Result<PackReport, PackError> {
        let report = match &self {
            Self::File { path, .. } => pack::pack_file(path, remote::ENTRY, &mut out)?,
            Self::Folder { path, .. } => pack::pack_whole(path, &mut out)?,
            Self::Tar => {
                let bytes = io::copy(&mut io::stdin().lock(), &mut out).map_err(PackError::Finish)?;
                PackReport { files: 1, bytes, skipped: Vec::new() }
            }
        };
        out.flush().map_err(PackError::Finish)?;
        Ok(report)
    }
}

// === where it goes ===

/// An instance that takes the copy.
struct Target {
    instance: InstanceName,
    writer: ExecWriter,
    end: JoinHandle<Result<Vec<String>, CliError>>,
}

impl Target {
    async fn open(
        app: &AppName,
        instance: &InstanceName,
        source: &Source,
        path: &str,
        ctx: &Context,
    ) -> Result<Self, CliError> {
        let (script, name) = source.script();
        let exec = remote::start(app, instance, script, &[path, name], ctx).await?;
        let end = tokio::spawn(remote::finish(instance.clone(), exec.reader, None));
        Ok(Self { instance: instance.clone(), writer: exec.writer, end })
    }

    /// False once it takes no more; its end says why.
    async fn take(&mut self, part: Bytes) -> bool {
        !self.end.is_finished() && self.writer.send(Frame::Stdin(part)).await.is_ok()
    }

    /// A copy whose source failed is broken off: what has come is no archive.
    async fn finish(mut self, readable: bool, ctx: &Context) -> Result<(), CliError> {
        if !readable && !self.end.is_finished() {
            self.end.abort();
            return Err(CliError::failed(format!("{}: the copy was broken off.", self.instance)));
        }
        // One that ended early needs no end of its input.
        let _ = self.writer.send(Frame::Stdin(Bytes::new())).await;
        let ended = self.end.await;
        let said = ended.unwrap_or_else(|error| Err(CliError::because("the copy was broken off", &error)))?;
        said.iter().for_each(|line| ctx.ui.warning(format!("{}: {line}", self.instance)));
        Ok(())
    }
}

/// Until all is sent, or nobody takes any more.
async fn distribute(mut parts: mpsc::Receiver<Bytes>, targets: &mut [Target]) {
    while let Some(part) = parts.recv().await {
        let mut taken = false;
        for target in targets.iter_mut() {
            taken |= target.take(part.clone()).await;
        }
        if !taken {
            return;
        }
    }
}
