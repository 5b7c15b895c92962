//! A full disk: said in words, no reason for failovers, and over as soon as there is space.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::docker::Engine;
use crate::support::platform::{Platform, text, texts};
use crate::support::postgresql::PostgreSql;
use crate::support::redis::{Redis, Reply};
use crate::support::{pause, wait_for};
use crate::turn;

const SOON: Duration = Duration::from_secs(20);
const APP: &str = "room";
const ROWS: usize = 50;

#[test]
fn a_full_disk_is_told_and_survived() {
    let _turn = turn();
    let (platform, engine) = (Platform::new(), Engine::connect());
    let home = home_id(&platform);
    for instance in ["pg-0", "kv-0"] {
        if let Err(why) = engine.small_volume(&home, APP, instance, 160) {
            return println!("skipped: the engine makes no volume of a limited size: {why}");
        }
    }
    let code = tempfile::tempdir().unwrap();
    std::fs::write(code.path().join("dotcloud.yml"), "pg: {type: postgresql}\nkv: {type: redis}\n").unwrap();
    platform.up(code.path(), APP);
    let full = Full { platform: &platform, engine: &engine, home: &home };
    full.warns_before_it_is_full("kv");
    full.redis_refuses_and_goes_on();
    full.postgresql_waits_for_space();
    full.is_in_the_list_of_what_happened();
}

/// As the daemon names its home.
fn home_id(platform: &Platform) -> String {
    let path = std::fs::canonicalize(platform.home()).unwrap();
    let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hash.iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}

struct Full<'a> {
    platform: &'a Platform,
    engine: &'a Engine,
    home: &'a str,
}

