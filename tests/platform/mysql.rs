//! MySQL with a slave: what is special about it. The story that it shares with the others is in
//! `pairs`.

use std::time::Duration;

use super::pairs::MYSQL;
use crate::support::mysql::MySql;
use crate::support::platform::{Platform, sample};
use crate::support::wait_for;
use crate::turn;

const PATIENCE: Duration = Duration::from_secs(10);
const APP: &str = MYSQL.app;

#[test]
fn acknowledged_writes_survive_whatever_happens_to_the_master() {
    let _turn = turn();
    let platform = Platform::new();
    platform.up(&sample("samples/promises"), APP);
    the_client_is_logged_in(&platform);
    platform.settle(APP);
    MYSQL.survives(&platform);
    writes_wait_for_a_slave_only_where_they_should(&platform);
    a_diverged_slave_becomes_a_copy_and_what_only_it_held_is_set_aside(&platform);
    the_pool_follows_the_limit(&platform);
}

fn the_client_is_logged_in(platform: &Platform) {
    let said = in_member(platform, 0, &["mysql", "-e", "SELECT CURRENT_USER()"]);
    assert!(said.contains("root@%"), "{said}");
}

/// The story ends with `db` alone.
fn writes_wait_for_a_slave_only_where_they_should(platform: &Platform) {
    for service in ["db", "old"] {
        let waits = master(platform, service).rows::<u8>("SELECT @@rpl_semi_sync_master_enabled").unwrap();
        assert_eq!(waits, [0], "{service} is alone, or asynchronous");
    }
    platform.scale(APP, &["db=2"]);
    let mut master = master(platform, "db");
    wait_for("writes wait for the slave", PATIENCE, || {
        (master.rows::<u8>("SELECT @@rpl_semi_sync_master_enabled").ok()? == [1]).then_some(())
    });
}

fn a_diverged_slave_becomes_a_copy_and_what_only_it_held_is_set_aside(platform: &Platform) {
    let (mut master, (_, password)) = (master(platform, "db"), platform.data(APP, "db"));
    master.call("CREATE DATABASE shop").unwrap();
    master.call("CREATE TABLE shop.orders (text VARCHAR(20))").unwrap();
    platform.settle(APP);
    let slave = platform.member(APP, "db", "slave");
    let said = MYSQL.refusal(platform, &slave);
    assert!(said.contains("read-only"), "a slave takes no writes from applications: {said}");

    // As the controller's login could: nobody else can write there.
    let stray = "SET GLOBAL read_only=0; INSERT INTO shop.orders VALUES ('stray'); SET GLOBAL read_only=1";
    in_member(platform, slave.number, &["mysql", "-udotcloud", "-e", stray]);
    master.call("INSERT INTO shop.orders VALUES ('kept')").unwrap();
    let own = slave.addr(MYSQL.database.port());
    let rows_of = |text: &str| {
        let count = format!("SELECT COUNT(*) FROM shop.orders WHERE text = '{text}'");
        MySql::connect(own, &password, PATIENCE).ok()?.rows::<u64>(&count).ok()
    };
    wait_for("the slave holds what the master holds", Duration::from_secs(60), || {
        (rows_of("stray")? == [0] && rows_of("kept")? == [1]).then_some(())
    });
    platform.settle(APP);
    let aside = in_member(platform, slave.number, &["sh", "-c", "cat /var/lib/mysql/set-aside/*.sql"]);
    assert!(aside.contains("stray") && !aside.contains("kept"), "{aside}");
}

fn the_pool_follows_the_limit(platform: &Platform) {
    let mut master = master(platform, "db");
    platform.run(&["-A", APP, "scale", "db:memory=512M"]);
    wait_for("the buffer pool has grown", PATIENCE, || {
        (master.rows::<u64>("SELECT @@innodb_buffer_pool_size DIV 1048576").ok()? == [192]).then_some(())
    });
}

fn master(platform: &Platform, service: &str) -> MySql {
    let (address, password) = platform.data(APP, service);
    MySql::connect(address, &password, PATIENCE).unwrap()
}

fn in_member(platform: &Platform, number: u64, command: &[&str]) -> String {
    let place = format!("db.{number}");
    platform.run(&[&["-A", APP, "run", &place, "--"], command].concat())
}
