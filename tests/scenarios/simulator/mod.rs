//! One group, its daemon, its clients and their misfortunes in virtual time.
//!
//! Everything random comes from the seed. After every event the promises are checked; the
//! first broken one ends the run.

mod client;
mod daemon;
mod members;
mod misfortune;
mod promises;
mod random;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;

use dotcloud_local::failover::dialect::RoleChange;
use dotcloud_local::failover::{Event, Group, Moment, Phase, Server};
use dotcloud_local::model::Epoch;

use crate::servers::{Micros, Process, Volume};
use random::Random;

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
}
