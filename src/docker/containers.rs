//! Making, stopping and ending containers. Every call is idempotent.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig,
    NetworkingConfig,
};
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, RemoveContainerOptions, StartContainerOptions, StopContainerOptions,
    UploadToContainerOptions,
};
use bollard::{body_full, body_try_stream};
use tokio_util::io::ReaderStream;

use crate::engine::runtime::{Attachment, ContainerSpec, Result, RunState, RuntimeError};
use crate::model::Memory;

use super::DockerRuntime;
use super::client::{already, status};
use super::labels::Home;

/// The home of the platform's user in code containers, and its id there.
const HOME: &str = "/home/dotcloud";
const USER: u64 = 1000;

impl DockerRuntime {
    pub(super) async fn ensure_started(&self, spec: &ContainerSpec) -> Result<String> {
        let (id, runs) = match self.create(spec).await? {
            Some(id) => (id, false),
            None => self.take_over(spec).await?,
        };
        self.own_shared(&id, spec).await?;
        if let Some(overlay) = spec.overlay.as_ref().filter(|_| !runs) {
            self.put_overlay(&id, overlay).await?;
        }
        self.start_again(&id).await?;
        Ok(id)
    }

    /// Gives the shared folders to the platform's user. A new volume belongs to root, and so do
    /// folders that Docker makes on the way to where it is mounted. Doing it twice, or in two
    /// containers at once, changes nothing more.
    async fn own_shared(&self, id: &str, spec: &ContainerSpec) -> Result<()> {
        if spec.shared.is_empty() {
            return Ok(());
        }
        let attempt = format!("give the shared folders of container {} to its user", spec.name);
        let folders = spec.shared.iter().filter_map(|(_, path)| Path::new(path).strip_prefix(HOME).ok());
        let archive = folders_archive(folders)
            .map_err(|source| RuntimeError::Failed { attempt: attempt.clone(), source: source.into() })?;
        let options = UploadToContainerOptions { path: HOME.to_owned(), ..Default::default() };
        let put = self.client.docker.upload_to_container(id, Some(options), body_full(archive.into())).await;
        put.map_err(self.client.failed(attempt))
    }

    async fn put_overlay(&self, container: &str, overlay: &Path) -> Result<()> {
        let attempt = format!("give container {container} what went live after its build");
        let file = tokio::fs::File::open(overlay).await;
        let file = file.map_err(|source| RuntimeError::Failed { attempt: attempt.clone(), source: source.into() })?;
        let stream = ReaderStream::with_capacity(file, 128 * 1024);
        self.put(container, HOME, body_try_stream(stream), &attempt).await
    }

    /// `None` when the name is taken.
    pub(super) async fn create(&self, spec: &ContainerSpec) -> Result<Option<String>> {
        let options = CreateContainerOptions { name: Some(spec.name.clone()), ..Default::default() };
        let what = format!("image {}", spec.image);
        match self.client.docker.create_container(Some(options), body(&self.home, spec)).await {
            Ok(made) => {
                self.remember([made.id.clone()]);
                Ok(Some(made.id))
            }
            Err(error) if status(&error) == Some(409) => Ok(None),
            Err(error) => Err(self.client.failed_on(&what, format!("create container {}", spec.name))(error)),
        }
    }

    /// The container that has the name, and whether it runs: the same one as is asked for, or
    /// removed and made anew.
    async fn take_over(&self, spec: &ContainerSpec) -> Result<(String, bool)> {
        let foreign =
            || RuntimeError::Missing { what: format!("free name {} (a foreign container has it)", spec.name) };
        let there = self.look(&spec.name).await?.ok_or_else(foreign)?;
        if there.identity == spec.identity {
            self.remember([there.id.clone()]);
            return Ok((there.id, matches!(there.state, RunState::Running | RunState::Paused)));
        }
        self.end(&there.id).await?;
        Ok((self.create(spec).await?.ok_or_else(foreign)?, false))
    }

    pub(super) async fn start_again(&self, container: &str) -> Result<()> {
        self.check_ours(container).await?;
        let started = self.client.docker.start_container(container, None::<StartContainerOptions>).await;
        started.map_err(self.client.failed_on(&named(container), format!("start container {container}")))
    }

    pub(super) async fn stop_gently(&self, container: &str, grace_seconds: u32) -> Result<()> {
        self.check_ours(container).await?;
        let options = StopContainerOptions { signal: None, t: i32::try_from(grace_seconds).ok() };
        let stopped = self.client.patient.stop_container(container, Some(options)).await;
        stopped.map_err(self.client.failed_on(&named(container), format!("stop container {container}")))
    }

    pub(super) async fn kill_now(&self, container: &str) -> Result<()> {
        self.check_ours(container).await?;
        let options = KillContainerOptions { signal: "SIGKILL".to_owned() };
        // 409: it does not run.
        let killed = already(self.client.docker.kill_container(container, Some(options)).await, &[409]);
        killed.map_err(self.client.failed_on(&named(container), format!("kill container {container}")))
    }

