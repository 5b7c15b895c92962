//! The base image: present, else pulled, else made from Debian's packages.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bollard::query_parameters::{CreateImageOptions, RemoveImageOptions, TagImageOptions};
use bollard::{body_try_stream, errors::Error};
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio_util::io::ReaderStream;

use crate::engine::runtime::{Progress, Result, RuntimeError};

use super::lock;
use crate::docker::DockerRuntime;

pub(super) const TAG: &str = "dotcloud-local/base:trixie";
const REPOSITORY: &str = "dotcloud-local/base";
const SUITE: &str = "trixie";
const PULLED: &str = "debian:trixie-slim";
/// A registry that says nothing for so long is taken to be unreachable.
const REGISTRY_ANSWERS: Duration = Duration::from_secs(4);
/// For so long an unreachable registry is not asked again.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

impl DockerRuntime {
    /// Needs no network when the base is there.
    pub(super) async fn ensure_base(&self, progress: &Progress) -> Result<String> {
        if !self.has_image(TAG).await? {
            let _lock = lock::machine_wide(TAG).await;
            if !self.has_image(TAG).await? {
                self.make_base(progress).await?;
            }
        }
        Ok(TAG.to_owned())
    }

    async fn make_base(&self, progress: &Progress) -> Result<()> {
        if self.has_image(PULLED).await? || self.pull(progress).await {
            return self.name_base(PULLED).await;
        }
        let id = self.bootstrap(progress).await?;
        self.name_base(&id).await
    }

    async fn name_base(&self, image: &str) -> Result<()> {
        let options = TagImageOptions { repo: Some(REPOSITORY.to_owned()), tag: Some(SUITE.to_owned()) };
        self.client
            .docker
            .tag_image(image, Some(options))
            .await
            .map_err(self.client.failed(format!("name image {TAG}")))
    }

    /// Whether the registry gave the image. Its silence is remembered for a day.
    async fn pull(&self, progress: &Progress) -> bool {
        let memory = self.unreachable_mark();
        if remembered(&memory).await {
            return false;
        }
        progress(&format!("Pulling {PULLED}"));
        match self.pull_image(PULLED, REGISTRY_ANSWERS, progress).await {
            Ok(()) => true,
            Err(reason) => {
                progress(&format!("No registry answers ({reason}); making the base image from Debian packages"));
                // Not remembered only costs the next attempt a few seconds.
                let _ = tokio::fs::write(&memory, reason).await;
                false
            }
        }
    }

    /// There while a registry was asked in vain lately.
    pub(super) fn unreachable_mark(&self) -> std::path::PathBuf {
        self.state_dir.join("registry-unreachable")
    }

    /// The id of an image made by mmdebstrap.
    async fn bootstrap(&self, progress: &Progress) -> Result<String> {
        progress(&format!("Making the base image from Debian's {SUITE} packages"));
        let attempt = || "make the base image with mmdebstrap".to_owned();
        let broken = |source: std::io::Error| RuntimeError::Failed { attempt: attempt(), source: source.into() };
        let (mut child, stdout, stderr) = mmdebstrap().map_err(|source| spawn_failed(attempt(), source))?;
        let (imported, said) = tokio::join!(self.import(stdout), report(stderr, progress));
        let exit = child.wait().await.map_err(broken)?;
        if exit.success() {
            return imported.map_err(self.client.failed(attempt()));
        }
        if let Ok(id) = imported {
            // Half an image without a name: removed if possible, else pruned with the dangling ones.
            let _ = self.client.docker.remove_image(&id, None::<RemoveImageOptions>, None).await;
        }
        let code = i64::from(exit.code().unwrap_or(-1));
        Err(RuntimeError::Exited { what: "mmdebstrap".to_owned(), code, output: said })
    }

    async fn import(&self, tar: ChildStdout) -> std::result::Result<String, Error> {
        let options = CreateImageOptions { from_src: Some("-".to_owned()), ..Default::default() };
        let body = body_try_stream(ReaderStream::with_capacity(tar, 128 * 1024));
        let mut stream = std::pin::pin!(self.client.patient.create_image(Some(options), Some(body), None));
        let mut id = String::new();
        while let Some(message) = stream.next().await {
            id = message?.status.unwrap_or(id);
        }
        Ok(id)
    }
}

pub(super) async fn remembered(memory: &Path) -> bool {
    let Ok(metadata) = tokio::fs::metadata(memory).await else { return false };
    // Since an earlier moment than the mark's, nothing has passed: then it counts as new.
    metadata.modified().is_ok_and(|at| at.elapsed().unwrap_or_default() < REMEMBERED)
}

/// Writes a root file system as tar: Debian's essential packages, without manuals, and with
/// the rule that installing a package starts no daemon.
fn mmdebstrap() -> std::io::Result<(Child, ChildStdout, ChildStderr)> {
    let no_daemons =
        r#"printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d" && chmod 755 "$1/usr/sbin/policy-rc.d""#;
    let excluded = ["/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*"];
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--format=tar", "--customize-hook", no_daemons]);
    command.args(excluded.map(|path| format!("--dpkgopt=path-exclude={path}")));
    command.args(["--dpkgopt=path-include=/usr/share/doc/*/copyright", SUITE, "-"]);
    command.args([
        format!("deb http://deb.debian.org/debian {SUITE} main"),
        format!("deb http://deb.debian.org/debian {SUITE}-updates main"),
        format!("deb http://deb.debian.org/debian-security {SUITE}-security main"),
    ]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let lost = || std::io::Error::other("no pipe");
    let stdout = child.stdout.take().ok_or_else(lost)?;
    let stderr = child.stderr.take().ok_or_else(lost)?;
    Ok((child, stdout, stderr))
}

fn spawn_failed(attempt: String, source: std::io::Error) -> RuntimeError {
    if source.kind() != std::io::ErrorKind::NotFound {
        return RuntimeError::Failed { attempt, source: source.into() };
    }
    let hint = "mmdebstrap is not installed: apt-get install mmdebstrap debian-archive-keyring";
    RuntimeError::Failed { attempt, source: hint.into() }
}

/// Passes the lines on and returns the last ones.
async fn report(stderr: ChildStderr, progress: &Progress) -> String {
    let mut lines = BufReader::new(stderr).lines();
    let mut kept: Vec<String> = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("I: ") {
            progress(&format!("base: {line}"));
        }
        kept.push(line);
        let surplus = kept.len().saturating_sub(super::make::KEPT);
        kept.drain(..surplus);
    }
    kept.join("\n")
}
