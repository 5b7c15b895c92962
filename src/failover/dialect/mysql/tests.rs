//! Reports of real servers (MariaDB 11.8.6), as the client's vertical output shows them.

use super::*;

/// Rows of both requests of the probe.
fn read(transcript: &str) -> MemberReport {
    let rows = transcript.split("***************************").filter(|part| part.contains(':'));
    let mut tables = [Vec::new(), Vec::new()];
    for row in rows {
        tables[usize::from(row.contains("Connection_name"))].push(cells(row));
    }
    MySql.read(&tables.map(Reply::List)).unwrap()
}

fn cells(row: &str) -> Reply {
    let pairs = row.lines().filter_map(|line| line.split_once(':'));
    let text = |value: &str| match value.trim() {
        "NULL" => Reply::Nothing,
        value => Reply::Text(value.to_owned()),
    };
    Reply::List(pairs.flat_map(|(name, value)| [text(name), text(value)]).collect())
}

fn addr(last: u8) -> SocketAddr {
    SocketAddr::from(([172, 18, 0, last], 3306))
}

#[test]
fn a_fresh_server_is_blank_and_safe() {
    let fresh = read(include_str!("transcripts/fresh.txt"));
    assert!(fresh.blank && fresh.empty && !fresh.writable && !fresh.link_up && fresh.upstream.is_none());
    assert_eq!((fresh.position, fresh.version.as_deref()), (0, Some("11.8.6")));
}

#[test]
fn a_slave_in_step_is_level_with_its_master() {
    let (master, slave) = (read(include_str!("transcripts/master.txt")), read(include_str!("transcripts/slave.txt")));
    assert!(master.writable && !master.blank && master.upstream.is_none());
    assert!(!slave.writable && slave.link_up && slave.was_linked && slave.broken.is_none());
    assert_eq!((slave.upstream, slave.lag_seconds), (Some(addr(2)), Some(0.0)));
    assert_eq!((slave.position, slave.history), (master.position, master.history));
    assert_eq!((master.writes, master.guarded), (4, Some(false)));
}

#[test]
fn a_slave_of_a_dead_master_keeps_what_it_received() {
    let orphan = read(include_str!("transcripts/slave_of_dead.txt"));
    assert!(!orphan.link_up && orphan.was_linked && orphan.broken.is_none());
    assert_eq!((orphan.position, orphan.upstream), (5, Some(addr(2))));
    assert!(!orphan.applying);
}

#[test]
fn a_slave_that_received_more_than_it_applied_says_so() {
    let behind = include_str!("transcripts/slave_of_dead.txt").replace("_pos: 0-1-5", "_pos: 0-1-3");
    let behind = read(&behind);
    assert!(behind.applying);
    assert_eq!(behind.position, 5);
}

#[test]
fn promotion_makes_it_writable_and_it_counts_on() {
    let promoted = read(include_str!("transcripts/promoted.txt"));
    assert!(promoted.writable && promoted.upstream.is_none());
    assert_eq!(promoted.position, 6);
}

#[test]
fn a_restarted_server_follows_nobody_whatever_it_remembers() {
    for transcript in [include_str!("transcripts/restarted.txt"), include_str!("transcripts/restarted_slave.txt")] {
        let restarted = read(transcript);
        assert!(!restarted.writable && !restarted.empty && restarted.upstream.is_none() && !restarted.was_linked);
        assert!(restarted.position >= 5);
    }
}

#[test]
fn a_diverged_server_says_that_its_master_refuses_it() {
    let diverged = read(include_str!("transcripts/diverged.txt"));
    assert!(diverged.broken.unwrap().contains("not in the master's binlog"));
    assert!(!diverged.link_up && !diverged.was_linked && diverged.upstream == Some(addr(3)));
}

#[test]
fn refusals_and_foreign_answers_are_no_reports() {
    let refused = MySql.read(&[Reply::Error("Too many connections".into())]);
    assert_eq!(refused, Err(ReadError::Refused("Too many connections".into())));
    assert_eq!(MySql.read(&[Reply::Text("hello".into())]), Err(ReadError::Incomplete("rows")));
}

#[test]
fn positions_are_numbers_of_transactions() {
    for (gtids, transactions) in [("", 0), ("0-1-120", 120), ("0-1-120,5-2-7", 127)] {
        assert_eq!(position(gtids), transactions);
    }
}

#[test]
fn writes_are_allowed_last_and_forbidden_first() {
    let words = |change| -> Vec<String> {
        MySql.commands(change, "it's").into_iter().map(|command| command.0.concat()).collect()
    };
    let promote = words(RoleChange::Promote);
    assert!(promote[0].contains("MASTER_GTID_WAIT") && promote.last().unwrap().contains("read_only = OFF"));
    assert!(promote[promote.len() - 2].contains("gtid_seq_no = last + 1000"), "numbers are not given twice");
    let follow = words(RoleChange::Follow(addr(2)));
    assert!(follow[0].contains("read_only = ON") && follow[1].contains("semi_sync_master_enabled = OFF"));
    assert!(follow.iter().any(|text| text.contains("'172.18.0.2'") && text.contains("'it''s'")), "{follow:?}");
}

#[test]
fn the_buffer_pool_follows_the_limit() {
    let pool = |memory: u64| MySql.tune(memory * MIB)[0].0[0].rsplit(' ').next().unwrap().parse::<u64>().unwrap() / MIB;
    assert_eq!([32, 256, 1024, 4096].map(pool), [16, 64, 448, 1984]);
}

#[test]
fn a_ledger_is_a_database_of_its_own() {
    let words = |step| MySql.ledger("l", step).iter().map(|command| command.0.concat()).collect::<Vec<_>>();
    assert_eq!(words(LedgerStep::Write(17)), ["INSERT INTO l.entry VALUES (17)"]);
    assert_eq!(words(LedgerStep::Remove), ["DROP DATABASE IF EXISTS l"]);
    assert_eq!(words(LedgerStep::Create).len(), 2);
    let read = &words(LedgerStep::Read)[0];
    assert!(read.contains("FROM l.entry") && !read.contains("  "), "{read}");
}

#[test]
fn a_client_without_a_master_reads_an_error_in_place_of_the_greeting() {
    assert_eq!(MySql.refusal("no master").words, b"\x0c\0\0\0\xff\x1d\x04no master");
}
