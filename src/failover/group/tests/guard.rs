//! Writes that wait for a slave, and members that become copies.

use super::*;
use crate::model::SyncState;

fn command(index: u32, change: RoleChange) -> Action {
    Action::Command { server: server(index), change }
}

fn guarded(on: bool) -> MemberReport {
    MemberReport { guarded: Some(on), ..master() }
}

impl Stage {
    /// The master's writes wait for `db.1`.
    fn guarded() -> Self {
        let mut stage = Self::steady();
        assert_eq!(stage.report(0, guarded(false)), [command(0, RoleChange::Guard(true))]);
        assert_eq!(stage.obeys(0, RoleChange::Guard(true), guarded(true)), []);
        stage
    }
}

#[test]
fn writes_wait_for_a_slave_that_is_in_step() {
    let mut stage = Stage::guarded();
    assert_eq!(stage.report(0, guarded(true)), []);
    assert_eq!(stage.group.status().reason, None);
}

#[test]
fn the_death_of_the_last_slave_ends_the_wait_at_once_and_is_told() {
    let mut stage = Stage::guarded();
    assert_eq!(stage.tell(Event::Died(server(1))), [command(0, RoleChange::Guard(false))]);
    stage.obeys(0, RoleChange::Guard(false), guarded(false));
    assert!(stage.group.status().reason.unwrap().starts_with("degraded"));
    assert!(stage.group.status().settled, "the master serves");
}

#[test]
fn a_link_that_breaks_for_a_moment_does_not_end_the_wait() {
    let mut stage = Stage::guarded();
    assert_eq!(stage.report(1, slave(false)), []);
    stage.now += 2_000;
    assert_eq!(stage.report(1, slave(false)), [], "a write acknowledged now could be lost with the master");
    stage.now += 2_000;
    assert_eq!(stage.report(1, slave(false)), [command(0, RoleChange::Guard(false))], "it does not come back");
}

#[test]
fn nobody_waits_for_a_slave_that_leaves_or_where_that_is_not_wished() {
    let mut stage = Stage::guarded();
    let leaving = Seat { leaving: true, ..seat(1) };
    assert_eq!(stage.tell(Event::Observed(vec![seat(0), leaving])), [command(0, RoleChange::Guard(false))]);
    let mut stage = Stage::steady();
    stage.group.config.synchronous = false;
    assert_eq!(stage.report(0, guarded(false)), []);
    assert_eq!(stage.group.status().reason, None);
}

#[test]
fn a_member_that_cannot_follow_becomes_a_copy_and_nothing_else_meanwhile() {
    let mut stage = Stage::steady();
    stage.group.config.copy_beyond = Some(5);
    let broken = MemberReport { broken: Some("diverged".to_owned()), link_up: false, ..slave(false) };
    let change = RoleChange::CopyFrom(addr(0));
    assert_eq!(stage.report(1, broken.clone()), [command(1, change)]);
    assert_eq!(stage.report(1, broken.clone()), []);
    stage.tell(Event::Copied { server: server(1), percent: 43 });
    let sync = stage.group.status().members[1].sync;
    assert_eq!(sync, SyncState::Synchronizing { percent: Some(43) });
    stage.tell(Event::Commanded { server: server(1), change, result: Err("the source died".to_owned()) });
    assert_eq!(stage.report(1, broken.clone()), [], "not again at once");
    stage.now += 5_000;
    assert_eq!(stage.report(1, broken), [command(1, change)]);
}

#[test]
fn a_member_without_data_follows_a_young_master_and_copies_an_old_one() {
    for (beyond, expected) in [(9, RoleChange::Follow(addr(0))), (8, RoleChange::CopyFrom(addr(0)))] {
        let mut stage = Stage::steady();
        stage.group.config.copy_beyond = Some(beyond);
        let blank = MemberReport { blank: true, empty: true, history: "h".to_owned(), ..MemberReport::default() };
        assert_eq!(stage.report(1, blank), [command(1, expected)]);
    }
}

