//! Judgement: which member may be master, and why. Functions of what is known, nothing else.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::model::Epoch;

use super::dialect::MemberReport;

/// What is known of one member.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub index: u32,
    pub running: bool,
    /// It runs, should answer and does not.
    pub hung: bool,
    /// Hung for so long that a restart is the better choice even without a successor.
    pub lost: bool,
    /// It is being restarted on purpose: neither wait for votes nor replace it.
    pub restarting: bool,
    pub leaving: bool,
    /// Its link is up and it has all that the master had a moment ago.
    pub in_step: bool,
    /// A master may have acknowledged a write because this one had it.
    pub witness: bool,
    /// Its latest report; for an election, one that was asked for after the fence.
    pub report: Option<&'a MemberReport>,
    /// Its latest complaint, if it answers with errors.
    pub complaint: Option<&'a str>,
}

/// What a successor is measured against: the last open master.
#[derive(Debug, Clone)]
pub struct Basis<'a> {
    /// The service's name, for the reasons.
    pub service: &'a str,
    /// The old master's address: where it was when its slaves were told to follow it.
    pub upstream: Option<SocketAddr>,
    /// Its histories; empty when it was never seen alive.
    pub histories: BTreeSet<&'a str>,
    /// The last position it was seen at.
    pub position: u64,
    /// Why a write that was acknowledged may be on nobody who could be elected.
    pub doubt: Option<String>,
    /// A write was acknowledged when any one slave had it: all of them are to be heard.
    pub witnessed: bool,
    /// Whoever still applies what it has received is waited for.
    pub applied: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub index: u32,
    pub because: String,
}

/// What to do while no master is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    Wait(String),
    /// Whatever is done would be a guess.
    Stall(String),
    /// Promote this member, whom the store does not name, under a new epoch.
    Name(Choice),
    /// Promote the recorded master (again).
    Again,
    /// The recorded master is dead and a replica is fit.
    Elect,
    /// The recorded master hangs and a replica is fit.
    Fence,
}

impl Basis<'_> {
    /// Whether this is the report of one of the old master's slaves.
    pub(super) fn leads(&self, report: &MemberReport) -> bool {
        self.upstream.is_some() && report.upstream == self.upstream
    }
}

/// The most advanced replica of the old master; of equals the lowest number.
///
/// # Errors
/// The reason, member by member, when none is fit. Then the old master is waited for: its
/// own disk holds everything it acknowledged.
pub fn choose(basis: &Basis<'_>, standings: &[Standing<'_>]) -> Result<Choice, String> {
    if let Some(doubt) = &basis.doubt {
        return Err(doubt.clone());
    }
    if basis.upstream.is_none() {
        return Err("its address is not known".to_owned());
    }
    let mut fit = Vec::new();
    let mut unfit = Vec::new();
    for standing in standings {
        match fitness(basis, standing) {
            Ok(report) => fit.push((standing, report)),
            Err(why) => unfit.push(format!("{}.{} {why}", basis.service, standing.index)),
        }
    }
    let histories: BTreeSet<&str> = fit.iter().map(|(_, report)| report.history.as_str()).collect();
    if basis.histories.is_empty() && histories.len() > 1 {
        return Err("the replicas belong to different histories, and the master's is not known".to_owned());
    }
    fit.sort_by_key(|(standing, report)| (Reverse(report.position), standing.leaving, standing.index));
    let Some((best, report)) = fit.first() else {
        return Err(if unfit.is_empty() { "there is no replica".to_owned() } else { unfit.join(", ") });
    };
    if let Some(why) = standings.iter().find_map(|standing| unheard(basis, standing, report.position)) {
        return Err(why);
    }
    let others = fit[1..].iter().map(|(s, r)| format!("{}.{} at {}", basis.service, s.index, r.position)).chain(unfit);
    let others: Vec<String> = others.collect();
    let mut because = format!("{}.{} is the most advanced replica, at {}", basis.service, best.index, report.position);
    if !others.is_empty() {
        because = format!("{because}; {}", others.join(", "));
    }
    Ok(Choice { index: best.index, because })
}

/// Why the word of this member, which a write may rest on, is missing to elect somebody who is at
/// `position`.
fn unheard(basis: &Basis<'_>, standing: &Standing<'_>, position: u64) -> Option<String> {
    if !basis.witnessed || !standing.witness {
        return None;
    }
    let name = format!("{}.{}", basis.service, standing.index);
    let Some(report) = standing.report.filter(|_| standing.running && !standing.hung) else {
        return Some(format!("{name} does not answer, and may alone have the last acknowledged writes"));
    };
    // Whoever has not joined the master's history yet has acknowledged nothing of it.
    let joined = basis.histories.is_empty() || basis.histories.contains(report.history.as_str());
    let no_more = report.position <= position || !joined;
    let known = report.blank || (basis.leads(report) && no_more);
    (!known).then(|| format!("{name} may alone have the last acknowledged writes"))
}

/// Whether a member could succeed the old master, and if not why.
fn fitness<'a>(basis: &Basis<'_>, standing: &Standing<'a>) -> Result<&'a MemberReport, String> {
    if !standing.running {
        return Err("is not running".to_owned());
    }
    let Some(report) = standing.report.filter(|_| !standing.hung) else {
        return Err("does not answer".to_owned());
    };
    if report.loading.is_some() {
        return Err("is loading its data".to_owned());
    }
    if report.writable || !basis.leads(report) {
        return Err("was restarted or follows another master".to_owned());
    }
    if report.broken.is_some() {
        return Err("cannot follow the master".to_owned());
    }
    if report.copying.is_some() || !report.was_linked {
        return Err("has not received its first copy".to_owned());
    }
    if !basis.histories.is_empty() && !basis.histories.contains(report.history.as_str()) {
        return Err("has not joined the master's history".to_owned());
    }
    if report.position < basis.position {
        return Err(format!("is {} behind the master", basis.position - report.position));
    }
    if basis.applied && report.applying {
        return Err("still applies what it has received".to_owned());
    }
    Ok(report)
}

