//! Official images that are the parents of types: there already, else pulled through the engine.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::engine::runtime::{Progress, Result, RuntimeError};

use super::lock;
use crate::docker::DockerRuntime;

/// A registry that says nothing for so long is taken to be unreachable.
const REGISTRY_ANSWERS: Duration = Duration::from_secs(10);
/// One that began to send may be slow.
const REGISTRY_SENDS: Duration = Duration::from_secs(60);

impl DockerRuntime {
    /// Needs no network when the image is there.
    pub(super) async fn ensure_pulled(&self, image: &str, type_name: &str, progress: &Progress) -> Result<()> {
        if self.has_image(image).await? {
            return Ok(());
        }
        let _lock = lock::machine_wide(image).await;
        if self.has_image(image).await? {
            return Ok(());
        }
        progress(&format!("Pulling image {image} for type {type_name}"));
        let pulled = self.pull_image(image, REGISTRY_ANSWERS, progress).await;
        pulled.map_err(|cause| RuntimeError::Failed {
            attempt: format!("pull image {image}, which type {type_name} is made from"),
            source: advice(image, &cause).into(),
        })
    }

    /// `answers`: how long the registry may take to say anything.
    pub(super) async fn pull_image(
        &self,
        image: &str,
        answers: Duration,
        progress: &Progress,
    ) -> std::result::Result<(), String> {
        let (repository, tag) = named(image);
        let options = CreateImageOptions {
            from_image: Some(repository.to_owned()),
            tag: tag.map(str::to_owned),
            ..Default::default()
        };
        let mut stream = std::pin::pin!(self.client.patient.create_image(Some(options), None, None));
        let (mut patience, mut layers) = (answers, Layers::default());
        loop {
            match timeout(patience, stream.next()).await {
                Err(_) => return Err(format!("no answer within {} s", patience.as_secs())),
                Ok(None) => return Ok(()),
                Ok(Some(Err(error))) => return Err(words(&error)),
                Ok(Some(Ok(message))) => {
                    patience = REGISTRY_SENDS;
                    if let Some(line) = layers.take(&message) {
                        progress(&format!("{image}: {line}"));
                    }
                }
            }
        }
    }
}

/// The cause, and what can be done about it.
fn advice(image: &str, cause: &str) -> String {
    format!(
        "{}. Run `docker pull {image}` where a registry can be reached and carry it here \
         (`docker save {image} | gzip > image.tgz`, `docker load -i image.tgz`), or name a mirror in the Docker \
         engine's settings (\"registry-mirrors\"); then push again. Everything else comes up without the services of this \
         type: take them out of the build file",
        cause.trim_end_matches('.')
    )
}

fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => other.to_string(),
    }
}

/// Repository and tag. Without a tag the engine would fetch all there are; a digest is part of
/// the name.
fn named(image: &str) -> (&str, Option<&str>) {
    if image.contains('@') {
        return (image, None);
    }
    match image.rsplit_once(':') {
        // A port of the registry, not a tag.
        Some((_, rest)) if rest.contains('/') => (image, Some("latest")),
        Some((repository, tag)) => (repository, Some(tag)),
        None => (image, Some("latest")),
    }
}

/// How far the layers of an image are.
#[derive(Default)]
struct Layers(BTreeMap<String, bool>);

impl Layers {
    /// A line for people, when another layer is complete.
    fn take(&mut self, message: &CreateImageInfo) -> Option<String> {
        let (id, status) = (message.id.as_ref()?, message.status.as_deref()?);
        let complete = match status {
            "Pull complete" | "Already exists" => true,
            "Pulling fs layer" | "Waiting" | "Downloading" | "Verifying Checksum" | "Download complete"
            | "Extracting" => false,
            // Of the whole image: "Pulling from library/solr".
            _ => return None,
        };
        let before = self.0.insert(id.clone(), complete);
        let done = self.0.values().filter(|complete| **complete).count();
        (complete && before != Some(true)).then(|| format!("{done} of {} layers", self.0.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag_and_a_digest_belongs_to_the_name() {
        assert_eq!(named("solr:9"), ("solr", Some("9")));
        assert_eq!(named("solr"), ("solr", Some("latest")));
        assert_eq!(named("mirror.example:5000/solr"), ("mirror.example:5000/solr", Some("latest")));
        assert_eq!(named("mirror.example:5000/solr:9"), ("mirror.example:5000/solr", Some("9")));
        assert_eq!(named("solr@sha256:aa"), ("solr@sha256:aa", None));
    }

    #[test]
    fn layers_are_counted_once_each() {
        let mut layers = Layers::default();
        let mut say = |id: &str, status: &str| {
            let message =
                CreateImageInfo { id: Some(id.to_owned()), status: Some(status.to_owned()), ..Default::default() };
            layers.take(&message)
        };
        assert_eq!(say("9", "Pulling from library/solr"), None);
        assert_eq!(say("a", "Pulling fs layer"), None);
        assert_eq!(say("b", "Already exists").as_deref(), Some("1 of 2 layers"));
        assert_eq!(say("a", "Downloading"), None);
        assert_eq!(say("a", "Pull complete").as_deref(), Some("2 of 2 layers"));
        assert_eq!(say("a", "Pull complete"), None);
    }

    #[test]
    fn an_image_that_cannot_be_had_is_named_with_the_cause_and_a_way_out() {
        let text = advice("solr:9", "lookup registry-1.docker.io: no such host");
        assert!(text.starts_with("lookup registry-1.docker.io: no such host. Run `docker pull solr:9`"), "{text}");
        assert!(text.contains("docker load") && text.contains("registry-mirrors"), "{text}");
    }
}
