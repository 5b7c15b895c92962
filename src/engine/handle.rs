//! The engine's face towards the API: one method per thing a user can ask for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::model::{AppName, InstanceName, Memory, ServiceName};

use super::runtime::{ExecSession, ExecSpec, RuntimeError};
use super::view::*;

/// A refused or failed request. `api::server` pairs each with an HTTP status.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    /// The request is understood and refused, with the reason and the next step.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("cannot use the store")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

pub type Result<T> = std::result::Result<T, EngineError>;

/// Cheap to clone; every clone speaks to the same engine.
#[derive(Clone)]
pub struct Engine {
    _inner: Arc<()>,
}

impl Engine {
    // --- applications
    pub async fn apps(&self) -> Result<Vec<AppView>> { todo!() }
    pub async fn app(&self, _app: &AppName) -> Result<AppView> { todo!() }
    /// `Conflict` when it exists.
    pub async fn create(&self, _app: &AppName, _flavor: &str) -> Result<()> { todo!() }
    /// Returns when containers, networks, volumes, images and records are gone.
    pub async fn destroy(&self, _app: &AppName) -> Result<()> { todo!() }
    pub async fn destroy_service(&self, _app: &AppName, _service: &ServiceName) -> Result<()> { todo!() }
    /// Removes containers and network; with `volumes` the data too. Returns when they are gone.
    pub async fn down(&self, _app: &AppName, _volumes: bool) -> Result<()> { todo!() }
    /// Starts a stack that is `down` again, without a build. Returns at once.
    pub async fn up(&self, _app: &AppName) -> Result<()> { todo!() }
    /// Waits until everything asked for runs and answers, or reports what it still waits for
    /// through `holds` every time that changes. `Err(Invalid)` when a deployment failed meanwhile.
    pub async fn wait(&self, _app: &AppName, _holds: mpsc::Sender<Vec<String>>) -> Result<()> { todo!() }

    // --- services
    pub async fn service(&self, _app: &AppName, _service: &ServiceName) -> Result<ServiceView> { todo!() }
    /// Validates all wishes before any takes effect; returns what was rounded or warned of.
    /// Instances converge in the background (`wait`); memory is applied when it returns.
    pub async fn scale(&self, _app: &AppName, _wishes: Vec<ScaleWish>) -> Result<Vec<String>> { todo!() }
    /// Restarts one instance; a data service's master keeps its role.
    pub async fn restart(&self, _app: &AppName, _instance: &InstanceName) -> Result<()> { todo!() }
    /// SIGKILL to an instance. `role`: `www.2`, `db.master`, `db.slave`.
    pub async fn kill(&self, _app: &AppName, _role: &str) -> Result<InstanceName> { todo!() }
    /// `www`, `www.1`, `db.master`, `db.slave` -> an instance.
    pub async fn resolve(&self, _app: &AppName, _role: &str) -> Result<InstanceName> { todo!() }

    // --- code
    /// Where an upload (a tar of the tree) is to be written before `uploaded`.
    pub async fn upload_path(&self, _app: &AppName) -> Result<PathBuf> { todo!() }
    /// Takes a complete upload over; returns its revision, `rsync-<ms>`.
    pub async fn uploaded(&self, _app: &AppName, _file: &Path) -> Result<String> { todo!() }
    /// Schedules a deployment; a second one waits for the first.
    pub async fn deploy(&self, _app: &AppName, _wish: DeployWish) -> Result<DeploymentView> { todo!() }
    pub async fn deployments(&self, _app: &AppName) -> Result<Vec<DeploymentView>> { todo!() }
    /// From the first line on; with `follow` until the deployment's end. `latest` is understood.
    pub async fn deploy_log(&self, _app: &AppName, _id: &str, _follow: bool) -> Result<mpsc::Receiver<DeployLine>> { todo!() }
    /// All revisions, oldest first.
    pub async fn revisions(&self, _app: &AppName) -> Result<Vec<String>> { todo!() }

    // --- environment, logs, shells
    pub async fn environment(&self, _app: &AppName) -> Result<BTreeMap<String, String>> { todo!() }
    /// `None` unsets. Takes effect with the next deployment.
    pub async fn set_environment(&self, _app: &AppName, _changes: BTreeMap<String, Option<String>>) -> Result<()> { todo!() }
    /// `filter`: services and instances; empty means all. Follows across restarts.
    pub async fn logs(&self, _app: &AppName, _filter: Vec<String>, _lines: Option<u32>, _follow: bool) -> Result<mpsc::Receiver<AppLogLine>> { todo!() }
    /// For a data service without a command: its client, logged in.
    pub async fn run(&self, _app: &AppName, _instance: &InstanceName, _spec: ExecSpec) -> Result<ExecSession> { todo!() }
    pub async fn activity(&self, _app: Option<&AppName>) -> Result<Vec<ActivityView>> { todo!() }

    // --- the machine
    pub async fn doctor(&self) -> Vec<Finding> { todo!() }
    /// Whether limits above 4G are accepted.
    pub async fn allow_large_memory(&self, _allow: bool) -> Result<()> { todo!() }
    /// `Memory::DEFAULT` unless changed.
    pub fn default_memory(&self) -> Memory { Memory::DEFAULT }
}