    pub(super) async fn set_paused(&self, container: &str, paused: bool) -> Result<()> {
        self.check_ours(container).await?;
        let verb = if paused { "pause" } else { "unpause" };
        let done = match paused {
            true => self.client.docker.pause_container(container).await,
            false => self.client.docker.unpause_container(container).await,
        };
        let Err(error) = done else { return Ok(()) };
        let now = self.look(container).await?.map(|there| there.state);
        match (paused, now) {
            (true, Some(RunState::Paused)) | (false, Some(RunState::Running)) => Ok(()),
            _ => Err(self.client.failed_on(&named(container), format!("{verb} container {container}"))(error)),
        }
    }

    pub(super) async fn end(&self, container: &str) -> Result<()> {
        match self.check_ours(container).await {
            Err(RuntimeError::Missing { .. }) => return Ok(()),
            other => other?,
        }
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        // 409: another call is removing it.
        let gone = already(self.client.docker.remove_container(container, Some(options)).await, &[404, 409]);
        gone.map_err(self.client.failed(format!("remove container {container}")))?;
        self.forget(container);
        Ok(())
    }

    pub(super) async fn limit_memory(&self, container: &str, memory: Memory) -> Result<()> {
        self.check_ours(container).await?;
        let attempt = format!("set the memory limit of container {container} to {memory}");
        let used = Memory::from_bytes(self.used_memory(container).await?);
        if used > memory {
            return Err(RuntimeError::Failed { attempt, source: format!("{used} are in use").into() });
        }
        let bytes = i64::try_from(memory.bytes()).ok();
        let update = ContainerUpdateBody { memory: bytes, memory_swap: bytes, ..Default::default() };
        let updated = self.client.docker.update_container(container, update).await;
        updated.map_err(self.client.failed_on(&named(container), attempt)).map(drop)
    }

    /// Nothing that is not ours is touched; what was seen once needs no second look.
    pub(super) async fn check_ours(&self, container: &str) -> Result<()> {
        if self.known().contains(container) {
            return Ok(());
        }
        let found = self.look(container).await?;
        let found = found.ok_or_else(|| RuntimeError::Missing { what: named(container) })?;
        self.remember([found.id]);
        Ok(())
    }

    pub(super) fn remember(&self, ids: impl IntoIterator<Item = String>) {
        self.known().extend(ids);
    }

    fn forget(&self, id: &str) {
        self.known().remove(id);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<String>> {
        self.ours.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn named(container: &str) -> String {
    format!("container {container}")
}

fn body(home: &Home, spec: &ContainerSpec) -> ContainerCreateBody {
    let in_pod = matches!(spec.attachment, Attachment::Pod(_));
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: spec.command.clone(),
        env: Some(spec.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        // A member's names are its pod's.
        hostname: spec.hostname.clone().filter(|_| !in_pod),
        labels: Some(home.labels(&spec.identity)),
        host_config: Some(host_config(spec, in_pod)),
        networking_config: fixed_address(&spec.attachment),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec, in_pod: bool) -> HostConfig {
    let network_mode = match &spec.attachment {
        Attachment::Network { name, .. } => Some(name.clone()),
        Attachment::Pod(pod) => Some(format!("container:{pod}")),
        Attachment::Default => None,
    };
    let memory = spec.memory.and_then(|memory| i64::try_from(memory.bytes()).ok());
    let hosts = spec.hosts.iter().map(|(name, at)| format!("{name}:{at}")).collect();
    HostConfig {
        network_mode,
        extra_hosts: Some(hosts).filter(|_| !in_pod),
        memory,
        memory_swap: memory,
        binds: Some(binds(spec)),
        log_config: Some(bounded_log()),
        ..Default::default()
    }
}

fn binds(spec: &ContainerSpec) -> Vec<String> {
    let own = spec.volumes.iter().map(|(volume, path)| format!("{volume}:{path}"));
    // What the image has there would be copied by whoever comes first, while others read.
    let shared = spec.shared.iter().map(|(volume, path)| format!("{volume}:{path}:nocopy"));
    own.chain(shared).collect()
}

/// A tar of folders of the platform's user, with those that lead there.
fn folders_archive<'a>(folders: impl Iterator<Item = &'a Path>) -> std::io::Result<Vec<u8>> {
    let all: BTreeSet<&Path> = folders.flat_map(Path::ancestors).filter(|path| !path.as_os_str().is_empty()).collect();
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let mut archive = tar::Builder::new(Vec::new());
    for folder in all {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_uid(USER);
        header.set_gid(USER);
        header.set_size(0);
        header.set_mtime(now);
        archive.append_data(&mut header, folder, std::io::empty())?;
    }
    archive.into_inner()
}

fn bounded_log() -> HostConfigLogConfig {
    let limits: HashMap<String, String> =
        [("max-size", "10m"), ("max-file", "2")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(limits) }
}

fn fixed_address(attachment: &Attachment) -> Option<NetworkingConfig> {
    let Attachment::Network { name, ip: Some(ip) } = attachment else { return None };
    let ipam = EndpointIpamConfig { ipv4_address: Some(ip.to_string()), ..Default::default() };
    let endpoint = EndpointSettings { ipam_config: Some(ipam), ..Default::default() };
    Some(NetworkingConfig { endpoints_config: Some([(name.clone(), endpoint)].into()) })
}
