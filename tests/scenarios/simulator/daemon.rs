//! The daemon: it drives the machine, and what the machine wants takes time or fails.

use std::net::SocketAddr;
use std::time::Duration;

use dotcloud_local::failover::dialect::MemberReport;
use dotcloud_local::failover::{Action, Config, Event, Group, Miss, Moment, Server};
use dotcloud_local::model::Epoch;

use super::{MS, Request, Simulator, Thing};
use crate::servers::Micros;

impl Simulator {
    pub(super) fn start_daemon(&mut self) {
        self.daemon += 1;
        self.daemon_began = self.now;
        self.front = None;
        self.front_free = self.now;
        self.link_free.clear();
        self.group = Some(Group::new(Config::new("db")));
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

    pub(super) fn drive(&mut self, event: Event) {
        let moment = self.moment();
        let Some(group) = &mut self.group else { return };
        let actions = group.handle(moment, event);
        self.outcome.phases.insert(group.phase());
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
                let epoch = self.disk;
                let loaded = if self.troubled(3) { Err("disk error".to_owned()) } else { Ok(epoch) };
                self.soon(100, 5 * MS, Thing::Tell(daemon, Event::Loaded(loaded)));
            }
            Action::Commit(epoch) => self.soon(500, 20 * MS, Thing::Commit(daemon, epoch)),
            Action::Gate { order } => self.move_front(order, None),
            Action::Open { order, master, epoch, .. } => self.move_front(order, Some((master, epoch))),
            Action::Refuse { order, .. } => self.move_front(order, None),
            Action::Kill(server) => {
                self.tell(format!("kill {server:?}"));
                self.soon(5 * MS, 300 * MS, Thing::Kill(daemon, server));
            }
            Action::Ping(server) => self.request(server, Request::Ping),
            Action::Ask { server, asked } => self.request(server, Request::Ask(asked)),
            Action::Command { server, change } => {
                self.tell(format!("command {change:?} to {server:?}"));
                self.request(server, Request::Command(change));
            }
            Action::Note(text) => self.tell(text),
            Action::Record(account) => self.outcome.failovers += u32::from(account.resynchronised.is_none()),
            Action::ReleaseRestart(index) => {
                let index = index as usize;
                self.die(index, "planned restart");
            }
            Action::AnswerSwitchover(outcome) => self.tell(format!("switchover: {outcome:?}")),
            Action::Carry { motion, .. } => panic!("{motion:?} is for members that elect by themselves"),
        }
    }

    fn troubled(&mut self, percent: u64) -> bool {
        self.now < self.faults_until && self.random.percent(percent)
    }

    pub(super) fn commit(&mut self, daemon: u64, epoch: Epoch) {
        // A commit that reached the disk does not care whether its daemon still lives.
        let fails = self.troubled(5);
        // A commit may be reported as failed although it reached the disk.
        let written = !fails || self.random.percent(50);
        if written && !self.sabotage.no_disk {
            self.disk = Some(epoch);
        }
        let result = if fails { Err("disk error".to_owned()) } else { Ok(()) };
        if daemon == self.daemon {
            self.drive(Event::Committed(epoch, result));
        }
    }

    fn move_front(&mut self, order: u64, open: Option<(SocketAddr, u64)>) {
        let delay = self.random.between(50, 3 * MS);
        self.front_free = self.front_free.max(self.now) + delay;
        let daemon = self.daemon;
        self.at(self.front_free, Thing::Front(daemon, order, open));
    }

    pub(super) fn front_moves(&mut self, daemon: u64, order: u64, open: Option<(SocketAddr, u64)>) {
        if daemon != self.daemon {
            return;
        }
        self.front = open;
        if let Some((addr, epoch)) = open {
            self.tell(format!("open {addr} under epoch {epoch}"));
            self.check_secured(addr);
        }
        self.drive(Event::FrontMoved(order));
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
                process.backlog.push(*change);
            }
            let patience = if matches!(request, Request::Command(_)) { 300 } else { 100 };
            let free = self.now + patience * MS;
            self.link_free.insert(server, free);
            return self.missed(daemon, server, request, Miss::Silent { busy: false }, patience * MS);
        }
        if let Request::Command(change) = request {
            self.obey(index, *change);
        }
        let event = match request {
            Request::Ping => Event::Answered(server),
            Request::Ask(asked) => Event::Reported { server, asked: *asked, report: self.report(index) },
            Request::Command(change) => Event::Commanded { server, change: *change, result: Ok(self.report(index)) },
        };
        self.soon(100, 400, Thing::Tell(daemon, event));
    }

    fn report(&self, index: usize) -> MemberReport {
        let member = &self.members[index];
        let process = member.process.as_ref().expect("it answered");
        let mut report = process.report(&member.volume);
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
