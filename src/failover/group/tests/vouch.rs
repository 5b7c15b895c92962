//! What the disk says of the slaves, and what follows from it.

use super::*;

impl Stage {
    /// Epoch 1 is on disk with `db.0`, which does not run; `db.1` calls itself its slave.
    fn after_both_died(vouched: Option<u64>) -> Self {
        let mut stage = Self { group: Group::new(Config::new("db")), now: 0 };
        stage.tell(Event::Observed(vec![Seat { incarnation: None, ..seat(0) }, seat(1)]));
        stage.tell(Event::Vouched(vouched));
        stage.tell(Event::Loaded(Ok(Some(Epoch { number: 1, master: 0 }))));
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

#[test]
fn the_word_is_taken_back_before_writes_are_on_the_master_alone() {
    let mut stage = Stage::steady();
    let guarded = |on| MemberReport { guarded: Some(on), ..master() };
    let now = |stage: &Stage| Moment(Duration::from_millis(stage.now));
    stage.report(0, guarded(false));
    stage.tell(Event::Commanded { server: server(0), change: RoleChange::Guard(true), result: Ok(guarded(true)) });
    stage.now += 10;
    stage.report(0, guarded(true));
    stage.report(1, slave(true));
    assert!(stage.group.vouched(1));
    stage.now += 1;
    let at = now(&stage);
    let told = stage.group.handle(at, Event::Died(server(1)));
    let back = Action::Vouch { epoch: 1, on: false };
    let given_up = Action::Command { server: server(0), change: RoleChange::Guard(false) };
    assert!(told.contains(&back) && !told.contains(&given_up), "{told:?}");
    let failed = Event::VouchKept { epoch: 1, on: false, result: Err("no space left".to_owned()) };
    let told = stage.group.handle(at, failed);
    assert!(!told.contains(&given_up), "{told:?}");
    assert!(stage.group.status().reason.unwrap().contains("no space left"));
    stage.now += 1_000;
    let at = now(&stage);
    assert!(stage.group.handle(at, Event::Ticked).contains(&back), "it is tried again");
    let told = stage.group.handle(at, Event::VouchKept { epoch: 1, on: false, result: Ok(()) });
    assert!(told.contains(&given_up), "{told:?}");
}

#[test]
fn a_word_on_its_way_to_the_disk_is_taken_back_like_one_that_is_there() {
    let mut stage = Stage::steady();
    let guarded = |on| MemberReport { guarded: Some(on), ..master() };
    let now = |stage: &Stage| Moment(Duration::from_millis(stage.now));
    stage.report(0, guarded(false));
    stage.tell(Event::Commanded { server: server(0), change: RoleChange::Guard(true), result: Ok(guarded(true)) });
    stage.now += 10;
    // The slave's position is known: only where the master's writes wait from was not.
    let (asked, report) = (now(&stage), guarded(true));
    let told = stage.group.handle(asked, Event::Reported { server: server(0), asked, report });
    assert!(told.contains(&Action::Vouch { epoch: 1, on: true }), "{told:?}");
    let given_up = Action::Command { server: server(0), change: RoleChange::Guard(false) };
    let told = stage.group.handle(asked, Event::Died(server(1)));
    assert!(!told.contains(&given_up), "{told:?}");
    let told = stage.group.handle(asked, Event::VouchKept { epoch: 1, on: true, result: Ok(()) });
    assert!(told.contains(&Action::Vouch { epoch: 1, on: false }) && !told.contains(&given_up), "{told:?}");
    let told = stage.group.handle(asked, Event::VouchKept { epoch: 1, on: false, result: Ok(()) });
    assert!(told.contains(&given_up), "{told:?}");
}
