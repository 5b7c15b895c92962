//! How long a group waits for what; it knows nothing of why.

use std::time::Duration;

/// How patient a group is.
#[derive(Debug, Clone)]
pub struct Config {
    /// For messages: `db`.
    pub service: String,
    /// Between two pings of the master.
    pub ping_every: Duration,
    /// Unanswered requests in a row that make a hang.
    pub misses: u32,
    /// The same when the process is seen working.
    pub busy_misses: u32,
    /// How long a master that the platform itself works with may be silent…
    pub labour_limit: Duration,
    /// …unless so many requests in a row find it doing nothing…
    pub labour_idle: u32,
    /// …and for how long after that work.
    pub labour_rest: Duration,
    /// How long a hang lasts before the server is ended although nobody could take over;
    /// six times that for one that never answered. A paused one is left alone.
    pub lonely: Duration,
    /// A server that never answered may refuse connections for so long…
    pub boot_refused: Duration,
    /// …and accept them without answering for so long.
    pub boot_silent: Duration,
    /// Between two reports of a member in steady times; every change goes faster.
    pub ask_every: Duration,
    /// Between two reports while something is waited for.
    pub ask_soon: Duration,
    /// Between two reports while clients wait.
    pub ask_at_once: Duration,
    /// How long the replicas may read what the old master sent.
    pub drain_limit: Duration,
    /// How long a slave that was in step may take to say how far it is, where writes wait for a
    /// slave: it may be the only one that has the last of them.
    pub voice_limit: Duration,
    /// How long a switchover that was asked for waits for somebody who can take over.
    pub wish_limit: Duration,
    /// How long a planned switchover waits for the replica, with writes held back.
    pub handover_limit: Duration,
    /// How long the front's word is waited for. It is a courtesy to sessions: what keeps two
    /// masters apart is the fence.
    pub gate_limit: Duration,
    /// How long the others may take to follow a new master before the group counts as steady.
    pub repoint_limit: Duration,
    /// How long a planned restart may take before it counts as a failure.
    pub restart_limit: Duration,
    /// How long the first write after a failover is watched for.
    pub first_write_limit: Duration,
    /// Between two attempts at something that failed.
    pub retry: Duration,
    /// Whether writes are to wait for a slave, where the dialect can do that.
    pub synchronous: bool,
    /// How long the only slave may be without its link before writes no longer wait for it.
    pub guard_limit: Duration,
    /// [`crate::failover::dialect::Dialect::guards_at_front`].
    pub guards_at_front: bool,
    /// [`crate::failover::dialect::Dialect::copy_beyond`].
    pub copy_beyond: Option<u64>,
    /// [`crate::failover::dialect::Dialect::demotes_live`].
    pub demotes_live: bool,
}

// === impl Config ===

impl Config {
    /// The figures of notes and documentation.
    pub fn new(service: &str) -> Self {
        let ms = Duration::from_millis;
        Self {
            service: service.to_owned(),
            ping_every: ms(100),
            misses: 2,
            busy_misses: 10,
            labour_limit: ms(60_000),
            labour_idle: 5,
            labour_rest: ms(10_000),
            lonely: ms(10_000),
            boot_refused: ms(10_000),
            boot_silent: ms(2_000),
            ask_every: ms(1_000),
            ask_soon: ms(20),
            ask_at_once: ms(4),
            drain_limit: ms(250),
            voice_limit: ms(1_000),
            wish_limit: ms(3_000),
            handover_limit: ms(1_000),
            gate_limit: ms(500),
            repoint_limit: ms(2_000),
            restart_limit: ms(60_000),
            first_write_limit: ms(10_000),
            retry: ms(500),
            synchronous: true,
            guard_limit: ms(3_000),
            guards_at_front: false,
            copy_beyond: None,
            demotes_live: true,
        }
    }

    /// As a member is called everywhere: `db.0`.
    pub fn name(&self, index: u32) -> String {
        format!("{}.{index}", self.service)
    }
}
