//! The machine of one group: facts come in, phases change, actions go out.
//!
//! `handle` first learns the fact, then takes every edge whose condition holds, then tends to
//! the members (probes, upstreams). Conditions are looked at anew each time: there is no
//! difference between a fresh start and the middle of a failover.

mod fence;
mod gather;
mod guard;
mod labour;
mod learn;
mod member;
mod phases;
mod promote;
mod status;
mod tend;
#[cfg(test)]
mod tests;
mod vouch;
mod watch;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use crate::model::Epoch;

use super::accounts::Accounts;
use super::book::Book;
use super::config::Config;
use super::dialect::RoleChange;
use super::edges::{self, Phase};
use super::elect::{Basis, Standing};
use super::event::{Action, Event, Moment, Server};
use super::front::Front;
use super::restart::Restart;
use super::roster::Roster;
use super::wish::Wish;
use member::{Conduct, Life, Member};

/// One replicated group.
pub struct Group {
    config: Config,
    now: Moment,
    phase: Phase,
    /// When the phase began.
    since: Moment,
    reason: Option<String>,
    book: Book,
    /// Nothing is judged before the first look.
    observed: bool,
    members: Roster<Conduct>,
    front: Front,
    reign: Option<Reign>,
    change: Option<Change>,
    restart: Restart,
    wish: Wish,
    accounts: Accounts,
    vouch: vouch::Vouch,
    labour: labour::Labour,
    /// No further planned switchover before this.
    handover_after: Moment,
    actions: Vec<Action>,
}

/// The master that is open, or was the last to be.
#[derive(Debug)]
struct Reign {
    server: Server,
    addr: SocketAddr,
    histories: BTreeSet<String>,
    /// The furthest it was seen.
    position: u64,
    /// Its latest positions and when they were heard, oldest first.
    heard: VecDeque<(Moment, u64)>,
    /// The same from the beginning, with longer steps.
    path: VecDeque<(Moment, u64)>,
    opened: Moment,
    /// When its process was found dead.
    ended: Option<Moment>,
    /// The number of its epoch.
    epoch: u64,
    /// Slaves that ended since it was last heard: what it acknowledged may be on them alone.
    gone: Vec<(Server, Moment)>,
    /// Where it was when its writes began to wait for a slave.
    whole: Option<u64>,
    /// Its count of writes when it was promoted.
    writes: u64,
}

/// A change of master on its way.
#[derive(Debug)]
struct Change {
    kind: Kind,
    cause: String,
    old: u32,
    /// Whom the fence has to end.
    target: Option<Server>,
    detected: Moment,
    /// Planned: since when writes are held back.
    paused: Option<Moment>,
    fenced: Option<Moment>,
    choice: Option<Chosen>,
    because: String,
    promoted: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failure,
    /// To this process: another one of the same member has proved nothing.
    Handover(Server),
    /// The recorded master, or the very first one.
    Opening,
}

