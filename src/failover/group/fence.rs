//! Gate, fence, drain: nobody is promoted before the old master cannot accept a write and
//! its slaves have read what it sent.

use std::time::Duration;

use crate::failover::dialect::RoleChange;
use crate::failover::edges::Phase::{self, *};
use crate::failover::event::{Moment, Server};

use super::member::Member;
use super::{Change, Commit, Group, Kind};

impl Group {
    pub(super) fn kind(&self) -> Kind {
        self.change.as_ref().map_or(Kind::Opening, |change| change.kind)
    }

    pub(super) fn target(&self) -> Option<Server> {
        self.change.as_ref()?.target.filter(|target| self.runs(*target))
    }

    pub(super) fn enter_gating(&mut self) {
        self.gate();
        // The kill call is slow: it runs while the front is being gated.
        if let Some(target) = self.target() {
            self.kill(target);
        }
    }

    pub(super) fn gating(&mut self) -> Option<Phase> {
        let gated = self.front.obeyed() || self.now.since(self.since) >= self.config.gate_limit;
        match self.kind() {
            Kind::Handover(_) => gated.then_some(Draining),
            _ => gated.then_some(Fencing),
        }
    }

    pub(super) fn enter_fencing(&mut self) {
        match self.kind() {
            Kind::Handover(to) => {
                let addr = self.members.get(to.index).and_then(|member| member.addr);
                if let (Some(old), Some(addr)) = (self.retiring(), addr) {
                    self.command(old, RoleChange::Follow(addr));
                }
            }
            _ => self.press(),
        }
    }

    /// The process that hands over, while it runs. Its successor as that member is no master.
    fn retiring(&self) -> Option<Server> {
        self.reign.as_ref().map(|reign| reign.server).filter(|server| self.runs(*server))
    }

    /// Kills the target unless that was tried a moment ago.
    pub(super) fn press(&mut self) {
        let Some(target) = self.target() else { return };
        let killed = self.members.life(target.index).and_then(|life| life.own.killed);
        if killed.is_none_or(|at| self.now.since(at) >= self.config.retry) {
            self.kill(target);
        }
    }

    pub(super) fn fencing(&mut self) -> Option<Phase> {
        if let Kind::Handover(_) = self.kind() {
            return self.demoting();
        }
        if let Some(target) = self.target() {
            self.press();
            return self.wait(format!("waiting until {} is dead for certain", self.name(target.index)));
        }
        Some(Draining)
    }

    /// The demoted master's own word is the fence of a planned switchover.
    pub(super) fn demoting(&mut self) -> Option<Phase> {
        let Some(server) = self.retiring() else {
            return Some(self.ended());
        };
        let life = self.members.life(server.index)?;
        let demoted = life.report_asked > self.since || life.own.command.is_none();
        if self.config.demotes_live && demoted && life.report.as_ref().is_some_and(|report| !report.writable) {
            return Some(Electing);
        }
        if self.now.since(self.since) >= self.config.handover_limit {
            self.unplanned("it did not accept being demoted", Some(server));
            self.press();
        }
        None
    }

    /// The old master's process is gone: as it was told to go, or of itself.
    fn ended(&mut self) -> Phase {
        if self.config.demotes_live {
            self.unplanned("container died", None);
            return Draining;
        }
        let now = self.now;
        if let Some(change) = &mut self.change {
            change.fenced = Some(now);
        }
        Electing
    }

    /// A planned switchover that has become a failure.
    pub(super) fn unplanned(&mut self, cause: &str, target: Option<Server>) {
        if let Some(change) = &mut self.change {
            *change = Change::new(Kind::Failure, cause.to_owned(), change.old, target, self.now);
        }
        self.since = self.now;
    }

    pub(super) fn enter_draining(&mut self) {
        let now = self.now;
        match self.kind() {
            Kind::Handover(_) => {
                if let Some(old) = self.retiring() {
                    self.command(old, RoleChange::PauseWrites);
                }
            }
            _ => {
                if let Some(change) = &mut self.change {
                    change.fenced.get_or_insert(now);
                }
            }
        }
    }

    pub(super) fn draining(&mut self) -> Option<Phase> {
        if let Kind::Handover(to) = self.kind() {
            if let Some(old) = self.retiring() {
                return self.catching_up(old, to);
            }
            self.unplanned("container died", None);
            self.enter_draining();
        }
        let drained = self.undrained().is_empty() && !self.awaits_voice(self.voices_since());
        (drained || self.now.since(self.since) >= self.drain_limit()).then_some(Electing)
    }

    /// Reports asked for earlier do not count in an election.
    fn voices_since(&self) -> Moment {
        self.change.as_ref().and_then(|change| change.fenced).unwrap_or(self.since)
    }

    /// How long the replicas may read, and be waited for to say how far they are.
    pub(super) fn drain_limit(&self) -> Duration {
        let patient = self.awaits_voice(self.voices_since());
        if patient { self.config.voice_limit } else { self.config.drain_limit }
    }

    /// Replicas of the old master that have not yet said that their link is down and that what came
    /// over it is applied.
    pub(super) fn undrained(&self) -> Vec<u32> {
        let (Some(basis), Some(change)) = (self.basis(), &self.change) else { return Vec::new() };
        let fresh = change.fenced.unwrap_or(self.since);
        let waited = |member: &&Member| {
            let follows = member.report().is_some_and(|report| basis.leads(report) && report.was_linked);
            let standing = member.standing(fresh, self.now, &self.config, false);
            member.index != change.old
                && follows
                && !standing.hung
                && standing.report.is_none_or(|report| report.link_up || report.applying)
        };
        self.members.values().filter(waited).map(|member| member.index).collect()
    }

    pub(super) fn catching_up(&mut self, old: Server, to: Server) -> Option<Phase> {
        let paused = self.change.as_ref()?.paused;
        let known = |server: Server| {
            let life = self.members.life(server.index).filter(|life| life.server == server)?;
            let report = life.report.as_ref()?;
            (paused.is_some_and(|paused| life.report_asked >= paused)).then_some(report)
        };
        if let (Some(master), Some(slave)) = (known(old), known(to))
            && slave.link_up
            && !slave.applying
            && slave.history == master.history
            && slave.position >= master.position
        {
            return Some(Fencing);
        }
        let late = self.now.since(self.since) >= self.config.handover_limit;
        if !late && self.runs(to) {
            // It may have refused: a write that waits for a slave keeps it from being read-only.
            if paused.is_none() && self.members.life(old.index).is_some_and(|life| life.free(self.now)) {
                self.command(old, RoleChange::PauseWrites);
            }
            return None;
        }
        let why = format!("{} did not catch up", self.name(to.index));
        self.answer_wish(Err(why.clone()));
        self.handover_after = self.now.after(self.config.retry * 4);
        let epoch = self.epoch()?;
        let chosen = self.chosen(old.index, epoch, Commit::Done);
        let change = self.change.as_mut()?;
        (change.choice, change.kind) = (chosen, Kind::Opening);
        self.reason = Some(why);
        Some(Repointing)
    }
}
