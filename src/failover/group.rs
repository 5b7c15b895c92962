//! The machine of one group: facts come in, phases change, actions go out.
//!
//! `handle` first learns the fact, then takes every edge whose condition holds, then tends to
//! the members (probes, upstreams). Conditions are looked at anew each time: there is no
//! difference between a fresh start and the middle of a failover.

mod fence;
mod gather;
mod member;
mod phases;
mod promote;
mod status;
mod tend;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::model::Epoch;

use super::dialect::RoleChange;
use super::edges::{self, Phase};
use super::elect::{Basis, Standing};
use super::event::{Action, Event, Moment, Seat, Server};
use member::Member;

/// How patient a group is.
#[derive(Debug, Clone)]
pub struct Config {
    /// For messages: `db`.
    pub service: String,
    /// Between two pings of the master.
    pub ping_every: Duration,
    /// Unanswered requests in a row that make a hang.
    pub misses: u32,
    /// The same when the process is seen working.
    pub busy_misses: u32,
    /// How long a hang lasts before the server is ended although nobody could take over;
    /// six times that for one that never answered. A paused one is left alone.
    pub lonely: Duration,
    /// A server that never answered may refuse connections for so long…
    pub boot_refused: Duration,
    /// …and accept them without answering for so long.
    pub boot_silent: Duration,
    /// Between two reports of a member in steady times; every change goes faster.
    pub ask_every: Duration,
    /// Between two reports while something is waited for.
    pub ask_soon: Duration,
    /// Between two reports while clients wait.
    pub ask_at_once: Duration,
    /// How long the replicas may read what the old master sent.
    pub drain_limit: Duration,
    /// How long a switchover that was asked for waits for somebody who can take over.
    pub wish_limit: Duration,
    /// How long a planned switchover waits for the replica, with writes held back.
    pub handover_limit: Duration,
    /// How long the front's word is waited for. It is a courtesy to sessions: what keeps two
    /// masters apart is the fence.
    pub gate_limit: Duration,
    /// How long the others may take to follow a new master before the group counts as steady.
    pub repoint_limit: Duration,
    /// How long a planned restart may take before it counts as a failure.
    pub restart_limit: Duration,
    /// How long the first write after a failover is watched for.
    pub first_write_limit: Duration,
    /// Between two attempts at something that failed.
    pub retry: Duration,
}

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
    members: BTreeMap<u32, Member>,
    front: Front,
    reign: Option<Reign>,
    change: Option<Change>,
    planned: Option<Planned>,
    wish: Option<Wish>,
    account: Option<status::Entry>,
    /// No further planned switchover before this.
    handover_after: Moment,
    actions: Vec<Action>,
}

/// What the ledger says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Book {
    /// Asked, not answered.
    Reading,
    /// `again`: when to ask again; `None` while that is under way.
    Unreadable {
        why: String,
        again: Option<Moment>,
    },
    Read(Option<Epoch>),
}

/// The last order to the front.
#[derive(Debug, Default)]
struct Front {
    order: u64,
    done: u64,
    gated: bool,
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
    opened: Moment,
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
    promoted: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failure,
    /// To this member.
    Handover(u32),
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

#[derive(Debug)]
struct Planned {
    server: Server,
    until: Moment,
    /// Whether its restart was allowed to begin.
    released: bool,
}

/// A switchover that was asked for.
#[derive(Debug)]
struct Wish {
    to: Option<u32>,
    /// When it is refused if nobody could take over until then.
    until: Moment,
}

// === impl Reign ===

impl Reign {
    /// More than the reports that can arrive while one of a slave is on its way.
    const REMEMBERED: usize = 64;

