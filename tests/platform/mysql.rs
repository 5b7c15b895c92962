//! MySQL with a slave: what was acknowledged survives every way to lose the master.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::docker::Engine;
use crate::support::ledger::{Database, Ledger, Writer};
use crate::support::mysql::MySql;
use crate::support::platform::{Member, Platform, sample};
use crate::support::wait_for;
use crate::turn;

const PATIENCE: Duration = Duration::from_secs(10);
const APP: &str = "shop";
#[test]
fn acknowledged_writes_survive_whatever_happens_to_the_master() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/promises"), APP);
    the_client_is_logged_in(&platform);

    let (address, password) = platform.data(APP, "db");
    let ledger = Ledger { database: Database::MySql, address, password, key: "numbers".to_owned() };
    ledger.create();
    let writer = Writer::start(ledger.clone());
    for misfortune in [killed, hung, handed_over, restarted, both_killed, taken_back] {
        wait_for_writes(&writer);
        misfortune(&platform, &ledger);
        wait_for_writes(&writer);
        platform.settle(APP);
    }
    platform.scale(APP, &["db=1"]);
    wait_for_writes(&writer);
    let acknowledged = writer.stop();
    assert_eq!(ledger.lost(&acknowledged), 0, "of {}", acknowledged.len());
    assert_eq!(platform.data(APP, "db").0, address, "the address stays");
    writes_wait_for_a_slave_only_where_they_should(&platform);
}

#[test]
fn diverged_slave_becomes_a_copy_and_what_only_it_held_is_set_aside() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dotcloud.yml"), "db:\n  type: mysql\n  instances: 2\n").unwrap();
    let platform = Platform::new();
    platform.up(folder.path(), APP);
    platform.settle(APP);
    let (address, password) = platform.data(APP, "db");
    let mut master = MySql::connect(address, &password, PATIENCE).unwrap();
    master.call("CREATE DATABASE shop").unwrap();
    master.call("CREATE TABLE shop.orders (text VARCHAR(20))").unwrap();
    let slave = platform.member(APP, "db", "slave");
    assert!(refused(&slave, &password).contains("read-only"), "a slave takes no writes from applications");

    // As the controller's login could: nobody else can write there.
    let stray = "SET GLOBAL read_only=0; INSERT INTO shop.orders VALUES ('stray'); SET GLOBAL read_only=1";
    in_member(&platform, slave.number, &["mysql", "-udotcloud", "-e", stray]);
    master.call("INSERT INTO shop.orders VALUES ('kept')").unwrap();
    let count = "SELECT COUNT(*) FROM shop.orders WHERE text = 'stray'";
    wait_for("the slave holds what the master holds", Duration::from_secs(60), || {
        let rows = MySql::connect(own(&slave), &password, PATIENCE).ok()?.rows::<u64>(count).ok()?;
        (rows == [0]).then_some(())
    });
    platform.settle(APP);
    let aside = in_member(&platform, slave.number, &["sh", "-c", "cat /var/lib/mysql/set-aside/*.sql"]);
    assert!(aside.contains("stray") && !aside.contains("kept"), "{aside}");
    the_pool_follows_the_limit(&platform, &mut master);
}

fn killed(platform: &Platform, ledger: &Ledger) {
    let old = platform.member(APP, "db", "master");
    platform.run(&["-A", APP, "kill", "db.master"]);
    is_replaced(platform, &old);
    platform.settle(APP);
    let slave = platform.member(APP, "db", "slave");
    assert_eq!((slave.number, &slave.ip), (old.number, &old.ip), "it came back where it was");
    assert!(refused(&slave, &ledger.password).contains("read-only"));
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

/// What a master had not acknowledged when it was killed it takes back, though a slave that hung
/// received it: the slave is not to take that for what the master writes next.
fn taken_back(platform: &Platform, ledger: &Ledger) {
    let (engine, slave) = (Engine::connect(), platform.member(APP, "db", "slave"));
    let master = platform.member(APP, "db", "master");
    engine.pause(&slave.container);
    engine.kill(&master.container);
    let mut number = 20_000_000;
    wait_for("the master takes writes again", Duration::from_secs(60), || {
        number += 1;
        ledger.session().ok()?.write(number).then_some(())
    });
    engine.unpause(&slave.container);
    let told = ledger.numbers().unwrap();
    wait_for("the slave holds what its master wrote since", Duration::from_secs(60), || {
        told.is_subset(&ledger.at(own(&slave)).numbers().ok()?).then_some(())
    });
}

fn wait_for_writes(writer: &Writer) {
    let before = writer.acknowledged();
    wait_for("200 writes are acknowledged", Duration::from_secs(30), || {
        (writer.acknowledged() >= before + 200).then_some(())
    });
}

fn is_replaced(platform: &Platform, old: &Member) {
    wait_for("another master", PATIENCE, || {
        let group = platform.service(APP, "db")["group"].clone();
        let members = group["members"].as_array()?.clone();
        members.iter().any(|one| one["role"] == "master" && one["instance_id"] != old.number).then_some(())
    });
}

fn own(member: &Member) -> SocketAddr {
    format!("{}:3306", member.ip).parse().unwrap()
}

/// What a member itself, past the front, says to a write.
fn refused(member: &Member, password: &str) -> String {
    MySql::connect(own(member), password, PATIENCE).unwrap().call("CREATE DATABASE stray").unwrap_err()
}

fn in_member(platform: &Platform, number: u64, command: &[&str]) -> String {
    let place = format!("db.{number}");
    platform.run(&[&["-A", APP, "run", &place, "--"], command].concat())
}

fn the_client_is_logged_in(platform: &Platform) {
    let said = in_member(platform, 0, &["mysql", "-e", "SELECT CURRENT_USER()"]);
    assert!(said.contains("root@%"), "{said}");
}

fn writes_wait_for_a_slave_only_where_they_should(platform: &Platform) {
    for service in ["db", "old"] {
        let (address, password) = platform.data(APP, service);
        let mut master = MySql::connect(address, &password, PATIENCE).unwrap();
        let waits = master.rows::<u8>("SELECT @@rpl_semi_sync_master_enabled").unwrap();
        assert_eq!(waits, [0], "{service} is alone, or asynchronous");
    }
    platform.scale(APP, &["db=2"]);
    let (address, password) = platform.data(APP, "db");
    let mut master = MySql::connect(address, &password, PATIENCE).unwrap();
    wait_for("writes wait for the slave", PATIENCE, || {
        (master.rows::<u8>("SELECT @@rpl_semi_sync_master_enabled").ok()? == [1]).then_some(())
    });
}

fn the_pool_follows_the_limit(platform: &Platform, master: &mut MySql) {
    platform.run(&["-A", APP, "scale", "db:memory=512M"]);
    wait_for("the buffer pool has grown", PATIENCE, || {
        (master.rows::<u64>("SELECT @@innodb_buffer_pool_size DIV 1048576").ok()? == [192]).then_some(())
    });
}
