//! What a group knows of one member and of the process that runs as it.

use std::time::Duration;

use crate::failover::config::Config;
use crate::failover::dialect::{MemberReport, RoleChange};
use crate::failover::elect::Standing;
use crate::failover::event::{Miss, Moment};
use crate::failover::roster::{self, Request};

pub(super) type Member = roster::Member<Conduct>;
pub(super) type Life = roster::Life<Conduct>;

/// How a process behaves, besides what it says.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    pub heard: Option<Moment>,
    /// Unanswered requests since then that found it at work; they are not counted as others are.
    pub busy: u32,
    /// Silent ones since it was last seen at work.
    pub idle: u32,
    /// The platform itself keeps it busy: only idleness counts.
    pub excused: bool,
    pub refused: bool,
    pub pinged: Request,
    /// Has all that the open master had when it was asked.
    pub in_step: bool,
    /// Since when the open master is known to have more than it has.
    pub behind: Option<Moment>,
    /// Follows or followed somebody: a master may have counted on it.
    pub told: bool,
    /// When it was last in step.
    pub followed: Option<Moment>,
    /// On its way.
    pub command: Option<RoleChange>,
    /// How far a copy is that is on its way.
    pub copied: Option<u8>,
    /// Not before this.
    pub command_after: Moment,
    pub killed: Option<Moment>,
}

// === impl Member ===

impl Member {
    pub fn standing(&self, fresh: Moment, now: Moment, config: &Config, restarting: bool) -> Standing<'_> {
        let life = self.life.as_ref();
        Standing {
            index: self.index,
            running: life.is_some(),
            hung: life.is_some_and(|life| life.hung(config)),
            lost: life.is_some_and(|life| life.lost(now, config)),
            restarting,
            leaving: self.leaving,
            in_step: life.is_some_and(Life::follows),
            witness: life.is_some_and(|life| life.own.told),
            report: life.filter(|life| life.report_asked >= fresh).and_then(|life| life.report.as_ref()),
            complaint: life.and_then(|life| life.complaint.as_deref()),
        }
    }
}

// === impl Life ===

impl Life {
    pub fn hung(&self, config: &Config) -> bool {
        if self.own.excused {
            return self.own.idle >= config.labour_idle;
        }
        self.misses >= config.misses || self.misses + self.own.busy >= config.busy_misses
    }

    /// Its link is up and nothing is missing.
    pub fn follows(&self) -> bool {
        self.own.in_step && self.report.as_ref().is_some_and(|report| report.link_up)
    }

    /// Hung for longer than anybody should wait for it.
    fn lost(&self, now: Moment, config: &Config) -> bool {
        let limit = if self.own.heard.is_some() { config.lonely } else { config.lonely * 6 };
        self.hung(config) && !self.paused && now.since(self.own.heard.unwrap_or(self.since)) >= limit
    }

    fn heard(&mut self, now: Moment) {
        self.own.heard = Some(now);
        (self.misses, self.own.busy, self.own.idle, self.own.refused) = (0, 0, 0, false);
    }

    pub fn answered(&mut self, now: Moment) {
        self.own.pinged.under_way = false;
        self.heard(now);
    }

    pub fn missed(&mut self, how: Miss, now: Moment, boot_refused: Duration, boot_silent: Duration) {
        (self.own.pinged.under_way, self.asked.under_way) = (false, false);
        let grace = if how == Miss::Refused { boot_refused } else { boot_silent };
        if self.own.heard.is_none() && now.since(self.since) < grace {
            return;
        }
        self.own.refused = how == Miss::Refused;
        self.own.idle = if how == (Miss::Silent { busy: false }) { self.own.idle + 1 } else { 0 };
        if how == (Miss::Silent { busy: true }) { self.own.busy += 1 } else { self.misses += 1 }
    }

    pub fn reported(&mut self, asked: Moment, report: MemberReport, now: Moment) {
        self.asked.under_way = false;
        self.heard(now);
        self.tell(asked, report);
    }

    /// A report asked for earlier than the known one says nothing new.
    fn tell(&mut self, asked: Moment, report: MemberReport) {
        self.complaint = None;
        if asked >= self.report_asked {
            self.report_asked = asked;
            self.own.told |= report.upstream.is_some();
            self.report = Some(report);
        }
    }

    pub fn complained(&mut self, error: String, now: Moment) {
        self.asked.under_way = false;
        self.heard(now);
        self.complaint = Some(error);
    }

    /// Is becoming a copy of another member.
    pub fn copies(&self) -> bool {
        matches!(self.own.command, Some(RoleChange::CopyFrom(_)))
    }

    pub fn commanded(&mut self, result: Result<MemberReport, String>, now: Moment, retry: Moment) {
        (self.own.command, self.own.copied) = (None, None);
        match result {
            Ok(report) => {
                self.heard(now);
                self.tell(now, report);
            }
            Err(_) => self.own.command_after = retry,
        }
    }

    pub fn free(&self, now: Moment) -> bool {
        self.own.command.is_none() && self.own.command_after <= now
    }
}
