//! Building a code service (platform.md, §3): tree + previous home -> new home -> one layer on
//! the type's runtime image.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::models::{ContainerConfig, ContainerCreateBody};
use bollard::query_parameters::{
    CommitContainerOptions, CreateContainerOptions, DownloadFromContainerOptions, UploadToContainerOptions,
};
use bollard::{body_full, body_try_stream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio_util::io::ReaderStream;

use crate::engine::runtime::{
    BuildSpec, BuiltImage, Identity, LogPart, Progress, Purpose, Result, RunState, RuntimeError, TypeImages,
};

use super::DockerRuntime;
use super::images::{Context, HostSettings, IMAGE_APP, IMAGE_HOME, IMAGE_TYPE};
use super::labels;

const LIMIT: Duration = Duration::from_secs(15 * 60);
const BUILDER: &str = "/usr/lib/dotcloud/build";
/// Where a build finds its input; outside the home, so that no image holds it.
const INPUT: &str = "dotcloud";
const BUNDLE: &str = "/tmp/dotcloud/ca.crt";
const HOME: &str = "/home/dotcloud";
/// Lines of a failed build that are part of its error.
const KEPT: usize = 30;

impl DockerRuntime {
    pub(super) async fn build_code(&self, spec: &BuildSpec, progress: &Progress) -> Result<BuiltImage> {
        let images = self.type_images(&spec.type_name, progress).await?;
        let images = self.with_packages(images, &spec.systempackages, progress).await?;
        let builder = self.scratch(spec, "build", &images.build).await?;
        let built = self.build_in(&builder, spec, &images, progress).await;
        let ended = self.end(&builder).await;
        built.and_then(|image| ended.map(|()| image))
    }

    async fn build_in(
        &self,
        builder: &str,
        spec: &BuildSpec,
        images: &TypeImages,
        progress: &Progress,
    ) -> Result<BuiltImage> {
        if let Some(previous) = self.usable_previous(spec, images, progress).await? {
            self.copy_previous(spec, &previous, builder).await?;
        }
        self.put_input(builder, spec).await?;
        self.run_build(builder, spec, progress).await?;
        let target = self.scratch(spec, "image", &images.runtime).await?;
        let committed = self.commit_home(builder, &target, spec, images).await;
        let ended = self.end(&target).await;
        committed.and_then(|image| ended.map(|()| image))
    }

    /// A container that is never an instance; one that an interrupted build left is removed.
    async fn scratch(&self, spec: &BuildSpec, role: &str, image: &str) -> Result<String> {
        let name = self.home.name(&format!("{}-{}-{role}", spec.app, spec.service));
        if let Some(left) = self.look(&name).await? {
            self.end(&left.id).await?;
        }
        let mut env = HostSettings::read().await.build_environment(BUNDLE);
        env.extend(spec.env.clone());
        env.insert("SERVICE_APPROOT".to_owned(), spec.approot.clone());
        let identity = Identity {
            app: spec.app.clone(),
            instance: spec.service.instance(0),
            purpose: Purpose::Build,
            generation: 0,
        };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec![BUILDER.to_owned()]),
            // The image is committed from a container without the build's environment.
            env: (role == "build").then(|| env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
            labels: Some(self.home.labels(&identity)),
            ..Default::default()
        };
        let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        let made = self.client.docker.create_container(Some(options), body).await;
        let id = made.map_err(self.client.failed(format!("create container {name}")))?.id;
        self.remember([id.clone()]);
        Ok(id)
    }

    /// The previous build's image, unless it is gone or was made with other tools.
    async fn usable_previous(
        &self,
        spec: &BuildSpec,
        images: &TypeImages,
        progress: &Progress,
    ) -> Result<Option<String>> {
        let Some(previous) = &spec.previous else { return Ok(None) };
        let labels = self.image_labels(previous).await?.map(|(_, labels)| labels);
        let same = labels.is_some_and(|labels| labels.get(IMAGE_TYPE) == Some(&images.build));
        if !same {
            progress("The previous build cannot be continued: building from scratch");
        }
        Ok(same.then(|| previous.clone()))
    }

    async fn copy_previous(&self, spec: &BuildSpec, previous: &str, builder: &str) -> Result<()> {
        let source = self.scratch(spec, "previous", previous).await?;
        let copied = self.copy_home(&source, builder).await;
        let ended = self.end(&source).await;
        copied.and(ended)
    }

    async fn put_input(&self, builder: &str, spec: &BuildSpec) -> Result<()> {
        let attempt = format!("give the tree of {} to its build", spec.service);
        let failed = |source: io::Error| RuntimeError::Failed { attempt: attempt.clone(), source: source.into() };
        let small = small_input(spec).await.map_err(failed)?;
        self.put(builder, "/tmp", body_full(small.into()), &attempt).await?;
        let tree = tar_of_file(&format!("{INPUT}/tree.tar"), &spec.tree).await.map_err(failed)?;
        self.put(builder, "/tmp", body_try_stream(tree), &attempt).await
    }

    pub(super) async fn put(&self, container: &str, path: &str, body: Body, attempt: &str) -> Result<()> {
        let options = UploadToContainerOptions { path: path.to_owned(), ..Default::default() };
        let put = self.client.patient.upload_to_container(container, Some(options), body).await;
        put.map_err(self.client.failed(attempt.to_owned()))
    }

    async fn run_build(&self, builder: &str, spec: &BuildSpec, progress: &Progress) -> Result<()> {
        let what = format!("the build of {}", spec.service);
        self.start_again(builder).await?;
        let mut lines = self.read_logs(builder, LogPart::default(), true).await?;
        let mut last = Vec::new();
        let output = async {
            while let Some(line) = lines.recv().await {
                progress(&line.text);
                last.push(line.text);
                let surplus = last.len().saturating_sub(KEPT);
                last.drain(..surplus);
            }
        };
        let timed_out = |_| RuntimeError::TimedOut { what: what.clone(), seconds: LIMIT.as_secs() };
        tokio::time::timeout(LIMIT, output).await.map_err(timed_out)?;
        match self.look(builder).await?.map(|container| container.state) {
            Some(RunState::Exited { code: 0, .. }) => Ok(()),
            Some(RunState::Exited { code, .. }) => Err(RuntimeError::Exited { what, code, output: last.join("\n") }),
            _ => Err(RuntimeError::Missing { what: format!("container of {what}") }),
        }
    }

    async fn commit_home(
        &self,
        builder: &str,
        target: &str,
        spec: &BuildSpec,
        images: &TypeImages,
    ) -> Result<BuiltImage> {
        let bytes = self.copy_home(builder, target).await?;
        let (repository, tag) = spec.target.rsplit_once(':').unwrap_or((&spec.target, "latest"));
        let options = CommitContainerOptions {
            container: Some(target.to_owned()),
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
            pause: false,
            ..Default::default()
        };
        let config = self.image_config(spec, images).await?;
        let committed = self.client.patient.commit_container(options, config).await;
        committed.map_err(self.client.failed(format!("make image {}", spec.target)))?;
        Ok(BuiltImage { image: spec.target.clone(), bytes })
    }

    /// The runtime image's own entry point and labels of this home; the scratch container's
    /// labels must not pass to the image, nor from there to its containers.
    async fn image_config(&self, spec: &BuildSpec, images: &TypeImages) -> Result<ContainerConfig> {
        let inspected = self.client.docker.inspect_image(&images.runtime).await;
        let inspected = inspected.map_err(self.client.failed(format!("look at image {}", images.runtime)))?;
        let mut labels: HashMap<String, String> = labels::ALL.map(|key| (key.to_owned(), String::new())).into();
        labels.insert(IMAGE_HOME.to_owned(), self.home.id().to_owned());
        labels.insert(IMAGE_APP.to_owned(), spec.app.to_string());
        labels.insert(IMAGE_TYPE.to_owned(), images.build.clone());
        let entrypoint = inspected.config.and_then(|config| config.entrypoint);
        Ok(ContainerConfig { labels: Some(labels), entrypoint, ..Default::default() })
    }

    /// Streams the home from one container to another, owners included; returns the bytes.
    async fn copy_home(&self, from: &str, to: &str) -> Result<u64> {
        let attempt = "copy a home between containers";
        let options = DownloadFromContainerOptions { path: HOME.to_owned() };
        let source = self.client.patient.download_from_container(from, Some(options));
        let count = Arc::new(AtomicU64::new(0));
        let counted = {
            let count = count.clone();
            source.inspect_ok(move |chunk| {
                count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            })
        };
        let body = body_try_stream(counted.map_err(io::Error::other));
        self.put(to, "/home", body, attempt).await?;
        Ok(count.load(Ordering::Relaxed))
    }
}

