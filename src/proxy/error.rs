//! What can fail when the proxy is started or told to listen. Failures of single requests
//! are pages ([`super::page`]) and events ([`super::BackendFailure`]), not errors.

use std::io;
use std::net::SocketAddr;

/// A failed attempt of the proxy itself.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("cannot start proxy thread {index}")]
    StartThread {
        index: usize,
        #[source]
        source: io::Error,
    },
    /// Most often the port is in use, or the address is not (yet) one of this machine.
    #[error("cannot listen on {addr}")]
    Bind {
        addr: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot share the listener on {addr} between the proxy's threads")]
    Share {
        addr: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the proxy has been shut down")]
    Stopped,
}
