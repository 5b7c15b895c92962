//! The data path: every HTTP request and TCP connection to an application goes through here.
//!
//! ```text
//! HTTP:  accept -> route(host) -> pick -> forward     http.rs, service.rs, forward.rs
//! TCP:   accept -> master(port) -> copy               tcp.rs, pump.rs
//!                              -> hold replies back   resp.rs, where writes wait for slaves
//! UDP:   receive -> session(client) -> instance(port) udp.rs
//! ```
//!
//! The engine publishes immutable [`RouteTable`]s and reads back what all threads have
//! acknowledged. This room must not know why a table is as it is: no Docker, no desired
//! state, no roles. It runs on threads of its own, one runtime each, so that nothing the
//! daemon does delays a request.
//!
//! Invariants:
//! - A request that may have reached an instance is sent again only if it is safe (GET, HEAD,
//!   OPTIONS, TRACE) and has no body.
//! - After `applied(g)` no new request goes to a backend that table `g` does not list, and no
//!   byte of a TCP session that it forbids goes anywhere.

mod attempts;
mod backend;
mod config;
mod error;
mod farewell;
mod forward;
mod head;
mod health;
mod http;
mod link;
mod listen;
mod outbound;
mod page;
mod pool;
mod pump;
mod reply;
mod report;
mod resp;
mod service;
mod shard;
mod table;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod upload;
mod websocket;
mod worker;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::model::{AppName, RouteTable};

pub use backend::WEBSOCKET_GRACE;
pub use config::ProxyConfig;
pub use error::ProxyError;
pub use health::{BackendFailure, FailureKind};
pub use listen::{Allow, ListenerId, Listening};
pub use report::{BackendReport, HttpReport, ProxyReport, TcpReport, UdpReport};
pub use tcp::{TcpConnection, TcpMilestones};

use backend::LiveBackend;
use listen::{Duty, Post};
use table::{LiveTable, Registry};
use worker::{Order, Shared, Wires};

/// Failures a slow receiver may lag behind.
const FAILURES_KEPT: usize = 256;

/// A running proxy. Clones are handles on the same one; its threads end with `shutdown`, or
/// when the last handle is dropped.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    registry: Mutex<Registry>,
    tables: watch::Sender<Arc<LiveTable>>,
    threads: Vec<Thread>,
    last_listener: AtomicU64,
    joins: Mutex<Vec<JoinHandle<()>>>,
}

/// One proxy thread, seen from outside.
struct Thread {
    orders: mpsc::UnboundedSender<Order>,
    applied: watch::Receiver<u64>,
}

