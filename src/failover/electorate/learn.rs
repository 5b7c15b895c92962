//! What a fact changes in what the group knows; what follows from it is judged elsewhere.

use crate::failover::dialect::Motion;
use crate::failover::event::{Action, Event, Seat, Server};

use super::member::{Life, Member};
use super::{Book, Electorate, Planned, Wish};

impl Electorate {
    pub(super) fn learn(&mut self, event: Event) {
        match event {
            // The members elect: nobody is pinged, killed, copied, given a role or vouched for.
            Event::Ticked
            | Event::Vouched(_)
            | Event::VouchKept { .. }
            | Event::Answered(_)
            | Event::Commanded { .. }
            | Event::Copied { .. }
            | Event::Laboured(_)
            | Event::KillFailed { .. } => {}
            Event::Loaded(Ok(epoch)) => {
                self.floor = self.floor.max(epoch.map_or(0, |epoch| epoch.number));
                self.book = Book::Read(epoch);
            }
            Event::Loaded(Err(why)) => {
                self.book = Book::Unreadable { why, again: Some(self.now.after(self.config.retry)) };
            }
            Event::Committed(epoch, Ok(())) => self.book = Book::Read(Some(epoch)),
            Event::Committed(epoch, Err(why)) => self.note(format!("term {} is not on disk: {why}", epoch.number)),
            Event::Observed(seats) => self.seated(&seats),
            Event::Advertised(addresses) => self.advertised = addresses,
            Event::Died(server) => self.died(server),
            Event::Missed(server, _) => self.life_of(server, |life| {
                life.misses = life.misses.saturating_add(1);
                life.under_way = false;
            }),
            Event::Reported { server, asked, report } => {
                self.life_of(server, |life| life.reported(asked, report));
                self.advance_account(server);
            }
            // What it said earlier may no longer hold, and what it is now nobody knows.
            Event::Complained { server, error } => self.life_of(server, |life| {
                (life.report, life.complaint) = (None, Some(error));
                (life.misses, life.under_way) = (0, false);
            }),
            Event::Carried { server, motion, result } => self.carried(server, &motion, result),
            Event::FrontMoved(order) => self.front.done = self.front.done.max(order),
            Event::RestartPlanned(index) => self.restart_planned(index),
            Event::SwitchoverAsked(to) => {
                let until = self.now.after(self.config.wish_limit);
                self.wish = Some(Wish { to, until });
            }
        }
    }

    fn life_of(&mut self, server: Server, change: impl FnOnce(&mut Life)) {
        let life = self.members.get_mut(&server.index).and_then(|member| member.life.as_mut());
        life.filter(|life| life.server == server).map(change);
    }

    fn seated(&mut self, seats: &[Seat]) {
        self.observed = true;
        self.members.retain(|index, _| seats.iter().any(|seat| seat.index == *index));
        for seat in seats {
            self.members.entry(seat.index).or_insert_with(|| Member::new(seat)).seated(seat);
        }
        self.forget_the_dead();
    }

    fn died(&mut self, server: Server) {
        if let Some(member) = self
            .members
            .get_mut(&server.index)
            .filter(|member| member.life.as_ref().is_some_and(|life| life.server == server))
        {
            member.life = None;
        }
        self.forget_the_dead();
    }

    /// What was asked of a process that is gone is answered by nobody.
    fn forget_the_dead(&mut self) {
        if let Some((server, _)) = self.pending.as_ref().filter(|(server, _)| !self.runs(*server)) {
            let index = server.index;
            self.pending = None;
            self.answered = self.now;
            self.note(format!("{} died before it answered", self.name(index)));
        }
        let frozen = std::mem::take(&mut self.frozen);
        self.frozen = frozen.into_iter().filter(|server| self.runs(*server)).collect();
    }

    fn carried(&mut self, server: Server, motion: &Motion, result: Result<(), String>) {
        if self.pending.as_ref().is_none_or(|(of, asked)| *of != server || asked != motion) {
            return;
        }
        self.pending = None;
        self.answered = self.now;
        // A failure may have taken effect all the same, and a success has changed everybody.
        for life in self.members.values_mut().filter_map(|member| member.life.as_mut()) {
            life.sent = None;
        }
        match (motion, result) {
            (Motion::Freeze(0), Ok(())) => drop(self.frozen.remove(&server)),
            (Motion::Freeze(_), Ok(())) => drop(self.frozen.insert(server)),
            (Motion::StepDown, Err(why)) => self.stayed(&why),
            (_, Ok(())) => {}
            (_, Err(why)) => {
                self.motion_after = self.now.after(self.config.retry);
                self.note(format!("{} did not do it: {why}", self.name(server.index)));
            }
        }
    }

    /// Every announcement is answered: whose server does not run has nothing to wait for, and an
    /// older plan that a newer one replaces holds nobody back.
    fn restart_planned(&mut self, index: u32) {
        self.drop_plan();
        let Some(server) = self.server(index) else {
            return self.actions.push(Action::ReleaseRestart(index));
        };
        let until = self.now.after(self.config.restart_limit);
        self.planned = Some(Planned { server, until, began: self.now, released: false });
    }

    /// Whoever still waits for the plan's permission is let go.
    pub(super) fn drop_plan(&mut self) {
        if let Some(planned) = self.planned.take().filter(|planned| !planned.released) {
            self.actions.push(Action::ReleaseRestart(planned.server.index));
        }
    }
}
