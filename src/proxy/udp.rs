//! The UDP data path: receive -> session(client) -> instance(port), and the answers back.
//!
//! Every client has a socket of its own towards the instance, so that the instance can tell
//! clients apart and its answers find their way. Datagrams are passed as they are, empty ones
//! too. What cannot be passed on is dropped: that is what UDP promises.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::listen::Allow;
use super::shard::{Count, Shards};
use super::worker::Worker;

/// Clients of one listener at most; a new one then takes the place of the one that was silent
/// longest.
pub(super) const SESSIONS_MAX: usize = 1024;
/// No datagram is longer.
const LONGEST: usize = 65_535;
/// Wait after a failed receive: most often memory ran out.
const PAUSE: Duration = Duration::from_millis(50);

/// A front port over all tables that list it.
#[derive(Debug)]
pub(super) struct UdpFront {
    pub counts: Shards<UdpCounts>,
}

#[derive(Debug, Default)]
pub(super) struct UdpCounts {
    pub opened: Count,
    pub closed: Count,
    pub to_instance: Count,
    pub to_client: Count,
    /// Datagrams from clients that went nowhere.
    pub dropped: Count,
}

/// One client and the socket that stands for it at the instance.
struct Session {
    instance: SocketAddr,
    socket: Rc<UdpSocket>,
    front: Arc<UdpFront>,
    thread: usize,
    /// Of the last datagram in either direction.
    active: Rc<Cell<Instant>>,
    answers: AbortHandle,
}

/// Room for one answer; never held over an await.
type Scratch = Rc<RefCell<Vec<u8>>>;

/// What passes the answers back.
struct Answers {
    /// Where the client sends to, and expects answers from. Its port is free when the relay ends.
    listener: Weak<UdpSocket>,
    scratch: Scratch,
    client: SocketAddr,
    socket: Rc<UdpSocket>,
    front: Arc<UdpFront>,
    thread: usize,
    active: Rc<Cell<Instant>>,
}

/// Relays until the task is ended; its sessions end with it.
pub(super) async fn relay(worker: Rc<Worker>, listener: Rc<UdpSocket>, front_port: u16, allow: Option<Allow>) {
    let idle = worker.shared.config.udp_idle;
    let scratch = Rc::new(RefCell::new(vec![0; LONGEST]));
    let mut relay = Relay { worker, listener, front_port, sessions: HashMap::new(), scratch };
    let mut buffer = vec![0; LONGEST];
    let mut sweep = Instant::now() + idle;
    loop {
        let received = tokio::select! {
            received = relay.listener.recv_from(&mut buffer) => received,
            () = sleep_until(sweep) => {
                relay.sessions.retain(|_, session| session.active.get().elapsed() < idle);
                sweep = Instant::now() + idle / 2;
                continue;
            }
        };
        match received {
            Ok((length, client)) if allow.is_none_or(|allow| allow.permits(client.ip())) => {
                relay.pass(client, &buffer[..length]).await;
            }
            Ok((_, client)) => tracing::debug!(front_port, %client, "peer is not of this application"),
            Err(error) => {
                tracing::warn!(front_port, %error, "cannot receive a datagram");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

struct Relay {
    worker: Rc<Worker>,
    listener: Rc<UdpSocket>,
    front_port: u16,
    sessions: HashMap<SocketAddr, Session>,
    scratch: Scratch,
}

impl Relay {
    async fn pass(&mut self, client: SocketAddr, datagram: &[u8]) {
        let table = self.worker.table();
        let Some(live) = table.udp(self.front_port) else { return };
        let counts = live.front.counts.of(self.worker.index);
        let Some(instance) = live.route.instance.as_ref().map(|backend| backend.addr) else {
            return counts.dropped.add(1);
        };
        match self.send(client, instance, &live.front, datagram).await {
            Ok(()) => counts.to_instance.add(1),
            Err(error) => {
                tracing::trace!(front_port = self.front_port, %client, %error, "datagram dropped");
                counts.dropped.add(1);
            }
        }
    }

    async fn send(
        &mut self,
        client: SocketAddr,
        instance: SocketAddr,
        front: &Arc<UdpFront>,
        datagram: &[u8],
    ) -> io::Result<()> {
        let known = self.sessions.get(&client).filter(|session| session.instance == instance);
        let session = match known {
            Some(session) => session,
            None => self.begin(client, instance, front).await?,
        };
        session.active.set(Instant::now());
        match session.socket.send(datagram).await {
            // Said of an earlier datagram; saying it has cleared it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => session.socket.send(datagram).await,
            sent => sent,
        }
        .map(drop)
    }

    /// A session with the instance, in place of one with another.
    async fn begin(&mut self, client: SocketAddr, instance: SocketAddr, front: &Arc<UdpFront>) -> io::Result<&Session> {
        let any: SocketAddr = match instance {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(instance).await?;
        self.sessions.remove(&client);
        self.make_room();
        let session = Session::start(self, client, instance, socket, front);
        Ok(self.sessions.entry(client).insert_entry(session).into_mut())
    }

    fn make_room(&mut self) {
        if self.sessions.len() >= SESSIONS_MAX {
            let quietest = self.sessions.iter().min_by_key(|(_, session)| session.active.get());
            if let Some(client) = quietest.map(|(client, _)| *client) {
                self.sessions.remove(&client);
            }
        }
    }
}

// === impl Session ===

impl Session {
    fn start(
        relay: &Relay,
        client: SocketAddr,
        instance: SocketAddr,
        socket: UdpSocket,
        front: &Arc<UdpFront>,
    ) -> Self {
        let (socket, active) = (Rc::new(socket), Rc::new(Cell::new(Instant::now())));
        let thread = relay.worker.index;
        front.counts.of(thread).opened.add(1);
        let answers = Answers {
            listener: Rc::downgrade(&relay.listener),
            scratch: Rc::clone(&relay.scratch),
            client,
            socket: Rc::clone(&socket),
            front: Arc::clone(front),
            thread,
            active: Rc::clone(&active),
        };
        let answers = tokio::task::spawn_local(answers.pass()).abort_handle();
        Self { instance, socket, front: Arc::clone(front), thread, active, answers }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.answers.abort();
        self.front.counts.of(self.thread).closed.add(1);
    }
}

// === impl Answers ===

impl Answers {
    /// Runs until its session is dropped.
    async fn pass(self) {
        loop {
            let passed = match self.socket.readable().await {
                Ok(()) => self.pass_one(),
                Err(error) => Err(error),
            };
            match passed {
                Ok(()) => self.active.set(Instant::now()),
                // Nobody listens there now; somebody may, at the next datagram.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// An answer that the client's side has no room for is dropped.
    fn pass_one(&self) -> io::Result<()> {
        let mut buffer = self.scratch.borrow_mut();
        let length = self.socket.try_recv(&mut buffer)?;
        let Some(listener) = self.listener.upgrade() else { return Ok(()) };
        if listener.try_send_to(&buffer[..length], self.client).is_ok() {
            self.front.counts.of(self.thread).to_client.add(1);
        }
        Ok(())
    }
}

// === impl UdpFront ===

impl UdpFront {
    pub fn new(threads: usize) -> Self {
        Self { counts: Shards::new(threads) }
    }
}
