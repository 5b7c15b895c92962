//! Simulated Redis servers: as much of them as a failover can notice.
//!
//! A member is a volume and, at times, a process. Writes are numbers; a process holds all of
//! its data in order. Replication is asynchronous: deliveries take time, and those under way
//! when a master dies still arrive.

use std::net::SocketAddr;

use dotcloud_local::failover::dialect::{MemberReport, RoleChange};

pub type Micros = u64;

/// What survives the process.
#[derive(Default)]
pub struct Volume {
    pub data: Vec<u32>,
}

/// One process of a member.
pub struct Process {
    pub incarnation: u64,
    /// Does not listen before this.
    pub listens_at: Micros,
    pub frozen: bool,
    /// Commands that reached it while it was frozen.
    pub backlog: Vec<RoleChange>,
    pub master: bool,
    pub paused_until: Micros,
    pub upstream: Option<SocketAddr>,
    /// The upstream's process, while the link is up.
    pub link: Option<u64>,
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

impl Process {
    /// As its container starts it: a slave of nobody.
    pub fn boot(incarnation: u64, listens_at: Micros) -> Self {
        Self {
            incarnation,
            listens_at,
            frozen: false,
            backlog: Vec::new(),
            master: false,
            paused_until: 0,
            upstream: None,
            link: None,
            copying: false,
            was_linked: false,
            history: incarnation * 1000,
            position: 0,
            writes: 0,
            last_arrival: 0,
            under_way: 0,
        }
    }

    pub fn report(&self, volume: &Volume) -> MemberReport {
        MemberReport {
            writable: self.master,
            upstream: self.upstream.filter(|_| !self.master),
            link_up: self.link.is_some(),
            was_linked: self.was_linked,
            copying: self.copying.then_some(None),
            history: self.history.to_string(),
            position: self.position,
            writes: self.writes,
            empty: volume.data.is_empty(),
            blank: volume.data.is_empty() && self.position == 0,
            ..MemberReport::default()
        }
    }

    /// Takes a change of role in; true when its own slaves lose their link.
    pub fn obey(&mut self, change: RoleChange, now: Micros) -> bool {
        match change {
            RoleChange::Promote if !self.master => {
                (self.master, self.link, self.copying) = (true, None, false);
                self.history += 1;
                false
            }
            RoleChange::Follow(upstream) if self.master || self.upstream != Some(upstream) => {
                let had = std::mem::take(&mut self.master);
                self.paused_until = 0;
                (self.upstream, self.link, self.copying) = (Some(upstream), None, false);
                had
            }
            RoleChange::PauseWrites => {
                self.paused_until = now + 2_000_000;
                false
            }
            RoleChange::ResumeWrites => {
                self.paused_until = 0;
                false
            }
            // Redis has no guard, and copies by following.
            RoleChange::Promote | RoleChange::Follow(_) | RoleChange::Guard(_) | RoleChange::CopyFrom(_) => false,
        }
    }
}
