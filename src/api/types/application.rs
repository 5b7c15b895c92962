//! Applications, services and instances.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Disk;

/// `GET A`, and an element of `GET /applications`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Application {
    pub name: String,
    #[serde(default)]
    pub flavor: String,
    /// The original client refuses an application without it.
    #[serde(default)]
    pub billing: Billing,
    #[serde(default)]
    pub services: Vec<Service>,
    /// `up` or `down`.
    #[serde(default)]
    pub state: String,
    /// The revision that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What the platform waits for, one sentence each.
    #[serde(default)]
    pub holds: Vec<String>,
    /// Requests that were answered with an error of the 5xx class by the platform and not by an
    /// instance, since the daemon was started.
    #[serde(default)]
    pub failed_requests: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Billing {
    pub free: bool,
}

impl Default for Billing {
    fn default() -> Self {
        Self { free: true }
    }
}

/// `POST /applications`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flavor {
    pub name: String,
    #[serde(default = "live")]
    pub flavor: String,
}

fn live() -> String {
    "live".to_owned()
}

/// `GET S`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    #[serde(default)]
    pub service_type: String,
    #[serde(default)]
    pub instance_count: u32,
    /// Limit per instance, in bytes.
    #[serde(default)]
    pub reserved_memory: Option<u64>,
    /// Non-empty, non-default values only: the original client crashes on a map of falsy ones.
    #[serde(default)]
    pub runtime_config: BTreeMap<String, String>,
    /// Where it answers HTTP: `host[:port]`, to be read after `http://`.
    #[serde(default)]
    pub domains: Vec<Domain>,
    #[serde(default)]
    pub instances: Vec<Instance>,

    // --- ours
    /// Kept over pushes, with its data.
    #[serde(default)]
    pub stateful: bool,
    /// What its instances have in common with one another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_folders: Vec<SharedFolder>,
    /// Everything printable about where it answers, `127.0.0.1:port` included.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Where a data service answers, with login and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Bytes in use by all running instances; `None` when none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used: Option<u64>,
    #[serde(default = "yes")]
    pub in_build_file: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Failovers, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<Failover>,
    /// What passes the address of a data service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

/// The connections of a data service, counted. All but `open` and `parked` only grow, until the
/// daemon starts again.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Traffic {
    pub open: u64,
    pub opened: u64,
    /// Turned away: nobody was master in time.
    pub refused: u64,
    /// Waiting for a master now.
    pub parked: u64,
    /// Reset by the front because the master changed, or was about to. Those of a master that
    /// dies may end with it instead.
    pub cut: u64,
    /// Bytes from clients, and to them.
    pub received: u64,
    pub sent: u64,
}

/// `GET S/connections`: one that is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connection {
    /// The application's instance that connected (`www.0`), else an address and port.
    pub peer: String,
    /// RFC 3339, UTC.
    pub since: String,
    /// Of the master it leads to.
    pub epoch: u64,
    /// Bytes from the client, and to it.
    pub received: u64,
    pub sent: u64,
}

/// A folder on a volume of the application.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedFolder {
    pub name: String,
    /// In every instance.
    pub path: String,
    /// Docker's name of it.
    pub volume: String,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Domain {
    pub domain: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    pub instance_id: u32,
    #[serde(default)]
    pub container_name: String,
    #[serde(default)]
    pub datacenter: String,
    #[serde(default)]
    pub host: String,
    #[serde(default)]
    pub image_version: String,
    #[serde(default)]
    pub image_upgrade: Option<bool>,
    #[serde(default)]
    pub revision: Option<String>,
    #[serde(default)]
    pub hibernating: bool,
    #[serde(default)]
    pub ports: Vec<Port>,
    /// `starting`, `up`, `paused` or `down`.
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub container_id: String,
    /// RFC 3339.
    #[serde(default)]
    pub booted: Option<String>,

    // --- ours
    /// Bytes.
    #[serde(default)]
    pub memory_limit: Option<u64>,
    /// Bytes; `None` when it does not run.
    #[serde(default)]
    pub memory_used: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    #[serde(default)]
    pub ip: Option<String>,
    /// The process id that the host sees.
    #[serde(default)]
    pub pid: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Port {
    pub name: String,
    pub url: String,
}

/// `GET I/status`; with `restart` as status, `PUT I/status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// `up`, `down` or `hibernating`.
    pub status: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, String>,
}

