//! Code services: instances of the serving generation, those of a candidate beside them,
//! and the retirement of all others.

use crate::model::InstanceName;
use crate::model::observed::{ObservedContainer, Purpose, RunState};

use super::{DesiredService, Observed, Plan, Step, set_memory};

/// One code service and what is known of it.
pub(super) struct Code<'a> {
    pub service: &'a DesiredService,
    pub serving: Option<u64>,
    pub candidate: Option<u64>,
    pub observed: &'a Observed,
}

pub(super) fn plan(code: &Code<'_>, plan: &mut Plan) {
    for index in 0..code.service.instances {
        let instance = code.service.name.instance(index);
        if let Some(generation) = code.serving {
            code.keep_serving(&instance, generation, plan);
        }
        if let Some(generation) = code.candidate {
            code.bring_up_candidate(&instance, generation, plan);
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
            RunState::Exited { code, oom_killed } => {
                let step = Step::ReviveInstance { instance: instance.clone(), container: container.id.clone() };
                plan.step(step, exit_cause(code, oom_killed));
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

    /// A candidate that ended is not started again: its deployment fails.
    fn bring_up_candidate(&self, instance: &InstanceName, generation: u64, plan: &mut Plan) {
        let Some(container) = self.find(instance, generation) else {
            return plan
                .step(Step::StartInstance { instance: instance.clone(), generation }, "a new version is deployed");
        };
        match container.state {
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

pub(super) fn exit_cause(code: i64, oom_killed: bool) -> String {
    match (code, oom_killed) {
        (_, true) => "it was killed for using more memory than its limit".to_owned(),
        (137, false) => "it was killed".to_owned(),
        (code, false) => format!("it ended with exit code {code}"),
    }
}
