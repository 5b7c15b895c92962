//! Which instances may be sent traffic now.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::model::Backend;
use crate::model::observed::{ObservedApp, ObservedContainer, Purpose, RunState};
use crate::plan::Failure;
use crate::store::{AppRecord, ServiceRecord};

use super::app::Absence;

/// An application as it was looked at.
#[derive(Clone)]
pub struct Serving<'a> {
    pub record: &'a AppRecord,
    pub observed: &'a ObservedApp,
    /// Containers (ids) that answered their readiness probe.
    pub responsive: &'a BTreeSet<String>,
    /// Containers (ids) that are to get nothing new, and for how long.
    pub leaving: BTreeMap<String, Absence>,
    /// What failed lately, by the step's target.
    pub failures: &'a BTreeMap<String, Failure>,
}

impl Serving<'_> {
    /// The instances of the serving version that answer, at this port, by number.
    pub fn backends(&self, service: &ServiceRecord, port: u16) -> Vec<Backend> {
        let serves = |container: &&ObservedContainer| {
            container.identity.instance.index < service.instances && self.serves(container)
        };
        let mut backends: Vec<Backend> =
            self.containers(service).filter(serves).filter_map(|container| backend(container, port)).collect();
        backends.sort_by(|a, b| a.instance.cmp(&b.instance));
        backends
    }

    /// Whether an instance is about to come back, so that requests may wait for it.
    pub fn awaits(&self, service: &ServiceRecord) -> bool {
        self.containers(service).any(|container| self.leaving.get(&container.id) == Some(&Absence::Brief))
    }

    /// One instance at this port, or why it cannot be reached. `Ok(None)`: it will be, soon.
    pub fn backend(&self, service: &ServiceRecord, index: u32, port: u16) -> Result<Option<Backend>, String> {
        if service.serving.is_none() {
            return Err(format!("{} was not deployed yet", service.name));
        }
        if index >= service.instances {
            return Err(format!("{} is scaled to {}", service.name, service.instances));
        }
        let Some(container) = self.containers(service).find(|c| c.identity.instance.index == index) else {
            return Ok(None);
        };
        match self.failures.get(&container.id) {
            Some(failure) if container.state != RunState::Running => Err(failure.why.clone()),
            _ => Ok(Some(container).filter(|container| self.serves(container)).and_then(|c| backend(c, port))),
        }
    }

    fn containers<'s>(&'s self, service: &'s ServiceRecord) -> impl Iterator<Item = &'s ObservedContainer> {
        let generation = service.serving.as_ref().map(|version| version.generation);
        self.observed.containers.iter().filter(move |container| {
            let identity = &container.identity;
            identity.purpose == Purpose::Code
                && identity.instance.service == service.name
                && Some(identity.generation) == generation
        })
    }

    fn serves(&self, container: &ObservedContainer) -> bool {
        container.state == RunState::Running
            && self.responsive.contains(&container.id)
            && !self.leaving.contains_key(&container.id)
    }
}

fn backend(container: &ObservedContainer, port: u16) -> Option<Backend> {
    Some(Backend {
        id: container.id.as_str().into(),
        instance: container.identity.instance.clone(),
        addr: SocketAddr::from((container.ip?, port)),
    })
}
