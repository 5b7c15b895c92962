//! What the disk says of the slaves, and what follows from it.

use super::*;

impl Stage {
    /// Epoch 1 is on disk with `db.0`, which does not run; `db.1` calls itself its slave.
    fn after_both_died(vouched: Option<u64>) -> Self {
        let mut stage = Self::with(Config::new("db"), vec![Seat { incarnation: None, ..seat(0) }, seat(1)]);
        stage.tell(Event::Vouched(vouched));
        let mut stage = stage.named();
        stage.report(1, slave(false));
        stage.front_obeys();
        stage.now += 300;
        stage.report(1, slave(false));
        stage
    }
}

#[test]
fn a_new_daemon_elects_a_slave_only_where_the_disk_vouches_for_one() {
    assert_eq!(Stage::after_both_died(Some(1)).group.phase(), Phase::Electing);
    for vouched in [None, Some(7)] {
        let stage = Stage::after_both_died(vouched);
        assert_eq!(stage.group.phase(), Phase::Gathering);
        let reason = stage.group.status().reason.unwrap();
        assert!(reason.contains("db.0 may have acknowledged writes that no slave has"), "{reason}");
    }
}

fn guarded(on: bool) -> MemberReport {
    MemberReport { guarded: Some(on), ..master() }
}

impl Stage {
    /// The master's writes have begun to wait for `db.1`; from where on is not known yet.
    fn newly_guarded() -> Self {
        let mut stage = Self::steady();
        stage.report(0, guarded(false));
        stage.obeys(0, RoleChange::Guard(true), guarded(true));
        stage.now += 10;
        stage
    }

    fn kept(&mut self, on: bool, result: Result<(), String>) -> Vec<Action> {
        self.told(Event::VouchKept { epoch: 1, on, result })
    }
}

const BACK: Action = Action::Vouch { epoch: 1, on: false };

fn given_up() -> Action {
    Action::Command { server: server(0), change: RoleChange::Guard(false) }
}

#[test]
fn the_word_is_taken_back_before_writes_are_on_the_master_alone() {
    let mut stage = Stage::newly_guarded();
    stage.report(0, guarded(true));
    stage.report(1, slave(true));
    assert!(stage.group.vouched(1));
    let told = stage.told(Event::Died(server(1)));
    assert!(told.contains(&BACK) && !told.contains(&given_up()), "{told:?}");
    let told = stage.kept(false, Err("no space left".to_owned()));
    assert!(!told.contains(&given_up()), "{told:?}");
    assert!(stage.group.status().reason.unwrap().contains("no space left"));
    stage.now += 1_000;
    assert!(stage.told(Event::Ticked).contains(&BACK), "it is tried again");
    let told = stage.kept(false, Ok(()));
    assert!(told.contains(&given_up()), "{told:?}");
}

#[test]
fn a_word_on_its_way_to_the_disk_is_taken_back_like_one_that_is_there() {
    let mut stage = Stage::newly_guarded();
    // The slave's position is known: only where the master's writes wait from was not.
    let (asked, report) = (stage.now(), guarded(true));
    let told = stage.told(Event::Reported { server: server(0), asked, report });
    assert!(told.contains(&Action::Vouch { epoch: 1, on: true }), "{told:?}");
    let told = stage.told(Event::Died(server(1)));
    assert!(!told.contains(&given_up()), "{told:?}");
    let told = stage.kept(true, Ok(()));
    assert!(told.contains(&BACK) && !told.contains(&given_up()), "{told:?}");
    let told = stage.kept(false, Ok(()));
    assert!(told.contains(&given_up()), "{told:?}");
}

/// What it alone had, a slave that comes into step with what the master was last heard to have may lack.
#[test]
fn the_disk_does_not_vouch_while_a_slave_that_is_gone_may_alone_have_a_write() {
    let mut stage = Stage::steady().and_another();
    stage.report(0, guarded(false));
    stage.obeys(0, RoleChange::Guard(true), guarded(true));
    stage.now += 10;
    let given = Action::Vouch { epoch: 1, on: true };
    let (asked, report) = (stage.now(), guarded(true));
    let told = stage.told(Event::Reported { server: server(0), asked, report: report.clone() });
    assert!(told.contains(&given), "{told:?}");
    stage.kept(true, Err("no space left".to_owned()));
    stage.told(Event::Died(server(1)));
    stage.now += 1_000;
    let told = stage.told(Event::Ticked);
    assert!(told.contains(&BACK) && !told.contains(&given), "{told:?}");
    stage.kept(false, Ok(()));
    let asked = stage.now();
    let told = stage.told(Event::Reported { server: server(0), asked, report });
    assert!(told.contains(&given), "the master has said what it has: {told:?}");
}

#[test]
fn a_slave_that_leaves_is_kept_while_it_alone_is_in_step() {
    let mut stage = Stage::newly_guarded().and_another();
    stage.report(0, guarded(true));
    stage.report(1, slave(true));
    assert!(stage.group.vouched(1));
    stage.report(2, slave(false));
    stage.tell(Event::Observed(vec![seat(0), Seat { leaving: true, ..seat(1) }, seat(2)]));
    assert_eq!(stage.group.status().bound, [1].into());
    stage.report(2, slave(true));
    assert_eq!(stage.group.status().bound, [].into());
    stage.report(2, slave(false));
    stage.now += 3_000;
    stage.report(1, slave(true));
    assert_eq!(stage.group.status().bound, [].into(), "it does not come back: the word is taken back");
    assert!(!stage.group.vouched(1));
}
