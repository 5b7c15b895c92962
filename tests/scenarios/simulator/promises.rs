//! The promises, and how a broken one ends the run.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use dotcloud_local::failover::{Group, Server};
use dotcloud_local::model::{Epoch, SyncState};

use super::{Simulator, Writes};
use crate::servers::{Model, Sent};

/// What holds at every moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Never two members that accept writes, and one member only per epoch.
    OneMaster,
    /// Nobody accepts a write after a newer master did, or against the disk.
    OldMaster,
    /// Nobody is promoted before it has read what its master sent.
    Drained,
    /// Guarded or fronted: no acknowledged write is ever missing on an open master. Otherwise only such may
    /// be missing as the last master took after the machine last heard it and as no slave has
    /// that was there all the time.
    Acknowledged,
    /// Epochs grow, and nobody is opened under one that is not on the disk.
    Epochs,
    /// Once the faults stop, exactly one master is open and guarded if it should be; or the group
    /// is stalled, says why, and a master's data was lost.
    Peace,
}

#[derive(Debug, Clone)]
pub struct Broken {
    pub promise: Promise,
    pub how: String,
}

/// What clients were told, and what of it no longer has to be kept.
#[derive(Default)]
pub struct Ledger {
    /// Write -> who acknowledged it, and where it stands there.
    acknowledged: BTreeMap<u32, (u64, u64)>,
    /// Epoch -> who accepted writes under it.
    accepted: BTreeMap<u64, usize>,
    opened: Option<(u64, usize)>,
    /// The process that was opened last.
    reigning: u64,
    /// What this daemon has heard of each process that was a master: its position.
    heard: HashMap<u64, u64>,
    /// Whether somebody had to give data up: a master's volume was lost.
    pub bereft: bool,
}

impl Ledger {
    pub fn heard(&mut self, server: Server, position: u64) {
        let known = self.heard.entry(server.incarnation).or_default();
        *known = position.max(*known);
    }

    /// A new daemon has heard nothing.
    pub fn forget_heard(&mut self) {
        self.heard.clear();
    }

    /// What is nowhere but here need not be kept.
    pub fn forgive(&mut self) {
        self.acknowledged.clear();
    }
}

impl Simulator {
    pub(super) fn break_promise(&mut self, promise: Promise, how: String) {
        self.tell(format!("BROKEN {promise:?}: {how}"));
        self.outcome.broken.get_or_insert(Broken { promise, how });
    }

    pub(super) fn promise(&mut self, write: u32, index: usize, position: u64) {
        let by = self.members[index].process.as_ref().map_or(0, |process| process.incarnation);
        self.promises.acknowledged.insert(write, (by, position));
    }

    fn masters(&self) -> usize {
        let processes = self.members.iter().filter_map(|member| member.process.as_ref());
        let writable = processes.filter(|p| p.master && (self.model.copies() || p.held_until <= self.now));
        writable.count()
    }

    pub(super) fn check_masters(&mut self) {
        let masters = self.masters();
        if masters > 1 {
            self.break_promise(Promise::OneMaster, format!("{masters} members accept writes"));
        }
    }

    pub(super) fn check_promoted(&mut self, index: usize, unread: u32) {
        if unread > 0 {
            self.break_promise(Promise::Drained, format!("db.{index} was promoted with {unread} writes unread"));
        }
    }

    pub(super) fn check_accepted(&mut self, index: usize, sent: Sent) {
        let by = *self.promises.accepted.entry(sent.epoch).or_insert(index);
        if by != index {
            let how = format!("db.{by} and db.{index} accepted writes under epoch {}", sent.epoch);
            self.break_promise(Promise::OneMaster, how);
        }
        let newest = self.promises.accepted.keys().next_back().copied().unwrap_or_default();
        if newest > sent.epoch {
            let how = format!("db.{index} accepted a write under epoch {} after one under {newest}", sent.epoch);
            self.break_promise(Promise::OldMaster, how);
        }
        let disk = self.known_epoch();
        if disk.is_none_or(|epoch| epoch.master as usize != index) {
            self.break_promise(
                Promise::OldMaster,
                format!("db.{index} accepted a write though the disk says {disk:?}"),
            );
        }
    }

