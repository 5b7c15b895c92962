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
mod replication;
mod story;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;

use dotcloud_local::failover::dialect::RoleChange;
use dotcloud_local::failover::{Event, Group, Moment, Server};
use dotcloud_local::model::{Epoch, Vouched};

use crate::servers::{Micros, Model, Process, Volume};
use misfortune::Trap;
pub use promises::{Broken, Promise};
use random::Random;

pub const MS: Micros = 1000;

/// Parts that are taken out, to see that it is noticed. The surroundings lie; the machine is the
/// product's.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sabotage {
    /// Kills do nothing and are reported as deaths.
    pub no_fence: bool,
    /// Slaves say that their link is down before they have read everything.
    pub no_drain: bool,
    /// Commits are acknowledged, and forgotten with the daemon; the first one is kept.
    pub no_disk: bool,
    /// The disk keeps saying that a slave is in step.
    pub no_doubt: bool,
}

/// How a run ended.
#[derive(Default)]
pub struct Outcome {
    pub broken: Option<Broken>,
    pub failovers: u32,
    pub writes: u32,
    pub edges: BTreeSet<(String, String)>,
    /// What the machine noted, as the log has it.
    pub notes: Vec<String>,
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
    Front(u64, u64, Option<Opening>),
    Commit(u64, Epoch),
    Vouch(u64, u64, Option<SocketAddr>),
    Look,
    ClientWrites,
    Arrive {
        to: u64,
        from: u64,
        write: u32,
        held_up: bool,
    },
    /// A slave's word that it has everything up to this write.
    Acknowledge {
        to: u64,
        write: u32,
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
    /// The driver's own copy of one member is complete.
    Duplicated {
        daemon: u64,
        server: Server,
        from: SocketAddr,
        source: Option<u64>,
    },
    Restart(usize),
    /// A member whose pod and server were removed is made anew.
    Remake(usize),
    Thaw(u64),
    Fault,
    Sprung(Trap),
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
    /// Deliveries to it are held up.
    cut_until: Micros,
    /// Wanted in the group; one that is not is removed once it is not the master.
    wanted: bool,
    /// Has containers.
    present: bool,
}

/// To whom the front is opened, under which epoch, and how many slaves it asks.
type Opening = (SocketAddr, u64, u32);

/// The front, as one daemon opened it.
#[derive(Clone, Copy)]
struct Open {
    addr: SocketAddr,
    epoch: u64,
    /// How many slaves it waits for.
    acks: u32,
    /// Clients of an earlier one were cut off.
    session: u64,
}

pub struct Simulator {
    random: Random,
    sabotage: Sabotage,
    model: Model,
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
    front: Option<Open>,
    front_free: Micros,
    sessions: u64,
    disk: Option<Epoch>,
    /// For whose slaves the disk vouches.
    vouched: Option<Vouched>,
    /// What a daemon that must not touch the disk believes to have written there.
    remembered: Option<Epoch>,
    full_until: Micros,
    next_write: u32,
    promises: promises::Ledger,
    traps: Vec<Trap>,
    faults_until: Micros,
    pub outcome: Outcome,
}

impl Simulator {
    /// Runs 15 s of misfortune, and at most 30 s of peace until all is well again.
    pub fn run(seed: u64, model: Model, sabotage: Sabotage) -> Outcome {
        let mut random = Random(seed);
        let count = random.between(1, 4).max(2) as usize;
        let mut simulator = Self::new(random, model, count, sabotage);
        simulator.faults_until = 15_000 * MS;
        simulator.after(3_000 * MS, Thing::Fault);
        let end = simulator.faults_until + 30_000 * MS;
        let mut look = simulator.faults_until + 12_000 * MS;
        while simulator.outcome.broken.is_none() && simulator.now < end && simulator.advance() {
            if simulator.now >= look {
                look += 1_000 * MS;
                if simulator.unrest().is_none() {
                    break;
                }
            }
        }
        simulator.check_peace();
        simulator.outcome
    }

    fn new(random: Random, model: Model, count: usize, sabotage: Sabotage) -> Self {
        let member = |index: usize| Member {
            addr: SocketAddr::from(([10, 0, 0, index as u8 + 1], 6379)),
            volume: Volume::default(),
            process: None,
            cut_until: 0,
            wanted: true,
            present: true,
        };
        let mut simulator = Self {
            random,
            sabotage,
            model,
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
            sessions: 0,
            disk: None,
            vouched: None,
            remembered: None,
            full_until: 0,
            next_write: 0,
            promises: promises::Ledger::default(),
            traps: Vec::new(),
            faults_until: 0,
            outcome: Outcome::default(),
        };
        (0..count).for_each(|index| simulator.start(index));
        simulator.start_daemon();
        simulator.after(0, Thing::Look);
        simulator.after(10 * MS, Thing::ClientWrites);
        simulator
    }

    // --- time

    /// Lets the next thing happen; false when nothing will.
    fn advance(&mut self) -> bool {
        let Some(Reverse((at, number))) = self.queue.pop() else { return false };
        self.now = at;
        let thing = self.things.remove(&number).expect("queued together");
        self.happen(thing);
        self.check_masters();
        true
    }

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
            Thing::Tell(daemon, event) => self.told(daemon, event),
            Thing::Reach(daemon, server, request) => self.reach(daemon, server, &request),
            Thing::Kill(daemon, server) => self.kill_called(daemon, server),
            Thing::Front(daemon, order, open) => self.front_moves(daemon, order, open),
            Thing::Commit(daemon, epoch) => self.commit(daemon, epoch),
            Thing::Vouch(daemon, epoch, upstream) => self.vouch(daemon, epoch, upstream),
            Thing::Look => self.look(),
            Thing::ClientWrites => self.client_writes(),
            Thing::Arrive { to, from, write, held_up } => self.arrive(to, from, write, held_up),
            Thing::Acknowledge { to, write } => self.acknowledge(to, write),
            Thing::LinkEnds { of, from } => self.link_ends(of, from),
            Thing::Attach { of } => self.attach(of),
            Thing::Copied { of, from } => self.copied(of, from),
            Thing::Duplicated { daemon, server, from, source } => self.duplicated(daemon, server, from, source),
            Thing::Restart(index) => self.restart(index),
            Thing::Remake(index) => self.remake(index),
            Thing::Thaw(incarnation) => self.thaw(incarnation),
            Thing::Fault => self.fault(),
            Thing::Sprung(trap) => self.sprung(trap),
        }
    }
}

/// A set that is asked often.
type Writes = HashSet<u32>;
