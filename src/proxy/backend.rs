//! One instance as the proxy lives with it: what runs on it, whether it is set aside.
//!
//! A backend that leaves the table and comes back is a new one, with a clean record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::model::Backend;

use super::service::LiveService;
use super::shard::{Count, Shards};

/// How long websocket sessions may go on after their backend left the table. Their clients
/// do not know that they should leave, so a longer time would only delay the draining.
pub const WEBSOCKET_GRACE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct LiveBackend {
    /// Unique for the proxy's life; the key of the threads' pools.
    pub serial: u64,
    pub spec: Backend,
    pub service: Arc<LiveService>,
    /// Cancelled when a table without this backend is published.
    pub unlisted: CancellationToken,
    /// Cancelled when everything that runs on it shall end at once.
    pub aborted: CancellationToken,
    pub counts: Shards<BackendCounts>,
    pub health: Health,
    running: Running,
}

#[derive(Debug, Default)]
pub(super) struct BackendCounts {
    pub requests: Count,
    pub failures: Count,
}

/// What passive health and the probe know; see [`super::health`].
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Left out of the rotation.
    pub aside: AtomicBool,
    /// A probe task runs.
    pub probed: AtomicBool,
    /// Grows with every 5xx and failure, so that the probe sees quiet times.
    pub troubles: AtomicU64,
}

#[derive(Debug, Default)]
struct Running {
    requests: AtomicU64,
    websockets: AtomicU64,
    /// Wakes `drained` when one of the two reaches zero.
    ended: Notify,
}

/// A request that may touch the backend, from the choice until its answer's last byte.
pub(super) struct RequestGuard(Arc<LiveBackend>);

/// A session that was upgraded, until it ends.
pub(super) struct WebsocketGuard(Arc<LiveBackend>);

// === impl LiveBackend ===

impl LiveBackend {
    pub fn new(serial: u64, spec: Backend, service: Arc<LiveService>, threads: usize) -> Self {
        Self {
            serial,
            spec,
            service,
            unlisted: CancellationToken::new(),
            aborted: CancellationToken::new(),
            counts: Shards::new(threads),
            health: Health::default(),
            running: Running::default(),
        }
    }

    pub fn is_aside(&self) -> bool {
        self.health.aside.load(Ordering::Relaxed)
    }

    pub fn is_listed(&self) -> bool {
        !self.unlisted.is_cancelled()
    }

    pub fn requests(&self) -> u64 {
        self.running.requests.load(Ordering::Acquire)
    }

    pub fn websockets(&self) -> u64 {
        self.running.websockets.load(Ordering::Acquire)
    }

    /// Counts a request in. Called without an await after the choice, so that a thread that
    /// acknowledged a newer table has no uncounted request for this backend.
    pub fn enter(self: &Arc<Self>) -> RequestGuard {
        self.running.requests.fetch_add(1, Ordering::AcqRel);
        RequestGuard(Arc::clone(self))
    }

    /// Returns when neither requests nor websockets run on it.
    pub async fn emptied(&self) {
        loop {
            let ended = self.running.ended.notified();
            if self.requests() == 0 && self.websockets() == 0 {
                return;
            }
            ended.await;
        }
    }
}

// === impl RequestGuard ===

impl RequestGuard {
    pub fn backend(&self) -> &Arc<LiveBackend> {
        &self.0
    }

    /// The request became a session; counted as such before it stops being a request.
    pub fn upgrade(self) -> WebsocketGuard {
        self.0.running.websockets.fetch_add(1, Ordering::AcqRel);
        WebsocketGuard(Arc::clone(&self.0))
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if self.0.running.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.running.ended.notify_waiters();
        }
    }
}

// === impl WebsocketGuard ===

impl WebsocketGuard {
    /// Returns when the session has to end: its backend is gone and the grace is over.
    pub async fn overdue(&self) {
        let graceful = async {
            self.0.unlisted.cancelled().await;
            tokio::time::sleep(WEBSOCKET_GRACE).await;
        };
        tokio::select! {
            () = graceful => {}
            () = self.0.aborted.cancelled() => {}
        }
    }
}

impl Drop for WebsocketGuard {
    fn drop(&mut self) {
        if self.0.running.websockets.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.running.ended.notify_waiters();
        }
    }
}