#[test]
fn a_master_that_handed_over_is_never_told_to_accept_writes_again() {
    let mut stage = Stage::steady();
    let mut told = stage.tell(Event::SwitchoverAsked(Some(1)));
    told.extend(stage.front_obeys());
    assert!(told.contains(&command(0, RoleChange::PauseWrites)), "{told:?}");
    told.extend(stage.obeys(0, RoleChange::PauseWrites, master()));
    stage.now += 1;
    told.extend(stage.report(0, master()));
    told.extend(stage.report(1, slave(true)));
    let demoted = MemberReport { upstream: Some(addr(1)), ..slave(false) };
    told.extend(stage.obeys(0, RoleChange::Follow(addr(1)), demoted));
    told.extend(stage.commits(2, 1));
    told.extend(stage.obeys(1, RoleChange::Promote, master()));
    assert_eq!(stage.group.phase(), Phase::Repointing, "{told:?}");
    assert!(!told.contains(&command(0, RoleChange::ResumeWrites)), "{told:?}");
}

#[test]
fn after_a_promotion_writes_wait_for_the_other_slave_before_it_is_linked() {
    let mut stage = Stage::guarded().and_another();
    stage.master_dies();
    stage.report(1, slave(false));
    stage.report(2, slave(false));
    stage.commits(2, 1);
    let opened = stage.obeys(1, RoleChange::Promote, guarded(false));
    assert!(opened.contains(&command(1, RoleChange::Guard(true))), "{opened:?}");
    assert!(opened.contains(&command(2, RoleChange::Follow(addr(1)))), "{opened:?}");
}

#[test]
fn a_slave_that_still_applies_for_long_is_not_called_synchronized() {
    let mut stage = Stage::steady();
    for (lag, sync) in [(0.0, SyncState::Synchronized), (3.0, SyncState::Synchronizing { percent: None })] {
        stage.report(1, MemberReport { lag_seconds: Some(lag), ..slave(true) });
        let status = &stage.group.status().members[1];
        assert_eq!((status.sync, status.lag_seconds), (sync, Some(lag)));
    }
}

#[test]
fn a_master_that_cannot_be_demoted_hands_over_by_ending() {
    let mut stage = Stage::steady();
    stage.group.config.demotes_live = false;
    stage.tell(Event::SwitchoverAsked(Some(1)));
    stage.front_obeys();
    let paused = MemberReport { writable: false, ..master() };
    stage.obeys(0, RoleChange::PauseWrites, paused.clone());
    stage.now += 1;
    stage.report(0, paused.clone());
    let told = stage.report(1, slave(true));
    assert_eq!(told, [command(0, RoleChange::Follow(addr(1)))]);
    stage.report(0, paused);
    assert_eq!(stage.group.phase(), Phase::Fencing, "its word that it is paused is no fence");
    assert_eq!(stage.tell(Event::Died(server(0))), [Action::Commit(Epoch { number: 2, master: 1 })]);
    assert_eq!(stage.commits(2, 1), [command(1, RoleChange::Promote)]);
    stage.obeys(1, RoleChange::Promote, master());
    let recorded = stage.front_obeys();
    assert!(
        matches!(&recorded[..], [Action::Record(account), ..] if account.cause.contains("planned")),
        "{recorded:?}"
    );
}

#[test]
fn a_member_beyond_its_master_becomes_a_copy_before_it_is_told_to_follow() {
    use crate::failover::dialect::{Branch, Lineage};
    let mut stage = Stage::steady();
    stage.group.config.copy_beyond = Some(1_000);
    let branches = vec![Branch { history: "g".to_owned(), position: 5 }];
    let lineage = Some(Box::new(Lineage { origin: "one".to_owned(), branches, oldest: 0 }));
    stage.report(0, MemberReport { lineage: lineage.clone(), ..master() });
    let returned = MemberReport { lineage, history: "g".to_owned(), position: 6, ..MemberReport::default() };
    assert_eq!(stage.report(1, returned), [command(1, RoleChange::CopyFrom(addr(0)))]);
}

/// The front's orders since: how many slaves a write waits for.
fn acks(actions: &[Action]) -> Vec<u32> {
    let acks = |action: &Action| if let Action::Open { acks, .. } = action { *acks } else { None };
    actions.iter().filter_map(acks).collect()
}

fn waiting() -> Config {
    Config { guards_at_front: true, ..Config::new("db") }
}

impl Stage {
    /// Of a server that does not wait by itself.
    fn at_front() -> Self {
        let mut stage = Self::with(waiting(), vec![seat(0), seat(1)]).named();
        let opened = stage.report(0, master());
        assert_eq!(acks(&opened), [0], "nobody is known to follow: {opened:?}");
        stage.front_obeys();
        let told = stage.report(1, slave(true));
        assert_eq!(acks(&told), [1]);
        stage.report(1, slave(true));
        assert!(!stage.group.vouched(1), "the front does not wait yet");
        stage.front_obeys();
        stage.report(0, master());
        stage.report(1, slave(true));
        assert!(stage.group.vouched(1));
        assert_eq!(stage.group.phase(), Phase::Steady);
        stage
    }
}

