//! Which services a change concerns, and whether it needs a build. Pure.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use globset::GlobSet;

use crate::catalog::{Live, Reload};
use crate::model::{ServiceName, ServiceSpec};

/// A code service that serves.
#[derive(Debug)]
pub struct Candidate<'a> {
    spec: &'a ServiceSpec,
    approot: PathBuf,
    built_on: GlobSet,
    reload: Reload,
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
        // What is in no approot may be used by all: shared code.
        let of_all = services.iter().all(|service| service.relative(path).is_none());
        let is_of = |service: &&Candidate| of_all || service.relative(path).is_some();
        if let Some(service) = services.iter().find(|service| service.is_built_on(path)) {
            return Verdict::Build(format!("{path} has changed, which the build of {} depends on", service.spec.name));
        }
        if let Some(service) =
            services.iter().find(|service| service.reload == Reload::Build && owns(service, path, services))
        {
            return Verdict::Build(format!("{path} has changed, which the build of {} may see", service.spec.name));
        }
        if let Some(service) = services.iter().filter(is_of).find(|service| service.has_build_hook()) {
            return Verdict::Build(format!(
                "{path} has changed, which the build hooks of {} may see",
                service.spec.name
            ));
        }
        let names = services.iter().filter(is_of).filter(|service| service.reload != Reload::Build);
        concerned.extend(names.map(|service| service.spec.name.clone()));
    }
    Verdict::Live(concerned)
}

/// Whether a path is in the service's approot, and in no narrower one of another, or in none of
/// any other.
fn owns(service: &Candidate<'_>, path: &str, services: &[Candidate<'_>]) -> bool {
    let depth = |of: &Candidate<'_>| of.relative(path).map(|_| of.approot.components().count());
    services.iter().filter(|other| other.spec.name != service.spec.name).all(|other| depth(other) <= depth(service))
}

impl<'a> Candidate<'a> {
    pub fn new(spec: &'a ServiceSpec, live: &Live) -> Self {
        let parts = Path::new(&spec.approot).components();
        let approot = parts.filter(|part| matches!(part, Component::Normal(_))).collect();
        Self { spec, approot, built_on: live.built_on(&READ_ONCE), reload: live.reload }
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

    /// What a hook of the build makes of files is known to nobody.
    fn has_build_hook(&self) -> bool {
        self.spec.prebuild.is_some() || self.spec.postbuild.is_some()
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
    fn what_a_build_that_sees_the_whole_tree_may_use_leads_to_a_build() {
        let services = [spec("own", "."), spec("www", "www"), spec("jobs", "./www/jobs")];
        let judge = |own: &str, path: &str| {
            let (bare, live) = (Live { reload: Reload::Build, ..Live::default() }, python());
            let one = |spec| Candidate::new(spec, if spec.name.as_str() == own { &bare } else { &live });
            classify(std::iter::once(path), &services.iter().map(one).collect::<Vec<_>>())
        };
        let live = |names: &[&str]| Verdict::Live(names.iter().map(|name| name.parse().unwrap()).collect());
        assert!(matches!(judge("own", "Makefile"), Verdict::Build(why) if why.contains("own")));
        assert_eq!(judge("own", "www/wsgi.py"), live(&["www"]), "another service has it for its own");
        assert!(matches!(judge("www", "www/x"), Verdict::Build(_)));
        assert_eq!(judge("www", "www/jobs/x"), live(&["jobs", "own"]));
        assert_eq!(judge("www", "README"), live(&["own"]));
        let (shared, bare) = (spec("all", "."), Live { reload: Reload::Build, ..Live::default() });
        let both = [Candidate::new(&services[0], &bare), Candidate::new(&shared, &bare)];
        assert!(matches!(classify(std::iter::once("x"), &both), Verdict::Build(_)));
        let apart = [Candidate::new(&services[1], &bare)];
        assert!(matches!(classify(std::iter::once("lib/x"), &apart), Verdict::Build(_)), "no approot has it");
    }

    #[test]
    fn what_build_hooks_may_read_leads_to_a_build() {
        let (mut www, worker) = (spec("www", "www"), spec("worker", "jobs"));
        www.postbuild = Some("make css".to_owned());
        let services = [www, worker];
        for path in ["www/style.less", "lib/shared.py"] {
            assert!(judge(&services, &[path]).unwrap_err().contains("www"), "{path}");
        }
        assert_eq!(judge(&services, &["jobs/a.py"]).unwrap(), ["worker"]);
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
