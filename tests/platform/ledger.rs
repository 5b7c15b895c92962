//! `dotcloud ledger` over failovers: what was acknowledged is counted, and what is gone is found.

use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::ledger::{Database, Ledger, Writer};
use crate::support::mysql::MySql;
use crate::support::platform::Platform;
use crate::support::redis::{Redis, Reply};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "books";
const PATIENCE: Duration = Duration::from_secs(10);
/// Acknowledged writes before anything is done to a master.
const WARM: u64 = 100;

#[test]
fn acknowledged_writes_are_counted_over_failovers_and_lost_ones_are_found() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    // Asynchronous, a failover could lose what the test below counts on.
    let services =
        "cache:\n  type: redis\n  instances: 2\n  config: {replication: sync}\ndb:\n  type: mysql\n  instances: 2\n";
    std::fs::write(folder.path().join("dotcloud.yml"), services).unwrap();
    let platform = Platform::new();
    platform.up(folder.path(), APP);
    platform.settle(APP);
    assert!(platform.refused(&["-A", APP, "ledger", "nobody"]).contains("does not exist"));

    a_failover_that_loses_nothing(&platform);
    a_write_that_is_lost(&platform);
    a_daemon_that_dies(&platform);
    a_failover_without_a_ledger(&platform);
}

/// Redis; with the test's own ledger beside it.
fn a_failover_that_loses_nothing(platform: &Platform) {
    let (address, password) = platform.data(APP, "cache");
    let ledger = Ledger { database: Database::Redis, address, password, key: "beside".to_owned() };
    let mut running = Running::start(platform, &["cache"]);
    let writer = Writer::start(ledger.clone());
    running.warm();
    wait_for("the other ledger is warm", PATIENCE, || (writer.acknowledged() >= 200).then_some(()));
    assert!(platform.refused(&["-A", APP, "ledger", "cache"]).contains("already"), "one at a time");

    let before = Instant::now();
    platform.run(&["-A", APP, "kill", "cache.master"]);
    let resumed = running.until("resumed");
    wait_for("the other ledger goes on", PATIENCE, || writer.first_on_connection_after(before));
    let (report, code, _) = running.end();
    let gap = writer.gap_after(before).unwrap();
    let beside = writer.stop();
    assert_eq!((code, &report["lost"]), (Some(0), &0.into()), "{report}");
    assert_eq!(ledger.lost(&beside), 0);
    let difference = resumed["lasted_ms"].as_f64().unwrap() - gap.as_secs_f64() * 1000.0;
    assert!(difference.abs() < 500.0, "both saw the same outage: {gap:?} and {resumed}");
    is_consistent(&report);

    let receipt = last_receipt(platform, "cache");
    let master = platform.member(APP, "cache", "master").number;
    assert_eq!((&resumed["epoch"], &resumed["master"]), (&receipt["epoch"], &master.into()));
    is_in_the_receipt(&report, &receipt);
    assert!(receipt["because"].as_str().unwrap().contains("most advanced replica"), "{receipt}");
    let mut redis = Redis::connect(address, &ledger.password, PATIENCE).unwrap();
    assert_eq!(redis.call(&["EXISTS", "dotcloud_ledger"]).unwrap(), Reply::Text("0".to_owned()), "it is removed");
}

/// MySQL, several writers; a row that was acknowledged disappears behind the ledger's back.
fn a_write_that_is_lost(platform: &Platform) {
    let (address, password) = platform.data(APP, "db");
    let mut running = Running::start(platform, &["db", "--writers", "3"]);
    running.warm();
    platform.run(&["-A", APP, "kill", "db.master"]);
    running.until("resumed");
    let mut thief = MySql::connect(address, &password, PATIENCE).unwrap();
    thief.call("DELETE FROM dotcloud_ledger.entry WHERE number = 7").unwrap();
    let (report, code, complaint) = running.end();
    assert_eq!((code, &report["lost"], &report["lost_numbers"]), (Some(6), &1.into(), &serde_json::json!(["7"])));
    assert!(complaint.contains("acknowledged writes were lost: 7"), "{complaint}");
    is_consistent(&report);
    let receipt = last_receipt(platform, "db");
    is_in_the_receipt(&report, &receipt);
    assert_eq!(receipt["lost"], 1, "it was acknowledged before the failover");
    let left = thief.rows::<String>("SHOW DATABASES LIKE 'dotcloud%'").unwrap();
    assert!(left.is_empty(), "it is removed: {left:?}");
}

