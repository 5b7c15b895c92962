//! Redis whose writes wait for a slave: what was acknowledged survives the master, and every kind
//! of client works as before.
//!
//! `KILLS=n` sets how often the master is killed; 10 by default.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::redis_clients;
use crate::support::docker::Engine;
use crate::support::ledger::{Database, Ledger, Writer};
use crate::support::platform::Platform;
use crate::support::redis::{Redis, Reply};
use crate::support::wait_for;
use crate::turn;

const PATIENCE: Duration = Duration::from_secs(10);
const APP: &str = "sync";
/// Clients that write at the same time.
const WRITERS: usize = 3;

#[test]
fn nothing_acknowledged_is_lost_with_the_master_and_writes_go_on_without_a_slave() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::new();
    a_word_nobody_knows_is_refused(&platform, folder.path());
    build_file(folder.path(), "sync");
    platform.up(folder.path(), APP);
    platform.settle(APP);
    let (address, password) = platform.data(APP, "db");
    every_kind_of_client_works(address, &password);
    redis_clients::are_answered_as_by_the_server(&platform, APP);
    connections_are_listed_and_counted(&platform, address, &password);

    let kills: usize = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    kill_under_writes(&platform, kills.div_ceil(2), "two");
    writes_go_on_without_the_slave(&platform, address, &password);
    platform.scale(APP, &["db=3"]);
    kill_under_writes(&platform, kills / 2, "three");
    a_switchover_cuts_what_is_open(&platform, address, &password);
}

fn build_file(folder: &Path, replication: &str) {
    let text = format!("db:\n  type: redis\n  instances: 2\n  config:\n    replication: {replication}\n");
    std::fs::write(folder.join("dotcloud.yml"), text).unwrap();
}

