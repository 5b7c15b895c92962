//! What becomes of the members: they start, are seen, obey, come, go and die.

use std::net::SocketAddr;

use dotcloud_local::failover::dialect::RoleChange;
use dotcloud_local::failover::{Event, Group, Seat, Server};

use super::{MS, Member, Simulator, Thing};
use crate::servers::{Model, Process, Unread, Volume};

impl Simulator {
    // --- the reconciler

    pub(super) fn look(&mut self) {
        self.remove_unwanted();
        let listed = self.members.iter().enumerate().filter(|(_, member)| member.present || member.wanted);
        let seats = listed.map(|(index, member)| Seat {
            index: index as u32,
            addr: member.present.then_some(member.addr),
            incarnation: member.process.as_ref().map(|process| process.incarnation),
            paused: member.process.as_ref().is_some_and(|process| process.paused),
            leaving: !member.wanted,
        });
        let seats: Vec<Seat> = seats.collect();
        let delay = self.random.between(MS, 100 * MS);
        self.last_look = self.last_look.max(self.now + delay);
        let daemon = self.daemon;
        self.at(self.last_look, Thing::Tell(daemon, Event::Observed(seats)));
        self.soon(100 * MS, 800 * MS, Thing::Look);
    }

    /// The plan's part of scaling down: never the master, never while a group is unsettled.
    fn remove_unwanted(&mut self) {
        let Some(status) = self.group.as_ref().map(Group::status).filter(|status| status.settled) else { return };
        let master = status.epoch.map(|epoch| epoch.master as usize);
        let going = |(index, member): &(usize, &Member)| {
            let free = Some(*index) != master && !status.bound.contains(&(*index as u32));
            !member.wanted && member.present && free
        };
        let Some(index) = self.members.iter().enumerate().find(going).map(|(index, _)| index) else { return };
        self.die(index, "it is removed");
        let member = &mut self.members[index];
        (member.present, member.volume) = (false, Volume::default());
    }

    /// Somebody wants more or fewer members.
    pub(super) fn scale(&mut self, index: usize, wanted: bool) {
        self.tell(format!("db.{index} is to {}", if wanted { "come" } else { "leave" }));
        let member = &mut self.members[index];
        member.wanted = wanted;
        if wanted && !member.present {
            member.present = true;
            self.start(index);
        }
        self.after(1, Thing::Look);
    }

    pub(super) fn start(&mut self, index: usize) {
        self.incarnations += 1;
        let listens_at = self.now + self.random.between(10, 200) * MS;
        let volume = &mut self.members[index].volume;
        if let Some(copied) = volume.copied.take() {
            volume.data = copied;
        }
        let process = Process::boot(self.incarnations, self.model, listens_at, volume);
        self.members[index].process = Some(process);
        self.tell(format!("db.{index} starts as {}", self.incarnations));
        self.after(1, Thing::Look);
    }

    pub(super) fn restart(&mut self, index: usize) {
        if self.members[index].present && self.members[index].process.is_none() {
            self.start(index);
        }
    }

    /// Its pod and its server are removed; the reconciler makes both anew, at another address.
    pub(super) fn remove(&mut self, index: usize) {
        self.die(index, "its pod is removed");
        self.members[index].present = false;
        self.soon(300 * MS, 4_000 * MS, Thing::Remake(index));
    }

    /// Unless nobody wants it, and it is not the master, which has to hand over first.
    pub fn remake(&mut self, index: usize) {
        let master = self.disk.is_some_and(|epoch| epoch.master as usize == index);
        let member = &mut self.members[index];
        if member.present || !(member.wanted || master) {
            return;
        }
        member.present = true;
        // Which port it is tells one address of a member from the next.
        member.addr.set_port(member.addr.port() + 1);
        self.start(index);
    }

    // --- servers

    /// Whose address this is, or was.
    pub(super) fn index_of(&self, addr: SocketAddr) -> usize {
        self.members.iter().position(|member| member.addr.ip() == addr.ip()).expect("an address of ours")
    }

    /// Who is to be found there now.
    pub(super) fn listener(&self, addr: SocketAddr) -> Option<usize> {
        self.members.iter().position(|member| member.addr == addr)
    }

    pub(super) fn find(&self, incarnation: u64) -> Option<usize> {
        let is = |member: &Member| member.process.as_ref().is_some_and(|process| process.incarnation == incarnation);
        self.members.iter().position(is)
    }

    pub(super) fn process(&mut self, incarnation: u64) -> Option<&mut Process> {
        let index = self.find(incarnation)?;
        self.members[index].process.as_mut()
    }

    pub(super) fn die(&mut self, index: usize, why: &str) {
        let member = &mut self.members[index];
        let Some(process) = member.process.take() else { return };
        // What no slave had is discarded at the next start: it was never acknowledged.
        if process.model == Model::Guarded {
            member.volume.data.truncate(member.volume.data.len() - process.waiting.len());
        }
        self.tell(format!("db.{index} ({}) dies: {why}", process.incarnation));
        self.end_links(process.incarnation);
        let server = Server { index: index as u32, incarnation: process.incarnation };
        if !self.random.percent(15) {
            let daemon = self.daemon;
            self.soon(200, 20 * MS, Thing::Tell(daemon, Event::Died(server)));
        }
        self.soon(300 * MS, 1_500 * MS, Thing::Restart(index));
        self.after(1, Thing::Look);
    }

    /// False when the server refuses.
    pub(super) fn obey(&mut self, index: usize, change: RoleChange) -> bool {
        let now = self.now;
        let Some(process) = self.members[index].process.as_mut() else { return true };
        let (incarnation, unread) = (process.incarnation, process.under_way);
        let promoted = change == RoleChange::Promote && !process.master;
        let obeyed = process.obey(change, now);
        if obeyed.ends_links {
            self.end_links(incarnation);
        }
        obeyed.released.into_iter().for_each(|sent| self.acknowledged(index, sent));
        if promoted {
            self.check_promoted(index, unread);
        }
        if let (RoleChange::Follow(_), false) = (change, obeyed.refused) {
            self.soon(MS, 10 * MS, Thing::Attach { of: incarnation });
        }
        !obeyed.refused
    }

    pub(super) fn freeze(&mut self, index: usize, for_ms: u64) {
        let paused = self.random.percent(50);
        let Some(process) = self.members[index].process.as_mut() else { return };
        (process.frozen, process.paused, process.disturbed) = (true, paused, true);
        let incarnation = process.incarnation;
        self.tell(format!("db.{index} ({incarnation}) hangs"));
        self.after(for_ms * MS, Thing::Thaw(incarnation));
    }

    pub(super) fn thaw(&mut self, incarnation: u64) {
        let Some(index) = self.find(incarnation) else { return };
        let process = self.members[index].process.as_mut().expect("found");
        (process.frozen, process.paused) = (false, false);
        let backlog = std::mem::take(&mut process.backlog);
        let link = process.link.filter(|_| process.model.waits());
        let last = self.members[index].volume.data.last().copied();
        self.tell(format!("db.{index} goes on"));
        if let (Some(to), Some(write)) = (link, last) {
            self.soon(100, 500, Thing::Acknowledge { to, write });
        }
        for unread in backlog {
            match unread {
                Unread::Change(change) => drop(self.obey(index, change)),
                Unread::Write(sent) => self.accept(index, sent),
                Unread::Acknowledged(write) => self.acknowledge(incarnation, write),
            }
        }
    }
}
