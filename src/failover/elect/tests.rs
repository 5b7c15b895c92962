use super::*;

fn addr(index: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, index], 6379))
}

/// A replica of `db.0`, in step with it.
fn replica(position: u64) -> MemberReport {
    MemberReport {
        upstream: Some(addr(0)),
        link_up: true,
        was_linked: true,
        history: "h".to_owned(),
        position,
        ..MemberReport::default()
    }
}

fn standing(index: u32, report: Option<&MemberReport>) -> Standing<'_> {
    Standing {
        index,
        running: true,
        hung: false,
        lost: false,
        restarting: false,
        leaving: false,
        in_step: report.is_some_and(|report| report.link_up),
        witness: true,
        report,
        complaint: None,
    }
}

fn basis(position: u64) -> Basis<'static> {
    Basis {
        service: "db",
        upstream: Some(addr(0)),
        histories: ["h"].into(),
        position,
        doubt: None,
        witnessed: false,
        applied: true,
    }
}

fn chosen(basis: &Basis<'_>, reports: &[MemberReport]) -> Result<u32, String> {
    let standings: Vec<_> = reports.iter().zip(1..).map(|(report, index)| standing(index, Some(report))).collect();
    choose(basis, &standings).map(|choice| choice.index)
}

#[test]
fn the_most_advanced_replica_wins_and_of_equals_the_lowest_number() {
    assert_eq!(chosen(&basis(5), &[replica(7), replica(9)]), Ok(2));
    assert_eq!(chosen(&basis(5), &[replica(9), replica(9)]), Ok(1));
}

#[test]
fn the_choice_is_explained() {
    let reports = [replica(7), replica(9)];
    let standings = [standing(1, Some(&reports[0])), standing(2, Some(&reports[1])), standing(3, None)];
    let because = choose(&basis(5), &standings).unwrap().because;
    assert_eq!(because, "db.2 is the most advanced replica, at 9; db.1 at 7, db.3 does not answer");
}

#[test]
fn where_one_slave_is_enough_to_acknowledge_all_of_them_are_heard() {
    let witnessed = Basis { witnessed: true, ..basis(5) };
    let reports = [replica(7), replica(9)];
    assert_eq!(chosen(&witnessed, &reports), Ok(2));
    for silent in [standing(3, None), Standing { running: false, ..standing(3, None) }] {
        let standings = [standing(1, Some(&reports[0])), standing(2, Some(&reports[1])), silent];
        assert!(choose(&witnessed, &standings).unwrap_err().starts_with("db.3 does not answer"));
        let never_followed = Standing { witness: false, ..silent };
        let standings = [standing(1, Some(&reports[0])), standing(2, Some(&reports[1])), never_followed];
        assert_eq!(choose(&witnessed, &standings).map(|choice| choice.index), Ok(2));
    }
    let diverged = MemberReport { broken: Some("diverged".to_owned()), ..replica(11) };
    assert_eq!(
        chosen(&witnessed, &[replica(7), diverged]),
        Err("db.2 may alone have the last acknowledged writes".to_owned())
    );
    let elsewhere = MemberReport { history: "another".to_owned(), ..replica(11) };
    assert_eq!(chosen(&witnessed, &[replica(7), elsewhere]), Ok(1), "it has acknowledged nothing of this history");
    let doubtful = Basis { doubt: Some("it is not certain".to_owned()), ..basis(5) };
    assert_eq!(chosen(&doubtful, &reports), Err("it is not certain".to_owned()));
}

#[test]
fn unfit_replicas_are_not_elected() {
    let unfit = [
        MemberReport { upstream: None, ..replica(9) },
        MemberReport { loading: Some(40), ..replica(9) },
        MemberReport { copying: Some(None), ..replica(9) },
        MemberReport { was_linked: false, ..replica(9) },
        MemberReport { broken: Some("diverged".to_owned()), ..replica(9) },
        MemberReport { history: "another".to_owned(), ..replica(9) },
        MemberReport { writable: true, ..replica(9) },
        MemberReport { applying: true, ..replica(9) },
        replica(4),
    ];
    for report in unfit {
        let outcome = chosen(&basis(5), std::slice::from_ref(&report));
        assert!(outcome.is_err(), "{report:?}");
        assert_eq!(chosen(&basis(5), &[report, replica(5)]), Ok(2));
    }
}

