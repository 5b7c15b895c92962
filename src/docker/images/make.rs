//! Making an image with the classic builder, which every engine from 20.10 on has.

use std::collections::{HashMap, VecDeque};

use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use bollard::{body_full, errors::Error};
use futures_util::StreamExt;

use crate::engine::runtime::{Progress, Result, RuntimeError};

use super::{HostSettings, IMAGE_SHARED, Wish, context};
use crate::docker::DockerRuntime;

/// So many lines of a failed build are part of its error.
pub(in crate::docker) const KEPT: usize = 20;

impl DockerRuntime {
    pub(super) async fn make_image(&self, wish: &Wish<'_>, tag: &str, progress: &Progress) -> Result<()> {
        let host = HostSettings::read().await;
        let attempt = format!("build image {tag}");
        let context = context::of_folder(wish.files, host.authorities.as_deref().unwrap_or_default())
            .map_err(|source| RuntimeError::Failed { attempt: attempt.clone(), source: source.into() })?;
        progress(&format!("Building image {tag}"));
        let mut output = Output { name: wish.name.clone(), progress: progress.clone(), last: VecDeque::new() };
        let mut stream = std::pin::pin!(self.client.patient.build_image(
            options(wish, tag, &host),
            None,
            Some(body_full(context.into()))
        ));
        while let Some(message) = stream.next().await {
            match message {
                Ok(message) => output.push(message)?,
                Err(Error::DockerStreamError { error }) => return Err(output.failed(1, &error)),
                Err(error) => return Err(self.client.failed(attempt)(error)),
            }
        }
        Ok(())
    }
}

fn options(wish: &Wish<'_>, tag: &str, host: &HostSettings) -> BuildImageOptions {
    let mut arguments: HashMap<String, String> = host.proxies.clone().into_iter().collect();
    arguments.insert("PARENT".to_owned(), wish.parent.clone());
    BuildImageOptions {
        dockerfile: wish.dockerfile.to_owned(),
        t: Some(tag.to_owned()),
        buildargs: Some(arguments),
        rm: true,
        forcerm: true,
        labels: Some([(IMAGE_SHARED.to_owned(), wish.name.clone())].into()),
        version: BuilderVersion::BuilderV1,
        ..Default::default()
    }
}

/// The builder's output on its way to the progress.
struct Output {
    name: String,
    progress: Progress,
    last: VecDeque<String>,
}

impl Output {
    fn push(&mut self, message: BuildInfo) -> Result<()> {
        for line in message.stream.unwrap_or_default().lines().filter(|line| !line.trim().is_empty()) {
            // Packages' hundreds of lines are for failures; the steps show that it goes on.
            if line.starts_with("Step ") {
                (self.progress)(&format!("{}: {line}", self.name));
            }
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(line.to_owned());
        }
        match message.error_detail {
            None => Ok(()),
            Some(detail) => Err(self.failed(detail.code.unwrap_or(1), &detail.message.unwrap_or_default())),
        }
    }

    fn failed(&self, code: i64, message: &str) -> RuntimeError {
        let mut output: Vec<&str> = self.last.iter().map(String::as_str).collect();
        output.push(message);
        RuntimeError::Exited { what: format!("building image {}", self.name), code, output: output.join("\n") }
    }
}
