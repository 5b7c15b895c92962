//! One walk per story; the many stories at once are in `tests/scenarios`.

mod guard;
mod handover;
mod labour;
mod lag;
mod vouch;

use std::time::Duration;

use super::*;
use crate::failover::dialect::MemberReport;
use crate::failover::{Miss, Seat};
use crate::model::Vouched;

/// A group of two: `db.0` is master under epoch 1, `db.1` in step.
struct Stage {
    group: Group,
    now: u64,
}

fn addr(index: u32) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, index as u8], 6379))
}

fn server(index: u32) -> Server {
    Server { index, incarnation: u64::from(index) + 1 }
}

fn seat(index: u32) -> Seat {
    let incarnation = Some(server(index).incarnation);
    Seat { index, addr: Some(addr(index)), incarnation, paused: false, leaving: false }
}

/// The disk vouches for the slaves of `db.0` under this epoch.
fn word(epoch: u64) -> Option<Vouched> {
    Some(Vouched { epoch, upstream: Some(addr(0)) })
}

fn master() -> MemberReport {
    MemberReport { writable: true, history: "h".to_owned(), position: 9, ..MemberReport::default() }
}

fn slave(link_up: bool) -> MemberReport {
    MemberReport { writable: false, upstream: Some(addr(0)), link_up, was_linked: true, ..master() }
}

/// How a story begins.
impl Stage {
    /// A daemon that has seen so many members and read nothing yet.
    fn of(members: u32) -> Self {
        Self::with(Config::new("db"), (0..members).map(seat).collect())
    }

    fn with(config: Config, seats: Vec<Seat>) -> Self {
        let mut stage = Self { group: Group::new(config), now: 0 };
        stage.tell(Event::Observed(seats));
        stage
    }

    /// The disk names `db.0` under epoch 1.
    fn named(mut self) -> Self {
        self.tell(Event::Loaded(Ok(Some(Epoch { number: 1, master: 0 }))));
        self
    }

    fn steady() -> Self {
        let mut stage = Self::of(2).named();
        stage.report(0, master());
        stage.report(1, slave(true));
        stage.front_obeys();
        assert_eq!(stage.group.phase(), Phase::Steady);
        stage
    }

    /// With `db.2`, another slave in step.
    fn and_another(mut self) -> Self {
        self.tell(Event::Observed((0..3).map(seat).collect()));
        self.report(2, slave(true));
        self
    }
}

/// How it goes on.
impl Stage {
    fn now(&self) -> Moment {
        Moment(Duration::from_millis(self.now))
    }

    /// The disk does not answer.
    fn told(&mut self, event: Event) -> Vec<Action> {
        self.now += 1;
        self.group.handle(self.now(), event)
    }

    /// The disk takes every word in at once.
    fn tell(&mut self, event: Event) -> Vec<Action> {
        let mut actions = self.told(event);
        let now = self.now();
        while let Some(at) = actions.iter().position(|action| matches!(action, Action::Vouch { .. })) {
            let Action::Vouch { epoch, upstream } = actions.remove(at) else { unreachable!("it was just found") };
            actions.extend(self.group.handle(now, Event::VouchKept { epoch, upstream, result: Ok(()) }));
        }
        actions.retain(|action| !matches!(action, Action::Note(_) | Action::Ping(_) | Action::Ask { .. }));
        actions
    }

    fn report(&mut self, index: u32, report: MemberReport) -> Vec<Action> {
        let asked = self.now();
        self.tell(Event::Reported { server: server(index), asked, report })
    }

    fn front_obeys(&mut self) -> Vec<Action> {
        let order = self.group.front.order();
        self.tell(Event::FrontMoved(order))
    }

    /// The member has done what it was told, and is now like this.
    fn obeys(&mut self, index: u32, change: RoleChange, report: MemberReport) -> Vec<Action> {
        self.tell(Event::Commanded { server: server(index), change, result: Ok(report) })
    }

    /// The epoch is on the disk.
    fn commits(&mut self, number: u64, master: u32) -> Vec<Action> {
        self.tell(Event::Committed(Epoch { number, master }, Ok(())))
    }

    /// And the front lets nobody through.
    fn master_dies(&mut self) {
        self.tell(Event::Died(server(0)));
        self.front_obeys();
    }
}

