//! How changed code goes live in running instances.

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

/// `[live]` of a `service.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    #[serde(default)]
    pub reload: Reload,
    /// Patterns (`*`, `**`, `?`) of paths relative to the approot that a build depends on. The
    /// build file, hooks and the files every type includes lead to a build anyway.
    #[serde(default)]
    pub build_on: Vec<String>,
}

/// The cheapest way for new code to be served, once its files are in the instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// The next request reads the files; `/usr/lib/dotcloud/type/check`, if there is one, is
    /// run for what it finds in them.
    None,
    /// `/usr/lib/dotcloud/type/reload` puts a second server beside the first and switches.
    InPlace,
    /// The instance is taken out of the routes, its programs are restarted, it comes back.
    #[default]
    Restart,
}

impl Live {
    /// Whether a build of this type depends on a path relative to the approot.
    pub fn is_built_on(&self, path: &str) -> bool {
        self.build_on.iter().any(|pattern| matches(pattern, path))
    }

    /// The first pattern that is none, and why.
    pub(super) fn check(&self) -> Result<(), String> {
        self.build_on.iter().try_for_each(|pattern| matcher(pattern).map(drop).map_err(|error| error.to_string()))
    }
}

/// Whether a pattern, in which `*` stays within one folder, is of this path.
pub fn matches(pattern: &str, path: &str) -> bool {
    matcher(pattern).is_ok_and(|matcher| matcher.is_match(path))
}

fn matcher(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(pattern).literal_separator(true).build()?.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_in_their_folder_and_double_stars_do_not() {
        assert!(matches("requirements*.txt", "requirements-dev.txt"));
        assert!(!matches("*uwsgi.conf", "deep/my-uwsgi.conf"));
        assert!(matches("requirements/**", "requirements/base/all.txt"));
        assert!(matches("**", "any/path"));
    }
}
