//! What is done whenever something happened: found the group, change its configuration, hand the
//! primary's role over, ask how things are, and when to look again.

use std::time::Duration;

use crate::failover::book::Book;
use crate::failover::dialect::{Motion, SetMember, Standpoint};
use crate::failover::event::{Action, Moment, Server};

use super::change::{self, Next, Seated};
use super::member::{Life, Member};
use super::{Electorate, Handover};

/// How long a planned handover may take before it is given up.
const HANDOVER_LIMIT: Duration = Duration::from_secs(15);
/// Seconds for which nobody else stands for election, at most, while one member is meant.
const FROZEN: u32 = 30;

impl Electorate {
    pub(super) fn tend(&mut self) {
        self.actions.extend(self.book.read_again(self.now));
        self.forget_plan();
        self.keep_account();
        self.give_up_handover();
        self.wishes();
        if self.pending.is_none() && self.motion_after <= self.now {
            self.move_on();
        }
        self.release_restart();
        self.refuse_wish();
        self.probe();
    }

    /// When `handle` is to be called with `Ticked` at the latest.
    pub fn next_timeout(&self) -> Moment {
        let mut times = vec![self.now.after(Duration::from_secs(1)), self.motion_after];
        times.extend(self.members.lives().filter_map(|life| self.ask_due(life)));
        times.extend(self.restart.until());
        times.extend(self.wish.until());
        times.extend(self.front.gated().map(|since| since.after(self.config.gate_limit)));
        times.extend(self.book.again());
        self.now.first_of(times)
    }

    // --- one thing after the other

    fn move_on(&mut self) {
        let Some(reign) = self.reign else { return self.found() };
        if let Some((server, motion)) = self.handing_over().or_else(|| self.sparing()).or_else(|| self.thawed()) {
            return self.ask_of(server, motion);
        }
        let Some(ballot) = self.fresh(reign.server.index) else { return };
        let (furnished, config) = (ballot.furnished, ballot.config.clone());
        if let Some(there) = furnished.filter(|there| !there.login || !there.concern) {
            return self.ask_of(reign.server, Motion::Furnish(there));
        }
        if let (Some(config), None, false) = (config, &self.handover, self.restart.is_planned()) {
            self.reconfigure(reign.server, &config);
        }
    }

    fn reconfigure(&mut self, primary: Server, config: &crate::failover::dialect::SetConfig) {
        match change::next(&self.config.service, config, primary.index, &self.seats()) {
            Next::Nothing => self.reason = None,
            Next::Wait(why) => self.reason = Some(why),
            Next::StepDown => {
                let cause = format!("{} is scaled away", self.name(primary.index));
                self.begin_handover(primary, None, cause);
            }
            Next::Reconfigure { config, because } => {
                self.note(because);
                self.ask_of(primary, Motion::Reconfigure(config));
            }
        }
    }

    fn seats(&self) -> Vec<Seated> {
        let seat = |member: &Member| Seated {
            index: member.index,
            host: self.advertised.get(&member.index).map(ToString::to_string),
            leaving: member.leaving,
            counts: member.counts(),
            standpoint: self.fresh(member.index).map(|ballot| ballot.standpoint),
        };
        self.members.values().map(seat).collect()
    }

    // --- the beginning

