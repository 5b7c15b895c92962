//! Data services: a pod and a server per member. Which of them is master is not decided here.

use crate::model::observed::{ObservedContainer, Purpose, RunState};
use crate::model::{DiskSpace, InstanceName};

use super::code::exit_cause;
use super::{DesiredService, GroupBrief, Observed, Plan, Step, remove, set_memory};

pub(super) fn plan(service: &DesiredService, group: &GroupBrief, observed: &Observed, plan: &mut Plan) {
    let members = Members { service, group, observed };
    // A master whose number is scaled away lives until another member has taken over.
    // So does a voter of a group that elects by itself: its death could take the majority away.
    let mut kept = group.bound.clone();
    kept.extend(group.master);
    let surplus = kept.into_iter().filter(|index| *index >= service.instances);
    for index in (0..service.instances).chain(surplus) {
        members.keep(&service.name.instance(index), plan);
    }
    members.shrink(plan);
}

fn full(space: DiskSpace) -> String {
    format!(
        "its disk is full ({space}), and it takes no writes until there is space: `docker system df` shows what Docker keeps"
    )
}

struct Members<'a> {
    service: &'a DesiredService,
    group: &'a GroupBrief,
    observed: &'a Observed,
}

impl Members<'_> {
    fn find(&self, instance: &InstanceName, purpose: Purpose) -> Option<&ObservedContainer> {
        let wanted = |c: &&ObservedContainer| c.identity.instance == *instance && c.identity.purpose == purpose;
        self.observed.app.containers.iter().find(wanted)
    }

    /// `EnsurePod` precedes `StartMember`; losing a pod recreates its member; a pod is never
    /// restarted alone, since its server would stay in a network namespace that is gone.
    fn keep(&self, instance: &InstanceName, plan: &mut Plan) {
        let member = self.find(instance, Purpose::Member);
        let pod = match self.find(instance, Purpose::Pod) {
            Some(pod) if pod.state == RunState::Running && pod.ip.is_some() => pod,
            Some(pod) if pod.state == RunState::Created => {
                return plan.step(Step::StartPod { instance: instance.clone() }, "it was created, not started");
            }
            Some(pod) => {
                member.into_iter().for_each(|member| plan.step(remove(member), "its pod ended"));
                return plan.step(remove(pod), "a pod without life or network is made anew");
            }
            None => {
                member.into_iter().for_each(|member| plan.step(remove(member), "its pod is gone"));
                let cause = format!("{} is scaled to {}", self.service.name, self.service.instances);
                return plan.step(Step::StartPod { instance: instance.clone() }, cause);
            }
        };
        if let Some(space) = self.observed.full.get(instance) {
            plan.hold(instance, full(*space));
        }
        match member {
            None => {
                let step = Step::StartMember { instance: instance.clone(), pod: pod.id.clone() };
                plan.step(step, "its pod is there");
            }
            Some(member) => self.keep_member(instance, member, pod, plan),
        }
    }

    fn keep_member(
        &self,
        instance: &InstanceName,
        member: &ObservedContainer,
        pod: &ObservedContainer,
        plan: &mut Plan,
    ) {
        if member.pod.as_deref().is_some_and(|id| id != pod.id) {
            return plan.step(remove(member), "it lives in a pod that is gone");
        }
        match member.state {
            RunState::Exited { .. } if self.waits_for_failover() => {
                plan.hold(instance, "a failover is under way");
            }
            // Each start ends for the same reason, and a master's would be promoted each time.
            RunState::Exited { .. } if self.lacks_space(instance, member) => {
                plan.hold(instance, "it ended, and is started again when there is space");
            }
            RunState::Exited { code, oom_killed } => {
                let step = Step::RestartMember { instance: instance.clone(), container: member.id.clone() };
                plan.step(step, exit_cause(code, oom_killed));
            }
            RunState::Created => {
                let step = Step::StartMember { instance: instance.clone(), pod: pod.id.clone() };
                plan.step(step, "it was created, not started");
            }
            RunState::Running | RunState::Paused => {
                if let Some(step) = set_memory(member, self.service.memory) {
                    plan.step(step, "the service's memory was scaled");
                }
            }
        }
    }

    /// Starting the dead one would only slow the promotion of the living; with nobody alive
    /// there is nothing to wait for.
    fn waits_for_failover(&self) -> bool {
        let lives = |container: &&ObservedContainer| {
            container.identity.purpose == Purpose::Member && container.state == RunState::Running
        };
        self.group.brisk && self.all().filter(lives).count() > 0
    }

    /// When those that are bound may go. Of a group that elects by itself the master is bound, too: all
    /// its voters are.
    fn release(&self) -> &'static str {
        match self.group.master.is_some_and(|master| self.group.bound.contains(&master)) {
            true => "the others agree to do without it",
            false => "another slave is in step: it alone may have what was acknowledged",
        }
    }

    /// Its disk is full, and it keeps ending. One that can run without writing is not kept from it.
    fn lacks_space(&self, instance: &InstanceName, member: &ObservedContainer) -> bool {
        self.observed.full.contains_key(instance) && self.observed.failures.contains_key(&member.id)
    }

    fn all(&self) -> impl Iterator<Item = &ObservedContainer> {
        self.observed.app.containers.iter().filter(|container| {
            container.identity.instance.service == self.service.name && container.identity.purpose != Purpose::Build
        })
    }

    /// Members beyond the wanted number go, the master never before another one is.
    fn shrink(&self, plan: &mut Plan) {
        let mut surplus: Vec<&InstanceName> =
            self.all().map(|c| &c.identity.instance).filter(|i| i.index >= self.service.instances).collect();
        surplus.sort();
        surplus.dedup();
        for instance in surplus {
            if self.group.master == Some(instance.index) {
                plan.hold(instance, "its number is scaled away, and another member takes the master's role first");
            } else if !self.group.settled || self.group.master.is_none() {
                plan.hold(instance, "the group has no settled master; nothing is discarded meanwhile");
            } else if self.group.bound.contains(&instance.index) {
                plan.hold(instance, format!("its number is scaled away, and it stays until {}", self.release()));
            } else {
                let containers = self.observed.of(instance).map(|container| container.id.clone()).collect();
                let cause = format!("{} is scaled to {}", self.service.name, self.service.instances);
                plan.step(Step::Discard { instance: instance.clone(), containers }, cause);
            }
        }
    }
}
