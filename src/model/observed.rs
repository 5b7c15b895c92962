//! What a look at the container runtime shows: containers with their identity and state.

use std::net::Ipv4Addr;

use super::{AppName, InstanceName, Memory};

/// What a container is for. Together with application, service and index it is the
/// container's identity, kept in labels, which never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// An instance of a code service.
    Code,
    /// Owns the address of a data service's member.
    Pod,
    /// The server in a pod's network namespace.
    Member,
    /// A build in progress.
    Build,
}

/// Identity of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub app: AppName,
    pub instance: InstanceName,
    pub purpose: Purpose,
    /// The deployment that asked for it; 0 for pods and members.
    pub generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    Created,
    Running,
    Paused,
    Exited { code: i64, oom_killed: bool },
}

/// How an instance ends whose `~/data` another one has (`templates/_common/data`): it is to be
/// started again when that one is gone.
pub const DATA_IN_USE: i64 = 72;

impl RunState {
    /// It waits, ended, for its `~/data`.
    pub fn waits_for_data(self) -> bool {
        matches!(self, Self::Exited { code: DATA_IN_USE, oom_killed: false })
    }

    /// Its processes are there; paused ones as well.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// A container as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedContainer {
    pub id: String,
    pub name: String,
    pub identity: Identity,
    pub image: String,
    pub state: RunState,
    /// The host's process id of its first process, while it runs.
    pub pid: Option<u32>,
    /// Its address on the application's network; `None` for members (ask the pod).
    pub ip: Option<Ipv4Addr>,
    pub memory: Option<Memory>,
    /// For members: the pod (container id) whose namespace they live in.
    pub pod: Option<String>,
    /// RFC 3339.
    pub started_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNetwork {
    pub id: String,
    pub name: String,
    pub subnet: String,
    pub gateway: Ipv4Addr,
}

/// Everything of one application that carries our labels and belongs to this home.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedApp {
    pub containers: Vec<ObservedContainer>,
    pub network: Option<ObservedNetwork>,
    pub volumes: Vec<String>,
}
