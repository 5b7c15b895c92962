//! Dialects that can: writes wait for a slave while there is one, and a member that following
//! does not help becomes a copy of the master.

use crate::failover::dialect::RoleChange;
use crate::failover::edges::Phase::{Repointing, Steady, Suspect};
use crate::failover::event::Server;

use super::Group;
use super::member::Member;

impl Group {
    /// Tells the open master whether its writes are to wait.
    pub(super) fn guard(&mut self) {
        let Some(reign) = self.reign.as_ref().filter(|_| matches!(self.phase, Steady | Suspect | Repointing)) else {
            return;
        };
        let (server, epoch) = (reign.server, reign.epoch);
        let Some(life) = self.members.get(&server.index).and_then(|member| member.life.as_ref()) else { return };
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

    /// Whether writes may wait for this slave. It has to be in step to begin with, or to have been
    /// with the master before this one. Then a link that breaks for a moment, or is still to be
    /// made, holds writes back rather than leaving them to the master alone.
    pub(super) fn guards(&self, member: &Member, already: bool) -> bool {
        let Some(life) = member.life.as_ref().filter(|life| !life.hung(&self.config) && !life.copies()) else {
            return false;
        };
        let report = life.report.as_ref().filter(|report| !member.leaving && report.broken.is_none());
        let lately = life.followed.is_some_and(|at| self.now.since(at) < self.config.guard_limit);
        let upstream = report.and_then(|report| report.upstream);
        let ours = upstream.is_some() && upstream == self.reign.as_ref().map(|reign| reign.addr);
        report.is_some() && if already || self.phase == Repointing { lately } else { lately && ours && life.follows() }
    }

    /// Why writes that should wait for a slave do not.
    pub(super) fn unguarded(&self) -> Option<String> {
        let master = self.reign.as_ref().and_then(|reign| self.members.get(&reign.server.index)?.report());
        let degraded = self.config.synchronous && master?.guarded == Some(false) && self.others().count() > 0;
        degraded.then(|| "degraded: no slave is in step, so that writes are on the master alone".to_owned())
    }

    /// A member that following the master does not help, or that would take longer for it.
    pub(super) fn wants_copy(&self, server: Server) -> bool {
        let Some(beyond) = self.config.copy_beyond else { return false };
        let position = self.reign.as_ref().map_or(0, |reign| reign.position);
        let report = self.members.get(&server.index).and_then(Member::report);
        report.is_some_and(|report| report.broken.is_some() || (report.blank && position > beyond))
    }

    pub(super) fn copy(&mut self) {
        let Some(reign) = self.reign.as_ref().filter(|_| self.phase == Steady) else { return };
        let from = reign.addr;
        let wanting = self.others().filter(|member| !member.leaving).filter_map(|member| {
            let life = member.life.as_ref().filter(|life| life.free(self.now))?;
            let diverged = life.report.as_ref().and_then(|report| report.broken.clone());
            self.wants_copy(life.server).then_some((life.server, diverged))
        });
        for (server, diverged) in wanting.collect::<Vec<_>>() {
            let why = diverged.unwrap_or_else(|| "it holds no data yet".to_owned());
            self.note(format!("{} becomes a copy of the master: {why}", self.name(server.index)));
            self.command(server, RoleChange::CopyFrom(from));
        }
    }

    pub(super) fn others(&self) -> impl Iterator<Item = &Member> {
        let master = self.reign.as_ref().map(|reign| reign.server.index);
        self.members.values().filter(move |member| Some(member.index) != master)
    }
}
