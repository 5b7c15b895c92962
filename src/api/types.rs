//! What travels over the wire, in dotCloud's shapes (rest-api.md) and ours beside them.
//!
//! Plain data: no room's types, so that a change inside cannot change the wire by accident.
//! Unknown keys are ignored when reading and optional ones are left out when absent, so that
//! a CLI and a daemon of neighbouring versions understand each other.

mod application;
mod backup;
mod deployment;
mod disk;
mod frame;
mod ledger;
mod live;
mod machine;
mod mail;

use serde::{Deserialize, Serialize};

pub use application::{
    Application, Billing, Connection, CountedWrites, Domain, EpochNumber, Failover, Flavor, Group, Instance,
    InstanceStatus, Master, Member, Port, Resolved, ScaleRequest, Scaled, Service, ServicePatch, SharedFolder, Strike,
    Struck, Switchover, Traffic, Unpause, Unpaused, Wish,
};
pub use backup::{DumpNews, Snapshot, SnapshotNews, SnapshotPart, SnapshotRequest};
pub use deployment::{ActivityRecord, DeployRequest, Deployment, LogRecord, Revision, User, WaitRecord};
pub use disk::Disk;
pub use frame::{ExecRequest, Frame, FrameCodec, FrameError, PROTOCOL, Size};
pub use ledger::{LedgerEvent, LedgerFailover, LedgerOutage, LedgerReport, LedgerRequest};
pub use live::{DELETED, LiveEvent, LiveReady, Reloaded};
pub use machine::{Account, Finding, Level, Settings, Version};
pub use mail::{Attachment, Cleared, Mail, MailHeader, Relay, RelayPermission, ShownMail};

/// One thing: `{"object": …}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Object<T> {
    pub object: T,
}

/// Many things: `{"objects": […]}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Objects<T> {
    pub objects: Vec<T>,
}

/// `{"error": …}`. The original client reads `description` alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    pub error: ErrorDetail,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// The status in words: `Not Found`.
    pub title: String,
    pub code: u16,
    /// What was attempted and why it did not go, causes included.
    pub description: String,
    /// What programs may decide on. Absent from answers of other servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ErrorKind>,
}

/// Failures that a client treats differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    NotFound,
    Conflict,
    Invalid,
    /// The Docker engine does not answer.
    Unreachable,
    Unauthorized,
    /// Not part of this version.
    Absent,
    #[serde(other)]
    Failed,
}
