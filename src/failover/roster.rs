//! Who the members are and which process runs as each. What a machine knows of a process is its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::dialect::MemberReport;
use super::event::{Moment, Seat, Server};

/// What is known of one process of a member.
pub(super) trait Life {
    fn begun(server: Server, now: Moment) -> Self;
    fn server(&self) -> Server;
    /// It was seen to run.
    fn seen(&mut self, paused: bool);
    /// What it says of itself, if it said anything.
    fn report(&self) -> Option<&MemberReport>;
    /// The error that it answers with.
    fn complaint(&self) -> Option<&str>;
}

#[derive(Debug)]
pub(super) struct Member<L> {
    pub index: u32,
    /// The latest that was seen.
    pub addr: Option<SocketAddr>,
    /// To be removed once it is not the master.
    pub leaving: bool,
    /// The process that runs as this member.
    pub life: Option<L>,
    /// Incarnations up to this one are dead, whatever a late look says.
    buried: u64,
}

/// All members of a group, by number.
#[derive(Debug)]
pub(super) struct Roster<L>(BTreeMap<u32, Member<L>>);

/// A kind of request of which at most one is on its way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Request {
    pub sent: Option<Moment>,
    pub under_way: bool,
}

// === impl Roster ===

impl<L: Life> Roster<L> {
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

    pub fn values(&self) -> impl Iterator<Item = &Member<L>> {
        self.0.values()
    }

    pub fn get(&self, index: u32) -> Option<&Member<L>> {
        self.0.get(&index)
    }

    pub fn life(&self, index: u32) -> Option<&L> {
        self.get(index)?.life.as_ref()
    }

    pub fn lives(&self) -> impl Iterator<Item = &L> {
        self.values().filter_map(|member| member.life.as_ref())
    }

    pub fn lives_mut(&mut self) -> impl Iterator<Item = &mut L> {
        self.0.values_mut().filter_map(|member| member.life.as_mut())
    }

    pub fn report(&self, index: u32) -> Option<&MemberReport> {
        self.get(index)?.report()
    }

    /// The process that runs as this member.
    pub fn server(&self, index: u32) -> Option<Server> {
        self.life(index).map(Life::server)
    }

    pub fn runs(&self, server: Server) -> bool {
        self.server(server.index) == Some(server)
    }

    /// Words of a former process are for nobody.
    pub fn life_of(&mut self, server: Server) -> Option<&mut L> {
        let life = self.0.get_mut(&server.index)?.life.as_mut();
        life.filter(|life| life.server() == server)
    }

    /// The first that answers with an error, and that.
    pub fn complaint(&self) -> Option<(u32, &str)> {
        self.lives().find_map(|life| Some((life.server().index, life.complaint()?)))
    }
}

// === impl Member ===

impl<L: Life> Member<L> {
    fn new(seat: &Seat) -> Self {
        Self { index: seat.index, addr: seat.addr, leaving: false, life: None, buried: 0 }
    }

    fn seated(&mut self, seat: &Seat, now: Moment) {
        (self.addr, self.leaving) = (seat.addr.or(self.addr), seat.leaving);
        let incarnation = seat.incarnation.filter(|incarnation| *incarnation > self.buried);
        if self.life.as_ref().map(|life| life.server().incarnation) != incarnation {
            if let Some(life) = &self.life {
                self.buried = self.buried.max(life.server().incarnation);
            }
            let born = incarnation.map(|incarnation| Server { index: self.index, incarnation });
            self.life = born.map(|server| L::begun(server, now));
        }
        if let Some(life) = &mut self.life {
            life.seen(seat.paused);
        }
    }

    fn died(&mut self, server: Server) {
        self.buried = self.buried.max(server.incarnation);
        self.life.take_if(|life| life.server().incarnation <= self.buried);
    }

    pub fn report(&self) -> Option<&MemberReport> {
        self.life.as_ref()?.report()
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

    struct Process(Server, bool);

    impl Life for Process {
        fn begun(server: Server, _: Moment) -> Self {
            Self(server, false)
        }

        fn server(&self) -> Server {
            self.0
        }

        fn seen(&mut self, paused: bool) {
            self.1 = paused;
        }

        fn report(&self) -> Option<&MemberReport> {
            None
        }

        fn complaint(&self) -> Option<&str> {
            None
        }
    }

    fn seat(incarnation: Option<u64>) -> Seat {
        let addr = Some(SocketAddr::from(([10, 0, 0, 1], 6379)));
        Seat { index: 0, addr, incarnation, paused: false, leaving: false }
    }

    #[test]
    fn a_late_look_does_not_bring_the_dead_back() {
        let mut roster = Roster::<Process>::new();
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
        let mut roster = Roster::<Process>::new();
        roster.seated(&[seat(Some(3))], Moment::default());
        roster.seated(&[Seat { paused: true, ..seat(Some(3)) }], Moment::default());
        assert!(roster.life(0).is_some_and(|process| process.1));
        roster.seated(&[], Moment::default());
        assert!(roster.is_empty());
    }
}
