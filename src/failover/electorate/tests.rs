use std::net::SocketAddr;

use serde_json::json;

use crate::failover::config::Config;
use crate::failover::dialect::{
    Ballot, Furnished, MemberReport, Motion, SetConfig, SetMember, Standpoint, Standpoint::*,
};
use crate::failover::event::{Account, Action, Event, Miss, Moment, Seat, Server};

use crate::model::{Epoch, Role};

use super::change::{Next, Seated, next};
use super::*;

fn host(index: u32) -> String {
    format!("10.1.0.1:2000{index}")
}

fn set(version: u64, members: &[(u32, bool)]) -> SetConfig {
    let member = |(id, votes): &(u32, bool)| SetMember { id: *id, host: host(*id), votes: *votes };
    SetConfig { version, members: members.iter().map(member).collect(), document: json!({}) }
}

fn seated(index: u32, standpoint: Standpoint) -> Seated {
    let counts = matches!(standpoint, Primary | Secondary);
    Seated { index, host: Some(host(index)), leaving: false, counts, standpoint: Some(standpoint) }
}

fn leaving(index: u32, standpoint: Standpoint) -> Seated {
    Seated { leaving: true, ..seated(index, standpoint) }
}

fn dead(seat: Seated) -> Seated {
    Seated { counts: false, standpoint: None, ..seat }
}

/// The members of the next configuration, or what it is instead.
fn change(config: &SetConfig, primary: u32, seats: &[Seated]) -> String {
    match next("db", config, primary, seats) {
        Next::Reconfigure { config: after, .. } => {
            assert_eq!(after.version, config.version + 1);
            let member = |one: &SetMember| format!("{}{}", one.id, if one.votes { "v" } else { "" });
            after.members.iter().map(member).collect::<Vec<_>>().join(" ")
        }
        Next::Nothing => "nothing".to_owned(),
        Next::StepDown => "step down".to_owned(),
        Next::Wait(why) => why,
    }
}

// --- judgement

#[test]
fn new_members_join_without_a_vote_and_get_theirs_two_at_a_time() {
    let all = [seated(0, Primary), seated(1, Unfounded), seated(2, Unfounded)];
    assert_eq!(change(&set(1, &[(0, true)]), 0, &all), "0v 1");
    assert_eq!(change(&set(2, &[(0, true), (1, false)]), 0, &all), "0v 1 2");
    let joined = set(3, &[(0, true), (1, false), (2, false)]);
    let copies = |one, two| [seated(0, Primary), seated(1, one), seated(2, two)];
    assert_eq!(change(&joined, 0, &copies(Synchronizing, Synchronizing)), "nothing");
    assert_eq!(change(&joined, 0, &copies(Secondary, Synchronizing)), "nothing", "two voters survive no death");
    assert_eq!(change(&joined, 0, &copies(Secondary, Secondary)), "0v 1v 2");
    let even = set(4, &[(0, true), (1, true), (2, false)]);
    assert_eq!(change(&even, 0, &copies(Secondary, Secondary)), "0v 1v 2v");
    assert_eq!(change(&set(5, &[(0, true), (1, true), (2, true)]), 0, &copies(Secondary, Secondary)), "nothing");
}

#[test]
fn who_leaves_gives_up_its_vote_before_its_place() {
    let three = set(5, &[(0, true), (1, true), (2, true)]);
    let seats = [seated(0, Primary), leaving(1, Secondary), leaving(2, Secondary)];
    assert_eq!(change(&three, 0, &seats), "0v 1v 2");
    assert_eq!(change(&set(6, &[(0, true), (1, true), (2, false)]), 0, &seats), "0v 1v");
    assert_eq!(change(&set(7, &[(0, true), (1, true)]), 0, &seats), "0v 1");
    assert_eq!(change(&set(8, &[(0, true), (1, false)]), 0, &seats), "0v");
    assert_eq!(change(&set(9, &[(0, true)]), 0, &seats), "nothing");
}

