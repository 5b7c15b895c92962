//! The documents of the store. They describe what is wanted, never what was observed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{AppName, Memory, ServiceName, ServiceSpec};

/// Everything wanted of one application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    pub name: AppName,
    pub flavor: String,
    /// RFC 3339.
    pub created_at: String,
    /// False after `down`: nothing is to run.
    pub up: bool,
    /// True once `destroy` was asked for: everything is to go, then the record itself.
    #[serde(default)]
    pub doomed: bool,
    /// `down --volumes`: the data is to go too, once nothing runs.
    #[serde(default)]
    pub discard_data: bool,
    /// The network's subnet, once it has one.
    pub subnet: Option<String>,
    pub services: Vec<ServiceRecord>,
    /// `dotcloud env set`: application-wide, wins over a service's own.
    pub environment: BTreeMap<String, String>,
    /// The last generation given to a deployment.
    pub generation: u64,
    /// Pauses that end by themselves: container -> when (RFC 3339).
    #[serde(default)]
    pub pauses: BTreeMap<String, String>,
}

/// What is wanted of one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRecord {
    pub name: ServiceName,
    pub type_name: String,
    pub is_data: bool,
    /// Data services: fixed at creation. Code services: as last deployed.
    pub spec: ServiceSpec,
    pub instances: u32,
    pub memory: Memory,
    /// False once a push came without it.
    pub in_build_file: bool,
    /// Data services only.
    pub password: Option<String>,
    /// Data services only: the stable port on 127.0.0.1 and on the gateway.
    pub front_port: Option<u16>,
    /// The version that serves.
    pub serving: Option<Version>,
    /// The version that is being deployed beside it.
    pub candidate: Option<Version>,
    /// True once `destroy <service>` was asked for.
    #[serde(default)]
    pub doomed: bool,
}

/// A built state of a code service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The deployment's number; part of the containers' identity.
    pub generation: u64,
    pub revision: String,
    pub image: String,
    pub spec: ServiceSpec,
    /// User variables as they were when the deployment began.
    pub environment: BTreeMap<String, String>,
}

/// One attempt to run a revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentRecord {
    pub id: String,
    pub app: AppName,
    pub revision: String,
    /// RFC 3339.
    pub created_at: String,
    pub clean: bool,
    pub service: Option<ServiceName>,
    pub generation: u64,
    /// User variables as they were when it was scheduled.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    pub phase: DeploymentPhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeploymentPhase {
    /// Scheduled or building: starting over is safe.
    Building,
    /// Candidates are recorded; what is left is to wait for them and to switch.
    Deploying,
    Succeeded,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivityRecord {
    /// RFC 3339.
    pub created_at: String,
    pub app: AppName,
    pub category: String,
    pub action: String,
    pub details: BTreeMap<String, String>,
}

impl AppRecord {
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceRecord> {
        self.services.iter().find(|service| service.name == *name)
    }

    pub fn service_mut(&mut self, name: &ServiceName) -> Option<&mut ServiceRecord> {
        self.services.iter_mut().find(|service| service.name == *name)
    }
}

impl DeploymentPhase {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}
