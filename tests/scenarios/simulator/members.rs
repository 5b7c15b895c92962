//! What becomes of the members: they start, are seen, attach to a master, copy it and die.

use dotcloud_local::failover::dialect::RoleChange;
use dotcloud_local::failover::{Event, Seat, Server};

use super::{MS, Member, Simulator, Thing};
use crate::servers::{Micros, Process};

impl Simulator {
    // --- the reconciler

    pub(super) fn look(&mut self) {
        let seats = self.members.iter().enumerate().map(|(index, member)| Seat {
            index: index as u32,
            addr: member.addr,
            incarnation: member.process.as_ref().map(|process| process.incarnation),
            paused: false,
            leaving: false,
        });
        let seats: Vec<Seat> = seats.collect();
        let delay = self.random.between(MS, 100 * MS);
        self.last_look = self.last_look.max(self.now + delay);
        let daemon = self.daemon;
        self.at(self.last_look, Thing::Tell(daemon, Event::Observed(seats)));
        self.soon(100 * MS, 800 * MS, Thing::Look);
    }

    pub(super) fn start(&mut self, index: usize) {
        self.incarnations += 1;
        let listens_at = self.now + self.random.between(10, 200) * MS;
        self.members[index].process = Some(Process::boot(self.incarnations, listens_at));
        self.tell(format!("db.{index} starts as {}", self.incarnations));
        self.after(1, Thing::Look);
    }

    // --- servers

    pub(super) fn find(&self, incarnation: u64) -> Option<usize> {
        let is = |member: &Member| member.process.as_ref().is_some_and(|process| process.incarnation == incarnation);
        self.members.iter().position(is)
    }

    fn process(&mut self, incarnation: u64) -> Option<&mut Process> {
        let index = self.find(incarnation)?;
        self.members[index].process.as_mut()
    }

    pub(super) fn die(&mut self, index: usize, why: &str) {
        let Some(process) = self.members[index].process.take() else { return };
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

    /// Slaves see the end of their link after everything that was sent.
    fn end_links(&mut self, from: u64) {
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

    pub(super) fn obey(&mut self, index: usize, change: RoleChange) {
        let now = self.now;
        let Some(process) = self.members[index].process.as_mut() else { return };
        let (incarnation, unread) = (process.incarnation, process.under_way);
        let promoted = change == RoleChange::Promote && !process.master;
        if process.obey(change, now) {
            self.end_links(incarnation);
        }
        if promoted && unread > 0 {
            self.break_promise(format!("db.{index} was promoted with {unread} writes unread"));
        }
        if let RoleChange::Follow(_) = change {
            self.soon(MS, 10 * MS, Thing::Attach { of: incarnation });
        }
    }

    pub(super) fn attach(&mut self, of: u64) {
        let Some(process) = self.process(of) else { return };
        let (false, None, Some(upstream)) = (process.master, process.link, process.upstream) else { return };
        let now = self.now;
        let source = self.members.iter().find(|member| member.addr == upstream);
        let source = source.and_then(|member| member.process.as_ref());
        let source = source.filter(|p| p.master && !p.frozen && p.listens_at <= now && p.incarnation != of);
        let Some(from) = source.map(|source| source.incarnation) else {
            return self.soon(300 * MS, 1_000 * MS, Thing::Attach { of });
        };
        self.process(of).expect("it runs").copying = true;
        self.soon(5 * MS, 150 * MS, Thing::Copied { of, from });
    }

    pub(super) fn copied(&mut self, of: u64, from: u64) {
        let source = self.find(from).map(|index| {
            let member = &self.members[index];
            let process = member.process.as_ref().expect("found");
            (member.addr, process.master, process.history, process.position, member.volume.data.clone())
        });
        let Some(index) = self.find(of) else { return };
        let member = &mut self.members[index];
        let process = member.process.as_mut().expect("found");
        process.copying = false;
        match source {
            Some((addr, true, history, position, data)) if process.upstream == Some(addr) && !process.master => {
                (process.history, process.position, process.was_linked) = (history, position, true);
                process.link = Some(from);
                (process.last_arrival, process.under_way) = (0, 0);
                member.volume.data = data;
            }
            _ => self.soon(100 * MS, 500 * MS, Thing::Attach { of }),
        }
    }
}
