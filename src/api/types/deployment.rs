//! Deployments, revisions, logs and activity.

use serde::{Deserialize, Serialize};

use super::Failover;

/// `GET A/deployments`, and the answer to a `POST` there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    pub deploy_id: String,
    pub revision: String,
    #[serde(default)]
    pub created_at: String,
    /// `running`, `succeeded` or `failed`.
    #[serde(default)]
    pub state: String,
}

/// `POST A/deployments`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeployRequest {
    /// `None`: the last upload.
    #[serde(default)]
    pub revision: Option<String>,
    #[serde(default)]
    pub clean: bool,
    #[serde(default)]
    pub service: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revision {
    pub revision: String,
}

/// A line of a deployment's or an application's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// `%Y-%m-%dT%H:%M:%S.%fZ` with six digits: the original client reads no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u32>,
    /// The program of the instance that wrote it, where it is known: `uwsgi`, `nginx-access`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// `INFO` or `ERROR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    pub message: String,
    /// On a deployment's last line: `deploy_end` or `deploy_fail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// A line of `GET A/wait`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum WaitRecord {
    /// What it still waits for; sent whenever that changes.
    Waiting { holds: Vec<String> },
    /// Everything asked for runs and answers. The last line.
    Ready,
    /// It will not come. The last line.
    Failed { message: String },
}

/// `GET A/activity`. What depends on the action is beside these keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActivityRecord {
    pub created_at: String,
    pub category: String,
    pub action: String,
    #[serde(default)]
    pub application: String,
    #[serde(default)]
    pub user: Option<User>,
    /// Of a failover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Failover>,
    #[serde(flatten)]
    pub details: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    #[serde(rename = "self")]
    pub is_self: bool,
    pub username: String,
}
