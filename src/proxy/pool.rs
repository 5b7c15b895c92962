//! One thread's connections to backends, kept for the next request.
//!
//! Belongs to one thread and is never shared; knows nothing of routes or retries.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::backend::LiveBackend;
use super::link::Link;
use super::upload::Upload;

/// Below the shortest keep-alive of the servers we meet (Node: 5 s), so that we close first.
const IDLE_LIMIT: Duration = Duration::from_millis(3500);
/// For requests that cannot be repeated; gunicorn closes after 2 s.
const IDLE_LIMIT_UNREPEATABLE: Duration = Duration::from_secs(1);
/// Idle connections kept per backend and thread.
const IDLE_MAX: usize = 256;

/// The pool of one proxy thread.
#[derive(Default)]
pub(super) struct Pool {
    lanes: RefCell<HashMap<u64, Lane>>,
    sweeping: Cell<bool>,
}

/// The connections to one backend.
#[derive(Default)]
struct Lane {
    idle: Vec<Conn>,
    /// Every connection's task, idle or not: dropped with the lane, ended by `abort`.
    tasks: JoinSet<()>,
    /// Its backend left the table: nothing is kept for later.
    closing: bool,
}

/// One connection to a backend, ready for one request.
pub(super) struct Conn {
    pub sender: SendRequest<Upload>,
    link: Link,
    /// Carried a request before: if it breaks, that says nothing about the backend.
    pub reused: bool,
    idle_since: Instant,
}

/// What a request asks of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Can be sent again.
    Any,
    /// Must not be sent twice: only a connection that is certain to be open.
    Certain,
    /// A pooled one has just failed, or the request becomes a session.
    Fresh,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{0}")]
    Failed(#[source] io::Error),
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// A table without this backend was published meanwhile.
    #[error("it has just been replaced")]
    Unlisted,
}

// === impl Pool ===

impl Pool {
    /// An idle connection that meets the need.
    pub fn take(&self, backend: &LiveBackend, need: Need) -> Option<Conn> {
        let mut lanes = self.lanes.borrow_mut();
        let idle = &mut lanes.get_mut(&backend.serial)?.idle;
        let now = Instant::now();
        let mut at = idle.len();
        while at > 0 && need != Need::Fresh {
            at -= 1;
            if idle[at].is_spent(now) {
                idle.swap_remove(at);
            } else if idle[at].meets(need, now) {
                let mut conn = idle.swap_remove(at);
                conn.reused = true;
                return Some(conn);
            }
        }
        None
    }

    /// A new connection. The wait ends early when the backend leaves the table.
    pub async fn connect(&self, backend: &LiveBackend, limit: Duration) -> Result<Conn, ConnectError> {
        let stream = tokio::select! {
            dialled = tokio::time::timeout(limit, TcpStream::connect(backend.spec.addr)) => {
                dialled.map_err(|_| ConnectError::TimedOut(limit))?.map_err(ConnectError::Failed)?
            }
            () = backend.unlisted.cancelled() => return Err(ConnectError::Unlisted),
        };
        stream.set_nodelay(true).map_err(ConnectError::Failed)?;
        let link = Link::new(stream);
        let shaken = http1::handshake(link.clone()).await;
        let (sender, driver) = shaken.map_err(|error| ConnectError::Failed(io::Error::other(error)))?;
        self.spawn(backend, async move {
            // The request that runs on it gets the error; without one nobody needs it.
            let _ = driver.with_upgrades().await;
        });
        Ok(Conn { sender, link, reused: false, idle_since: Instant::now() })
    }

    fn spawn(&self, backend: &LiveBackend, driver: impl Future<Output = ()> + 'static) {
        let mut lanes = self.lanes.borrow_mut();
        let lane = lanes.entry(backend.serial).or_default();
        lane.reap();
        lane.closing = !backend.is_listed();
        lane.tasks.spawn_local(driver);
    }

    /// Keeps a connection whose answer has been read, unless its backend is gone.
    pub fn put(self: &Rc<Self>, backend: &LiveBackend, mut conn: Conn) {
        let mut lanes = self.lanes.borrow_mut();
        let Some(lane) = lanes.get_mut(&backend.serial) else { return };
        if lane.closing || lane.idle.len() >= IDLE_MAX || conn.sender.is_closed() {
            return;
        }
        conn.idle_since = Instant::now();
        lane.idle.push(conn);
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
    }

    /// Drops the idle connections of a backend: one of them turned out to be closed.
    pub fn purge(&self, backend: &LiveBackend) {
        if let Some(lane) = self.lanes.borrow_mut().get_mut(&backend.serial) {
            lane.idle.clear();
        }
    }

    /// Forgets backends that are not listed; their running requests go on.
    pub fn retain(&self, listed: impl Iterator<Item = u64>) {
        let listed: HashSet<u64> = listed.collect();
        self.lanes.borrow_mut().retain(|serial, lane| listed.contains(serial) || lane.close());
    }

    /// Ends every connection of a backend, with what runs on it.
    pub fn abort(&self, serial: u64) {
        if let Some(lane) = self.lanes.borrow_mut().get_mut(&serial) {
            lane.tasks.abort_all();
            lane.idle.clear();
        }
    }

    /// Runs while anything is idle, so that an idle proxy has no timer.
    async fn sweep(self: Rc<Self>) {
        loop {
            tokio::time::sleep(IDLE_LIMIT / 2).await;
            let now = Instant::now();
            let mut lanes = self.lanes.borrow_mut();
            lanes.values_mut().for_each(|lane| lane.sweep(now));
            lanes.retain(|_, lane| !lane.closing || !lane.tasks.is_empty());
            if lanes.values().all(|lane| lane.idle.is_empty()) {
                self.sweeping.set(false);
                return;
            }
        }
    }
}

// === impl Lane ===

impl Lane {
    fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }

    fn sweep(&mut self, now: Instant) {
        self.reap();
        self.idle.retain(|conn| !conn.is_spent(now));
    }

    /// Returns whether anything still runs.
    fn close(&mut self) -> bool {
        self.closing = true;
        self.idle.clear();
        self.reap();
        !self.tasks.is_empty()
    }
}

// === impl Conn ===

impl Conn {
    fn is_spent(&self, now: Instant) -> bool {
        self.sender.is_closed() || now.duration_since(self.idle_since) > IDLE_LIMIT
    }

    fn meets(&self, need: Need, now: Instant) -> bool {
        match need {
            Need::Any => self.sender.is_ready(),
            Need::Certain => {
                let young = now.duration_since(self.idle_since) < IDLE_LIMIT_UNREPEATABLE;
                young && self.sender.is_ready() && self.link.is_quiet()
            }
            Need::Fresh => false,
        }
    }
}
