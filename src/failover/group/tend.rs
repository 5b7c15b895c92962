//! What is done in every phase: pings, reports, upstreams, rogues, and when to look again.

use std::time::Duration;

use crate::failover::dialect::RoleChange;
use crate::failover::edges::Phase::*;
use crate::failover::event::{Action, Moment, Server};

use super::member::{Life, Member};
use super::{Group, Kind};

impl Group {
    pub(super) fn tend(&mut self) {
        self.actions.extend(self.book.read_again(self.now));
        self.end_rogue();
        for (server, to) in self.astray_commands() {
            self.command(server, to);
        }
        self.guard();
        self.tend_vouch();
        self.copy();
        self.probe();
        self.release_restart();
        self.refuse_wish();
    }

    /// When `handle` is to be called with [`super::Event::Ticked`] at the latest.
    pub fn next_timeout(&self) -> Moment {
        let mut times = vec![self.now.after(Duration::from_secs(1))];
        for life in self.members.lives() {
            times.extend(self.ping_due(life));
            times.extend(self.ask_due(life));
            times.extend(
                (life.own.command.is_none() && life.own.command_after > self.now).then_some(life.own.command_after),
            );
        }
        times.extend(self.phase_limit().map(|limit| self.since.after(limit)));
        times.extend(self.restart.until());
        times.push(self.vouch.after);
        times.extend(self.book.again());
        self.now.first_of(times)
    }

    fn phase_limit(&self) -> Option<Duration> {
        let config = &self.config;
        match self.phase {
            Gating => Some(config.gate_limit),
            Fencing => Some(config.retry),
            Draining if matches!(self.kind_of_change(), Some(Kind::Handover(_))) => Some(config.handover_limit),
            Draining => Some(self.drain_limit()),
            Repointing => Some(config.repoint_limit),
            _ => None,
        }
    }

    fn kind_of_change(&self) -> Option<Kind> {
        self.change.as_ref().map(|change| change.kind)
    }

    fn end_rogue(&mut self) {
        let Some(rogue) = self.rogue() else { return };
        let killed = self.members.life(rogue.index).and_then(|life| life.own.killed);
        if killed.is_none_or(|at| self.now.since(at) >= self.config.retry) {
            self.note(format!("{} accepts writes though it is not the master: it is ended", self.name(rogue.index)));
            self.kill(rogue);
        }
    }

    /// Members that run and answer but do not follow the open master.
    pub(super) fn astray(&self) -> Vec<Server> {
        let Some(reign) = &self.reign else { return Vec::new() };
        let astray = |member: &&Member| {
            let follows = |r: &crate::failover::dialect::MemberReport| r.writable || r.upstream == Some(reign.addr);
            member.index != reign.server.index
                && member.report().is_some_and(|report| report.loading.is_none() && !follows(report))
        };
        self.members.values().filter(astray).filter_map(|member| Some(member.life.as_ref()?.server)).collect()
    }

    fn astray_commands(&self) -> Vec<(Server, RoleChange)> {
        if !matches!(self.phase, Repointing | Steady | Suspect) {
            return Vec::new();
        }
        let Some(reign) = &self.reign else { return Vec::new() };
        let free = |server: &Server| self.members.life(server.index).is_some_and(|life| life.free(self.now));
        let astray = self.astray().into_iter().filter(|server| free(server) && !self.wants_copy(*server));
        astray.map(|server| (server, RoleChange::Follow(reign.addr))).collect()
    }

    // --- probes

    fn probe(&mut self) {
        let mut pings = Vec::new();
        let mut asks = Vec::new();
        for life in self.members.lives() {
            if self.ping_due(life).is_some_and(|due| due <= self.now) {
                pings.push(life.server);
            }
            if self.ask_due(life).is_some_and(|due| due <= self.now) {
                asks.push(life.server);
            }
        }
        for server in pings {
            self.life_of(server, |life, now| life.own.pinged.send(now));
            self.actions.push(Action::Ping(server));
        }
        for server in asks {
            self.life_of(server, |life, now| life.asked.send(now));
            self.actions.push(Action::Ask { server, asked: self.now });
        }
    }

    /// Only the master is pinged: a hung slave harms nobody.
    fn ping_due(&self, life: &Life) -> Option<Moment> {
        let master = self.epoch().is_some_and(|epoch| epoch.master == life.server.index);
        if !master
            || life.own.pinged.under_way
            || !matches!(self.phase, Gathering | Steady | Suspect | Promoting | Repointing)
        {
            return None;
        }
        let pause = match life.misses + life.own.busy {
            0 => self.config.ping_every,
            _ if life.own.refused => self.config.ask_soon,
            _ => Duration::ZERO,
        };
        Some(life.own.pinged.sent.map_or(self.now, |sent| sent.after(pause)))
    }

    fn ask_due(&self, life: &Life) -> Option<Moment> {
        if life.asked.under_way {
            return None;
        }
        let pause = self.ask_pause(life);
        let stale = |sent: Moment| self.phase == Draining && sent < self.since;
        Some(life.asked.sent.map_or(self.now, |sent| if stale(sent) { self.now } else { sent.after(pause) }))
    }

    fn ask_pause(&self, life: &Life) -> Duration {
        let config = &self.config;
        let master = self.reign.as_ref().is_some_and(|reign| reign.server == life.server);
        if life.misses + life.own.busy > 0 && life.own.heard.is_some() {
            return config.ask_every / 5;
        }
        match self.phase {
            Draining => config.ask_at_once,
            Gathering | Gating | Fencing | Electing | Promoting | Stalled => config.ask_soon,
            Steady | Suspect | Repointing if master && self.awaits_first_write() => config.ask_at_once,
            // Whether a slave is in step shows in comparison with the master.
            Steady | Suspect | Repointing if self.wish.is_asked() || self.anybody_late() || self.doubtful() => {
                config.ask_soon
            }
            Steady | Suspect | Repointing => config.ask_every,
        }
    }

    /// A slave that follows could not succeed the master yet, which its next report may change.
    fn doubtful(&self) -> bool {
        let follows = |member: &Member| member.life.as_ref().is_some_and(Life::follows);
        self.others().any(follows) && self.reign.is_some() && self.doubt().is_some()
    }

    fn anybody_late(&self) -> bool {
        let master = self.reign.as_ref().map(|reign| reign.server);
        let lives = self.members.lives();
        lives
            .filter(|life| Some(life.server) != master && life.misses == 0 && !life.copies())
            .any(|life| !life.follows())
    }

    /// Without an open master that answers, a wish that could not be fulfilled in time is refused as
    /// well: whoever asked waits for an answer. A switchover on its way has limits of its own.
    fn refuse_wish(&mut self) {
        let switching = matches!(self.kind_of_change(), Some(Kind::Handover(_)));
        if self.wish.is_late(self.now) && !switching && !matches!(self.phase, Steady | Repointing) {
            let why = self.reason.clone().unwrap_or_else(|| "no master is open".to_owned());
            self.answer_wish(Err(why));
        }
    }

    /// Says that a planned restart may begin: at once for a slave, with the front gated for
    /// the master. A daemon's first gathering did not enter its phase and is not gated yet.
    fn release_restart(&mut self) {
        let master = self.epoch().map(|epoch| epoch.master);
        if self.phase == Gathering && master.is_some_and(|master| self.restarting(master)) {
            self.gate();
        }
        let leads = self.restart.waits().is_some_and(|(server, _)| master == Some(server.index));
        if !leads || self.front.is_shut() || self.phase == Stalled {
            self.actions.extend(self.restart.release());
        }
    }
}