    fn saw(&mut self, now: Moment, position: u64) {
        self.position = self.position.max(position);
        self.heard.push_back((now, position));
        if self.heard.len() > Self::REMEMBERED {
            self.heard.pop_front();
        }
    }
}

// === impl Config ===

impl Config {
    /// The figures of notes and documentation.
    pub fn new(service: &str) -> Self {
        let ms = Duration::from_millis;
        Self {
            service: service.to_owned(),
            ping_every: ms(100),
            misses: 2,
            busy_misses: 10,
            lonely: ms(10_000),
            boot_refused: ms(10_000),
            boot_silent: ms(2_000),
            ask_every: ms(1_000),
            ask_soon: ms(20),
            ask_at_once: ms(4),
            drain_limit: ms(250),
            wish_limit: ms(3_000),
            handover_limit: ms(1_000),
            gate_limit: ms(500),
            repoint_limit: ms(2_000),
            restart_limit: ms(60_000),
            first_write_limit: ms(10_000),
            retry: ms(500),
        }
    }
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
            members: BTreeMap::new(),
            front: Front::default(),
            reign: None,
            change: None,
            planned: None,
            wish: None,
            account: None,
            handover_after: Moment::default(),
            actions: vec![Action::Load],
        }
    }

    /// Learns `event` and returns what to do. `now` must not go back.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        self.learn(event);
        self.settle();
        self.tend();
        std::mem::take(&mut self.actions)
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    fn learn(&mut self, event: Event) {
        match event {
            Event::Ticked => {}
            Event::Loaded(Ok(epoch)) => self.book = Book::Read(epoch),
            Event::Loaded(Err(why)) => {
                self.book = Book::Unreadable { why, again: Some(self.now.after(self.config.retry)) };
            }
            Event::Committed(epoch, result) => self.committed(epoch, result),
            Event::Observed(seats) => self.seated(&seats),
            Event::Died(server) => self.member_of(server, |member, _| member.died(server)),
            Event::Answered(server) => self.life_of(server, |life, now| life.answered(now)),
            Event::Missed(server, how) => {
                let (refused, silent) = (self.config.boot_refused, self.config.boot_silent);
                self.life_of(server, |life, now| life.missed(how, now, refused, silent));
            }
            Event::Reported { server, asked, report } => {
                self.life_of(server, |life, now| life.reported(asked, report, now));
                self.reported(server);
            }
            Event::Complained { server, error } => self.life_of(server, |life, now| life.complained(error, now)),
            Event::Commanded { server, change, result } => self.commanded(server, change, result),
            Event::KillFailed { server, error } => {
                self.note(format!("cannot end {}: {error}", self.name(server.index)));
            }
            Event::FrontMoved(order) => self.front.done = self.front.done.max(order),
            Event::RestartPlanned(index) => self.restart_planned(index),
            Event::SwitchoverAsked(to) => {
                let until = self.now.after(self.config.wish_limit);
                self.wish = Some(Wish { to, until });
            }
        }
    }

    fn seated(&mut self, seats: &[Seat]) {
        self.observed = true;
        self.members.retain(|index, _| seats.iter().any(|seat| seat.index == *index));
        for seat in seats {
            let member = self.members.entry(seat.index).or_insert_with(|| Member::new(seat.index, seat.addr));
            member.seated(seat, self.now);
        }
    }

    fn commanded(&mut self, server: Server, change: RoleChange, result: Result<super::dialect::MemberReport, String>) {
        let retry = self.now.after(self.config.retry / 5);
        let failed = result.as_ref().err().cloned();
        self.life_of(server, |life, now| life.commanded(result, now, retry));
        if let Some(change) = self.change.as_mut().filter(|_| change == RoleChange::PauseWrites && failed.is_none()) {
            change.paused = Some(self.now);
        }
        if let Some(error) = failed {
            self.note(format!("{} did not take {change:?}: {error}", self.name(server.index)));
        }
        self.reported(server);
    }

    fn committed(&mut self, epoch: Epoch, result: Result<(), String>) {
        let chosen = self.change.as_mut().and_then(|change| change.choice.as_mut());
        match result {
            Ok(()) => {
                self.book = Book::Read(Some(epoch));
                if let Some(chosen) = chosen.filter(|chosen| chosen.epoch == epoch) {
                    chosen.commit = Commit::Done;
                }
            }
            Err(why) => self.book = Book::Unreadable { why, again: Some(self.now.after(self.config.retry)) },
        }
    }

    fn restart_planned(&mut self, index: u32) {
        if let Some(server) = self.server(index) {
            self.planned = Some(Planned { server, until: self.now.after(self.config.restart_limit), released: false });
        }
    }

    /// The open master's own words widen what its successors are measured against.
    fn reported(&mut self, server: Server) {
        let (Some(reign), Some(report)) = (&mut self.reign, self.members.get(&server.index).and_then(Member::report))
        else {
            return;
        };
        if server == reign.server && report.writable {
            reign.saw(self.now, report.position);
            reign.histories.insert(report.history.clone());
        } else if report.link_up && report.upstream == Some(reign.addr) {
            reign.histories.insert(report.history.clone());
            self.measure(server);
        }
        self.advance_account(server);
    }

    /// A slave whose link is up is in step once it has what the master had before the slave
    /// was asked: after a full copy Redis may take a second to begin with the writes since.
    fn measure(&mut self, server: Server) {
        let Some(reign) = &self.reign else { return };
        let heard = &reign.heard;
        let had = |asked: Moment| heard.iter().rev().find(|(at, _)| *at <= asked).map_or(0, |(_, position)| *position);
        let member = self.members.get_mut(&server.index).and_then(|member| member.life.as_mut());
        if let Some(life) = member
            && let Some(report) = &life.report
        {
            life.in_step = report.position >= had(life.report_asked);
        }
    }

    // --- questions

    fn name(&self, index: u32) -> String {
        format!("{}.{index}", self.config.service)
    }

    /// The process that runs as this member.
    fn server(&self, index: u32) -> Option<Server> {
        self.members.get(&index)?.life.as_ref().map(|life| life.server)
    }

    fn runs(&self, server: Server) -> bool {
        self.server(server.index) == Some(server)
    }

    /// The epoch on disk, if it is known.
    fn epoch(&self) -> Option<Epoch> {
        if let Book::Read(epoch) = self.book { epoch } else { None }
    }

    fn restarting(&self, index: u32) -> bool {
        self.planned.as_ref().is_some_and(|planned| planned.server.index == index)
    }

    /// What is known of the members, counting only reports asked for at or after `fresh`.
    fn standings(&self, fresh: Moment) -> Vec<Standing<'_>> {
        self.members
            .values()
            .map(|member| member.standing(fresh, self.now, &self.config, self.restarting(member.index)))
            .collect()
    }

    fn standings_but(&self, index: u32, fresh: Moment) -> Vec<Standing<'_>> {
        self.standings(fresh).into_iter().filter(|standing| standing.index != index).collect()
    }

    /// What a successor is measured against: the last open master, else the recorded one.
    fn basis(&self) -> Option<Basis<'_>> {
        let service = self.config.service.as_str();
        if let Some(reign) = &self.reign {
            let histories = reign.histories.iter().map(String::as_str).collect();
            return Some(Basis { service, upstream: reign.addr, histories, position: reign.position });
        }
        let upstream = self.members.get(&self.epoch()?.master)?.addr;
        Some(Basis { service, upstream, histories: BTreeSet::new(), position: 0 })
    }

    // --- changes

    fn note(&mut self, text: String) {
        self.actions.push(Action::Note(text));
    }

    fn member_of(&mut self, server: Server, change: impl FnOnce(&mut Member, Moment)) {
        if let Some(member) = self.members.get_mut(&server.index) {
            change(member, self.now);
        }
    }

    /// Words of a former process are dropped.
    fn life_of(&mut self, server: Server, change: impl FnOnce(&mut member::Life, Moment)) {
        let life = self.members.get_mut(&server.index).and_then(|member| member.life.as_mut());
        if let Some(life) = life.filter(|life| life.server == server) {
            change(life, self.now);
        }
    }

    fn command(&mut self, server: Server, change: RoleChange) {
        self.life_of(server, |life, _| life.command = Some(change));
        self.actions.push(Action::Command { server, change });
    }

    fn kill(&mut self, server: Server) {
        self.life_of(server, |life, now| life.killed = Some(now));
        self.actions.push(Action::Kill(server));
    }

    fn gate(&mut self) {
        if !self.front.gated {
            self.front.order += 1;
            self.front.gated = true;
            self.actions.push(Action::Gate { order: self.front.order });
        }
    }

    /// A planned restart is over when another process runs or its time is up.
    fn forget_restart(&mut self) {
        let over = |planned: &Planned| {
            let successor = self.server(planned.server.index).is_some_and(|server| server != planned.server);
            successor || planned.until <= self.now
        };
        if self.planned.as_ref().is_some_and(over) {
            self.planned = None;
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
