//! Steps, their causes, and holds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{InstanceName, Memory, ServiceName};

use super::Failure;

/// One thing to do. Each maps to one call of the runtime, is idempotent, and names its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    EnsureNetwork,
    RemoveNetwork,
    /// The idle container that owns a member's address.
    StartPod {
        instance: InstanceName,
    },
    /// A member's server, in its pod.
    StartMember {
        instance: InstanceName,
        pod: String,
    },
    /// An exited server again, in the pod it was in.
    RestartMember {
        instance: InstanceName,
        container: String,
    },
    StartInstance {
        instance: InstanceName,
        generation: u64,
    },
    /// An exited code instance of the serving version again.
    ReviveInstance {
        instance: InstanceName,
        container: String,
    },
    /// Wait until it has no request in flight and stop it; it can be started again.
    StopInstance {
        instance: InstanceName,
        container: String,
    },
    /// Wait until it has no request in flight, stop it, remove it.
    Retire {
        instance: InstanceName,
        container: String,
    },
    /// End and remove at once.
    Remove {
        container: String,
        name: String,
    },
    /// A slave that was scaled away: server, pod and data.
    Discard {
        instance: InstanceName,
        containers: Vec<String>,
    },
    SetMemory {
        instance: InstanceName,
        container: String,
        memory: Memory,
    },
    /// Let a paused container go on.
    Unpause {
        instance: InstanceName,
        container: String,
    },
}

/// A step and why it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub step: Step,
    pub cause: String,
}

/// Something that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What waits: `www.2`, `db`.
    pub subject: String,
    pub why: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Planned>,
    pub holds: Vec<Hold>,
}

impl Step {
    /// Two steps with the same target are never under way at once.
    pub fn target(&self) -> String {
        match self {
            Self::EnsureNetwork | Self::RemoveNetwork => "network".to_owned(),
            // Never at once: a volume that goes while a pod or a server starts on it would come back bare.
            Self::StartPod { instance } | Self::StartMember { instance, .. } | Self::Discard { instance, .. } => {
                format!("{instance} member")
            }
            Self::StartInstance { instance, generation } => format!("{instance} generation {generation}"),
            Self::RestartMember { container, .. }
            | Self::ReviveInstance { container, .. }
            | Self::StopInstance { container, .. }
            | Self::Retire { container, .. }
            | Self::Remove { container, .. } => container.clone(),
            Self::SetMemory { container, .. } => format!("{container} memory"),
            Self::Unpause { container, .. } => format!("{container} pause"),
        }
    }
}

impl Hold {
    /// The service whose instance waits.
    pub fn service(&self) -> Option<ServiceName> {
        of_instance(&self.subject)
    }
}

impl Planned {
    /// The service whose instance the step is about.
    pub fn service(&self) -> Option<ServiceName> {
        of_instance(&self.step.subject())
    }
}

/// `None` for what concerns everybody, as the network does.
fn of_instance(subject: &str) -> Option<ServiceName> {
    subject.parse::<InstanceName>().ok().map(|instance| instance.service)
}

impl Plan {
    /// True when everything is as desired and nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.holds.is_empty()
    }

    pub(super) fn step(&mut self, step: Step, cause: impl Into<String>) {
        self.steps.push(Planned { step, cause: cause.into() });
    }

    pub(super) fn hold(&mut self, subject: impl ToString, why: impl Into<String>) {
        self.holds.push(Hold { subject: subject.to_string(), why: why.into() });
    }

    /// Steps that failed lately wait for their next try, and say so.
    pub(super) fn hold_failed(&mut self, failures: &BTreeMap<String, Failure>, now: Duration) {
        let (held, steps) = std::mem::take(&mut self.steps)
            .into_iter()
            .partition(|planned| failures.get(&planned.step.target()).is_some_and(|failure| failure.retry_at > now));
        self.steps = steps;
        let held: Vec<Planned> = held;
        for planned in held {
            let failure = &failures[&planned.step.target()];
            let left = (failure.retry_at - now).as_secs_f64();
            let why = format!("{}; tried again in {left:.0} s: {}", failure.why, planned.step);
            self.hold(planned.step.subject(), why);
        }
    }
}
