//! A master is open: whether it lives, answers and is still wanted.

use crate::failover::edges::Phase::{self, *};
use crate::failover::elect;
use crate::failover::event::{Moment, Server};

use super::{Change, Group, Kind};

impl Group {
    pub(super) fn watch(&mut self) -> Option<Phase> {
        let Some(server) = self.reign.as_ref().map(|reign| reign.server) else {
            return Some(Gathering);
        };
        if self.restart.server() == Some(server) {
            self.change = None;
            return Some(Gathering);
        }
        if !self.runs(server) {
            return self.failed("container died", None);
        }
        if self.demoted(server) {
            self.change = None;
            return Some(Gathering);
        }
        let life = self.members.life(server.index)?;
        match (self.phase, life.misses + life.own.busy > 0) {
            (Suspect, false) => Some(Steady),
            (Suspect, true) => self.suspect(server),
            (_, true) => Some(Suspect),
            (Repointing, false) => self.repointing(),
            (_, false) => self.wishes(),
        }
    }

    pub(super) fn failed(&mut self, cause: &str, target: Option<Server>) -> Option<Phase> {
        self.change = None;
        self.ensure_failure(cause, target);
        Some(Gating)
    }

    /// Somebody else made the open master a slave.
    pub(super) fn demoted(&self, server: Server) -> bool {
        let life = self.members.life(server.index);
        let opened = self.reign.as_ref().map(|reign| reign.opened).unwrap_or_default();
        life.is_some_and(|life| {
            life.report_asked > opened && life.report.as_ref().is_some_and(|report| !report.writable)
        })
    }

    pub(super) fn suspect(&mut self, server: Server) -> Option<Phase> {
        let life = self.members.life(server.index)?;
        let silence = self.now.since(life.own.heard.unwrap_or(life.since)).as_millis();
        let cause =
            if life.own.refused { "connection refused".to_owned() } else { format!("no answer for {silence} ms") };
        if self.replaceable(server) {
            return self.failed(&cause, Some(server));
        }
        if life.misses >= self.config.misses {
            self.reason = Some(format!("{}: {cause}, and nobody could take over", self.name(server.index)));
        }
        None
    }

    /// Hung, and either somebody could take over or it has been hung for very long.
    pub(super) fn replaceable(&self, server: Server) -> bool {
        let standings = self.standings(Moment::default());
        let Some(own) = standings.iter().find(|standing| standing.index == server.index) else { return false };
        let others: Vec<_> = standings.iter().filter(|standing| standing.index != server.index).copied().collect();
        // What the master wrote, or it did not apply, since a replica's last report does not count here:
        // the election itself asks again.
        let lax = self.basis().map(|basis| elect::Basis { position: 0, applied: false, ..basis });
        own.hung && (own.lost || lax.is_some_and(|basis| elect::choose(&basis, &others).is_ok()))
    }

    /// A switchover that was asked for, or that a member's leaving needs.
    pub(super) fn wishes(&mut self) -> Option<Phase> {
        let master = self.reign.as_ref()?.server.index;
        let leaving = self.members.get(master).is_some_and(|member| member.leaving);
        let wanted = self.wish.wanted();
        if wanted == Some(Some(master)) {
            self.answer_wish(Ok(master));
            return None;
        }
        if (wanted.is_none() && !leaving) || self.handover_after > self.now {
            return None;
        }
        let others = self.standings_but(master, Moment::default());
        match elect::successor(&self.basis()?, &others, wanted.flatten()) {
            Ok(choice) => {
                let to = self.server(choice.index)?;
                let cause = format!("planned switchover to {}", self.name(to.index));
                self.reason = Some(cause.clone());
                self.change = Some(Change::new(Kind::Handover(to), cause, master, None, self.now));
                Some(Gating)
            }
            Err(why) => {
                if leaving {
                    self.reason = Some(format!("{} is to leave, but {why}", self.name(master)));
                }
                if self.wish.is_late(self.now) {
                    self.answer_wish(Err(why));
                }
                None
            }
        }
    }

    pub(super) fn answer_wish(&mut self, outcome: Result<u32, String>) {
        self.actions.extend(self.wish.answer(outcome));
    }

    pub(super) fn repointing(&mut self) -> Option<Phase> {
        let acknowledged = self.front.obeyed();
        if acknowledged {
            self.actions.extend(self.accounts.store(self.now));
        }
        let late = self.now.since(self.since) >= self.config.repoint_limit;
        (acknowledged && (late || self.astray().is_empty())).then_some(Steady)
    }

    pub(super) fn enter_steady(&mut self) {
        let master = self.reign.as_ref().map(|reign| reign.server.index);
        let handed = self.change.take().is_some_and(|change| change.kind != Kind::Opening);
        if let (Some(master), true) = (master, handed) {
            self.answer_wish(Ok(master));
        }
        self.reason = None;
    }
}
