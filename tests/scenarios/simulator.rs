//! One group, its daemon, its clients and their misfortunes in virtual time.
//!
//! Everything random comes from the seed. After every event the promises are checked; the
//! first broken one ends the run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use dotcloud_local::failover::dialect::RoleChange;
use dotcloud_local::failover::{Action, Config, Event, Group, Miss, Moment, Phase, Seat, Server};
use dotcloud_local::model::Epoch;

use crate::servers::{Micros, Process, Volume};

const MS: Micros = 1000;

/// Promises that a run breaks on purpose, to see that it is noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sabotage {
    /// Kills do nothing and are reported as deaths.
    pub no_fence: bool,
    /// Slaves say that their link is down before they have read everything.
    pub no_drain: bool,
    /// Commits are acknowledged but never reach the disk.
    pub no_disk: bool,
}

/// How a run ended.
pub struct Outcome {
    pub broken: Option<String>,
    pub failovers: u32,
    pub writes: u32,
    pub phases: HashSet<Phase>,
    /// The last lines of what happened.
    pub story: Vec<String>,
}

/// What happens at a moment.
enum Thing {
    Tick,
    /// For the driver of this daemon.
    Tell(u64, Event),
    /// The request reaches the member.
    Reach(u64, Server, Request),
    Kill(u64, Server),
    Front(u64, u64, Option<(SocketAddr, u64)>),
    Commit(u64, Epoch),
    Look,
    ClientWrites,
    Arrive {
        to: u64,
        from: u64,
        write: u32,
        held_up: bool,
    },
    LinkEnds {
        of: u64,
        from: u64,
    },
    Attach {
        of: u64,
    },
    Copied {
        of: u64,
        from: u64,
    },
    Restart(usize),
    Thaw(u64),
    Fault,
}

enum Request {
    Ping,
    Ask(Moment),
    Command(RoleChange),
}

struct Member {
    addr: SocketAddr,
    volume: Volume,
    process: Option<Process>,
    /// Its slaves' deliveries are held up.
    cut_until: Micros,
}

pub struct Simulator {
    random: Random,
    sabotage: Sabotage,
    now: Micros,
    queue: BinaryHeap<Reverse<(Micros, u64)>>,
    things: HashMap<u64, Thing>,
    sequence: u64,
    members: Vec<Member>,
    incarnations: u64,
    /// The daemon: its number, when it started, its machine.
    daemon: u64,
    daemon_began: Micros,
    group: Option<Group>,
    /// The tick that counts; earlier plans are void.
    tick_at: Micros,
    link_free: HashMap<Server, Micros>,
    /// Looks are told in order.
    last_look: Micros,
    front: Option<(SocketAddr, u64)>,
    front_free: Micros,
    disk: Option<Epoch>,
    next_write: u32,
    /// Which members have a write; the client counts it as secured when one slave confirmed.
    secured: HashSet<u32>,
    faults_until: Micros,
    outcome: Outcome,
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
}

impl Simulator {
    /// Runs 15 s of misfortune and 30 s of peace.
    pub fn run(seed: u64, sabotage: Sabotage) -> Outcome {
        let mut simulator = Self::new(seed, sabotage);
        let end = simulator.faults_until + 30_000 * MS;
        while simulator.outcome.broken.is_none() {
            let Some(Reverse((at, number))) = simulator.queue.pop() else { break };
            if at > end {
                break;
            }
            simulator.now = at;
            let thing = simulator.things.remove(&number).expect("queued together");
            simulator.happen(thing);
            simulator.check_masters();
        }
        simulator.check_peace();
        simulator.outcome
    }

    fn new(seed: u64, sabotage: Sabotage) -> Self {
        let mut random = Random(seed);
        let count = random.between(1, 4).max(2) as usize;
        let member = |index: usize| Member {
            addr: SocketAddr::from(([10, 0, 0, index as u8 + 1], 6379)),
            volume: Volume::default(),
            process: None,
            cut_until: 0,
        };
        let outcome = Outcome { broken: None, failovers: 0, writes: 0, phases: HashSet::new(), story: Vec::new() };
        let mut simulator = Self {
            random,
            sabotage,
            now: 0,
            queue: BinaryHeap::new(),
            things: HashMap::new(),
            sequence: 0,
            members: (0..count).map(member).collect(),
            incarnations: 0,
            daemon: 0,
            daemon_began: 0,
            group: None,
            tick_at: 0,
            link_free: HashMap::new(),
            last_look: 0,
            front: None,
            front_free: 0,
            disk: None,
            next_write: 0,
            secured: HashSet::new(),
            faults_until: 15_000 * MS,
            outcome,
        };
        (0..count).for_each(|index| simulator.start(index));
        simulator.start_daemon();
        simulator.after(0, Thing::Look);
        simulator.after(10 * MS, Thing::ClientWrites);
        simulator.after(3_000 * MS, Thing::Fault);
        simulator
    }

