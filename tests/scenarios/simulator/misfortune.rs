//! Misfortune: deaths, hangs, cuts, a full disk, lost volumes, and requests at the wrong time.

use dotcloud_local::failover::{Event, Phase};

use super::{MS, Simulator, Thing};
use crate::servers::Volume;

/// What strikes when the machine comes into a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trap {
    pub phase: Phase,
    pub victim: Victim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Daemon,
    /// Whom the disk names, which while promoting is the chosen one.
    Master,
    Hang,
    /// Master and daemon at once.
    Both,
}

impl Simulator {
    pub(super) fn fault(&mut self) {
        if self.now >= self.faults_until {
            return;
        }
        self.soon(50 * MS, 4_000 * MS, Thing::Fault);
        let any = self.random.next() as usize % self.members.len();
        let index = if self.random.percent(60) { self.recorded() } else { any };
        let long = self.random.between(50, 5_000);
        match self.random.between(0, 99) {
            0..=19 => self.die(index, "fault"),
            20..=25 => [index, any].into_iter().for_each(|index| self.die(index, "two at once")),
            26..=44 => self.freeze(index, long),
            45..=52 => self.restart_daemon(),
            53..=60 => self.cut(any, long / 5),
            61..=66 => (0..self.members.len()).for_each(|index| self.die(index, "all at once")),
            67..=74 => self.drive(Event::SwitchoverAsked(Some(any as u32))),
            75..=79 => self.drive(Event::RestartPlanned(index as u32)),
            80..=86 => self.trap(),
            87..=90 => self.fill_disk(long / 2),
            91..=93 => self.lose_volume(any),
            94 => self.sprung(Trap { phase: Phase::Steady, victim: Victim::Both }),
            95 => self.fall_behind(),
            96 => self.lose_pod(index),
            _ => {
                let last = self.members.len() - 1;
                let wanted = !self.members[last].wanted;
                self.scale(last, wanted);
            }
        }
    }

    fn recorded(&self) -> usize {
        self.disk.map_or(0, |epoch| epoch.master as usize)
    }

    /// Nothing but the end of the cut follows for as long as it lasts.
    pub(super) fn cut(&mut self, index: usize, for_ms: u64) {
        let member = &mut self.members[index];
        member.cut_until = self.now + for_ms * MS;
        if let Some(process) = &mut member.process {
            process.disturbed = true;
        }
        self.tell(format!("db.{index} is cut off from its master for {for_ms} ms"));
    }

    /// Nothing reaches the slaves for long, and in the midst of it master and daemon die at once.
    fn fall_behind(&mut self) {
        (0..self.members.len()).for_each(|index| self.cut(index, 9_000));
        self.soon(3_500 * MS, 7_000 * MS, Thing::Sprung(Trap { phase: Phase::Steady, victim: Victim::Both }));
    }

    pub(super) fn fill_disk(&mut self, for_ms: u64) {
        self.full_until = self.now + for_ms * MS;
        self.tell(format!("the daemon's disk is full for {for_ms} ms"));
    }

    /// With the daemon alive, or found by the next one.
    fn lose_pod(&mut self, index: usize) {
        self.remove(index);
        if self.random.percent(50) {
            self.restart_daemon();
        }
    }

    /// Of a slave; now and then of the master, whose writes nobody can give back for certain.
    fn lose_volume(&mut self, index: usize) {
        if index == self.recorded() {
            if self.random.percent(70) {
                return;
            }
            self.promises.bereft = true;
            self.promises.forgive();
        }
        self.die(index, "its volume is lost");
        self.members[index].volume = Volume::default();
    }

    pub(super) fn restart_daemon(&mut self) {
        self.tell("the daemon is killed".to_owned());
        self.start_daemon();
        self.last_look = self.now;
        self.after(1, Thing::Look);
    }

    fn trap(&mut self) {
        use Phase::*;
        let phases = [Gating, Fencing, Draining, Electing, Promoting, Promoting, Repointing, Suspect, Gathering];
        let phase = phases[self.random.next() as usize % phases.len()];
        let victim = [Victim::Daemon, Victim::Master, Victim::Hang][self.random.next() as usize % 3];
        self.traps.push(Trap { phase, victim });
        let index = self.recorded();
        if self.random.percent(70) {
            self.die(index, "fault, with a trap set");
        } else {
            self.freeze(index, 3_000);
        }
    }

    /// The machine came into a phase.
    pub(super) fn entered(&mut self, phase: Phase) {
        let (sprung, kept) = std::mem::take(&mut self.traps).into_iter().partition(|trap| trap.phase == phase);
        self.traps = kept;
        let sprung: Vec<Trap> = sprung;
        for trap in sprung {
            self.soon(1, 2 * MS, Thing::Sprung(trap));
        }
    }

    pub(super) fn sprung(&mut self, trap: Trap) {
        let index = self.recorded();
        self.tell(format!("trap: {trap:?}"));
        match trap.victim {
            Victim::Daemon => self.restart_daemon(),
            Victim::Master => self.die(index, "in a trap"),
            Victim::Hang => self.freeze(index, 2_000),
            Victim::Both => {
                self.die(index, "together with the daemon");
                self.restart_daemon();
            }
        }
    }
}