#[test]
fn no_change_takes_the_majority_away() {
    // Without the vote of db.1, two voters would be left, of whom one is dead.
    let three = set(5, &[(0, true), (1, true), (2, true)]);
    let seats = [seated(0, Primary), leaving(1, Secondary), dead(seated(2, Secondary))];
    assert_eq!(change(&three, 0, &seats), "db.1 is to leave, but too few voters are there");
    // The dead one leaves first.
    let seats = [seated(0, Primary), leaving(1, Secondary), dead(leaving(2, Secondary))];
    assert_eq!(change(&three, 0, &seats), "0v 1v 2");
    // A container that is gone altogether counts as dead.
    let seats = [seated(0, Primary), leaving(1, Secondary)];
    assert_eq!(change(&three, 0, &seats), "0v 1v 2");
}

#[test]
fn a_primary_that_leaves_steps_down_for_one_that_stays() {
    let three = set(5, &[(0, true), (1, true), (2, true)]);
    assert_eq!(change(&three, 2, &[seated(0, Secondary), leaving(1, Secondary), leaving(2, Primary)]), "step down");
    let alone = change(&three, 2, &[seated(0, Synchronizing), leaving(1, Secondary), leaving(2, Primary)]);
    assert_eq!(alone, "db.2 is to leave, but no other member can be elected");
}

#[test]
fn a_member_that_moved_is_named_by_its_new_address() {
    let mut config = set(5, &[(0, true), (1, true), (2, true)]);
    config.members[1].host = "10.9.0.1:20001".to_owned();
    let seats = [seated(0, Primary), seated(1, Secondary), seated(2, Secondary)];
    let Next::Reconfigure { config, .. } = next("db", &config, 0, &seats) else { panic!() };
    assert_eq!(config.members[1].host, host(1));
}

// --- the machine, walked through by hand

/// The configuration of three members that all vote.
fn all_three() -> SetConfig {
    set(5, &[(0, true), (1, true), (2, true)])
}

struct Walk {
    group: Electorate,
    now: Moment,
}

fn server(index: u32) -> Server {
    Server { index, incarnation: u64::from(index) + 1 }
}

fn addr(index: u32) -> SocketAddr {
    SocketAddr::from(([172, 18, 0, 10 + u8::try_from(index).unwrap()], 27017))
}

fn seat(index: u32) -> Seat {
    let incarnation = Some(u64::from(index) + 1);
    Seat { index, addr: Some(addr(index)), incarnation, paused: false, leaving: false }
}

fn report(standpoint: Standpoint, term: u64, config: Option<SetConfig>) -> MemberReport {
    let primary = standpoint == Primary;
    let furnished = primary.then_some(Furnished { login: true, concern: true });
    MemberReport {
        writable: primary,
        link_up: standpoint == Secondary,
        ballot: Some(Box::new(Ballot { standpoint, term, config, furnished })),
        ..MemberReport::default()
    }
}

impl Walk {
    fn new(epoch: Option<Epoch>, members: u32) -> Self {
        let mut walk = Self { group: Electorate::new(Config::new("db")), now: Moment::default() };
        walk.tell(Event::Loaded(Ok(epoch)));
        let advertised = (0..members).map(|index| (index, host(index).parse().unwrap())).collect();
        walk.tell(Event::Advertised(advertised));
        walk.tell(Event::Observed((0..members).map(seat).collect()));
        walk
    }

    /// What is asked for besides reports and lines of the log.
    fn tell(&mut self, event: Event) -> Vec<Action> {
        self.now = self.now.after(std::time::Duration::from_millis(1));
        let mut actions = self.group.handle(self.now, event);
        for order in actions.iter().filter_map(order_of).collect::<Vec<_>>() {
            actions.extend(self.group.handle(self.now, Event::FrontMoved(order)));
        }
        actions.retain(|action| !matches!(action, Action::Note(_) | Action::Ask { .. } | Action::Load));
        actions
    }

