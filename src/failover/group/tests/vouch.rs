//! What the disk says of the slaves, and what follows from it.

use super::*;

impl Stage {
    /// Epoch 1 is on disk with `db.0`, which does not run; `db.1` calls itself its slave.
    fn after_both_died(vouched: Option<u64>) -> Self {
        let seats = vec![Seat { incarnation: None, ..seat(0) }, seat(1)];
        Self::without_the_master(Config::new("db"), vouched.and_then(word), seats)
    }

    /// The same, of a group of these members.
    fn without_the_master(config: Config, word: Option<Vouched>, seats: Vec<Seat>) -> Self {
        let mut stage = Self::with(config, seats);
        stage.tell(Event::Vouched(word));
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

/// Removed with its pod, while no daemon ran.
fn gone(index: u32) -> Seat {
    Seat { addr: None, incarnation: None, ..seat(index) }
}

#[test]
fn a_slave_succeeds_a_master_of_which_a_new_daemon_finds_nothing() {
    let moved = Seat { addr: Some(addr(9)), ..gone(0) };
    for master in [vec![], vec![gone(0)], vec![moved]] {
        let seats = master.into_iter().chain([seat(1)]).collect();
        let mut stage = Stage::without_the_master(Config::new("db"), word(1), seats);
        assert_eq!(stage.group.phase(), Phase::Electing, "{:?}", stage.group.status().reason);
        let reason = stage.group.status().reason.unwrap();
        assert!(reason.contains("db.1 is the most advanced replica"), "{reason}");
        stage.commits(2, 1);
        stage.obeys(1, RoleChange::Promote, super::master());
        stage.front_obeys();
        // It is made anew, and starts as a slave of nobody.
        let again = Seat { addr: Some(addr(9)), incarnation: Some(9), ..seat(0) };
        stage.tell(Event::Observed(vec![again, seat(1)]));
        let asked = stage.now();
        let server = Server { index: 0, incarnation: 9 };
        let report = MemberReport { upstream: None, ..slave(false) };
        let told = stage.tell(Event::Reported { server, asked, report });
        assert!(told.contains(&Action::Command { server, change: RoleChange::Follow(addr(1)) }), "{told:?}");
    }
}

#[test]
fn a_missing_master_is_waited_for_where_no_slave_is_known_to_have_everything() {
    let unnamed = Some(Vouched { epoch: 1, upstream: None });
    let cases = [
        (None, "db.0 may have acknowledged writes that no slave has"),
        (word(7), "db.0 may have acknowledged writes that no slave has"),
        (unnamed, "its address is not known"),
    ];
    for (word, why) in cases {
        let stage = Stage::without_the_master(Config::new("db"), word, vec![gone(0), seat(1)]);
        assert_eq!(stage.group.phase(), Phase::Gathering);
        let reason = stage.group.status().reason.unwrap();
        assert!(reason.starts_with("waiting for db.0, the master, to start again") && reason.contains(why), "{reason}");
    }
}

/// What was acknowledged may be on the other slave alone, and that is gone as well.
#[test]
fn a_slave_of_which_nothing_is_found_is_heard_before_another_one_is_elected() {
    let config = Config { guards_at_front: true, ..Config::new("db") };
    let mut stage = Stage::without_the_master(config, word(1), vec![gone(0), seat(1), gone(2)]);
    assert_eq!(stage.group.phase(), Phase::Gathering);
    let reason = stage.group.status().reason.unwrap();
    assert!(reason.contains("db.2 does not answer, and may alone have the last acknowledged writes"), "{reason}");
    stage.tell(Event::Observed(vec![gone(0), seat(1), seat(2)]));
    stage.report(2, MemberReport { blank: true, empty: true, ..MemberReport::default() });
    stage.now += 300;
    stage.report(1, slave(false));
    stage.report(2, MemberReport { blank: true, empty: true, ..MemberReport::default() });
    assert_eq!(stage.group.phase(), Phase::Electing, "it never had anything: {:?}", stage.group.status().reason);
}

#[test]
fn a_word_that_names_no_address_is_written_anew() {
    let mut stage = Stage::of(2);
    stage.tell(Event::Vouched(Some(Vouched { epoch: 1, upstream: None })));
    let mut stage = stage.named();
    stage.report(0, master());
    stage.front_obeys();
    let asked = stage.now();
    let told = stage.told(Event::Reported { server: server(1), asked, report: slave(true) });
    let again = stage.told(Event::Ticked);
    assert!(told.contains(&given()) || again.contains(&given()), "{told:?} {again:?}");
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
        self.told(Event::VouchKept { epoch: 1, upstream: on.then(|| addr(0)), result })
    }
}

const BACK: Action = Action::Vouch { epoch: 1, upstream: None };

fn given() -> Action {
    Action::Vouch { epoch: 1, upstream: Some(addr(0)) }
}

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
    assert!(told.contains(&given()), "{told:?}");
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
    let (asked, report) = (stage.now(), guarded(true));
    let told = stage.told(Event::Reported { server: server(0), asked, report: report.clone() });
    assert!(told.contains(&given()), "{told:?}");
    stage.kept(true, Err("no space left".to_owned()));
    stage.told(Event::Died(server(1)));
    stage.now += 1_000;
    let told = stage.told(Event::Ticked);
    assert!(told.contains(&BACK) && !told.contains(&given()), "{told:?}");
    stage.kept(false, Ok(()));
    let asked = stage.now();
    let told = stage.told(Event::Reported { server: server(0), asked, report });
    assert!(told.contains(&given()), "the master has said what it has: {told:?}");
}

/// It was in step with the master before, or with the one before that.
#[test]
fn the_disk_vouches_for_nobody_who_is_not_seen_in_step_with_the_new_master() {
    let mut stage = Stage::steady().and_another();
    stage.master_dies();
    stage.report(1, slave(false));
    stage.report(2, slave(false));
    stage.commits(2, 1);
    stage.obeys(1, RoleChange::Promote, master());
    assert_eq!(stage.group.phase(), Phase::Repointing);
    stage.report(2, slave(false));
    assert!(!stage.group.pledged(2));
    stage.front_obeys();
    let follows = MemberReport { upstream: Some(addr(1)), ..slave(true) };
    stage.obeys(2, RoleChange::Follow(addr(1)), follows.clone());
    stage.report(1, master());
    stage.report(2, follows);
    assert_eq!(stage.group.phase(), Phase::Steady);
    assert!(stage.group.vouched(2));
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
