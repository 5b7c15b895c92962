//! Code services: instances of the serving generation, those of a candidate beside them,
//! and the retirement of all others.

use std::collections::BTreeSet;

use crate::model::InstanceName;
use crate::model::observed::{DATA_IN_USE, ObservedContainer, Purpose, RunState};

use super::{DesiredService, Observed, Plan, Step, set_memory};

/// One code service and what is known of it.
pub(super) struct Code<'a> {
    pub service: &'a DesiredService,
    pub serving: Option<u64>,
    pub candidate: Option<u64>,
    pub handing_over: &'a BTreeSet<u32>,
    pub observed: &'a Observed,
}

pub(super) fn plan(code: &Code<'_>, plan: &mut Plan) {
    for index in 0..code.service.instances {
        let instance = code.service.name.instance(index);
        match (code.serving, code.candidate) {
            (serving, Some(candidate)) if code.handing_over.contains(&index) => {
                code.hand_over(&instance, serving, candidate, plan);
            }
            (serving, candidate) => {
                serving.into_iter().for_each(|generation| code.keep_serving(&instance, generation, plan));
                candidate.into_iter().for_each(|generation| code.bring_up_candidate(&instance, generation, plan));
            }
        }
    }
    for container in code.containers() {
        if !code.is_wanted(container) {
            plan.step(retire(container), code.why_unwanted(container));
        }
    }
}

impl Code<'_> {
    fn containers(&self) -> impl Iterator<Item = &ObservedContainer> {
        self.observed.app.containers.iter().filter(|container| {
            container.identity.purpose == Purpose::Code && container.identity.instance.service == self.service.name
        })
    }

    fn find(&self, instance: &InstanceName, generation: u64) -> Option<&ObservedContainer> {
        self.containers().find(|c| c.identity.instance == *instance && c.identity.generation == generation)
    }

    fn keep_serving(&self, instance: &InstanceName, generation: u64, plan: &mut Plan) {
        let Some(container) = self.find(instance, generation) else {
            let cause = format!("{} is scaled to {}", self.service.name, self.service.instances);
            return plan.step(Step::StartInstance { instance: instance.clone(), generation }, cause);
        };
        match container.state {
            state if state.waits_for_data() && self.another_lives(instance, generation) => {
                plan.hold(instance, "another version has its ~/data");
            }
            RunState::Exited { code, oom_killed } => {
                plan.step(revive(container), exit_cause(code, oom_killed));
            }
            RunState::Created => {
                plan.step(
                    Step::StartInstance { instance: instance.clone(), generation },
                    "it was created, not started",
                );
            }
            RunState::Running | RunState::Paused => self.settle(container, plan),
        }
    }

    fn another_lives(&self, instance: &InstanceName, generation: u64) -> bool {
        let another = |c: &&ObservedContainer| c.identity.instance == *instance && c.identity.generation != generation;
        self.containers().filter(another).any(|container| container.state.is_alive())
    }

    /// One container after the other has the directory: the old one stops before the new one
    /// is started again, and is kept, should the new one fail.
    fn hand_over(&self, instance: &InstanceName, serving: Option<u64>, candidate: u64, plan: &mut Plan) {
        let old = serving.and_then(|generation| self.find(instance, generation));
        let new = self.find(instance, candidate);
        match (old.filter(|old| old.state.is_alive()), new) {
            (Some(old), _) => {
                let step = Step::StopInstance { instance: instance.clone(), container: old.id.clone() };
                plan.step(step, format!("its ~/data goes to generation {candidate}"));
            }
            (None, Some(new)) if new.state.waits_for_data() => plan.step(revive(new), "its ~/data is free"),
            (None, _) => self.bring_up_candidate(instance, candidate, plan),
        }
    }

    /// A candidate that ended is not started again: its deployment fails.
    fn bring_up_candidate(&self, instance: &InstanceName, generation: u64, plan: &mut Plan) {
        let Some(container) = self.find(instance, generation) else {
            return plan
                .step(Step::StartInstance { instance: instance.clone(), generation }, "a new version is deployed");
        };
        match container.state {
            state if state.waits_for_data() => plan.hold(instance, "the new version waits for ~/data"),
            RunState::Exited { code, oom_killed } => {
                plan.hold(instance, format!("the new version ended: {}", exit_cause(code, oom_killed)));
            }
            RunState::Created => {
                plan.step(
                    Step::StartInstance { instance: instance.clone(), generation },
                    "it was created, not started",
                );
            }
            RunState::Running | RunState::Paused => self.settle(container, plan),
        }
    }

    /// The right memory, then an answer.
    fn settle(&self, container: &ObservedContainer, plan: &mut Plan) {
        let instance = &container.identity.instance;
        if container.ip.is_none() && container.state == RunState::Running {
            return plan.step(retire(container), "it lost its network");
        }
        if let Some(step) = set_memory(container, self.service.memory) {
            plan.step(step, "the service's memory was scaled");
        }
        if !self.observed.responsive.contains(&container.id) {
            plan.hold(instance, "waiting for the instance to become responsive");
        }
    }

    fn is_wanted(&self, container: &ObservedContainer) -> bool {
        let generation = Some(container.identity.generation);
        let current = generation == self.serving || generation == self.candidate;
        current && container.identity.instance.index < self.service.instances
    }

    fn why_unwanted(&self, container: &ObservedContainer) -> String {
        if container.identity.instance.index >= self.service.instances {
            format!("{} is scaled to {}", self.service.name, self.service.instances)
        } else {
            match self.serving {
                Some(generation) => format!("generation {generation} serves"),
                None => "its deployment failed".to_owned(),
            }
        }
    }
}

fn retire(container: &ObservedContainer) -> Step {
    Step::Retire { instance: container.identity.instance.clone(), container: container.id.clone() }
}

fn revive(container: &ObservedContainer) -> Step {
    Step::ReviveInstance { instance: container.identity.instance.clone(), container: container.id.clone() }
}

pub(super) fn exit_cause(code: i64, oom_killed: bool) -> String {
    match (code, oom_killed) {
        (_, true) => "it was killed for using more memory than its limit".to_owned(),
        (DATA_IN_USE, false) => "its ~/data was in use".to_owned(),
        (137, false) => "it was killed".to_owned(),
        (code, false) => format!("it ended with exit code {code}"),
    }
}
