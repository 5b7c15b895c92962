//! What can be kept and brought back: dumps of databases, snapshots of a whole application.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::docker::Objects;
use crate::support::platform::{Platform, copy_of, sample, text};
use crate::support::redis::{Redis, Reply};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "vault";
const PATIENCE: Duration = Duration::from_secs(20);
/// What a command says whose member was replaced under it.
const FAILED_OVER: [&str; 4] = ["did the instance die", "has no master now", "does not run now", "Lost connection"];
const STACK: &str = "cache:\n  type: redis\n  instances: 2\ndb:\n  type: mysql\n  instances: 2\n";
/// Everything in MySQL but the system's own: schemas, rows, logins.
const MYSQL_DIGEST: &str = "SET SESSION group_concat_max_len = 1000000; CHECKSUM TABLE shop.items, shop.blobs; \
    SELECT GROUP_CONCAT(schema_name ORDER BY 1) FROM information_schema.schemata; \
    SELECT GROUP_CONCAT(user ORDER BY 1) FROM mysql.global_priv; CALL shop.seven(); \
    SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'shop'; SHOW GRANTS FOR app@'%'";
const MYSQL_CONTENT: &str = "DROP DATABASE IF EXISTS shop; DROP USER IF EXISTS app@'%'; CREATE DATABASE shop; CREATE TABLE shop.items (id INT PRIMARY KEY, name TEXT); \
    INSERT INTO shop.items SELECT seq, CONCAT('a\\nUSE `mysql`;\\n', SHA2(seq, 256)) FROM shop.seq_1_to_2000; \
    CREATE TABLE shop.blobs (id INT PRIMARY KEY, content LONGBLOB); \
    INSERT INTO shop.blobs VALUES (1, REPEAT(UNHEX('00FF0A0D27'), 100000)); \
    CREATE PROCEDURE shop.seven() SELECT 7; \
    CREATE TRIGGER shop.t BEFORE INSERT ON shop.items FOR EACH ROW SET NEW.name = NEW.name; \
    CREATE USER app@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON shop.* TO app@'%'";
/// Every key of databases 0 and 3 with its value and whether it expires.
const REDIS_DIGEST: &str = "local all = {} for _, db in ipairs({0, 3}) do redis.call('SELECT', db) \
    for _, key in ipairs(redis.call('KEYS', '*')) do \
    local lives = redis.call('PTTL', key) > 0 \
    table.insert(all, db .. key .. redis.sha1hex(redis.call('DUMP', key)) .. tostring(lives)) end end \
    table.sort(all) return #all .. ' ' .. redis.sha1hex(table.concat(all))";
const REDIS_CONTENT: [&str; 2] = [
    "for i = 1, 1500 do redis.call('SET', 'key\\0' .. i, string.rep('v', 50) .. i) end redis.call('SET', 'mortal', 'x', 'EX', 5000)",
    "redis.call('SELECT', 3) redis.call('ZADD', 'ranks', 1, 'a', 2, 'b') redis.call('HSET', 'hash', 'f', '\\r\\n')",
];

struct Vault {
    platform: Platform,
    code: tempfile::TempDir,
}

#[test]
fn everything_comes_back_from_dumps_and_snapshots() {
    let _turn = turn();
    let vault = Vault::start();
    vault.write();
    let before = vault.digests();

    vault.refusals();
    let (db, cache) = vault.dumps();
    vault.steadily(&["snapshot", "save", "known"]);
    vault.listed();

    vault.spoil();
    assert_ne!(vault.digests().databases, before.databases, "the test spoils what it restores");
    vault.restores_refused(&db);
    vault.steadily(&["restore", "db", &db, "--yes"]);
    vault.steadily(&["restore", "cache", &cache, "--yes"]);
    assert_eq!(vault.digests().databases, before.databases);

    vault.spoil();
    let said = vault.steadily(&["snapshot", "restore", "known", "--yes"]);
    vault.platform.settle(APP);
    assert_eq!(vault.digests(), before);
    assert!(said.contains("www.0 is restarted: its ~/data was replaced"), "{said}");

    vault.after_the_end();
}

/// What an application holds; the same for every member of a service.
#[derive(Debug, PartialEq, Eq)]
struct Digests {
    databases: [String; 2],
    shared: String,
    data: String,
}