    pub(super) fn check_epoch(&mut self, epoch: Epoch) {
        if let Some(old) = self.disk
            && (epoch.number < old.number || (epoch.number == old.number && epoch.master != old.master))
        {
            self.break_promise(Promise::Epochs, format!("{epoch:?} was written over {old:?}"));
        }
    }

    pub(super) fn check_opened(&mut self, addr: SocketAddr, epoch: u64) {
        let index = self.index_of(addr);
        if let Some((newest, by)) = self.promises.opened
            && (epoch < newest || (epoch == newest && by != index))
        {
            let how = format!("db.{index} was opened under epoch {epoch} after db.{by} under {newest}");
            self.break_promise(Promise::Epochs, how);
        }
        if self.known_epoch().is_none_or(|disk| epoch > disk.number) {
            self.break_promise(Promise::Epochs, format!("opened under epoch {epoch}, which is not on disk"));
        }
        self.promises.opened = Some((epoch, index));
        self.check_acknowledged(index);
        self.promises.reigning = self.members[index].process.as_ref().map_or(0, |process| process.incarnation);
    }

    fn check_acknowledged(&mut self, index: usize) {
        let data: Writes = self.members[index].volume.data.iter().copied().collect();
        let missing = self.promises.acknowledged.iter().filter(|(write, _)| !data.contains(write));
        let missing: Vec<(u32, u64, u64)> = missing.map(|(write, (by, at))| (*write, *by, *at)).collect();
        let unforgivable = missing.iter().find(|(write, by, at)| !self.forgivable(index, *write, *by, *at));
        if let Some((write, by, at)) = unforgivable {
            let heard = self.promises.heard.get(by).copied();
            let how = format!(
                "{} acknowledged writes are not on db.{index}, such as {write}, which {by} had at {at}; heard at {heard:?}",
                missing.len()
            );
            self.break_promise(Promise::Acknowledged, how);
        }
        self.promises.acknowledged.retain(|write, _| data.contains(write));
    }

    /// Whether an asynchronous group could not know of it.
    fn forgivable(&self, index: usize, write: u32, by: u64, at: u64) -> bool {
        let heard = self.promises.heard.get(&by).copied().unwrap_or_default();
        let held = self.members.iter().enumerate().any(|(other, member)| {
            let there = |p: &crate::servers::Process| p.link.is_none() && p.was_linked && !p.disturbed && !p.master;
            other != index
                && member.wanted
                && member.process.as_ref().is_some_and(there)
                && member.volume.data.contains(&write)
        });
        !self.model.waits() && by == self.promises.reigning && at > heard && !held
    }

    pub(super) fn check_peace(&mut self) {
        if let Some(how) = self.unrest() {
            self.break_promise(Promise::Peace, how);
        }
    }

    /// What is not as it should be in the end.
    pub fn unrest(&self) -> Option<String> {
        let status = self.group.as_ref().map(Group::status)?;
        let stalled = status.phase == "stalled" && status.reason.is_some();
        if self.outcome.broken.is_some() || (self.promises.bereft && stalled) {
            return None;
        }
        let masters = self.masters();
        let open = self.front.is_some();
        let present = self.members.iter().filter(|member| member.present).count();
        let mut processes = self.members.iter().filter_map(|member| member.process.as_ref());
        let guarded = match self.model {
            Model::Guarded => processes.any(|p| p.master && p.guarded),
            Model::Fronted => self.front.is_some_and(|open| open.acks > 0),
            Model::Copying | Model::Logged => true,
        } || present < 2;
        let level = status.members.iter().all(|member| member.sync == SyncState::Synchronized);
        let well = status.settled && masters == 1 && open && guarded && level;
        (!well).then(|| format!("{masters} masters, open {open}, guarded {guarded}, {status:#?}"))
    }
}
