//! What the engine tells the proxy: an immutable table of where traffic goes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{AppName, InstanceName, Refusal, ServiceName};

/// Everything the proxy needs to route. Replaced whole, never changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteTable {
    /// Grows by one with every publication.
    pub generation: u64,
    /// Lower-case host name without port -> service.
    pub http: HashMap<String, Arc<HttpRoute>>,
    /// Front port -> data service or TCP port.
    pub tcp: HashMap<u16, Arc<TcpRoute>>,
    /// Front port -> UDP port of one instance.
    pub udp: HashMap<u16, Arc<UdpRoute>>,
}

/// One web service and the instances that may serve it.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpRoute {
    pub app: AppName,
    pub service: ServiceName,
    /// Instances of the serving version that answered their readiness probe. May be empty: 503.
    pub backends: Vec<Backend>,
    /// An instance is back in a moment: where there is no other, requests wait (bounded).
    pub awaited: bool,
}

/// One instance of a web service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Backend {
    /// The container's id: two versions of `www.0` are different backends.
    pub id: Arc<str>,
    pub instance: InstanceName,
    pub addr: SocketAddr,
}

/// The stable address of a data service, or of one instance's TCP port.
#[derive(Debug, Clone, PartialEq)]
pub struct TcpRoute {
    pub app: AppName,
    pub service: ServiceName,
    pub state: TcpState,
    /// What a client that has to be turned away reads before the connection is closed.
    pub refusal: Arc<Refusal>,
}

/// Where new connections of a TCP route go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TcpState {
    /// To this member. A session opened under an older epoch, or to another address, is reset.
    Open {
        master: SocketAddr,
        epoch: u64,
        /// Redis' protocol only: the front holds the reply to a write back until so many slaves
        /// have the write; 0 for as long as there is nobody to wait for. `None`: the front only
        /// copies bytes. The number changes without an effect on sessions.
        acks: Option<u32>,
    },
    /// To this one instance of a code service, which no other stands in for. Its sessions are
    /// left alone whatever comes after it, until they end or the route goes.
    Instance(Backend),
    /// Sessions are reset; new connections wait (bounded) until the state changes.
    Gated,
    /// New connections are told so and closed; the reason is for the log and `info`.
    Refused { why: String },
}

/// The stable address of one instance's UDP port.
#[derive(Debug, Clone, PartialEq)]
pub struct UdpRoute {
    pub app: AppName,
    pub service: ServiceName,
    /// Where datagrams go; `None` drops them.
    pub instance: Option<Backend>,
}
