//! What is known of one member.

use crate::failover::dialect::{Ballot, MemberReport, Standpoint};
use crate::failover::event::{Moment, Seat, Server};

#[derive(Debug)]
pub(super) struct Member {
    pub index: u32,
    pub addr: std::net::SocketAddr,
    pub leaving: bool,
    pub paused: bool,
    pub life: Option<Life>,
}

/// One process of it.
#[derive(Debug)]
pub(super) struct Life {
    pub server: Server,
    pub report: Option<MemberReport>,
    /// When that report was asked for.
    pub asked: Moment,
    /// The last request, and whether it is unanswered.
    pub sent: Option<Moment>,
    pub under_way: bool,
    /// Unanswered requests in a row.
    pub misses: u32,
    pub complaint: Option<String>,
}

// === impl Member ===

impl Member {
    pub fn new(seat: &Seat) -> Self {
        let (index, addr) = (seat.index, seat.addr);
        Self { index, addr, leaving: false, paused: false, life: None }
    }

    pub fn seated(&mut self, seat: &Seat) {
        (self.addr, self.leaving, self.paused) = (seat.addr, seat.leaving, seat.paused);
        let server = seat.incarnation.map(|incarnation| Server { index: seat.index, incarnation });
        if server != self.life.as_ref().map(|life| life.server) {
            self.life = server.map(Life::new);
        }
    }

    pub fn report(&self) -> Option<&MemberReport> {
        self.life.as_ref()?.report.as_ref()
    }

    pub fn ballot(&self) -> Option<&Ballot> {
        self.report()?.ballot.as_deref()
    }

    pub fn standpoint(&self) -> Option<Standpoint> {
        self.ballot().map(|ballot| ballot.standpoint)
    }

    /// Can confirm a write, or vote, at this moment.
    pub fn counts(&self) -> bool {
        let answers = self.life.as_ref().is_some_and(|life| life.misses == 0);
        answers && !self.paused && matches!(self.standpoint(), Some(Standpoint::Primary | Standpoint::Secondary))
    }
}

// === impl Life ===

impl Life {
    fn new(server: Server) -> Self {
        Self {
            server,
            report: None,
            asked: Moment::default(),
            sent: None,
            under_way: false,
            misses: 0,
            complaint: None,
        }
    }

    pub fn reported(&mut self, asked: Moment, report: MemberReport) {
        (self.report, self.asked) = (Some(report), asked);
        (self.misses, self.under_way, self.complaint) = (0, false, None);
    }
}
