//! The services that are struck.

use crate::support::choice::chosen;
use crate::support::ledger::Database;

pub struct Row {
    /// Also the application's name.
    pub name: &'static str,
    /// The service type.
    kind: &'static str,
    /// `config: {replication: …}`.
    replication: &'static str,
    pub members: u32,
    /// Where one acknowledged write that is gone breaks a promise.
    pub keeps_all: bool,
}

const ROWS: [Row; 6] = [
    Row { name: "redis-async", kind: "redis", replication: "async", members: 2, keeps_all: false },
    Row { name: "redis-sync", kind: "redis", replication: "sync", members: 2, keeps_all: true },
    Row { name: "mysql-two", kind: "mysql", replication: "semisync", members: 2, keeps_all: true },
    Row { name: "mysql-three", kind: "mysql", replication: "semisync", members: 3, keeps_all: true },
    Row { name: "postgresql-two", kind: "postgresql", replication: "sync", members: 2, keeps_all: true },
    Row { name: "postgresql-three", kind: "postgresql", replication: "sync", members: 3, keeps_all: true },
];

impl Row {
    /// The rows whose name holds one of the words, all without any.
    pub fn wanted(words: &[String]) -> Vec<&'static Self> {
        chosen(&ROWS, words, |row| row.name.to_owned())
    }

    pub fn build_file(&self) -> String {
        let Self { kind, replication, members, .. } = self;
        format!("db:\n  type: {kind}\n  instances: {members}\n  config:\n    replication: {replication}\n")
    }

    pub fn database(&self) -> Database {
        Database::of(self.kind).unwrap_or_else(|| panic!("there is a client for {}", self.kind))
    }

    /// How the server's own process is called.
    pub fn process(&self) -> &'static str {
        match self.database() {
            Database::Redis => "redis-server",
            Database::MySql => "mariadbd",
            Database::PostgreSql => "postgres",
        }
    }
}