impl Proxy {
    /// Starts the threads, with an empty table and no listener.
    ///
    /// # Errors
    /// A thread or its runtime cannot be made: the process is out of threads or descriptors.
    pub fn start(config: ProxyConfig) -> Result<Self, ProxyError> {
        let count = config.thread_count();
        let shared = Arc::new(Shared { config, failures: broadcast::Sender::new(FAILURES_KEPT) });
        let tables = watch::Sender::default();
        let mut threads = Vec::with_capacity(count);
        let mut joins = Vec::with_capacity(count);
        for index in 0..count {
            let (thread, join) = start_thread(index, &shared, tables.subscribe())?;
            threads.push(thread);
            joins.push(join);
        }
        let inner = Inner {
            shared,
            registry: Mutex::new(Registry::new(count)),
            tables,
            threads,
            last_listener: AtomicU64::new(0),
            joins: Mutex::new(joins),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    // --- tables

    /// Makes the threads work by this table; [`Self::applied`] tells when they do. Returns
    /// its generation: the table's own, raised where that would not grow.
    pub fn publish(&self, table: RouteTable) -> u64 {
        let mut registry = self.registry();
        let change = registry.replace(table);
        // The table is out before its absentees are told: who is told looks for it.
        self.inner.tables.send_replace(Arc::clone(&change.table));
        change.gone.iter().for_each(|backend| backend.unlisted.cancel());
        change.table.generation
    }

    /// Returns when all threads work by a table at least this new: no request is sent to a
    /// backend it does not list, and the TCP sessions it forbids are reset on both sides.
    pub async fn applied(&self, generation: u64) {
        for thread in &self.inner.threads {
            // An error means that the thread has ended, which applies any table.
            let _ = thread.applied.clone().wait_for(|applied| *applied >= generation).await;
        }
    }

    // --- draining

    /// Requests that still run on a backend (container id), whichever table sent them there.
    pub fn in_flight(&self, backend: &str) -> u64 {
        self.registry().backends_of(backend).map(|backend| backend.requests()).sum()
    }

    /// Upgraded sessions that still run on a backend (container id).
    pub fn websockets(&self, backend: &str) -> u64 {
        self.registry().backends_of(backend).map(|backend| backend.websockets()).sum()
    }

    /// Waits until nothing runs on a backend (container id) any more, at most `limit`;
    /// returns how many requests are left. Call it after [`Self::applied`] of a table
    /// without the backend. Its websocket sessions are ended [`WEBSOCKET_GRACE`] after it
    /// left the table, so they delay the draining by no more than that.
    pub async fn drained(&self, backend: &str, limit: Duration) -> u64 {
        let emptied = async {
            for live in self.backends_of(backend) {
                live.emptied().await;
            }
        };
        // How it ended shows in the count.
        let _ = tokio::time::timeout(limit, emptied).await;
        self.in_flight(backend)
    }

    /// Ends everything that runs on a backend (container id) at once: it is known to be dead,
    /// and its connections need not find out by themselves. Safe requests are repeated on
    /// other instances, the rest gets a 502. Publish a table without it first.
    pub fn abort(&self, backend: &str) {
        for live in self.backends_of(backend) {
            live.aborted.cancel();
            for thread in &self.inner.threads {
                // A thread that has ended runs nothing.
                let _ = thread.orders.send(Order::Abort { serial: live.serial });
            }
        }
    }

    // --- what it sees

    /// Errors of the 5xx class that were our own answers to requests for an application.
    pub fn refusals(&self, app: &AppName) -> u64 {
        self.report().http.iter().filter(|service| service.app == *app).map(|service| service.refusals).sum()
    }

    pub fn report(&self) -> ProxyReport {
        let applied = self.inner.threads.iter().map(|thread| *thread.applied.borrow());
        report::compile(&self.registry(), applied.min().unwrap_or_default())
    }

    /// Broken attempts at instances, as they happen.
    pub fn failures(&self) -> broadcast::Receiver<BackendFailure> {
        self.inner.shared.failures.subscribe()
    }

    /// When a front port served its newest epoch first; `None` when no table lists the port.
    pub fn milestones(&self, front_port: u16) -> Option<watch::Receiver<TcpMilestones>> {
        let registry = self.registry();
        registry.current().tcp(front_port).map(|live| live.front.milestones.subscribe())
    }

    /// The open sessions of a front port, oldest first, as each thread tells of its own.
    pub async fn connections(&self, front_port: u16) -> Vec<TcpConnection> {
        let mut all = Vec::new();
        for thread in &self.inner.threads {
            let (done, answer) = oneshot::channel();
            if thread.orders.send(Order::List { front_port, done }).is_ok() {
                all.extend(answer.await.unwrap_or_default());
            }
        }
        all.sort_by_key(|connection| connection.since);
        all
    }

    /// One front port's counts; `None` when no table lists it.
    pub fn tcp_report(&self, front_port: u16) -> Option<TcpReport> {
        let registry = self.registry();
        registry.current().tcp(front_port).map(|live| report::of_front(front_port, live))
    }

    // --- listeners

    /// Listens for HTTP. `allow` limits the peers; requests for hosts that no table lists go
    /// to `default_host` (a key of [`RouteTable::http`]), where one is given.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn listen_http(
        &self,
        addr: SocketAddr,
        allow: Option<Allow>,
        default_host: Option<&str>,
    ) -> Result<Listening, ProxyError> {
        self.listen(addr, allow, Duty::Http { default_host: default_host.map(Arc::from) }).await
    }

    /// Listens for the TCP route of `front_port` (a key of [`RouteTable::tcp`]).
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn listen_tcp(
        &self,
        addr: SocketAddr,
        front_port: u16,
        allow: Option<Allow>,
    ) -> Result<Listening, ProxyError> {
        self.listen(addr, allow, Duty::Tcp { front_port }).await
    }

    /// Relays datagrams for the UDP route of `front_port` (a key of [`RouteTable::udp`]). All of
    /// them are one thread's work.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn listen_udp(
        &self,
        addr: SocketAddr,
        front_port: u16,
        allow: Option<Allow>,
    ) -> Result<Listening, ProxyError> {
        let share = |source| ProxyError::Share { addr, source };
        let socket = listen::bind_udp(addr)?;
        let listening = self.listening(socket.local_addr().map_err(share)?);
        let thread = &self.inner.threads[usize::from(front_port) % self.inner.threads.len()];
        let (done, answer) = oneshot::channel();
        let order = Order::Relay { id: listening.id, socket, front_port, allow, done };
        thread.orders.send(order).map_err(|_| ProxyError::Stopped)?;
        answer.await.map_err(|_| ProxyError::Stopped)?.map_err(share)?;
        Ok(listening)
    }