fn a_word_nobody_knows_is_refused(platform: &Platform, folder: &Path) {
    build_file(folder, "synchronous");
    let said = platform.refused(&["validate", folder.to_str().unwrap()]);
    for part in ["dotcloud.yml:5:", "cannot be \"synchronous\"", "Write one of \"async\", \"sync\""] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

fn kill_under_writes(platform: &Platform, kills: usize, members: &str) {
    let (address, password) = platform.data(APP, "db");
    let key = |number: usize| format!("ledger-{members}-{number}");
    let ledgers: Vec<Ledger> = (0..WRITERS)
        .map(|number| Ledger { database: Database::Redis, address, password: password.clone(), key: key(number) })
        .collect();
    let writers: Vec<Writer> = ledgers.iter().cloned().map(Writer::start).collect();
    let engine = Engine::connect();
    for _ in 0..kills {
        more_writes(&writers);
        guarded(platform);
        engine.kill(&platform.member(APP, "db", "master").container);
        more_writes(&writers);
        platform.settle(APP);
    }
    for (ledger, writer) in ledgers.iter().zip(writers) {
        let acknowledged = writer.stop();
        assert_eq!(ledger.lost(&acknowledged), 0, "of {} after {kills} kills", acknowledged.len());
        eprintln!("{}: 0 of {} lost in {kills} kills", ledger.key, acknowledged.len());
    }
}

fn more_writes(writers: &[Writer]) {
    for writer in writers {
        let before = writer.acknowledged();
        let more = || (writer.acknowledged() >= before + 100).then_some(());
        wait_for("100 more writes are acknowledged", Duration::from_secs(30), more);
    }
}

/// Writes wait for a slave.
fn guarded(platform: &Platform) {
    wait_for("writes wait for a slave", Duration::from_secs(30), || degradation(platform).is_none().then_some(()));
}

fn degradation(platform: &Platform) -> Option<String> {
    let reason = platform.service(APP, "db")["group"]["reason"].as_str()?.to_owned();
    reason.starts_with("degraded").then_some(reason)
}

/// A hung slave holds writes back until it is given up; also what is written for a client that
/// had to wait for it.
fn writes_go_on_without_the_slave(platform: &Platform, address: SocketAddr, password: &str) {
    guarded(platform);
    let (engine, slave) = (Engine::connect(), platform.member(APP, "db", "slave"));
    let mut redis = Redis::connect(address, password, PATIENCE).unwrap();
    let mut blocked = Redis::connect(address, password, PATIENCE).unwrap();
    blocked.send(&["BLPOP", "jobs", "0"]).unwrap();
    wait_for("a client is blocked", PATIENCE, || match redis.call(&["INFO", "clients"]).unwrap() {
        Reply::Bulk(Some(text)) => String::from_utf8(text).unwrap().contains("blocked_clients:1").then_some(()),
        other => panic!("{other:?}"),
    });
    engine.pause(&slave.container);
    let asked = std::time::Instant::now();
    redis.send(&["RPUSH", "jobs", "job"]).unwrap();
    redis.send(&["SET", "alone", "1"]).unwrap();
    assert_eq!(blocked.reply().unwrap(), Reply::List(vec![bulk("jobs"), bulk("job")]));
    assert!(degradation(platform).is_some(), "the job was given away before a slave knew");
    assert_eq!(redis.reply().unwrap(), Reply::Text("1".to_owned()), "the session is not cut");
    assert_eq!(redis.reply().unwrap(), ok(), "the session is not cut");
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
    assert!(degradation(platform).is_some());
    engine.unpause(&slave.container);
    guarded(platform);
    assert_eq!(redis.call(&["SET", "alone", "2"]).unwrap(), ok(), "the session is still the same");
}

/// Those of a master that dies end with it; a front cuts those of one that lives.
fn a_switchover_cuts_what_is_open(platform: &Platform, address: SocketAddr, password: &str) {
    let cut = || platform.service(APP, "db")["traffic"]["cut"].as_u64().unwrap();
    let (before, mut open) = (cut(), Redis::connect(address, password, PATIENCE).unwrap());
    platform.run(&["-A", APP, "switchover", "db"]);
    assert!(open.call(&["GET", "alone"]).is_err(), "the session is of the old master");
    assert!(cut() > before);
}

fn ok() -> Reply {
    Reply::Text("OK".to_owned())
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(Some(text.as_bytes().to_vec()))
}

fn every_kind_of_client_works(address: SocketAddr, password: &str) {
    let connect = || Redis::connect(address, password, PATIENCE).unwrap();
    let mut redis = connect();
    for number in 0..2000 {
        redis.send(&["RPUSH", "pipe", &number.to_string()]).unwrap();
    }
    for number in 1..=2000 {
        assert_eq!(redis.reply().unwrap(), Reply::Text(number.to_string()));
    }
    let queued = Reply::Text("QUEUED".to_owned());
    assert_eq!(redis.call(&["MULTI"]).unwrap(), ok());
    assert_eq!(redis.call(&["INCR", "n"]).unwrap(), queued);
    assert_eq!(redis.call(&["GET", "n"]).unwrap(), queued);
    assert_eq!(redis.call(&["EXEC"]).unwrap(), Reply::List(vec![Reply::Text("1".to_owned()), bulk("1")]));
    let large = "x".repeat(3 << 20);
    assert_eq!(redis.call(&["SET", "large", &large]).unwrap(), ok());
    assert_eq!(redis.call(&["EVAL", "return redis.call('GET', 'large')", "0"]).unwrap(), bulk(&large));

    let mut blocked = connect();
    blocked.send(&["BLPOP", "queue", "10"]).unwrap();
    assert_eq!(redis.call(&["RPUSH", "queue", "job"]).unwrap(), Reply::Text("1".to_owned()));
    assert_eq!(blocked.reply().unwrap(), Reply::List(vec![bulk("queue"), bulk("job")]));

    let mut listener = connect();
    let told = |kind: &str, channels: &str| Reply::List(vec![bulk(kind), bulk("news"), Reply::Text(channels.into())]);
    assert_eq!(listener.call(&["SUBSCRIBE", "news"]).unwrap(), told("subscribe", "1"));
    assert_eq!(redis.call(&["PUBLISH", "news", "hello"]).unwrap(), Reply::Text("1".to_owned()));
    assert_eq!(listener.reply().unwrap(), Reply::List(vec![bulk("message"), bulk("news"), bulk("hello")]));
    assert_eq!(listener.call(&["UNSUBSCRIBE", "news"]).unwrap(), told("unsubscribe", "0"));
    assert_eq!(listener.call(&["SET", "after", "1"]).unwrap(), ok());
}

fn connections_are_listed_and_counted(platform: &Platform, address: SocketAddr, password: &str) {
    let mut redis = Redis::connect(address, password, PATIENCE).unwrap();
    assert_eq!(redis.call(&["SET", "seen", "1"]).unwrap(), ok());
    let local = redis.local_addr().to_string();
    let listed = platform.json(&["-A", APP, "connections", "db"]);
    let own = listed.as_array().unwrap().iter().find(|one| one["peer"] == *local);
    let own = own.unwrap_or_else(|| panic!("no {local} in {listed}"));
    assert!(own["received"].as_u64().unwrap() > 20 && own["sent"].as_u64().unwrap() >= 10, "{own}");
    let traffic = platform.service(APP, "db")["traffic"].clone();
    assert!(traffic["open"].as_u64().unwrap() >= 1 && traffic["opened"].as_u64() >= traffic["open"].as_u64());
    let shown = platform.run(&["-A", APP, "connections", "db"]);
    assert!(shown.starts_with("peer ") && shown.contains(&local), "{shown}");
}
