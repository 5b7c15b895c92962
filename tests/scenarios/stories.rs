//! One misfortune each, in simulated time, told as a story.

use dotcloud_local::failover::Phase;

use crate::servers::Model::{self, Copying, Fronted, Guarded, Logged};
use crate::simulator::Simulator;

const MODELS: [Model; 3] = [Copying, Logged, Guarded];
const ALL: [Model; 4] = [Copying, Logged, Guarded, Fronted];

/// The slave of two is cut off until its master writes alone. Then daemon and master die
/// together: the new daemon finds a slave that calls itself one, and knows from the disk that it
/// lacks what the master alone has. It waits for the master.
#[test]
fn a_slave_that_was_out_of_step_is_not_elected_by_a_daemon_that_never_saw_that() {
    for model in MODELS {
        let mut group = Simulator::calm(model, 2);
        let (old, slave) = (group.master(), 1 - group.master());
        group.cut_off(slave, 20_000);
        group.pass(5_000);
        group.kill(old);
        group.kill_daemon();
        group.until("a master is open again", |group| group.epoch() > 1 || group.status().settled);
        assert_eq!(group.master(), old, "{model:?}: {}", group.log());
    }
}

/// Both die at the same moment. Nobody is promoted on a guess: they come back, and the recorded
/// master goes on with its data.
#[test]
fn all_members_dead_come_back_with_their_data() {
    for model in MODELS {
        let mut group = Simulator::calm(model, 3);
        let old = group.master();
        (0..3).for_each(|index| group.kill(index));
        group.until("they are back", Simulator::level);
        assert_eq!(group.master(), old, "{model:?}: its own disk holds everything");
    }
}

/// Master and a slave die together; the other slave takes over if it certainly has everything,
/// else the first to come back decides.
#[test]
fn two_simultaneous_deaths_lose_nothing() {
    for model in MODELS {
        let mut group = Simulator::calm(model, 3);
        let (old, other) = (group.master(), (group.master() + 1) % 3);
        group.kill(other);
        group.kill(old);
        group.until("a master is open again", |group| group.epoch() > 1 && group.status().settled);
        group.until("all are level", Simulator::level);
    }
}

/// The chosen one dies between the commit of its epoch and its opening: the next one is measured
/// against the same old master.
#[test]
fn death_during_promotion_is_followed_by_another_choice() {
    for model in MODELS {
        let mut group = Simulator::calm(model, 3);
        let old = group.master();
        group.kill(old);
        group.until("somebody is chosen", |group| group.phase() == Phase::Promoting);
        let chosen = group.master();
        assert_ne!(chosen, old);
        group.keep_down(chosen);
        group.until("another is open", |group| group.status().settled);
        assert_ne!(group.master(), chosen, "{model:?}: {}", group.log());
        group.revive(chosen);
        group.until("all are level", Simulator::level);
    }
}

/// The daemon dies at every moment of a promotion; the next one finishes it.
#[test]
fn death_of_the_daemon_during_promotion_is_continued_by_the_next_one() {
    for model in MODELS {
        for phase in [Phase::Gating, Phase::Draining, Phase::Electing, Phase::Promoting, Phase::Repointing] {
            let mut group = Simulator::calm(model, 3);
            let (old, epoch) = (group.master(), group.epoch());
            group.kill(old);
            group.until("the phase is reached", |group| group.phase() == phase);
            group.kill_daemon();
            group.until("it is finished", |group| group.epoch() > epoch && group.level());
        }
    }
}

/// The epoch cannot be written: nobody is promoted, the reason is told, and with room on the disk
/// it goes on by itself.
#[test]
fn full_disk_stalls_the_group_with_the_reason_until_there_is_room() {
    for model in MODELS {
        let mut group = Simulator::calm(model, 2);
        let (old, epoch) = (group.master(), group.epoch());
        group.full_disk(4_000);
        group.keep_down(old);
        group.until("it stalls", |group| group.phase() == Phase::Stalled);
        let reason = group.status().reason.expect("a reason");
        assert!(reason.contains("no space left"), "{reason}");
        assert_eq!(group.epoch(), epoch, "nothing was promoted");
        group.until("there is room again", |group| group.epoch() > epoch && group.status().settled);
        assert_ne!(group.master(), old);
        group.revive(old);
        group.until("all are level", Simulator::level);
    }
}

