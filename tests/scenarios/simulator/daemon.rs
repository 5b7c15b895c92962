//! The daemon: it drives the machine, and what the machine wants takes time or fails.

use std::net::SocketAddr;
use std::time::Duration;

use dotcloud_local::failover::dialect::{MemberReport, RoleChange};
use dotcloud_local::failover::edges::EDGES;
use dotcloud_local::failover::{Action, Config, Event, Group, Miss, Moment, Server};
use dotcloud_local::model::{Epoch, Vouched};

use super::{MS, Open, Opening, Request, Simulator, Thing};
use crate::servers::{Micros, Model, Unread};

/// A member without data follows a master that is no further, and is copied otherwise.
const COPY_BEYOND: u64 = 50;

impl Simulator {
    pub(super) fn start_daemon(&mut self) {
        self.daemon += 1;
        self.daemon_began = self.now;
        self.front = None;
        self.front_free = self.now;
        self.link_free.clear();
        self.group = Some(Group::new(Config {
            synchronous: self.model.waits(),
            guards_at_front: self.model == Model::Fronted,
            copy_beyond: (!self.model.copies()).then_some(COPY_BEYOND),
            ..Config::new("db")
        }));
        self.remembered = self.disk;
        self.promises.forget_heard();
        self.tell(format!("daemon {} starts", self.daemon));
        self.drive(Event::Ticked);
    }

    fn moment(&self) -> Moment {
        Moment(Duration::from_micros(self.now - self.daemon_began))
    }

    pub(super) fn tick(&mut self) {
        if self.tick_at == self.now {
            self.drive(Event::Ticked);
        }
    }

    /// What reaches the driver of a daemon that is gone reaches nobody.
    pub(super) fn told(&mut self, daemon: u64, event: Event) {
        if daemon != self.daemon {
            return;
        }
        if let Event::Reported { server, report, .. } = &event
            && report.writable
        {
            self.promises.heard(*server, report.position);
        }
        self.drive(event);
    }

    pub(super) fn drive(&mut self, event: Event) {
        let moment = self.moment();
        let Some(group) = &mut self.group else { return };
        let actions = group.handle(moment, event);
        let next = self.daemon_began + group.next_timeout().0.as_micros() as u64;
        for action in actions {
            self.perform(action);
        }
        if next != self.tick_at {
            self.tick_at = next.max(self.now + 1);
            self.at(self.tick_at, Thing::Tick);
        }
    }

    fn perform(&mut self, action: Action) {
        let daemon = self.daemon;
        match action {
            Action::Load => {
                let epoch = self.known_epoch();
                let vouched = Event::Vouched(self.vouched);
                self.after(90, Thing::Tell(daemon, vouched));
                let loaded = if self.troubled(3) { Err("disk error".to_owned()) } else { Ok(epoch) };
                self.soon(100, 5 * MS, Thing::Tell(daemon, Event::Loaded(loaded)));
            }
            Action::Commit(epoch) => self.soon(500, 10 * MS, Thing::Commit(daemon, epoch)),
            Action::Vouch { epoch, upstream } => self.soon(500, 10 * MS, Thing::Vouch(daemon, epoch, upstream)),
            Action::Gate { order } => self.move_front(order, None),
            Action::Open { order, master, epoch, acks } => {
                self.move_front(order, Some((master, epoch, acks.unwrap_or(0))));
            }
            Action::Refuse { order, .. } => self.move_front(order, None),
            Action::Kill(server) => {
                self.tell(format!("kill {server:?}"));
                self.soon(5 * MS, 300 * MS, Thing::Kill(daemon, server));
            }
            Action::Ping(server) => self.request(server, Request::Ping),
            Action::Ask { server, asked } => self.request(server, Request::Ask(asked)),
            Action::Command { server, change: RoleChange::CopyFrom(from) } => self.duplicate(server, from),
            Action::Command { server, change } => {
                self.tell(format!("command {change:?} to {server:?}"));
                self.request(server, Request::Command(change));
            }
            Action::Note(text) => self.noted(text),
            Action::Record(account) => self.outcome.failovers += u32::from(account.resynchronised.is_none()),
            Action::ReleaseRestart(index) => {
                // Now and then it cannot be stopped.
                if self.random.percent(20) {
                    self.tell(format!("db.{index} is not restarted after all"));
                    return self.soon(MS, 500 * MS, Thing::Tell(daemon, Event::RestartWithdrawn(index)));
                }
                self.die(index as usize, "planned restart");
            }
            Action::AnswerSwitchover(outcome) => self.tell(format!("switchover: {outcome:?}")),
            Action::Carry { motion, .. } => panic!("{motion:?} is for members that elect by themselves"),
        }
    }

