//! Reports of real servers (PostgreSQL 17.12), as the client's expanded output shows them.

use super::*;

/// Rows of both requests of the probe.
fn read(transcript: &str) -> MemberReport {
    let mut tables = [Vec::new(), Vec::new()];
    for row in transcript.split("-[ RECORD").skip(1) {
        tables[usize::from(row.contains("host "))].push(cells(row));
    }
    PostgreSql.read(&tables.map(Reply::List)).unwrap()
}

/// `name | value`; a value of several lines goes on without a name, after a `+`.
fn cells(row: &str) -> Reply {
    let mut cells: Vec<Reply> = Vec::new();
    for (name, value) in row.lines().filter_map(|line| line.split_once('|')) {
        let value = value.trim().trim_end_matches('+').trim_end();
        match (name.trim(), cells.last_mut()) {
            ("", Some(Reply::Text(text))) => *text += &format!("\n{value}"),
            (name, _) if value.is_empty() => cells.extend([Reply::Text(name.to_owned()), Reply::Nothing]),
            (name, _) => cells.extend([name, value].map(|text| Reply::Text(text.to_owned()))),
        }
    }
    Reply::List(cells)
}

fn addr(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 203, 41, last], 5432))
}

const ORIGIN: &str = "3043508334953939137";

#[test]
fn a_master_tells_where_its_line_of_writes_left_earlier_ones() {
    let master = read(include_str!("transcripts/master.txt"));
    assert!(master.writable && !master.blank && master.upstream.is_none() && !master.was_linked);
    assert_eq!((master.guarded, master.version.as_deref()), (Some(true), Some("17.12")));
    assert_eq!(master.history, format!("{ORIGIN}/2"));
    let lineage = master.lineage.unwrap();
    assert_eq!(lineage.branches, [Branch { history: format!("{ORIGIN}/1"), position: 0x0090_3878 }]);
    assert_eq!(lineage.oldest, 2 * 4 * MIB);
    let [follower] = &master.followers[..] else { panic!("{:?}", master.followers) };
    assert_eq!((follower.addr, follower.position), (addr(128), master.position));
}

#[test]
fn a_slave_in_step_is_level_with_its_master() {
    let (master, slave) = (read(include_str!("transcripts/master.txt")), read(include_str!("transcripts/slave.txt")));
    assert!(!slave.writable && slave.link_up && slave.was_linked && !slave.blank && slave.followers.is_empty());
    assert_eq!((slave.upstream, slave.lag_seconds), (Some(addr(129)), Some(0.0)));
    assert_eq!((slave.position, slave.history), (master.position, master.history));
    assert_eq!(slave.writes, master.writes);
    assert_eq!(slave.lineage.unwrap().origin, master.lineage.unwrap().origin);
}

#[test]
fn a_slave_whose_master_is_gone_belongs_to_what_it_received_last() {
    let orphan = include_str!("transcripts/slave.txt").replace("| streaming", "|");
    let orphan = read(&orphan);
    assert!(!orphan.link_up && orphan.was_linked && orphan.upstream == Some(addr(129)));
    let started = include_str!("transcripts/slave.txt").replace("received   | 9973312", "received   | 8388608");
    assert!(!read(&started).was_linked, "that is where a file begins");
}

#[test]
fn a_paused_master_is_not_writable_and_one_on_the_first_line_is_blank() {
    let paused = include_str!("transcripts/master.txt").replace("paused     | off", "paused     | on");
    assert!(!read(&paused).writable);
    let fresh = include_str!("transcripts/slave.txt").replace("timeline   | 00000002", "timeline   | 00000001");
    let fresh = read(&fresh);
    assert!(fresh.blank && fresh.empty);
}

#[test]
fn refusals_and_foreign_answers_are_no_reports() {
    let refused = PostgreSql.read(&[Reply::Error("the database system is starting up".into())]);
    assert_eq!(refused, Err(ReadError::Refused("the database system is starting up".into())));
    assert_eq!(PostgreSql.read(&[Reply::Text("hello".into())]), Err(ReadError::Incomplete("rows")));
}

fn words(change: RoleChange) -> Vec<String> {
    PostgreSql.commands(change, "secret").into_iter().map(|command| command.0.concat()).collect()
}

#[test]
fn a_promotion_leaves_the_wait_for_a_slave_as_it_is() {
    assert!(words(RoleChange::Promote).iter().all(|text| !text.contains("synchronous")));
    assert!(words(RoleChange::Guard(false))[0].contains("synchronous_standby_names = ''"));
}

#[test]
fn whoever_is_to_follow_stops_being_master_first_and_tells_no_password() {
    let follow = words(RoleChange::Follow(addr(2)));
    assert!(follow[0].contains("kill -INT") && follow[0].contains("NOT pg_is_in_recovery()"));
    assert!(follow[1].contains("host=10.203.41.2 port=5432") && !follow[1].contains("secret"));
    let set = follow[1].split('\'').nth(1).unwrap();
    assert_eq!(upstream(set), Some(addr(2)), "it is read as it was written");
}

#[test]
fn a_refusal_is_one_message_that_ends_a_connection() {
    let Refusal { questions, words: bytes } = PostgreSql.refusal("db.0 died\0");
    assert_eq!(questions[0], (b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(), b"N".to_vec()));
    assert_eq!(bytes[0], b'E');
    assert_eq!(u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize, bytes.len() - 1);
    let text = String::from_utf8_lossy(&bytes[5..]).into_owned();
    assert_eq!(text, "SFATAL\0VFATAL\0C57P03\0Mdb.0 died\0\0");
}

#[test]
fn what_can_be_changed_while_the_server_runs_follows_the_limit() {
    let said = PostgreSql.tune(512 * MIB)[0].0.concat();
    for setting in ["effective_cache_size = 320MB", "work_mem = 8MB", "maintenance_work_mem = 32MB"] {
        assert!(said.contains(setting), "{said}");
    }
}