    fn reported(&mut self, index: u32, report: MemberReport) -> Vec<Action> {
        let asked = self.now;
        self.tell(Event::Reported { server: server(index), asked, report })
    }

    fn carried(&mut self, actions: &[Action], result: Result<(), String>) -> Vec<Action> {
        let (server, motion) = carry(actions).expect("nothing was asked for");
        self.tell(Event::Carried { server, motion, result })
    }

    /// Three members, all voting, db.0 the primary of term 3.
    fn three() -> Self {
        let mut walk = Self::new(Some(Epoch { number: 3, master: 0 }), 3);
        for index in [1, 2] {
            assert!(walk.reported(index, report(Secondary, 3, Some(all_three()))).is_empty());
        }
        let actions = walk.reported(0, report(Primary, 3, Some(all_three())));
        assert_eq!(actions, [Action::Open { order: 1, master: addr(0), epoch: 3, acks: None }]);
        assert!(walk.group.status().settled);
        walk
    }
}

fn order_of(action: &Action) -> Option<u64> {
    match action {
        Action::Gate { order } | Action::Open { order, .. } | Action::Refuse { order, .. } => Some(*order),
        _ => None,
    }
}

fn carry(actions: &[Action]) -> Option<(Server, Motion)> {
    actions.iter().find_map(|action| match action {
        Action::Carry { server, motion } => Some((*server, motion.clone())),
        _ => None,
    })
}

fn account(actions: &[Action]) -> Option<Account> {
    actions.iter().find_map(|action| match action {
        Action::Record(account) => Some(account.clone()),
        _ => None,
    })
}

#[test]
fn a_new_group_is_founded_furnished_and_grows() {
    let mut walk = Walk::new(None, 3);
    assert!(walk.reported(0, report(Unfounded, 0, None)).is_empty());
    assert!(walk.reported(1, report(Unfounded, 0, None)).is_empty(), "db.2 may belong to a group");
    let actions = walk.reported(2, report(Unfounded, 0, None));
    let first = SetMember { id: 0, host: host(0), votes: true };
    assert_eq!(carry(&actions), Some((server(0), Motion::Found(first))));
    assert_eq!(walk.group.status().phase, "founding");
    walk.carried(&actions, Ok(()));

    let alone = set(1, &[(0, true)]);
    let mut bare = report(Primary, 1, Some(alone.clone()));
    bare.ballot.as_mut().unwrap().furnished = Some(Furnished { login: false, concern: false });
    let actions = walk.reported(0, bare);
    assert!(actions.contains(&Action::Open { order: 1, master: addr(0), epoch: 1, acks: None }), "{actions:?}");
    assert!(actions.contains(&Action::Commit(Epoch { number: 1, master: 0 })));
    assert!(matches!(carry(&actions), Some((_, Motion::Furnish(_)))), "{actions:?}");
    walk.carried(&actions, Ok(()));
    for index in [1, 2] {
        walk.reported(index, report(Unfounded, 0, None));
    }
    let actions = walk.reported(0, report(Primary, 1, Some(alone)));
    let Some((_, Motion::Reconfigure(config))) = carry(&actions) else { panic!("{actions:?}") };
    assert_eq!(config.members[1], SetMember { id: 1, host: host(1), votes: false });
}

#[test]
fn a_group_that_lost_all_data_waits_for_a_word() {
    let mut walk = Walk::new(Some(Epoch { number: 9, master: 1 }), 1);
    assert!(walk.reported(0, report(Unfounded, 0, None)).is_empty());
    let status = walk.group.status();
    assert_eq!(status.phase, "stalled");
    let why =
        "no member holds data, though db.1 was primary in term 9: `dotcloud switchover db db.0` begins anew with it";
    assert_eq!(status.reason.as_deref(), Some(why));
    let actions = walk.tell(Event::SwitchoverAsked(Some(0)));
    assert!(matches!(carry(&actions), Some((_, Motion::Found(_)))), "{actions:?}");
}

