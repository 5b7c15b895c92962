//! `service.toml`: what the platform must know of a type.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::Memory;

use super::{CatalogError, Files, Live, like, limit};

/// Whether pushes replace the service's instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Recreated at every push.
    Code,
    /// Created by the first push, never touched by later ones.
    Data,
}

/// A type of service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceType {
    /// The folder's name; not written in the file.
    #[serde(skip)]
    pub name: String,
    pub kind: Kind,
    /// One line for lists.
    pub summary: String,
    /// Where an instance answers HTTP; `None` for types without a web front.
    pub http_port: Option<u16>,
    /// Where the application itself listens on `http_port`: the variable that tells it so, for
    /// example `PORT_NODEJS`. Without it a front of the type listens there, and the variable is
    /// `PORT_HTTP`.
    pub port_variable: Option<String>,
    pub images: ImageRecipe,
    /// Known `config` keys and what they are when the build file is silent.
    #[serde(default)]
    pub config: BTreeMap<String, serde_json::Value>,
    /// Limits below this are accepted with a warning.
    #[serde(default, deserialize_with = "memory")]
    pub warn_below: Option<Memory>,
    /// The limit of a new instance, where the usual one is too small.
    #[serde(default, deserialize_with = "memory")]
    pub memory: Option<Memory>,
    pub data: Option<DataSpec>,
    /// What a changed file leads to while the folder is watched.
    #[serde(default)]
    pub live: Live,
}

/// How the type's images are made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecipe {
    /// The type whose images this one shares whole; nothing else is given then.
    pub same_as: Option<String>,
    /// `base`, or the shared folder whose image is the parent (`ARG PARENT`).
    #[serde(default)]
    pub from: String,
    /// An official image that is the parent instead, pulled unless it is there: `mongo:7`.
    pub pull: Option<String>,
    /// Dockerfile of the instances' image.
    #[serde(default = "dockerfile")]
    pub runtime: String,
    /// Dockerfile of the image that code is built in, on top of the instances' image.
    pub build: Option<String>,
}

/// What makes a type a data service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// `REDIS` in `DOTCLOUD_DB_REDIS_URL`.
    pub kind_variable: String,
    pub url_scheme: String,
    /// Empty where nobody logs in.
    pub login: String,
    pub port: u16,
    /// What follows the addresses in a URL: `/?replicaSet=x`.
    #[serde(default)]
    pub url_query: String,
    /// Each member has an address of its own, and the URL lists them all.
    #[serde(default)]
    pub member_ports: bool,
    /// How many members there may be; empty where any number will do.
    #[serde(default)]
    pub counts: Vec<u32>,
    /// Settings of 2012 that are accepted and change nothing.
    #[serde(default)]
    pub idle_config: Vec<String>,
    /// Where the member's volume is mounted.
    pub data_path: String,
    /// The replication dialect; `None` for services of one instance. Whether a write waits for a
    /// slave is the configuration's `replication`: `sync`, `semisync` or `async`.
    pub replication: Option<String>,
    /// Without replication: how the server is asked whether it works. `connect`: that it accepts
    /// connections is enough.
    #[serde(default = "connect")]
    pub protocol: String,
    /// The server's command; `{password}` and `{index}`, the member's number, are filled in, and
    /// words that are `{config.KEY}` with what the build file says, else the type. A word that is
    /// `{memory}` becomes the container's limit in bytes, as it is at each start.
    pub server_command: Vec<String>,
    /// Keeps the pod alive; must end at SIGTERM.
    pub pod_command: Vec<String>,
    /// Run in a member that is to become a copy of the one at `{address}`; the server's next
    /// start takes the copy over. Empty where the replication protocol copies by itself.
    #[serde(default)]
    pub copy_command: Vec<String>,
    /// Run meanwhile in the member that is copied; `{address}` is the other one's. Empty where its
    /// server gives the copy itself.
    #[serde(default)]
    pub donate_command: Vec<String>,
    /// Run in a synchronized member, with `client_env`: writes a consistent dump to its output.
    /// Empty where nothing is to be kept.
    #[serde(default)]
    pub backup_command: Vec<String>,
    /// What the name of such a dump ends with: `sql.gz`.
    #[serde(default = "dump")]
    pub backup_extension: String,
    /// What such a dump holds and what it does not, to be told to whoever makes one; empty where it
    /// holds everything.
    #[serde(default)]
    pub backup_holds: String,
    /// The same for snapshots, where those are to hold more than a dump, and may stop the server for
    /// a moment. Empty: the dump is what they hold.
    #[serde(default)]
    pub snapshot_command: Vec<String>,
    #[serde(default = "dump")]
    pub snapshot_extension: String,
    #[serde(default)]
    pub snapshot_holds: String,
    /// Run in the master: replaces all contents by the dump on its input. It takes all input in
    /// and checks it first, prints the line `replacing` before its first change, and ends with 0
    /// only when everything is there. Codes 64 to 78 say that nothing was changed. Its last words
    /// on standard error are the reason.
    #[serde(default)]
    pub restore_command: Vec<String>,
    /// Where mails are kept: what answers `list`, `show N`, `raw N`, `clear` and `relay
    /// [allow|deny]` in the member. Empty for all other types.
    #[serde(default)]
    pub mail_command: Vec<String>,
    /// Whether members are given the service's approot, as it was when the service was created,
    /// in /home/dotcloud.
    #[serde(default)]
    pub approot: bool,
    /// What `dotcloud run db` starts without a command.
    pub client_command: Vec<String>,
    #[serde(default)]
    pub client_env: BTreeMap<String, String>,
}

