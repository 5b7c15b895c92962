//! What the engine answers to questions. `api::server` turns these into wire types.

use std::collections::BTreeMap;

use crate::model::{AppName, GroupStatus, InstanceName, MemberDisk, Memory, Receipt, ServiceName};

use super::traffic::TcpUse;

#[derive(Debug, Clone)]
pub struct AppView {
    pub name: AppName,
    pub flavor: String,
    /// The revision that serves, once one was deployed; with `+live` behind it when files have
    /// changed since.
    pub revision: Option<String>,
    /// `up` or, after `down`, `down`.
    pub up: bool,
    pub services: Vec<ServiceView>,
    /// What the reconciler waits for, one sentence each.
    pub holds: Vec<String>,
    /// Requests that the proxy itself answered with an error of the 5xx class, since the daemon
    /// was started.
    pub failed_requests: u64,
}

#[derive(Debug, Clone)]
pub struct ServiceView {
    pub name: ServiceName,
    pub type_name: String,
    /// Data services keep their state over pushes.
    pub is_data: bool,
    /// How many instances were asked for.
    pub instance_count: u32,
    /// Limit per instance.
    pub memory: Memory,
    /// The build file's `config`, as text; empty and default values are left out.
    pub config: BTreeMap<String, String>,
    /// What its instances have in common with one another, by name.
    pub shared_folders: Vec<SharedFolderView>,
    /// `http://www.<app>.localhost:<port>` and the same as `127.0.0.1:port`, then those of further
    /// HTTP ports; empty without HTTP.
    pub urls: Vec<String>,
    /// The stable address of a data service, with login and password: `redis://root:pw@127.0.0.1:20001`.
    pub address: Option<String>,
    /// False when the service is no longer in the build file.
    pub in_build_file: bool,
    pub instances: Vec<InstanceView>,
    /// Data services: roles, sync states, epoch.
    pub group: Option<GroupStatus>,
    /// Failovers of this service, oldest first.
    pub receipts: Vec<Receipt>,
    /// Data services: what passes its address.
    pub traffic: Option<TcpUse>,
}

/// An open connection to a data service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionView {
    /// The application's instance that connected, else the address.
    pub peer: String,
    /// RFC 3339, UTC, microseconds.
    pub since: String,
    pub epoch: u64,
    /// Bytes from the client, and to it.
    pub received: u64,
    pub sent: u64,
}

#[derive(Debug, Clone)]
pub struct SharedFolderView {
    pub name: String,
    /// In every instance.
    pub path: String,
    /// Docker's name of it.
    pub volume: String,
}

#[derive(Debug, Clone)]
pub struct InstanceView {
    pub name: InstanceName,
    /// Container id, empty when there is none.
    pub container: String,
    pub container_name: String,
    pub image: String,
    pub revision: Option<String>,
    pub state: InstanceState,
    pub memory_limit: Option<Memory>,
    /// Bytes in use; `None` when it does not run.
    pub memory_used: Option<u64>,
    /// Of members of data services, once it was looked at.
    pub disk: Option<MemberDisk>,
    pub ip: Option<std::net::Ipv4Addr>,
    /// The build file's ports, as they are reached from the host.
    pub ports: Vec<PortView>,
    pub pid: Option<u32>,
    pub started_at: Option<String>,
}

/// A port of one instance: `tcp://127.0.0.1:20001`; an HTTP port is shared by all instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortView {
    pub name: String,
    pub url: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    Starting,
    Up,
    Paused,
    Down,
}

#[derive(Debug, Clone)]
pub struct DeploymentView {
    pub id: String,
    pub revision: String,
    /// RFC 3339, UTC, microseconds.
    pub created_at: String,
    pub state: DeploymentState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentState {
    Running,
    Succeeded,
    Failed,
}

/// A line of a deployment's log (rest-api.md, §4). `created_at` grows strictly.
#[derive(Debug, Clone)]
pub struct DeployLine {
    pub created_at: String,
    pub service: Option<ServiceName>,
    pub index: Option<u32>,
    pub error: bool,
    pub message: String,
    /// Set on the last line only.
    pub end: Option<DeploymentState>,
}

/// Which lines of an application's log are asked for.
#[derive(Debug, Clone, Default)]
pub struct LogWish {
    /// Services and instances; empty means all.
    pub filter: Vec<String>,
    /// The last so many of each instance.
    pub lines: Option<u32>,
    pub since: Option<jiff::Timestamp>,
    /// Goes on with what comes.
    pub follow: bool,
}

/// A line of an application's log.
#[derive(Debug, Clone)]
pub struct AppLogLine {
    pub created_at: String,
    pub instance: InstanceName,
    /// The program that wrote it, where it is known.
    pub process: Option<String>,
    pub error: bool,
    pub message: String,
}

#[derive(Debug, Clone)]
pub struct ActivityView {
    pub created_at: String,
    /// `app`, `service`, `domain`, `fault`, `failover`, `disk`.
    pub category: String,
    /// `create`, `deploy`, `scale`, `restart`, `kill`, `failover`, `low`, `full`, …
    pub action: String,
    /// `service`, `revision`, `value`, … by action.
    pub details: BTreeMap<String, String>,
    /// Of a failover, unless it is too long ago.
    pub receipt: Option<Receipt>,
}

/// One wish of a `scale`.
#[derive(Debug, Clone)]
pub struct ScaleWish {
    pub service: ServiceName,
    pub instances: Option<u32>,
    pub memory: Option<Memory>,
}

/// What became of a `scale`.
#[derive(Debug, Clone, Default)]
pub struct Scaled {
    /// What was rounded, ignored or is to be warned of, for people.
    pub notes: Vec<String>,
    /// Services whose number of instances stays what it was.
    pub ignored: Vec<ServiceName>,
}

#[derive(Debug, Clone, Default)]
pub struct DeployWish {
    /// `None`: the last upload. `latest` and `previous` are understood.
    pub revision: Option<String>,
    pub clean: bool,
    /// Only this code service.
    pub service: Option<ServiceName>,
}

/// One finding of `doctor`.
#[derive(Debug, Clone)]
pub struct Finding {
    /// `engine`, `base image`, `ports`, `registry`, `disk`.
    pub subject: String,
    pub level: FindingLevel,
    pub text: String,
    /// How to mend it; empty when all is well.
    pub mend: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingLevel {
    Ok,
    Warning,
    Error,
}
