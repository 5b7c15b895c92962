//! The condition of every edge, and what is done on arrival.

use crate::failover::dialect::RoleChange;
use crate::failover::edges::Phase::{self, *};
use crate::failover::elect::{self, Choice, Opening};
use crate::failover::event::{Account, Action, Moment, Server};
use crate::model::Epoch;

use super::{Book, Change, Chosen, Commit, Group, Kind, Reign};

impl Group {
    /// The phase to go to now, if any.
    pub(super) fn step(&mut self) -> Option<Phase> {
        match self.phase {
            Gathering => self.gather(),
            Stalled => self.stalled(),
            Steady | Suspect | Repointing => self.watch(),
            Gating => self.gating(),
            Fencing => self.fencing(),
            Draining => self.draining(),
            Electing => self.electing(),
            Promoting => self.promoting(),
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        match phase {
            Gathering => self.gate(),
            Gating => self.enter_gating(),
            Fencing => self.enter_fencing(),
            Draining => self.enter_draining(),
            Promoting => self.promote(),
            Repointing => self.open(),
            Steady => self.enter_steady(),
            Stalled => self.refuse(),
            Suspect | Electing => {}
        }
    }

    // --- no master is open

    fn opening(&self) -> Opening {
        let service = &self.config.service;
        let fenced = self.change.as_ref().and_then(|change| change.fenced).unwrap_or_default();
        let epoch = match &self.book {
            Book::Reading => return Opening::Wait("reading the store".to_owned()),
            Book::Unreadable { why, .. } => return Opening::Stall(why.clone()),
            Book::Read(_) if !self.observed => return Opening::Wait("looking for the members".to_owned()),
            Book::Read(epoch) => *epoch,
        };
        let all = self.standings(Moment::default());
        let opening = match epoch {
            None => elect::first(service, &all),
            Some(epoch) => {
                let standings = self.members.values().map(|member| {
                    let fresh = if member.index == epoch.master { Moment::default() } else { fenced };
                    member.standing(fresh, self.now, &self.config, self.restarting(member.index))
                });
                let standings: Vec<_> = standings.collect();
                elect::again(epoch, self.basis().as_ref(), service, &standings)
            }
        };
        match (opening, self.rogue()) {
            (Opening::Wait(_) | Opening::Stall(_), _) if self.word(epoch).is_some() => {
                Opening::Name(self.word(epoch).expect("just looked at"))
            }
            (Opening::Again | Opening::Elect | Opening::Name(_), Some(rogue)) => Opening::Wait(format!(
                "{} is a master though another one is recorded: ending it",
                self.name(rogue.index)
            )),
            (opening, _) => opening,
        }
    }

    /// The member a person named, if it may be promoted: only while the recorded master is
    /// certainly not running, and not while it may just be starting again.
    fn word(&self, epoch: Option<Epoch>) -> Option<Choice> {
        if self.phase != Stalled && self.now.since(self.since) < self.config.lonely {
            return None;
        }
        let index = self.wish.as_ref()?.to?;
        let report = self.members.get(&index)?.report()?;
        let dead = epoch.is_none_or(|epoch| epoch.master == index || self.server(epoch.master).is_none());
        let because = format!("{} was named", self.name(index));
        (dead && report.loading.is_none()).then_some(Choice { index, because })
    }

    /// A server that accepts writes although the store names another master.
    pub(super) fn rogue(&self) -> Option<Server> {
        let master = self.epoch()?.master;
        let others = self.members.values().filter(|member| member.index != master);
        others
            .filter(|member| member.report().is_some_and(|report| report.writable))
            .find_map(|m| Some(m.life.as_ref()?.server))
    }

    fn gather(&mut self) -> Option<Phase> {
        match self.opening() {
            Opening::Wait(why) => self.wait(why),
            Opening::Stall(why) => {
                self.reason = Some(why);
                Some(Stalled)
            }
            Opening::Name(choice) => self.determined(choice),
            Opening::Again => self.reopen(),
            Opening::Elect => {
                if let Some(silent) = self.unheard() {
                    return self.wait(format!("waiting for {} to answer before one is elected", self.name(silent)));
                }
                let cause = "the master was found dead";
                self.ensure_failure(cause, None);
                Some(Draining)
            }
            Opening::Fence => {
                let target = self.epoch().and_then(|epoch| self.server(epoch.master));
                self.ensure_failure("no answer", target);
                Some(Gating)
            }
        }
    }

    /// A running member that was never heard: at the start of a daemon any of them may be the
    /// most advanced. A driver that saw the master alive knows them, and only drains.
    fn unheard(&self) -> Option<u32> {
        let unheard = |member: &&super::member::Member| {
            let life = member.life.as_ref().filter(|life| !life.hung(&self.config));
            life.is_some_and(|life| life.report.is_none() && life.complaint.is_none())
        };
        self.members.values().filter(|_| self.reign.is_none()).find(unheard).map(|member| member.index)
    }

    fn wait(&mut self, why: String) -> Option<Phase> {
        self.reason = Some(why);
        None
    }

    fn stalled(&mut self) -> Option<Phase> {
        match self.opening() {
            Opening::Stall(why) => self.wait(why),
            Opening::Name(choice) => self.determined(choice),
            _ => Some(Gathering),
        }
    }

    fn determined(&mut self, choice: Choice) -> Option<Phase> {
        let number = self.epoch().map_or(1, |epoch| epoch.number + 1);
        self.ensure_change(Kind::Opening, "no master is open", choice.index);
        self.choose(&choice, number);
        Some(Electing)
    }

    /// The recorded master again: under the next epoch when its death was noticed, so that
    /// this has a receipt of its own, else under the same.
    fn reopen(&mut self) -> Option<Phase> {
        let epoch = self.epoch()?;
        let index = epoch.master;
        let because = format!("{} is the recorded master", self.name(index));
        if self.change.as_ref().is_some_and(|change| change.kind == Kind::Failure) {
            self.choose(&Choice { index, because }, epoch.number + 1);
            return Some(Electing);
        }
        self.change = Some(Change::new(Kind::Opening, because.clone(), index, None, self.now));
        let chosen = self.chosen(index, epoch, Commit::Done)?;
        self.change.as_mut()?.choice = Some(chosen);
        self.reason = Some(because);
        Some(Promoting)
    }

    fn chosen(&self, index: u32, epoch: Epoch, commit: Commit) -> Option<Chosen> {
        let server = self.server(index)?;
        Some(Chosen { server, addr: self.members.get(&index)?.addr, epoch, commit })
    }

    /// Writes the choice down and sends its epoch to the disk.
    fn choose(&mut self, choice: &Choice, number: u64) {
        let epoch = Epoch { number, master: choice.index };
        let chosen = self.chosen(choice.index, epoch, Commit::Asked);
        if let Some(change) = &mut self.change {
            change.choice = chosen;
        }
        self.note(format!("epoch {number}: {}", choice.because));
        self.reason = Some(choice.because.clone());
        self.actions.push(Action::Commit(epoch));
    }

    // --- a change begins

    fn ensure_change(&mut self, kind: Kind, cause: &str, old: u32) {
        if self.change.is_none() {
            self.change = Some(Change::new(kind, cause.to_owned(), old, None, self.now));
        }
    }

    fn ensure_failure(&mut self, cause: &str, target: Option<Server>) {
        let old = self.epoch().map_or(0, |epoch| epoch.master);
        match &mut self.change {
            Some(change) if change.kind == Kind::Failure => change.target = target.or(change.target),
            change => *change = Some(Change::new(Kind::Failure, cause.to_owned(), old, target, self.now)),
        }
        self.reason = Some(format!("{}: {cause}", self.name(old)));
    }

    // --- a master is open

    fn watch(&mut self) -> Option<Phase> {
        let Some(server) = self.reign.as_ref().map(|reign| reign.server) else {
            return Some(Gathering);
        };
        if self.planned.as_ref().is_some_and(|planned| planned.server == server) {
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
        let life = self.members.get(&server.index)?.life.as_ref()?;
        match (self.phase, life.misses + life.busy > 0) {
            (Suspect, false) => Some(Steady),
            (Suspect, true) => self.suspect(server),
            (_, true) => Some(Suspect),
            (Repointing, false) => self.repointing(),
            (_, false) => self.wishes(),
        }
    }

    fn failed(&mut self, cause: &str, target: Option<Server>) -> Option<Phase> {
        self.change = None;
        self.ensure_failure(cause, target);
        Some(Gating)
    }

    /// Somebody else made the open master a slave.
    fn demoted(&self, server: Server) -> bool {
        let life = self.members.get(&server.index).and_then(|member| member.life.as_ref());
        let opened = self.reign.as_ref().map(|reign| reign.opened).unwrap_or_default();
        life.is_some_and(|life| {
            life.report_asked > opened && life.report.as_ref().is_some_and(|report| !report.writable)
        })
    }

    fn suspect(&mut self, server: Server) -> Option<Phase> {
        let life = self.members.get(&server.index)?.life.as_ref()?;
        let silence = self.now.since(life.heard.unwrap_or(life.since)).as_millis();
        let cause = if life.refused { "connection refused".to_owned() } else { format!("no answer for {silence} ms") };
        if self.replaceable(server) {
            return self.failed(&cause, Some(server));
        }
        if life.misses >= self.config.misses {
            self.reason = Some(format!("{}: {cause}, and nobody could take over", self.name(server.index)));
        }
        None
    }

    /// Hung, and either somebody could take over or it has been hung for very long.
    fn replaceable(&self, server: Server) -> bool {
        let standings = self.standings(Moment::default());
        let Some(own) = standings.iter().find(|standing| standing.index == server.index) else { return false };
        let others: Vec<_> = standings.iter().filter(|standing| standing.index != server.index).copied().collect();
        // What the master wrote since a replica's last report does not count against it here:
        // the election itself asks again.
        let lax = self.basis().map(|basis| elect::Basis { position: 0, ..basis });
        own.hung && (own.lost || lax.is_some_and(|basis| elect::choose(&basis, &others).is_ok()))
    }

    /// A switchover that was asked for, or that a member's leaving needs.
    fn wishes(&mut self) -> Option<Phase> {
        let master = self.reign.as_ref()?.server.index;
        let leaving = self.members.get(&master).is_some_and(|member| member.leaving);
        let wanted = self.wish.as_ref().map(|wish| wish.to);
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
                let cause = format!("planned switchover to {}", self.name(choice.index));
                self.reason = Some(cause.clone());
                self.change = Some(Change::new(Kind::Handover(choice.index), cause, master, None, self.now));
                Some(Gating)
            }
            Err(why) => {
                if leaving {
                    self.reason = Some(format!("{} is to leave, but {why}", self.name(master)));
                }
                if self.wish.as_ref().is_some_and(|wish| wish.until <= self.now) {
                    self.answer_wish(Err(why));
                }
                None
            }
        }
    }

