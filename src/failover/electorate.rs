//! The machine of a group whose members elect among themselves.
//!
//! It founds the group, keeps its configuration what was asked for, and leads the front to
//! whoever was elected. It promotes nobody and fences nobody: a primary that lost the majority
//! cannot confirm a write any more, and that is the members' own doing. Like [`super::Group`] it
//! looks at everything anew after every event; what is under way is only what was asked for and
//! not answered yet, never more than one thing at once.

mod change;
mod lead;
mod learn;
mod member;
mod motion;
mod status;
mod tend;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::model::Epoch;

use super::accounts::Accounts;
use super::book::Book;
use super::config::Config;
use super::dialect::{Ballot, Motion};
use super::event::{Action, Event, Moment, Server};
use super::front::Front;
use super::restart::Restart;
use super::roster::Roster;
use super::wish::Wish;
use member::Member;

/// One group that elects by itself.
pub struct Electorate {
    config: Config,
    now: Moment,
    /// Of the last primary: for the account, and to know a new group from an old.
    book: Book,
    /// Nothing is judged before the first look.
    observed: bool,
    members: Roster<()>,
    advertised: BTreeMap<u32, SocketAddr>,
    front: Front,
    reign: Option<Reign>,
    /// The latest term that was ever heard of: claims of older ones are of the past.
    floor: u64,
    loss: Option<Loss>,
    /// What a member is asked for and has not answered.
    pending: Option<(Server, Motion)>,
    /// When the last answer of that kind came: what was heard earlier may no longer hold.
    answered: Moment,
    /// Nothing is asked for again before this.
    motion_after: Moment,
    /// Asked not to stand for election.
    frozen: BTreeSet<Server>,
    handover: Option<Handover>,
    wish: Wish,
    restart: Restart,
    accounts: Accounts,
    reason: Option<String>,
    stalled: bool,
    actions: Vec<Action>,
}

/// The primary that the front leads to.
#[derive(Debug, Clone, Copy)]
struct Reign {
    server: Server,
    term: u64,
    opened: Moment,
    /// Its count of writes when it was found.
    writes: u64,
}

/// There is no primary since then.
#[derive(Debug)]
struct Loss {
    cause: String,
    old: u32,
    detected: Moment,
    /// Its restart was announced.
    planned: bool,
}

/// A planned change of primary.
#[derive(Debug)]
struct Handover {
    cause: String,
    from: Server,
    /// Everybody but the primary may be elected if `None`.
    to: Option<u32>,
    began: Moment,
    /// The primary was asked to step down.
    asked: bool,
}

// === impl Electorate ===

impl Electorate {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: Moment::default(),
            book: Book::Reading,
            observed: false,
            members: Roster::new(),
            advertised: BTreeMap::new(),
            front: Front::default(),
            reign: None,
            floor: 0,
            loss: None,
            pending: None,
            answered: Moment::default(),
            motion_after: Moment::default(),
            frozen: BTreeSet::new(),
            handover: None,
            wish: Wish::default(),
            restart: Restart::default(),
            accounts: Accounts::default(),
            reason: None,
            stalled: false,
            actions: vec![Action::Load],
        }
    }

    /// Learns `event` and returns what to do. `now` must not go back.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        self.learn(event);
        self.lead();
        self.tend();
        std::mem::take(&mut self.actions)
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

    fn epoch(&self) -> Option<Epoch> {
        self.book.epoch()
    }

    /// The latest election that anybody told of.
    fn latest_term(&self) -> u64 {
        self.members.values().filter_map(Member::ballot).map(|ballot| ballot.term).max().unwrap_or_default()
    }

    /// What this member says, if it was asked after the last thing that was carried out.
    fn fresh(&self, index: u32) -> Option<&Ballot> {
        let life = self.members.life(index).filter(|life| life.report_asked >= self.answered && life.misses == 0)?;
        life.report.as_ref()?.ballot.as_deref()
    }

    // --- changes

    fn note(&mut self, text: String) {
        self.actions.push(Action::Note(text));
    }

    fn gate(&mut self) {
        self.actions.extend(self.front.gate(self.now));
    }

    /// Whether no client reaches a server any more, or that has been waited for long enough.
    fn is_gated(&self) -> bool {
        let late = |since: Moment| self.now.since(since) >= self.config.gate_limit;
        self.front.gated().is_some_and(|since| self.front.obeyed() || late(since))
    }

    fn ask_of(&mut self, server: Server, motion: Motion) {
        self.note(format!("{}: {}", self.name(server.index), motion::described(&motion)));
        self.pending = Some((server, motion.clone()));
        self.actions.push(Action::Carry { server, motion });
    }

    fn answer_wish(&mut self, outcome: Result<u32, String>) {
        self.actions.extend(self.wish.answer(outcome));
    }
}