    fn listening(&self, addr: SocketAddr) -> Listening {
        Listening { id: ListenerId(self.inner.last_listener.fetch_add(1, Ordering::Relaxed)), addr }
    }

    async fn listen(&self, addr: SocketAddr, allow: Option<Allow>, duty: Duty) -> Result<Listening, ProxyError> {
        let share = |source| ProxyError::Share { addr, source };
        let listener = listen::bind(addr)?;
        let post = Post { addr: listener.local_addr().map_err(share)?, duty, allow };
        let listening = self.listening(post.addr);
        for thread in &self.inner.threads {
            if let Err(error) = thread.share(listening, &listener, &post).await {
                self.unlisten(listening.id).await;
                return Err(error);
            }
        }
        Ok(listening)
    }

    /// Stops listening; the port is free when this returns. Connections that were accepted
    /// go on. An unknown id is no error.
    pub async fn unlisten(&self, id: ListenerId) {
        for thread in &self.inner.threads {
            let (done, answer) = oneshot::channel();
            if thread.orders.send(Order::Unlisten { id, done }).is_ok() {
                let _ = answer.await;
            }
        }
    }

    /// Ends all threads, with every listener and connection. Returns when they have ended.
    pub async fn shutdown(&self) {
        for thread in &self.inner.threads {
            let _ = thread.orders.send(Order::Stop);
        }
        let joins = std::mem::take(&mut *self.inner.joins.lock().unwrap_or_else(PoisonError::into_inner));
        // Joining blocks; a thread that panicked has ended too.
        let _ = tokio::task::spawn_blocking(|| joins.into_iter().for_each(|join| drop(join.join()))).await;
    }

    fn backends_of(&self, container: &str) -> Vec<Arc<LiveBackend>> {
        self.registry().backends_of(container).collect()
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Thread {
    /// Has this thread accept from the listener too.
    async fn share(
        &self,
        listening: Listening,
        listener: &std::net::TcpListener,
        post: &Post,
    ) -> Result<(), ProxyError> {
        let fail = |source| ProxyError::Share { addr: listening.addr, source };
        let (done, answer) = oneshot::channel();
        let listener = listener.try_clone().map_err(fail)?;
        let order = Order::Listen { id: listening.id, listener, post: post.clone(), done };
        self.orders.send(order).map_err(|_| ProxyError::Stopped)?;
        answer.await.map_err(|_| ProxyError::Stopped)?.map_err(fail)
    }
}

/// The thread makes its runtime itself (it cannot move) and says whether that worked.
fn start_thread(
    index: usize,
    shared: &Arc<Shared>,
    tables: watch::Receiver<Arc<LiveTable>>,
) -> Result<(Thread, JoinHandle<()>), ProxyError> {
    let fail = |source| ProxyError::StartThread { index, source };
    let (orders, heard) = mpsc::unbounded_channel();
    let (applied, acknowledged) = watch::channel(0);
    let (made, answer) = std::sync::mpsc::channel();
    let wires = Wires { tables, orders: heard, applied };
    let shared = Arc::clone(shared);
    let body = move || match worker::runtime() {
        Ok(runtime) => {
            let _ = made.send(Ok(()));
            worker::run(&runtime, index, shared, wires);
        }
        Err(error) => drop(made.send(Err(error))),
    };
    let join = std::thread::Builder::new().name(format!("proxy-{index}")).spawn(body).map_err(fail)?;
    match answer.recv() {
        Ok(Ok(())) => Ok((Thread { orders, applied: acknowledged }, join)),
        Ok(Err(error)) => Err(fail(error)),
        Err(_) => Err(fail(std::io::Error::other("the thread ended while it started"))),
    }
}
