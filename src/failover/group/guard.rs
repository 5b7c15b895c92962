//! Writes wait for a slave while there is one, and a member that following does not help becomes
//! a copy of the master.
//!
//! Where the server cannot wait by itself (Redis), the front does: it passes the reply to a write
//! on when the server says that so many slaves have it. That, together with the election, is why
//! no acknowledged write is lost with the master:
//!
//! - A slave's acknowledgement is a position of its own. It covers everything the master wrote
//!   before, because a slave receives one stream in one order.
//! - The gate comes first: no reply is passed on after it. The old master's process is dead
//!   before anybody's position is asked for, so that positions no longer grow when they are
//!   compared, but for what is still being read (the drain).
//! - The slave that acknowledged is fit: it follows the old master, in its history, and has at
//!   least what the master was last seen to have or is named with the reason why not. The
//!   election takes the furthest of the fit ones, which is at least as far.
//! - The election waits longer for slaves that were in step and have not spoken yet, because the
//!   acknowledging one may be among them (`Group::awaits_voice`).
//!
//! While the wait is lifted, which `info` calls degraded, nobody succeeds the master: its restart is
//! waited for, as it is where the slave that may have acknowledged fails together with it.

use crate::failover::dialect::RoleChange;
use crate::failover::edges::Phase::{Repointing, Steady, Suspect};
use crate::failover::event::{Moment, Server};
use crate::failover::kinship;

use super::Group;
use super::member::Member;

impl Group {
    /// Tells the open master whether its writes are to wait.
    pub(super) fn guard(&mut self) {
        if self.config.guards_at_front {
            return self.guard_at_front();
        }
        let Some(reign) = self.reign.as_ref().filter(|_| matches!(self.phase, Steady | Suspect | Repointing)) else {
            return;
        };
        let (server, epoch) = (reign.server, reign.epoch);
        let Some(life) = self.members.life(server.index) else { return };
        let Some(guarded) = life.report.as_ref().filter(|report| report.writable).and_then(|r| r.guarded) else {
            return;
        };
        let wanted = self.config.synchronous && self.others().any(|member| self.guards(member, guarded));
        let able = wanted != guarded && life.server == server && life.free(self.now);
        // A write that no slave has is not to be taken for one that some slave has.
        if able && (wanted || self.unvouched(epoch)) {
            self.command(server, RoleChange::Guard(wanted));
        }
    }

    /// Tells the front when the number of slaves that a write waits for is another one.
    fn guard_at_front(&mut self) {
        let open = matches!(self.phase, Steady | Suspect | Repointing) && self.front.gated().is_none();
        let (Some(master), Some(epoch)) = (self.reign.as_ref().map(|reign| reign.addr), self.epoch()) else { return };
        let already = self.front.acks().is_some_and(|acks| acks > 0);
        let acks = self.acks(already);
        // As above: the word on the disk goes first.
        let lowered = already && acks == Some(0);
        if open && acks != self.front.acks() && (!lowered || self.unvouched(epoch.number)) {
            if let Some(reign) = &mut self.reign {
                reign.whole = None;
            }
            self.actions.push(self.front.open(master, epoch.number, acks));
        }
    }

    /// How many slaves the front is to see a write on; `already`: it sees it on some.
    pub(super) fn acks(&self, already: bool) -> Option<u32> {
        let wished = self.config.guards_at_front && self.config.synchronous;
        wished.then(|| u32::from(self.others().any(|member| self.guards(member, already))))
    }

    /// Whether writes may wait for this slave. It has to be in step to begin with, or to have been
    /// with the master before this one. Then a link that breaks for a moment, or is still to be
    /// made, holds writes back rather than leaving them to the master alone.
    pub(super) fn guards(&self, member: &Member, already: bool) -> bool {
        let Some(life) = member.life.as_ref().filter(|life| !life.hung(&self.config) && !life.copies()) else {
            return false;
        };
        let report = life.report.as_ref().filter(|report| !member.leaving && report.broken.is_none());
        let opened = self.reign.as_ref().is_some_and(|reign| self.now.since(reign.opened) < self.config.guard_limit);
        let lately = life.own.followed.is_some_and(|at| self.now.since(at) < self.config.guard_limit);
        let upstream = report.and_then(|report| report.upstream);
        let ours = upstream.is_some() && upstream == self.reign.as_ref().map(|reign| reign.addr);
        // The front asks the server itself who has what: a link is enough to begin with.
        let linked = self.config.guards_at_front && ours && report.is_some_and(|report| report.link_up);
        let in_step = if already || self.phase == Repointing { lately } else { lately && ours && life.follows() };
        report.is_some() && (in_step || (linked && (self.phase == Repointing || (already && opened))))
    }

    /// Whether writes wait for a slave, or the front was told that they do.
    pub(super) fn guarded(&self) -> Option<bool> {
        if self.config.guards_at_front {
            return self.front.acks().map(|acks| acks > 0);
        }
        self.members.report(self.reign.as_ref()?.server.index)?.guarded
    }

    /// Why writes that should wait for a slave do not.
    pub(super) fn unguarded(&self) -> Option<String> {
        let degraded = self.config.synchronous && self.guarded() == Some(false) && self.others().count() > 0;
        degraded.then(|| "degraded: no slave is in step, so that writes are on the master alone".to_owned())
    }

    /// Whether a slave that was in step, and may be the one that acknowledged the last writes, has
    /// not spoken since the fence.
    pub(super) fn awaits_voice(&self, fresh: Moment) -> bool {
        let Some(change) = self.change.as_ref().filter(|_| self.config.synchronous) else { return false };
        let silent = |member: &&Member| {
            let lately = |at: Moment| change.detected.since(at) < self.config.guard_limit;
            let life = member.life.as_ref().filter(|life| life.own.followed.is_some_and(lately));
            life.is_some_and(|life| life.report_asked < fresh)
        };
        self.members.values().filter(|member| member.index != change.old).any(|member| silent(&member))
    }

    /// A member that following the master does not help, or that would take longer for it.
    pub(super) fn wants_copy(&self, server: Server) -> bool {
        let Some(beyond) = self.config.copy_beyond else { return false };
        let position = self.reign.as_ref().map_or(0, |reign| reign.position);
        let report = self.members.report(server.index);
        report.is_some_and(|report| self.estranged(server).is_some() || (report.blank && position > beyond))
    }

    /// Why following the master cannot help this member.
    fn estranged(&self, server: Server) -> Option<String> {
        let report = self.members.report(server.index)?;
        let master = self.reign.as_ref().and_then(|reign| self.members.report(reign.server.index));
        report.broken.clone().or_else(|| kinship::estranged(master?, report))
    }

    pub(super) fn copy(&mut self) {
        let Some(reign) = self.reign.as_ref().filter(|_| self.phase == Steady) else { return };
        let from = reign.addr;
        let wanting = self.others().filter(|member| !member.leaving).filter_map(|member| {
            let life = member.life.as_ref().filter(|life| life.free(self.now))?;
            self.wants_copy(life.server).then(|| (life.server, self.estranged(life.server)))
        });
        for (server, estranged) in wanting.collect::<Vec<_>>() {
            let why = estranged.unwrap_or_else(|| "it holds no data yet".to_owned());
            self.note(format!("{} becomes a copy of the master: {why}", self.name(server.index)));
            self.command(server, RoleChange::CopyFrom(from));
        }
    }

    pub(super) fn others(&self) -> impl Iterator<Item = &Member> {
        let master = self.reign.as_ref().map(|reign| reign.server.index);
        self.members.values().filter(move |member| Some(member.index) != master)
    }
}
