//! What the engine needs of the proxy. The trait belongs here, to its consumer; the daemon
//! wires the proxy to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::{AppName, RouteTable};

/// A listener that the front has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listener(pub u64);

/// What a listener serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Service {
    /// Routed by host name; requests for unknown hosts go to `default_host`, when given.
    Http { default_host: Option<String> },
    /// The TCP route of this front port.
    Tcp { front_port: u16 },
    /// The UDP route of this front port.
    Udp { front_port: u16 },
}

/// Who may connect; others are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peers {
    /// For listeners on loopback.
    All,
    /// The containers of one application's network.
    Subnet { base: Ipv4Addr, prefix: u8 },
}

/// A TCP front port's counts. All but `open` and `parked` only grow while the route exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpUse {
    pub open: u64,
    pub opened: u64,
    /// Turned away: nobody was master in time.
    pub refused: u64,
    /// Waiting for a master now.
    pub parked: u64,
    /// Reset because the master changed, or was about to.
    pub cut: u64,
    /// Bytes from clients, and to them.
    pub received: u64,
    pub sent: u64,
}

/// An open session of a TCP front port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpSession {
    pub peer: SocketAddr,
    pub since: Timestamp,
    /// The master's.
    pub epoch: u64,
    /// Bytes from the client, and to it.
    pub received: u64,
    pub sent: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}")]
pub struct ListenError {
    pub addr: SocketAddr,
    #[source]
    pub source: std::io::Error,
}

#[async_trait]
pub trait Traffic: Send + Sync + 'static {
    /// Replaces the table; the returned generation is what [`Traffic::applied`] waits for.
    fn publish(&self, table: RouteTable) -> u64;
    /// Returns when every thread works by a table at least this new, and sessions it forbids
    /// are reset.
    async fn applied(&self, generation: u64);
    /// Waits until no request is in flight on a backend (container id); returns what is left
    /// after `limit`.
    async fn drained(&self, backend: &str, limit: Duration) -> u64;
    /// Ends what runs on a backend (container id) that is known to be dead. Publish a table
    /// without it first.
    fn abort(&self, backend: &str);
    /// How many requests to an application's services the proxy itself has answered with an
    /// error of the 5xx class, ever.
    fn refusals(&self, app: &AppName) -> u64;
    /// What passes a TCP front port; `None` when no route has it.
    fn tcp(&self, front_port: u16) -> Option<TcpUse>;
    /// The open sessions of a TCP front port, oldest first.
    async fn tcp_sessions(&self, front_port: u16) -> Vec<TcpSession>;
    async fn listen(&self, addr: SocketAddr, service: Service, peers: Peers) -> Result<Listener, ListenError>;
    async fn unlisten(&self, listener: Listener);
}