/// What it leaves behind is not in the way of the next ledger.
fn a_daemon_that_dies(platform: &Platform) {
    platform.settle(APP);
    let mut running = Running::start(platform, &["db"]);
    running.warm();
    platform.kill_daemon();
    let (last, code, complaint) = running.end_by_itself();
    assert_eq!(code, Some(4), "{last} {complaint}");
    assert!(complaint.contains("stay until the next"), "{complaint}");
    platform.settle(APP);
    let said = platform.run(&["-A", APP, "ledger", "db", "--for", "500ms"]);
    assert!(said.contains("acknowledged and not found"), "{said}");
}

/// Not counted is not zero.
fn a_failover_without_a_ledger(platform: &Platform) {
    let old = last_receipt(platform, "cache")["epoch"].clone();
    platform.run(&["-A", APP, "kill", "cache.master"]);
    let receipt = wait_for("another receipt", PATIENCE, || {
        Some(last_receipt(platform, "cache")).filter(|receipt| receipt["epoch"] != old)
    });
    assert!(receipt.get("lost").is_none() && receipt.get("acknowledged").is_none(), "{receipt}");
    let told = platform.run(&["-A", APP, "activity", "cache"]);
    assert!(told.contains("books.cache.") && told.contains("role=cache.master"), "its instances' faults: {told}");
    assert!(told.contains("fenced") && told.contains("chosen because") && told.contains("by a ledger"), "{told}");
    assert!(!told.contains("books.db"), "of this service alone: {told}");
}

/// The numbers of a report fit together.
fn is_consistent(report: &Value) {
    let count = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}"));
    assert_eq!(count("written"), count("acknowledged") + count("refused") + count("unanswered"), "{report}");
    let kept = count("acknowledged") - count("lost");
    assert!((kept..=kept + count("unanswered")).contains(&count("present")), "{report}");
    assert!(count("acknowledged") > WARM, "{report}");
    assert_eq!(report["outages"].as_array().unwrap().len(), 1, "{report}");
}

/// What the ledger reports of a failover is what the failover's receipt says.
fn is_in_the_receipt(report: &Value, receipt: &Value) {
    let failovers = report["failovers"].as_array().unwrap();
    let [failover] = failovers.as_slice() else { panic!("one failover in {report}") };
    for field in ["epoch", "acknowledged", "lost"] {
        assert_eq!(failover[field], receipt[field], "{field}: {report} {receipt}");
    }
    assert!(failover["acknowledged"].as_u64().unwrap() > 0);
    assert!(failover["acknowledged"].as_u64() < report["acknowledged"].as_u64(), "some came afterwards");
}

/// The latest of a service, as `activity` has it.
fn last_receipt(platform: &Platform, service: &str) -> Value {
    let listed = platform.run(&["-A", APP, "activity", service, "--json"]);
    let mut records = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = records.rfind(|record| record["category"] == "failover");
    last.unwrap_or_else(|| panic!("no failover in {listed}"))["receipt"].clone()
}

/// A `dotcloud ledger … --json` that runs.
struct Running {
    child: Child,
    events: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(platform: &Platform, arguments: &[&str]) -> Self {
        let all = [&["-A", APP, "ledger", "--json", "--for", "60s"], arguments].concat();
        let mut command = platform.command(&all);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, events }
    }

    /// Reads on until the failover has something to lose.
    fn warm(&mut self) {
        while self.until("progress")["acknowledged"].as_u64().unwrap() < WARM {}
    }

    /// Reads on to the next event of this status.
    fn until(&mut self, status: &str) -> Value {
        self.next(status).unwrap_or_else(|| panic!("no {status}: {}", self.complaint()))
    }

    fn next(&mut self, status: &str) -> Option<Value> {
        let mut events = self.events.by_ref().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        events.find(|event| event["status"] == status)
    }

    /// Ctrl-C: the report, the exit code, what was said beside it.
    fn end(mut self) -> (Value, Option<i32>, String) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let report = self.until("report");
        let code = self.child.wait().unwrap().code();
        (report, code, self.complaint())
    }

    fn end_by_itself(mut self) -> (Value, Option<i32>, String) {
        let report = self.next("report").unwrap_or_default();
        let code = self.child.wait().unwrap().code();
        (report, code, self.complaint())
    }

    /// Its standard error; it has to have ended.
    fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}