    /// A group is founded when every member said that it belongs to none, and none ever was: who
    /// founds another one beside it would lose the first one's data.
    fn found(&mut self) {
        if !self.observed || self.book == Book::Reading || self.members.is_empty() {
            return;
        }
        if self.members.values().filter_map(Member::standpoint).any(|standpoint| standpoint != Standpoint::Unfounded) {
            return self.wait(self.without_primary());
        }
        let silent = self.members.values().map(|member| member.index).find(|index| self.fresh(*index).is_none());
        if let Some(silent) = silent {
            return self.wait(format!("waiting for {} to answer", self.name(silent)));
        }
        let named = self.wish.named().filter(|index| self.members.get(*index).is_some());
        let first = self.members.values().find(|member| !member.leaving).map(|member| member.index);
        let first = match (&self.book, named) {
            (Book::Read(None), _) => first,
            (_, Some(named)) => Some(named),
            (Book::Read(Some(epoch)), None) => {
                return self.stall(format!(
                    "no member holds data, though {} was primary in term {}: `dotcloud switchover {service} \
                     {service}.0` begins anew with it",
                    self.name(epoch.master),
                    epoch.number,
                    service = self.config.service,
                ));
            }
            (Book::Unreadable { why, .. }, None) => return self.stall(why.clone()),
            (Book::Reading, None) => None,
        };
        let host = first.and_then(|first| Some((first, self.advertised.get(&first)?.to_string())));
        let (Some((id, host)), Some(server)) = (host, first.and_then(|first| self.server(first))) else {
            return self.wait("the members' addresses are not open yet".to_owned());
        };
        // Its terms begin anew.
        (self.stalled, self.floor) = (false, 0);
        self.ask_of(server, Motion::Found(SetMember { id, host, votes: true }));
    }

    /// What keeps the members from electing, as far as they tell.
    fn without_primary(&self) -> String {
        let known = self.members.values().filter_map(|member| member.ballot()?.config.as_ref());
        let Some(config) = known.max_by_key(|config| config.version) else {
            return "the members wait for the group's configuration".to_owned();
        };
        let there = config.voters().filter(|voter| self.members.get(voter.id).is_some_and(Member::counts)).count();
        let (all, needed) = (config.voters().count(), config.majority());
        if there < needed {
            return format!("{there} of {all} voters are there, and {needed} make a majority");
        }
        "the members elect a primary".to_owned()
    }

    fn wait(&mut self, why: String) {
        (self.reason, self.stalled) = (Some(why), false);
    }

    fn stall(&mut self, why: String) {
        (self.reason, self.stalled) = (Some(why), true);
    }

    // --- planned changes of primary

    /// A switchover that was asked for.
    fn wishes(&mut self) {
        let (Some(reign), Some(to), None) = (self.reign, self.wish.wanted(), &self.handover) else { return };
        if to == Some(reign.server.index) {
            return self.answer_wish(Ok(reign.server.index));
        }
        let able = |member: &Member| {
            let votes = self
                .members
                .get(reign.server.index)
                .and_then(Member::ballot)
                .and_then(|ballot| Some(ballot.config.as_ref()?.member(member.index)?.votes));
            member.index != reign.server.index
                && to.is_none_or(|to| to == member.index)
                && member.standpoint() == Some(Standpoint::Secondary)
                && member.counts()
                && votes == Some(true)
        };
        if self.members.values().any(able) {
            let whom = to.map_or("any other member".to_owned(), |to| self.name(to));
            self.begin_handover(reign.server, to, format!("planned switchover to {whom}"));
        }
    }

    fn begin_handover(&mut self, from: Server, to: Option<u32>, cause: String) {
        self.reason = Some(cause.clone());
        self.handover = Some(Handover { cause, from, to, began: self.now, asked: false });
        self.gate();
    }

    /// Everybody but the one that is meant stands back, then the primary steps down.
    fn handing_over(&mut self) -> Option<(Server, Motion)> {
        let (from, to) = self.handover.as_ref().filter(|handover| !handover.asked).map(|one| (one.from, one.to))?;
        if let Some(other) = to.and_then(|to| self.standing(&[from.index, to])) {
            return Some((other, Motion::Freeze(FROZEN)));
        }
        if !self.is_gated() {
            return None;
        }
        self.handover.as_mut()?.asked = true;
        Some((from, Motion::StepDown))
    }

    /// The first member that might be elected besides these.
    fn standing(&self, besides: &[u32]) -> Option<Server> {
        let members = self.members.values().filter(|member| !besides.contains(&member.index) && member.counts());
        let servers = members.filter_map(|member| Some(member.life.as_ref()?.server));
        servers.into_iter().find(|server| !self.frozen.contains(server))
    }

    /// While the primary is restarted on purpose the others leave its role to it.
    fn sparing(&self) -> Option<(Server, Motion)> {
        let (waits, _) = self.restart.waits()?;
        let primary = self.reign.filter(|reign| reign.server == waits)?;
        self.standing(&[primary.server.index]).map(|other| (other, Motion::Freeze(FROZEN)))
    }

