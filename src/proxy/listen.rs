//! Listening sockets: bound once, accepted from by every thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use super::error::ProxyError;
use super::head::ClientSide;
use super::http::{self, Visit};
use super::tcp;
use super::worker::Worker;

const BACKLOG: i32 = 1024;
/// Wait after a failed accept: most often descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A peer that vanished without a word is noticed after about this time.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Identifies a listener of one proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u64);

/// A listener that accepts connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    pub id: ListenerId,
    /// The actual address: port 0 has become a free port.
    pub addr: SocketAddr,
}

/// Peers that may connect: those of one subnet. Others are reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allow {
    pub network: IpAddr,
    /// Bits of the network's part.
    pub prefix: u8,
}

/// What a listener does with its connections.
#[derive(Debug, Clone)]
pub(super) enum Duty {
    Http { default_host: Option<Arc<str>> },
    Tcp { front_port: u16 },
}

/// A listener as it is given to every thread.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub addr: SocketAddr,
    pub duty: Duty,
    pub allow: Option<Allow>,
}

// === impl Allow ===

impl Allow {
    pub fn permits(&self, peer: IpAddr) -> bool {
        match (self.network, peer.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(peer)) => {
                u32::from(self.prefix) == 0
                    || (network.to_bits() ^ peer.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(peer)) => {
                (network.to_bits() ^ peer.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

/// Binds and listens; the socket does not block.
pub(super) fn bind(addr: SocketAddr) -> Result<std::net::TcpListener, ProxyError> {
    let bound = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket)
    };
    bound().map(Into::into).map_err(|source| ProxyError::Bind { addr, source })
}

/// Binds for datagrams; the socket does not block.
pub(super) fn bind_udp(addr: SocketAddr) -> Result<std::net::UdpSocket, ProxyError> {
    let bound = || -> io::Result<std::net::UdpSocket> {
        let socket = std::net::UdpSocket::bind(addr)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    bound().map_err(|source| ProxyError::Bind { addr, source })
}

/// Accepts until the task is ended.
pub(super) async fn accept(worker: Rc<Worker>, listener: TcpListener, post: Post) {
    let default_host: Option<Rc<str>> = match &post.duty {
        Duty::Http { default_host } => default_host.as_deref().map(Rc::from),
        Duty::Tcp { .. } => None,
    };
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(addr = %post.addr, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if !post.allow.is_none_or(|allow| allow.permits(peer.ip())) {
            tracing::debug!(addr = %post.addr, %peer, "peer is not of this application");
            reset_on_close(&stream);
            continue;
        }
        prepare(&stream);
        let worker = Rc::clone(&worker);
        match post.duty {
            Duty::Http { .. } => {
                let client = ClientSide { peer, scheme: "http", port: post.addr.port() };
                let visit = Visit { client, default_host: default_host.clone() };
                tokio::task::spawn_local(http::serve(worker, visit, stream));
            }
            Duty::Tcp { front_port } => {
                tokio::task::spawn_local(tcp::serve(worker, stream, peer, front_port));
            }
        }
    }
}

/// What every socket of ours gets. It is only tuning: a socket that refuses works without.
pub(super) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
}

/// Closing will discard what is unsent and reset the connection, at once.
pub(super) fn reset_on_close(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_peers_of_the_subnet_are_permitted() {
        let allow = Allow { network: "172.30.1.0".parse().unwrap(), prefix: 24 };
        assert!(allow.permits("172.30.1.200".parse().unwrap()));
        assert!(allow.permits("::ffff:172.30.1.7".parse().unwrap()));
        assert!(!allow.permits("172.30.2.1".parse().unwrap()));
        assert!(!allow.permits("::1".parse().unwrap()));
        let any = Allow { network: "0.0.0.0".parse().unwrap(), prefix: 0 };
        assert!(any.permits("9.9.9.9".parse().unwrap()));
    }
}
