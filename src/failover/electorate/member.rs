//! What is known of one member.

use crate::failover::dialect::{Ballot, MemberReport, Standpoint};
use crate::failover::event::Moment;
use crate::failover::roster;

/// Nothing but what any machine knows: how they behave is judged by the members themselves.
pub(super) type Member = roster::Member<()>;
pub(super) type Life = roster::Life<()>;

// === impl Member ===

impl Member {
    pub fn ballot(&self) -> Option<&Ballot> {
        self.report()?.ballot.as_deref()
    }

    pub fn standpoint(&self) -> Option<Standpoint> {
        self.ballot().map(|ballot| ballot.standpoint)
    }

    /// Can confirm a write, or vote, at this moment.
    pub fn counts(&self) -> bool {
        let answers = self.life.as_ref().is_some_and(|life| life.misses == 0 && !life.paused);
        answers && matches!(self.standpoint(), Some(Standpoint::Primary | Standpoint::Secondary))
    }
}

// === impl Life ===

impl Life {
    pub fn reported(&mut self, asked: Moment, report: MemberReport) {
        (self.report, self.report_asked) = (Some(report), asked);
        (self.misses, self.asked.under_way, self.complaint) = (0, false, None);
    }

    pub fn missed(&mut self) {
        self.misses = self.misses.saturating_add(1);
        self.asked.under_way = false;
    }

    /// What it said earlier may no longer hold, and what it is now nobody knows.
    pub fn complained(&mut self, error: String) {
        (self.report, self.complaint) = (None, Some(error));
        (self.misses, self.asked.under_way) = (0, false);
    }
}
