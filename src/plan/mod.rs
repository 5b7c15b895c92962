//! Desired + observed + now -> what to do next. Pure: `plan` never awaits, never asks a clock.
//!
//! A [`Plan`] is data: steps that can be taken now, all independent of one another, and
//! holds that say what is waited for. Taking the steps and planning again converges;
//! nothing is remembered between two plans but what can be observed or was desired.
//! `plan` owns existence; roles belong to `failover`.

mod code;
mod data;
mod step;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::observed::{ObservedApp, ObservedContainer};
use crate::model::{DiskSpace, InstanceName, Memory, ServiceName};

pub use step::{Hold, Plan, Planned, Step};

/// What one application is to look like.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// False after `down` or while it is destroyed: nothing is to run.
    pub up: bool,
    pub services: Vec<DesiredService>,
    /// Containers (by id) whose pause is over.
    pub released: std::collections::BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub struct DesiredService {
    pub name: ServiceName,
    pub instances: u32,
    pub memory: Memory,
    pub kind: DesiredKind,
}

#[derive(Debug, Clone)]
pub enum DesiredKind {
    Code {
        /// Generation that serves.
        serving: Option<u64>,
        /// Generation that is being deployed beside it.
        candidate: Option<u64>,
        /// Instances whose `~/data` goes over to the candidate now, before it answers.
        handing_over: BTreeSet<u32>,
    },
    Data {
        group: GroupBrief,
    },
}

/// What `plan` needs to know of a group's roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupBrief {
    /// A failover is within milliseconds of its end: starting a dead member would slow it.
    pub brisk: bool,
    /// A master is open and nothing is being changed.
    pub settled: bool,
    pub master: Option<u32>,
    /// Members that count in elections of their own: not to be discarded yet.
    pub bound: BTreeSet<u32>,
}

/// What is known of one application now.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    pub app: ObservedApp,
    /// Containers (by id) that answered their readiness probe since they were started.
    pub responsive: BTreeSet<String>,
    /// Targets of steps that failed lately, by [`Step::target`].
    pub failures: BTreeMap<String, Failure>,
    /// Members whose disks are full.
    pub full: BTreeMap<InstanceName, DiskSpace>,
}

/// A step that failed: it is tried again at `retry_at`, in the same clock as `now`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub retry_at: Duration,
    pub why: String,
}

/// What to do next. `now` is any monotonic clock's reading.
pub fn plan(desired: &Desired, observed: &Observed, now: Duration) -> Plan {
    let mut plan = Plan::default();
    if desired.up {
        if observed.app.network.is_none() {
            plan.step(Step::EnsureNetwork, "the application has no network");
        } else {
            for service in &desired.services {
                plan_service(service, observed, &mut plan);
            }
        }
        remove_strangers(desired, observed, &mut plan);
        release_paused(desired, observed, &mut plan);
    } else {
        take_down(observed, &mut plan);
    }
    plan.hold_failed(&observed.failures, now);
    plan
}

fn plan_service(service: &DesiredService, observed: &Observed, plan: &mut Plan) {
    match &service.kind {
        DesiredKind::Code { serving, candidate, handing_over } => {
            code::plan(&code::Code { service, serving: *serving, candidate: *candidate, handing_over, observed }, plan);
        }
        DesiredKind::Data { group } => data::plan(service, group, observed, plan),
    }
}

/// Containers of services that nobody asks for any more, and builds' leftovers are not ours to
/// keep; builds under way are: they carry the purpose `Build` and are cleaned by their builder.
fn remove_strangers(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    use crate::model::observed::Purpose;
    for container in &observed.app.containers {
        let known = desired.services.iter().any(|service| service.name == container.identity.instance.service);
        if !known && container.identity.purpose != Purpose::Build {
            plan.step(remove(container), "its service was destroyed");
        }
    }
}

/// A pause is a fault that somebody asked for: it is ended when its time is over, and told of
/// until then. A container that is to go needs neither.
fn release_paused(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    use crate::model::observed::{Purpose, RunState};
    for container in observed.app.containers.iter().filter(|container| container.state == RunState::Paused) {
        let goes = plan.steps.iter().any(|planned| planned.step.target() == container.id);
        if goes || matches!(container.identity.purpose, Purpose::Pod | Purpose::Build) {
            continue;
        }
        let instance = container.identity.instance.clone();
        if desired.released.contains(&container.id) {
            plan.step(Step::Unpause { instance, container: container.id.clone() }, "its pause is over");
        } else {
            plan.hold(&instance, format!("it is paused: `dotcloud unpause {instance}` lets it go on"));
        }
    }
}

fn take_down(observed: &Observed, plan: &mut Plan) {
    for container in &observed.app.containers {
        plan.step(remove(container), "the application is down");
    }
    if observed.app.containers.is_empty() && observed.app.network.is_some() {
        plan.step(Step::RemoveNetwork, "the application is down");
    }
}

fn remove(container: &ObservedContainer) -> Step {
    Step::Remove { container: container.id.clone(), name: container.name.clone() }
}

fn set_memory(container: &ObservedContainer, memory: Memory) -> Option<Step> {
    use crate::model::observed::RunState;
    let runs = matches!(container.state, RunState::Running | RunState::Paused);
    (runs && container.memory != Some(memory)).then(|| Step::SetMemory {
        instance: container.identity.instance.clone(),
        container: container.id.clone(),
        memory,
    })
}

impl Observed {
    fn of<'a>(&'a self, instance: &'a InstanceName) -> impl Iterator<Item = &'a ObservedContainer> {
        self.app.containers.iter().filter(move |container| container.identity.instance == *instance)
    }
}

#[cfg(test)]
mod tests;
