//! Reports of real servers (Redis 8.0.2), reduced to the lines that matter.

use super::*;
use crate::failover::dialect::Reply;

fn read(transcript: &str) -> MemberReport {
    Redis.read(&[Reply::Text(transcript.to_owned())]).unwrap()
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn three_quarters_of_the_limit_are_for_data_and_never_less_than_there_is() {
    let mib = 1024 * 1024;
    assert_eq!(Redis.tune(512 * mib), [ServerCommand::words(&format!("CONFIG SET maxmemory {}", 384 * mib))]);
    let full = ServerCommand::words(&format!("CONFIG SET maxmemory {}", 60 * mib));
    assert_eq!(Redis.tune_holding(64 * mib, 60 * mib), [full]);
}

#[test]
fn a_fresh_server_is_a_blank_slave_of_nobody() {
    let fresh = read(include_str!("transcripts/fresh.txt"));
    assert!(fresh.blank && fresh.empty && !fresh.writable && !fresh.link_up && !fresh.was_linked);
    assert_eq!(fresh.upstream, None);
    assert_eq!(fresh.version.as_deref(), Some("8.0.2"));
    assert!(fresh.used_memory.unwrap() > 100_000);
}

#[test]
fn promotion_begins_another_history() {
    let (fresh, promoted) =
        (read(include_str!("transcripts/fresh.txt")), read(include_str!("transcripts/promoted.txt")));
    assert!(promoted.writable);
    assert_ne!(promoted.history, fresh.history);
}

#[test]
fn a_slave_in_step_shares_history_and_position_with_its_master() {
    let (master, slave) = (read(include_str!("transcripts/master.txt")), read(include_str!("transcripts/slave.txt")));
    assert!(master.writable && !slave.writable && slave.link_up && slave.was_linked);
    assert_eq!(slave.upstream, Some(addr(26371)));
    assert_eq!((&slave.history, slave.position), (&master.history, master.position));
    let follower = Follower {
        addr: addr(26372),
        position: master.followers[0].position,
        lag_seconds: master.followers[0].lag_seconds,
    };
    assert_eq!(master.followers, [follower]);
    assert_eq!(master.writes, 1);
}

#[test]
fn a_slave_of_a_dead_master_keeps_its_position() {
    let (slave, orphan) =
        (read(include_str!("transcripts/slave.txt")), read(include_str!("transcripts/slave_of_dead.txt")));
    assert!(!orphan.link_up && orphan.was_linked);
    assert_eq!((orphan.position, orphan.history), (slave.position, slave.history));
}

#[test]
fn a_restarted_server_has_data_but_no_upstream() {
    let restarted = read(include_str!("transcripts/restarted.txt"));
    assert!(!restarted.writable && !restarted.empty && !restarted.blank && !restarted.was_linked);
    assert_eq!(restarted.upstream, None);
}

#[test]
fn a_copy_tells_its_percentage_only_when_its_size_is_known() {
    let sized = read(include_str!("transcripts/copying.txt"));
    assert_eq!(sized.copying, Some(Some(100)));
    assert!(!sized.link_up);
    let unsized_copy = read(include_str!("transcripts/copying_unsized.txt"));
    assert_eq!(unsized_copy.copying, Some(None));
}

#[test]
fn a_loading_server_tells_how_far_it_is() {
    assert_eq!(read(include_str!("transcripts/loading.txt")).loading, Some(36));
}

#[test]
fn refusals_and_foreign_answers_are_no_reports() {
    let refused = Redis.read(&[Reply::Error("NOAUTH Authentication required.".into())]);
    assert_eq!(refused, Err(ReadError::Refused("NOAUTH Authentication required.".into())));
    assert_eq!(Redis.read(&[Reply::Text("hello".into())]), Err(ReadError::Incomplete("role")));
}

#[test]
fn role_changes_are_these_words() {
    let words = |change| Redis.commands(change, "")[0].0.join(" ");
    assert_eq!(words(RoleChange::Promote), "REPLICAOF NO ONE");
    assert_eq!(words(RoleChange::Follow(addr(6379))), "REPLICAOF 127.0.0.1 6379");
    assert_eq!(words(RoleChange::PauseWrites), "CLIENT PAUSE 2000 WRITE");
    assert_eq!(words(RoleChange::ResumeWrites), "CLIENT UNPAUSE");
}

#[test]
fn a_ledger_is_a_bitmap_that_the_server_reads_as_runs() {
    let words = |step| Redis.ledger("l", step).iter().map(|command| command.0.join(" ")).collect::<Vec<_>>();
    assert_eq!(words(LedgerStep::Create), [""; 0]);
    assert_eq!(words(LedgerStep::Write(17)), ["SETBIT l 17 1"]);
    assert_eq!(words(LedgerStep::Remove), ["DEL l"]);
    let read = &Redis.ledger("l", LedgerStep::Read)[0].0;
    assert_eq!((read.len(), read[0].as_str(), read[3].as_str()), (4, "EVAL", "l"), "the script is one word");
}

#[test]
fn a_client_without_a_master_reads_one_line_of_error() {
    assert_eq!(Redis.refusal("db has no master:\r\na guess").words, b"-MASTERDOWN db has no master:  a guess\r\n");
}
