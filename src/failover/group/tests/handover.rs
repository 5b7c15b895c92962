//! A switchover that is disturbed, and one that nobody can carry out.

use super::*;

fn command(index: u32, change: RoleChange) -> Action {
    Action::Command { server: server(index), change }
}

fn demoted() -> MemberReport {
    MemberReport { upstream: Some(addr(1)), ..slave(false) }
}

impl Stage {
    /// `db.1` has everything, and `db.0` is told to follow it.
    fn handing_over() -> Self {
        let mut stage = Self::steady();
        stage.tell(Event::SwitchoverAsked(Some(1)));
        stage.front_obeys();
        stage.obeys(0, RoleChange::PauseWrites, master());
        stage.now += 1;
        stage.report(0, master());
        assert_eq!(stage.report(1, slave(true)), [command(0, RoleChange::Follow(addr(1)))]);
        stage
    }

    /// `db.1` is to be promoted, under an epoch that is on the disk.
    fn handed_over() -> Self {
        let mut stage = Self::handing_over();
        stage.obeys(0, RoleChange::Follow(addr(1)), demoted());
        assert_eq!(stage.commits(2, 1), [command(1, RoleChange::Promote)]);
        stage
    }
}

/// As MySQL does while a write waits for its slave.
#[test]
fn a_master_that_refuses_to_hold_writes_back_is_told_so_again() {
    let mut stage = Stage::steady();
    stage.tell(Event::SwitchoverAsked(Some(1)));
    stage.front_obeys();
    let (change, result) = (RoleChange::PauseWrites, Err("lock wait timeout".to_owned()));
    assert_eq!(stage.tell(Event::Commanded { server: server(0), change, result }), [], "not at once");
    stage.now += 100;
    assert_eq!(stage.tell(Event::Ticked), [command(0, change)]);
    assert_eq!(stage.tell(Event::Ticked), [], "it has not answered");
}

#[test]
fn a_master_that_holds_writes_back_too_late_is_told_to_go_on() {
    let mut stage = Stage::steady();
    stage.tell(Event::SwitchoverAsked(Some(1)));
    stage.front_obeys();
    stage.now += 1_000;
    let given_up = stage.tell(Event::Ticked);
    assert!(given_up.iter().any(|action| matches!(action, Action::Open { epoch: 1, .. })), "{given_up:?}");
    assert!(!given_up.contains(&command(0, RoleChange::ResumeWrites)), "it has not answered: {given_up:?}");
    let told = stage.obeys(0, RoleChange::PauseWrites, master());
    assert!(told.contains(&command(0, RoleChange::ResumeWrites)), "{told:?}");
}

/// Another process of the same member may come from a lost volume.
#[test]
fn who_was_restarted_before_it_took_over_is_not_promoted() {
    let mut stage = Stage::handing_over();
    stage.tell(Event::Observed(vec![seat(0), Seat { incarnation: Some(9), ..seat(1) }]));
    let told = stage.obeys(0, RoleChange::Follow(addr(1)), demoted());
    assert!(!told.iter().any(|action| matches!(action, Action::Commit(_))), "{told:?}");
    assert!(told.contains(&command(0, RoleChange::Promote)), "the disk names db.0: {told:?}");
}

/// Its other process is a slave of nobody by birth, which is not the word that was waited for.
#[test]
fn a_master_that_was_restarted_while_it_handed_over_has_failed() {
    let mut stage = Stage::handing_over();
    stage.tell(Event::Observed(vec![Seat { incarnation: Some(9), ..seat(0) }, seat(1)]));
    assert_eq!(stage.group.phase(), Phase::Draining);
    assert!(stage.group.status().reason.unwrap().contains("db.1"));
    let told = stage.report(1, slave(false));
    assert!(told.contains(&Action::Commit(Epoch { number: 2, master: 1 })), "it is elected: {told:?}");
}

#[test]
fn a_successor_that_fails_before_it_is_opened_gives_the_role_back() {
    let mut stage = Stage::handed_over();
    let epoch = Epoch { number: 3, master: 0 };
    let told = stage.tell(Event::Died(server(1)));
    assert!(told.contains(&Action::Commit(epoch)), "{told:?}");
    let refused = Action::AnswerSwitchover(Err("db.1 failed before it was opened".to_owned()));
    assert!(told.contains(&refused), "{told:?}");
    assert_eq!(stage.commits(3, 0), [command(0, RoleChange::Promote)]);
    let opened = stage.obeys(0, RoleChange::Promote, master());
    assert!(opened.iter().any(|action| matches!(action, Action::Open { epoch: 3, .. })), "{opened:?}");
    assert!(opened.contains(&command(0, RoleChange::ResumeWrites)), "{opened:?}");
}

#[test]
fn a_successor_that_hangs_is_ended_before_the_role_goes_back() {
    let mut stage = Stage::handed_over();
    let missed = || Event::Missed(server(1), Miss::Silent { busy: false });
    stage.tell(missed());
    let told = stage.tell(missed());
    assert_eq!(stage.group.phase(), Phase::Fencing, "{told:?}");
    assert!(told.contains(&Action::Kill(server(1))) && !told.iter().any(|one| matches!(one, Action::Commit(_))));
    let told = stage.tell(Event::Died(server(1)));
    assert!(told.contains(&Action::Commit(Epoch { number: 3, master: 0 })), "{told:?}");
}

#[test]
fn a_wish_is_answered_though_the_master_hangs_and_nobody_could_take_over() {
    let mut stage = Stage::steady();
    stage.tell(Event::Observed(vec![seat(0)]));
    for _ in 0..2 {
        stage.tell(Event::Missed(server(0), Miss::Silent { busy: false }));
    }
    assert_eq!(stage.tell(Event::SwitchoverAsked(None)), []);
    stage.now += 3_000;
    let told = stage.tell(Event::Ticked);
    assert!(matches!(&told[..], [Action::AnswerSwitchover(Err(why))] if why.contains("nobody could")), "{told:?}");
    assert_eq!(stage.group.phase(), Phase::Suspect);
}
