//! What a fact changes in what the group knows; what follows from it is judged elsewhere.

use std::time::Duration;

use crate::failover::book::Book;
use crate::failover::dialect::{MemberReport, RoleChange};
use crate::failover::edges::Phase::{Repointing, Steady, Suspect};
use crate::failover::event::{Event, Moment, Server};
use crate::model::Epoch;

use super::{Commit, Group, Kind, Reign};

impl Group {
    pub(super) fn learn(&mut self, event: Event) {
        let ends = matches!(event, Event::Observed(_) | Event::Died(_));
        let witnesses = if ends { self.witnesses() } else { Vec::new() };
        let witnesses: Vec<_> = witnesses.into_iter().map(|server| (server, self.departing(server))).collect();
        self.take_in(event);
        self.note_end();
        for (server, position) in witnesses {
            if !self.runs(server) {
                self.departed(server, position);
            }
        }
    }

    fn take_in(&mut self, event: Event) {
        match event {
            // Told to groups that elect by themselves.
            Event::Ticked | Event::Carried { .. } | Event::Advertised(_) => {}
            Event::Loaded(read) => self.book = Book::loaded(read, self.now.after(self.config.retry)),
            Event::Vouched(word) => self.heard_vouch(word),
            Event::VouchKept { epoch, upstream, result } => self.kept_vouch(epoch, upstream, result),
            Event::Committed(epoch, result) => self.committed(epoch, result),
            Event::Observed(seats) => {
                self.observed = true;
                self.members.seated(&seats, self.now);
            }
            Event::Died(server) => self.members.died(server),
            Event::Answered(server) => self.life_of(server, |life, now| life.answered(now)),
            Event::Missed(server, how) => {
                let (refused, silent) = (self.config.boot_refused, self.config.boot_silent);
                self.life_of(server, |life, now| life.missed(how, now, refused, silent));
            }
            Event::Reported { server, asked, report } => {
                self.life_of(server, |life, now| life.reported(asked, report, now));
                self.reported(server);
                self.cover(server, asked);
            }
            Event::Complained { server, error } => self.life_of(server, |life, now| life.complained(error, now)),
            Event::Commanded { server, change, result } => self.commanded(server, change, result),
            Event::Copied { server, percent } => self.life_of(server, |life, _| life.own.copied = Some(percent)),
            Event::KillFailed { server, error } => {
                self.note(format!("cannot end {}: {error}", self.name(server.index)));
            }
            Event::FrontMoved(order) => self.front.heard(order, self.now),
            Event::Laboured(goes_on) => self.laboured(goes_on),
            Event::RestartPlanned(index) => {
                let until = self.now.after(self.config.restart_limit);
                self.actions.extend(self.restart.plan(index, self.members.server(index), self.now, until));
            }
            Event::RestartWithdrawn(index) => self.actions.extend(self.restart.withdraw(index)),
            Event::SwitchoverAsked(to) => self.wish.ask(to, self.now.after(self.config.wish_limit)),
        }
    }

    fn commanded(&mut self, server: Server, change: RoleChange, result: Result<MemberReport, String>) {
        // A copy moves whole files: one that failed is not tried again at once.
        let copied = matches!(change, RoleChange::CopyFrom(_));
        let retry = self.now.after(if copied { self.config.retry * 10 } else { self.config.retry / 5 });
        let failed = result.as_ref().err().cloned();
        self.life_of(server, |life, now| life.commanded(result, now, retry));
        if change == RoleChange::PauseWrites && failed.is_none() {
            self.paused(server);
        }
        // From where on all are known to have waited is to be found out anew.
        if let (RoleChange::Guard(_), Some(reign)) = (change, &mut self.reign) {
            reign.whole = None;
        }
        if let Some(error) = failed {
            self.note(format!("{} did not take {change:?}: {error}", self.name(server.index)));
        }
        self.reported(server);
    }

    /// Writes are held back there: for the switchover, or in vain if that was given up meanwhile.
    fn paused(&mut self, server: Server) {
        let open = matches!(self.phase, Steady | Suspect | Repointing);
        match self.change.as_mut().filter(|change| matches!(change.kind, Kind::Handover(_))) {
            Some(change) => change.paused = Some(self.now),
            None if open && self.reign.as_ref().is_some_and(|reign| reign.server == server) => {
                self.command(server, RoleChange::ResumeWrites);
            }
            None => {}
        }
    }

    fn committed(&mut self, epoch: Epoch, result: Result<(), String>) {
        let chosen = self.change.as_mut().and_then(|change| change.choice.as_mut());
        match result {
            Ok(()) => {
                self.book = Book::Read(Some(epoch));
                if let Some(chosen) = chosen.filter(|chosen| chosen.epoch == epoch) {
                    chosen.commit = Commit::Done;
                }
            }
            Err(why) => self.book = Book::loaded(Err(why), self.now.after(self.config.retry)),
        }
    }

    /// The open master's own words widen what its successors are measured against.
    fn reported(&mut self, server: Server) {
        let (Some(reign), Some(report)) = (&mut self.reign, self.members.report(server.index)) else { return };
        if server == reign.server && report.writable {
            reign.saw(self.now, report.position);
            reign.histories.insert(report.history.clone());
        } else if report.upstream == Some(reign.addr) {
            let behind = reign.first_beyond(report.position);
            self.life_of(server, |life, _| life.own.behind = behind);
            self.measure(server);
        }
        self.advance_account(server);
    }

    /// A slave whose link is up is in step once it has what the master had before the slave
    /// was asked: after a full copy Redis may take a second to begin with the writes since.
    fn measure(&mut self, server: Server) {
        let Some(reign) = &self.reign else { return };
        let had = |asked: Moment| reign.heard.iter().rev().find(|(at, _)| *at <= asked).map(|(_, position)| *position);
        if let Some(life) = self.members.life_of(server)
            && let Some(report) = life.report.as_ref().filter(|report| report.link_up)
        {
            // A link may seem up that leads to a former process of the master, with another history.
            let joined = reign.histories.contains(&report.history);
            life.own.in_step = joined && had(life.report_asked).is_some_and(|position| report.position >= position);
            if life.follows() {
                life.own.followed = Some(self.now);
            }
        }
    }
}

// === impl Reign ===

impl Reign {
    /// More than the reports that can arrive while one of a slave is on its way.
    const REMEMBERED: usize = 64;

    /// Between two moments of the path, and how many of them: lag is told for the last minutes.
    const STRIDE: Duration = Duration::from_millis(100);
    const STRIDES: usize = 4096;

    /// Since when this server is known to have been beyond a position.
    fn first_beyond(&self, position: u64) -> Option<Moment> {
        self.path.iter().find(|(_, reached)| *reached > position).map(|(at, _)| *at)
    }

    fn saw(&mut self, now: Moment, position: u64) {
        let (at, last) = self.path.back().copied().unwrap_or_default();
        if position > last && (self.path.is_empty() || now.since(at) >= Self::STRIDE) {
            self.path.push_back((now, position));
        }
        if self.path.len() > Self::STRIDES {
            self.path.pop_front();
        }
        self.position = self.position.max(position);
        self.heard.push_back((now, position));
        if self.heard.len() > Self::REMEMBERED {
            self.heard.pop_front();
        }
    }
}
