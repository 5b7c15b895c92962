//! Work that the platform itself does with the service: a backup, a restore. It keeps the master so
//! busy that it may be silent for longer than a server that nobody works with. As long as its
//! process is alive, and is seen at work or gone from its port on purpose, that is no hang.
//!
//! A process that died, or that does nothing at all (`docker pause`, SIGSTOP), is found as fast as
//! ever, and nobody is excused for ever: neither is a silence longer than `labour_limit`, nor one
//! that lasts for longer than `labour_rest` after the work.

use crate::failover::event::Moment;

use super::Group;

/// Whether there is such work.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labour {
    #[default]
    None,
    GoesOn,
    /// The server may still have to digest it.
    Ended(Moment),
}

impl Group {
    pub(super) fn laboured(&mut self, goes_on: bool) {
        self.labour = match (goes_on, self.labour) {
            (true, _) => Labour::GoesOn,
            (false, Labour::GoesOn) => Labour::Ended(self.now),
            (false, other) => other,
        };
    }

    /// Judges anew who is excused. Slaves are not: whoever waits for one is better off without it.
    pub(super) fn excuse(&mut self) {
        let labours = match self.labour {
            Labour::None => false,
            Labour::GoesOn => true,
            Labour::Ended(at) => self.now.since(at) < self.config.labour_rest,
        };
        let master = self.epoch().map(|epoch| epoch.master);
        for life in self.members.lives_mut() {
            let silence = self.now.since(life.own.heard.unwrap_or(life.since));
            let excused = labours && Some(life.server.index) == master;
            life.own.excused = excused && silence < self.config.labour_limit;
        }
    }
}
