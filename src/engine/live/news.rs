//! What is told of a change while it goes live.

use crate::model::InstanceName;

/// What became of one change; the last three are final.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// One instance serves the new code.
    Instance {
        instance: InstanceName,
        ms: f64,
        how: How,
        /// Programs of the service's own, restarted beside what its type does.
        restarted: Vec<String>,
    },
    /// The change is served, and something is wrong with it.
    Warning {
        instance: InstanceName,
        output: String,
    },
    Served {
        instances: u32,
        ms: f64,
        failed_requests: u64,
    },
    /// The new code did not start; everything runs as before.
    Failed {
        instance: InstanceName,
        output: String,
        failed_requests: u64,
    },
    /// Nothing was done: a build depends on the change.
    Build {
        reason: String,
    },
}

/// How an instance came to serve new code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Synced,
    Switched,
    Restarted,
}

/// Instances that take a change without delay, of those that should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ready {
    pub instances: u32,
    pub wanted: u32,
}
