//! Who the members are, which process runs as each, and what any machine knows of that process. What
//! only one of the machines knows of it is its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::dialect::MemberReport;
use super::event::{Moment, Seat, Server};

/// One process of a member.
#[derive(Debug)]
pub(super) struct Life<O> {
    pub server: Server,
    pub paused: bool,
    /// When it was first seen.
    pub since: Moment,
    pub asked: Request,
    /// What it says of itself, if it said anything.
    pub report: Option<MemberReport>,
    /// When the report was asked for.
    pub report_asked: Moment,
    /// Unanswered requests since it was last heard.
    pub misses: u32,
    /// The error that it answers with.
    pub complaint: Option<String>,
    /// What only this machine knows of it.
    pub own: O,
}

#[derive(Debug)]
pub(super) struct Member<O> {
    pub index: u32,
    /// The latest that was seen.
    pub addr: Option<SocketAddr>,
    /// To be removed once it is not the master.
    pub leaving: bool,
    /// The process that runs as this member.
    pub life: Option<Life<O>>,
    /// Incarnations up to this one are dead, whatever a late look says.
    buried: u64,
}

/// All members of a group, by number.
#[derive(Debug)]
pub(super) struct Roster<O>(BTreeMap<u32, Member<O>>);

/// A kind of request of which at most one is on its way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Request {
    pub sent: Option<Moment>,
    pub under_way: bool,
}

// === impl Roster ===

impl<O: Default> Roster<O> {
    pub fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// All of them, as they were observed.
    pub fn seated(&mut self, seats: &[Seat], now: Moment) {
        self.0.retain(|index, _| seats.iter().any(|seat| seat.index == *index));
        for seat in seats {
            let member = self.0.entry(seat.index).or_insert_with(|| Member::new(seat));
            member.seated(seat, now);
        }
    }

    /// This process is dead for certain.
    pub fn died(&mut self, server: Server) {
        if let Some(member) = self.0.get_mut(&server.index) {
            member.died(server);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn values(&self) -> impl Iterator<Item = &Member<O>> {
        self.0.values()
    }

    pub fn get(&self, index: u32) -> Option<&Member<O>> {
        self.0.get(&index)
    }

    pub fn life(&self, index: u32) -> Option<&Life<O>> {
        self.get(index)?.life.as_ref()
    }

    pub fn lives(&self) -> impl Iterator<Item = &Life<O>> {
        self.values().filter_map(|member| member.life.as_ref())
    }

    pub fn lives_mut(&mut self) -> impl Iterator<Item = &mut Life<O>> {
        self.0.values_mut().filter_map(|member| member.life.as_mut())
    }

    pub fn report(&self, index: u32) -> Option<&MemberReport> {
        self.get(index)?.report()
    }

    /// The process that runs as this member.
    pub fn server(&self, index: u32) -> Option<Server> {
        self.life(index).map(|life| life.server)
    }

    pub fn runs(&self, server: Server) -> bool {
        self.server(server.index) == Some(server)
    }

    /// Words of a former process are for nobody.
    pub fn life_of(&mut self, server: Server) -> Option<&mut Life<O>> {
        let life = self.0.get_mut(&server.index)?.life.as_mut();
        life.filter(|life| life.server == server)
    }

    /// The first that answers with an error, and that.
    pub fn complaint(&self) -> Option<(u32, &str)> {
        self.lives().find_map(|life| Some((life.server.index, life.complaint.as_deref()?)))
    }
}

// === impl Member ===

impl<O: Default> Member<O> {
    fn new(seat: &Seat) -> Self {
        Self { index: seat.index, addr: seat.addr, leaving: false, life: None, buried: 0 }
    }

    fn seated(&mut self, seat: &Seat, now: Moment) {
        (self.addr, self.leaving) = (seat.addr.or(self.addr), seat.leaving);
        let incarnation = seat.incarnation.filter(|incarnation| *incarnation > self.buried);
        if self.life.as_ref().map(|life| life.server.incarnation) != incarnation {
            if let Some(life) = &self.life {
                self.buried = self.buried.max(life.server.incarnation);
            }
            let born = incarnation.map(|incarnation| Server { index: self.index, incarnation });
            self.life = born.map(|server| Life::begun(server, now));
        }
        if let Some(life) = &mut self.life {
            life.paused = seat.paused;
        }
    }

    fn died(&mut self, server: Server) {
        self.buried = self.buried.max(server.incarnation);
        self.life.take_if(|life| life.server.incarnation <= self.buried);
    }

    pub fn report(&self) -> Option<&MemberReport> {
        self.life.as_ref()?.report.as_ref()
    }
}

// === impl Life ===

impl<O: Default> Life<O> {
    fn begun(server: Server, now: Moment) -> Self {
        Self {
            server,
            paused: false,
            since: now,
            asked: Request::default(),
            report: None,
            report_asked: now,
            misses: 0,
            complaint: None,
            own: O::default(),
        }
    }
}

// === impl Request ===

impl Request {
    pub fn send(&mut self, now: Moment) {
        *self = Self { sent: Some(now), under_way: true };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(incarnation: Option<u64>) -> Seat {
        let addr = Some(SocketAddr::from(([10, 0, 0, 1], 6379)));
        Seat { index: 0, addr, incarnation, paused: false, leaving: false }
    }

    #[test]
    fn a_late_look_does_not_bring_the_dead_back() {
        let mut roster = Roster::<()>::new();
        let server = |incarnation| Server { index: 0, incarnation };
        roster.seated(&[seat(Some(3))], Moment::default());
        roster.died(server(2));
        assert!(roster.runs(server(3)), "that was a former process");
        roster.died(server(3));
        for late in [Some(3), Some(2), None] {
            roster.seated(&[seat(late)], Moment::default());
            assert_eq!(roster.server(0), None);
        }
        roster.seated(&[seat(Some(4))], Moment::default());
        assert!(roster.runs(server(4)) && roster.life_of(server(3)).is_none());
    }

    #[test]
    fn who_is_seen_paused_is_the_same_process() {
        let mut roster = Roster::<()>::new();
        roster.seated(&[seat(Some(3))], Moment::default());
        roster.seated(&[Seat { paused: true, ..seat(Some(3)) }], Moment::default());
        assert!(roster.life(0).is_some_and(|life| life.paused));
        roster.seated(&[], Moment::default());
        assert!(roster.is_empty());
    }
}
