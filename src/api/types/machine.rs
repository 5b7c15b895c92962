//! The machine: the daemon itself and the findings of `doctor`.

use serde::{Deserialize, Serialize};

/// `GET /v1/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Of the package, `0.1.0`.
    pub version: String,
    /// When the daemon's program file was written, in nanoseconds since 1970, as it was when the
    /// daemon started: tells two builds of one version apart. 0 when unknown.
    pub built_at: u64,
    pub pid: u32,
}

/// `PATCH /v1/settings`: what this home's daemon permits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// Memory limits above 4G are accepted.
    pub large_memory: bool,
}

/// `GET /me`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    pub username: String,
}

/// `GET /v1/doctor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// `engine`, `base image`, `ports`, …
    pub subject: String,
    pub level: Level,
    pub text: String,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    Warning,
    Error,
}

impl Version {
    /// Of the running program. Read it once at the start: the file may be replaced later.
    pub fn of_this_program() -> Self {
        let written = std::env::current_exe().and_then(std::fs::metadata).and_then(|file| file.modified());
        let since_1970 = written.ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            built_at: since_1970.map_or(0, |at| at.as_nanos() as u64),
            pid: std::process::id(),
        }
    }

    /// Whether this program was made after the other one. Versions are compared number by number.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let numbers =
            |version: &str| version.split(['.', '-']).map(|part| part.parse().unwrap_or(0)).collect::<Vec<u64>>();
        (numbers(&self.version), self.built_at) > (numbers(&other.version), other.built_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: &str, built_at: u64) -> Version {
        Version { version: version.to_owned(), built_at, pid: 1 }
    }

    #[test]
    fn versions_are_compared_by_number_then_by_build() {
        assert!(version("0.10.0", 1).is_newer_than(&version("0.9.9", 2)));
        assert!(version("0.1.0", 2).is_newer_than(&version("0.1.0", 1)));
        assert!(!version("0.1.0", 1).is_newer_than(&version("0.1.0", 1)));
        assert!(!version("0.1.0", 9).is_newer_than(&version("0.2.0", 1)));
    }
}