impl Vault {
    fn start() -> Self {
        let vault = Self { platform: Platform::new(), code: copy_of("samples/uploads") };
        assert!(sample("samples/uploads").exists());
        let file = vault.code.path().join("dotcloud.yml");
        fs::write(&file, fs::read_to_string(&file).unwrap() + STACK).unwrap();
        vault.platform.up(vault.code.path(), APP);
        vault.platform.settle(APP);
        vault
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.platform.run(&[&["-A", APP], arguments].concat())
    }

    fn refused(&self, arguments: &[&str]) -> String {
        self.platform.refused(&[&["-A", APP], arguments].concat())
    }

    /// A loaded machine may fail over in the middle of anything. Then the command says so, and is
    /// given again; any other failure is one.
    fn steadily(&self, arguments: &[&str]) -> String {
        let all = [&["-A", APP], arguments].concat();
        wait_for(&format!("{arguments:?}"), PATIENCE, || {
            let output = self.platform.try_run(&all);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let failed_over = FAILED_OVER.iter().any(|words| said.contains(words));
            assert!(output.status.success() || failed_over, "{arguments:?}: {said}");
            output.status.success().then_some(said)
        })
    }

    fn mysql(&self, statements: &str) {
        wait_for("MySQL took the statements", PATIENCE, || {
            let command = ["-A", APP, "run", "db.master", "--", "mysql", "-NBe", statements];
            self.platform.try_run(&command).status.success().then_some(())
        });
    }

    fn redis(&self, script: &str) {
        let done = || {
            let (address, password) = self.platform.data(APP, "cache");
            let mut redis = Redis::connect(address, &password, PATIENCE).ok()?;
            let reply = redis.call(&["EVAL", script, "0"]).ok()?;
            (!matches!(reply, Reply::Error(_))).then_some(())
        };
        wait_for("Redis took the script", PATIENCE, done);
    }

    fn write(&self) {
        self.mysql(MYSQL_CONTENT);
        REDIS_CONTENT.iter().for_each(|script| self.redis(script));
        self.run(&[
            "run",
            "www.0",
            "--",
            "sh",
            "-c",
            "echo kept > ~/data/mine; mkdir ~/store/deep; echo all > ~/store/deep/file",
        ]);
    }

    /// Other content in the place of some, and more besides.
    fn spoil(&self) {
        self.mysql(
            "DROP TABLE IF EXISTS shop.items; CREATE OR REPLACE DATABASE junk; DROP USER IF EXISTS app@'%'; \
            DELETE FROM shop.blobs; CREATE TABLE shop.items (x INT)",
        );
        self.redis(
            "redis.call('SELECT', 3) redis.call('DEL', 'hash') redis.call('SELECT', 5) redis.call('SET', 'junk', 1)",
        );
        self.redis("redis.call('FLUSHDB') redis.call('SET', 'junk', 1)");
        self.run(&[
            "run",
            "www.0",
            "--",
            "sh",
            "-c",
            "echo junk > ~/data/mine; touch ~/data/junk; rm -r ~/store/deep; touch ~/store/junk",
        ]);
    }

    /// What both members of each service hold, once they are in step.
    fn digests(&self) -> Digests {
        let both = |what: &str, ask: &dyn Fn(&str) -> String| {
            wait_for(what, PATIENCE, || {
                let [master, slave] = ["master", "slave"].map(ask);
                (master == slave && !master.is_empty()).then_some(master)
            })
        };
        let lines = |output: std::process::Output| {
            String::from_utf8_lossy(&output.stdout).into_owned() + &output.status.to_string()
        };
        let mysql = |role: &str| {
            let member = format!("db.{role}");
            lines(self.platform.try_run(&["-A", APP, "run", &member, "--", "mysql", "--force", "-NBe", MYSQL_DIGEST]))
        };
        let redis = |role: &str| {
            let member = format!("cache.{role}");
            lines(self.platform.try_run(&["-A", APP, "run", &member, "--", "redis-cli", "EVAL_RO", REDIS_DIGEST, "0"]))
        };
        let tree = |place: &str| {
            let script = format!("cd ~/{place} && find . | sort && find . -type f -exec cat {{}} + && stat -c %u .");
            self.run(&["run", "www.0", "--", "sh", "-c", &script])
        };
        Digests {
            databases: [both("MySQL is in step", &mysql), both("Redis is in step", &redis)],
            shared: tree("store"),
            data: tree("data/"),
        }
    }