/// What a dump is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Backup,
    Snapshot,
}

/// How a dump is made, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dump<'a> {
    pub command: &'a [String],
    /// What its name ends with.
    pub extension: &'a str,
    /// In words, where it is not simply everything; else empty.
    pub holds: &'a str,
}

/// A client that is logged in, to be run in a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
}

// === impl DataSpec ===

impl DataSpec {
    /// What writes the dump of this purpose.
    pub fn dump(&self, purpose: Purpose) -> Dump<'_> {
        match purpose {
            Purpose::Snapshot if !self.snapshot_command.is_empty() => Dump {
                command: &self.snapshot_command,
                extension: &self.snapshot_extension,
                holds: &self.snapshot_holds,
            },
            _ => Dump { command: &self.backup_command, extension: &self.backup_extension, holds: &self.backup_holds },
        }
    }

    /// How its servers are talked to.
    pub fn dialect(&self) -> &str {
        self.replication.as_deref().unwrap_or(&self.protocol)
    }
}

// === impl ServiceType ===

impl ServiceType {
    /// The variable that holds `http_port`.
    pub fn own_port_variable(&self) -> &str {
        self.port_variable.as_deref().unwrap_or("PORT_HTTP")
    }

    /// A data service that has one instance for ever.
    pub fn is_single(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.replication.is_none())
    }

    /// The command of a member's server; empty for code services.
    pub fn member_command(&self, index: u32, password: &str, memory: Memory) -> Vec<String> {
        let fill = |text: &String| filled(text, password).replace("{index}", &index.to_string());
        let command = self.data.iter().flat_map(|data| &data.server_command).map(fill).collect();
        limit::at_start(command, memory)
    }

    /// Fills `{config.KEY}` in; `given` is the build file's `config`.
    pub fn configured(&self, words: Vec<String>, given: &BTreeMap<String, serde_json::Value>) -> Vec<String> {
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let settings: Vec<(String, String)> = self
            .config
            .iter()
            .map(|(key, default)| (format!("{{config.{key}}}"), text(given.get(key).unwrap_or(default))))
            .collect();
        let fill = |word: String| match settings.iter().find(|(name, _)| *name == word) {
            Some((_, value)) => value.clone(),
            None => word,
        };
        words.into_iter().map(fill).collect()
    }

    /// The command of a member's pod; empty for code services.
    pub fn pod_command(&self) -> Vec<String> {
        self.data.iter().flat_map(|data| data.pod_command.clone()).collect()
    }

    pub fn client(&self, password: &str) -> Client {
        let Some(data) = &self.data else { return Client::default() };
        Client {
            command: data.client_command.iter().map(|text| filled(text, password)).collect(),
            env: data.client_env.iter().map(|(key, text)| (key.clone(), filled(text, password))).collect(),
        }
    }

    /// What to tell who asks for this limit; `None` when it is enough.
    pub fn memory_warning(&self, memory: Memory) -> Option<String> {
        let enough = self.warn_below.filter(|enough| memory < *enough)?;
        Some(format!("{} instances need about {enough}; with {memory} they may be killed", self.name))
    }
}

