//! What is published of a group, and the account of its last failover.

use crate::failover::dialect::MemberReport;
use crate::failover::edges::Phase;
use crate::failover::event::Server;
use crate::model::{GroupStatus, MemberStatus, Role, SyncState};

use super::Group;
use super::member::{Life, Member};

impl Group {
    pub fn status(&self) -> GroupStatus {
        let settled = self.phase == Phase::Steady && !self.wish.is_asked() && !self.restart.is_planned();
        let complaint = || {
            let (index, complaint) = self.members.complaint()?;
            Some(format!("{} {complaint}", self.name(index)))
        };
        GroupStatus {
            phase: self.phase.name().to_owned(),
            settled,
            reason: self.unrecorded().or_else(|| self.reason.clone()).or_else(complaint).or_else(|| self.unguarded()),
            epoch: self.epoch(),
            members: self.members.values().map(|member| self.member_status(member)).collect(),
            bound: self.bound(),
        }
    }

    fn member_status(&self, member: &Member) -> MemberStatus {
        let report = member.report().filter(|_| member.life.as_ref().is_some_and(|life| !life.hung(&self.config)));
        let role = match report {
            None => Role::Unknown,
            Some(report) if report.writable => Role::Master,
            Some(_) => Role::Slave,
        };
        MemberStatus {
            index: member.index,
            role,
            sync: self.sync(member, role),
            lag_seconds: self.lag(member, role),
            position: report.map(|report| report.position),
            server_version: report.and_then(|report| report.version.clone()),
            used_memory: report.and_then(|report| report.used_memory),
        }
    }

    fn sync(&self, member: &Member, role: Role) -> SyncState {
        match member.report().filter(|_| role != Role::Unknown) {
            None => SyncState::Down,
            Some(_) if member.life.as_ref().is_some_and(Life::copies) => {
                SyncState::Synchronizing { percent: member.life.as_ref().and_then(|life| life.own.copied) }
            }
            Some(report) if report.loading.is_some() => SyncState::Synchronizing { percent: report.loading },
            Some(report) if report.writable => SyncState::Synchronized,
            // What it has received it would apply first, were it to become master.
            Some(_) if self.lacking(member) > 1.0 => SyncState::Synchronizing { percent: None },
            Some(_) if member.life.as_ref().is_some_and(Life::follows) && self.secured() => SyncState::Synchronized,
            Some(report) if report.upstream.is_none() => SyncState::Detached,
            Some(report) => SyncState::Synchronizing { percent: report.copying.flatten() },
        }
    }

    /// How long a slave had lacked something when it was last asked, in seconds. What servers say
    /// themselves counts where it is more: some say 0 as long as they hear nothing new. While the
    /// master is silent nobody knows what it has, and the lag grows with the silence. Unknown
    /// without a master and of members that follow somebody else.
    fn lag(&self, member: &Member, role: Role) -> Option<f64> {
        let reign = self.reign.as_ref()?;
        let own = member.report().filter(|report| role == Role::Slave && report.upstream == Some(reign.addr))?;
        let master = self.members.get(reign.server.index)?.life.as_ref();
        let said = |report: &MemberReport| {
            let seen = report.followers.iter().find(|follower| Some(follower.addr) == member.addr);
            seen.filter(|_| own.position < report.position).map(|follower| follower.lag_seconds)
        };
        let seen = master.and_then(|life| life.report.as_ref()).and_then(said);
        let silent = master.is_none_or(|life| life.server != reign.server || life.misses + life.own.busy > 0);
        let last = reign.heard.back().map(|(at, _)| *at).filter(|_| silent);
        let silence = last.map(|at| self.now.since(at).as_secs_f64());
        [seen, silence].into_iter().flatten().chain([self.lacking(member)]).reduce(f64::max)
    }

    /// As far as reports tell, in seconds: of the machine, or of the slave itself.
    fn lacking(&self, member: &Member) -> f64 {
        let Some(life) = &member.life else { return 0.0 };
        let behind = life.own.behind.map_or(0.0, |since| life.report_asked.since(since).as_secs_f64());
        let own = life.report.as_ref().and_then(|report| report.lag_seconds).unwrap_or_default();
        behind.max(own)
    }

    // --- the account

    pub(super) fn awaits_first_write(&self) -> bool {
        self.accounts.awaits_first_write(self.now, self.config.first_write_limit)
    }

    /// Adds what the report of this server tells: a first write, an old master back in step.
    pub(super) fn advance_account(&mut self, server: Server) {
        let awaits_write = self.awaits_first_write();
        let Some(reign) = self.reign.as_mut().filter(|_| self.accounts.is_stored()) else { return };
        let Some(life) = self.members.life(server.index) else { return };
        let Some(report) = &life.report else { return };
        let wrote = server == reign.server && awaits_write && report.writes > reign.writes;
        reign.writes = if server == reign.server { reign.writes.min(report.writes) } else { reign.writes };
        let follows = life.follows() && report.upstream == Some(reign.addr);
        let back = follows && self.accounts.awaits_return_of(server.index);
        self.actions.extend(self.accounts.complete(self.now, wrote, back));
    }
}
