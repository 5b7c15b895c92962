//! `DOTCLOUD_HOME`: the folder where the CLI and the daemon meet.
//!
//! Names of files only: it neither creates nor reads them, the folder itself excepted.

mod folder;

use std::path::{Path, PathBuf};

/// The folder of one daemon; two folders are two independent platforms on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// `DOTCLOUD_HOME`, else `~/.dotcloud-local`; always absolute. `None` without both variables.
    pub fn from_environment() -> Option<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let dir = set("DOTCLOUD_HOME").or_else(|| set("HOME").map(|home| home.join(".dotcloud-local")))?;
        std::path::absolute(dir).ok().map(Self)
    }

    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// Where the daemon listens; the folder's mode (0700) is the access control.
    pub fn socket(&self) -> PathBuf {
        self.0.join("daemon.sock")
    }

    /// Where the user's own service types are, one folder each.
    pub fn templates(&self) -> PathBuf {
        self.0.join("templates")
    }

    /// What a daemon started on demand prints.
    pub fn log(&self) -> PathBuf {
        self.0.join("daemon.log")
    }

    /// Held by the daemon for life (flock): of two that start, one exits.
    pub fn lock(&self) -> PathBuf {
        self.0.join("daemon.lock")
    }

    /// The key that the loopback TCP listener asks for (0600).
    pub fn api_key(&self) -> PathBuf {
        self.0.join("api-key")
    }
}