    fn thawed(&self) -> Option<(Server, Motion)> {
        if self.handover.is_some() || self.restart.is_planned() {
            return None;
        }
        let primary = self.reign.map(|reign| reign.server);
        self.frozen.iter().find(|server| Some(**server) != primary).map(|server| (*server, Motion::Freeze(0)))
    }

    /// The primary was asked to step down and did not: nothing has changed.
    pub(super) fn stayed(&mut self, why: &str) {
        self.note(format!("the primary did not step down: {why}"));
        self.motion_after = self.now.after(self.config.retry * 4);
        self.answer_wish(Err(why.to_owned()));
        self.end_handover();
    }

    fn give_up_handover(&mut self) {
        let late = |handover: &Handover| self.now.since(handover.began) >= HANDOVER_LIMIT;
        if self.handover.as_ref().is_some_and(late) {
            self.answer_wish(Err("no other member was elected in time".to_owned()));
            self.end_handover();
        }
    }

    fn end_handover(&mut self) {
        self.handover = None;
        self.open_again();
    }

    /// The front was gated for something that did not happen: it leads to whoever is primary now,
    /// the same one or another.
    fn open_again(&mut self) {
        if self.front.gated().is_some() {
            self.reign = None;
        }
    }

    pub(super) fn handed_over(&mut self, to: u32) {
        if self.handover.take().is_some() {
            self.answer_wish(Ok(to));
        }
    }

    /// Whoever asked waits for an answer.
    fn refuse_wish(&mut self) {
        if self.wish.is_late(self.now) && self.handover.is_none() && self.pending.is_none() {
            let why = self.reason.clone().unwrap_or_else(|| "no other member can be elected".to_owned());
            self.answer_wish(Err(why));
        }
    }

    // --- planned restarts

    fn forget_plan(&mut self) {
        if self.restart.is_over(self.now, |index| self.members.server(index)) {
            self.actions.extend(self.restart.give_up());
            self.open_again();
        }
    }

    pub(super) fn withdraw_plan(&mut self, index: u32) {
        if self.restart.concerns(index) {
            self.actions.extend(self.restart.withdraw(index));
            self.open_again();
        }
    }

    /// At once for a secondary; for the primary with the front gated and the others standing back,
    /// unless that takes too long.
    fn release_restart(&mut self) {
        let Some((server, began)) = self.restart.waits() else { return };
        let leads = self.reign.is_some_and(|reign| reign.server == server);
        if leads {
            self.gate();
            let spared = self.sparing().is_none() && self.pending.is_none();
            let late = self.now.since(began) >= self.config.gate_limit * 4;
            if !(self.is_gated() && (spared || late)) {
                return;
            }
        }
        self.actions.extend(self.restart.release());
    }

    // --- reports

    fn probe(&mut self) {
        let due = self.members.lives().filter(|life| self.ask_due(life).is_some_and(|due| due <= self.now));
        let due: Vec<Server> = due.map(|life| life.server).collect();
        let now = self.now;
        for server in due {
            self.members.life_of(server).into_iter().for_each(|life| life.asked.send(now));
            self.actions.push(Action::Ask { server, asked: now });
        }
    }

    fn ask_due(&self, life: &Life) -> Option<Moment> {
        let idle = !life.asked.under_way;
        idle.then(|| life.asked.sent.map_or(self.now, |sent| sent.after(self.ask_pause(life))))
    }

    fn ask_pause(&self, life: &Life) -> Duration {
        let config = &self.config;
        let leads = self.reign.is_some_and(|reign| reign.server == life.server);
        match () {
            () if leads && self.awaits_first_write() => config.ask_soon,
            // What does not answer is not asked in a hurry.
            () if life.misses > 0 && !leads => config.ask_every / 5,
            () if self.reign.is_none() || self.handover.is_some() => config.ask_soon,
            () if leads => config.ask_every / 4,
            () if life.report.as_ref().is_none_or(|report| !report.link_up) => config.ask_every / 4,
            () => config.ask_every,
        }
    }
}
