//! The daemon's own ports on loopback: chosen once per home, then kept, so that URLs stay.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::proxy::{Proxy, ProxyError};
use crate::store::Store;

use super::DaemonError;

/// Where applications are served, unless `DOTCLOUD_HTTP_PORT` or another home says otherwise.
const HTTP: u16 = 8080;
/// Where the REST interface asks for the key.
const API: u16 = 9080;
/// How many ports are tried.
const TRIES: u16 = 200;

/// Opens the HTTP front; returns its port.
pub async fn open(proxy: &Proxy, store: &Store) -> Result<u16, DaemonError> {
    let wanted = std::env::var("DOTCLOUD_HTTP_PORT").ok().and_then(|port| port.parse::<u16>().ok());
    let kept = store.setting("http-port").await?.and_then(|port| port.parse().ok());
    let (first, tries) = match wanted.or(kept) {
        Some(port) => (port, 1),
        None => (HTTP, TRIES),
    };
    for port in first..first.saturating_add(tries) {
        match proxy.listen_http(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), None, None).await {
            Ok(listening) => {
                store.set_setting("http-port", &listening.addr.port().to_string()).await?;
                return Ok(listening.addr.port());
            }
            Err(ProxyError::Bind { source, .. }) if source.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(if tries == 1 { DaemonError::PortInUse { port: first } } else { DaemonError::NoPort { first } })
}

/// Opens the REST interface's port; a kept one that is taken meanwhile is replaced.
pub async fn open_api(store: &Store) -> Result<TcpListener, DaemonError> {
    let kept: Option<u16> = store.setting("api-port").await?.and_then(|port| port.parse().ok());
    for port in kept.into_iter().chain(API..API + TRIES) {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            store.set_setting("api-port", &port.to_string()).await?;
            return Ok(listener);
        }
    }
    Err(DaemonError::NoPort { first: API })
}
