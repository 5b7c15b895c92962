//! The documents of the store. They describe what is wanted, never what was observed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

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
    /// Data services: the stable port on 127.0.0.1 and on the gateway. Code services: where
    /// their main HTTP port is served on 127.0.0.1.
    pub front_port: Option<u16>,
    /// The same for the build file's other ports, by name. HTTP ports have one number, TCP and
    /// UDP ports one for each instance there ever was, by its number.
    #[serde(default)]
    pub custom_fronts: BTreeMap<String, Vec<u16>>,
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
    /// While it is a candidate: instances whose predecessor gives its `~/data` up for it.
    #[serde(default)]
    pub handing_over: BTreeSet<u32>,
    /// The numbers of the front for TCP and UDP ports that its environment tells of.
    #[serde(default)]
    pub told_fronts: BTreeSet<u16>,
    /// What has gone live since it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
}

/// Files that went live without a build, for instances that are made later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// The number of the last change: whole seconds since 1970, growing with every change.
    pub change: u64,
    pub file: PathBuf,
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
    /// Whether what has gone live on this revision is to stay.
    #[serde(default)]
    pub live: bool,
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

/// Behind a revision's name: with what went live on it.
pub const LIVE: &str = "+live";

impl Version {
    /// What tells it from the revision that was pushed, and may be asked for as one.
    pub fn label(&self) -> String {
        let live = if self.overlay.is_some() { LIVE } else { "" };
        format!("{}{live}", self.revision)
    }
}

impl AppRecord {
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceRecord> {
        self.services.iter().find(|service| service.name == *name)
    }

    pub fn service_mut(&mut self, name: &ServiceName) -> Option<&mut ServiceRecord> {
        self.services.iter_mut().find(|service| service.name == *name)
    }
}

impl ServiceRecord {
    /// Every port of the front that is this service's.
    pub fn front_ports(&self) -> impl Iterator<Item = u16> {
        self.front_port.into_iter().chain(self.custom_fronts.values().flatten().copied())
    }

    /// As it is being deployed, else as last deployed.
    pub fn newest_spec(&self) -> &ServiceSpec {
        self.candidate.as_ref().map_or(&self.spec, |version| &version.spec)
    }
}

impl ServiceRecord {
    /// Its versions that there are instances of: the one that serves, and one beside it.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        [&self.serving, &self.candidate].into_iter().flatten()
    }

    /// The version of a deployment.
    pub fn version(&self, generation: u64) -> Option<&Version> {
        self.versions().find(|version| version.generation == generation)
    }
}

impl DeploymentPhase {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}