#[test]
fn replicas_of_different_histories_are_not_compared_when_the_masters_is_unknown() {
    let unknown = Basis { histories: BTreeSet::new(), ..basis(0) };
    let other = MemberReport { history: "another".to_owned(), ..replica(9) };
    assert!(chosen(&unknown, &[replica(7), other]).unwrap_err().contains("different histories"));
    assert_eq!(chosen(&unknown, &[replica(7), replica(8)]), Ok(2));
}

#[test]
fn a_switchover_needs_somebody_in_step() {
    let (level, late) = (replica(9), MemberReport { link_up: false, ..replica(9) });
    let standings = [standing(1, Some(&late)), standing(2, Some(&level))];
    assert_eq!(successor(&basis(5), &standings, None).unwrap().index, 2);
    assert_eq!(successor(&basis(5), &standings, Some(1)), Err("db.1 is not a synchronized slave".to_owned()));
    let leaving = [Standing { leaving: true, ..standings[1] }];
    assert!(successor(&basis(5), &leaving, None).is_err());
}

fn blank() -> MemberReport {
    MemberReport { empty: true, blank: true, history: "x".to_owned(), ..MemberReport::default() }
}

#[test]
fn the_first_master_is_named_once_all_members_are_known_to_be_new() {
    let new = blank();
    let silent = [standing(0, Some(&new)), standing(1, None)];
    assert_eq!(first("db", &silent), Opening::Wait("waiting for db.1 to answer".to_owned()));
    let all = [standing(0, Some(&new)), standing(1, Some(&new))];
    assert!(matches!(first("db", &all), Opening::Name(choice) if choice.index == 0));
}

#[test]
fn data_without_an_epoch_is_not_guessed_about() {
    let (new, data) = (blank(), MemberReport { empty: false, blank: false, ..blank() });
    let standings = [standing(0, Some(&new)), standing(1, Some(&data))];
    assert!(matches!(first("db", &standings), Opening::Stall(why) if why.contains("db.1 holds data")));
}

#[test]
fn a_recorded_master_that_came_back_empty_does_not_wipe_the_others() {
    let epoch = Epoch { number: 3, master: 0 };
    let (new, data) = (blank(), MemberReport { empty: false, blank: false, ..replica(9) });
    let judge = |others: &[Standing<'_>]| {
        let mut standings = vec![standing(0, Some(&new))];
        standings.extend_from_slice(others);
        again(epoch, Some(&basis(0)), "db", &standings)
    };
    assert_eq!(judge(&[]), Opening::Again);
    assert!(matches!(judge(&[standing(1, None)]), Opening::Wait(_)));
    assert!(matches!(judge(&[standing(1, Some(&data))]), Opening::Name(choice) if choice.index == 1));
    assert!(matches!(judge(&[standing(1, Some(&data)), standing(2, Some(&data))]), Opening::Stall(_)));
    assert_eq!(judge(&[standing(1, Some(&new))]), Opening::Again, "nobody has anything to lose");
}

#[test]
fn a_dead_recorded_master_is_waited_for_unless_a_replica_is_fit() {
    let epoch = Epoch { number: 3, master: 0 };
    let dead = Standing { running: false, ..standing(0, None) };
    let (fit, behind) = (replica(9), replica(4));
    let judge = |report| again(epoch, Some(&basis(5)), "db", &[dead, standing(1, Some(report))]);
    assert_eq!(judge(&fit), Opening::Elect);
    assert!(matches!(judge(&behind), Opening::Wait(why) if why.contains("db.1 is 1 behind the master")));
    let restarting = Standing { restarting: true, ..dead };
    let planned = again(epoch, Some(&basis(5)), "db", &[restarting, standing(1, Some(&fit))]);
    assert!(matches!(planned, Opening::Wait(why) if why.contains("being restarted")));
}