    pub(super) fn answer_wish(&mut self, outcome: Result<u32, String>) {
        if self.wish.take().is_some() {
            self.actions.push(Action::AnswerSwitchover(outcome));
        }
    }

    fn repointing(&mut self) -> Option<Phase> {
        let acknowledged = self.front.done >= self.front.order;
        if acknowledged && let Some(account) = self.account.as_mut().filter(|account| !account.stored) {
            account.stored = true;
            account.facts.opened = self.now;
            self.actions.push(Action::Record(account.facts.clone()));
        }
        let late = self.now.since(self.since) >= self.config.repoint_limit;
        (acknowledged && (late || self.astray().is_empty())).then_some(Steady)
    }

    // --- gate, fence, drain

    fn kind(&self) -> Kind {
        self.change.as_ref().map_or(Kind::Opening, |change| change.kind)
    }

    fn target(&self) -> Option<Server> {
        self.change.as_ref()?.target.filter(|target| self.runs(*target))
    }

    fn enter_gating(&mut self) {
        self.gate();
        // The kill call is slow: it runs while the front is being gated.
        if let Some(target) = self.target() {
            self.kill(target);
        }
    }

    fn gating(&mut self) -> Option<Phase> {
        let gated = self.front.done >= self.front.order || self.now.since(self.since) >= self.config.gate_limit;
        match self.kind() {
            Kind::Handover(_) => gated.then_some(Draining),
            _ => gated.then_some(Fencing),
        }
    }

