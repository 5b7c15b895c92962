//! The TCP data path: accept -> master(port) -> copy, and the cutting of sessions.
//!
//! A session belongs to one (master, epoch). When a table no longer says so, the session is
//! reset before the table is acknowledged: after that no byte of it reaches the old master.
//! A session with one instance of a code service lasts as long as the route does, wherever that
//! leads by then: there is no other that its bytes could hurt.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant as WallInstant};

use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::model::TcpState;

use super::farewell;
use super::listen::{prepare, reset_on_close};
use super::pump::{self, Tally};
use super::resp;
use super::shard::{Count, Shards};
use super::table::LiveTable;
use super::worker::Worker;

/// Connections that wait at one gated port at most; more are closed.
const PARKED_MAX: usize = 1024;
/// Pause between attempts to connect to a master that does not accept yet.
const REDIAL: Duration = Duration::from_millis(20);

/// A front port over all tables that list it.
#[derive(Debug)]
pub(super) struct TcpFront {
    pub parked: AtomicUsize,
    pub counts: Shards<TcpCounts>,
    pub milestones: watch::Sender<TcpMilestones>,
}

#[derive(Debug, Default)]
pub(super) struct TcpCounts {
    pub opened: Count,
    pub closed: Count,
    /// Connections that never became a session.
    pub refused: Count,
    /// Sessions with a master that a new table ended.
    pub cut: Count,
    pub to_master: Count,
    pub to_client: Count,
}

/// When a front port came to serve its newest epoch; for a failover's receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpMilestones {
    pub epoch: u64,
    /// The first session to this epoch's master was connected.
    pub opened: Option<WallInstant>,
    /// Its first bytes were passed to the master, and an answer to them back.
    pub answered: Option<WallInstant>,
}

/// Where a session leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// `waits`: replies to writes are held back, as long as the table says so.
    Master {
        addr: SocketAddr,
        epoch: u64,
        waits: bool,
    },
    Instance {
        addr: SocketAddr,
    },
}

/// The running sessions of one thread.
#[derive(Default)]
pub(super) struct Sessions {
    last_id: Cell<u64>,
    running: RefCell<HashMap<u64, Session>>,
}

struct Session {
    front_port: u16,
    front: Arc<TcpFront>,
    goal: Goal,
    peer: SocketAddr,
    since: Timestamp,
    passed: Rc<Passed>,
    task: JoinHandle<()>,
}

/// One session's bytes so far.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub to_master: Cell<u64>,
    pub to_client: Cell<u64>,
}

/// An open session of a front port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpConnection {
    pub peer: SocketAddr,
    pub since: Timestamp,
    /// 0 for one with an instance of a code service.
    pub epoch: u64,
    pub bytes_to_master: u64,
    pub bytes_to_client: u64,
}

/// A connection that has found where it leads.
struct Opened {
    front_port: u16,
    front: Arc<TcpFront>,
    goal: Goal,
    peer: SocketAddr,
}

/// A session's two sockets. Dropped before the session ended well, they are reset.
struct Ends {
    client: TcpStream,
    master: TcpStream,
    ended_well: bool,
}

/// Takes a session off the books when its task ends, however it ends.
struct Entry {
    worker: Rc<Worker>,
    front: Arc<TcpFront>,
    id: u64,
    front_port: u16,
    goal: Goal,
    passed: Rc<Passed>,
}

/// A connection in the waiting room.
struct Parked(Arc<TcpFront>);

/// Serves one connection to a front port: finds it a master, then leaves it to a session.
pub(super) async fn serve(worker: Rc<Worker>, client: TcpStream, peer: SocketAddr, front_port: u16) {
    let Some((front, goal, master)) = find_master(&worker, &client, front_port).await else {
        return refuse(&worker, client, front_port).await;
    };
    // No await since the goal was compared with the table: the session is on the books
    // before the next table can be adopted.
    let ends = Ends { client, master, ended_well: false };
    worker.sessions.begin(&worker, &Opened { front_port, front, goal, peer }, ends);
}

