//! PostgreSQL with a standby: what was acknowledged survives every way to lose the master.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::docker::Engine;
use crate::support::ledger::{Database, Ledger, Writer};
use crate::support::platform::{Member, Platform, sample};
use crate::support::postgresql::PostgreSql;
use crate::support::wait_for;
use crate::turn;

const PATIENCE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);
const APP: &str = "places";

#[test]
fn acknowledged_commits_survive_whatever_happens_to_the_master() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/places"), APP);
    the_client_is_logged_in(&platform);

    let (address, password) = platform.data(APP, "db");
    let ledger = Ledger { database: Database::PostgreSql, address, password, key: "numbers".to_owned() };
    ledger.create();
    let writer = Writer::start(ledger.clone());
    for misfortune in [killed, hung, handed_over, restarted, both_killed, scaled] {
        wait_for_writes(&writer);
        misfortune(&platform, &ledger);
        wait_for_writes(&writer);
        platform.settle(APP);
    }
    let acknowledged = writer.stop();
    assert_eq!(ledger.lost(&acknowledged), 0, "of {}", acknowledged.len());
    assert_eq!(platform.data(APP, "db").0, address, "the address stays");
    commits_wait_for_a_slave_while_there_is_one(&platform);
    what_only_a_slave_held_is_set_aside(&platform);
    memory_reaches_the_server(&platform);
}

fn killed(platform: &Platform, ledger: &Ledger) {
    let old = platform.member(APP, "db", "master");
    platform.run(&["-A", APP, "kill", "db.master"]);
    is_replaced(platform, &old);
    platform.settle(APP);
    let slave = platform.member(APP, "db", "slave");
    assert_eq!((slave.number, &slave.ip), (old.number, &old.ip), "it came back where it was");
    let mut behind = PostgreSql::connect(own(&slave), &ledger.password, PATIENCE).unwrap();
    assert!(behind.call("CREATE TABLE stray ()").unwrap_err().contains("read-only"));
    wait_for("the receipt is complete", PATIENCE, || {
        let receipt = platform.service(APP, "db")["receipts"].as_array()?.last()?.clone();
        (receipt["old_master"] == old.number && receipt["resynchronised_ms"].is_number()).then_some(())
    });
}

fn hung(platform: &Platform, ledger: &Ledger) {
    let (engine, old) = (Engine::connect(), platform.member(APP, "db", "master"));
    let mut behind = ledger.at(own(&old)).session().unwrap();
    engine.pause(&old.container);
    is_replaced(platform, &old);
    engine.unpause(&old.container);
    assert!(!behind.write(10_000_000), "the old master accepted a write");
}

fn handed_over(platform: &Platform, _: &Ledger) {
    let old = platform.member(APP, "db", "master");
    platform.run(&["-A", APP, "switchover", "db"]);
    is_replaced(platform, &old);
    let receipts = platform.service(APP, "db")["receipts"].clone();
    let cause = receipts.as_array().unwrap().last().unwrap()["cause"].as_str().unwrap().to_owned();
    assert!(cause.contains("planned switchover"), "{cause}");
}

fn restarted(platform: &Platform, _: &Ledger) {
    let master = platform.member(APP, "db", "master").number;
    platform.run(&["-A", APP, "restart", &format!("db.{master}")]);
    platform.settle(APP);
    assert_eq!(platform.member(APP, "db", "master").number, master, "it is no failure");
}

fn both_killed(platform: &Platform, _: &Ledger) {
    let engine = Engine::connect();
    for role in ["slave", "master"] {
        engine.kill(&platform.member(APP, "db", role).container);
    }
}

fn scaled(platform: &Platform, _: &Ledger) {
    for instances in ["db=3", "db=1", "db=2"] {
        platform.scale(APP, &[instances]);
    }
}

fn wait_for_writes(writer: &Writer) {
    let before = writer.acknowledged();
    wait_for("100 commits are acknowledged", LONG, || (writer.acknowledged() >= before + 100).then_some(()));
}

