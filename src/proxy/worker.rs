//! One proxy thread: its runtime, its table, its pool, its sessions.
//!
//! Nothing of a worker is shared with another; they meet in atomic counters only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::config::ProxyConfig;
use super::health::BackendFailure;
use super::listen::{self, Allow, ListenerId, Post};
use super::pool::Pool;
use super::table::LiveTable;
use super::tcp::{Sessions, TcpConnection};
use super::udp;

/// What all threads may read.
pub(super) struct Shared {
    pub config: ProxyConfig,
    pub failures: broadcast::Sender<BackendFailure>,
}

/// Said to one thread. `done` is answered, or dropped when the thread ends.
pub(super) enum Order {
    Listen {
        id: ListenerId,
        listener: std::net::TcpListener,
        post: Post,
        done: oneshot::Sender<std::io::Result<()>>,
    },
    /// Relay datagrams; said to one thread alone, because a client's session is on one thread.
    Relay {
        id: ListenerId,
        socket: std::net::UdpSocket,
        front_port: u16,
        allow: Option<Allow>,
        done: oneshot::Sender<std::io::Result<()>>,
    },
    Unlisten {
        id: ListenerId,
        done: oneshot::Sender<()>,
    },
    /// List the open sessions of a front port.
    List {
        front_port: u16,
        done: oneshot::Sender<Vec<TcpConnection>>,
    },
    /// End everything that runs on this backend (serial).
    Abort {
        serial: u64,
    },
    Stop,
}

/// A thread's ears and mouth.
pub(super) struct Wires {
    pub tables: watch::Receiver<Arc<LiveTable>>,
    pub orders: mpsc::UnboundedReceiver<Order>,
    /// The generation this thread works by.
    pub applied: watch::Sender<u64>,
}

/// A table as one thread holds it. The inner count is shared between threads, and every
/// request would contend for it; the outer one is the thread's own.
pub(super) type LocalTable = Rc<Arc<LiveTable>>;

/// The state of one thread.
pub(super) struct Worker {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub pool: Rc<Pool>,
    pub sessions: Sessions,
    /// Woken for every new table, after it is in place.
    pub changed: Notify,
    table: RefCell<LocalTable>,
    tables: watch::Receiver<Arc<LiveTable>>,
    listeners: RefCell<HashMap<ListenerId, JoinHandle<()>>>,
}

/// A thread's runtime: everything on it stays on it.
pub(super) fn runtime() -> std::io::Result<LocalRuntime> {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
}

/// Works until it is told to stop, or nobody is left to tell.
pub(super) fn run(runtime: &LocalRuntime, index: usize, shared: Arc<Shared>, wires: Wires) {
    let worker = Rc::new(Worker::new(index, shared, wires.tables.clone()));
    runtime.block_on(worker.work(wires));
}

impl Worker {
    fn new(index: usize, shared: Arc<Shared>, tables: watch::Receiver<Arc<LiveTable>>) -> Self {
        Self {
            index,
            shared,
            pool: Rc::default(),
            sessions: Sessions::default(),
            changed: Notify::new(),
            table: RefCell::default(),
            tables,
            listeners: RefCell::default(),
        }
    }

    /// The table this thread works by. What is chosen from it must be entered (counted in)
    /// before the next await.
    pub fn table(&self) -> LocalTable {
        Rc::clone(&self.table.borrow())
    }

    /// Returns when this thread works by the newest published table.
    pub async fn caught_up(&self) {
        loop {
            let changed = self.changed.notified();
            if self.table().generation >= self.tables.borrow().generation {
                return;
            }
            changed.await;
        }
    }

    async fn work(self: &Rc<Self>, mut wires: Wires) {
        loop {
            tokio::select! {
                changed = wires.tables.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let table = Arc::clone(&wires.tables.borrow_and_update());
                    let generation = table.generation;
                    self.adopt(table).await;
                    wires.applied.send_replace(generation);
                }
                order = wires.orders.recv() => match order {
                    Some(Order::Stop) | None => return,
                    Some(order) => self.obey(order).await,
                }
            }
        }
    }

    /// Works by a new table. When this returns, no forbidden TCP session holds a socket any
    /// more and every later choice is made from the new table.
    async fn adopt(&self, table: Arc<LiveTable>) {
        let cut = self.sessions.cut_forbidden(self.index, &table);
        self.pool.retain(table.routes().flat_map(|route| &route.backends).map(|backend| backend.serial));
        self.table.replace(Rc::new(table));
        self.changed.notify_waiters();
        for session in cut {
            // Ended by us: the error says just that.
            let _ = session.await;
        }
    }

    async fn obey(self: &Rc<Self>, order: Order) {
        match order {
            Order::Listen { id, listener, post, done } => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(self.listen(id, listener, post));
            }
            Order::Relay { id, socket, front_port, allow, done } => {
                let _ = done.send(self.relay(id, socket, front_port, allow));
            }
            Order::Unlisten { id, done } => {
                self.unlisten(id).await;
                let _ = done.send(());
            }
            Order::List { front_port, done } => drop(done.send(self.sessions.list(front_port))),
            Order::Abort { serial } => self.pool.abort(serial),
            Order::Stop => {}
        }
    }

    fn listen(self: &Rc<Self>, id: ListenerId, listener: std::net::TcpListener, post: Post) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let task = tokio::task::spawn_local(listen::accept(Rc::clone(self), listener, post));
        self.listeners.borrow_mut().insert(id, task);
        Ok(())
    }

    fn relay(
        self: &Rc<Self>,
        id: ListenerId,
        socket: std::net::UdpSocket,
        front_port: u16,
        allow: Option<Allow>,
    ) -> std::io::Result<()> {
        let socket = Rc::new(tokio::net::UdpSocket::from_std(socket)?);
        let task = tokio::task::spawn_local(udp::relay(Rc::clone(self), socket, front_port, allow));
        self.listeners.borrow_mut().insert(id, task);
        Ok(())
    }

    /// Returns when the thread's share of the socket is closed.
    async fn unlisten(&self, id: ListenerId) {
        let task = self.listeners.borrow_mut().remove(&id);
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }
}
