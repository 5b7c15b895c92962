//! What of this machine must reach the builds, so that apt, pip and npm work behind proxies
//! and networks that inspect TLS: certificate authorities, proxies, package indexes.
//!
//! Type images get the authorities that Debian lacks for good; code builds get the machine's
//! whole bundle as it is now. Index settings may hold passwords: they are environment of the
//! build container alone and are in no image.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::process::Command;

const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
const PROXIES: [&str; 6] = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
const INDEXES: [&str; 6] = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
    "NPM_CONFIG_REGISTRY",
    "npm_config_registry",
];
/// Every tool has its own name for the bundle.
const BUNDLE_VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
];

/// Read anew for every build: settings change.
#[derive(Debug, Clone, Default)]
pub(in crate::docker) struct HostSettings {
    /// PEM.
    pub authorities: Option<Vec<u8>>,
    pub proxies: BTreeMap<String, String>,
    indexes: BTreeMap<String, String>,
}

impl HostSettings {
    pub async fn read() -> Self {
        let mut indexes = configured_indexes().await;
        indexes.extend(variables(&INDEXES));
        Self { authorities: authorities().await, proxies: proxies().await, indexes }
    }

    /// The environment of a code build whose bundle is at `bundle`.
    pub fn build_environment(&self, bundle: &str) -> BTreeMap<String, String> {
        let mut all = self.proxies.clone();
        all.extend(self.indexes.clone());
        if self.authorities.is_some() {
            all.extend(BUNDLE_VARIABLES.iter().map(|name| ((*name).to_owned(), bundle.to_owned())));
        }
        all.insert("PIP_DISABLE_PIP_VERSION_CHECK".to_owned(), "1".to_owned());
        all
    }
}

fn variables(names: &[&str]) -> BTreeMap<String, String> {
    let set = |name: &&str| Some(((*name).to_owned(), env::var(name).ok().filter(|value| !value.is_empty())?));
    names.iter().filter_map(set).collect()
}

async fn authorities() -> Option<Vec<u8>> {
    let chosen = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    for path in chosen.into_iter().chain(BUNDLES.map(PathBuf::from)) {
        if let Ok(bytes) = fs::read(&path).await {
            return Some(bytes);
        }
    }
    None
}

async fn proxies() -> BTreeMap<String, String> {
    let mut all = variables(&PROXIES);
    if !all.contains_key("http_proxy")
        && let Some(proxy) = apt_proxy().await
    {
        all.insert("http_proxy".to_owned(), proxy);
    }
    all
}

/// A cache for apt is a proxy for plain HTTP, which is what apt speaks in builds.
async fn apt_proxy() -> Option<String> {
    let output = Command::new("apt-config").args(["shell", "PROXY", "Acquire::http::Proxy"]).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let value = text.trim().strip_prefix("PROXY=")?.trim_matches('\'');
    Some(value.to_owned()).filter(|value| !value.is_empty() && value != "DIRECT")
}

/// Indexes from pip's and npm's own files.
async fn configured_indexes() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let home = env::home_dir().unwrap_or_default();
    let pip = [Path::new("/etc").join("pip.conf"), home.join(".pip/pip.conf"), home.join(".config/pip/pip.conf")];
    for path in pip {
        let text = fs::read_to_string(path).await.unwrap_or_default();
        for (key, name) in [("index-url", INDEXES[0]), ("extra-index-url", INDEXES[1]), ("trusted-host", INDEXES[2])] {
            found.extend(setting(&text, key).map(|value| (name.to_owned(), value)));
        }
    }
    let npm = fs::read_to_string(home.join(".npmrc")).await.unwrap_or_default();
    found.extend(setting(&npm, "registry").map(|value| ("NPM_CONFIG_REGISTRY".to_owned(), value)));
    found
}

/// The last `key = value` of an ini file.
fn setting(text: &str, key: &str) -> Option<String> {
    let value = |line: &str| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    };
    text.lines().filter_map(value).next_back().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_from_ini_files() {
        let text = "[global]\ncert = /x\nindex-url=https://me:pw@pypi.example/simple?a=b\n";
        assert_eq!(setting(text, "index-url").unwrap(), "https://me:pw@pypi.example/simple?a=b");
        assert_eq!(setting(text, "extra-index-url"), None);
    }

    #[test]
    fn a_build_is_told_where_the_authorities_are_in_every_tools_words() {
        let settings = HostSettings { authorities: Some(b"pem".to_vec()), ..Default::default() };
        let env = settings.build_environment("/tmp/ca.crt");
        assert_eq!(env["PIP_CERT"], "/tmp/ca.crt");
        assert_eq!(env["NODE_EXTRA_CA_CERTS"], "/tmp/ca.crt");
    }
}