fn filled(text: &str, password: &str) -> String {
    text.replace("{password}", password)
}

// === reading ===

/// The name of a type's file, for messages.
pub(super) fn file(type_name: &str) -> String {
    format!("{type_name}/service.toml")
}

/// `None` for shared folders, which have no `service.toml`.
pub(super) fn parse(name: &str, folders: &BTreeMap<String, Files>) -> Result<Option<ServiceType>, CatalogError> {
    if name.starts_with('_') {
        return Ok(None);
    }
    let invalid = |problem: &str| CatalogError::Invalid { file: file(name), problem: problem.to_owned() };
    let text = text(name, folders)?;
    let wrong = |source: toml::de::Error| CatalogError::Parse { file: file(name), source: source.into() };
    let parsed: ServiceType = match like::model(text) {
        Some(model) => like::merged(text, &model, self::text(&model, folders)?).and_then(toml::Table::try_into),
        None => toml::from_str(text),
    }
    .map_err(wrong)?;
    parsed.live.check().map_err(|problem| invalid(&format!("live.build_on: {problem}")))?;
    match (parsed.kind, &parsed.data) {
        (Kind::Data, None) => Err(invalid("[data] is required for kind = \"data\"")),
        (Kind::Code, Some(_)) => Err(invalid("[data] is for kind = \"data\" only")),
        (_, Some(data)) if let Some(wrong) = unknown_setting(data, &parsed.config) => {
            Err(invalid(&format!("data.server_command: {wrong} is not in [config]")))
        }
        _ if parsed.port_variable.is_some() && parsed.http_port.is_none() => {
            Err(invalid("port_variable names http_port, which is missing"))
        }
        _ if parsed.port_variable.as_deref().is_some_and(|name| !is_port_variable(name)) => {
            Err(invalid("port_variable must be PORT_ and a name of A-Z, 0-9 and _"))
        }
        _ => Ok(Some(ServiceType { name: name.to_owned(), ..parsed })),
    }
}

fn text<'a>(name: &str, folders: &'a BTreeMap<String, Files>) -> Result<&'a str, CatalogError> {
    let invalid = |problem: &str| CatalogError::Invalid { file: file(name), problem: problem.to_owned() };
    let bytes = folders.get(name).and_then(|files| files.get("service.toml"));
    let bytes = bytes.ok_or_else(|| invalid("the file is missing"))?;
    std::str::from_utf8(bytes).map_err(|_| invalid("the file is not UTF-8"))
}

/// A word that asks for a setting which the type does not have.
fn unknown_setting<'a>(data: &'a DataSpec, config: &BTreeMap<String, serde_json::Value>) -> Option<&'a str> {
    let key = |word: &'a String| word.strip_prefix("{config.")?.strip_suffix('}');
    data.server_command.iter().filter_map(key).find(|key| !config.contains_key(*key))
}

fn is_port_variable(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    text.strip_prefix("PORT_").is_some_and(|name| !name.is_empty() && name.bytes().all(allowed))
}

fn connect() -> String {
    "connect".to_owned()
}

fn dump() -> String {
    "dump".to_owned()
}

fn dockerfile() -> String {
    "Dockerfile".to_owned()
}

fn memory<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Memory>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}
