//! From an instance to this machine.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use bytes::{Buf, Bytes};
use indicatif::{HumanBytes, ProgressBar};
use tokio::sync::mpsc;

use crate::cli::Context;
use crate::cli::error::{CliError, chain};
use crate::faults::Aim;
use crate::model::AppName;

use super::place::{Place, name_of};
use super::remote;
use super::unpack::{self, Unpacked};

pub async fn run(app: &AppName, aim: &Aim, path: &str, to: &Place, ctx: &Context) -> Result<(), CliError> {
    let found = ctx.client.resolve(app.as_str(), &aim.to_string()).await?;
    let service =
        found.service.parse().map_err(|error: crate::model::NameError| CliError::failed(error.to_string()))?;
    let instance = crate::model::InstanceName { service, index: found.instance_id };
    let exec = remote::start(app, &instance, remote::READ, &[path], ctx).await?;
    let progress = ctx.ui.progress(format!("Copying from {instance}"));
    let (sender, parts) = mpsc::channel(16);
    let incoming = Incoming { parts, part: Bytes::new(), taken: 0, progress: progress.clone() };
    let (to, name, is_stream) = (to.clone(), name_of(path).to_owned(), *to == Place::Stream);
    let taking = tokio::task::spawn_blocking(move || take(incoming, &to, &name));
    let ended = remote::finish(instance.clone(), exec.reader, Some(sender)).await;
    let taken = taking.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    progress.finish_and_clear();
    // What the instance says explains an archive that ends early.
    let said = ended?;
    if matches!(&taken, Err(error) if is_stream && error.kind() == io::ErrorKind::BrokenPipe) {
        // `| head` has read enough.
        return Ok(());
    }
    let Unpacked { files, bytes, refused } =
        taken.map_err(|error| CliError::failed(format!("The copy could not be written: {}", chain(&error))))?;
    said.iter().for_each(|line| ctx.ui.warning(format!("{instance}: {line}")));
    refused.iter().for_each(|why| ctx.ui.warning(why));
    ctx.ui.info(format!("Copied {files} files ({}) from {instance}", HumanBytes(bytes)));
    Ok(())
}

/// The archive, to where it belongs.
fn take(mut incoming: Incoming, to: &Place, name: &str) -> io::Result<Unpacked> {
    let mut kind = [0];
    // Nothing came: the other end says why.
    incoming.read_exact(&mut kind)?;
    let taken = match (kind[0], to) {
        (b'd', Place::Local(to)) => unpack::folder(&mut incoming, &within(to.clone(), name)),
        (_, Place::Local(to)) => unpack::file(&mut incoming, &within(to.clone(), name)),
        (b'd', _) => pass(&mut incoming),
        (..) => unpack::content(&mut incoming, &mut io::stdout().lock()),
    };
    // The archive's padding belongs to the copy.
    taken.and_then(|taken| io::copy(&mut incoming, &mut io::sink()).map(|_| taken))
}

fn within(to: PathBuf, name: &str) -> PathBuf {
    if to.is_dir() && !name.is_empty() { to.join(name) } else { to }
}

/// A folder on standard output is its tar.
fn pass(incoming: &mut Incoming) -> io::Result<Unpacked> {
    let mut out = io::stdout().lock();
    let bytes = io::copy(incoming, &mut out)?;
    out.flush()?;
    Ok(Unpacked { files: 1, bytes, refused: Vec::new() })
}

/// What comes from the instance, read by a blocking thread.
struct Incoming {
    parts: mpsc::Receiver<Bytes>,
    part: Bytes,
    taken: u64,
    progress: ProgressBar,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.part.has_remaining() {
            let Some(part) = self.parts.blocking_recv() else { return Ok(0) };
            self.taken += part.len() as u64;
            self.progress.set_message(format!("Copying ({})", HumanBytes(self.taken)));
            self.part = part;
        }
        let count = buffer.len().min(self.part.len());
        self.part.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