/// One of two slaves is cut off for a moment before the master dies: the other one is elected,
/// and the log says why.
#[test]
fn the_most_advanced_slave_is_elected_and_the_log_says_so() {
    for model in MODELS {
        let mut group = Simulator::calm(model, 3);
        let old = group.master();
        let (behind, ahead) = ((old + 1) % 3, (old + 2) % 3);
        group.cut_off(behind, 1_500);
        group.pass(1_200);
        group.kill(old);
        group.until("somebody is elected", |group| group.epoch() > 1);
        assert_eq!(group.master(), ahead, "{model:?}: {}", group.log());
        let why = format!("db.{ahead} is the most advanced replica, at");
        assert!(group.log().contains(&why) && group.log().contains(&format!("db.{behind}")), "{}", group.log());
        group.until("all are level", Simulator::level);
    }
}

/// A hung master is ended before its slave is promoted: were it to go on, it would find writes in
/// its sockets and take them.
#[test]
fn paused_master_never_writes_again_after_the_promotion() {
    for model in MODELS {
        let mut group = Simulator::calm(model, 2);
        let (old, epoch) = (group.master(), group.epoch());
        group.hang(old, 10_000);
        group.until("another is open", |group| group.epoch() > epoch && group.status().settled);
        assert_ne!(group.master(), old);
        group.pass(11_000);
        group.until("it came back as a slave", Simulator::level);
    }
}

/// The store was lost: whoever is promoted then might overwrite newer data, so the group says what
/// is missing and waits for a word.
pub fn lost_store() -> Simulator {
    let mut group = Simulator::calm(Logged, 2);
    group.pass(500);
    group.lose_store();
    group.kill(0);
    group.kill(1);
    group.kill_daemon();
    group.until("it stalls", |group| group.phase() == Phase::Stalled && group.runs(0) && group.runs(1));
    let reason = group.status().reason.expect("a reason");
    assert!(reason.contains("holds data but the store does not know which member was master"), "{reason}");
    group.pass(10_000);
    assert_eq!(group.phase(), Phase::Stalled, "it does not guess after a while either");
    group.name_master(1);
    group.until("all are level", Simulator::level);
    assert_eq!(group.master(), 1);
    group
}

/// The master dies, and dies again while it is opened for the second time.
pub fn death_while_opened_again() -> Simulator {
    let mut group = Simulator::calm(Guarded, 1);
    group.kill(0);
    group.kill_daemon();
    group.until("it is promoted again", |group| group.phase() == Phase::Promoting);
    group.kill(0);
    group.until("it is open", |group| group.level());
    group
}

#[test]
fn lost_store_stalls_the_group_until_somebody_names_the_master() {
    lost_store();
}

#[test]
fn a_master_that_dies_while_it_is_opened_again_is_waited_for() {
    let group = death_while_opened_again();
    assert_eq!(group.epoch(), 1, "nobody else was elected");
}

/// The successor of a switchover dies for good, or hangs for very long, after its epoch was written
/// and before it was opened. The old master runs, is a slave, and has everything: it goes on.
#[test]
fn a_switchover_whose_successor_fails_before_it_is_opened_goes_back() {
    for model in ALL {
        for hangs in [false, true] {
            let mut group = Simulator::calm(model, 2);
            let (old, to) = (group.master(), 1 - group.master());
            group.name_master(to as u32);
            group.until("its epoch is written", |group| group.master() == to);
            if hangs {
                group.hang(to, 25_000)
            } else {
                group.keep_down(to)
            }
            group.until("somebody is open", |group| group.status().settled);
            assert_eq!(group.master(), old, "{model:?}, hangs {hangs}: {}", group.log());
            if !hangs {
                group.revive(to);
            }
            group.until("all are level", Simulator::level);
        }
    }
}

/// The master dies, and its only slave dies for good before it is opened in its place. The master
/// comes back, and nobody wrote since.
#[test]
fn a_master_goes_on_when_its_successor_died_before_it_was_opened() {
    for model in ALL {
        let mut group = Simulator::calm(model, 2);
        group.pass(2_000);
        let (old, chosen) = (group.master(), 1 - group.master());
        group.kill(old);
        group.until("the slave's epoch is written", |group| group.master() == chosen);
        group.keep_down(chosen);
        group.until("the master is open again", |group| group.status().settled);
        assert_eq!(group.master(), old, "{model:?}: {}", group.log());
        group.revive(chosen);
        group.until("all are level", Simulator::level);
    }
}

