//! Who was elected, and where the front leads.

use crate::failover::event::{Account, Action, Server};
use crate::model::Epoch;

use super::{Electorate, Loss, Reign};

impl Electorate {
    pub(super) fn lead(&mut self) {
        self.floor = self.floor.max(self.latest_term());
        if let Some(cause) = self.lost() {
            self.lose(cause);
        }
        // Whose restart was allowed to begin is about to end.
        if self.reign.is_none()
            && let Some((server, term)) = self.elected()
            && self.restart.released() != Some(server)
        {
            self.open(server, term);
        }
    }

    /// Why the open primary is none any more.
    fn lost(&self) -> Option<String> {
        let reign = self.reign?;
        let Some(life) = self.members.life(reign.server.index).filter(|life| life.server == reign.server) else {
            return Some("container died".to_owned());
        };
        if let Some((server, term)) = self.elected().filter(|(_, term)| *term > reign.term) {
            return Some(format!("{} was elected in term {term}", self.name(server.index)));
        }
        if life.misses >= self.config.misses {
            return Some(format!("no answer to {} requests", life.misses));
        }
        if let Some(complaint) = &life.complaint {
            return Some(complaint.clone());
        }
        let demoted = life.report_asked > reign.opened && life.report.as_ref().is_some_and(|report| !report.writable);
        demoted.then(|| "it is not primary any more".to_owned())
    }

    /// The member that accepts writes by the latest election.
    fn elected(&self) -> Option<(Server, u64)> {
        let claims = self.members.lives().filter(|life| life.misses < self.config.misses).filter_map(|life| {
            let report = life.report.as_ref().filter(|report| report.writable)?;
            Some((life.server, report.ballot.as_ref()?.term))
        });
        // An older claim is of one who has not heard yet that it was replaced.
        claims.max_by_key(|(_, term)| *term).filter(|(_, term)| *term >= self.floor)
    }

    fn lose(&mut self, cause: String) {
        let Some(reign) = self.reign.take() else { return };
        self.gate();
        let planned = self.restart.server() == Some(reign.server);
        let cause = self.handover.as_ref().map_or(cause, |handover| handover.cause.clone());
        self.note(format!("{} is no longer led to: {cause}", self.name(reign.server.index)));
        self.reason = Some(cause.clone());
        let detected = self.handover.as_ref().map_or(self.now, |handover| handover.began);
        self.loss = Some(Loss { cause, old: reign.server.index, detected, planned });
    }

    fn open(&mut self, server: Server, term: u64) {
        let Some(member) = self.members.get(server.index) else { return };
        let Some(master) = member.addr else { return };
        let writes = member.report().map_or(0, |report| report.writes);
        self.actions.push(self.front.open(master, term, None));
        let epoch = Epoch { number: term, master: server.index };
        let known = self.epoch() == Some(epoch);
        if !known {
            self.actions.push(Action::Commit(epoch));
        }
        self.note(format!("{} was elected in term {term}", self.name(server.index)));
        self.reign = Some(Reign { server, term, opened: self.now, writes });
        (self.reason, self.stalled) = (None, false);
        let forgivable = |loss: &Loss| loss.planned && loss.old == server.index;
        let loss = self.loss.take().filter(|loss| !known && !forgivable(loss));
        self.accounts.begin(loss.map(|loss| self.facts(loss, server.index, term)));
        self.handed_over(server.index);
    }

    /// The majority that elects is the fence: the old primary can confirm nothing any more.
    fn facts(&self, loss: Loss, new_master: u32, term: u64) -> Account {
        Account {
            cause: loss.cause,
            because: format!("the members elected {} in term {term}", self.name(new_master)),
            old_master: loss.old,
            new_master,
            epoch: term,
            detected: loss.detected,
            fenced: self.now,
            promoted: self.now,
            opened: self.now,
            first_write: None,
            resynchronised: None,
            joint: None,
        }
    }

    pub(super) fn awaits_first_write(&self) -> bool {
        self.accounts.awaits_first_write(self.now, self.config.first_write_limit)
    }

    /// Stores the account once the front has opened.
    pub(super) fn keep_account(&mut self) {
        if self.front.gated().is_none() && self.front.obeyed() {
            self.actions.extend(self.accounts.store(self.now));
        }
    }

    /// Adds what the report of this server tells: a first write, an old primary back in step.
    pub(super) fn advance_account(&mut self, server: Server) {
        let awaits_write = self.awaits_first_write();
        let (Some(reign), Some(report)) = (self.reign, self.members.report(server.index)) else { return };
        let wrote = server == reign.server && awaits_write && report.writes > reign.writes;
        let back = report.link_up && self.accounts.awaits_return_of(server.index);
        self.actions.extend(self.accounts.complete(self.now, wrote, back));
    }
}
