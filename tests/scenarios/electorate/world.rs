//! Servers of a group that elects by itself, honest and small.
//!
//! A member is elected by a majority of the voters of its own configuration, if it has what each
//! of them has and none of them knows a newer configuration. What a majority has was acknowledged
//! and must never be missing from a primary.

mod requests;

use std::collections::BTreeMap;

use dotcloud_local::failover::dialect::{SetConfig, Standpoint};

/// One step of time (ms).
pub const STEP: u64 = 20;
const ELECTION_TIMEOUT: u64 = 1500;
const COPY_TIME: u64 = 800;

/// The term of the last write and how many there were: the longer history of a later term wins.
pub type Log = (u64, u64);

pub struct Node {
    pub incarnation: Option<u64>,
    pub died: u64,
    paused_until: u64,
    cut_until: u64,
    config: Option<SetConfig>,
    term: u64,
    log: Log,
    /// How much of its first copy is still to come (ms).
    copy_left: u64,
    state: Standpoint,
    /// For how long it has heard of no primary.
    quiet: u64,
    frozen_until: u64,
}

pub struct World {
    pub now: u64,
    pub nodes: BTreeMap<u32, Node>,
    pub wanted: u32,
    pub broken: Option<String>,
    pub story: Vec<String>,
    pub changes: usize,
    incarnations: u64,
    furnished: bool,
    acknowledged: Log,
}

impl World {
    pub fn new(wanted: u32) -> Self {
        Self {
            now: 0,
            nodes: BTreeMap::new(),
            wanted,
            broken: None,
            story: Vec::new(),
            changes: 0,
            incarnations: 0,
            furnished: false,
            acknowledged: (0, 0),
        }
    }

    pub fn tell(&mut self, text: String) {
        if self.story.len() > 300 {
            self.story.remove(0);
        }
        self.story.push(format!("{:>6} {text}", self.now));
    }

    pub fn breaks(&mut self, text: String) {
        self.tell(text.clone());
        self.broken.get_or_insert(text);
    }

    // --- existence

    pub fn start(&mut self, index: u32) {
        self.incarnations += 1;
        let incarnation = Some(self.incarnations);
        let node = self.nodes.entry(index).or_insert_with(Node::new);
        node.incarnation = incarnation;
        (node.paused_until, node.quiet, node.frozen_until) = (0, 0, 0);
        node.state = node.resting();
        self.tell(format!("{index} starts"));
    }