async fn refuse(worker: &Worker, client: TcpStream, front_port: u16) {
    let refusal = worker.table().tcp(front_port).map(|live| {
        live.front.counts.of(worker.index).refused.add(1);
        Arc::clone(&live.route.refusal)
    });
    if let Some(refusal) = refusal {
        farewell::say(client, &refusal).await;
    }
}

/// A connection to the current master, or `None` when the client has to be turned away.
async fn find_master(worker: &Worker, client: &TcpStream, front_port: u16) -> Option<(Arc<TcpFront>, Goal, TcpStream)> {
    let deadline = Instant::now() + worker.shared.config.tcp_park;
    loop {
        let changed = worker.changed.notified();
        let table = worker.table();
        let live = table.tcp(front_port)?;
        let until = match &live.route.state {
            TcpState::Refused { why } => {
                tracing::info!(front_port, app = %live.route.app, service = %live.route.service, why, "connection refused");
                return None;
            }
            TcpState::Gated => deadline,
            open => {
                let goal = Goal::of(open)?;
                if let Some(stream) = dial(worker, goal.addr(), deadline).await
                    && is_goal(&worker.table(), front_port, goal)
                {
                    return Some((Arc::clone(&live.front), goal, stream));
                }
                deadline.min(Instant::now() + REDIAL)
            }
        };
        if Instant::now() >= deadline {
            return None;
        }
        let _parked = Parked::enter(&live.front)?;
        tokio::select! {
            () = changed => {}
            () = sleep_until(until) => {}
            () = hung_up(client) => return None,
        }
    }
}

async fn dial(worker: &Worker, master: SocketAddr, deadline: Instant) -> Option<TcpStream> {
    let limit = worker.shared.config.connect_timeout.min(deadline.duration_since(Instant::now()));
    // While a table changes, the wait for an address that is gone would be in vain.
    let stream = tokio::select! {
        dialled = timeout(limit, TcpStream::connect(master)) => dialled.ok()?.ok()?,
        () = worker.changed.notified() => return None,
    };
    prepare(&stream);
    Some(stream)
}

/// Returns when a waiting client closes. One that has sent something may have closed only
/// its own half, and keeps waiting.
async fn hung_up(client: &TcpStream) {
    let mut byte = [0_u8; 1];
    if let Ok(1) = client.peek(&mut byte).await {
        std::future::pending::<()>().await;
    }
}

/// Whether new sessions lead there.
fn is_goal(table: &LiveTable, front_port: u16, goal: Goal) -> bool {
    table.tcp(front_port).is_some_and(|live| Goal::of(&live.route.state) == Some(goal))
}

/// Whether a session may go on under this table.
fn is_allowed(table: &LiveTable, session: &Session) -> bool {
    match session.goal {
        Goal::Master { .. } => is_goal(table, session.front_port, session.goal),
        // The same front: a number that went to another service has a new one.
        Goal::Instance { .. } => {
            table.tcp(session.front_port).is_some_and(|live| Arc::ptr_eq(&live.front, &session.front))
        }
    }
}

// === impl Goal ===

impl Goal {
    fn of(state: &TcpState) -> Option<Self> {
        match state {
            // How many slaves a write waits for is no reason to cut a session.
            TcpState::Open { master, epoch, acks } => {
                Some(Self::Master { addr: *master, epoch: *epoch, waits: acks.is_some() })
            }
            TcpState::Instance(backend) => Some(Self::Instance { addr: backend.addr }),
            TcpState::Gated | TcpState::Refused { .. } => None,
        }
    }

    fn addr(self) -> SocketAddr {
        match self {
            Self::Master { addr, .. } | Self::Instance { addr } => addr,
        }
    }

    /// Instances have none.
    fn epoch(self) -> u64 {
        match self {
            Self::Master { epoch, .. } => epoch,
            Self::Instance { .. } => 0,
        }
    }
}

// === impl Sessions ===