#[test]
fn the_front_follows_who_is_elected_and_an_account_is_kept() {
    let mut walk = Walk::three();
    assert_eq!(walk.tell(Event::Died(server(0))), [Action::Gate { order: 2 }]);
    let status = walk.group.status();
    assert_eq!((status.phase.as_str(), status.settled), ("electing", false));
    assert_eq!(status.reason.as_deref(), Some("the members elect a primary"));
    walk.reported(1, report(Secondary, 4, Some(all_three())));
    let actions = walk.reported(2, report(Primary, 4, Some(all_three())));
    assert!(actions.contains(&Action::Open { order: 3, master: addr(2), epoch: 4, acks: None }), "{actions:?}");
    let told = account(&actions).unwrap();
    assert_eq!((told.cause.as_str(), told.old_master, told.new_master, told.epoch), ("container died", 0, 2, 4));
    let mut wrote = report(Primary, 4, Some(all_three()));
    wrote.writes = 1;
    assert!(account(&walk.reported(2, wrote)).unwrap().first_write.is_some());
}

#[test]
fn an_older_claim_is_not_followed() {
    let mut walk = Walk::three();
    // Paused, replaced, and back: it has not heard yet.
    let actions = walk.reported(2, report(Primary, 4, Some(all_three())));
    assert!(actions.contains(&Action::Open { order: 3, master: addr(2), epoch: 4, acks: None }), "{actions:?}");
    let actions = walk.reported(0, report(Primary, 3, Some(all_three())));
    assert!(!actions.iter().any(|action| order_of(action).is_some()), "{actions:?}");
    let roles: Vec<Role> = walk.group.status().members.iter().map(|member| member.role).collect();
    assert_eq!(roles, [Role::Slave, Role::Slave, Role::Master]);
}

#[test]
fn a_primary_that_does_not_answer_is_not_led_to() {
    let mut walk = Walk::three();
    assert!(walk.tell(Event::Missed(server(0), Miss::Silent { busy: false })).is_empty());
    let actions = walk.tell(Event::Missed(server(0), Miss::Silent { busy: false }));
    assert_eq!(actions, [Action::Gate { order: 2 }]);
}

#[test]
fn a_switchover_leaves_one_member_to_be_elected() {
    let mut walk = Walk::three();
    let actions = walk.tell(Event::SwitchoverAsked(Some(1)));
    assert!(actions.contains(&Action::Gate { order: 2 }));
    assert_eq!(carry(&actions), Some((server(2), Motion::Freeze(30))));
    let actions = walk.carried(&actions, Ok(()));
    assert_eq!(carry(&actions), Some((server(0), Motion::StepDown)));
    walk.carried(&actions, Ok(()));
    walk.reported(0, report(Secondary, 4, Some(all_three())));
    let actions = walk.reported(1, report(Primary, 4, Some(all_three())));
    assert!(actions.contains(&Action::AnswerSwitchover(Ok(1))), "{actions:?}");
    assert_eq!(carry(&actions), Some((server(2), Motion::Freeze(0))));
}

#[test]
fn a_switchover_that_fails_leads_to_the_same_primary_again() {
    let mut walk = Walk::three();
    let asked = walk.tell(Event::SwitchoverAsked(None));
    let actions = walk.carried(&asked, Err("no electable secondaries caught up".to_owned()));
    let refused = Action::AnswerSwitchover(Err("no electable secondaries caught up".to_owned()));
    assert!(
        actions.contains(&refused)
            && actions.contains(&Action::Open { order: 3, master: addr(0), epoch: 3, acks: None })
    );
    assert!(walk.group.status().settled);
}

