//! Misfortune: deaths, hangs, cuts, and requests at the wrong time.

use dotcloud_local::failover::Event;

use super::{MS, Simulator, Thing};

impl Simulator {
    pub(super) fn fault(&mut self) {
        if self.now >= self.faults_until {
            return;
        }
        self.soon(50 * MS, 4_000 * MS, Thing::Fault);
        let any = self.random.next() as usize % self.members.len();
        let master = self.disk.map_or(0, |epoch| epoch.master as usize);
        let index = if self.random.percent(60) { master } else { any };
        match self.random.between(0, 99) {
            0..=29 => self.die(index, "fault"),
            30..=54 => self.freeze(index),
            55..=64 => self.restart_daemon(),
            65..=72 => {
                // Nothing but the cut follows for as long as it lasts.
                let until = self.now + self.random.between(10, 800) * MS;
                self.members[index].cut_until = until;
                self.tell(format!("db.{index} is cut off from its slaves"));
            }
            73..=80 => (0..self.members.len()).for_each(|index| self.die(index, "all at once")),
            81..=90 => self.drive(Event::SwitchoverAsked(Some(any as u32))),
            _ => self.drive(Event::RestartPlanned(index as u32)),
        }
    }

    fn freeze(&mut self, index: usize) {
        let Some(process) = self.members[index].process.as_mut() else { return };
        process.frozen = true;
        let incarnation = process.incarnation;
        self.tell(format!("db.{index} ({incarnation}) hangs"));
        self.soon(50 * MS, 5_000 * MS, Thing::Thaw(incarnation));
    }

    fn restart_daemon(&mut self) {
        self.tell("the daemon is killed".to_owned());
        self.start_daemon();
        self.last_look = self.now;
        self.after(1, Thing::Look);
    }

    pub(super) fn thaw(&mut self, incarnation: u64) {
        let Some(index) = self.find(incarnation) else { return };
        let process = self.members[index].process.as_mut().expect("found");
        process.frozen = false;
        let backlog = std::mem::take(&mut process.backlog);
        self.tell(format!("db.{index} goes on"));
        backlog.into_iter().for_each(|change| self.obey(index, change));
    }
}