#[test]
fn a_death_walks_the_whole_way_in_the_safe_order() {
    let mut stage = Stage::steady();
    let gate = stage.tell(Event::Died(server(0)));
    assert!(matches!(gate.as_slice(), [Action::Gate { .. }]), "{gate:?}");
    assert_eq!(stage.group.phase(), Phase::Gating);
    stage.front_obeys();
    assert_eq!(stage.group.phase(), Phase::Draining, "the link of db.1 is not yet known to be down");
    let epoch = Epoch { number: 2, master: 1 };
    assert_eq!(stage.report(1, slave(false)), [Action::Commit(epoch)]);
    let promote = stage.commits(2, 1);
    assert_eq!(promote, [Action::Command { server: server(1), change: RoleChange::Promote }]);
    let opened = stage.obeys(1, RoleChange::Promote, master());
    assert!(matches!(opened.as_slice(), [Action::Open { epoch: 2, .. }]));
    let recorded = stage.front_obeys();
    assert!(matches!(recorded.as_slice(), [Action::Record(account)] if account.new_master == 1), "{recorded:?}");
    assert!(stage.group.status().settled);
}

#[test]
fn a_hang_is_fenced_and_nobody_is_promoted_before_the_death() {
    let mut stage = Stage::steady();
    stage.tell(Event::Missed(server(0), Miss::Silent { busy: false }));
    assert_eq!(stage.group.phase(), Phase::Suspect);
    let fence = stage.tell(Event::Missed(server(0), Miss::Silent { busy: false }));
    assert!(fence.contains(&Action::Kill(server(0))));
    stage.front_obeys();
    for _ in 0..50 {
        stage.now += 100;
        stage.report(1, slave(false));
        assert_eq!(stage.group.phase(), Phase::Fencing);
    }
    assert!(stage.group.status().reason.unwrap().contains("db.0 is dead for certain"));
    stage.tell(Event::Died(server(0)));
    assert_eq!(stage.group.phase(), Phase::Draining);
}

#[test]
fn an_answer_ends_the_suspicion() {
    let mut stage = Stage::steady();
    stage.tell(Event::Missed(server(0), Miss::Silent { busy: false }));
    stage.tell(Event::Answered(server(0)));
    assert_eq!(stage.group.phase(), Phase::Steady);
}

#[test]
fn a_busy_master_gets_more_time_than_a_hung_one() {
    let mut stage = Stage::steady();
    for _ in 0..9 {
        stage.tell(Event::Missed(server(0), Miss::Silent { busy: true }));
        assert_eq!(stage.group.phase(), Phase::Suspect);
    }
    stage.tell(Event::Missed(server(0), Miss::Silent { busy: true }));
    assert_eq!(stage.group.phase(), Phase::Gating);
}

#[test]
fn a_hung_master_without_a_successor_is_left_alone_for_a_while() {
    let mut stage = Stage::steady();
    stage.tell(Event::Observed(vec![seat(0)]));
    for _ in 0..20 {
        stage.tell(Event::Missed(server(0), Miss::Silent { busy: false }));
        assert_eq!(stage.group.phase(), Phase::Suspect);
    }
    stage.now += 11_000;
    let ended = stage.tell(Event::Missed(server(0), Miss::Silent { busy: false }));
    assert!(ended.contains(&Action::Kill(server(0))));
}

#[test]
fn a_late_look_does_not_bring_the_dead_back() {
    let mut stage = Stage::steady();
    stage.tell(Event::Died(server(0)));
    stage.tell(Event::Observed(vec![seat(0), seat(1)]));
    assert_eq!(stage.group.server(0), None);
}

#[test]
fn a_store_that_cannot_be_read_promotes_nobody() {
    let mut stage = Stage::of(2);
    stage.report(0, MemberReport::default());
    stage.report(1, MemberReport::default());
    let refused = stage.tell(Event::Loaded(Err("cannot use the store".to_owned())));
    assert!(matches!(refused.last(), Some(Action::Refuse { .. })), "{refused:?}");
    assert_eq!(stage.group.phase(), Phase::Stalled);
    stage.now += 1_000;
    assert_eq!(stage.tell(Event::Ticked), [Action::Load], "it is asked again");
}

#[test]
fn a_restart_of_a_member_that_does_not_run_begins_at_once() {
    let mut stage = Stage::steady();
    stage.tell(Event::Died(server(1)));
    assert_eq!(stage.tell(Event::RestartPlanned(1)), [Action::ReleaseRestart(1)]);
    assert_eq!(stage.tell(Event::RestartPlanned(7)), [Action::ReleaseRestart(7)], "nor of one that does not exist");
    assert!(stage.group.status().settled, "nothing was planned");
}

