//! The table: which services are hit, and what is expected of them.

use crate::support::choice::chosen;
use crate::support::ledger::Database;

/// One service with a master and a slave.
pub struct Row {
    /// The service type.
    pub kind: &'static str,
    /// `config: {replication: …}`.
    pub replication: &'static str,
    pub targets: Targets,
    /// The most acknowledged writes that one failover may lose; `None`: any number.
    pub may_lose: Option<usize>,
}

/// Highest accepted median and p95 in milliseconds. A service without them is measured alone.
#[derive(Clone, Copy, Default)]
pub struct Targets {
    pub kill: Option<(f64, f64)>,
    pub hang: Option<(f64, f64)>,
    pub switchover: Option<f64>,
}

const REDIS: Targets = Targets { kill: Some((75.0, 250.0)), hang: Some((350.0, 600.0)), switchover: Some(30.0) };
const MYSQL: Targets = Targets { kill: Some((125.0, 300.0)), hang: Some((400.0, 600.0)), switchover: Some(75.0) };
const POSTGRESQL: Targets = Targets { kill: Some((200.0, 350.0)), hang: Some((500.0, 700.0)), switchover: None };
/// The measurements by hand had none for MySQL as dotCloud ran it.
const NONE: Targets = Targets { kill: None, hang: None, switchover: None };

/// The highest accepted single value in milliseconds, whatever is done.
pub const LIMIT: f64 = 2000.0;

const ROWS: [Row; 5] = [
    Row { kind: "redis", replication: "async", targets: REDIS, may_lose: Some(3) },
    Row { kind: "redis", replication: "sync", targets: REDIS, may_lose: Some(0) },
    Row { kind: "mysql", replication: "semisync", targets: MYSQL, may_lose: Some(0) },
    Row { kind: "mysql", replication: "async", targets: NONE, may_lose: None },
    Row { kind: "postgresql", replication: "sync", targets: POSTGRESQL, may_lose: Some(0) },
];

impl Row {
    /// The rows whose name holds one of the words given after the mode, all without any:
    /// `cargo bench --bench failover -- lost mysql`.
    pub fn wanted(words: &[String]) -> Vec<&'static Self> {
        chosen(&ROWS, words, Self::name)
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.kind, self.replication)
    }

    pub fn app(&self) -> String {
        format!("{}-{}", self.kind, self.replication)
    }

    pub fn build_file(&self) -> String {
        let Self { kind, replication, .. } = self;
        format!("db:\n  type: {kind}\n  instances: 2\n  config:\n    replication: {replication}\n")
    }

    pub fn database(&self) -> Option<Database> {
        Database::of(self.kind)
    }
}
