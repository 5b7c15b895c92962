//! How changed code goes live in running instances.

use globset::{Glob, GlobBuilder, GlobSet};
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
    /// None: instances hold what the build made and no tree. Every change that the build may see
    /// leads to one.
    Build,
}

impl Live {
    /// Matches what a build of this type depends on, of `more` patterns too.
    pub fn built_on(&self, more: &[&str]) -> GlobSet {
        let own = self.build_on.iter().map(String::as_str);
        // Those that are none were refused when the type was read.
        let globs = own.chain(more.iter().copied()).filter_map(|pattern| glob(pattern).ok());
        GlobSet::new(globs).unwrap_or_else(|_| GlobSet::empty())
    }

    /// The first pattern that is none, and why.
    pub(super) fn check(&self) -> Result<(), String> {
        self.build_on.iter().try_for_each(|pattern| glob(pattern).map(drop).map_err(|error| error.to_string()))
    }
}

/// `*` stays within one folder.
fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_in_their_folder_and_double_stars_do_not() {
        let build_on = ["requirements*.txt", "requirements/**"].map(str::to_owned).into();
        let live = Live { build_on, ..Live::default() };
        let built_on = live.built_on(&["*uwsgi.conf"]);
        for path in ["requirements-dev.txt", "requirements/base/all.txt", "my-uwsgi.conf"] {
            assert!(built_on.is_match(path), "{path}");
        }
        for path in ["deep/requirements.txt", "deep/my-uwsgi.conf", "wsgi.py"] {
            assert!(!built_on.is_match(path), "{path}");
        }
        let all = Live { build_on: vec!["**".to_owned()], ..Live::default() };
        assert!(all.built_on(&[]).is_match("any/path"));
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        let wrong = Live { build_on: vec!["a[".to_owned()], ..Live::default() };
        assert!(wrong.check().unwrap_err().contains("a["));
    }
}
