//! Which judgement belongs to which phase, and what is done on arrival.

use crate::failover::edges::Phase::{self, *};

use super::Group;

impl Group {
    /// The phase to go to now, if any.
    pub(super) fn step(&mut self) -> Option<Phase> {
        match self.phase {
            Gathering => self.gather(),
            Stalled => self.stalled(),
            Steady | Suspect | Repointing => self.watch(),
            Gating => self.gating(),
            Fencing => self.fencing(),
            Draining => self.draining(),
            Electing => self.electing(),
            Promoting => self.promoting(),
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        match phase {
            Gathering => self.gate(),
            Gating => self.enter_gating(),
            Fencing => self.enter_fencing(),
            Draining => self.enter_draining(),
            Promoting => self.promote(),
            Repointing => self.open(),
            Steady => self.enter_steady(),
            Stalled => self.refuse(),
            Suspect | Electing => {}
        }
    }
}
