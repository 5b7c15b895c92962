//! The machine's driver and the plan, on simulated servers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use dotcloud_local::failover::dialect::Motion;
use dotcloud_local::failover::{Action, Config, Electorate, Event, Miss, Moment, Seat, Server};
use dotcloud_local::model::Epoch;

use super::world::World;

/// Between two looks of the plan (ms).
const LOOK_EVERY: u64 = 200;

/// What happens at a moment.
enum Thing {
    Tell(Event),
    Asked(Server, Moment),
    Carried(Server, Motion),
}

pub struct Daemon {
    group: Electorate,
    random: fastrand::Rng,
    things: Vec<(u64, Thing)>,
    pub epoch: Option<Epoch>,
    /// Where the front leads: member and term.
    open: Option<(SocketAddr, u64)>,
    latest: u64,
    /// Something was asked of a member and not answered.
    asked: Option<(Server, Motion)>,
    pub switches: usize,
    /// Discards whoever is in excess, as if votes did not matter.
    pub careless: bool,
}

impl Daemon {
    pub fn new(random: fastrand::Rng, epoch: Option<Epoch>) -> Self {
        let group = Electorate::new(Config::new("db"));
        Self {
            group,
            random,
            things: Vec::new(),
            epoch,
            open: None,
            latest: 0,
            asked: None,
            switches: 0,
            careless: false,
        }
    }

    pub fn kill(&mut self, world: &mut World, index: u32) {
        let Some(incarnation) = world.nodes.get(&index).and_then(|node| node.incarnation) else { return };
        world.kill(index);
        let event = Event::Died(Server { index, incarnation });
        self.later(world.now, 10, 60, Thing::Tell(event));
    }

    pub fn restart(&mut self, index: u32) {
        self.things.push((0, Thing::Tell(Event::RestartPlanned(index))));
    }

    pub fn switch(&mut self, to: Option<u32>) {
        self.things.push((0, Thing::Tell(Event::SwitchoverAsked(to))));
    }

    fn later(&mut self, now: u64, low: u64, high: u64, thing: Thing) {
        let at = now + self.random.u64(low..=high);
        self.things.push((at, thing));
    }

    pub fn step(&mut self, world: &mut World) {
        if world.now.is_multiple_of(LOOK_EVERY) {
            self.plan(world);
            let addresses = world.nodes.keys().map(|index| (*index, outside(*index))).collect();
            self.tell(world, Event::Advertised(addresses));
            let seats = seats(world);
            self.tell(world, Event::Observed(seats));
        }
        let now = world.now;
        let (due, later) = std::mem::take(&mut self.things).into_iter().partition(|(at, _)| *at <= now);
        self.things = later;
        let due: Vec<(u64, Thing)> = due;
        for (_, thing) in due {
            self.happen(world, thing);
        }
        if self.group.next_timeout().0 <= Duration::from_millis(now) {
            self.tell(world, Event::Ticked);
        }
    }

    fn happen(&mut self, world: &mut World, thing: Thing) {
        match thing {
            Thing::Tell(event) => self.tell(world, event),
            Thing::Asked(server, asked) => {
                if !runs(world, server) {
                    return;
                }
                if world.paused(server.index) {
                    let missed = Event::Missed(server, Miss::Silent { busy: false });
                    return self.later(world.now, 1000, 1000, Thing::Tell(missed));
                }
                let report = world.report(server.index);
                self.later(world.now, 1, 30, Thing::Tell(Event::Reported { server, asked, report }));
            }
            Thing::Carried(server, motion) => self.carry(world, server, motion),
        }
    }

    /// One answer in ten gets lost, whatever became of what was asked.
    fn carry(&mut self, world: &mut World, server: Server, motion: Motion) {
        if !runs(world, server) {
            self.asked = None;
            return;
        }
        let lost = || Err("no answer in time".to_owned());
        let (result, after) = match () {
            () if world.paused(server.index) => (lost(), 5000),
            () if self.random.u32(..10) == 0 => (world.carry(server.index, &motion).and(lost()), 5000),
            () => (world.carry(server.index, &motion), 20),
        };
        self.later(world.now, after, after, Thing::Tell(Event::Carried { server, motion, result }));
    }

    fn tell(&mut self, world: &mut World, event: Event) {
        if let Event::Carried { .. } = event {
            self.asked = None;
        }
        let now = Moment(Duration::from_millis(world.now));
        for action in self.group.handle(now, event) {
            self.perform(world, action);
        }
    }