#[test]
fn a_restart_of_the_master_waits_for_the_gate_in_the_first_gathering_too() {
    let mut stage = Stage::of(2).named();
    assert_eq!(stage.group.phase(), Phase::Gathering);
    assert!(matches!(stage.tell(Event::RestartPlanned(0)).as_slice(), [Action::Gate { .. }]));
    assert_eq!(stage.front_obeys(), [Action::ReleaseRestart(0)]);
}

#[test]
fn a_restart_that_is_withdrawn_opens_the_master_again_or_lets_another_one_succeed_it() {
    for lives in [true, false] {
        let mut stage = Stage::steady();
        stage.tell(Event::RestartPlanned(0));
        assert_eq!(stage.front_obeys(), [Action::ReleaseRestart(0)]);
        if !lives {
            stage.tell(Event::Died(server(0)));
            assert_eq!(stage.group.phase(), Phase::Gathering, "a slave does not succeed it meanwhile");
        }
        let told = stage.tell(Event::RestartWithdrawn(0));
        let opened = told.iter().any(|action| matches!(action, Action::Open { epoch: 1, .. }));
        assert_eq!(opened, lives, "{told:?}");
        assert_eq!(stage.group.phase(), if lives { Phase::Repointing } else { Phase::Draining });
    }
}

#[test]
fn a_restart_that_is_withdrawn_before_it_was_allowed_is_let_go_and_another_ones_stays() {
    let mut stage = Stage::steady();
    stage.tell(Event::RestartPlanned(0));
    assert_eq!(stage.tell(Event::RestartWithdrawn(1)), []);
    let told = stage.tell(Event::RestartWithdrawn(0));
    assert!(told.contains(&Action::ReleaseRestart(0)), "{told:?}");
}

#[test]
fn a_plan_that_ends_before_it_was_allowed_lets_go() {
    for over in ["time", "another process", "another plan"] {
        let mut stage = Stage::steady();
        stage.tell(Event::RestartPlanned(0));
        let actions = match over {
            "time" => {
                stage.now += 60_000;
                stage.tell(Event::Ticked)
            }
            "another process" => {
                let again = Seat { incarnation: Some(9), ..seat(0) };
                stage.tell(Event::Observed(vec![again, seat(1)]))
            }
            _ => stage.tell(Event::RestartPlanned(1)),
        };
        assert!(actions.contains(&Action::ReleaseRestart(0)), "{over}: {actions:?}");
    }
}

#[test]
fn a_stalled_group_says_which_command_decides_and_refuses_a_wish_that_does_not() {
    let mut stage = Stage::of(2);
    stage.report(0, MemberReport::default());
    stage.report(1, slave(false));
    stage.tell(Event::Loaded(Ok(None)));
    assert_eq!(stage.group.phase(), Phase::Stalled);
    let reason = stage.group.status().reason.unwrap();
    assert!(reason.contains("`dotcloud switchover db db."), "{reason}");
    assert_eq!(stage.tell(Event::SwitchoverAsked(None)), []);
    stage.now += 3_000;
    assert_eq!(stage.tell(Event::Ticked), [Action::AnswerSwitchover(Err(reason))]);
    let named = stage.tell(Event::SwitchoverAsked(Some(1)));
    assert!(named.contains(&Action::Commit(Epoch { number: 1, master: 1 })), "{named:?}");
}

#[test]
fn timers_never_lie_in_the_past() {
    let mut stage = Stage::steady();
    for _ in 0..100 {
        stage.now += 37;
        stage.tell(Event::Ticked);
        assert!(stage.group.next_timeout() > Moment(Duration::from_millis(stage.now)));
    }
}

/// Its volume was lost, and which slave's data is to count only a person can say.
#[test]
fn a_group_whose_master_came_back_empty_takes_the_word_that_it_asks_for() {
    let mut stage = Stage::of(3).named();
    stage.report(1, slave(false));
    stage.report(2, slave(false));
    stage.report(0, MemberReport { blank: true, empty: true, ..MemberReport::default() });
    assert_eq!(stage.group.phase(), Phase::Stalled);
    let reason = stage.group.status().reason.unwrap();
    assert!(reason.contains("`dotcloud switchover db db.1`"), "{reason}");
    let named = stage.tell(Event::SwitchoverAsked(Some(1)));
    assert!(named.contains(&Action::Commit(Epoch { number: 2, master: 1 })), "{named:?}");
}