    /// The machine tells its log which edge it takes.
    fn noted(&mut self, text: String) {
        if let Some((from, to)) = text.split_once(':').and_then(|(edge, _)| edge.split_once(" -> ")) {
            self.outcome.edges.insert((from.to_owned(), to.to_owned()));
            if let Some(edge) = EDGES.iter().find(|edge| edge.to.name() == to) {
                self.entered(edge.to);
            }
        }
        if text.ends_with("was named") {
            self.promises.forgive();
        }
        self.tell(text.clone());
        self.outcome.notes.push(text);
    }

    fn troubled(&mut self, percent: u64) -> bool {
        self.now < self.faults_until && self.random.percent(percent)
    }

    // --- the disk

    /// As far as this daemon can tell.
    pub(super) fn known_epoch(&self) -> Option<Epoch> {
        if self.sabotage.no_disk { self.remembered } else { self.disk }
    }

    pub(super) fn commit(&mut self, daemon: u64, epoch: Epoch) {
        // A daemon that was killed before it wrote does not write any more; one that is killed
        // now has written.
        if daemon != self.daemon {
            return;
        }
        let full = self.now < self.full_until;
        let fails = full || self.troubled(5);
        // A commit may be reported as failed although it reached the disk.
        let written = !full && (!fails || self.random.percent(50));
        if written {
            self.check_epoch(epoch);
            self.remembered = Some(epoch);
            if !self.sabotage.no_disk || self.disk.is_none() {
                self.disk = Some(epoch);
            }
        }
        let result = if fails { Err("no space left on the disk".to_owned()) } else { Ok(()) };
        self.soon(50, 10 * MS, Thing::Tell(daemon, Event::Committed(epoch, result)));
    }

    pub(super) fn vouch(&mut self, daemon: u64, epoch: u64, upstream: Option<SocketAddr>) {
        if daemon != self.daemon {
            return;
        }
        let full = self.now < self.full_until;
        let fails = full || self.troubled(5);
        if !full && (!fails || self.random.percent(50)) && (upstream.is_some() || !self.sabotage.no_doubt) {
            self.vouched = upstream.map(|_| Vouched { epoch, upstream });
        }
        let result = if fails { Err("no space left on the disk".to_owned()) } else { Ok(()) };
        self.soon(50, 10 * MS, Thing::Tell(daemon, Event::VouchKept { epoch, upstream, result }));
    }

    /// A copy made by commands in both containers.
    fn duplicate(&mut self, server: Server, from: SocketAddr) {
        self.tell(format!("{server:?} becomes a copy of {from}"));
        let source = self.listener(from).and_then(|index| self.members[index].process.as_ref());
        let source = source.map(|process| process.incarnation);
        let daemon = self.daemon;
        self.soon(100 * MS, 900 * MS, Thing::Duplicated { daemon, server, from, source });
    }

    // --- the front

    fn move_front(&mut self, order: u64, open: Option<Opening>) {
        let delay = self.random.between(50, 3 * MS);
        self.front_free = self.front_free.max(self.now) + delay;
        let daemon = self.daemon;
        self.at(self.front_free, Thing::Front(daemon, order, open));
    }

