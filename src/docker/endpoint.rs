//! Which engine is meant: `DOCKER_HOST`, then the active docker context, then the default socket.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::engine::runtime::{Result, RuntimeError};

const DEFAULT: &str = "unix:///var/run/docker.sock";

/// Where the engine listens, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `unix://…` or `tcp://…`.
    pub host: String,
    source: String,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.host, self.source)
    }
}

/// The parts of the docker CLI's files that name the engine.
#[derive(Deserialize)]
struct CliConfig {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints")]
    endpoints: std::collections::BTreeMap<String, ContextEndpoint>,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

/// The endpoint of this process's environment.
pub(super) fn active() -> Result<Endpoint> {
    let set = |key: &str| env::var(key).ok().filter(|value| !value.is_empty());
    let folder = set("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".docker")));
    let endpoint = choose(set("DOCKER_HOST"), set("DOCKER_CONTEXT"), folder.as_deref())?;
    supported(endpoint)
}

fn choose(host: Option<String>, context: Option<String>, folder: Option<&Path>) -> Result<Endpoint> {
    if let Some(host) = host {
        return Ok(Endpoint { host, source: "DOCKER_HOST".to_owned() });
    }
    let current = || {
        let text = fs::read_to_string(folder?.join("config.json")).ok()?;
        serde_json::from_str::<CliConfig>(&text).ok()?.current_context
    };
    match context.or_else(current).filter(|name| name != "default") {
        None => Ok(Endpoint { host: DEFAULT.to_owned(), source: "the default socket".to_owned() }),
        Some(name) => {
            let host = folder.and_then(|folder| host_of(&name, folder));
            let host = host.ok_or_else(|| RuntimeError::Missing { what: format!("docker context {name:?}") })?;
            Ok(Endpoint { host, source: format!("docker context {name:?}") })
        }
    }
}

fn host_of(context: &str, folder: &Path) -> Option<String> {
    let metas = fs::read_dir(folder.join("contexts/meta")).ok()?;
    metas
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("meta.json")).ok())
        .filter_map(|text| serde_json::from_str::<ContextMeta>(&text).ok())
        .find(|meta| meta.name == context)
        .and_then(|mut meta| meta.endpoints.remove("docker")?.host)
}

fn supported(endpoint: Endpoint) -> Result<Endpoint> {
    let tls = env::var_os("DOCKER_TLS_VERIFY").is_some_and(|value| !value.is_empty());
    let over_tcp = ["tcp://", "http://"].iter().any(|scheme| endpoint.host.starts_with(scheme));
    if endpoint.host.starts_with("unix://") || (over_tcp && !tls) {
        return Ok(endpoint);
    }
    let reason = "only unix:// and tcp:// without TLS are supported; forward a TLS or SSH endpoint to a local \
                  socket, for example with ssh -L /tmp/docker.sock:/var/run/docker.sock <host>";
    Err(RuntimeError::Unreachable { endpoint: endpoint.to_string(), source: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_over_the_context_and_the_context_over_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let meta = folder.path().join("contexts/meta/abc");
        fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"vm","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///vm.sock"}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        let chosen = |host: Option<&str>, context: Option<&str>| {
            choose(host.map(Into::into), context.map(Into::into), Some(folder.path())).map(|e| e.host)
        };
        assert_eq!(chosen(None, None).unwrap(), DEFAULT);
        assert_eq!(chosen(None, Some("vm")).unwrap(), "unix:///vm.sock");
        assert_eq!(chosen(Some("tcp://h:1"), Some("vm")).unwrap(), "tcp://h:1");
        assert!(chosen(None, Some("gone")).is_err());

        fs::write(folder.path().join("config.json"), r#"{"currentContext":"vm"}"#).unwrap();
        assert_eq!(chosen(None, None).unwrap(), "unix:///vm.sock");
        assert_eq!(chosen(None, Some("default")).unwrap(), DEFAULT);
    }
}