    // --- time

    fn after(&mut self, delay: Micros, thing: Thing) {
        self.at(self.now + delay, thing);
    }

    fn at(&mut self, at: Micros, thing: Thing) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence)));
        self.things.insert(self.sequence, thing);
    }

    fn soon(&mut self, low: Micros, high: Micros, thing: Thing) {
        let delay = self.random.between(low, high);
        self.after(delay, thing);
    }

    fn tell(&mut self, text: String) {
        self.outcome.story.push(format!("{:>9.3} {text}", self.now as f64 / 1000.0));
        if self.outcome.story.len() > 400 {
            self.outcome.story.drain(..200);
        }
    }

    fn break_promise(&mut self, what: String) {
        self.tell(format!("BROKEN {what}"));
        self.outcome.broken.get_or_insert(what);
    }

    fn happen(&mut self, thing: Thing) {
        match thing {
            Thing::Tick => self.tick(),
            Thing::Tell(daemon, event) => {
                if daemon == self.daemon {
                    self.drive(event);
                }
            }
            Thing::Reach(daemon, server, request) => self.reach(daemon, server, &request),
            Thing::Kill(daemon, server) => self.kill_called(daemon, server),
            Thing::Front(daemon, order, open) => self.front_moves(daemon, order, open),
            Thing::Commit(daemon, epoch) => self.commit(daemon, epoch),
            Thing::Look => self.look(),
            Thing::ClientWrites => self.client_writes(),
            Thing::Arrive { to, from, write, held_up } => self.arrive(to, from, write, held_up),
            Thing::LinkEnds { of, from } => self.link_ends(of, from),
            Thing::Attach { of } => self.attach(of),
            Thing::Copied { of, from } => self.copied(of, from),
            Thing::Restart(index) => {
                if self.members[index].process.is_none() {
                    self.start(index);
                }
            }
            Thing::Thaw(incarnation) => self.thaw(incarnation),
            Thing::Fault => self.fault(),
        }
    }

    // --- the daemon

    fn start_daemon(&mut self) {
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

    fn tick(&mut self) {
        if self.tick_at == self.now {
            self.drive(Event::Ticked);
        }
    }

    fn drive(&mut self, event: Event) {
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
            Action::Open { order, master, epoch } => self.move_front(order, Some((master, epoch))),
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
        }
    }

    fn troubled(&mut self, percent: u64) -> bool {
        self.now < self.faults_until && self.random.percent(percent)
    }

    fn commit(&mut self, daemon: u64, epoch: Epoch) {
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

    fn front_moves(&mut self, daemon: u64, order: u64, open: Option<(SocketAddr, u64)>) {
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

    fn reach(&mut self, daemon: u64, server: Server, request: &Request) {
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

    fn report(&self, index: usize) -> dotcloud_local::failover::dialect::MemberReport {
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

    fn kill_called(&mut self, daemon: u64, server: Server) {
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

    // --- the reconciler

    fn look(&mut self) {
        let seats = self.members.iter().enumerate().map(|(index, member)| Seat {
            index: index as u32,
            addr: member.addr,
            incarnation: member.process.as_ref().map(|process| process.incarnation),
            paused: false,
            leaving: false,
        });
        let seats: Vec<Seat> = seats.collect();
        let delay = self.random.between(MS, 100 * MS);
        self.last_look = self.last_look.max(self.now + delay);
        let daemon = self.daemon;
        self.at(self.last_look, Thing::Tell(daemon, Event::Observed(seats)));
        self.soon(100 * MS, 800 * MS, Thing::Look);
    }

    fn start(&mut self, index: usize) {
        self.incarnations += 1;
        let listens_at = self.now + self.random.between(10, 200) * MS;
        self.members[index].process = Some(Process::boot(self.incarnations, listens_at));
        self.tell(format!("db.{index} starts as {}", self.incarnations));
        self.after(1, Thing::Look);
    }

    // --- servers

    fn find(&self, incarnation: u64) -> Option<usize> {
        let is = |member: &Member| member.process.as_ref().is_some_and(|process| process.incarnation == incarnation);
        self.members.iter().position(is)
    }

    fn process(&mut self, incarnation: u64) -> Option<&mut Process> {
        let index = self.find(incarnation)?;
        self.members[index].process.as_mut()
    }

    fn die(&mut self, index: usize, why: &str) {
        let Some(process) = self.members[index].process.take() else { return };
        self.tell(format!("db.{index} ({}) dies: {why}", process.incarnation));
        self.end_links(process.incarnation);
        let server = Server { index: index as u32, incarnation: process.incarnation };
        if !self.random.percent(15) {
            let daemon = self.daemon;
            self.soon(200, 20 * MS, Thing::Tell(daemon, Event::Died(server)));
        }
        self.soon(300 * MS, 1_500 * MS, Thing::Restart(index));
        self.after(1, Thing::Look);
    }

    /// Slaves see the end of their link after everything that was sent.
    fn end_links(&mut self, from: u64) {
        let linked = self.members.iter().filter_map(|member| member.process.as_ref());
        let linked = linked.filter(|process| process.link == Some(from));
        let ends: Vec<(u64, Micros)> = linked.map(|process| (process.incarnation, process.last_arrival)).collect();
        for (of, last_arrival) in ends {
            let delay = self.random.between(100, 2 * MS);
            self.at(last_arrival.max(self.now) + delay, Thing::LinkEnds { of, from });
        }
    }

    fn link_ends(&mut self, of: u64, from: u64) {
        let Some(process) = self.process(of).filter(|process| process.link == Some(from)) else { return };
        process.link = None;
        process.under_way = 0;
        self.soon(100 * MS, 1_000 * MS, Thing::Attach { of });
    }

    fn obey(&mut self, index: usize, change: RoleChange) {
        let now = self.now;
        let Some(process) = self.members[index].process.as_mut() else { return };
        let (incarnation, unread) = (process.incarnation, process.under_way);
        let promoted = change == RoleChange::Promote && !process.master;
        if process.obey(change, now) {
            self.end_links(incarnation);
        }
        if promoted && unread > 0 {
            self.break_promise(format!("db.{index} was promoted with {unread} writes unread"));
        }
        if let RoleChange::Follow(_) = change {
            self.soon(MS, 10 * MS, Thing::Attach { of: incarnation });
        }
    }

    fn attach(&mut self, of: u64) {
        let Some(process) = self.process(of) else { return };
        let (false, None, Some(upstream)) = (process.master, process.link, process.upstream) else { return };
        let now = self.now;
        let source = self.members.iter().find(|member| member.addr == upstream);
        let source = source.and_then(|member| member.process.as_ref());
        let source = source.filter(|p| p.master && !p.frozen && p.listens_at <= now && p.incarnation != of);
        let Some(from) = source.map(|source| source.incarnation) else {
            return self.soon(300 * MS, 1_000 * MS, Thing::Attach { of });
        };
        self.process(of).expect("it runs").copying = true;
        self.soon(5 * MS, 150 * MS, Thing::Copied { of, from });
    }

    fn copied(&mut self, of: u64, from: u64) {
        let source = self.find(from).map(|index| {
            let member = &self.members[index];
            let process = member.process.as_ref().expect("found");
            (member.addr, process.master, process.history, process.position, member.volume.data.clone())
        });
        let Some(index) = self.find(of) else { return };
        let member = &mut self.members[index];
        let process = member.process.as_mut().expect("found");
        process.copying = false;
        match source {
            Some((addr, true, history, position, data)) if process.upstream == Some(addr) && !process.master => {
                (process.history, process.position, process.was_linked) = (history, position, true);
                process.link = Some(from);
                (process.last_arrival, process.under_way) = (0, 0);
                member.volume.data = data;
            }
            _ => self.soon(100 * MS, 500 * MS, Thing::Attach { of }),
        }
    }

    fn thaw(&mut self, incarnation: u64) {
        let Some(index) = self.find(incarnation) else { return };
        let process = self.members[index].process.as_mut().expect("found");
        process.frozen = false;
        let backlog = std::mem::take(&mut process.backlog);
        self.tell(format!("db.{index} goes on"));
        backlog.into_iter().for_each(|change| self.obey(index, change));
    }

    // --- the client

    fn client_writes(&mut self) {
        let peace = self.now > self.faults_until;
        self.soon(MS, if peace { 200 } else { 10 } * MS, Thing::ClientWrites);
        let Some((addr, _)) = self.front else { return };
        let now = self.now;
        let index = self.members.iter().position(|member| member.addr == addr).expect("an address of ours");
        let member = &mut self.members[index];
        let Some(process) = member.process.as_mut() else { return };
        if process.frozen || !process.master || process.paused_until > now || process.listens_at > now {
            return;
        }
        self.next_write += 1;
        self.outcome.writes += 1;
        let write = self.next_write;
        member.volume.data.push(write);
        process.position += 1;
        process.writes += 1;
        let (from, cut) = (process.incarnation, member.cut_until);
        if self.disk.is_some_and(|epoch| epoch.master as usize != index) && !self.sabotage.no_disk {
            self.break_promise(format!("db.{index} accepted a write though the epoch on disk is {:?}", self.disk));
        }
        self.replicate(from, write, cut);
    }

    fn replicate(&mut self, from: u64, write: u32, cut: Micros) {
        let slow = if self.random.percent(25) { 60 * MS } else { 2 * MS };
        for index in 0..self.members.len() {
            let delay = self.random.between(100, slow);
            let now = self.now;
            let Some(process) = self.members[index].process.as_mut().filter(|p| p.link == Some(from)) else { continue };
            let held_up = cut > now;
            let at = (now + delay).max(cut).max(process.last_arrival);
            process.last_arrival = at;
            process.under_way += u32::from(!held_up);
            let to = process.incarnation;
            self.at(at, Thing::Arrive { to, from, write, held_up });
        }
    }

    fn arrive(&mut self, to: u64, from: u64, write: u32, held_up: bool) {
        let source = self.find(from);
        let Some(index) = self.find(to) else { return };
        let member = &mut self.members[index];
        let process = member.process.as_mut().filter(|process| process.link == Some(from));
        // What the network held up is lost with its sender.
        let Some(process) = process.filter(|_| !held_up || source.is_some()) else { return };
        process.under_way = process.under_way.saturating_sub(u32::from(!held_up));
        process.position += 1;
        member.volume.data.push(write);
        if source.is_some() {
            self.secured.insert(write);
        }
    }

    // --- misfortune

    fn fault(&mut self) {
        if self.now >= self.faults_until {
            return;
        }
        self.soon(50 * MS, 4_000 * MS, Thing::Fault);
        let any = self.random.next() as usize % self.members.len();
        let master = self.disk.map_or(0, |epoch| epoch.master as usize);
        let index = if self.random.percent(60) { master } else { any };
        match self.random.between(0, 99) {
            0..=29 => self.die(index, "fault"),
            30..=54 => self.freeze(index),
            55..=64 => self.restart_daemon(),
            65..=72 => {
                // Nothing but the cut follows for as long as it lasts.
                let until = self.now + self.random.between(10, 800) * MS;
                self.members[index].cut_until = until;
                self.tell(format!("db.{index} is cut off from its slaves"));
            }
            73..=80 => (0..self.members.len()).for_each(|index| self.die(index, "all at once")),
            81..=90 => self.drive(Event::SwitchoverAsked(Some(any as u32))),
            _ => self.drive(Event::RestartPlanned(index as u32)),
        }
    }

    fn freeze(&mut self, index: usize) {
        let Some(process) = self.members[index].process.as_mut() else { return };
        process.frozen = true;
        let incarnation = process.incarnation;
        self.tell(format!("db.{index} ({incarnation}) hangs"));
        self.soon(50 * MS, 5_000 * MS, Thing::Thaw(incarnation));
    }

    fn restart_daemon(&mut self) {
        self.tell("the daemon is killed".to_owned());
        self.start_daemon();
        self.last_look = self.now;
        self.after(1, Thing::Look);
    }

    // --- promises

    fn check_masters(&mut self) {
        let masters = self.members.iter().filter(|member| member.process.as_ref().is_some_and(|p| p.master)).count();
        if masters > 1 {
            self.break_promise(format!("{masters} members accept writes"));
        }
    }

    fn check_secured(&mut self, addr: SocketAddr) {
        let master = self.members.iter().find(|member| member.addr == addr).expect("an address of ours");
        let data: HashSet<u32> = master.volume.data.iter().copied().collect();
        let lost = self.secured.iter().filter(|write| !data.contains(write)).count();
        if lost > 0 {
            self.break_promise(format!("{lost} writes that a slave had are not on {addr}"));
        }
    }

    fn check_peace(&mut self) {
        let Some(status) = self.group.as_ref().map(Group::status) else { return };
        if self.outcome.broken.is_some() {
            return;
        }
        let masters = self.members.iter().filter(|member| member.process.as_ref().is_some_and(|p| p.master)).count();
        let open = self.front.is_some();
        if !(status.settled && masters == 1 && open) {
            self.break_promise(format!("no peace: {masters} masters, open {open}, {status:#?}"));
        }
    }
}