fn is_replaced(platform: &Platform, old: &Member) {
    wait_for("another master", PATIENCE, || {
        let group = platform.service(APP, "db")["group"].clone();
        let members = group["members"].as_array()?.clone();
        members.iter().any(|one| one["role"] == "master" && one["instance_id"] != old.number).then_some(())
    });
}

fn own(member: &Member) -> SocketAddr {
    format!("{}:5432", member.ip).parse().unwrap()
}

fn in_member(platform: &Platform, place: &str, command: &[&str]) -> String {
    platform.run(&[&["-A", APP, "run", place, "--"], command].concat())
}

fn the_client_is_logged_in(platform: &Platform) {
    let said = in_member(platform, "db", &["psql", "-Atc", "SELECT current_user, current_database()"]);
    assert!(said.contains("root|template1"), "{said}");
    in_member(platform, "map", &["createdb", "world"]);
    let distance = "SELECT ST_Distance('POINT(0 0)'::geometry, 'POINT(3 4)'::geometry)";
    assert!(in_member(platform, "map", &["psql", "-At", "world", "-c", distance]).contains('5'));
}

fn commits_wait_for_a_slave_while_there_is_one(platform: &Platform) {
    let waits = |service: &str| {
        let (address, password) = platform.data(APP, service);
        let mut master = PostgreSql::connect(address, &password, PATIENCE).unwrap();
        master.rows("SHOW synchronous_standby_names").unwrap().concat()
    };
    assert_eq!(waits("map"), "", "it is alone");
    wait_for("commits wait for the slave", PATIENCE, || (waits("db") == "ANY 1 (dotcloud)").then_some(()));
}

/// A slave is promoted behind everybody's back: it is ended, wound back, and follows again.
fn what_only_a_slave_held_is_set_aside(platform: &Platform) {
    let (address, password) = platform.data(APP, "db");
    let mut master = PostgreSql::connect(address, &password, PATIENCE).unwrap();
    master.call("CREATE TABLE orders (text VARCHAR(20))").unwrap();
    platform.settle(APP);
    let slave = platform.member(APP, "db", "slave");
    let own = own(&slave);
    platform.kill_daemon();
    let mut behind = PostgreSql::connect(own, &password, PATIENCE).unwrap();
    for statement in ["SELECT pg_promote()", "SET synchronous_commit = local", "INSERT INTO orders VALUES ('stray')"] {
        behind.call(statement).unwrap();
    }
    platform.settle(APP);
    let mut master = PostgreSql::connect(address, &password, PATIENCE).unwrap();
    master.call("INSERT INTO orders VALUES ('kept')").unwrap();
    wait_for("the slave holds what the master holds", LONG, || {
        let mut behind = PostgreSql::connect(own, &password, PATIENCE).ok()?;
        (behind.rows("SELECT text FROM orders").ok()? == ["kept"]).then_some(())
    });
    let place = format!("db.{}", slave.number);
    let aside = in_member(platform, &place, &["sh", "-c", "cat /var/lib/postgresql/set-aside/*/template1.sql"]);
    assert!(aside.contains("stray") && !aside.contains("kept"), "{aside}");
}

fn memory_reaches_the_server(platform: &Platform) {
    platform.run(&["-A", APP, "scale", "db:memory=512M"]);
    let (address, password) = platform.data(APP, "db");
    let mut master = PostgreSql::connect(address, &password, PATIENCE).unwrap();
    wait_for("what can be changed is", PATIENCE, || {
        (master.rows("SHOW work_mem").ok()?.concat() == "8MB").then_some(())
    });
    let number = platform.member(APP, "db", "master").number;
    platform.run(&["-A", APP, "restart", &format!("db.{number}")]);
    platform.settle(APP);
    let mut master = PostgreSql::connect(address, &password, PATIENCE).unwrap();
    assert_eq!(master.rows("SHOW shared_buffers").unwrap(), ["128MB"], "a quarter, from the next start on");
}