#[derive(Debug, Clone, Copy)]
struct Chosen {
    server: Server,
    addr: SocketAddr,
    epoch: Epoch,
    commit: Commit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commit {
    Asked,
    Done,
}

// === impl Group ===

impl Group {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: Moment::default(),
            phase: Phase::Gathering,
            since: Moment::default(),
            reason: None,
            book: Book::Reading,
            observed: false,
            members: Roster::new(),
            front: Front::default(),
            reign: None,
            change: None,
            restart: Restart::default(),
            wish: Wish::default(),
            accounts: Accounts::default(),
            vouch: vouch::Vouch::default(),
            labour: labour::Labour::default(),
            handover_after: Moment::default(),
            actions: vec![Action::Load],
        }
    }

    /// Learns `event` and returns what to do. `now` must not go back.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        self.learn(event);
        self.excuse();
        self.settle();
        self.tend();
        std::mem::take(&mut self.actions)
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    // --- questions

    fn name(&self, index: u32) -> String {
        self.config.name(index)
    }

    /// The process that runs as this member.
    fn server(&self, index: u32) -> Option<Server> {
        self.members.server(index)
    }

    fn runs(&self, server: Server) -> bool {
        self.members.runs(server)
    }

    /// The epoch on disk, if it is known.
    fn epoch(&self) -> Option<Epoch> {
        self.book.epoch()
    }

    fn restarting(&self, index: u32) -> bool {
        self.restart.concerns(index)
    }

    /// What is known of the members, counting only reports asked for at or after `fresh`.
    fn standings(&self, fresh: Moment) -> Vec<Standing<'_>> {
        self.members.values().map(|member| self.standing(member, fresh)).collect()
    }

    fn standing<'a>(&'a self, member: &'a Member, fresh: Moment) -> Standing<'a> {
        let standing = member.standing(fresh, self.now, &self.config, self.restarting(member.index));
        // A daemon that never saw the master does not know whose word it took.
        let unknown = self.reign.is_none() && self.epoch().is_none_or(|epoch| epoch.master != member.index);
        Standing { witness: standing.witness || unknown, ..standing }
    }

    fn standings_but(&self, index: u32, fresh: Moment) -> Vec<Standing<'_>> {
        self.standings(fresh).into_iter().filter(|standing| standing.index != index).collect()
    }

    /// What a successor is measured against: the last open master, else the recorded one.
    fn basis(&self) -> Option<Basis<'_>> {
        let service = self.config.service.as_str();
        let (doubt, witnessed) = (self.doubt(), self.waits());
        if let Some(reign) = &self.reign {
            let histories = reign.histories.iter().map(String::as_str).collect();
            return Some(Basis {
                upstream: Some(reign.addr),
                histories,
                position: reign.position,
                doubt,
                witnessed,
                applied: true,
                service,
            });
        }
        let epoch = self.epoch()?;
        // Slaves follow the master where it was, and its pod may have been made anew elsewhere since.
        let known = || self.members.get(epoch.master).and_then(|member| member.addr);
        let upstream = self.upstream(epoch.number).or_else(known);
        Some(Basis { upstream, histories: BTreeSet::new(), position: 0, doubt, witnessed, applied: true, service })
    }

    // --- changes

    fn note(&mut self, text: String) {
        self.actions.push(Action::Note(text));
    }

    /// Words of a former process are dropped.
    fn life_of(&mut self, server: Server, change: impl FnOnce(&mut Life, Moment)) {
        let now = self.now;
        if let Some(life) = self.members.life_of(server) {
            change(life, now);
        }
    }

    fn command(&mut self, server: Server, change: RoleChange) {
        self.life_of(server, |life, _| {
            life.own.command = Some(change);
            life.own.told |= matches!(change, RoleChange::Follow(_));
        });
        self.actions.push(Action::Command { server, change });
    }

    fn kill(&mut self, server: Server) {
        self.life_of(server, |life, now| life.own.killed = Some(now));
        self.actions.push(Action::Kill(server));
    }

    fn gate(&mut self) {
        self.actions.extend(self.front.gate(self.now));
    }

    fn forget_restart(&mut self) {
        if self.restart.is_over(self.now, |index| self.members.server(index)) {
            self.actions.extend(self.restart.give_up());
        }
    }

    fn settle(&mut self) {
        self.forget_restart();
        for _ in 0..32 {
            let Some(to) = self.step() else { return };
            self.go(to);
        }
        debug_assert!(false, "{:?} does not settle: {:?}", self.phase, self.reason);
    }

    fn go(&mut self, to: Phase) {
        let edge = edges::between(self.phase, to);
        debug_assert!(edge.is_some(), "no edge from {:?} to {to:?}", self.phase);
        let when = edge.map_or("", |edge| edge.when);
        self.actions.push(Action::Note(format!("{} -> {}: {when}", self.phase.name(), to.name())));
        self.phase = to;
        self.since = self.now;
        self.enter(to);
    }
}
