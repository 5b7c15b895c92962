//! The folder that is pushed: finds it, checks its build file, sends it.

use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use indicatif::ProgressBar;
use tokio::sync::mpsc;

use crate::api::client::{ClientError, RequestBody};
use crate::buildfile;
use crate::model::AppName;

use super::build_file::{self, MissingApproot};
use super::error::{CliError, chain};
use super::pack::{self, PackError, PackReport};
use super::parts::PartWriter;
use super::{Context, connection};

/// A folder with a valid build file.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    build_file: PathBuf,
}

/// How often an upload is started again when the daemon goes away under it.
const ATTEMPTS: u32 = 3;

impl Tree {
    /// The folder given, else the current one or the nearest above it with a build file. All
    /// findings about the build file are printed.
    ///
    /// # Errors
    /// There is no build file, or it has errors.
    pub fn find(folder: Option<&Path>, ctx: &Context) -> Result<Self, CliError> {
        let path = build_file::locate(folder).map_err(|error| {
            CliError::usage(chain(&error)).hint("write a dotcloud.yml, or name the folder that has one")
        })?;
        let path = std::path::absolute(&path)
            .map_err(|error| CliError::because(format!("cannot find {}", path.display()), &error))?;
        let root = path.parent().unwrap_or(Path::new("/")).to_owned();
        check(&path, &root, ctx)?;
        Ok(Self { root, build_file: path })
    }

    /// Looks at the build file again, and prints all findings.
    ///
    /// # Errors
    /// It has errors by now.
    pub fn check(&self, ctx: &Context) -> Result<(), CliError> {
        check(&self.build_file, &self.root, ctx)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The application that this folder is: `-A`, the connection, or the folder's name.
    pub fn app(&self, ctx: &Context) -> Result<AppName, CliError> {
        if let Some(app) = &ctx.application {
            return Ok(app.clone());
        }
        if let Some(connection) = connection::find(&self.root)? {
            return Ok(connection.application);
        }
        connection::from_folder(&self.root).ok_or_else(|| {
            CliError::usage(format!("The folder's name gives no application name: {}", self.root.display()))
                .hint("name the application with `-A APPLICATION`")
        })
    }

    /// Packs the tree and sends it; returns its revision. Starts again when the daemon was
    /// killed meanwhile.
    ///
    /// # Errors
    /// A file cannot be read, or the daemon does not take the tree.
    pub async fn upload(&self, app: &AppName, ctx: &Context) -> Result<String, CliError> {
        let mut attempt = 1;
        loop {
            match self.attempt(app, ctx).await {
                Err(Attempt::Sending(ClientError::Lost { .. })) if attempt < ATTEMPTS => attempt += 1,
                Err(Attempt::Sending(error)) => return Err(error.into()),
                Err(Attempt::Packing(error)) => return Err(CliError::failed(chain(&error))),
                Ok(revision) => return Ok(revision),
            }
        }
    }

    async fn attempt(&self, app: &AppName, ctx: &Context) -> Result<String, Attempt> {
        let progress = ctx.ui.progress("Pushing code");
        let (parts, body) = channel();
        let (root, bar) = (self.root.clone(), progress.clone());
        let packing = tokio::task::spawn_blocking(move || pack_into(&root, parts, bar));
        let sent = ctx.client.upload(app.as_str(), body).await;
        progress.finish_and_clear();
        // A tree that cannot be read breaks the upload off: that is the cause to tell.
        match packing.await {
            Ok(Err(error)) if !gave_up(&error) => return Err(Attempt::Packing(error)),
            Ok(Ok(report)) => warn(&report, ctx),
            _ => {}
        }
        sent.map_err(Attempt::Sending)
    }
}

enum Attempt {
    Packing(PackError),
    Sending(ClientError),
}

/// Packing ended because nobody took its output: the answer of the daemon says why.
fn gave_up(error: &PackError) -> bool {
    matches!(error, PackError::Send { .. } | PackError::Finish(_))
}

/// Tells what is left out of an upload although no pattern says so.
pub fn warn(report: &PackReport, ctx: &Context) {
    for skipped in &report.skipped {
        ctx.ui.warning(format!("{} is not pushed: {}", skipped.path.display(), skipped.why));
    }
}

fn check(path: &Path, root: &Path, ctx: &Context) -> Result<(), CliError> {
    let text = build_file::read(path).map_err(|error| CliError::usage(chain(&error)))?;
    let mut parsed = build_file::parse(&text);
    build_file::check_tree(root, &mut parsed, MissingApproot::Refuse);
    let name = path.strip_prefix(&ctx.folder).unwrap_or(path).display().to_string();
    for diagnostic in &parsed.diagnostics {
        ctx.ui.detail(buildfile::render(diagnostic, &name, &text, true).trim_end());
    }
    match parsed.stack {
        Some(_) => Ok(()),
        None => Err(CliError::failed(format!("{name} is not valid; nothing was pushed."))
            .hint("`dotcloud validate` prints this again after every change")),
    }
}

// === packing into a request ===

type Part = Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>;

fn channel() -> (mpsc::Sender<Part>, RequestBody) {
    let (sender, mut parts) = mpsc::channel(4);
    let body = StreamBody::new(stream::poll_fn(move |context| parts.poll_recv(context)));
    (sender, BodyExt::boxed(body))
}

fn pack_into(root: &Path, parts: mpsc::Sender<Part>, progress: ProgressBar) -> Result<PackReport, PackError> {
    let body = parts.clone();
    let pass_on = move |part| body.blocking_send(Ok(Frame::data(part))).is_ok();
    let mut writer = PartWriter::new("Pushing code", progress, pass_on);
    let packed = pack::pack(root, &mut writer).and_then(|report| {
        writer.flush().map_err(PackError::Finish)?;
        Ok(report)
    });
    if packed.is_err() {
        // A body that ends in an error is not taken for a complete one.
        let _ = parts.blocking_send(Err("the tree could not be packed".into()));
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parts::PART;

    fn packed(root: &Path) -> (Result<PackReport, PackError>, Result<Bytes, Box<dyn std::error::Error + Send + Sync>>) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (parts, body) = channel();
        let root = root.to_owned();
        let packing = runtime.spawn_blocking(move || pack_into(&root, parts, ProgressBar::hidden()));
        let received = runtime.block_on(body.collect()).map(http_body_util::Collected::to_bytes);
        (runtime.block_on(packing).unwrap(), received)
    }

    #[test]
    fn tree_arrives_as_a_complete_archive() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("dotcloud.yml"), "www:\n  type: static\n").unwrap();
        std::fs::write(dir.path().join("large"), vec![7; 3 * PART]).unwrap();
        let (report, body) = packed(dir.path());
        assert_eq!(report.unwrap().files, 2);
        let body = body.unwrap();
        let mut archive = tar::Archive::new(&body[..]);
        let sizes: Vec<u64> = archive.entries().unwrap().map(|entry| entry.unwrap().size()).collect();
        assert!(sizes.contains(&(3 * PART as u64)), "{sizes:?}");
    }

    #[test]
    fn tree_that_cannot_be_packed_breaks_the_upload_off() {
        let (report, body) = packed(Path::new("/nowhere/at/all"));
        assert!(matches!(report, Err(PackError::OpenTree { .. })));
        assert!(body.is_err());
    }
}
