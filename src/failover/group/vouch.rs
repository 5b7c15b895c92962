//! What the disk says of the slaves: that one of them has what the open master acknowledges.
//!
//! A daemon that dies together with the master leaves nothing but the disk, and a slave that fell
//! behind long ago still calls itself a slave. So the disk *vouches* for the slaves of an epoch
//! once one of them is in step (and, where that can be, writes wait for it), and the word is taken
//! back *before* writes may be on the master alone: before a guard is given up, and before a
//! master that was started again is promoted. Without the word nobody succeeds the master.
//!
//! The word names the master's address, because slaves say whom they follow by that: a master whose
//! pod is gone, or was made anew elsewhere, is succeeded by those who follow it where it was.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::failover::edges::Phase::{Repointing, Steady, Suspect};
use crate::failover::event::{Action, Moment, Server};
use crate::model::Vouched;

use super::member::{Life, Member};
use super::{Group, Reign};

/// The word on the disk, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Vouch {
    said: Said,
    /// Whose slaves it vouches for, where it does.
    upstream: Option<SocketAddr>,
    /// On its way to the disk.
    under_way: bool,
    /// After a failure: not before this.
    pub after: Moment,
    /// Why the latest attempt failed.
    why: Option<String>,
}

/// For which epoch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// The disk was not asked yet.
    #[default]
    Unknown,
    No,
    /// A commit failed, or is under way, that may have reached the disk.
    Perhaps(u64),
    Yes(u64),
}

impl Group {
    /// Whether every write acknowledged under this epoch can be expected on a slave.
    pub(super) fn vouched(&self, epoch: u64) -> bool {
        self.vouch.said == Said::Yes(epoch)
    }

    /// What the disk said at the start of the daemon; later this daemon knows better.
    pub(super) fn heard_vouch(&mut self, word: Option<Vouched>) {
        if self.vouch.said == Said::Unknown {
            self.vouch.said = word.map_or(Said::No, |word| Said::Yes(word.epoch));
            self.vouch.upstream = word.and_then(|word| word.upstream);
        }
    }

    pub(super) fn kept_vouch(&mut self, epoch: u64, upstream: Option<SocketAddr>, result: Result<(), String>) {
        self.vouch.under_way = false;
        self.vouch.why = result.as_ref().err().cloned();
        match result {
            Ok(()) => {
                self.vouch.said = if upstream.is_some() { Said::Yes(epoch) } else { Said::No };
                self.vouch.upstream = upstream;
            }
            Err(why) => {
                self.vouch.said = Said::Perhaps(epoch);
                self.vouch.after = self.now.after(self.config.retry);
                self.note(format!("the disk does not take in whether a slave is in step: {why}"));
            }
        }
    }

    /// True when the disk certainly does not vouch for this epoch. Else it is told not to.
    pub(super) fn unvouched(&mut self, epoch: u64) -> bool {
        let pledged = self.pledged(epoch);
        if pledged {
            self.keep_vouch(epoch, None);
        }
        !pledged
    }

    /// Whether the disk may vouch for this epoch.
    pub(super) fn pledged(&self, epoch: u64) -> bool {
        matches!(self.vouch.said, Said::Yes(of) | Said::Perhaps(of) if of == epoch)
    }

    /// Where the master was whose slaves the disk vouches for under this epoch.
    pub(super) fn upstream(&self, epoch: u64) -> Option<SocketAddr> {
        self.vouch.upstream.filter(|_| self.vouched(epoch))
    }

    /// What writes, or a promotion, may be waiting for.
    pub(super) fn unrecorded(&self) -> Option<String> {
        self.vouch.why.as_ref().map(|why| format!("cannot record whether a slave is in step: {why}"))
    }

    fn keep_vouch(&mut self, epoch: u64, upstream: Option<SocketAddr>) {
        if !self.vouch.under_way && self.vouch.after <= self.now {
            self.vouch.under_way = true;
            // A word on its way may be on the disk already: it is to be taken back like one that is.
            if upstream.is_some() {
                self.vouch.said = Said::Perhaps(epoch);
            }
            self.actions.push(Action::Vouch { epoch, upstream });
        }
    }

    /// Keeps the disk's word in step with what is seen of the open master and its slaves.
    pub(super) fn tend_vouch(&mut self) {
        let Some(reign) = self.reign.as_ref().filter(|_| matches!(self.phase, Steady | Suspect | Repointing)) else {
            return;
        };
        let (epoch, upstream) = (reign.epoch, Some(reign.addr));
        let vouched = self.vouched(epoch);
        match self.deserved(reign, vouched) {
            true if self.upstream(epoch) != upstream => self.keep_vouch(epoch, upstream),
            false => drop(self.unvouched(epoch)),
            true => {}
        }
    }

