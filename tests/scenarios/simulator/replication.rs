//! What was written on its way to the slaves, and how a link begins and ends.

use std::net::SocketAddr;

use dotcloud_local::failover::dialect::RoleChange;
use dotcloud_local::failover::{Event, Server};

use super::{MS, Simulator, Thing};
use crate::servers::Micros;

impl Simulator {
    pub(super) fn replicate(&mut self, from: u64, write: u32) {
        let slow = if self.random.percent(25) { 60 * MS } else { 2 * MS };
        for index in 0..self.members.len() {
            let delay = self.random.between(100, slow);
            self.deliver(index, from, write, delay, false);
        }
    }

    /// `late`: still to be read from the master's disk, so that it ends with the master.
    fn deliver(&mut self, index: usize, from: u64, write: u32, delay: Micros, late: bool) {
        let (now, cut) = (self.now, self.members[index].cut_until);
        let Some(process) = self.members[index].process.as_mut().filter(|p| p.link == Some(from)) else { return };
        let held_up = late || cut > now;
        let at = (now + delay).max(cut).max(process.last_arrival);
        process.last_arrival = at;
        process.under_way += u32::from(!held_up);
        let to = process.incarnation;
        self.at(at, Thing::Arrive { to, from, write, held_up });
    }

    pub(super) fn arrive(&mut self, to: u64, from: u64, write: u32, held_up: bool) {
        let source = self.find(from);
        let Some(index) = self.find(to) else { return };
        let member = &mut self.members[index];
        let process = member.process.as_mut().filter(|process| process.link == Some(from));
        // What the network held up is lost with its sender.
        let Some(process) = process.filter(|_| !held_up || source.is_some()) else { return };
        process.under_way = process.under_way.saturating_sub(u32::from(!held_up));
        process.position += 1;
        member.volume.data.push(write);
        // A frozen slave has it in its socket and says nothing.
        if process.model.waits() && !process.frozen && source.is_some() {
            self.soon(100, 500, Thing::Acknowledge { to: from, write });
        }
    }

    /// Slaves see the end of their link after everything that was sent.
    pub(super) fn end_links(&mut self, from: u64) {
        let linked = self.members.iter().filter_map(|member| member.process.as_ref());
        let linked = linked.filter(|process| process.link == Some(from));
        let ends: Vec<(u64, Micros)> = linked.map(|process| (process.incarnation, process.last_arrival)).collect();
        for (of, last_arrival) in ends {
            let delay = self.random.between(100, 2 * MS);
            self.at(last_arrival.max(self.now) + delay, Thing::LinkEnds { of, from });
        }
    }

    pub(super) fn link_ends(&mut self, of: u64, from: u64) {
        let Some(process) = self.process(of).filter(|process| process.link == Some(from)) else { return };
        process.link = None;
        process.under_way = 0;
        self.soon(100 * MS, 1_000 * MS, Thing::Attach { of });
    }

    /// A slave looks for its upstream.
    pub(super) fn attach(&mut self, of: u64) {
        let Some(index) = self.find(of) else { return };
        let process = self.members[index].process.as_ref().expect("found");
        let (false, None, false, Some(upstream)) = (process.master, process.link, process.broken, process.upstream)
        else {
            return;
        };
        let now = self.now;
        let source = self.members.iter().find(|member| member.addr == upstream);
        let source = source.and_then(|member| member.process.as_ref());
        let source = source.filter(|p| p.master && !p.frozen && p.listens_at <= now && p.incarnation != of);
        let Some(from) = source.map(|source| source.incarnation).filter(|_| self.members[index].cut_until <= now)
        else {
            return self.soon(300 * MS, 1_000 * MS, Thing::Attach { of });
        };
        if self.model.copies() {
            self.process(of).expect("it runs").copying = true;
            return self.soon(5 * MS, 150 * MS, Thing::Copied { of, from });
        }
        self.go_on(index, from);
    }

    /// A slave with a log of its own goes on where it is, if that is a place of its master.
    fn go_on(&mut self, index: usize, from: u64) {
        let source = self.find(from).expect("it was just found");
        let (have, had) = (&self.members[index].volume.data, &self.members[source].volume.data);
        if !had.starts_with(have) {
            self.tell(format!("db.{index} holds what db.{source} lacks"));
            self.members[index].process.as_mut().expect("it runs").broken = true;
            return;
        }
        let missing: Vec<u32> = had[have.len()..].to_vec();
        let process = self.members[index].process.as_mut().expect("it runs");
        (process.link, process.was_linked) = (Some(from), true);
        (process.last_arrival, process.under_way) = (0, 0);
        for write in missing {
            let delay = self.random.between(50, 300);
            let waits = self.members[index].process.as_ref().map_or(0, |p| p.last_arrival.saturating_sub(self.now));
            self.deliver(index, from, write, waits + delay, true);
        }
    }

    /// A full copy over the link is complete.
    pub(super) fn copied(&mut self, of: u64, from: u64) {
        let source = self.find(from).map(|index| {
            let member = &self.members[index];
            let process = member.process.as_ref().expect("found");
            (member.addr, process.master, process.history, process.position, member.volume.data.clone())
        });
        let Some(index) = self.find(of) else { return };
        let member = &mut self.members[index];
        let process = member.process.as_mut().expect("found");
        // It was told to follow twice, and asked twice for one copy.
        if process.link.is_some() {
            return;
        }
        process.copying = false;
        match source {
            Some((addr, true, history, position, data)) if process.upstream == Some(addr) && !process.master => {
                (process.history, process.position, process.was_linked) = (history, position, true);
                process.link = Some(from);
                (process.last_arrival, process.under_way) = (0, 0);
                // It says how far it is as soon as the link is up.
                if let Some(write) = data.last().copied().filter(|_| process.model.waits()) {
                    self.soon(100, 500, Thing::Acknowledge { to: from, write });
                }
                self.members[index].volume.data = data;
            }
            _ => self.soon(100 * MS, 500 * MS, Thing::Attach { of }),
        }
    }

    /// The driver's copy: the server ends, and its next start takes the copy over. The copy holds
    /// what the source had committed.
    pub(super) fn duplicated(&mut self, daemon: u64, server: Server, from: SocketAddr, source: Option<u64>) {
        if daemon != self.daemon {
            return;
        }
        let found = source.and_then(|source| self.find(source)).filter(|_| self.find(server.incarnation).is_some());
        let Some(found) = found else {
            let (change, result) = (RoleChange::CopyFrom(from), Err("the copy was interrupted".to_owned()));
            return self.after(0, Thing::Tell(daemon, Event::Commanded { server, change, result }));
        };
        let member = &self.members[found];
        let uncommitted = member.process.as_ref().map_or(0, |process| process.waiting.len());
        let data = member.volume.data[..member.volume.data.len() - uncommitted].to_vec();
        self.members[server.index as usize].volume.copied = Some(data);
        self.die(server.index as usize, "it becomes a copy");
    }
}
