//! Elect, commit, promote, open.

use std::collections::VecDeque;

use crate::failover::dialect::RoleChange;
use crate::failover::edges::Phase::{self, *};
use crate::failover::elect::{self, Choice};
use crate::failover::event::{Account, Action, Joint, Moment, Server};
use crate::model::Epoch;

use super::{Change, Chosen, Commit, Group, Kind, Reign};

impl Group {
    pub(super) fn ensure_change(&mut self, kind: Kind, cause: &str, old: u32) {
        if self.change.is_none() {
            self.change = Some(Change::new(kind, cause.to_owned(), old, None, self.now));
        }
    }

    pub(super) fn ensure_failure(&mut self, cause: &str, target: Option<Server>) {
        let old = self.epoch().map_or(0, |epoch| epoch.master);
        match &mut self.change {
            Some(change) if change.kind == Kind::Failure => change.target = target.or(change.target),
            change => *change = Some(Change::new(Kind::Failure, cause.to_owned(), old, target, self.now)),
        }
        self.reason = Some(format!("{}: {cause}", self.name(old)));
    }

    pub(super) fn chosen(&self, index: u32, epoch: Epoch, commit: Commit) -> Option<Chosen> {
        let server = self.server(index)?;
        Some(Chosen { server, addr: self.members.get(index)?.addr?, epoch, commit })
    }

    /// Writes the choice down and sends its epoch to the disk.
    pub(super) fn choose(&mut self, choice: &Choice, number: u64) {
        let epoch = Epoch { number, master: choice.index };
        let chosen = self.chosen(choice.index, epoch, Commit::Asked);
        if let Some(change) = &mut self.change {
            (change.choice, change.because) = (chosen, choice.because.clone());
        }
        self.note(format!("epoch {number}: {}", choice.because));
        self.reason = Some(choice.because.clone());
        self.actions.push(Action::Commit(epoch));
    }

    pub(super) fn electing(&mut self) -> Option<Phase> {
        if let Some(why) = self.book.trouble() {
            self.reason = Some(why.to_owned());
            // Whether the epoch is on disk is read again before anything else is decided.
            self.change.as_mut()?.choice = None;
            return Some(Stalled);
        }
        let change = self.change.as_ref()?;
        match change.choice {
            Some(chosen) if chosen.commit == Commit::Done => return Some(Promoting),
            Some(_) => return None,
            None => {}
        }
        let number = self.epoch().map_or(1, |epoch| epoch.number + 1);
        match self.elected() {
            Ok(choice) => {
                self.choose(&choice, number);
                None
            }
            Err(why) => {
                self.note(format!("nobody is elected: {why}"));
                Some(Gathering)
            }
        }
    }

    pub(super) fn elected(&self) -> Result<Choice, String> {
        let (Some(change), Some(basis)) = (&self.change, self.basis()) else {
            return Err("nothing is known of the old master".to_owned());
        };
        if let Kind::Handover(to) = change.kind {
            let (index, because) = (to.index, format!("{} has everything", self.name(to.index)));
            let gone = || format!("{} ended before it took over", self.name(index));
            return if self.runs(to) { Ok(Choice { index, because }) } else { Err(gone()) };
        }
        if let Some(choice) = self.predecessor() {
            return Ok(choice);
        }
        elect::choose(&basis, &self.standings(change.fenced.unwrap_or(self.since)))
    }

    /// The master that was open last, when whoever was chosen since was never opened: nobody has
    /// written since, and its own disk holds everything that it acknowledged.
    pub(super) fn predecessor(&self) -> Option<Choice> {
        let (reign, epoch) = (self.reign.as_ref()?, self.epoch()?);
        let index = reign.server.index;
        if reign.epoch >= epoch.number || index == epoch.master {
            return None;
        }
        let life = self.members.life(index).filter(|life| !life.hung(&self.config))?;
        let report = life.report.as_ref()?;
        let whole = !report.writable && !report.blank && report.loading.is_none() && report.copying.is_none();
        let because = format!("{} has everything, and nobody was opened since", self.name(index));
        whole.then_some(Choice { index, because })
    }

    pub(super) fn promote(&mut self) {
        let Some(chosen) = self.change.as_ref().and_then(|change| change.choice) else { return };
        let writable = self.members.report(chosen.server.index).is_some_and(|report| report.writable);
        // Promoted again under the same epoch it begins alone.
        if self.runs(chosen.server) && !writable && self.unvouched(chosen.epoch.number) {
            self.command(chosen.server, RoleChange::Promote);
        }
    }

