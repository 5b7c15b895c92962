//! Ledgers: numbered writes that are made through a service's stable address and looked for at
//! the end, so that what failovers lost is counted.
//!
//! `POST A/services/SVC/ledger` with a [`LedgerRequest`] answers a stream of [`LedgerEvent`]s
//! whose last is `report` or `failed`. A ledger ends when its time is over, when the stream is
//! closed, or with `DELETE A/services/SVC/ledger`, after which the report still comes.

use serde::{Deserialize, Serialize};

use super::CountedWrites;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerRequest {
    #[serde(default = "half_a_minute")]
    pub lasts_ms: u64,
    /// Clients that write at the same time, one entry after the other each; 64 at most.
    #[serde(default = "one")]
    pub writers: u16,
}

fn half_a_minute() -> u64 {
    30_000
}

fn one() -> u16 {
    1
}

/// What a ledger tells while it is kept. Milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum LedgerEvent {
    /// Every second: acknowledgements so far, and since the last such event.
    Progress { acknowledged: u64, per_second: u64 },
    /// A connection was cut or cannot be made; nothing is acknowledged over new ones yet.
    Interrupted { why: String },
    /// Writes are acknowledged again.
    Resumed(LedgerOutage),
    /// All entries are being looked for.
    Reading,
    /// The end.
    Report(LedgerReport),
    /// The end, without a count.
    Failed { why: String },
}

/// A time without acknowledgements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerOutage {
    /// The last acknowledgement before it, since the ledger's beginning.
    pub began_ms: f64,
    /// To the first one over a connection made afterwards; `None` when none came.
    pub lasted_ms: Option<f64>,
    /// The failover that it was, by its epoch; `None` when the master stayed.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// The new master's number.
    #[serde(default)]
    pub master: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerReport {
    pub lasted_ms: f64,
    /// Entries that were sent: the sum of the next three.
    pub written: u64,
    pub acknowledged: u64,
    /// Answered with an error.
    pub refused: u64,
    /// Neither acknowledged nor lost: nobody was promised anything.
    pub unanswered: u64,
    /// Found at the end; unanswered ones that took effect are among them.
    pub present: u64,
    /// Acknowledged and not found.
    pub lost: u64,
    /// The first of the lost ones: `17`, `300-305`.
    #[serde(default)]
    pub lost_numbers: Vec<String>,
    /// It ended early because it had no numbers left.
    #[serde(default)]
    pub full: bool,
    /// The first thousand.
    pub outages: Vec<LedgerOutage>,
    pub outages_in_all: u64,
    /// The failovers it lived through; the same counts are in their receipts.
    pub failovers: Vec<LedgerFailover>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerFailover {
    pub epoch: u64,
    #[serde(flatten)]
    pub writes: CountedWrites,
}
