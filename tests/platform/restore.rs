//! Data that is being replaced: what masters, clients and a killed daemon make of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use crate::support::amqp::Publisher;
use crate::support::docker::Engine;
use crate::support::mysql::MySql;
use crate::support::platform::{Platform, text};
use crate::support::redis::{Redis, Reply};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "again";
const PATIENCE: Duration = Duration::from_secs(120);
const STACK: &str = "db:\n  type: mysql\nsql:\n  type: postgresql\ncache:\n  type: redis\n  instances: 2\n\
                     broker:\n  type: rabbitmq\n";
/// A single command that takes so many seconds, in which the server answers nobody.
const BUSY: &str = "local function now() local t = redis.call('TIME') return t[1] + t[2] / 1000000 end \
                    local till = now() + tonumber(ARGV[1]) while now() < till do end return 'done'";

#[test]
fn restores_are_no_hangs_hold_clients_back_and_survive_their_daemon() {
    let _turn = turn();
    let again = Again::start();
    again.shows_no_password();
    again.fill();
    let before = again.content();
    again.definitions_come_back_without_messages();
    again.fill();
    again.run(&["snapshot", "save", "known"]);
    assert_eq!(again.content(), before, "the broker has its messages after the snapshot");
    for finished in [0, 3] {
        again.daemon_is_killed_when(finished, &before);
    }
    again.clients_wait_for_the_end_of_a_restore();
    again.psql_is_told_why_it_waited_in_vain();
    again.a_busy_master_is_waited_for_and_a_dead_or_frozen_one_is_not();
}

struct Again {
    platform: Platform,
    _code: tempfile::TempDir,
    folder: std::path::PathBuf,
}

impl Again {
    fn start() -> Self {
        let code = tempfile::tempdir().unwrap();
        fs::write(code.path().join("dotcloud.yml"), STACK).unwrap();
        let platform = Platform::new();
        platform.up(code.path(), APP);
        platform.settle(APP);
        Self { platform, folder: code.path().to_owned(), _code: code }
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.platform.run(&[&["-A", APP], arguments].concat())
    }

    fn inside(&self, service: &str, command: &[&str]) -> String {
        let member = format!("{service}.master");
        wait_for(&format!("{service} takes {command:?}"), PATIENCE, || {
            let output = self.platform.try_run(&[&["-A", APP, "run", &member, "--"], command].concat());
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        })
    }

    fn broker(&self, arguments: &[&str]) -> String {
        let all = [&["-A", APP, "run", "broker", "--", "rabbitmqctl", "-q"], arguments].concat();
        wait_for(&format!("the broker takes {arguments:?}"), PATIENCE, || {
            let output = self.platform.try_run(&all);
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        })
    }

    /// Everybody in a container sees the arguments of all its processes.
    fn shows_no_password(&self) {
        let engine = Engine::connect();
        let services = ["db", "sql", "cache", "broker"];
        for service in services {
            let (_, password) = self.platform.data(APP, service);
            let member = self.platform.member(APP, service, "master");
            let processes = engine.processes(&member.container);
            assert!(!processes.is_empty());
            for pid in processes {
                let shown = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let shown = String::from_utf8_lossy(&shown).replace('\0', " ");
                assert!(!shown.contains(&password), "{service}: {shown}");
            }
        }
    }

    fn fill(&self) {
        self.inside(
            "db",
            &[
                "mysql",
                "-e",
                "CREATE OR REPLACE DATABASE shop; CREATE TABLE shop.items AS SELECT seq FROM shop.seq_1_to_1000",
            ],
        );
        self.inside(
            "sql",
            &[
                "psql",
                "-qc",
                "DROP TABLE IF EXISTS items",
                "-c",
                "CREATE TABLE items AS SELECT generate_series(1, 1000)",
            ],
        );
        self.inside("cache", &["redis-cli", "SET", "known", "value"]);
        self.fill_broker();
    }