/// Whoever is to take over is restarted at every moment of the switchover.
#[test]
fn a_successor_that_comes_back_in_the_middle_of_a_switchover_loses_nothing() {
    for model in ALL {
        for phase in [Phase::Gating, Phase::Draining, Phase::Fencing, Phase::Electing, Phase::Promoting] {
            let mut group = Simulator::calm(model, 3);
            let to = (group.master() + 1) % 3;
            group.name_master(to as u32);
            group.until("the phase is reached", |group| group.phase() == phase);
            group.keep_down(to);
            group.revive(to);
            group.until("all are level", Simulator::level);
        }
    }
}

/// The daemon dies when the epoch is written and nobody is opened yet, and the chosen one never
/// comes back. Whether it was opened no later daemon can know: it waits, says for whom, and takes
/// a person's word.
#[test]
fn a_daemon_killed_between_the_epoch_and_the_opening_waits_for_the_chosen_one_or_a_word() {
    for model in ALL {
        let mut group = Simulator::calm(model, 3);
        let old = group.master();
        group.kill(old);
        group.until("an epoch is written", |group| group.master() != old);
        let (chosen, other) = (group.master(), 3 - old - group.master());
        group.kill_daemon();
        group.keep_down(chosen);
        group.pass(15_000);
        assert_eq!(group.phase(), Phase::Gathering);
        let reason = group.status().reason.expect("a reason");
        assert!(reason.contains(&format!("db.{chosen}, the master")), "{model:?}: {reason}");
        group.name_master(other as u32);
        group.until("the word is taken", |group| group.master() == other && group.status().settled);
        group.revive(chosen);
        group.until("all are level", Simulator::level);
    }
}

/// The master dies while it is scaled away. If somebody can succeed it, it does not matter; if not,
/// it comes back, hands over, and goes then.
#[test]
fn a_master_that_dies_while_it_is_scaled_away_is_succeeded_or_comes_back_first() {
    for model in ALL {
        for behind in [false, true] {
            let mut group = Simulator::calm(model, 2);
            let (old, slave) = (group.master(), 1 - group.master());
            if behind {
                group.cut_off(slave, 7_000);
                group.pass(5_000);
            }
            group.leave(old);
            group.kill(old);
            group.until("it is gone", |group| group.left(old));
            assert_eq!(group.master(), slave, "{model:?}, behind {behind}");
            group.until("all are level", Simulator::level);
        }
    }
}

/// Master and daemon end, and the master's pod is removed with it. The next daemon finds nothing of
/// the master: the slave for which the disk vouches succeeds it before the master is made anew,
/// which then follows.
#[test]
fn a_master_of_which_a_new_daemon_finds_nothing_is_succeeded_at_once() {
    for model in ALL {
        for count in [2, 3] {
            let mut group = Simulator::calm(model, count);
            group.pass(2_000);
            let (old, epoch) = (group.master(), group.epoch());
            group.keep_down(old);
            group.kill_daemon();
            group.until("another is open", |group| group.epoch() > epoch && group.status().settled);
            assert_ne!(group.master(), old, "{model:?} of {count}: {}", group.log());
            assert!(group.log().contains("is the most advanced replica"), "{}", group.log());
            group.remake(old);
            group.until("all are level", Simulator::level);
        }
    }
}

/// The same, but the slave was out of step: the master is made anew, and goes on with its data.
#[test]
fn a_master_of_which_a_new_daemon_finds_nothing_is_waited_for_if_no_slave_has_everything() {
    for model in MODELS {
        let mut group = Simulator::calm(model, 2);
        let (old, slave) = (group.master(), 1 - group.master());
        group.cut_off(slave, 20_000);
        group.pass(5_000);
        group.keep_down(old);
        group.kill_daemon();
        group.pass(5_000);
        let reason = group.status().reason.expect("a reason");
        assert!(reason.contains(&format!("waiting for db.{old}, the master")), "{model:?}: {reason}");
        group.remake(old);
        group.until("all are level", Simulator::level);
        assert_eq!(group.master(), old, "{model:?}: {}", group.log());
    }
}

/// The only slave is away for less than the time between two looks: the group is whole again, and
/// the slave is fit to succeed the master.
#[test]
fn the_only_slave_that_goes_and_comes_back_at_once_is_waited_for_again() {
    for model in ALL {
        let mut group = Simulator::calm(model, 2);
        let (old, slave) = (group.master(), 1 - group.master());
        for pause in [0, 1, 5, 40, 300] {
            group.keep_down(slave);
            group.pass(pause);
            group.revive(slave);
            group.pass(300);
            group.until("all are level, and writes wait again", |group| group.unrest().is_none());
        }
        group.kill(old);
        group.until("the slave succeeds it", |group| group.master() == slave && group.status().settled);
        group.until("all are level", Simulator::level);
    }
}
