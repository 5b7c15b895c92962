//! What the engine needs of a container runtime. The trait belongs here, to its consumer;
//! `docker` implements it, and so does the fake that the scenarios run on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc};

pub use crate::model::observed::*;
use crate::model::{AppName, Memory, ServiceName};

use super::view::Finding;

/// A failed attempt at the runtime. The cause is only in `source`.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("cannot reach the Docker engine at {endpoint}")]
    Unreachable {
        endpoint: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot {attempt}")]
    Failed {
        attempt: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A build or hook that ran and said no; `output` is its last lines.
    #[error("{what} failed with exit code {code}")]
    Exited { what: String, code: i64, output: String },
    #[error("{what} did not finish within {seconds} s")]
    TimedOut { what: String, seconds: u64 },
    #[error("there is no {what}")]
    Missing { what: String },
}

pub type Result<T> = std::result::Result<T, RuntimeError>;

/// Where a container's network comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// The application's network; pods have a fixed address, code instances any.
    Network { name: String, ip: Option<Ipv4Addr> },
    /// The network namespace of this container (id).
    Pod(String),
    /// The engine's default bridge, for builds.
    Default,
}

#[derive(Debug, Clone)]
pub struct ContainerSpec {
    pub identity: Identity,
    pub name: String,
    pub image: String,
    /// Code instances are given their environment: one JSON object, one key per line.
    pub command: Option<Vec<String>>,
    pub env: BTreeMap<String, String>,
    pub hostname: Option<String>,
    pub hosts: Vec<(String, IpAddr)>,
    pub attachment: Attachment,
    pub memory: Option<Memory>,
    /// (volume, path in the container). A new volume takes content and owner of the image's folder.
    pub volumes: Vec<(String, String)>,
    /// (volume, path below /home/dotcloud) that several containers may have. Nothing of the image
    /// goes into them; they belong to the platform's user when the container starts.
    pub shared: Vec<(String, String)>,
    /// A tar that is put into the home of code instances before they start.
    pub overlay: Option<PathBuf>,
}

/// Something happened to a container of ours. Events are hints to look, never facts to act on.
#[derive(Debug, Clone)]
pub struct RuntimeEvent {
    pub app: AppName,
    pub container: String,
    /// `start`, `die`, `pause`, `unpause`, `destroy`, `oom`…
    pub action: String,
}

/// The recipe of a type's images; see `templates/<type>/`.
#[derive(Debug, Clone)]
pub struct TypeImages {
    /// For running instances.
    pub runtime: String,
    /// For building code; equals `runtime` for types that need no compilers.
    pub build: String,
}

/// One build of a code service (platform.md, §3).
#[derive(Debug, Clone)]
pub struct BuildSpec {
    pub app: AppName,
    pub service: ServiceName,
    pub type_name: String,
    /// The uploaded tree, a tar file.
    pub tree: PathBuf,
    pub revision: String,
    /// Image of the previous build to start from; `None` for a clean one.
    pub previous: Option<String>,
    /// The image to make.
    pub target: String,
    pub approot: String,
    pub systempackages: Vec<String>,
    /// Environment of the build: `SERVICE_*` and the service's `environment`.
    pub env: BTreeMap<String, String>,
    /// The hooks and processes (`catalog::recipe`), read by the type's build script from
    /// `~/.dotcloud/recipe.json`.
    pub recipe: serde_json::Value,
}

/// A line of progress or output, for the deployment's log.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Debug, Clone)]
pub struct BuiltImage {
    pub image: String,
    pub bytes: u64,
}

