//! The promises, and how a broken one ends the run.

use std::collections::HashSet;
use std::net::SocketAddr;

use dotcloud_local::failover::Group;

use super::Simulator;

impl Simulator {
    pub(super) fn break_promise(&mut self, what: String) {
        self.tell(format!("BROKEN {what}"));
        self.outcome.broken.get_or_insert(what);
    }

    pub(super) fn check_masters(&mut self) {
        let masters = self.members.iter().filter(|member| member.process.as_ref().is_some_and(|p| p.master)).count();
        if masters > 1 {
            self.break_promise(format!("{masters} members accept writes"));
        }
    }

    pub(super) fn check_secured(&mut self, addr: SocketAddr) {
        let master = self.members.iter().find(|member| member.addr == addr).expect("an address of ours");
        let data: HashSet<u32> = master.volume.data.iter().copied().collect();
        let lost = self.secured.iter().filter(|write| !data.contains(write)).count();
        if lost > 0 {
            self.break_promise(format!("{lost} writes that a slave had are not on {addr}"));
        }
    }

    pub(super) fn check_peace(&mut self) {
        let Some(status) = self.group.as_ref().map(Group::status) else { return };
        if self.outcome.broken.is_some() {
            return;
        }
        let masters = self.members.iter().filter(|member| member.process.as_ref().is_some_and(|p| p.master)).count();
        let open = self.front.is_some();
        if !(status.settled && masters == 1 && open) {
            self.break_promise(format!("no peace: {masters} masters, open {open}, {status:#?}"));
        }
    }
}
