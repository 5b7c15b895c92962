//! No master is open: what is known decides which one to open, or what is waited for.

use crate::failover::book::Book;
use crate::failover::edges::Phase::{self, *};
use crate::failover::elect::{self, Choice, Opening};
use crate::failover::event::{Moment, Server};
use crate::model::Epoch;

use super::member::Member;
use super::{Change, Commit, Group, Kind};

impl Group {
    pub(super) fn opening(&self) -> Opening {
        let service = &self.config.service;
        let fenced = self.change.as_ref().and_then(|change| change.fenced).unwrap_or_default();
        let epoch = match &self.book {
            Book::Reading => return Opening::Wait("reading the store".to_owned()),
            Book::Unreadable { why, .. } => return Opening::Stall(why.clone()),
            Book::Read(_) if !self.observed => return Opening::Wait("looking for the members".to_owned()),
            Book::Read(epoch) => *epoch,
        };
        let all = self.standings(Moment::default());
        let opening = match epoch {
            None => elect::first(service, &all),
            Some(epoch) => {
                let standings = self.members.values().map(|member| {
                    let fresh = if member.index == epoch.master { Moment::default() } else { fenced };
                    self.standing(member, fresh)
                });
                let standings: Vec<_> = standings.collect();
                elect::again(epoch, self.basis().as_ref(), service, &standings)
            }
        };
        let ended = epoch.is_some_and(|epoch| self.server(epoch.master).is_none() && !self.restarting(epoch.master));
        let known = self.word(epoch).or_else(|| self.predecessor().filter(|_| ended));
        match (opening, known, self.rogue()) {
            (Opening::Wait(_) | Opening::Stall(_), Some(known), _) => Opening::Name(known),
            (Opening::Again | Opening::Elect | Opening::Name(_), _, Some(rogue)) => Opening::Wait(format!(
                "{} is a master though another one is recorded: ending it",
                self.name(rogue.index)
            )),
            (opening, ..) => opening,
        }
    }

    /// The member a person named, if it may be promoted: only while the recorded master is
    /// certainly not running or came back without data, and not while it may just be starting again.
    pub(super) fn word(&self, epoch: Option<Epoch>) -> Option<Choice> {
        if self.phase != Stalled && self.now.since(self.since) < self.config.lonely {
            return None;
        }
        let index = self.wish.named()?;
        let report = self.members.report(index)?;
        let emptied = |master: &Member| master.report().is_some_and(|report| report.blank && !report.writable);
        let dead = epoch.is_none_or(|epoch| {
            let master = self.members.get(epoch.master);
            epoch.master == index || self.server(epoch.master).is_none() || master.is_some_and(emptied)
        });
        let because = format!("{} was named", self.name(index));
        (dead && report.loading.is_none()).then_some(Choice { index, because })
    }

    /// A server that accepts writes although the store names another master.
    pub(super) fn rogue(&self) -> Option<Server> {
        let master = self.epoch()?.master;
        let others = self.members.values().filter(|member| member.index != master);
        others
            .filter(|member| member.report().is_some_and(|report| report.writable))
            .find_map(|m| Some(m.life.as_ref()?.server))
    }

    pub(super) fn gather(&mut self) -> Option<Phase> {
        match self.opening() {
            Opening::Wait(why) => self.wait(why),
            Opening::Stall(why) => {
                self.reason = Some(why);
                Some(Stalled)
            }
            Opening::Name(choice) => self.determined(choice),
            Opening::Again => self.reopen(),
            Opening::Elect => {
                if let Some(silent) = self.unheard() {
                    return self.wait(format!("waiting for {} to answer before one is elected", self.name(silent)));
                }
                let cause = "the master was found dead";
                self.ensure_failure(cause, None);
                Some(Draining)
            }
            Opening::Fence => {
                let target = self.epoch().and_then(|epoch| self.server(epoch.master));
                self.ensure_failure("no answer", target);
                Some(Gating)
            }
        }
    }

    /// A running member that was never heard: at the start of a daemon any of them may be the
    /// most advanced. A driver that saw the master alive knows them, and only drains.
    pub(super) fn unheard(&self) -> Option<u32> {
        let unheard = |member: &&Member| {
            let life = member.life.as_ref().filter(|life| !life.hung(&self.config));
            life.is_some_and(|life| life.report.is_none() && life.complaint.is_none())
        };
        self.members.values().filter(|_| self.reign.is_none()).find(unheard).map(|member| member.index)
    }

    pub(super) fn wait(&mut self, why: String) -> Option<Phase> {
        self.reason = Some(why);
        None
    }

    pub(super) fn stalled(&mut self) -> Option<Phase> {
        match self.opening() {
            Opening::Stall(why) => self.wait(why),
            Opening::Name(choice) => self.determined(choice),
            _ => Some(Gathering),
        }
    }

    pub(super) fn determined(&mut self, choice: Choice) -> Option<Phase> {
        let number = self.epoch().map_or(1, |epoch| epoch.number + 1);
        self.ensure_change(Kind::Opening, "no master is open", choice.index);
        self.choose(&choice, number);
        Some(Electing)
    }

    /// The recorded master again: under the next epoch when its death was noticed, so that
    /// this has a receipt of its own, else under the same.
    pub(super) fn reopen(&mut self) -> Option<Phase> {
        let epoch = self.epoch()?;
        let index = epoch.master;
        let because = format!("{} is the recorded master", self.name(index));
        if self.change.as_ref().is_some_and(|change| change.kind == Kind::Failure) {
            self.choose(&Choice { index, because }, epoch.number + 1);
            return Some(Electing);
        }
        self.change = Some(Change::new(Kind::Opening, because.clone(), index, None, self.now));
        let chosen = self.chosen(index, epoch, Commit::Done)?;
        self.change.as_mut()?.choice = Some(chosen);
        self.reason = Some(because);
        Some(Promoting)
    }

    pub(super) fn refuse(&mut self) {
        let why = self.reason.clone().unwrap_or_default();
        self.actions.push(self.front.refuse(why));
    }
}
