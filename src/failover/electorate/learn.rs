//! What a fact changes in what the group knows; what follows from it is judged elsewhere.

use crate::failover::book::Book;
use crate::failover::dialect::Motion;
use crate::failover::event::{Event, Server};

use super::Electorate;
use super::member::Life;

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
            Event::Loaded(read) => {
                self.book = Book::loaded(read, self.now.after(self.config.retry));
                self.floor = self.floor.max(self.epoch().map_or(0, |epoch| epoch.number));
            }
            Event::Committed(epoch, Ok(())) => self.book = Book::Read(Some(epoch)),
            Event::Committed(epoch, Err(why)) => self.note(format!("term {} is not on disk: {why}", epoch.number)),
            Event::Observed(seats) => {
                self.observed = true;
                self.members.seated(&seats, self.now);
                self.forget_the_dead();
            }
            Event::Advertised(addresses) => self.advertised = addresses,
            Event::Died(server) => {
                self.members.died(server);
                self.forget_the_dead();
            }
            Event::Missed(server, _) => self.life_of(server, Life::missed),
            Event::Reported { server, asked, report } => {
                self.life_of(server, |life| life.reported(asked, report));
                self.advance_account(server);
            }
            Event::Complained { server, error } => self.life_of(server, |life| life.complained(error)),
            Event::Carried { server, motion, result } => self.carried(server, &motion, result),
            Event::FrontMoved(order) => self.front.heard(order, self.now),
            Event::RestartPlanned(index) => {
                let until = self.now.after(self.config.restart_limit);
                self.actions.extend(self.restart.plan(index, self.members.server(index), self.now, until));
            }
            Event::RestartWithdrawn(index) => self.withdraw_plan(index),
            Event::SwitchoverAsked(to) => self.wish.ask(to, self.now.after(self.config.wish_limit)),
        }
    }

    fn life_of(&mut self, server: Server, change: impl FnOnce(&mut Life)) {
        self.members.life_of(server).map(change);
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
        self.members.lives_mut().for_each(|life| life.asked.sent = None);
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
}
