//! Which services a change concerns, and whether it needs a build. Pure.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use globset::GlobSet;

use crate::catalog::Live;
use crate::model::{ServiceName, ServiceSpec};

/// A code service that serves.
#[derive(Debug)]
pub struct Candidate<'a> {
    spec: &'a ServiceSpec,
    approot: PathBuf,
    built_on: GlobSet,
}

/// What a change leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The code of these services is another; all have the files.
    Live(BTreeSet<ServiceName>),
    /// A build depends on it; why, for people.
    Build(String),
}

/// Files at the tree's root that say how everything is built.
const BUILD_FILES: [&str; 3] = ["dotcloud.yml", "dotcloud.yaml", ".dotcloudignore"];
/// Patterns, relative to every approot, of what is read when an instance is built or boots.
const READ_ONCE: [&str; 3] = ["postinstall", "supervisord.conf", "*nginx.conf"];

/// Judges the changed and deleted paths of a change, relative to the tree's root.
pub fn classify<'a>(paths: impl Iterator<Item = &'a str>, services: &[Candidate<'_>]) -> Verdict {
    let mut concerned = BTreeSet::new();
    for path in paths {
        if BUILD_FILES.contains(&path) {
            return Verdict::Build(format!("{path} has changed"));
        }
        if let Some(service) = services.iter().find(|service| service.is_built_on(path)) {
            return Verdict::Build(format!("{path} has changed, which the build of {} depends on", service.spec.name));
        }
        // What is in no approot may be used by all: shared code.
        let of_all = services.iter().all(|service| service.relative(path).is_none());
        let names = services.iter().filter(|service| of_all || service.relative(path).is_some());
        concerned.extend(names.map(|service| service.spec.name.clone()));
    }
    Verdict::Live(concerned)
}

impl<'a> Candidate<'a> {
    pub fn new(spec: &'a ServiceSpec, live: &Live) -> Self {
        let parts = Path::new(&spec.approot).components();
        let approot = parts.filter(|part| matches!(part, Component::Normal(_))).collect();
        Self { spec, approot, built_on: live.built_on(&READ_ONCE) }
    }

    /// The path as seen from the approot; `None` outside of it.
    fn relative<'p>(&self, path: &'p str) -> Option<&'p str> {
        Path::new(path).strip_prefix(&self.approot).ok()?.to_str()
    }

    fn is_built_on(&self, path: &str) -> bool {
        // The builder's script is named as seen from the tree's root.
        let is_script = self.spec.buildscript.as_deref().is_some_and(|script| plain(script) == path);
        let is_read = |relative: &str| self.built_on.is_match(relative) || self.hooks().any(|word| word == relative);
        is_script || self.relative(path).is_some_and(is_read)
    }

    /// Everything that the hooks name, files among it.
    fn hooks(&self) -> impl Iterator<Item = &str> {
        let hooks = [&self.spec.prebuild, &self.spec.postbuild, &self.spec.postinstall];
        let separates = |c: char| c.is_whitespace() || ";&|<>()\"'".contains(c);
        hooks.into_iter().flatten().flat_map(move |hook| hook.split(separates)).map(plain)
    }
}

/// `./build.sh` is `build.sh`.
fn plain(word: &str) -> &str {
    word.strip_prefix("./").unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python() -> Live {
        Live { build_on: vec!["requirements*.txt".to_owned()], ..Live::default() }
    }

    fn spec(name: &str, approot: &str) -> ServiceSpec {
        let text = format!("{name}:\n  type: python\n  approot: {approot}\n");
        crate::buildfile::parse(text.as_bytes(), &[]).stack.unwrap().services.remove(0)
    }

    /// The names of who is concerned, or why a build is needed.
    fn judge(services: &[ServiceSpec], paths: &[&str]) -> Result<Vec<String>, String> {
        let live = python();
        let candidates: Vec<_> = services.iter().map(|spec| Candidate::new(spec, &live)).collect();
        match classify(paths.iter().copied(), &candidates) {
            Verdict::Live(names) => Ok(names.into_iter().map(String::from).collect()),
            Verdict::Build(why) => Err(why),
        }
    }

    #[test]
    fn code_concerns_the_services_whose_approot_holds_it_and_shared_code_all() {
        let services = [spec("www", "www"), spec("worker", "./jobs/")];
        assert_eq!(judge(&services, &["www/wsgi.py"]).unwrap(), ["www"]);
        assert_eq!(judge(&services, &["jobs/a.py", "jobs/deep/b.py"]).unwrap(), ["worker"]);
        assert_eq!(judge(&services, &["lib/shared.py"]).unwrap(), ["worker", "www"]);
        assert_eq!(judge(&services, &["wwwroot/x"]).unwrap(), ["worker", "www"], "no prefix of a name is a folder");
        assert_eq!(judge(&[spec("all", "."), spec("www", "www")], &["www/x"]).unwrap(), ["all", "www"]);
        assert_eq!(judge(&services, &[]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_a_build_reads_leads_to_a_build() {
        let services = [spec("www", "www"), spec("worker", "jobs")];
        for path in
            ["dotcloud.yml", ".dotcloudignore", "www/requirements.txt", "jobs/my-nginx.conf", "www/supervisord.conf"]
        {
            assert!(judge(&services, &["www/fine.py", path]).unwrap_err().contains(path), "{path}");
        }
        for path in ["requirements.txt", "www/deep/requirements.txt", "www/nginx.conf.md", "deep/dotcloud.yml"] {
            assert!(judge(&services, &[path]).is_ok(), "{path}");
        }
    }

    #[test]
    fn what_hooks_name_leads_to_a_build() {
        let mut www = spec("www", "www");
        www.postinstall = Some("cd x && ./scripts/migrate.py; echo done".to_owned());
        www.buildscript = Some("./tools/builder".to_owned());
        for path in ["www/scripts/migrate.py", "tools/builder"] {
            assert!(judge(std::slice::from_ref(&www), &[path]).is_err(), "{path}");
        }
        assert!(judge(&[www], &["www/scripts/other.py"]).is_ok());
    }
}
