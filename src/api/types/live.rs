//! Changed files on their way into running instances.
//!
//! `POST A/live` takes a tar of what changed since the serving revision was pushed, paths
//! relative to the tree's root. A first entry named [`DELETED`] lists, separated by NUL, the
//! paths that are gone. The answer is a stream of [`LiveEvent`]s whose last is `served`,
//! `failed` or `build`. `GET A/live` is a stream that keeps the instances prepared, so that a
//! change costs no start of anything; it yields [`LiveReady`] whenever that changes.

use serde::{Deserialize, Serialize};

/// The entry of an upload that lists deleted paths.
pub const DELETED: &str = ".dotcloud/deleted";

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum LiveEvent {
    /// One instance serves the new code. `restarted` names programs of the service's own that were
    /// restarted although `how` restarts nothing.
    Instance {
        service: String,
        instance_id: u32,
        ms: f64,
        how: Reloaded,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        restarted: Vec<String>,
    },
    /// The change is served, and something is wrong with it: a page that cannot be parsed.
    Warning { service: String, instance_id: u32, output: String },
    /// The end: every instance of every service that the change concerns serves it.
    Served { instances: u32, ms: f64, failed_requests: u64 },
    /// The end: the new code did not start. Every instance runs what it ran before.
    Failed { service: String, instance_id: u32, output: String, failed_requests: u64 },
    /// The end: nothing was done, because a build depends on the change. Push it.
    Build { reason: String },
}

/// How an instance came to serve new code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reloaded {
    /// The files alone.
    Synced,
    /// A second server beside the first.
    Switched,
    /// Its programs, out of the routes meanwhile.
    Restarted,
}

/// Instances that take changes without delay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveReady {
    pub instances: u32,
    pub wanted: u32,
}