#[test]
fn the_front_waits_for_a_slave_and_no_longer_when_it_is_gone() {
    let mut stage = Stage::at_front();
    assert_eq!(stage.group.status().reason, None);
    assert_eq!(acks(&stage.report(1, slave(false))), [] as [u32; 0], "a link that breaks for a moment");
    let lifted = stage.tell(Event::Died(server(1)));
    assert_eq!(acks(&lifted), [0]);
    assert!(!lifted.iter().any(|action| matches!(action, Action::Gate { .. })), "no session is cut");
    assert!(stage.group.status().reason.unwrap().starts_with("degraded"));
}

#[test]
fn a_new_master_s_writes_wait_for_the_slave_that_was_in_step_with_the_old_one() {
    let mut stage = Stage::at_front().and_another();
    stage.master_dies();
    stage.report(1, slave(false));
    stage.report(2, slave(false));
    stage.commits(2, 1);
    let opened = stage.obeys(1, RoleChange::Promote, master());
    assert_eq!(acks(&opened), [1], "{opened:?}");
}

/// It may be the only one that has the last acknowledged write.
#[test]
fn an_election_waits_for_the_voice_of_a_slave_that_was_in_step() {
    let mut stage = Stage::at_front().and_another();
    stage.master_dies();
    stage.report(1, slave(false));
    stage.now += 400;
    stage.tell(Event::Ticked);
    assert_eq!(stage.group.phase(), Phase::Draining, "db.2 has not said how far it is");
    let further = MemberReport { position: 12, ..slave(false) };
    let elected = stage.report(2, further);
    assert!(elected.contains(&Action::Commit(Epoch { number: 2, master: 2 })), "{elected:?}");
}

#[test]
fn without_that_voice_the_old_master_goes_on() {
    let mut stage = Stage::at_front().and_another();
    stage.master_dies();
    stage.report(1, slave(false));
    stage.now += 1_000;
    stage.tell(Event::Ticked);
    assert_eq!(stage.group.phase(), Phase::Gathering);
    let reason = stage.group.status().reason.unwrap();
    assert!(reason.contains("db.2 does not answer, and may alone have the last acknowledged writes"), "{reason}");
    stage.tell(Event::Observed(vec![Seat { incarnation: Some(9), ..seat(0) }, seat(1), seat(2)]));
    let asked = stage.now();
    let report = MemberReport { upstream: None, ..slave(false) };
    let again = stage.tell(Event::Reported { server: Server { index: 0, incarnation: 9 }, asked, report });
    assert!(again.contains(&Action::Commit(Epoch { number: 2, master: 0 })), "{again:?}");
}

#[test]
fn a_master_that_writes_were_on_alone_is_waited_for() {
    let mut stage = Stage::at_front();
    stage.tell(Event::Observed(vec![seat(0), seat(1), seat(2)]));
    stage.tell(Event::Died(server(1)));
    stage.front_obeys();
    assert!(stage.group.status().reason.unwrap().starts_with("degraded"));
    stage.master_dies();
    stage.report(2, slave(false));
    stage.now += 1_000;
    stage.tell(Event::Ticked);
    assert_eq!(stage.group.phase(), Phase::Gathering);
    let reason = stage.group.status().reason.unwrap();
    assert!(reason.contains("db.0 may have acknowledged writes that no slave has"), "{reason}");
}

/// Nothing is known of the slave: but the disk vouches for it, so that writes go on waiting.
#[test]
fn a_new_daemon_opens_no_master_alone_before_the_word_is_back() {
    let mut stage = Stage::with(waiting(), vec![seat(0), seat(1)]);
    stage.tell(Event::Vouched(word(1)));
    let mut stage = stage.named();
    let (asked, report) = (stage.now(), master());
    let told = stage.told(Event::Reported { server: server(0), asked, report });
    assert_eq!(acks(&told), [1], "{told:?}");
    assert!(told.contains(&Action::Vouch { epoch: 1, upstream: None }), "{told:?}");
    let told = stage.told(Event::VouchKept { epoch: 1, upstream: None, result: Ok(()) });
    assert_eq!(acks(&told), [0], "{told:?}");
}
