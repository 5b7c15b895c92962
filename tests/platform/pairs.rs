//! The story of a master and its slave, told of one database after the other: whatever happens to
//! the master while somebody writes, what was acknowledged survives, at an unchanged address.
//!
//! What is special about a database stands in its own file.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::docker::Engine;
use crate::support::ledger::{Database, Ledger, Writer};
use crate::support::platform::{Member, Platform};
use crate::support::wait_for;

const PATIENCE: Duration = Duration::from_secs(10);
/// What is sent to a master of before, and must not be found.
const STRAY: usize = 10_000_000;

/// A database with a slave, as the service `db` of an application.
pub struct Pair {
    pub app: &'static str,
    pub database: Database,
    /// How many acknowledged writes one failover may lose: what the documentation says.
    pub most_lost: usize,
    /// So many are waited for before and after each event, and for how long.
    pub writes: usize,
    pub patience: Duration,
    /// To how many members it is scaled in the end, one after the other.
    pub scales: &'static [&'static str],
}

pub const REDIS: Pair = Pair {
    app: "counter",
    database: Database::Redis,
    most_lost: 3,
    writes: 200,
    patience: Duration::from_secs(30),
    scales: &["db=3", "db=1"],
};

pub const MYSQL: Pair = Pair { app: "shop", database: Database::MySql, most_lost: 0, scales: &["db=1"], ..REDIS };

pub const POSTGRESQL: Pair = Pair {
    app: "places",
    database: Database::PostgreSql,
    most_lost: 0,
    writes: 100,
    patience: Duration::from_secs(60),
    scales: &["db=3", "db=1", "db=2"],
};

/// What happens.
type Event<'p> = fn(&Story<'p>);

/// A pair under writes.
struct Story<'p> {
    pair: &'p Pair,
    platform: &'p Platform,
    ledger: Ledger,
    writer: Writer,
}

impl Pair {
    /// Tells the story of a platform whose application runs.
    pub fn survives(&self, platform: &Platform) {
        let ledger = self.ledger(platform);
        ledger.create();
        let story = Story { pair: self, platform, writer: Writer::start(ledger.clone()), ledger };
        let events: [(&str, Event<'_>); 8] = [
            ("killed", Story::killed),
            ("hung", Story::hung),
            ("handed over", Story::handed_over),
            ("restarted", Story::restarted),
            ("both killed", Story::both_killed),
            ("taken back", Story::taken_back),
            ("removed", Story::removed),
            ("scaled", Story::scaled),
        ];
        for (name, happens) in events {
            let began = Instant::now();
            story.wait_for_writes();
            happens(&story);
            story.wait_for_writes();
            platform.settle(self.app);
            println!("{} {name}: {} ms", self.app, began.elapsed().as_millis());
        }
        story.holds_what_was_acknowledged();
    }

    /// Where numbered writes are kept.
    pub fn ledger(&self, platform: &Platform) -> Ledger {
        let (address, password) = platform.data(self.app, "db");
        Ledger { database: self.database, address, password, key: "numbers".to_owned() }
    }

    /// What a member itself, past the front, says to a write.
    pub fn refusal(&self, platform: &Platform, member: &Member) -> String {
        self.ledger(platform).at(member.addr(self.database.port())).refusal()
    }
}

impl Story<'_> {
    fn killed(&self) {
        let old = self.member("master");
        self.run(&["kill", "db.master"]);
        self.is_replaced(&old);
        self.came_back_as_a_slave(&old);
        let receipt = wait_for("the receipt is complete", PATIENCE, || {
            let receipt = self.receipt()?;
            let complete = receipt["resynchronised_ms"].is_number() && receipt["first_write_ms"].is_number();
            (receipt["old_master"] == old.number && complete).then_some(receipt)
        });
        let at = |step: &str| receipt[step].as_f64().unwrap_or_else(|| panic!("no {step} in {receipt}"));
        let steps = [0.0, at("fenced_ms"), at("promoted_ms"), at("opened_ms"), at("first_write_ms")];
        assert!(steps.is_sorted(), "steps follow each other: {receipt}");
        assert!(at("resynchronised_ms") > at("promoted_ms"), "{receipt}");
    }

    /// Two ways lead to the old master: a session through the front, and one behind its back.
    fn hung(&self) {
        let (engine, old) = (Engine::connect(), self.member("master"));
        let mut session = self.ledger.session().unwrap();
        let mut behind = self.ledger.at(old.addr(self.pair.database.port())).session().unwrap();
        engine.pause(&old.container);
        let paused = Instant::now();
        wait_for("a write is accepted again", PATIENCE, || self.writer.first_on_connection_after(paused));
        self.is_replaced(&old);
        engine.unpause(&old.container);
        assert!(!behind.write(STRAY), "the old master accepted a write");
        assert!(!session.write(STRAY), "the session of before is cut");
        self.came_back_as_a_slave(&old);
        assert_eq!(self.ledger.lost(&[STRAY]), 1, "it is nowhere");
    }