    fn enter_fencing(&mut self) {
        match self.kind() {
            Kind::Handover(to) => {
                let old = self.change.as_ref().and_then(|change| self.server(change.old));
                let addr = self.members.get(&to).map(|member| member.addr);
                if let (Some(old), Some(addr)) = (old, addr) {
                    self.command(old, RoleChange::Follow(addr));
                }
            }
            _ => self.press(),
        }
    }

    /// Kills the target unless that was tried a moment ago.
    fn press(&mut self) {
        let Some(target) = self.target() else { return };
        let killed = self.members.get(&target.index).and_then(|m| m.life.as_ref()).and_then(|life| life.killed);
        if killed.is_none_or(|at| self.now.since(at) >= self.config.retry) {
            self.kill(target);
        }
    }

    fn fencing(&mut self) -> Option<Phase> {
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
    fn demoting(&mut self) -> Option<Phase> {
        let old = self.change.as_ref()?.old;
        let Some(life) = self.members.get(&old).and_then(|member| member.life.as_ref()) else {
            self.unplanned("container died", None);
            return Some(Draining);
        };
        let server = life.server;
        let demoted = life.report_asked > self.since || life.command.is_none();
        if demoted && life.report.as_ref().is_some_and(|report| !report.writable) {
            return Some(Electing);
        }
        if self.now.since(self.since) >= self.config.handover_limit {
            self.unplanned("it did not accept being demoted", Some(server));
            self.press();
        }
        None
    }

    /// A planned switchover that has become a failure.
    fn unplanned(&mut self, cause: &str, target: Option<Server>) {
        if let Some(change) = &mut self.change {
            *change = Change::new(Kind::Failure, cause.to_owned(), change.old, target, self.now);
        }
        self.since = self.now;
    }

    fn enter_draining(&mut self) {
        let now = self.now;
        match self.kind() {
            Kind::Handover(_) => {
                if let Some(old) = self.change.as_ref().and_then(|change| self.server(change.old)) {
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

    fn draining(&mut self) -> Option<Phase> {
        if let Kind::Handover(to) = self.kind() {
            let old = self.change.as_ref()?.old;
            if self.server(old).is_some() {
                return self.catching_up(old, to);
            }
            self.unplanned("container died", None);
            self.enter_draining();
        }
        let drained = self.undrained().is_empty() || self.now.since(self.since) >= self.config.drain_limit;
        drained.then_some(Electing)
    }

    /// Replicas of the old master that have not yet said that their link is down.
    fn undrained(&self) -> Vec<u32> {
        let (Some(basis), Some(change)) = (self.basis(), &self.change) else { return Vec::new() };
        let fresh = change.fenced.unwrap_or(self.since);
        let waited = |member: &&super::member::Member| {
            let follows = member.report().is_some_and(|r| r.upstream == Some(basis.upstream) && r.was_linked);
            let standing = member.standing(fresh, self.now, &self.config, false);
            member.index != change.old
                && follows
                && !standing.hung
                && standing.report.is_none_or(|report| report.link_up)
        };
        self.members.values().filter(waited).map(|member| member.index).collect()
    }

    fn catching_up(&mut self, old: u32, to: u32) -> Option<Phase> {
        let paused = self.change.as_ref()?.paused;
        let known = |index: u32| {
            let life = self.members.get(&index)?.life.as_ref()?;
            let report = life.report.as_ref()?;
            (paused.is_some_and(|paused| life.report_asked >= paused)).then_some(report)
        };
        if let (Some(master), Some(slave)) = (known(old), known(to))
            && slave.link_up
            && slave.history == master.history
            && slave.position >= master.position
        {
            return Some(Fencing);
        }
        let late = self.now.since(self.since) >= self.config.handover_limit;
        if !late && self.server(to).is_some() {
            return None;
        }
        let why = format!("{} did not catch up", self.name(to));
        self.answer_wish(Err(why.clone()));
        self.handover_after = self.now.after(self.config.retry * 4);
        let epoch = self.epoch()?;
        let chosen = self.chosen(old, epoch, Commit::Done);
        let change = self.change.as_mut()?;
        (change.choice, change.kind) = (chosen, Kind::Opening);
        self.reason = Some(why);
        Some(Repointing)
    }

    // --- elect, commit, promote

    fn electing(&mut self) -> Option<Phase> {
        if let Book::Unreadable { why, .. } = &self.book {
            self.reason = Some(why.clone());
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

    fn elected(&self) -> Result<Choice, String> {
        let (Some(change), Some(basis)) = (&self.change, self.basis()) else {
            return Err("nothing is known of the old master".to_owned());
        };
        if let Kind::Handover(index) = change.kind {
            let because = format!("{} has everything", self.name(index));
            let able = self.server(index).is_some();
            return if able { Ok(Choice { index, because }) } else { Err("it died".to_owned()) };
        }
        elect::choose(&basis, &self.standings(change.fenced.unwrap_or(self.since)))
    }

    fn promote(&mut self) {
        let Some(chosen) = self.change.as_ref().and_then(|change| change.choice) else { return };
        let life = self.members.get(&chosen.server.index).and_then(|member| member.life.as_ref());
        let writable = life.is_some_and(|life| life.report.as_ref().is_some_and(|report| report.writable));
        if self.runs(chosen.server) && !writable {
            self.command(chosen.server, RoleChange::Promote);
        }
    }

    fn promoting(&mut self) -> Option<Phase> {
        let chosen = self.change.as_ref()?.choice?;
        if !self.runs(chosen.server) {
            return Some(self.lost_before_opening(None));
        }
        let life = self.members.get(&chosen.server.index)?.life.as_ref()?;
        if life.report.as_ref().is_some_and(|report| report.writable) {
            self.change.as_mut()?.promoted = Some(self.now);
            return Some(Repointing);
        }
        let idle = life.free(self.now);
        if self.replaceable(chosen.server) {
            return Some(self.lost_before_opening(Some(chosen.server)));
        }
        if idle {
            self.promote();
        }
        None
    }

    /// The chosen one failed. Nobody wrote to it yet, so that the other replicas are measured
    /// against the same old master.
    fn lost_before_opening(&mut self, target: Option<Server>) -> Phase {
        if target.is_none() && self.kind() == Kind::Opening {
            self.change = None;
            return Gathering;
        }
        let now = self.now;
        if let Some(change) = &mut self.change {
            (change.kind, change.target, change.choice) = (Kind::Failure, target, None);
            change.fenced = target.is_none().then_some(now);
        }
        if target.is_some() { Fencing } else { Draining }
    }

    fn open(&mut self) {
        let Some(change) = &self.change else { return };
        let Some(chosen) = change.choice else { return };
        let report = self.members.get(&chosen.server.index).and_then(|member| member.report());
        let (history, position, writes) =
            report.map_or_else(Default::default, |r| (r.history.clone(), r.position, r.writes));
        let histories = [history].into();
        let heard = [(self.now, position)].into();
        let (server, addr, opened) = (chosen.server, chosen.addr, self.now);
        self.reign = Some(Reign { server, addr, histories, position, heard, opened, writes });
        self.account = change.account(self.now).map(|facts| super::status::Entry { facts, stored: false });
        let resumed = change.paused.is_some().then(|| self.server(change.old)).flatten();
        if let Some(old) = resumed {
            self.command(old, RoleChange::ResumeWrites);
        }
        self.front.order += 1;
        self.front.gated = false;
        let (order, epoch) = (self.front.order, chosen.epoch.number);
        self.actions.push(Action::Open { order, master: chosen.addr, epoch });
    }

    fn enter_steady(&mut self) {
        let master = self.reign.as_ref().map(|reign| reign.server.index);
        let handed = self.change.take().is_some_and(|change| change.kind != Kind::Opening);
        if let (Some(master), true) = (master, handed) {
            self.answer_wish(Ok(master));
        }
        self.reason = None;
    }

    fn refuse(&mut self) {
        self.front.order += 1;
        self.front.gated = false;
        let why = self.reason.clone().unwrap_or_default();
        self.actions.push(Action::Refuse { order: self.front.order, why });
    }
}

impl Change {
    fn new(kind: Kind, cause: String, old: u32, target: Option<Server>, now: Moment) -> Self {
        Self { kind, cause, old, target, detected: now, paused: None, fenced: None, choice: None, promoted: None }
    }

    fn account(&self, now: Moment) -> Option<Account> {
        let chosen = self.choice?;
        let promoted = self.promoted?;
        (self.kind != Kind::Opening).then(|| Account {
            cause: self.cause.clone(),
            old_master: self.old,
            new_master: chosen.server.index,
            epoch: chosen.epoch.number,
            detected: self.detected,
            fenced: self.fenced.unwrap_or(promoted),
            promoted,
            opened: now,
            first_write: None,
            resynchronised: None,
        })
    }
}
