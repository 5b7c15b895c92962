//! The client, and what it wrote on its way to the slaves.

use super::{MS, Simulator, Thing};
use crate::servers::Micros;

impl Simulator {
    pub(super) fn client_writes(&mut self) {
        let peace = self.now > self.faults_until;
        self.soon(MS, if peace { 200 } else { 10 } * MS, Thing::ClientWrites);
        let Some((addr, _)) = self.front else { return };
        let now = self.now;
        let index = self.members.iter().position(|member| member.addr == addr).expect("an address of ours");
        let member = &mut self.members[index];
        let Some(process) = member.process.as_mut() else { return };
        if process.frozen || !process.master || process.paused_until > now || process.listens_at > now {
            return;
        }
        self.next_write += 1;
        self.outcome.writes += 1;
        let write = self.next_write;
        member.volume.data.push(write);
        process.position += 1;
        process.writes += 1;
        let (from, cut) = (process.incarnation, member.cut_until);
        if self.disk.is_some_and(|epoch| epoch.master as usize != index) && !self.sabotage.no_disk {
            self.break_promise(format!("db.{index} accepted a write though the epoch on disk is {:?}", self.disk));
        }
        self.replicate(from, write, cut);
    }

    fn replicate(&mut self, from: u64, write: u32, cut: Micros) {
        let slow = if self.random.percent(25) { 60 * MS } else { 2 * MS };
        for index in 0..self.members.len() {
            let delay = self.random.between(100, slow);
            let now = self.now;
            let Some(process) = self.members[index].process.as_mut().filter(|p| p.link == Some(from)) else { continue };
            let held_up = cut > now;
            let at = (now + delay).max(cut).max(process.last_arrival);
            process.last_arrival = at;
            process.under_way += u32::from(!held_up);
            let to = process.incarnation;
            self.at(at, Thing::Arrive { to, from, write, held_up });
        }
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
        if source.is_some() {
            self.secured.insert(write);
        }
    }
}
