//! The parsed build file: what `dotcloud.yml` asks for (platform.md, §2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ServiceName;

/// All services of a build file, in the file's order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    pub services: Vec<ServiceSpec>,
}

/// One service as the build file describes it. Scalars keep the text they were written as.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    pub name: ServiceName,
    /// The `type` key, for example `python`.
    pub type_name: String,
    /// Relative to the build file; `.` by default; never outside the tree.
    pub approot: String,
    /// For the first deployment only; `scale` wins later.
    pub instances: u32,
    pub prebuild: Option<String>,
    pub postbuild: Option<String>,
    pub postinstall: Option<String>,
    pub buildscript: Option<String>,
    pub systempackages: Vec<String>,
    pub requirements: Vec<String>,
    /// Per type; scalars are kept as text (`2.10` stays `2.10`), lists and mappings as they are.
    /// Both spellings of a key are one: `ruby-version` is found as `ruby_version`.
    pub config: BTreeMap<String, serde_json::Value>,
    /// `config.shared_folders`: name -> where all instances have it, an absolute path below the
    /// home folder.
    #[serde(default)]
    pub shared_folders: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    /// Names as written; no two of them make the same [`port_variable`].
    pub ports: BTreeMap<String, PortKind>,
    pub processes: Processes,
    pub exclude_bundler_groups: Vec<String>,
    /// Every scalar of the service as text, exported to build scripts as `SERVICE_<KEY>`. A scalar
    /// inside a mapping has the names of both: `config_ruby_version`. Keys are letters, digits and
    /// `_`; the case is as written.
    pub exported: BTreeMap<String, String>,
}

/// What a port of the build file carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortKind {
    Http,
    Tcp,
    Udp,
}

/// `process` or `processes`: they exclude each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Processes {
    #[default]
    Unset,
    Single(String),
    Named(BTreeMap<String, String>),
}

/// What a port's name becomes in variables: `mc-admin` is `MC_ADMIN`, in `PORT_MC_ADMIN`.
pub fn port_variable(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

impl Stack {
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceSpec> {
        self.services.iter().find(|service| service.name == *name)
    }
}
