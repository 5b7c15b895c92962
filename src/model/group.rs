//! Replicated groups as the rest of the house sees them: epochs, roles, sync states, receipts.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Who is master, durably. Committed to the store *before* a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Grows by one with every change of master, and when a master that died is promoted again.
    /// It stays when a restarted daemon or a planned restart promotes the recorded master again.
    pub number: u64,
    /// The master's instance number.
    pub master: u32,
}

/// The disk's word that, under this epoch, a slave has what the master acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vouched {
    /// The epoch's number.
    pub epoch: u64,
    /// The master's address: whom that slave follows, be it there or not. `None` in a word that an
    /// older version wrote.
    pub upstream: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Master,
    Slave,
    /// Not yet known or not running.
    Unknown,
}

/// How far a member is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncState {
    /// The container is not running or does not answer.
    Down,
    /// Running, without an upstream.
    Detached,
    Synchronizing {
        /// 0–100; `None` when the server does not tell.
        percent: Option<u8>,
    },
    Synchronized,
}

/// One member of a group, for `info db`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberStatus {
    pub index: u32,
    pub role: Role,
    pub sync: SyncState,
    /// Seconds behind the master; `None` for the master and when unknown.
    pub lag_seconds: Option<f64>,
    /// Replication position in the server's own unit (bytes for Redis).
    pub position: Option<u64>,
    pub server_version: Option<String>,
    /// Memory the server says it uses, in bytes.
    pub used_memory: Option<u64>,
}

/// What a group's driver publishes after every step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// The phase's name: `gathering`, `steady`, `suspect`, `gating`, …, `stalled` (docs/failover.md).
    pub phase: String,
    /// True when a master is open and nothing is being changed.
    pub settled: bool,
    /// Why the group is not settled, or what is wrong with a member although it is; one sentence.
    pub reason: Option<String>,
    pub epoch: Option<Epoch>,
    pub members: Vec<MemberStatus>,
    /// Members that count in elections of their own and are not to be removed yet.
    #[serde(default)]
    pub bound: BTreeSet<u32>,
}

/// What one failover did. All times are milliseconds since the failure was detected,
/// except `detected_at`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub service: String,
    /// RFC 3339, UTC, microseconds.
    pub detected_at: String,
    /// `container died`, `no answer for 200 ms`, …
    pub cause: String,
    pub old_master: u32,
    pub new_master: u32,
    pub epoch: u64,
    pub fenced_ms: f64,
    pub promoted_ms: f64,
    /// When the front let sessions through again.
    pub opened_ms: f64,
    /// When the new master had accepted its first write: seen in its own counters, which are
    /// polled every 5 ms. `None` when nobody wrote within 10 s.
    pub first_write_ms: Option<f64>,
    /// When the old master was a synchronised slave again.
    pub resynchronised_ms: Option<f64>,
    /// What was handed on; `None` when the same member is master again, from its own disk, or
    /// the old one was never heard.
    #[serde(default)]
    pub continuity: Option<Continuity>,
    /// Why this member became master, one sentence; `None` in receipts of before it was kept.
    #[serde(default)]
    pub because: Option<String>,
    /// What a ledger counted that ran over this failover; `None` when none did.
    #[serde(default)]
    pub writes: Option<CountedWrites>,
}

/// The writes of a ledger that a failover could have lost: those that were acknowledged over
/// connections made since the change of master before it. The front cuts every connection before
/// it lets a new master be, so that each acknowledgement belongs to exactly one reign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CountedWrites {
    pub acknowledged: u64,
    /// Of these, how many were not there when the ledger was read at its end.
    pub lost: u64,
}

/// How a new master's data joins the old one's. Positions are in the server's own unit (bytes
/// of the replication stream for Redis).
///
/// Replication is asynchronous: what the old master acknowledged after it was last heard, and
/// did not send any more, is seen by nobody. So this bounds what is known, not what was lost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Continuity {
    /// The old master's position when it was last heard.
    pub old_position: u64,
    /// How long before the detection that was, in milliseconds.
    pub old_heard_ms: f64,
    /// The position from which the new master went on.
    pub new_position: u64,
}

impl Continuity {
    /// What the old master was seen to have and the new one had not. An election never permits
    /// more than 0.
    pub fn lost(&self) -> u64 {
        self.old_position.saturating_sub(self.new_position)
    }
}

impl fmt::Display for SyncState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("down"),
            Self::Detached => f.write_str("detached"),
            Self::Synchronizing { percent: Some(percent) } => write!(f, "synchronizing {percent}%"),
            Self::Synchronizing { percent: None } => f.write_str("synchronizing"),
            Self::Synchronized => f.write_str("synchronized"),
        }
    }
}
