//! The containers of every application, on a Docker engine.
//!
//! This room implements [`Runtime`] and is the only user of bollard. It knows how a thing is
//! done in Docker (API 1.41 and later), never whether it should be done: it must not know of
//! plans, roles, routes or the store. Everything it makes carries labels of one home, and it
//! touches nothing else.

mod beside;
mod build;
mod client;
mod containers;
mod endpoint;
mod events;
mod images;
mod labels;
mod networks;
mod observe;
mod subnets;
mod talk;
mod usage;
mod volumes;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc};
use tokio_util::task::AbortOnDropHandle;

use crate::catalog::Catalog;
use crate::engine::runtime::{
    BuildSpec, BuiltImage, ContainerSpec, EngineInfo, ExecSession, ExecSpec, LogLine, LogPart, ObservedApp,
    ObservedNetwork, Progress, Result, Runtime, RuntimeError, RuntimeEvent, TypeImages,
};
use crate::engine::view::Finding;
use crate::model::{AppName, Memory};

use client::Client;
use labels::Home;

/// What a runtime needs to know of its daemon.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    /// A hash of `DOTCLOUD_HOME` in hex, at least 6 digits: label value and part of names.
    pub home_id: String,
    /// Where decisions about this machine are remembered.
    pub state_dir: PathBuf,
}

/// The Docker engine as seen by one `DOTCLOUD_HOME`.
pub struct DockerRuntime {
    client: Client,
    home: Home,
    catalog: Catalog,
    state_dir: PathBuf,
    events: broadcast::Sender<RuntimeEvent>,
    /// Containers known to be ours, so that a kill needs no look first.
    ours: Mutex<HashSet<String>>,
    /// One network is made at a time: two would choose the same subnet.
    making_network: tokio::sync::Mutex<()>,
    _listener: AbortOnDropHandle<()>,
}

impl DockerRuntime {
    /// Finds the engine (`DOCKER_HOST`, the active docker context, the default socket), agrees
    /// on an API version and starts to listen to its events.
    ///
    /// # Errors
    /// `Unreachable` with the endpoint that was tried.
    pub async fn connect(config: DockerConfig) -> Result<Arc<Self>> {
        let catalog = Catalog::embedded().map_err(|source| RuntimeError::Failed {
            attempt: "read the embedded service types".to_owned(),
            source: source.into(),
        })?;
        Self::connect_with(config, catalog).await
    }

    /// As [`Self::connect`], with the service types of `catalog`.
    ///
    /// # Errors
    /// `Unreachable` with the endpoint that was tried.
    pub async fn connect_with(config: DockerConfig, catalog: Catalog) -> Result<Arc<Self>> {
        let client = Client::connect(endpoint::active()?).await?;
        let home = Home::new(&config.home_id);
        let (events, _) = broadcast::channel(1024);
        let listener = tokio::spawn(events::listen(client.clone(), home.clone(), events.clone()));
        Ok(Arc::new(Self {
            client,
            home,
            catalog,
            state_dir: config.state_dir,
            events,
            ours: Mutex::default(),
            making_network: tokio::sync::Mutex::default(),
            _listener: AbortOnDropHandle::new(listener),
        }))
    }
}

/// Each method is one call of the file that knows how it is done.
#[async_trait]
impl Runtime for DockerRuntime {
    async fn info(&self) -> Result<EngineInfo> {
        self.engine_info().await
    }

    async fn diagnose(&self) -> Vec<Finding> {
        self.diagnose_images().await
    }

    async fn observe(&self, app: &AppName) -> Result<ObservedApp> {
        self.observe_app(app).await
    }

    async fn apps(&self) -> Result<Vec<AppName>> {
        self.app_names().await
    }

    fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.events.subscribe()
    }

    async fn memory_used(&self, container: &str) -> Result<u64> {
        self.used_memory(container).await
    }

    async fn ensure_network(&self, app: &AppName, wanted: Option<&str>) -> Result<ObservedNetwork> {
        self.make_network(app, wanted).await
    }

    async fn remove_network(&self, app: &AppName) -> Result<()> {
        self.drop_network(app).await
    }

    async fn ensure_volume(&self, app: &AppName, name: &str) -> Result<()> {
        self.make_volume(app, name).await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.drop_volume(name).await
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<String> {
        self.ensure_started(spec).await
    }

    async fn restart(&self, container: &str) -> Result<()> {
        self.start_again(container).await
    }

    async fn stop(&self, container: &str, grace_seconds: u32) -> Result<()> {
        self.stop_gently(container, grace_seconds).await
    }

    async fn kill(&self, container: &str) -> Result<()> {
        self.kill_now(container).await
    }

    async fn pause(&self, container: &str) -> Result<()> {
        self.set_paused(container, true).await
    }

    async fn unpause(&self, container: &str) -> Result<()> {
        self.set_paused(container, false).await
    }

    async fn remove(&self, container: &str) -> Result<()> {
        self.end(container).await
    }

    async fn set_memory(&self, container: &str, memory: Memory) -> Result<()> {
        self.limit_memory(container, memory).await
    }

    async fn ensure_type(&self, type_name: &str, progress: Progress) -> Result<TypeImages> {
        self.type_images(type_name, &progress).await
    }

    async fn build(&self, spec: &BuildSpec, progress: Progress) -> Result<BuiltImage> {
        self.build_code(spec, &progress).await
    }

    async fn image_exists(&self, image: &str) -> Result<bool> {
        self.has_image(image).await
    }

    async fn remove_image(&self, image: &str) -> Result<()> {
        self.drop_image(image).await
    }

    async fn app_images(&self, app: &AppName) -> Result<Vec<String>> {
        self.images_of(app).await
    }

    async fn exec(&self, container: &str, spec: &ExecSpec) -> Result<ExecSession> {
        self.open_exec(container, spec).await
    }

    async fn exec_beside(&self, app: &AppName, image: &str, volume: &str, spec: &ExecSpec) -> Result<ExecSession> {
        self.open_beside(app, image, volume, spec).await
    }

    async fn logs(&self, container: &str, part: LogPart, follow: bool) -> Result<mpsc::Receiver<LogLine>> {
        self.read_logs(container, part, follow).await
    }
}