    pub(super) fn front_moves(&mut self, daemon: u64, order: u64, open: Option<Opening>) {
        if daemon != self.daemon {
            return;
        }
        // Sessions with the same master go on.
        let same = self.front.zip(open).is_some_and(|(old, (addr, epoch, _))| (old.addr, old.epoch) == (addr, epoch));
        self.sessions += u64::from(!same);
        let session = self.sessions;
        self.front = open.map(|(addr, epoch, acks)| Open { addr, epoch, acks, session });
        if let Some((addr, epoch, acks)) = open {
            self.tell(format!("open {addr} under epoch {epoch} with {acks} slaves"));
            self.check_opened(addr, epoch);
            self.let_go(addr, session, acks);
        }
        self.drive(Event::FrontMoved(order));
    }

    /// The front no longer waits for sessions that are gone, nor for slaves that it need not ask.
    fn let_go(&mut self, addr: SocketAddr, session: u64, acks: u32) {
        let Some(index) = self.listener(addr) else { return };
        let Some(process) = self.members[index].process.as_mut().filter(|p| p.model == Model::Fronted) else { return };
        process.waiting.retain(|sent| sent.session == session);
        if acks == 0 {
            let released = std::mem::take(&mut process.waiting);
            released.into_iter().for_each(|sent| self.acknowledged(index, sent));
        }
    }

    /// Links serve one request at a time.
    fn request(&mut self, server: Server, request: Request) {
        let free = self.link_free.get(&server).copied().unwrap_or(0).max(self.now);
        let delay =
            if self.random.percent(2) { self.random.between(1, 40) * MS } else { self.random.between(100, 800) };
        let daemon = self.daemon;
        self.at(free + delay, Thing::Reach(daemon, server, request));
        self.link_free.insert(server, free + delay);
    }

    pub(super) fn reach(&mut self, daemon: u64, server: Server, request: &Request) {
        let index = server.index as usize;
        let now = self.now;
        // Whoever listens at the address answers, be it a later process.
        let process = self.members[index].process.as_mut().filter(|process| process.listens_at <= now);
        let Some(process) = process else {
            return self.missed(daemon, server, request, Miss::Refused, 0);
        };
        if process.frozen {
            if let Request::Command(change) = request {
                process.backlog.push(Unread::Change(*change));
            }
            let patience = if matches!(request, Request::Command(_)) { 300 } else { 100 };
            let free = self.now + patience * MS;
            self.link_free.insert(server, free);
            return self.missed(daemon, server, request, Miss::Silent { busy: false }, patience * MS);
        }
        let obeyed = match request {
            Request::Command(change) => self.obey(index, *change),
            _ => true,
        };
        if self.troubled(1) {
            return self.missed(daemon, server, request, Miss::Refused, MS);
        }
        let report = self.report(index);
        let event = match request {
            Request::Ping => Event::Answered(server),
            Request::Ask(asked) => Event::Reported { server, asked: *asked, report },
            Request::Command(change) => {
                let result = if obeyed { Ok(report) } else { Err("lock wait timeout".to_owned()) };
                Event::Commanded { server, change: *change, result }
            }
        };
        self.soon(100, 400, Thing::Tell(daemon, event));
    }

    fn report(&self, index: usize) -> MemberReport {
        let member = &self.members[index];
        let process = member.process.as_ref().expect("it answered");
        let mut report = process.report(&member.volume, self.now);
        let upstream_lives = process.link.is_some_and(|link| self.find(link).is_some());
        report.link_up &= upstream_lives || !self.sabotage.no_drain;
        report
    }

    fn missed(&mut self, daemon: u64, server: Server, request: &Request, how: Miss, delay: Micros) {
        if let Request::Command(change) = request {
            let result = Err("no answer".to_owned());
            self.after(delay, Thing::Tell(daemon, Event::Commanded { server, change: *change, result }));
        }
        self.after(delay + 1, Thing::Tell(daemon, Event::Missed(server, how)));
    }

    pub(super) fn kill_called(&mut self, daemon: u64, server: Server) {
        if self.troubled(15) {
            let error = "engine is busy".to_owned();
            return self.after(0, Thing::Tell(daemon, Event::KillFailed { server, error }));
        }
        if self.sabotage.no_fence {
            return self.after(MS, Thing::Tell(daemon, Event::Died(server)));
        }
        // The container is what is killed, whichever process it has by now.
        self.die(server.index as usize, "killed by the driver");
    }
}