/// The member a planned switchover hands over to: in step now, and `wanted` if somebody is.
///
/// # Errors
/// Why nobody can take over.
pub fn successor(basis: &Basis<'_>, standings: &[Standing<'_>], wanted: Option<u32>) -> Result<Choice, String> {
    let lax = Basis { position: 0, doubt: None, witnessed: false, applied: false, ..basis.clone() };
    let able = standings.iter().filter(|s| wanted.map_or(!s.leaving, |index| s.index == index));
    let able: Vec<Standing<'_>> = able.filter(|s| s.in_step).copied().collect();
    choose(&lax, &able).map_err(|_| match wanted {
        Some(index) => format!("{}.{index} is not a synchronized slave", basis.service),
        None => "no other member is a synchronized slave".to_owned(),
    })
}

/// What to do when the store names no master at all.
///
/// Members without data may be given their first one. Data without an epoch means that the
/// store was lost: whoever is promoted then may overwrite newer data, so a person decides.
pub fn first(service: &str, standings: &[Standing<'_>]) -> Opening {
    if standings.is_empty() {
        return Opening::Wait("waiting for the first member".to_owned());
    }
    let answers = |s: &Standing<'_>| s.running && s.report.is_some_and(|report| report.loading.is_none());
    let holds_data =
        |s: &&Standing<'_>| s.report.is_some_and(|report| !report.empty || (report.position > 1 && !report.blank));
    if let Some(holder) = standings.iter().find(holds_data) {
        return Opening::Stall(format!(
            "{service}.{} holds data but the store does not know which member was master: {}",
            holder.index,
            how_to_name(service, holder.index)
        ));
    }
    if let Some(missing) = standings.iter().find(|s| !answers(s)) {
        return Opening::Wait(waiting(service, missing));
    }
    let first = standings.iter().filter(|s| !s.leaving).min_by_key(|s| s.index).unwrap_or(&standings[0]);
    Opening::Name(Choice { index: first.index, because: "all members are new".to_owned() })
}

/// What to do when the store names a master and it is not open.
pub fn again(epoch: Epoch, basis: Option<&Basis<'_>>, service: &str, standings: &[Standing<'_>]) -> Opening {
    let others: Vec<Standing<'_>> = standings.iter().filter(|s| s.index != epoch.master).copied().collect();
    let elected = || basis.map_or(Err("no master is known".to_owned()), |basis| choose(basis, &others));
    let Some(recorded) = standings.iter().find(|s| s.index == epoch.master) else {
        return match elected() {
            Ok(_) => Opening::Elect,
            Err(why) => Opening::Wait(format!("{service}.{}, the master, is missing ({why})", epoch.master)),
        };
    };
    if recorded.restarting {
        return Opening::Wait(format!("{service}.{}, the master, is being restarted", epoch.master));
    }
    match recorded.report {
        _ if !recorded.running => match elected() {
            Ok(_) => Opening::Elect,
            Err(why) => {
                Opening::Wait(format!("waiting for {service}.{}, the master, to start again: {why}", epoch.master))
            }
        },
        _ if recorded.hung && (recorded.lost || elected().is_ok()) => Opening::Fence,
        Some(report) if report.loading.is_none() && !recorded.hung => {
            if report.blank && !report.writable {
                emptied(service, recorded, &others)
            } else {
                Opening::Again
            }
        }
        _ => Opening::Wait(waiting(service, recorded)),
    }
}

/// The recorded master came back without ever having held data: its volume may have been lost.
/// It must not become the source that wipes the others.
fn emptied(service: &str, recorded: &Standing<'_>, others: &[Standing<'_>]) -> Opening {
    if let Some(silent) = others.iter().find(|s| s.report.is_none_or(|report| report.loading.is_some())) {
        return Opening::Wait(format!("{service}.{} is empty: {}", recorded.index, waiting(service, silent)));
    }
    let holders: Vec<_> = others.iter().filter(|s| s.report.is_some_and(|report| !report.empty)).collect();
    match holders.as_slice() {
        [] => Opening::Again,
        [only] => Opening::Name(Choice {
            index: only.index,
            because: format!(
                "{service}.{} came back empty and only {service}.{} holds data",
                recorded.index, only.index
            ),
        }),
        [first, ..] => Opening::Stall(format!(
            "{service}.{}, the master, came back empty and several slaves hold data: {}",
            recorded.index,
            how_to_name(service, first.index)
        )),
    }
}

/// What a person can do who knows better.
fn how_to_name(service: &str, index: u32) -> String {
    format!("`dotcloud switchover {service} {service}.{index}` names the member to go on with")
}

fn waiting(service: &str, standing: &Standing<'_>) -> String {
    let name = format!("{service}.{}", standing.index);
    match (standing.report.and_then(|report| report.loading), standing.complaint) {
        _ if !standing.running => format!("waiting for {name} to start"),
        (Some(percent), _) => format!("{name} is loading its data, {percent}%"),
        (None, Some(complaint)) => format!("{name} {complaint}"),
        (None, None) => format!("waiting for {name} to answer"),
    }
}

#[cfg(test)]
mod tests;