    /// A durable queue with messages, a binding, a user, a vhost and a policy.
    fn fill_broker(&self) {
        let queues = self.broker(&["list_queues", "name"]);
        if queues.contains("orders") {
            self.broker(&["delete_queue", "orders"]);
        }
        let users = self.broker(&["list_users"]);
        if !users.contains("alice") {
            self.broker(&["add_user", "alice", "secret"]);
            self.broker(&["set_permissions", "-p", "/", "alice", "^a", "^b", "^c"]);
        }
        if !self.broker(&["list_vhosts"]).contains("other") {
            self.broker(&["add_vhost", "other"]);
        }
        self.broker(&["set_policy", "short", "^x", r#"{"message-ttl":1000}"#]);
        let (address, password) = self.platform.data(APP, "broker");
        let url = format!("--url=amqp://root:{password}@127.0.0.1");
        self.inside("broker", &["amqp-declare-queue", &url, "--durable", "--queue=orders"]);
        let mut publisher = Publisher::connect(address, &password).unwrap();
        ["one", "two"].iter().for_each(|message| publisher.publish("orders", message).unwrap());
    }

    /// Something else in the place of everything.
    fn spoil(&self) {
        self.inside("db", &["mysql", "-e", "DROP DATABASE IF EXISTS shop; CREATE OR REPLACE DATABASE junk"]);
        self.inside("sql", &["psql", "-qc", "DROP TABLE IF EXISTS items"]);
        self.inside("cache", &["redis-cli", "FLUSHALL"]);
        if self.broker(&["list_queues", "name"]).contains("orders") {
            self.broker(&["delete_queue", "orders"]);
        }
        if self.broker(&["list_users"]).contains("alice") {
            self.broker(&["delete_user", "alice"]);
        }
    }

    fn content(&self) -> BTreeMap<&'static str, String> {
        let count = "SELECT COUNT(*), SUM(seq), (SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'junk') FROM shop.items";
        BTreeMap::from([
            ("db", self.inside("db", &["mysql", "-NBe", count])),
            ("sql", self.inside("sql", &["psql", "-Atc", "SELECT COUNT(*), SUM(generate_series) FROM items"])),
            ("cache", self.inside("cache", &["redis-cli", "GET", "known"])),
            ("queues", sorted(&self.broker(&["list_queues", "name", "durable", "messages"]))),
            ("users", sorted(&self.broker(&["list_permissions"]))),
            ("vhosts", sorted(&self.broker(&["list_vhosts"]))),
            ("policies", sorted(&self.broker(&["list_policies"]))),
        ])
    }

    /// What `backup` of a broker holds, and says that it holds.
    fn definitions_come_back_without_messages(&self) {
        let file = self.folder.join("broker.json").display().to_string();
        let output = self.platform.try_run(&["-A", APP, "backup", "broker", &file]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("No messages"), "{said}");
        let kept = fs::read_to_string(&file).unwrap();
        assert!(kept.contains("orders") && kept.contains("alice") && !kept.contains("\"name\": \"root\""), "{kept}");
        self.broker(&["delete_queue", "orders"]);
        self.broker(&["delete_user", "alice"]);
        self.broker(&["add_user", "mallory", "x"]);
        self.run(&["restore", "broker", &file, "--yes"]);
        let content = self.content();
        assert!(content["queues"].contains("orders\ttrue\t0"), "{content:?}");
        assert!(content["users"].contains("alice"), "{content:?}");
        assert!(!self.broker(&["list_users"]).contains("mallory"));
    }

    /// `kill -9` when so many parts of the snapshot are in place; the next daemon goes on.
    fn daemon_is_killed_when(&self, finished: usize, before: &BTreeMap<&'static str, String>) {
        self.spoil();
        let known = self.restores();
        let mut command = self.platform.command(&["-A", APP, "snapshot", "restore", "known", "--yes"]);
        let mut restoring = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the restore has begun", PATIENCE, || {
            let said = self.platform.refused(&["-A", APP, "snapshot", "save", "known"]);
            said.contains("is under way").then_some(())
        });
        let lines = BufReader::new(restoring.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert_eq!(lines.filter(|line| line.contains(" is restored")).take(finished).count(), finished);
        self.platform.kill_daemon();
        restoring.wait().unwrap();
        let began = Instant::now();
        let outcome = wait_for("the next daemon has gone on with it", PATIENCE, || {
            let restores = self.restores();
            (restores.len() > known.len()).then(|| restores[known.len()].clone())
        });
        println!("killed after {finished} parts, gone on with in {:?}: {outcome}", began.elapsed());
        assert_eq!(outcome, "everything was replaced");
        assert_eq!(&self.content(), before);
    }

    /// How restores of snapshots ended.
    fn restores(&self) -> Vec<String> {
        let listed = self.run(&["activity", "--json"]);
        let all = serde_json::Deserializer::from_str(&listed).into_iter::<serde_json::Value>().map(Result::unwrap);
        let restores = all.filter(|one| one["action"] == "restore" && !one["snapshot"].is_null());
        restores.map(|one| text(&one["outcome"])).collect()
    }

