//! A single story instead of chance: what a named scenario does to a group and waits for.

use dotcloud_local::failover::{Event, Group, Phase};
use dotcloud_local::model::GroupStatus;

use super::random::Random;
use super::{MS, Sabotage, Simulator};
use crate::servers::Model;

impl Simulator {
    /// A group of so many that nothing happens to, once all are in step.
    pub fn calm(model: Model, count: usize) -> Self {
        let mut simulator = Self::new(Random(7), model, count, Sabotage::default());
        simulator.until("all are in step", Self::level);
        simulator
    }

    /// # Panics
    /// When it is not so within 30 s of simulated time, or a promise is broken.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let limit = self.now + 30_000 * MS;
        while !holds(self) {
            let goes_on = self.now < limit && self.advance();
            assert!(goes_on && self.outcome.broken.is_none(), "{what}: in vain\n{}", self.outcome.story.join("\n"));
        }
    }

    /// Lets so much time pass.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + ms * MS;
        self.until("time passes", |simulator| simulator.now >= end);
    }

    pub fn status(&self) -> GroupStatus {
        self.group.as_ref().map(Group::status).expect("a daemon runs")
    }

    pub fn phase(&self) -> Phase {
        self.group.as_ref().map(Group::phase).expect("a daemon runs")
    }

    /// A master is open, and everybody has what it has.
    pub fn level(&self) -> bool {
        use dotcloud_local::model::SyncState::Synchronized;
        let status = self.status();
        status.settled && self.front.is_some() && status.members.iter().all(|member| member.sync == Synchronized)
    }

    pub fn master(&self) -> usize {
        self.disk.expect("somebody was named").master as usize
    }

    /// The epoch's number on the disk.
    pub fn epoch(&self) -> u64 {
        self.disk.map_or(0, |epoch| epoch.number)
    }

    pub fn runs(&self, index: usize) -> bool {
        self.members[index].process.is_some()
    }

    pub fn kill(&mut self, index: usize) {
        self.die(index, "killed");
    }

    /// Nobody starts it again until [`Self::revive`].
    pub fn keep_down(&mut self, index: usize) {
        self.die(index, "killed for good");
        self.members[index].present = false;
    }

    pub fn revive(&mut self, index: usize) {
        self.members[index].present = true;
        self.start(index);
    }

    /// It is scaled away.
    pub fn leave(&mut self, index: usize) {
        self.scale(index, false);
    }

    /// It was scaled away, and its container is gone.
    pub fn left(&self, index: usize) -> bool {
        !self.members[index].present
    }

    pub fn hang(&mut self, index: usize, ms: u64) {
        self.freeze(index, ms);
    }

    pub fn kill_daemon(&mut self) {
        self.restart_daemon();
    }

    /// Nothing that its master writes reaches this member.
    pub fn cut_off(&mut self, index: usize, ms: u64) {
        self.cut(index, ms);
    }

    pub fn full_disk(&mut self, ms: u64) {
        self.fill_disk(ms);
    }

    /// What the daemon had written down is gone.
    pub fn lose_store(&mut self) {
        (self.disk, self.vouched) = (None, None);
        self.promises = Default::default();
    }

    pub fn name_master(&mut self, index: u32) {
        self.drive(Event::SwitchoverAsked(Some(index)));
    }

    /// What the log says, all in one.
    pub fn log(&self) -> String {
        self.outcome.notes.join("\n")
    }
}
