//! Dumps of data services and snapshots of applications, as they travel.

use serde::{Deserialize, Serialize};

/// What is told beside the bytes of a dump, one JSON document in each `Stderr` frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum DumpNews {
    /// The first one: who is read or written, and what such a dump's name ends with.
    Begun {
        member: String,
        extension: String,
        /// What is in it and what is not, in words; empty where it is simply everything.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        holds: String,
    },
    /// The dump was found good; the first contents are replaced.
    Replacing,
}

/// `POST A/snapshots`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SnapshotRequest {
    pub name: String,
}

/// A snapshot of all data of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub application: String,
    pub name: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Of the code that served then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    pub bytes: u64,
    pub parts: Vec<SnapshotPart>,
    /// The folder that holds it.
    pub path: String,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPart {
    /// `service`, `shared` (a shared folder) or `data` (an instance's `~/data`).
    pub kind: String,
    /// The service, the shared folder or the instance.
    pub name: String,
    /// Services: the type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Services: the member that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
}

/// Saving and restoring, as it goes. The stream ends with `saved`, `restored` or `failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum SnapshotNews {
    /// A part is done.
    Part {
        kind: String,
        name: String,
        bytes: u64,
        /// As in [`DumpNews::Begun`].
        #[serde(default, skip_serializing_if = "String::is_empty")]
        holds: String,
    },
    /// An instance was stopped for a moment, because its `~/data` was replaced.
    Restarted {
        instance: String,
    },
    Saved {
        snapshot: Box<Snapshot>,
    },
    Restored {
        parts: usize,
    },
    Failed {
        reason: String,
    },
}