#[test]
fn a_planned_restart_is_no_failure() {
    let mut walk = Walk::three();
    let actions = walk.tell(Event::RestartPlanned(0));
    assert!(actions.contains(&Action::Gate { order: 2 }), "{actions:?}");
    let actions = walk.carried(&actions, Ok(()));
    let actions = walk.carried(&actions, Ok(()));
    let actions = [actions, walk.tell(Event::Ticked)].concat();
    assert!(actions.contains(&Action::ReleaseRestart(0)), "{actions:?}");
    walk.tell(Event::Died(server(0)));
    let again = Seat { incarnation: Some(9), ..seat(0) };
    walk.tell(Event::Observed(vec![again, seat(1), seat(2)]));
    let asked = walk.now;
    let report = report(Primary, 4, Some(all_three()));
    let mut actions = walk.tell(Event::Reported { server: Server { index: 0, incarnation: 9 }, asked, report });
    actions.extend(walk.tell(Event::Ticked));
    assert!(actions.contains(&Action::Open { order: 3, master: addr(0), epoch: 4, acks: None }), "{actions:?}");
    assert_eq!(account(&actions), None);
    let released = walk.tell(Event::RestartPlanned(1));
    assert!(released.contains(&Action::ReleaseRestart(1)), "a secondary's begins at once");
}

/// Whoever is let go is everybody who waits for that member.
#[test]
fn a_restart_that_is_announced_twice_waits_all_the_same() {
    let mut walk = Walk::three();
    walk.tell(Event::RestartPlanned(0));
    assert_eq!(walk.tell(Event::RestartPlanned(0)), [], "the others do not stand back yet");
    walk.tell(Event::Died(server(1)));
    assert_eq!(walk.tell(Event::RestartPlanned(1)), [Action::ReleaseRestart(1)], "nobody else is let go");
}

#[test]
fn a_restart_that_is_withdrawn_leads_the_front_to_the_primary_again() {
    let mut walk = Walk::three();
    let gated = walk.tell(Event::RestartPlanned(0));
    assert!(gated.iter().any(|action| matches!(action, Action::Gate { .. })), "{gated:?}");
    let told = walk.tell(Event::RestartWithdrawn(0));
    assert!(told.iter().any(|action| matches!(action, Action::Open { master, .. } if *master == addr(0))), "{told:?}");
}

#[test]
fn a_secondary_that_restarts_does_not_keep_the_front_from_a_new_primary() {
    let mut walk = Walk::three();
    assert!(walk.tell(Event::RestartPlanned(1)).contains(&Action::ReleaseRestart(1)));
    walk.tell(Event::Died(server(0)));
    let actions = walk.reported(2, report(Primary, 4, Some(all_three())));
    assert!(actions.contains(&Action::Open { order: 3, master: addr(2), epoch: 4, acks: None }), "{actions:?}");
}

#[test]
fn nothing_is_discarded_that_still_counts() {
    let mut walk = Walk::three();
    let seats = vec![seat(0), Seat { leaving: true, ..seat(1) }, Seat { leaving: true, ..seat(2) }];
    let actions = walk.tell(Event::Observed(seats));
    let status = walk.group.status();
    assert!(!status.settled && status.bound == [0, 1, 2].into(), "{status:?}");
    let Some((_, Motion::Reconfigure(config))) = carry(&actions) else { panic!("{actions:?}") };
    assert_eq!(config.member(2).map(|one| one.votes), Some(false));
    assert!(carry(&walk.tell(Event::Ticked)).is_none(), "one change at a time");
}

#[test]
fn an_older_claim_is_not_followed_even_when_the_newer_primary_is_gone() {
    let mut walk = Walk::three();
    let actions = walk.reported(2, report(Primary, 4, Some(all_three())));
    assert!(actions.contains(&Action::Open { order: 3, master: addr(2), epoch: 4, acks: None }), "{actions:?}");
    // Nobody else has told of term 4, and what db.0 said last is that it is the primary of term 3.
    assert_eq!(walk.tell(Event::Died(server(2))), [Action::Gate { order: 4 }]);
    assert!(walk.group.status().members.iter().all(|member| member.role != Role::Master));
}
