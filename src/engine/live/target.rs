//! The instances that a change goes to.

use std::sync::Arc;

use crate::catalog::{Reload, ServiceType};
use crate::engine::app::App;
use crate::engine::inner::Inner;
use crate::engine::ports::{self, Port};
use crate::model::observed::{ObservedApp, ObservedContainer, Purpose, RunState};
use crate::model::{InstanceName, ServiceName};
use crate::store::{AppRecord, ServiceRecord, Version};

/// A running instance of the serving version of a code service.
#[derive(Debug, Clone)]
pub struct Target {
    pub container: ObservedContainer,
    /// How its type takes new code.
    pub reload: Reload,
    /// The ports that tell whether it serves.
    pub asked: Vec<Port>,
    /// The ports that lead to it from outside.
    pub ports: Vec<Port>,
    /// The change it should have.
    pub change: u64,
}

/// A code service that serves.
pub struct Service<'a> {
    pub record: &'a ServiceRecord,
    pub version: &'a Version,
    pub kind: &'a ServiceType,
}

/// Code services of the build file that serve a version.
pub fn services<'a>(inner: &'a Inner, record: &'a AppRecord) -> Vec<Service<'a>> {
    let serves = |record: &'a ServiceRecord| {
        let kind = inner.catalog.get(&record.type_name).filter(|kind| kind.data.is_none())?;
        let version = record.serving.as_ref().filter(|_| !record.doomed && record.in_build_file)?;
        Some(Service { record, version, kind })
    };
    record.services.iter().filter_map(serves).collect()
}

/// Those of them whose instances take changes.
pub fn takers<'a>(inner: &'a Inner, record: &'a AppRecord) -> Vec<Service<'a>> {
    services(inner, record).into_iter().filter(|service| service.kind.live.reload != Reload::Build).collect()
}

impl Service<'_> {
    pub fn name(&self) -> &ServiceName {
        &self.record.name
    }

    /// Its instances that run, in order.
    pub fn targets(&self, observed: &ObservedApp) -> Vec<Target> {
        let runs = |container: &&ObservedContainer| self.owns(container) && container.state == RunState::Running;
        let target = |container: &ObservedContainer| Target {
            container: container.clone(),
            reload: self.kind.live.reload,
            asked: ports::asked(&self.version.spec, self.kind),
            ports: ports::of(&self.version.spec, self.kind),
            change: self.version.overlay.as_ref().map_or(0, |overlay| overlay.change),
        };
        let mut targets: Vec<Target> = observed.containers.iter().filter(runs).map(target).collect();
        targets.sort_by(|a, b| a.instance().cmp(b.instance()));
        targets
    }

    /// Whether a container is one of its wanted instances, whatever its state.
    pub fn owns(&self, container: &ObservedContainer) -> bool {
        let identity = &container.identity;
        identity.purpose == Purpose::Code
            && identity.instance.service == self.record.name
            && identity.generation == self.version.generation
            && identity.instance.index < self.record.instances
    }
}

/// All instances that should take changes, and how many there should be.
pub fn wanted(inner: &Inner, app: &Arc<App>) -> (Vec<Target>, u32) {
    let record = app.record();
    if !record.up || record.doomed {
        return (Vec::new(), 0);
    }
    let observed = app.status.borrow().observed.clone();
    let services = takers(inner, &record);
    let count = services.iter().map(|service| service.record.instances).sum();
    (services.iter().flat_map(|service| service.targets(&observed)).collect(), count)
}

impl Target {
    pub fn instance(&self) -> &InstanceName {
        &self.container.identity.instance
    }

    pub fn incarnation(&self) -> (String, Option<u32>) {
        (self.container.id.clone(), self.container.pid)
    }
}
