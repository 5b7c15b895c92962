//! Which process is which: turns looks of the reconciler into seats of the machine, and holds
//! one connection and one watch for every process.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::engine::group::ObservedMember;
use crate::failover::dialect::Dialect;
use crate::failover::{Event, Seat, Server};

use super::Tuning;
use super::held::Door;
use super::link::{Link, Request};
use super::process::{self, Seen};

/// Where nobody listens: a server whose pod is gone is reached by nobody, and lives all the same.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) struct Registry {
    dialect: &'static dyn Dialect,
    password: String,
    tuning: Tuning,
    events: mpsc::UnboundedSender<Event>,
    last_incarnation: u64,
    /// The latest process of each member.
    known: BTreeMap<u32, Known>,
    /// The latest look.
    seen: Vec<ObservedMember>,
}

/// One process.
struct Known {
    server: Server,
    container: Arc<str>,
    pid: Option<u32>,
    dead: bool,
    /// Its death will be told by its pidfd.
    watched: bool,
    memory: Arc<AtomicU64>,
    requests: mpsc::UnboundedSender<Request>,
    tasks: Vec<JoinHandle<()>>,
}

impl Registry {
    pub fn new(
        dialect: &'static dyn Dialect,
        password: String,
        tuning: Tuning,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        Self { dialect, password, tuning, events, last_incarnation: 0, known: BTreeMap::new(), seen: Vec::new() }
    }

    /// Takes a look in and says who sits where.
    pub fn observe(&mut self, members: Vec<ObservedMember>) -> Vec<Seat> {
        self.seen = members;
        let seats = self.seats();
        for member in &self.seen {
            if let (Some(known), Some(memory)) = (self.known.get(&member.index), member.memory) {
                known.memory.store(memory.bytes(), Ordering::Relaxed);
            }
        }
        seats
    }

    /// The process is gone. What the latest look says of it no longer counts; what it says of
    /// a successor that had to wait for this death does.
    pub fn bury(&mut self, server: Server) -> Vec<Seat> {
        if let Some(known) = self.known.get_mut(&server.index).filter(|known| known.server == server) {
            known.dead = true;
        }
        self.seats()
    }

    pub fn send(&self, server: Server, request: Request) {
        if let Some(known) = self.current(server) {
            // A link ends only together with this registry.
            let _ = known.requests.send(request);
        }
    }

    pub fn container(&self, server: Server) -> Option<Arc<str>> {
        self.current(server).map(|known| known.container.clone())
    }

    /// The address of a server's member.
    pub fn addr(&self, server: Server) -> Option<SocketAddr> {
        self.seen.iter().find(|member| member.index == server.index)?.addr
    }

    /// The container whose server listens there.
    pub fn container_at(&self, addr: SocketAddr) -> Option<String> {
        self.seen.iter().find(|member| member.addr == Some(addr))?.container.clone()
    }

    /// Processes whose death only looks can tell.
    pub fn unwatched(&self) -> Vec<(Server, Arc<str>, Option<u32>)> {
        let unwatched = self.known.values().filter(|known| !known.watched && !known.dead);
        unwatched.map(|known| (known.server, known.container.clone(), known.pid)).collect()
    }

    fn current(&self, server: Server) -> Option<&Known> {
        self.known.get(&server.index).filter(|known| known.server == server)
    }

    fn seats(&mut self) -> Vec<Seat> {
        let seen = std::mem::take(&mut self.seen);
        // A member that nobody wants is gone with its container.
        self.known.retain(|index, _| seen.iter().any(|member| member.index == *index));
        let seats = seen.iter().map(|member| Seat {
            index: member.index,
            addr: member.addr,
            incarnation: self.incarnation(member),
            paused: member.paused,
            leaving: member.leaving,
        });
        let seats = seats.collect();
        self.seen = seen;
        seats
    }

    fn incarnation(&mut self, member: &ObservedMember) -> Option<u64> {
        if let Some(known) = self.known.get(&member.index) {
            let container = member.container.as_deref();
            let same = Some(&*known.container) == container && (known.pid == member.pid || member.pid.is_none());
            // The pidfd knows better than any look: until it tells, the process lives, and a
            // successor has to wait.
            if !known.dead && (known.watched || (same && member.running)) {
                return Some(known.server.incarnation);
            }
            if !member.running || same {
                return None;
            }
        } else if !member.running {
            return None;
        }
        self.admit(member)
    }

    /// A process that was not known before; `None` if it is gone already.
    fn admit(&mut self, member: &ObservedMember) -> Option<u64> {
        let container = member.container.as_deref()?;
        let seen = member.pid.map_or(Seen::Hidden, |pid| process::see(pid, container, self.tuning.verify_processes));
        self.last_incarnation += 1;
        let server = Server { index: member.index, incarnation: self.last_incarnation };
        let (requests, receiver) = mpsc::unbounded_channel();
        let watched = matches!(seen, Seen::Watched(_));
        let memory = Arc::new(AtomicU64::new(member.memory.map_or(0, |memory| memory.bytes())));
        let link = Link {
            server,
            door: Door { addr: member.addr.unwrap_or(NOWHERE), dialect: self.dialect, password: self.password.clone() },
            pid: member.pid.filter(|_| watched),
            answer_within: self.tuning.answer_within,
            memory: memory.clone(),
            events: self.events.clone(),
        };
        let dead = matches!(seen, Seen::Gone);
        let mut tasks = vec![tokio::spawn(link.run(receiver))];
        if let Seen::Watched(watch) = seen {
            let events = self.events.clone();
            tasks.push(tokio::spawn(async move {
                if watch.died().await.is_ok() {
                    let _ = events.send(Event::Died(server));
                }
            }));
        }
        let container = Arc::from(container);
        let known = Known { server, container, pid: member.pid, dead, watched, memory, requests, tasks };
        self.known.insert(member.index, known);
        (!dead).then_some(server.incarnation)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