/// A replicated data service, with one member per instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// `steady`, `electing`, `stalled`, …
    pub phase: String,
    /// A master is open and nothing is being changed.
    pub settled: bool,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub epoch: Option<EpochNumber>,
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct EpochNumber {
    /// Grows by one with every promotion.
    pub number: u64,
    /// The master's instance number.
    pub master: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    pub instance_id: u32,
    /// `master`, `slave` or `unknown`.
    pub role: String,
    /// `down`, `detached`, `synchronizing` or `synchronized`.
    pub state: String,
    /// While it synchronizes, 0 to 100, when the server tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    #[serde(default)]
    pub replication_lag_seconds: Option<f64>,
    /// In the server's own unit.
    #[serde(default)]
    pub position: Option<u64>,
    #[serde(default)]
    pub server_version: Option<String>,
    /// Bytes, by the server's own account.
    #[serde(default)]
    pub used_memory: Option<u64>,
}

/// The receipt of one failover. Milliseconds since it was detected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failover {
    pub service: String,
    /// RFC 3339, UTC.
    pub detected_at: String,
    pub cause: String,
    pub old_master: u32,
    pub new_master: u32,
    pub epoch: u64,
    pub fenced_ms: f64,
    pub promoted_ms: f64,
    pub opened_ms: f64,
    #[serde(default)]
    pub first_write_ms: Option<f64>,
    #[serde(default)]
    pub resynchronised_ms: Option<f64>,
    /// The old master's position when it was last heard; these four are absent when the same
    /// member is master again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_position: Option<u64>,
    /// How long before the detection that was: what it acknowledged since is known to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_heard_ms: Option<f64>,
    /// The position from which the new master went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_position: Option<u64>,
    /// What the old master was seen to have and the new one had not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_bytes: Option<u64>,
    /// Why the new master is the one it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What a ledger counted that ran over this failover; absent when none did.
    #[serde(flatten)]
    pub writes: Option<CountedWrites>,
}

/// Writes that were acknowledged over connections made since the change of master before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedWrites {
    pub acknowledged: u64,
    /// Of these, how many were not there when the ledger was read.
    pub lost: u64,
}

/// `PATCH S`: dotCloud's way to scale one thing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ServicePatch {
    #[serde(default)]
    pub instance_count: Option<u32>,
    /// Bytes.
    #[serde(default)]
    pub reserved_memory: Option<u64>,
}

/// `PATCH A/scale`: all wishes or none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScaleRequest {
    pub wishes: Vec<Wish>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// What became of the wishes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scaled {
    /// What was rounded, ignored or warned of.
    pub notes: Vec<String>,
    /// Services whose number of instances stays what it was; a note says why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}

/// `POST A/kill` and `POST A/pause`: whom to hit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Strike {
    /// `www`, `www.2`, `db.master`, `db.slave`.
    #[serde(default)]
    pub role: String,
    /// Of several candidates, the one with this number modulo their count.
    #[serde(default)]
    pub draw: u32,
    /// A pause ends by itself after so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_ms: Option<u64>,
    /// For a stroke of a series: what determines it, and which one of it this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stroke: Option<u64>,
}

/// The answer: who was meant, and who it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Struck {
    pub role: String,
    pub instance: String,
}

/// `POST A/unpause`: whom (`None`: everybody), and the answer: who it was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Unpause {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unpaused {
    pub instances: Vec<String>,
}

/// `POST S/switchover`: the member that is to be master; `None` leaves the choice to the group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Switchover {
    #[serde(default)]
    pub to: Option<u32>,
}

/// Its answer: the master now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Master {
    pub instance_id: u32,
}

/// `GET A/resolve?role=`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resolved {
    pub service: String,
    pub instance_id: u32,
}