    fn refusals(&self) {
        for name in ["../x", "a/b", ".x", ".."] {
            assert!(self.refused(&["snapshot", "save", name]).contains("is not a snapshot's name"), "{name}");
            self.refused(&["snapshot", "delete", name, "--yes"]);
        }
        assert!(self.refused(&["backup", "www"]).contains("no data service"));
        assert!(self.refused(&["backup", "nothing"]).contains("does not exist"));
        assert!(self.refused(&["snapshot", "restore", "nothing", "--yes"]).contains("no snapshot nothing"));
    }

    /// Files of both services: named, complete, never replaced by accident, the same on stdout.
    fn dumps(&self) -> (String, String) {
        let folder = self.code.path();
        let db = folder.join("db.sql.gz").display().to_string();
        self.platform.settle(APP);
        let slave = self.platform.member(APP, "db", "slave").number;
        let said = self.steadily(&["backup", "db", &db]);
        assert!(said.contains(&format!("up from db.{slave}")), "the master is spared: {said}");
        let gzip = Command::new("gzip").args(["--test", &db]).status().unwrap();
        assert!(gzip.success(), "it is whole");
        assert!(self.refused(&["backup", "db", &db]).contains("exists"));
        self.steadily(&["backup", "db", &db, "--force"]);

        let mut named = self.platform.command(&["-A", APP, "backup", "cache", "--json"]);
        let named = named.current_dir(folder).output().unwrap();
        let named: serde_json::Value = serde_json::from_slice(&named.stdout).unwrap();
        let cache = text(&named["file"]);
        assert_eq!(named["bytes"], fs::metadata(&cache).unwrap().len());
        assert!(cache.ends_with("Z.rdb"), "{cache}");
        let stdout = self.platform.try_run(&["-A", APP, "backup", "cache", "-"]).stdout;
        assert!(stdout.starts_with(b"REDIS") && stdout.len() as u64 >= named["bytes"].as_u64().unwrap() / 2);
        let partial = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains("partial");
        assert!(!fs::read_dir(folder).unwrap().any(|entry| partial(&entry.unwrap())));
        (db, cache)
    }

    fn listed(&self) {
        let listed = self.platform.json(&["-A", APP, "snapshot", "list"]);
        let parts = listed[0]["parts"].as_array().unwrap();
        let names: Vec<_> = parts.iter().map(|part| text(&part["kind"]) + " " + &text(&part["name"])).collect();
        assert_eq!(names, ["service cache", "service db", "shared uploads", "data www.0"]);
        assert!(self.refused(&["snapshot", "save", "known"]).contains("There is a snapshot known"));
    }

    /// Nothing that is not whole harms anything.
    fn restores_refused(&self, db: &str) {
        let before = self.digests();
        let cut = self.code.path().join("cut");
        for (service, bytes) in [("db", fs::read(db).unwrap()), ("cache", fs::read(self.dump_in_snapshot()).unwrap())] {
            fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
            let said = self.refused(&["restore", service, cut.to_str().unwrap(), "--yes"]);
            assert!(said.contains("Nothing was changed"), "{said}");
        }
        let foreign = self.refused(&["restore", "cache", db, "--yes"]);
        assert!(foreign.contains("no dump of Redis") && foreign.contains("Nothing was changed"), "{foreign}");
        assert!(self.refused(&["restore", "db", db]).contains("no terminal to ask on"));

        let kept = self.dump_in_snapshot();
        let whole = fs::read(&kept).unwrap();
        fs::write(&kept, &whole[1..]).unwrap();
        assert!(self.refused(&["snapshot", "restore", "known", "--yes"]).contains("checksum differs"));
        fs::write(&kept, whole).unwrap();
        assert_eq!(self.digests(), before);
    }

    fn dump_in_snapshot(&self) -> std::path::PathBuf {
        self.platform.home().join("snapshots").join(APP).join("known").join("cache.rdb")
    }

    /// Snapshots outlive what they are of; nothing else is left anywhere.
    fn after_the_end(&self) {
        self.run(&["down"]);
        assert!(self.refused(&["backup", "db", "-"]).contains("is down"));
        assert!(self.refused(&["snapshot", "restore", "known", "--yes"]).contains("is down"));
        self.run(&["destroy", "--yes"]);
        assert_eq!(self.platform.objects(), Objects::default());
        assert_eq!(self.platform.json(&["-A", APP, "snapshot", "list"])[0]["name"], "known");
        self.run(&["snapshot", "delete", "known", "--yes"]);
        let snapshots: &Path = &self.platform.home().join("snapshots");
        assert!(!snapshots.join(APP).exists());
    }
}
