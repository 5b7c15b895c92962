//! Simulated servers: as much of them as a failover can notice.
//!
//! A member is a volume and, at times, a process. Writes are numbers; a volume holds all of its
//! data in order. Deliveries take time, and those under way when a master dies still arrive.

use std::collections::VecDeque;
use std::net::SocketAddr;

use dotcloud_local::failover::dialect::{MemberReport, RoleChange};

pub type Micros = u64;

/// How the servers replicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// As Redis: acknowledged at once, and who follows becomes a copy first.
    Copying,
    /// As MySQL without waiting: acknowledged at once; who follows goes on from where it is, and
    /// who has what the master lacks has to be copied by somebody else.
    Logged,
    /// The same, but while it is guarded a write is acknowledged when a slave has it.
    Guarded,
    /// As `Copying`, behind a front that passes acknowledgements on when a slave has the write.
    Fronted,
}

impl Model {
    /// Who follows becomes a copy first, and counts its positions from there.
    pub fn copies(self) -> bool {
        matches!(self, Self::Copying | Self::Fronted)
    }

    /// Nothing that was acknowledged may ever be lost.
    pub fn waits(self) -> bool {
        matches!(self, Self::Guarded | Self::Fronted)
    }
}

/// What survives the process.
#[derive(Default)]
pub struct Volume {
    pub data: Vec<u32>,
    /// A complete copy that the next start takes over.
    pub copied: Option<Vec<u32>>,
}

/// A write that a client has sent, and the session it came by.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub write: u32,
    pub session: u64,
    /// Under which the front was opened.
    pub epoch: u64,
}

/// What reached a process while it was frozen.
pub enum Unread {
    Change(RoleChange),
    Write(Sent),
    Acknowledged(u32),
}

/// One process of a member.
pub struct Process {
    pub incarnation: u64,
    pub model: Model,
    /// Does not listen before this.
    pub listens_at: Micros,
    pub frozen: bool,
    /// Was frozen or cut off at some time.
    pub disturbed: bool,
    /// Frozen by the container engine, which says so.
    pub paused: bool,
    pub backlog: Vec<Unread>,
    pub master: bool,
    /// Holds writes back: until then (`Copying`), or until it is told otherwise.
    pub held_until: Micros,
    pub guarded: bool,
    /// Not yet acknowledged: no slave is known to have them.
    pub waiting: VecDeque<Sent>,
    pub upstream: Option<SocketAddr>,
    /// The upstream's process, while the link is up.
    pub link: Option<u64>,
    pub broken: bool,
    pub copying: bool,
    pub was_linked: bool,
    pub history: u64,
    pub position: u64,
    pub writes: u64,
    /// When the last delivery to it arrives, so that the end of the link comes after it.
    pub last_arrival: Micros,
    /// Deliveries under way that the network has not held up.
    pub under_way: u32,
}

/// What else follows from a change of role.
#[derive(Default)]
pub struct Obeyed {
    pub ends_links: bool,
    /// Waited for a slave; acknowledged now.
    pub released: VecDeque<Sent>,
    pub refused: bool,
}

impl Process {
    /// As its container starts it: a slave of nobody.
    pub fn boot(incarnation: u64, model: Model, listens_at: Micros, volume: &Volume) -> Self {
        let position = if model.copies() { 0 } else { volume.data.len() as u64 };
        Self {
            incarnation,
            model,
            listens_at,
            frozen: false,
            disturbed: false,
            paused: false,
            backlog: Vec::new(),
            master: false,
            held_until: 0,
            guarded: false,
            waiting: VecDeque::new(),
            upstream: None,
            link: None,
            broken: false,
            copying: false,
            was_linked: false,
            history: incarnation * 1000,
            position,
            writes: 0,
            last_arrival: 0,
            under_way: 0,
        }
    }

    pub fn report(&self, volume: &Volume, now: Micros) -> MemberReport {
        let copies = self.model.copies();
        MemberReport {
            writable: self.master && (copies || self.held_until <= now),
            upstream: self.upstream.filter(|_| !self.master),
            link_up: self.link.is_some(),
            was_linked: self.was_linked,
            copying: self.copying.then_some(None),
            broken: self.broken.then(|| "it holds what the master lacks".to_owned()),
            guarded: (!copies).then_some(self.guarded),
            history: if copies { self.history.to_string() } else { "gtid".to_owned() },
            position: self.position,
            writes: self.writes,
            empty: volume.data.is_empty(),
            blank: volume.data.is_empty() && self.position == 0,
            ..MemberReport::default()
        }
    }

    /// Takes a change of role in.
    pub fn obey(&mut self, change: RoleChange, now: Micros) -> Obeyed {
        let mut obeyed = Obeyed::default();
        let copies = self.model.copies();
        match change {
            RoleChange::Promote => {
                if !self.master {
                    (self.link, self.upstream, self.copying, self.broken) = (None, None, false, false);
                    self.history += 1;
                }
                self.master = true;
                if !copies {
                    self.held_until = 0;
                    obeyed.released = self.unguard();
                }
            }
            // Making it read-only waits for the writes that wait.
            RoleChange::Follow(_) | RoleChange::PauseWrites if !copies && !self.waiting.is_empty() => {
                obeyed.refused = true;
            }
            RoleChange::Follow(upstream) if self.master || self.upstream != Some(upstream) => {
                self.waiting.clear();
                obeyed.ends_links = std::mem::take(&mut self.master);
                (self.held_until, self.guarded) = (0, false);
                (self.upstream, self.link, self.copying, self.broken) = (Some(upstream), None, false, false);
                self.was_linked &= copies;
            }
            RoleChange::PauseWrites => self.held_until = if copies { now + 2_000_000 } else { Micros::MAX },
            RoleChange::ResumeWrites => self.held_until = 0,
            RoleChange::Guard(true) => self.guarded = !copies,
            RoleChange::Guard(false) => obeyed.released = self.unguard(),
            RoleChange::Follow(_) | RoleChange::CopyFrom(_) => {}
        }
        obeyed
    }

    fn unguard(&mut self) -> VecDeque<Sent> {
        self.guarded = false;
        std::mem::take(&mut self.waiting)
    }

    /// A slave has everything up to this write.
    pub fn acknowledged(&mut self, write: u32) -> Vec<Sent> {
        let Some(last) = self.waiting.iter().position(|sent| sent.write == write) else { return Vec::new() };
        self.waiting.drain(..=last).collect()
    }
}
