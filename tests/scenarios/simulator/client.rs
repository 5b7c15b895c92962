//! The client: what it sends, and what it is told.

use super::{MS, Simulator, Thing};
use crate::servers::{Model, Sent, Unread};

/// Clients that wait for an acknowledgement at the same time.
const SESSIONS: usize = 20;

impl Simulator {
    pub(super) fn client_writes(&mut self) {
        let peace = self.faults_until > 0 && self.now > self.faults_until;
        self.soon(2 * MS, if peace { 200 } else { 18 } * MS, Thing::ClientWrites);
        let Some(open) = self.front else { return };
        self.next_write += 1;
        let Some(index) = self.listener(open.addr) else { return };
        let sent = Sent { write: self.next_write, session: open.session, epoch: open.epoch };
        let Some(process) = self.members[index].process.as_mut() else { return };
        if process.frozen {
            // It waits in the socket: whoever goes on after a hang finds it there.
            if process.backlog.len() < SESSIONS {
                process.backlog.push(Unread::Write(sent));
            }
            return;
        }
        self.accept(index, sent);
    }

    /// A request reaches a server; what it does about it is its own affair.
    pub(super) fn accept(&mut self, index: usize, sent: Sent) {
        let now = self.now;
        let member = &mut self.members[index];
        let Some(process) = member.process.as_mut() else { return };
        let writable = process.master && process.held_until <= now && process.listens_at <= now;
        if process.frozen || !writable || process.waiting.len() >= SESSIONS {
            return;
        }
        member.volume.data.push(sent.write);
        process.position += 1;
        process.writes += 1;
        let at_front = self.model == Model::Fronted && self.front.is_none_or(|open| open.acks > 0);
        let waits = process.guarded || at_front;
        if waits {
            process.waiting.push_back(sent);
        }
        let from = process.incarnation;
        self.outcome.writes += 1;
        self.check_accepted(index, sent);
        if !waits {
            self.acknowledged(index, sent);
        }
        self.replicate(from, sent.write);
    }

    /// The server answers a write. A session that was cut does not hear it.
    pub(super) fn acknowledged(&mut self, index: usize, sent: Sent) {
        if self.front.is_some_and(|open| open.session == sent.session) {
            let position = self.members[index].process.as_ref().map_or(0, |process| process.position);
            self.promise(sent.write, index, position);
        }
    }

    pub(super) fn acknowledge(&mut self, to: u64, write: u32) {
        let Some(index) = self.find(to) else { return };
        let process = self.members[index].process.as_mut().expect("found");
        if process.frozen {
            return process.backlog.push(Unread::Acknowledged(write));
        }
        if process.model.waits() {
            let told = process.acknowledged(write);
            told.into_iter().for_each(|sent| self.acknowledged(index, sent));
        }
    }
}