    fn deserved(&self, reign: &Reign, already: bool) -> bool {
        if self.members.report(reign.server.index).is_none() {
            return already;
        }
        if !self.waits() {
            // Who was in step a moment ago may lack what a master before this one wrote.
            let fit = |member: &Member| already || (self.phase != Repointing && self.guards(member, false));
            return self.others().any(|member| self.guards(member, true) && fit(member));
        }
        if self.guarded() != Some(true) {
            return false;
        }
        let whole = |member: &Member| {
            let position = member.report().map(|report| report.position);
            self.guards(member, true) && self.guards(member, false) && position >= reign.whole && reign.whole.is_some()
        };
        // Given up only together with the guard, which comes here first.
        let witnessed = reign.gone.is_empty();
        already || (self.phase != Repointing && witnessed && self.others().any(whole))
    }

    /// Members that are to leave and may alone have what was acknowledged: without them the disk
    /// would vouch for slaves that lack it. The word is taken back if nobody else comes into step.
    pub(super) fn bound(&self) -> BTreeSet<u32> {
        let pledged = self.reign.as_ref().is_some_and(|reign| self.waits() && self.pledged(reign.epoch));
        let follows = |member: &Member| !member.leaving && member.life.as_ref().is_some_and(Life::follows);
        if !pledged || self.others().any(follows) {
            return BTreeSet::new();
        }
        self.others().filter(|member| member.leaving).map(|member| member.index).collect()
    }

    /// Whether writes wait for a slave here, or are meant to.
    pub(super) fn waits(&self) -> bool {
        let can = |member: &Member| member.report().is_some_and(|report| report.guarded.is_some());
        self.config.synchronous && (self.config.guards_at_front || self.members.values().any(can))
    }

    /// Whether what the open master was asked for at that moment came after its writes had begun
    /// to wait. The server tells both at once; the front says when it has carried an order out.
    fn waited(&self, asked: Moment) -> bool {
        let heeded = self.front.obeyed() && asked >= self.front.moved();
        self.guarded() == Some(true) && (heeded || !self.config.guards_at_front)
    }

    /// Whether a slave in step could succeed the open master, were it to die now.
    pub(super) fn secured(&self) -> bool {
        self.reign.as_ref().is_some_and(|reign| self.vouched(reign.epoch))
    }

    /// Why what the last master acknowledged may be on nobody who could be elected.
    pub(super) fn doubt(&self) -> Option<String> {
        let (epoch, master) = match (&self.reign, self.epoch()) {
            (Some(_), _) if !self.waits() => return None,
            (Some(reign), _) => (reign.epoch, reign.server.index),
            (None, Some(epoch)) => (epoch.number, epoch.master),
            (None, None) => return None,
        };
        if !self.vouched(epoch) {
            return Some(format!("{} may have acknowledged writes that no slave has", self.name(master)));
        }
        let gone = self.reign.as_ref().and_then(|reign| reign.gone.first());
        gone.map(|(server, _)| format!("{} alone may have acknowledged the last writes", self.name(server.index)))
    }

    // --- slaves whose word counted and who are gone

    /// Processes that may have told the open master that they have a write.
    pub(super) fn witnesses(&self) -> Vec<Server> {
        let master = self.reign.as_ref().map(|reign| reign.server);
        let lives = self.members.lives();
        lives.filter(|life| life.own.told && Some(life.server) != master).map(|life| life.server).collect()
    }

    /// Notes the end of the open master.
    pub(super) fn note_end(&mut self) {
        let (now, dead) = (self.now, self.reign.as_ref().is_some_and(|reign| !self.runs(reign.server)));
        if let Some(reign) = self.reign.as_mut().filter(|_| dead) {
            reign.ended.get_or_insert(now);
        }
    }

    /// Until the master is heard again nobody knows what such a one alone had; unless it was
    /// heard after the master's end, and so is known to have had no more than that.
    pub(super) fn departing(&self, server: Server) -> Option<u64> {
        let ended = self.reign.as_ref()?.ended?;
        let life = self.members.life(server.index).filter(|life| life.server == server)?;
        let report = life.report.as_ref().filter(|report| !report.link_up && life.report_asked >= ended)?;
        Some(report.position)
    }

    pub(super) fn departed(&mut self, server: Server, position: Option<u64>) {
        let (now, waits) = (self.now, self.waits());
        let Some(reign) = self.reign.as_mut().filter(|_| waits) else { return };
        match position {
            Some(position) => reign.position = reign.position.max(position),
            None => reign.gone.push((server, now)),
        }
    }

    /// The open master's position, asked for at that moment, covers what was acknowledged before.
    pub(super) fn cover(&mut self, server: Server, asked: Moment) {
        let position = self.members.report(server.index).map(|report| report.position);
        let waited = self.waited(asked);
        let Some(reign) = self.reign.as_mut().filter(|reign| reign.server == server) else { return };
        reign.gone.retain(|(_, since)| *since > asked);
        reign.whole = reign.whole.or(position).filter(|_| waited);
    }
}
