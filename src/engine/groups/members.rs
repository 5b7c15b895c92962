//! The members of a group as one look shows them: servers, with the addresses of their pods.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::engine::group::ObservedMember;
use crate::model::ServiceName;
use crate::model::observed::{ObservedApp, ObservedContainer, Purpose, RunState};

/// The containers of one data service.
pub(super) struct Look<'a> {
    pub service: &'a ServiceName,
    /// How many members there should be.
    pub wanted: u32,
    /// On which the servers listen.
    pub port: u16,
    pub observed: &'a ObservedApp,
}

impl Look<'_> {
    /// Whoever is wanted or still has a server. One without containers counts as dead; one that is
    /// left out would be nobody's to wait for, nor to succeed.
    pub fn members(&self) -> Vec<ObservedMember> {
        let servers = self.of(Purpose::Member).map(|server| server.identity.instance.index);
        let indices: BTreeSet<u32> = servers.chain(0..self.wanted).collect();
        indices.into_iter().map(|index| self.member(index)).collect()
    }

    fn member(&self, index: u32) -> ObservedMember {
        let server = self.find(index, Purpose::Member);
        // A server whose pod was made anew still lives in the former one's network.
        let lives_there = |pod: &&ObservedContainer| {
            let own = server.and_then(|server| server.pod.as_deref());
            own.is_none_or(|own| own == pod.id)
        };
        let ip = self.find(index, Purpose::Pod).filter(lives_there).and_then(|pod| pod.ip);
        ObservedMember {
            index,
            container: server.map(|server| server.id.clone()),
            pid: server.and_then(|server| server.pid),
            running: server.is_some_and(|server| server.state.is_alive()),
            paused: server.is_some_and(|server| server.state == RunState::Paused),
            leaving: index >= self.wanted,
            addr: ip.map(|ip| SocketAddr::from((ip, self.port))),
            memory: server.and_then(|server| server.memory),
        }
    }

    fn find(&self, index: u32, purpose: Purpose) -> Option<&ObservedContainer> {
        self.of(purpose).find(|container| container.identity.instance.index == index)
    }

    fn of(&self, purpose: Purpose) -> impl Iterator<Item = &ObservedContainer> {
        self.observed.containers.iter().filter(move |container| {
            container.identity.purpose == purpose && container.identity.instance.service == *self.service
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Identity;

    fn container(purpose: Purpose, index: u32, state: RunState) -> ObservedContainer {
        let service: ServiceName = "db".parse().unwrap();
        let instance = service.instance(index);
        let pod = (purpose == Purpose::Member).then(|| format!("Pod-{index}"));
        ObservedContainer {
            id: format!("{purpose:?}-{index}"),
            name: format!("{purpose:?}-{index}"),
            identity: Identity { app: "shop".parse().unwrap(), instance, purpose, generation: 0 },
            image: "image".to_owned(),
            state,
            pid: state.is_alive().then_some(100 + index),
            ip: (purpose == Purpose::Pod && state.is_alive()).then(|| [10, 0, 0, index as u8].into()),
            memory: None,
            pod,
            started_at: None,
        }
    }

    fn seen(containers: Vec<ObservedContainer>) -> Vec<ObservedMember> {
        let observed = ObservedApp { containers, ..ObservedApp::default() };
        Look { service: &"db".parse().unwrap(), wanted: 2, port: 6379, observed: &observed }.members()
    }

    fn addr(index: u8) -> Option<SocketAddr> {
        Some(SocketAddr::from(([10, 0, 0, index], 6379)))
    }

    const RUNS: RunState = RunState::Running;
    const ENDED: RunState = RunState::Exited { code: 137, oom_killed: false };

    #[test]
    fn a_member_without_containers_is_listed_as_one_that_is_dead() {
        let seen = seen(vec![container(Purpose::Pod, 1, RUNS), container(Purpose::Member, 1, RUNS)]);
        let [gone, there] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!((gone.index, gone.running, gone.addr, &gone.container), (0, false, None, &None));
        assert_eq!((there.index, there.running, there.addr), (1, true, addr(1)));
    }

    #[test]
    fn a_server_whose_pod_is_gone_runs_until_it_is_dead() {
        for pod in [None, Some(ENDED)] {
            let pod = pod.map(|state| container(Purpose::Pod, 0, state));
            let seen = seen(pod.into_iter().chain([container(Purpose::Member, 0, RUNS)]).collect());
            assert_eq!((seen[0].running, seen[0].addr), (true, None), "{seen:?}");
        }
    }

    #[test]
    fn a_server_in_a_former_pod_is_not_found_at_the_new_ones_address() {
        let new = ObservedContainer { id: "another".to_owned(), ..container(Purpose::Pod, 0, RUNS) };
        let seen = seen(vec![new, container(Purpose::Member, 0, RUNS)]);
        assert_eq!((seen[0].running, seen[0].addr), (true, None), "{seen:?}");
    }

    #[test]
    fn a_member_beyond_the_wanted_number_is_leaving() {
        let seen = seen(vec![container(Purpose::Pod, 2, RUNS), container(Purpose::Member, 2, ENDED)]);
        let last = seen.last().unwrap();
        assert_eq!((last.index, last.leaving, last.running, last.addr), (2, true, false, addr(2)));
    }
}