    /// A statement of the dump itself takes its time, so that the restore does.
    fn clients_wait_for_the_end_of_a_restore(&self) {
        let dump = self.folder.join("slow.sql");
        let slow =
            "CREATE DATABASE `slow`;\nUSE `slow`;\nSELECT SLEEP(4);\nCREATE TABLE done (x INT);\n-- Dump completed\n";
        fs::write(&dump, slow).unwrap();
        let mut command = self.platform.command(&["-A", APP, "restore", "db", dump.to_str().unwrap(), "--yes"]);
        let mut restoring = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(restoring.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("replacing everything")));
        let began = Instant::now();
        let (address, password) = self.platform.data(APP, "db");
        let mut client = MySql::connect(address, &password, PATIENCE).unwrap();
        let tables: Vec<String> = client.rows("SHOW TABLES FROM slow").unwrap();
        println!("a client was held back for {:?}", began.elapsed());
        assert_eq!(tables, ["done"], "nobody sees what is half restored");
        assert!(restoring.wait().unwrap().success());
    }

    /// Longer than clients are let wait: they are told, by a client of today that asks for TLS first.
    fn psql_is_told_why_it_waited_in_vain(&self) {
        let dump = self.folder.join("slow.psql");
        fs::write(&dump, "SELECT pg_sleep(16);\n-- This backup of dotCloud's is complete.\n").unwrap();
        let mut command = self.platform.command(&["-A", APP, "restore", "sql", dump.to_str().unwrap(), "--yes"]);
        let mut restoring = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(restoring.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("replacing everything")));
        let (address, password) = self.platform.data(APP, "sql");
        let to = format!("host=sql.{APP}.dc.internal port={} user=root password={password}", address.port());
        let psql = [
            "-A",
            APP,
            "run",
            "sql.0",
            "--",
            "psql",
            &format!("{to} dbname=template1 sslmode=prefer"),
            "-c",
            "SELECT 1",
        ];
        let output = self.platform.try_run(&psql);
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("FATAL:  the contents of sql are being replaced by a restore"), "{said}");
        assert!(restoring.wait().unwrap().success());
    }

    fn a_busy_master_is_waited_for_and_a_dead_or_frozen_one_is_not(&self) {
        let engine = Engine::connect();
        self.platform.settle(APP);
        let epoch = self.epoch();
        let (working, stdin) = self.begin_restore();
        self.keep_busy(3);
        assert_eq!(self.epoch(), epoch, "the platform itself works with it");

        engine.kill(&self.platform.member(APP, "cache", "master").container);
        self.until_epoch(epoch + 1);
        refused(working, stdin);
        self.platform.settle(APP);

        let (working, stdin) = self.begin_restore();
        let frozen = self.platform.member(APP, "cache", "master").container;
        engine.pause(&frozen);
        let began = Instant::now();
        self.until_epoch(epoch + 2);
        println!("frozen -> another master: {:?}", began.elapsed());
        refused(working, stdin);
        self.platform.settle(APP);
    }

    fn epoch(&self) -> u64 {
        self.platform.service(APP, "cache")["group"]["epoch"]["number"].as_u64().unwrap_or_default()
    }

    fn until_epoch(&self, number: u64) {
        wait_for("another master is elected", PATIENCE, || (self.epoch() >= number).then_some(()));
    }

    /// A restore whose dump never ends.
    fn begin_restore(&self) -> (Child, ChildStdin) {
        let mut command = self.platform.command(&["-A", APP, "restore", "cache", "-", "--yes"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"REDIS").unwrap();
        let mut told = BufReader::new(child.stderr.as_mut().unwrap()).lines().map_while(Result::ok);
        assert!(told.any(|line| line.contains("Restoring cache from standard input")));
        (child, stdin)
    }

    fn keep_busy(&self, seconds: u64) {
        let (address, password) = self.platform.data(APP, "cache");
        let mut redis = Redis::connect(address, &password, PATIENCE).unwrap();
        let reply = redis.call(&["EVAL", BUSY, "0", &seconds.to_string()]).unwrap();
        assert_eq!(reply, Reply::Bulk(Some(b"done".to_vec())));
    }
}

/// Ends a restore that was not wanted to its end.
fn refused(mut working: Child, stdin: ChildStdin) {
    drop(stdin);
    let mut said = String::new();
    working.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!working.wait().unwrap().success(), "{said}");
}

/// The broker lists in no order.
fn sorted(rows: &str) -> String {
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.sort_unstable();
    rows.join("\n")
}