impl Sessions {
    fn begin(&self, worker: &Rc<Worker>, opened: &Opened, ends: Ends) {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let (front_port, goal, peer, passed) = (opened.front_port, opened.goal, opened.peer, Rc::<Passed>::default());
        opened.front.opened(worker.index, goal.epoch());
        let front = || Arc::clone(&opened.front);
        let entry = Entry { worker: Rc::clone(worker), front: front(), id, front_port, goal, passed: passed.clone() };
        let task = tokio::task::spawn_local(run(entry, ends));
        let session = Session { front_port, front: front(), goal, peer, since: Timestamp::now(), passed, task };
        self.running.borrow_mut().insert(id, session);
    }

    /// This thread's open sessions of a front port.
    pub fn list(&self, front_port: u16) -> Vec<TcpConnection> {
        let running = self.running.borrow();
        running.values().filter(|session| session.front_port == front_port).map(TcpConnection::of).collect()
    }

    /// Ends the sessions that the table does not allow; they are gone when the returned
    /// tasks are.
    pub fn cut_forbidden(&self, thread: usize, table: &LiveTable) -> Vec<JoinHandle<()>> {
        let forbidden = |_: &u64, session: &mut Session| !is_allowed(table, session);
        let cut = |(_, session): (u64, Session)| {
            if matches!(session.goal, Goal::Master { .. }) {
                session.front.counts.of(thread).cut.add(1);
            }
            session.task.abort();
            session.task
        };
        self.running.borrow_mut().extract_if(forbidden).map(cut).collect()
    }
}

async fn run(entry: Entry, mut ends: Ends) {
    let tally = Tally::new(&entry.front, entry.worker.index, entry.goal.epoch(), &entry.passed);
    let (client, master) = (&mut ends.client, &mut ends.master);
    let joined = match entry.goal {
        Goal::Master { waits: true, .. } => resp::join(client, master, &tally, || entry.acks()).await,
        _ => pump::join(client, master, &tally).await,
    };
    match joined {
        Ok(()) => ends.ended_well = true,
        Err(error) => tracing::trace!(%error, "session broke"),
    }
}

// === impl TcpFront ===

impl TcpFront {
    pub fn new(threads: usize) -> Self {
        Self {
            parked: AtomicUsize::new(0),
            counts: Shards::new(threads),
            milestones: watch::Sender::new(TcpMilestones::default()),
        }
    }

    fn opened(&self, thread: usize, epoch: u64) {
        self.counts.of(thread).opened.add(1);
        self.milestones.send_if_modified(|reached| {
            let first = epoch > reached.epoch || reached.opened.is_none();
            if first {
                *reached = TcpMilestones { epoch, opened: Some(WallInstant::now()), answered: None };
            }
            first
        });
    }

    pub fn answered(&self, epoch: u64) {
        self.milestones.send_if_modified(|reached| {
            let first = epoch == reached.epoch && reached.answered.is_none();
            if first {
                reached.answered = Some(WallInstant::now());
            }
            first
        });
    }
}

impl TcpConnection {
    fn of(session: &Session) -> Self {
        Self {
            peer: session.peer,
            since: session.since,
            epoch: session.goal.epoch(),
            bytes_to_master: session.passed.to_master.get(),
            bytes_to_client: session.passed.to_client.get(),
        }
    }
}

impl Entry {
    /// How many slaves a write waits for at this moment; `None` when the table leads elsewhere.
    fn acks(&self) -> Option<u32> {
        match self.worker.table().tcp(self.front_port)?.route.state {
            TcpState::Open { acks, .. } => acks,
            _ => None,
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        if !self.ended_well {
            reset_on_close(&self.master);
            reset_on_close(&self.client);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.front.counts.of(self.worker.index).closed.add(1);
        self.worker.sessions.running.borrow_mut().remove(&self.id);
    }
}

// === impl Parked ===

impl Parked {
    fn enter(front: &Arc<TcpFront>) -> Option<Self> {
        let before = front.parked.fetch_add(1, Ordering::Relaxed);
        let parked = Self(Arc::clone(front));
        (before < PARKED_MAX).then_some(parked)
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.parked.fetch_sub(1, Ordering::Relaxed);
    }
}
