//! What is published of a group.

use std::collections::BTreeSet;

use crate::failover::dialect::{Motion, Standpoint};
use crate::model::{GroupStatus, MemberStatus, Role, SyncState};

use super::Electorate;
use super::member::Member;

impl Electorate {
    pub fn status(&self) -> GroupStatus {
        let open = self.reign.is_some() && self.front.obeyed();
        // Elections need no ledger: it is only said.
        let unread = || self.book.trouble().map(str::to_owned);
        let changing = self.wish.is_asked() || self.restart.is_planned() || self.handover.is_some();
        GroupStatus {
            phase: self.phase().to_owned(),
            settled: open && !changing && !self.is_departing(),
            reason: self.reason.clone().or_else(|| self.complaint()).or_else(unread),
            epoch: self
                .reign
                .map(|reign| crate::model::Epoch { number: reign.term, master: reign.server.index })
                .or_else(|| self.epoch()),
            members: self.members.values().map(|member| self.member_status(member)).collect(),
            bound: self.bound(),
        }
    }

    fn phase(&self) -> &'static str {
        let motion = self.pending.as_ref().map(|(_, motion)| motion);
        match motion {
            _ if self.stalled => "stalled",
            Some(Motion::Found(_)) => "founding",
            _ if self.handover.is_some() => "switching",
            _ if self.reign.is_none() && self.loss.is_some() => "electing",
            _ if self.reign.is_none() => "gathering",
            Some(Motion::Reconfigure(_)) => "reconfiguring",
            _ => "steady",
        }
    }

    /// Members that count in elections, or may: nothing of them is discarded.
    fn bound(&self) -> BTreeSet<u32> {
        let config = self.reign.and_then(|reign| self.members.get(reign.server.index)?.ballot()?.config.as_ref());
        let named = |index: &u32| config.is_none_or(|config| config.member(*index).is_some());
        self.members.values().map(|member| member.index).filter(named).collect()
    }

    fn is_departing(&self) -> bool {
        let bound = self.bound();
        self.members.values().any(|member| member.leaving && bound.contains(&member.index))
    }

    fn complaint(&self) -> Option<String> {
        let (index, complaint) = self.members.complaint()?;
        Some(format!("{} {complaint}", self.name(index)))
    }

    fn member_status(&self, member: &Member) -> MemberStatus {
        let answers = member.life.as_ref().is_some_and(|life| life.misses < self.config.misses);
        let report = member.report().filter(|_| answers);
        let standpoint = member.standpoint().filter(|_| answers);
        let leads = self.reign.is_some_and(|reign| Some(reign.server) == self.server(member.index));
        let role = match standpoint {
            None | Some(Standpoint::Unfounded | Standpoint::Starting | Standpoint::Removed) => Role::Unknown,
            Some(Standpoint::Primary) if leads => Role::Master,
            Some(_) => Role::Slave,
        };
        MemberStatus {
            index: member.index,
            role,
            sync: sync(standpoint, report.and_then(|report| report.copying.flatten())),
            lag_seconds: report.and_then(|report| report.lag_seconds),
            position: report.map(|report| report.position),
            server_version: report.and_then(|report| report.version.clone()),
            used_memory: report.and_then(|report| report.used_memory),
        }
    }
}

fn sync(standpoint: Option<Standpoint>, percent: Option<u8>) -> SyncState {
    match standpoint {
        None => SyncState::Down,
        Some(Standpoint::Primary | Standpoint::Secondary) => SyncState::Synchronized,
        Some(Standpoint::Synchronizing) => SyncState::Synchronizing { percent },
        Some(Standpoint::Starting) => SyncState::Synchronizing { percent: None },
        Some(Standpoint::Unfounded | Standpoint::Removed) => SyncState::Detached,
    }
}
