//! Work that the platform itself does with the service.

use super::*;

const BUSY: Miss = Miss::Silent { busy: true };
const IDLE: Miss = Miss::Silent { busy: false };

impl Stage {
    /// `db.0` is worked with.
    fn laboured() -> Self {
        let mut stage = Self::steady();
        assert_eq!(stage.tell(Event::Laboured(true)), []);
        stage
    }

    /// The master stays without an answer, every 100 ms for so long or until that leads to something.
    fn silent(&mut self, how: Miss, ms: u64) -> Phase {
        for _ in 0..ms / 100 {
            self.now += 99;
            self.tell(Event::Missed(server(0), how));
            if self.group.phase() != Phase::Suspect {
                break;
            }
        }
        self.group.phase()
    }
}

#[test]
fn a_master_that_a_restore_keeps_busy_is_waited_for() {
    assert_eq!(Stage::steady().silent(BUSY, 2_000), Phase::Gating, "nobody works with it");
    let mut stage = Stage::laboured();
    assert_eq!(stage.silent(BUSY, 30_000), Phase::Suspect);
    stage.report(0, master());
    assert_eq!(stage.group.phase(), Phase::Steady);
    assert_eq!(stage.silent(Miss::Refused, 30_000), Phase::Suspect, "it is away on purpose");
}

#[test]
fn it_is_not_waited_for_without_end() {
    assert_eq!(Stage::laboured().silent(BUSY, 59_000), Phase::Suspect);
    assert_eq!(Stage::laboured().silent(BUSY, 61_000), Phase::Gating);
}

#[test]
fn a_master_that_died_or_does_nothing_is_replaced_as_ever() {
    let mut stage = Stage::laboured();
    stage.tell(Event::Died(server(0)));
    assert_eq!(stage.group.phase(), Phase::Gating);
    let mut stage = Stage::laboured();
    assert_eq!(stage.silent(BUSY, 5_000), Phase::Suspect);
    assert_eq!(stage.silent(IDLE, 400), Phase::Suspect, "a moment without a sign of work is none");
    assert_eq!(stage.silent(IDLE, 100), Phase::Gating);
}

#[test]
fn work_that_ended_or_died_excuses_for_a_moment_and_never_again() {
    let mut stage = Stage::laboured();
    stage.tell(Event::Laboured(false));
    assert_eq!(stage.silent(BUSY, 9_000), Phase::Suspect, "what was restored is still digested");
    assert_eq!(stage.silent(BUSY, 1_500), Phase::Gating);
    let mut stage = Stage::laboured();
    stage.tell(Event::Laboured(false));
    stage.now += 10_000;
    stage.report(0, master());
    assert_eq!(stage.silent(BUSY, 1_000), Phase::Gating, "as if nothing had been");
}

#[test]
fn a_slave_that_is_kept_busy_is_not_waited_for() {
    let mut stage = Stage::laboured();
    for _ in 0..10 {
        stage.tell(Event::Missed(server(1), BUSY));
    }
    let members = stage.group.status().members;
    assert_eq!(members[1].role, crate::model::Role::Unknown);
}