/// What bollard takes as a request's body.
type Body = http_body_util::Either<
    http_body_util::Full<Bytes>,
    http_body_util::StreamBody<std::pin::Pin<Box<dyn Stream<Item = io::Result<hyper::body::Frame<Bytes>>> + Send>>>,
>;

async fn small_input(spec: &BuildSpec) -> io::Result<Vec<u8>> {
    let authorities = HostSettings::read().await.authorities.unwrap_or_default();
    let recipe = serde_json::to_vec_pretty(&spec.recipe)?;
    let mut input = Context::new();
    input.add(&format!("{INPUT}/recipe.json"), &recipe)?;
    input.add(&format!("{INPUT}/ca.crt"), &authorities)?;
    input.finish()
}

/// A tar archive that holds one file, which is not read into memory.
async fn tar_of_file(name: &str, path: &Path) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
    let file = tokio::fs::File::open(path).await?;
    let size = file.metadata().await?.len();
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    let padding = size.next_multiple_of(512) - size + 1024;
    let end = vec![0; usize::try_from(padding).map_err(io::Error::other)?];
    let before = stream::iter([Ok(Bytes::copy_from_slice(header.as_bytes()))]);
    let after = stream::iter([Ok(Bytes::from(end))]);
    Ok(before.chain(ReaderStream::with_capacity(file, 128 * 1024)).chain(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_wrapped_without_being_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, vec![7; 1300]).unwrap();
        let chunks: Vec<Bytes> = tar_of_file("in/tree.tar", &path).await.unwrap().try_collect().await.unwrap();
        let bytes = chunks.concat();
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("in/tree.tar"));
        let mut content = Vec::new();
        io::Read::read_to_end(&mut entry, &mut content).unwrap();
        assert_eq!(content, vec![7; 1300]);
        assert_eq!(bytes.len() % 512, 0);
    }
}
