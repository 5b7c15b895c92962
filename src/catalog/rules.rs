//! What a data service's type says of how many members it may have, and of settings of 2012 that
//! mean nothing to its server of today.

use crate::model::ServiceSpec;

use super::{DataSpec, ServiceType};

/// Whether a service may have so many members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Count {
    Fits,
    /// As dotCloud did: nothing changes, and this sentence says why.
    Ignored(String),
    Refused(String),
}

impl ServiceType {
    pub fn count(&self, wanted: u32) -> Count {
        if wanted > 1 && self.is_single() {
            return Count::Refused(format!("type {} has no replication", self.name));
        }
        let counts = self.data.as_ref().map(|data| data.counts.as_slice()).unwrap_or_default();
        if counts.is_empty() || counts.contains(&wanted) {
            return Count::Fits;
        }
        let numbers: Vec<String> = counts.iter().map(ToString::to_string).collect();
        let rule = format!("a service of type {} has {} instances", self.name, either(&numbers));
        if wanted.is_multiple_of(2) {
            let why = "its members elect by majority, and an even number survives no more deaths than one less";
            return Count::Ignored(format!("{rule}: {why}"));
        }
        Count::Refused(rule)
    }

    /// How many members a new service has when the build file asks for so many.
    pub fn first_count(&self, wanted: u32) -> u32 {
        let counts = self.data.as_ref().map(|data| data.counts.as_slice()).unwrap_or_default();
        counts.iter().copied().filter(|count| *count <= wanted).max().unwrap_or(wanted)
    }

    /// Settings of the build file that are accepted and change nothing, in a sentence.
    pub fn idle_settings(&self, spec: &ServiceSpec) -> Option<String> {
        let data = self.data.as_ref()?;
        let idle: Vec<String> = data.idle_config.iter().filter(|key| spec.config.contains_key(*key)).cloned().collect();
        let verb = if idle.len() == 1 { "has" } else { "have" };
        (!idle.is_empty())
            .then(|| format!("{} {verb} no effect: servers of today know no such setting", idle.join(", ")))
    }
}

impl DataSpec {
    /// Where a service is found at these addresses: `redis://root:pw@host:port`, or
    /// `memcached://host:port` where nobody logs in.
    pub fn url(&self, password: &str, hosts: &[String]) -> String {
        let who = if self.login.is_empty() { String::new() } else { format!("{}:{password}@", self.login) };
        format!("{}://{who}{}{}", self.url_scheme, hosts.join(","), self.url_query)
    }
}

fn either(numbers: &[String]) -> String {
    match numbers {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn spec(config: BTreeMap<String, serde_json::Value>) -> ServiceSpec {
        ServiceSpec {
            name: "db".parse().unwrap(),
            type_name: "mongodb".to_owned(),
            approot: ".".to_owned(),
            instances: 1,
            prebuild: None,
            postbuild: None,
            postinstall: None,
            buildscript: None,
            systempackages: Vec::new(),
            requirements: Vec::new(),
            config,
            shared_folders: Default::default(),
            environment: Default::default(),
            ports: Default::default(),
            processes: crate::model::Processes::Unset,
            exclude_bundler_groups: Vec::new(),
            exported: Default::default(),
        }
    }

    fn count(wanted: u32) -> Count {
        Catalog::embedded().unwrap().get("mongodb").unwrap().count(wanted)
    }

    #[test]
    fn even_numbers_of_voters_are_ignored_and_too_many_refused() {
        assert!([1, 3, 5].into_iter().all(|wanted| count(wanted) == Count::Fits));
        let Count::Ignored(why) = count(2) else { panic!("{:?}", count(2)) };
        assert_eq!(
            why,
            "a service of type mongodb has 1, 3 or 5 instances: its members elect by majority, and an even number \
             survives no more deaths than one less"
        );
        assert!(matches!(count(6), Count::Ignored(_)));
        assert_eq!(count(7), Count::Refused("a service of type mongodb has 1, 3 or 5 instances".to_owned()));
        let catalog = Catalog::embedded().unwrap();
        assert_eq!(catalog.get("redis").unwrap().count(2), Count::Fits);
        let first = |wanted| catalog.get("mongodb").unwrap().first_count(wanted);
        assert_eq!([1, 2, 3, 4, 5, 6].map(first), [1, 1, 3, 3, 5, 5]);
        assert_eq!(catalog.get("redis").unwrap().first_count(2), 2);
    }

    #[test]
    fn settings_reach_the_server_and_idle_ones_are_named() {
        let config = [("mongodb_oplog_size", json!(256)), ("mongodb_smallfiles", json!(true))];
        let spec = spec(config.map(|(key, value)| (key.to_owned(), value)).into());
        let catalog = Catalog::embedded().unwrap();
        let kind = catalog.get("mongodb").unwrap();
        let words = kind.configured(kind.member_command(0, "pw", crate::model::Memory::DEFAULT), &spec.config);
        assert_eq!(words.last().map(String::as_str), Some("256"));
        let idle = kind.idle_settings(&spec).unwrap();
        assert_eq!(idle, "mongodb_smallfiles has no effect: servers of today know no such setting");
    }
}