impl Full<'_> {
    fn warns_before_it_is_full(&self, service: &str) {
        self.reaches(service, "ample");
        self.leave(service, 12);
        self.reaches(service, "low");
        assert!(self.platform.run(&["-A", APP, "info", service]).contains("disk:            low, "));
        let holds = texts(&self.platform.json(&["-A", APP, "info"])["holds"]);
        assert!(holds.is_empty(), "what still goes is waited for by nobody: {holds:?}");
    }

    fn redis_refuses_and_goes_on(&self) {
        let epoch = self.epoch("kv");
        self.leave("kv", 0);
        self.reaches("kv", "full");
        let (addr, password) = self.platform.data(APP, "kv");
        let mut redis = Redis::connect(addr, &password, SOON).unwrap();
        let refused = wait_for("Redis refuses a write", SOON, || {
            let reply = redis.call(&["SET", "long", &"x".repeat(100_000)]).unwrap();
            matches!(reply, Reply::Error(_)).then_some(reply)
        });
        assert!(format!("{refused:?}").contains("MISCONF"), "{refused:?}");
        self.is_told("kv");
        self.free("kv");
        wait_for("Redis takes writes", SOON, || {
            (!matches!(redis.call(&["SET", "after", "1"]).unwrap(), Reply::Error(_))).then_some(())
        });
        assert_eq!(self.epoch("kv"), epoch, "a full disk is no failure of the server");
    }

    fn postgresql_waits_for_space(&self) {
        let (addr, password) = self.platform.data(APP, "pg");
        let mut writer = PostgreSql::connect(addr, &password, SOON).unwrap();
        writer.call("CREATE TABLE kept (n int)").unwrap();
        (0..ROWS).for_each(|n| writer.call(&format!("INSERT INTO kept VALUES ({n})")).unwrap());
        self.leave("pg", 0);
        self.reaches("pg", "full");
        // No log fits: the server ends, and each start would end the same way.
        let _ = writer.call("SELECT pg_logical_emit_message(false, 'x', repeat('x', 20000000))");
        wait_for("no start is tried", Duration::from_secs(60), || {
            let holds = texts(&self.platform.json(&["-A", APP, "info"])["holds"]);
            holds.iter().any(|hold| hold.contains("it ended, and is started again when there is space")).then_some(())
        });
        self.is_told("pg");
        self.scales_what_is_well();
        let epoch = self.epoch("pg");
        pause(Duration::from_secs(8));
        assert_eq!(self.epoch("pg"), epoch, "masters are promoted in circles");
        self.free("pg");
        self.platform.settle(APP);
        let rows = wait_for("PostgreSQL answers", SOON, || {
            PostgreSql::connect(addr, &password, SOON).ok()?.rows("SELECT count(*) FROM kept").ok()
        });
        assert_eq!(rows, [ROWS.to_string()], "acknowledged rows are gone");
        let mut writer = PostgreSql::connect(addr, &password, SOON).unwrap();
        writer.call("INSERT INTO kept VALUES (1)").unwrap();
    }

    /// Who scales one service does not wait for another that is unwell.
    fn scales_what_is_well(&self) {
        let scaled = self.platform.try_run(&["-A", APP, "scale", "kv:memory=288M", "--timeout", "60"]);
        let said = String::from_utf8_lossy(&scaled.stderr);
        assert!(scaled.status.success() && said.contains("==> Waiting for kv\n"), "{said}");
        let waited = self.platform.try_run(&["-A", APP, "scale", "pg:memory=288M", "--timeout", "2"]);
        let said = String::from_utf8_lossy(&waited.stderr);
        assert!(waited.status.code() == Some(3) && said.contains("its disk is full"), "{said}");
    }

    fn is_in_the_list_of_what_happened(&self) {
        let list = self.platform.run(&["-A", APP, "activity"]);
        for line in ["disk      low     room.kv.0", "disk      full    room.kv.0", "disk      full    room.pg.0"] {
            let words: Vec<&str> = line.split_whitespace().collect();
            let found = list.lines().any(|line| words.iter().all(|word| line.contains(word)));
            assert!(found, "{line}: {list}");
        }
        let log = self.platform.log_tail() + &list;
        assert!(log.contains("full"), "{log}");
    }

    /// What a person who asks reads.
    fn is_told(&self, service: &str) {
        let shown = self.platform.run(&["-A", APP, "info", service]);
        assert!(shown.contains("disk:            full, "), "{shown}");
        let all = self.platform.run(&["-A", APP, "info"]);
        assert!(all.contains(&format!("{service}.0 waits: its disk is full")) && all.contains("disk full"), "{all}");
    }

    fn reaches(&self, service: &str, state: &str) {
        wait_for(&format!("the disk of {service} is {state}"), SOON, || {
            let disk = self.info(service)["instances"][0]["disk"].clone();
            (text(&disk["state"]) == state).then_some(())
        });
    }

    /// Fills the disk until so many megabytes are left.
    fn leave(&self, service: &str, megabytes: u32) {
        let fill = "free=$(($(stat -f -c '%a * %S' $0) >> 20)); \
            test $1 = 0 || exec fallocate -l $((free - $1))M $0/filler; \
            dd if=/dev/zero of=$0/filled bs=1M; dd if=/dev/zero of=$0/rest bs=4k; true";
        self.in_pod(service, fill, &megabytes.to_string());
    }

    fn free(&self, service: &str) {
        self.in_pod(service, "rm -f $0/filler $0/filled $0/rest", "");
    }

    /// A server without space does not run, its pod does.
    fn in_pod(&self, service: &str, script: &str, argument: &str) {
        let path = if service == "pg" { "/var/lib/postgresql" } else { "/var/lib/redis" };
        let pod = format!("dcl-{}-{APP}-{service}-0-pod", self.home);
        self.engine.command(&pod, &["sh", "-c", script, path, argument]);
    }

    fn info(&self, service: &str) -> Value {
        self.platform.service(APP, service)
    }

    fn epoch(&self, service: &str) -> Option<u64> {
        self.info(service)["group"]["epoch"]["number"].as_u64()
    }
}
