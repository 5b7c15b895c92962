//! PostgreSQL with a standby: what is special about it. The story that it shares with the others
//! is in `pairs`.

use std::time::Duration;

use super::pairs::POSTGRESQL;
use crate::support::platform::{Platform, sample};
use crate::support::postgresql::PostgreSql;
use crate::support::wait_for;
use crate::turn;

const PATIENCE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);
const APP: &str = POSTGRESQL.app;

#[test]
fn acknowledged_commits_survive_whatever_happens_to_the_master() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/places"), APP);
    the_client_is_logged_in(&platform);
    platform.settle(APP);
    POSTGRESQL.survives(&platform);
    commits_wait_for_a_slave_while_there_is_one(&platform);
    what_only_a_slave_held_is_set_aside(&platform);
    memory_reaches_the_server(&platform);
}

fn in_member(platform: &Platform, place: &str, command: &[&str]) -> String {
    platform.run(&[&["-A", APP, "run", place, "--"], command].concat())
}

fn master(platform: &Platform, service: &str) -> PostgreSql {
    let (address, password) = platform.data(APP, service);
    PostgreSql::connect(address, &password, PATIENCE).unwrap()
}

fn the_client_is_logged_in(platform: &Platform) {
    let said = in_member(platform, "db", &["psql", "-Atc", "SELECT current_user, current_database()"]);
    assert!(said.contains("root|template1"), "{said}");
    in_member(platform, "map", &["createdb", "world"]);
    let distance = "SELECT ST_Distance('POINT(0 0)'::geometry, 'POINT(3 4)'::geometry)";
    assert!(in_member(platform, "map", &["psql", "-At", "world", "-c", distance]).contains('5'));
}

fn commits_wait_for_a_slave_while_there_is_one(platform: &Platform) {
    let waits = |service: &str| master(platform, service).rows("SHOW synchronous_standby_names").unwrap().concat();
    assert_eq!(waits("map"), "", "it is alone");
    wait_for("commits wait for the slave", PATIENCE, || (waits("db") == "ANY 1 (dotcloud)").then_some(()));
}

/// A slave is promoted behind everybody's back: it is ended, wound back, and follows again.
fn what_only_a_slave_held_is_set_aside(platform: &Platform) {
    let (address, password) = platform.data(APP, "db");
    master(platform, "db").call("CREATE TABLE orders (text VARCHAR(20))").unwrap();
    platform.settle(APP);
    let slave = platform.member(APP, "db", "slave");
    let own = slave.addr(POSTGRESQL.database.port());
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
    let mut before = master(platform, "db");
    wait_for("what can be changed is", PATIENCE, || {
        (before.rows("SHOW work_mem").ok()?.concat() == "8MB").then_some(())
    });
    let number = platform.member(APP, "db", "master").number;
    platform.run(&["-A", APP, "restart", &format!("db.{number}")]);
    platform.settle(APP);
    let buffers = master(platform, "db").rows("SHOW shared_buffers").unwrap();
    assert_eq!(buffers, ["128MB"], "a quarter, from the next start on");
}