    pub(super) fn promoting(&mut self) -> Option<Phase> {
        let chosen = self.change.as_ref()?.choice?;
        if !self.runs(chosen.server) {
            return Some(self.lost_before_opening(None));
        }
        let life = self.members.life(chosen.server.index)?;
        if life.report.as_ref().is_some_and(|report| report.writable) {
            self.change.as_mut()?.promoted = Some(self.now);
            return Some(Repointing);
        }
        let (idle, hung) = (life.free(self.now), life.hung(&self.config));
        let returns = hung && self.kind() != Kind::Opening && self.predecessor().is_some();
        if returns || self.replaceable(chosen.server) {
            return Some(self.lost_before_opening(Some(chosen.server)));
        }
        if idle {
            self.promote();
        }
        None
    }

    /// The chosen one failed. Nobody wrote to it yet, so that the other replicas are measured
    /// against the same old master.
    pub(super) fn lost_before_opening(&mut self, target: Option<Server>) -> Phase {
        if target.is_none() && self.kind() == Kind::Opening {
            self.change = None;
            return Gathering;
        }
        if let Kind::Handover(to) = self.kind() {
            self.answer_wish(Err(format!("{} failed before it was opened", self.name(to.index))));
        }
        let now = self.now;
        if let Some(change) = &mut self.change {
            (change.kind, change.target, change.choice) = (Kind::Failure, target, None);
            change.fenced = target.is_none().then_some(now);
        }
        if target.is_some() { Fencing } else { Draining }
    }

    /// What the old master was last heard to have, and from where the new one goes on. A member
    /// that succeeds itself counts its positions anew.
    fn joint(&self, new: Server, new_position: u64) -> Option<Joint> {
        let old = self.reign.as_ref().filter(|old| old.server.index != new.index)?;
        let (old_heard, _) = *old.heard.back()?;
        Some(Joint { old_position: old.position, old_heard, new_position })
    }

    pub(super) fn open(&mut self) {
        let Some(change) = &self.change else { return };
        let Some(chosen) = change.choice else { return };
        let report = self.members.report(chosen.server.index);
        let (history, position, writes) =
            report.map_or_else(Default::default, |r| (r.history.clone(), r.position, r.writes));
        let joint = self.joint(chosen.server, position);
        let histories = [history].into();
        let heard: VecDeque<_> = [(self.now, position)].into();
        let path = heard.clone();
        let (server, addr, opened, epoch) = (chosen.server, chosen.addr, self.now, chosen.epoch.number);
        // The same process goes on: what is doubtful about it stays so.
        let same = self.reign.take().filter(|reign| reign.server == server);
        let (gone, whole) = same.map(|reign| (reign.gone, reign.whole)).unwrap_or_default();
        let whole = whole.filter(|_| !self.config.guards_at_front);
        self.reign = Some(Reign {
            server,
            addr,
            histories,
            position,
            heard,
            path,
            opened,
            ended: None,
            epoch,
            gone,
            whole,
            writes,
        });
        self.accounts.begin(change.account(self.now, joint));
        // Another one than before follows the new master, and refuses writes as its slave.
        if change.paused.is_some() && change.old == server.index {
            self.command(server, RoleChange::ResumeWrites);
        }
        // Where the disk vouches for a slave, writes wait until it no longer does.
        let acks = self.acks(false).map(|acks| acks.max(u32::from(self.pledged(epoch))));
        self.actions.push(self.front.open(addr, epoch, acks));
    }
}

impl Change {
    pub(super) fn new(kind: Kind, cause: String, old: u32, target: Option<Server>, now: Moment) -> Self {
        Self {
            kind,
            cause,
            old,
            target,
            detected: now,
            paused: None,
            fenced: None,
            choice: None,
            because: String::new(),
            promoted: None,
        }
    }

    fn account(&self, now: Moment, joint: Option<Joint>) -> Option<Account> {
        let chosen = self.choice?;
        let promoted = self.promoted?;
        (self.kind != Kind::Opening).then(|| Account {
            cause: self.cause.clone(),
            because: self.because.clone(),
            old_master: self.old,
            new_master: chosen.server.index,
            epoch: chosen.epoch.number,
            detected: self.detected,
            fenced: self.fenced.unwrap_or(promoted),
            promoted,
            opened: now,
            first_write: None,
            resynchronised: None,
            joint,
        })
    }
}