#[derive(Debug, Clone, Default)]
pub struct ExecSpec {
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub user: Option<String>,
    pub workdir: Option<String>,
    pub tty: Option<TtySize>,
    pub stdin: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct TtySize {
    pub rows: u16,
    pub cols: u16,
}

#[derive(Debug, Clone)]
pub enum ExecOutput {
    Stdout(bytes::Bytes),
    Stderr(bytes::Bytes),
    /// Always the last message.
    Exit(i64),
}

/// A running `exec`: write to `stdin` (drop it to close), read until `Exit`.
pub struct ExecSession {
    pub stdin: Option<mpsc::Sender<bytes::Bytes>>,
    pub resize: mpsc::Sender<TtySize>,
    pub output: mpsc::Receiver<Result<ExecOutput>>,
}

/// Which lines of a log are asked for; none given means all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogPart {
    /// The last so many.
    pub lines: Option<u32>,
    /// From this second on (since 1970).
    pub since: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct LogLine {
    /// RFC 3339 with nanoseconds, as the engine wrote it.
    pub at: String,
    pub stderr: bool,
    /// The program of the container that wrote it, where it is known.
    pub process: Option<String>,
    pub text: String,
}

#[derive(Debug, Clone)]
pub struct EngineInfo {
    pub endpoint: String,
    pub version: String,
    pub api_version: String,
    /// Free bytes of the engine's data directory, when it is on this machine.
    pub free_disk: Option<u64>,
    pub cgroup_version: String,
}

#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    // --- observe
    async fn info(&self) -> Result<EngineInfo>;
    async fn observe(&self, app: &AppName) -> Result<ObservedApp>;
    /// Applications of this home that have at least one object.
    async fn apps(&self) -> Result<Vec<AppName>>;
    /// Hints; a lagging receiver just looks again. Reconnects by itself, sending nothing.
    fn events(&self) -> broadcast::Receiver<RuntimeEvent>;
    /// Bytes used by a running container, file cache excluded.
    async fn memory_used(&self, container: &str) -> Result<u64>;

    /// The runtime's own part of `doctor`: base image, registry, what bootstrapping needs.
    async fn diagnose(&self) -> Vec<Finding>;

    // --- act; all idempotent
    /// Creates the application's network on a free /24. `wanted` is tried first. Docker gives
    /// addresses of its upper half by itself; fixed ones belong into the lower half.
    async fn ensure_network(&self, app: &AppName, wanted: Option<&str>) -> Result<ObservedNetwork>;
    async fn remove_network(&self, app: &AppName) -> Result<()>;
    async fn ensure_volume(&self, app: &AppName, name: &str) -> Result<()>;
    async fn remove_volume(&self, name: &str) -> Result<()>;
    /// Creates and starts. A container of that name with the same identity is started instead;
    /// one with another identity is removed first.
    async fn start(&self, spec: &ContainerSpec) -> Result<String>;
    /// Starts an existing, exited container again.
    async fn restart(&self, container: &str) -> Result<()>;
    /// SIGTERM, then SIGKILL after `grace_seconds`; does not remove.
    async fn stop(&self, container: &str, grace_seconds: u32) -> Result<()>;
    /// SIGKILL. Also ends a paused container, without letting it run again.
    async fn kill(&self, container: &str) -> Result<()>;
    async fn pause(&self, container: &str) -> Result<()>;
    async fn unpause(&self, container: &str) -> Result<()>;
    /// SIGKILL and remove, with anonymous volumes. A missing container is success.
    async fn remove(&self, container: &str) -> Result<()>;
    /// Memory and swap limit together, at once, without a restart.
    async fn set_memory(&self, container: &str, memory: Memory) -> Result<()>;

    // --- images
    /// Makes the images of a type if they are missing; concurrent calls share the work.
    async fn ensure_type(&self, type_name: &str, progress: Progress) -> Result<TypeImages>;
    async fn build(&self, spec: &BuildSpec, progress: Progress) -> Result<BuiltImage>;
    async fn image_exists(&self, image: &str) -> Result<bool>;
    /// Removes an image of ours; a missing one or one in use is success.
    async fn remove_image(&self, image: &str) -> Result<()>;
    /// Images of this home for an application's revisions.
    async fn app_images(&self, app: &AppName) -> Result<Vec<String>>;

    // --- talk
    async fn exec(&self, container: &str, spec: &ExecSpec) -> Result<ExecSession>;
    /// A command in a container of its own that has this volume at `/volume`, made from `image`;
    /// it is gone when the command has ended or the session is dropped.
    async fn exec_beside(&self, app: &AppName, image: &str, volume: &str, spec: &ExecSpec) -> Result<ExecSession>;
    /// A part of the container's output, then, with `follow`, what comes.
    async fn logs(&self, container: &str, part: LogPart, follow: bool) -> Result<mpsc::Receiver<LogLine>>;
}
