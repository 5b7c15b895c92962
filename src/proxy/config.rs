//! The proxy's settings.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Proxy threads; 0 means one per core.
    pub threads: usize,
    /// How long an instance may be silent before its answer begins: 504 after that. Time in
    /// which a piece of the request's body went by does not count.
    pub request_timeout: Duration,
    /// How long an HTTP client may take until the head of its next request is complete, from
    /// connecting or from its last answer on: its connection is closed after that. A request that
    /// is being answered and a WebSocket may take any time.
    pub client_idle: Duration,
    /// How long a connection to an instance or a master may take.
    pub connect_timeout: Duration,
    /// How long a request waits for an instance where there is none, before the 503.
    pub http_park: Duration,
    /// How long it waits where an instance is said to be back in a moment, and how many
    /// requests of one service may wait so.
    pub awaited_park: Duration,
    pub awaited_most: usize,
    /// How long a new TCP connection waits while its route is gated.
    pub tcp_park: Duration,
    /// How long a UDP session lasts after its last datagram.
    pub udp_idle: Duration,
    /// Bytes of a request body; more is refused with 413.
    pub body_limit: u64,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            threads: 0,
            request_timeout: Duration::from_secs(60),
            client_idle: Duration::from_secs(75),
            connect_timeout: Duration::from_secs(2),
            http_park: Duration::ZERO,
            awaited_park: Duration::from_secs(10),
            awaited_most: 1000,
            tcp_park: Duration::from_secs(10),
            udp_idle: Duration::from_secs(60),
            body_limit: 100 * 1024 * 1024,
        }
    }
}

impl ProxyConfig {
    pub(super) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}
