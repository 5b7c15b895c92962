//! How far a slave is behind, whatever it says itself.

use super::*;
use crate::model::SyncState;

impl Stage {
    /// Both say where they are, and a second passes.
    fn second(&mut self, master_at: u64, slave_at: u64) {
        self.now += 1_000;
        self.report(0, MemberReport { position: master_at, ..master() });
        self.report(1, MemberReport { position: slave_at, ..slave(true) });
    }

    fn lag(&self) -> f64 {
        self.group.status().members[1].lag_seconds.expect("it follows the master")
    }
}

#[test]
fn a_slave_that_has_everything_has_no_lag() {
    let mut stage = Stage::steady();
    for position in 10..20 {
        stage.second(position, position);
        assert!(stage.lag() < f64::EPSILON);
    }
}

#[test]
fn lag_is_the_time_since_the_master_was_beyond_the_slave() {
    let mut stage = Stage::steady();
    for (behind, at) in (1..).zip(10..15) {
        stage.second(at, 9);
        assert!((stage.lag() - f64::from(behind - 1)).abs() < 0.1, "{} after {behind} s", stage.lag());
    }
    assert_eq!(stage.group.status().members[1].sync, SyncState::Synchronizing { percent: None });
    stage.second(15, 12);
    assert!((stage.lag() - 2.0).abs() < 0.1, "the master went beyond that two seconds ago: {}", stage.lag());
    stage.second(15, 15);
    assert!(stage.lag() < f64::EPSILON);
    assert_eq!(stage.group.status().members[1].sync, SyncState::Synchronized);
}

#[test]
fn lag_grows_while_the_link_is_down_and_the_master_goes_on() {
    let mut stage = Stage::steady();
    for at in 10..14 {
        stage.now += 1_000;
        stage.report(0, MemberReport { position: at, ..master() });
        stage.report(1, MemberReport { lag_seconds: Some(0.0), ..slave(false) });
    }
    assert!((stage.lag() - 3.0).abs() < 0.1, "{}", stage.lag());
}

#[test]
fn lag_grows_while_the_master_says_nothing() {
    let mut stage = Stage::steady();
    stage.second(10, 10);
    stage.group.config.misses = 100;
    for _ in 0..3 {
        stage.now += 1_000;
        stage.tell(Event::Missed(server(0), Miss::Silent { busy: false }));
    }
    assert!((stage.lag() - 3.0).abs() < 0.1, "nobody knows what it has by now: {}", stage.lag());
    stage.second(10, 10);
    assert!(stage.lag() < f64::EPSILON);
}

#[test]
fn what_a_slave_says_itself_counts_where_it_is_more() {
    let mut stage = Stage::steady();
    stage.report(1, MemberReport { lag_seconds: Some(7.0), ..slave(true) });
    assert!((stage.lag() - 7.0).abs() < f64::EPSILON);
}
