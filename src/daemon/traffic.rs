//! The proxy as the engine knows it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::traffic::{ListenError, Listener, Peers, Service, TcpSession, TcpUse, Traffic};
use crate::model::{AppName, RouteTable};
use crate::proxy::{Allow, ListenerId, Proxy, ProxyError, TcpConnection};

pub struct ProxyTraffic {
    proxy: Proxy,
}

impl ProxyTraffic {
    pub fn new(proxy: Proxy) -> Self {
        Self { proxy }
    }
}

#[async_trait]
impl Traffic for ProxyTraffic {
    fn publish(&self, table: RouteTable) -> u64 {
        self.proxy.publish(table)
    }

    async fn applied(&self, generation: u64) {
        self.proxy.applied(generation).await;
    }

    async fn drained(&self, backend: &str, limit: Duration) -> u64 {
        self.proxy.drained(backend, limit).await
    }

    fn abort(&self, backend: &str) {
        self.proxy.abort(backend);
    }

    fn refusals(&self, app: &AppName) -> u64 {
        self.proxy.refusals(app)
    }

    fn tcp(&self, front_port: u16) -> Option<TcpUse> {
        let report = self.proxy.tcp_report(front_port)?;
        Some(TcpUse {
            open: report.sessions,
            opened: report.connections,
            refused: report.refused,
            parked: report.parked,
            cut: report.cut,
            received: report.bytes_to_master,
            sent: report.bytes_to_client,
        })
    }

    async fn tcp_sessions(&self, front_port: u16) -> Vec<TcpSession> {
        self.proxy.connections(front_port).await.into_iter().map(session).collect()
    }

    async fn listen(&self, addr: SocketAddr, service: Service, peers: Peers) -> Result<Listener, ListenError> {
        let allow = match peers {
            Peers::All => None,
            Peers::Subnet { base, prefix } => Some(Allow { network: IpAddr::V4(base), prefix }),
        };
        let listening = match service {
            Service::Http { default_host } => self.proxy.listen_http(addr, allow, default_host.as_deref()).await,
            Service::Tcp { front_port } => self.proxy.listen_tcp(addr, front_port, allow).await,
            Service::Udp { front_port } => self.proxy.listen_udp(addr, front_port, allow).await,
        };
        let listening = listening.map_err(|error| ListenError { addr, source: cause(error) })?;
        Ok(Listener(listening.id.0))
    }

    async fn unlisten(&self, listener: Listener) {
        self.proxy.unlisten(ListenerId(listener.0)).await;
    }
}

fn session(of: TcpConnection) -> TcpSession {
    let TcpConnection { peer, since, epoch, bytes_to_master: received, bytes_to_client: sent } = of;
    TcpSession { peer, since, epoch, received, sent }
}

fn cause(error: ProxyError) -> std::io::Error {
    match error {
        ProxyError::Bind { source, .. } | ProxyError::Share { source, .. } => source,
        error => std::io::Error::other(error),
    }
}