    fn handed_over(&self) {
        let old = self.member("master");
        self.run(&["switchover", "db"]);
        self.is_replaced(&old);
        let cause = self.receipt().unwrap()["cause"].as_str().unwrap().to_owned();
        assert!(cause.contains("planned switchover"), "{cause}");
    }

    fn restarted(&self) {
        let master = self.member("master").number;
        self.run(&["restart", &format!("db.{master}")]);
        self.platform.settle(self.pair.app);
        assert_eq!(self.member("master").number, master, "it is no failure");
    }

    fn both_killed(&self) {
        let engine = Engine::connect();
        for role in ["slave", "master"] {
            engine.kill(&self.member(role).container);
        }
    }

    /// What a master had not acknowledged when it was killed it may take back, though a slave that
    /// hung received it: the slave is not to take that for what the master writes next.
    fn taken_back(&self) {
        let (engine, slave) = (Engine::connect(), self.member("slave"));
        let master = self.member("master");
        engine.pause(&slave.container);
        let killing = Instant::now();
        engine.kill(&master.container);
        wait_for("the master takes writes again", self.pair.patience * 2, || {
            self.writer.first_on_connection_after(killing)
        });
        engine.unpause(&slave.container);
        let told = self.ledger.numbers().unwrap();
        wait_for("the slave holds what its master wrote since", self.pair.patience * 2, || {
            let slave = self.ledger.at(slave.addr(self.pair.database.port()));
            told.is_subset(&slave.numbers().ok()?).then_some(())
        });
    }

    /// The master with its pod, while there is no daemon: its slave succeeds it at once, and it is
    /// made anew as a slave. Whoever restarts a member that is being made waits for that.
    fn removed(&self) {
        let (engine, old) = (Engine::connect(), self.member("master"));
        let pod = engine.pod_of(&old.container);
        self.platform.kill_daemon();
        assert!(engine.remove(&old.container) && engine.remove(&pod), "they were there");
        self.is_replaced(&old);
        assert_eq!(self.receipt().unwrap()["cause"], "the master was found dead");
        self.platform.settle(self.pair.app);
        let slave = self.member("slave");
        assert_eq!(slave.number, old.number, "it is there again");
        assert!(engine.remove(&engine.pod_of(&slave.container)));
        self.run(&["restart", &format!("db.{}", slave.number)]);
    }

    fn scaled(&self) {
        for wish in self.pair.scales {
            self.platform.scale(self.pair.app, &[wish]);
            self.wait_for_writes();
        }
    }

    fn holds_what_was_acknowledged(self) {
        let acknowledged = self.writer.stop();
        let lost = self.ledger.lost(&acknowledged);
        let receipts = self.platform.service(self.pair.app, "db")["receipts"].as_array().map_or(0, Vec::len);
        println!("{}: {lost} lost of {}, {receipts} failovers", self.pair.app, acknowledged.len());
        assert!(lost <= self.pair.most_lost * receipts, "{lost} of {} are lost", acknowledged.len());
        assert_eq!(self.pair.ledger(self.platform).address, self.ledger.address, "the address stays");
        assert_eq!(self.pair.ledger(self.platform).password, self.ledger.password, "so does the password");
    }

    fn wait_for_writes(&self) {
        let (before, writes) = (self.writer.acknowledged(), self.pair.writes);
        wait_for(&format!("{writes} writes are acknowledged"), self.pair.patience, || {
            (self.writer.acknowledged() >= before + writes).then_some(())
        });
    }

    fn is_replaced(&self, old: &Member) {
        wait_for("another master", PATIENCE, || {
            let members = self.platform.service(self.pair.app, "db")["group"]["members"].as_array()?.clone();
            let other = |one: &Value| one["role"] == "master" && one["instance_id"] != old.number;
            members.iter().any(other).then_some(())
        });
    }

    /// Where it was, and it takes no writes.
    fn came_back_as_a_slave(&self, old: &Member) {
        self.platform.settle(self.pair.app);
        let slave = self.member("slave");
        assert_eq!((slave.number, &slave.ip), (old.number, &old.ip), "it came back where it was");
        let said = self.pair.refusal(self.platform, &slave);
        assert!(said.to_lowercase().replace("readonly", "read-only").contains("read-only"), "{said:?}");
    }

    fn member(&self, role: &str) -> Member {
        self.platform.member(self.pair.app, "db", role)
    }

    fn run(&self, words: &[&str]) {
        self.platform.run(&[&["-A", self.pair.app], words].concat());
    }

    fn receipt(&self) -> Option<Value> {
        self.platform.service(self.pair.app, "db")["receipts"].as_array()?.last().cloned()
    }
}
