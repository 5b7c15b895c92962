//! Judgement: the next change of a group's configuration, a function of what is known.
//!
//! One change at a time, and of no more than one vote; none after which fewer voters than a
//! majority would be there to decide anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::failover::dialect::{SetConfig, SetMember, Standpoint};

/// A member as a change is judged by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seated {
    pub index: u32,
    /// Where it is to be found; `None` while nobody knows.
    pub host: Option<String>,
    pub leaving: bool,
    /// Votes and confirms at this moment.
    pub counts: bool,
    /// What it said last; `None` if it does not answer.
    pub standpoint: Option<Standpoint>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    Nothing,
    Reconfigure {
        config: SetConfig,
        because: String,
    },
    /// The primary is to leave.
    StepDown,
    /// Something is to be changed and cannot be now.
    Wait(String),
}

/// What to change next of `config`, whose primary is `primary`.
pub fn next(service: &str, config: &SetConfig, primary: u32, seats: &[Seated]) -> Next {
    let judge = Judge {
        service,
        config,
        primary,
        seats: seats.iter().map(|seat| (seat.index, seat)).collect(),
        counting: seats.iter().filter(|seat| seat.counts).map(|seat| seat.index).collect(),
    };
    let found = judge.farewell().or_else(|| judge.moved()).or_else(|| judge.welcome()).or_else(|| judge.enfranchise());
    found.unwrap_or(Next::Nothing)
}

struct Judge<'a> {
    service: &'a str,
    config: &'a SetConfig,
    primary: u32,
    seats: BTreeMap<u32, &'a Seated>,
    counting: BTreeSet<u32>,
}

impl Judge<'_> {
    fn stays(&self, id: u32) -> bool {
        self.seats.get(&id).is_some_and(|seat| !seat.leaving)
    }

    /// Whether a majority of the voters would be there.
    fn keeps_majority(&self, config: &SetConfig) -> bool {
        config.voters().filter(|voter| self.counting.contains(&voter.id)).count() >= config.majority()
    }

    fn edited(&self, because: String, edit: impl FnOnce(&mut Vec<SetMember>)) -> Option<Next> {
        let config = self.config.next(edit);
        self.keeps_majority(&config).then_some(Next::Reconfigure { config, because })
    }

    /// Who leaves gives up its vote, then its place. The dead first: that only helps.
    fn farewell(&self) -> Option<Next> {
        let mut gone: Vec<&SetMember> = self.config.members.iter().filter(|one| !self.stays(one.id)).collect();
        gone.sort_by_key(|one| (self.counting.contains(&one.id), std::cmp::Reverse(one.id)));
        gone.first()?;
        if gone.iter().any(|one| one.id == self.primary) {
            return Some(self.abdication());
        }
        let changed = gone.iter().find_map(|one| self.dismissed(one));
        let waits = || Next::Wait(format!("{}.{} is to leave, but too few voters are there", self.service, gone[0].id));
        Some(changed.unwrap_or_else(waits))
    }

    fn abdication(&self) -> Next {
        let able = |voter: &SetMember| {
            let seat = self.seats.get(&voter.id);
            voter.id != self.primary
                && seat.is_some_and(|seat| !seat.leaving && seat.counts)
                && seat.and_then(|seat| seat.standpoint) == Some(Standpoint::Secondary)
        };
        if self.config.voters().any(able) {
            return Next::StepDown;
        }
        Next::Wait(format!("{}.{} is to leave, but no other member can be elected", self.service, self.primary))
    }

    fn dismissed(&self, member: &SetMember) -> Option<Next> {
        let (id, name) = (member.id, format!("{}.{}", self.service, member.id));
        if member.votes {
            let edit = |members: &mut Vec<SetMember>| set_vote(members, id, false);
            return self.edited(format!("{name} leaves: its vote goes first"), edit);
        }
        self.edited(format!("{name} leaves"), |members| members.retain(|one| one.id != id))
    }

    /// A member that is found elsewhere now.
    fn moved(&self) -> Option<Next> {
        let elsewhere = |one: &&SetMember| {
            let host = self.seats.get(&one.id).and_then(|seat| seat.host.as_ref());
            host.is_some_and(|host| *host != one.host)
        };
        let one = self.config.members.iter().find(elsewhere)?;
        let (id, host) = (one.id, self.seats.get(&one.id)?.host.clone()?);
        self.edited(format!("{}.{id} is found at {host} now", self.service), |members| {
            members.iter_mut().filter(|one| one.id == id).for_each(|one| one.host.clone_from(&host));
        })
    }

    /// A new member has no vote before it has a copy.
    fn welcome(&self) -> Option<Next> {
        let is_new =
            |seat: &&&Seated| !seat.leaving && seat.standpoint.is_some() && self.config.member(seat.index).is_none();
        let seat = self.seats.values().filter(is_new).find(|seat| seat.host.is_some())?;
        let (id, host) = (seat.index, seat.host.clone()?);
        self.edited(format!("{}.{id} joins, without a vote until it has a copy", self.service), |members| {
            members.push(SetMember { id, host, votes: false });
        })
    }

    /// Two at a time get votes, one right after the other: an even number of voters stands no
    /// more deaths than one voter less, and has one more that may die.
    fn enfranchise(&self) -> Option<Next> {
        let ready = |one: &&SetMember| {
            let seat = self.seats.get(&one.id);
            !one.votes && seat.is_some_and(|s| s.counts && s.standpoint == Some(Standpoint::Secondary))
        };
        let ready: Vec<&SetMember> = self.config.members.iter().filter(ready).collect();
        let voters = self.config.voters().count();
        let all = voters + ready.len() >= self.seats.values().filter(|seat| !seat.leaving).count();
        if !(voters.is_multiple_of(2) || ready.len() >= 2 || all) {
            return None;
        }
        let id = ready.first()?.id;
        self.edited(format!("{}.{id} has a copy and votes from now on", self.service), |members| {
            set_vote(members, id, true);
        })
    }
}

fn set_vote(members: &mut [SetMember], id: u32, votes: bool) {
    members.iter_mut().filter(|one| one.id == id).for_each(|one| one.votes = votes);
}