    fn perform(&mut self, world: &mut World, action: Action) {
        let now = world.now;
        match action {
            Action::Load => self.later(now, 1, 20, Thing::Tell(Event::Loaded(Ok(self.epoch)))),
            Action::Commit(epoch) => {
                self.epoch = Some(epoch);
                self.later(now, 1, 20, Thing::Tell(Event::Committed(epoch, Ok(()))));
            }
            Action::Gate { order } | Action::Refuse { order, .. } => {
                self.open = None;
                self.later(now, 1, 20, Thing::Tell(Event::FrontMoved(order)));
            }
            Action::Open { order, master, epoch, .. } => {
                self.switches += 1;
                if self.latest > epoch {
                    world.breaks(format!("the front goes back from term {} to {epoch}", self.latest));
                }
                self.latest = epoch;
                world.tell(format!("the front leads to {master} in term {epoch}"));
                self.open = Some((master, epoch));
                self.later(now, 1, 20, Thing::Tell(Event::FrontMoved(order)));
            }
            Action::Ask { server, asked } => self.later(now, 1, 30, Thing::Asked(server, asked)),
            Action::Carry { server, motion } => {
                let asked = self.asked.replace((server, motion.clone()));
                if let Some((_, other)) = asked.filter(|(server, _)| runs(world, *server)) {
                    world.breaks(format!("{motion:?} is asked while {other:?} is not answered"));
                }
                self.later(now, 1, 40, Thing::Carried(server, motion));
            }
            // Now and then it cannot be stopped.
            Action::ReleaseRestart(index) if self.random.u32(..100) < 20 => {
                self.later(now, 1, 500, Thing::Tell(Event::RestartWithdrawn(index)));
            }
            Action::ReleaseRestart(index) => {
                self.kill(world, index);
                world.tell(format!("{index} is restarted on purpose"));
            }
            Action::Note(text) => world.tell(format!("note: {text}")),
            Action::Record(_) | Action::AnswerSwitchover(_) => {}
            Action::Kill(_) | Action::Ping(_) | Action::Command { .. } | Action::Vouch { .. } => {
                world.breaks(format!("{action:?} is nothing for a group that elects by itself"));
            }
        }
    }

    /// What `plan` does: members come, dead ones start again, those in excess go when nothing holds them.
    fn plan(&mut self, world: &mut World) {
        let status = self.group.status();
        let master = status.epoch.map(|epoch| epoch.master);
        let excess: Vec<u32> = world.nodes.keys().copied().filter(|index| *index >= world.wanted).collect();
        for index in excess.iter().copied() {
            let free = status.settled && !status.bound.contains(&index);
            if master != Some(index) && (free || self.careless) {
                if let Some(incarnation) = world.nodes[&index].incarnation {
                    self.things.push((world.now, Thing::Tell(Event::Died(Server { index, incarnation }))));
                }
                world.discard(index);
            }
        }
        for index in (0..world.wanted).chain(excess) {
            let kept = index < world.wanted || world.nodes.contains_key(&index);
            let down =
                world.nodes.get(&index).is_none_or(|node| node.incarnation.is_none() && world.now - node.died >= 300);
            if kept && down {
                world.start(index);
            }
        }
    }

    /// One primary that the front leads to, and everybody in step.
    pub fn is_well(&self, world: &World) -> Result<(), String> {
        let status = self.group.status();
        let reason = || format!("phase {}, reason {:?}, {status:?}", status.phase, status.reason);
        let (index, node) = world.primary().ok_or_else(|| format!("nobody is primary: {}", reason()))?;
        if self.open != Some((inside(index), node.term())) {
            return Err(format!("{index} is primary and the front leads to {:?}: {}", self.open, reason()));
        }
        let all: Vec<u32> = (0..world.wanted).collect();
        let mut voters = node.voters();
        voters.sort_unstable();
        if voters != all || world.nodes.keys().copied().ne(all.iter().copied()) {
            return Err(format!("{voters:?} vote, {:?} are there: {}", world.nodes.keys(), reason()));
        }
        if !status.settled || !world.nodes.values().all(super::world::Node::is_in_step) {
            return Err(format!("not everybody is in step: {}", reason()));
        }
        Ok(())
    }
}

fn runs(world: &World, server: Server) -> bool {
    world.nodes.get(&server.index).is_some_and(|node| node.incarnation == Some(server.incarnation))
}

fn seats(world: &World) -> Vec<Seat> {
    let seat = |index: u32| Seat {
        index,
        addr: world.nodes.contains_key(&index).then(|| inside(index)),
        incarnation: world.nodes.get(&index).and_then(|node| node.incarnation),
        paused: world.paused(index),
        leaving: index >= world.wanted,
    };
    let listed: BTreeSet<u32> = world.nodes.keys().copied().chain(0..world.wanted).collect();
    listed.into_iter().map(seat).collect()
}

fn inside(index: u32) -> SocketAddr {
    SocketAddr::from(([172, 18, 0, 10 + u8::try_from(index).unwrap()], 27017))
}

fn outside(index: u32) -> SocketAddr {
    SocketAddr::from(([10, 201, 7, 1], 21000 + u16::try_from(index).unwrap()))
}
