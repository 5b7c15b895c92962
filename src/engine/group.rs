//! The contract between the engine and a group's driver: what the driver is told, what it
//! may do, what it publishes. The judgement is in `failover`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{AppName, Epoch, Memory, Receipt, ServiceName, Vouched};

use super::backup::Labour;
use super::runtime::Runtime;

/// A member's server as the reconciler sees it. Members that should exist or still have a
/// container are always listed, running or not: a member that is absent counts as dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedMember {
    pub index: u32,
    /// The server's container, if there is one; changes when it is recreated.
    pub container: Option<String>,
    /// The host's process id while it runs; a new one means it was started again.
    pub pid: Option<u32>,
    pub running: bool,
    pub paused: bool,
    /// Its container is to be removed as soon as it is not the master: the driver then hands
    /// the master's role over first.
    pub leaving: bool,
    /// The pod's address and the server's port: unchanged while the pod lives. `None` while there is
    /// none; a server whose pod ended may run all the same.
    pub addr: Option<SocketAddr>,
    /// The container's limit.
    pub memory: Option<Memory>,
}

/// What is run in two members to make one a copy of the other, for dialects that do not copy by
/// themselves. `{address}` stands for the other member's address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyCommands {
    /// In the one that becomes a copy.
    pub copy: Vec<String>,
    /// In the one that is copied.
    pub donate: Vec<String>,
    pub env: BTreeMap<String, String>,
}

/// The stable address of the group, as the driver commands it.
#[async_trait]
pub trait Front: Send + Sync + 'static {
    /// Returns when every proxy thread has reset its sessions and parks new ones.
    async fn gate(&self);
    /// `acks`: how many slaves the front itself has to see a write on before it passes the reply
    /// on; `None` where the server does that, or nobody.
    async fn open(&self, master: SocketAddr, epoch: u64, acks: Option<u32>);
    async fn refuse(&self, why: String);
    /// Where clients and other members find this one member, for groups that elect by themselves.
    fn member(&self, _index: u32) -> Option<SocketAddr> {
        None
    }
}

/// What must survive the daemon.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// `Err` when the store cannot be read: then nobody is promoted.
    async fn epoch(&self) -> Result<Option<Epoch>, LedgerError>;
    /// On disk (synced) when it returns.
    async fn commit(&self, epoch: Epoch) -> Result<(), LedgerError>;
    /// Under which epoch, and of which master, a slave is known to have what it acknowledges, if any.
    async fn vouched(&self) -> Result<Option<Vouched>, LedgerError>;
    /// Writes down that this is so, or no longer is; on disk (synced) when it returns.
    async fn vouch(&self, word: Option<Vouched>) -> Result<(), LedgerError>;
    /// Stores or, for the same epoch, replaces a receipt.
    async fn receipt(&self, receipt: Receipt);
}

#[derive(Debug, thiserror::Error)]
#[error("cannot use the store")]
pub struct LedgerError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What a driver needs.
#[derive(Clone)]
pub struct GroupContext {
    pub app: AppName,
    pub service: ServiceName,
    /// The dialect's name, as `service.toml` has it.
    pub replication: String,
    pub password: String,
    pub copying: CopyCommands,
    /// Whether a write is to be acknowledged only when a slave has it, where the dialect can.
    pub synchronous: bool,
    pub runtime: Arc<dyn Runtime>,
    pub front: Arc<dyn Front>,
    pub ledger: Arc<dyn Ledger>,
    /// What the platform itself does with the service meanwhile.
    pub labour: Labour,
}