    pub fn kill(&mut self, index: u32) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(&index) {
            (node.incarnation, node.died) = (None, now);
            self.tell(format!("{index} dies"));
        }
    }

    pub fn pause(&mut self, index: u32, until: u64) {
        if let Some(node) = self.nodes.get_mut(&index) {
            node.paused_until = until;
            self.tell(format!("{index} is paused until {until}"));
        }
    }

    pub fn cut(&mut self, index: u32, until: u64) {
        if let Some(node) = self.nodes.get_mut(&index) {
            node.cut_until = until;
            self.tell(format!("{index} hears no other member until {until}"));
        }
    }

    pub fn discard(&mut self, index: u32) {
        let votes = |config: &SetConfig| config.member(index).is_some_and(|member| member.votes);
        if self.primary().and_then(|(_, node)| node.config.as_ref()).is_some_and(votes) {
            self.breaks(format!("{index} is discarded and still has a vote"));
        }
        self.nodes.remove(&index);
        self.tell(format!("{index} is discarded"));
    }

    pub fn heal(&mut self) {
        for node in self.nodes.values_mut() {
            (node.paused_until, node.cut_until) = (0, 0);
        }
        self.tell("everything is healed".to_owned());
    }

    pub fn paused(&self, index: u32) -> bool {
        self.nodes.get(&index).is_some_and(|node| node.paused_until > self.now)
    }

    fn acts(&self, index: u32) -> bool {
        self.nodes.get(&index).is_some_and(|node| node.incarnation.is_some()) && !self.paused(index)
    }

    /// Whom a member hears, itself included.
    fn circle(&self, index: u32) -> Vec<u32> {
        let cut = |node: &Node| node.cut_until > self.now;
        if self.nodes.get(&index).is_none_or(cut) {
            return vec![index];
        }
        self.nodes.iter().filter(|(other, node)| self.acts(**other) && !cut(node)).map(|(other, _)| *other).collect()
    }

    /// The primary of the latest term.
    pub fn primary(&self) -> Option<(u32, &Node)> {
        let primaries =
            self.nodes.iter().filter(|(_, node)| node.state == Standpoint::Primary && node.incarnation.is_some());
        primaries.map(|(index, node)| (*index, node)).max_by_key(|(_, node)| node.term)
    }

    // --- time

    pub fn step(&mut self, random: &mut fastrand::Rng) {
        self.now += STEP;
        let acting: Vec<u32> = self.nodes.keys().copied().filter(|index| self.acts(*index)).collect();
        for index in acting {
            self.hear(index);
            match self.nodes[&index].state {
                Standpoint::Primary => self.reign(index),
                Standpoint::Secondary | Standpoint::Synchronizing => self.follow(index, random.u32(..100) < 80),
                Standpoint::Unfounded | Standpoint::Starting | Standpoint::Removed => {}
            }
        }
        self.acknowledge();
    }

    /// Heartbeats: the newest configuration and the latest term of the circle.
    fn hear(&mut self, index: u32) {
        let circle = self.circle(index);
        let configs = circle.iter().filter_map(|other| self.nodes[other].config.as_ref());
        let own = self.nodes[&index].config.as_ref().map_or(0, |config| config.version);
        let newest = configs.max_by_key(|config| config.version).filter(|config| config.version > own).cloned();
        let term = circle.iter().map(|other| self.nodes[other].term).max().unwrap_or_default();
        let Some(node) = self.nodes.get_mut(&index) else { return };
        if let Some(config) = newest.filter(|config| node.config.is_some() || config.member(index).is_some()) {
            let named = config.member(index).is_some();
            node.config = Some(config);
            match node.state {
                _ if !named => node.state = Standpoint::Removed,
                Standpoint::Unfounded | Standpoint::Removed => node.state = node.resting(),
                _ => {}
            }
        }
        if node.config.is_some() && term > node.term {
            node.term = term;
            if node.state == Standpoint::Primary {
                node.state = Standpoint::Secondary;
                self.tell(format!("{index} hears of term {term} and steps down"));
            }
        }
    }

    fn reign(&mut self, index: u32) {
        let node = &self.nodes[&index];
        let Some(config) = node.config.clone() else { return };
        let there = self.voters_there(index, &config).len() >= config.majority();
        let Some(node) = self.nodes.get_mut(&index) else { return };
        node.quiet = if there { 0 } else { node.quiet + STEP };
        node.log = (node.term, node.log.1 + 1);
        if node.quiet > ELECTION_TIMEOUT {
            (node.state, node.quiet) = (Standpoint::Secondary, 0);
            self.tell(format!("{index} hears no majority and steps down"));
        }
    }

    fn voters_there(&self, index: u32, config: &SetConfig) -> Vec<u32> {
        let circle = self.circle(index);
        let able = |id: &u32| {
            let node = &self.nodes[id];
            matches!(node.state, Standpoint::Primary | Standpoint::Secondary)
        };
        config.voters().map(|voter| voter.id).filter(|id| circle.contains(id)).filter(able).collect()
    }

    fn follow(&mut self, index: u32, receives: bool) {
        let leader = self
            .primary()
            .filter(|(other, node)| self.circle(index).contains(other) && node.term >= self.nodes[&index].term);
        let Some((_, leader)) = leader else { return self.stand(index) };
        let log = leader.log;
        let Some(node) = self.nodes.get_mut(&index) else { return };
        node.quiet = 0;
        if node.state == Standpoint::Synchronizing {
            node.copy_left = node.copy_left.saturating_sub(STEP);
            if node.copy_left == 0 {
                (node.state, node.log) = (Standpoint::Secondary, log);
            }
        } else if receives {
            node.log = log;
        }
    }

    /// Whoever has heard of no primary for long enough asks the others for their votes.
    fn stand(&mut self, index: u32) {
        let Some(node) = self.nodes.get_mut(&index) else { return };
        node.quiet += STEP;
        let patient = node.quiet < ELECTION_TIMEOUT + 100 * u64::from(index);
        let (log, term) = (node.log, node.term + 1);
        let Some(config) = node.config.clone() else { return };
        let votes = config.member(index).is_some_and(|member| member.votes);
        if patient || !votes || node.state != Standpoint::Secondary || node.frozen_until > self.now {
            return;
        }
        let grants = |id: &u32| {
            let voter = &self.nodes[id];
            voter.log <= log
                && voter.term < term
                && voter.config.as_ref().is_none_or(|known| known.version <= config.version)
        };
        let granted: Vec<u32> = self.voters_there(index, &config).into_iter().filter(grants).collect();
        if granted.len() < config.majority() {
            return;
        }
        for id in granted {
            if let Some(voter) = self.nodes.get_mut(&id) {
                voter.term = term;
                // One that was cut off, and has not heard yet that there was a later election.
                if voter.state == Standpoint::Primary {
                    voter.state = Standpoint::Secondary;
                }
            }
        }
        if let Some(node) = self.nodes.get_mut(&index) {
            (node.state, node.quiet) = (Standpoint::Primary, 0);
        }
        self.tell(format!("{index} is elected in term {term}"));
        if log < self.acknowledged {
            self.breaks(format!(
                "{index} is elected at {log:?} and lacks what was acknowledged, {:?}",
                self.acknowledged
            ));
        }
    }

    /// What a majority has of the latest primary's writes is acknowledged.
    fn acknowledge(&mut self) {
        let Some((index, primary)) = self.primary().filter(|(index, _)| self.acts(*index)) else { return };
        let Some(config) = &primary.config else { return };
        let mut logs: Vec<Log> = self.voters_there(index, config).iter().map(|id| self.nodes[id].log).collect();
        logs.sort_unstable();
        logs.reverse();
        // Only writes of its own term tell that nobody else can still undo them.
        if let Some(log) = logs.get(config.majority() - 1).filter(|log| log.0 == primary.term) {
            self.acknowledged = self.acknowledged.max(*log);
        }
    }
}

impl Node {
    fn new() -> Self {
        Self {
            incarnation: None,
            died: 0,
            paused_until: 0,
            cut_until: 0,
            config: None,
            term: 0,
            log: (0, 0),
            copy_left: COPY_TIME,
            state: Standpoint::Unfounded,
            quiet: 0,
            frozen_until: 0,
        }
    }

    /// What it is when it has heard nothing yet.
    fn resting(&self) -> Standpoint {
        match self.config {
            None => Standpoint::Unfounded,
            Some(_) if self.copy_left > 0 => Standpoint::Synchronizing,
            Some(_) => Standpoint::Secondary,
        }
    }

    pub fn is_in_step(&self) -> bool {
        matches!(self.state, Standpoint::Primary | Standpoint::Secondary)
    }

    pub fn voters(&self) -> Vec<u32> {
        self.config.iter().flat_map(SetConfig::voters).map(|voter| voter.id).collect()
    }

    pub fn term(&self) -> u64 {
        self.term
    }
}
