//! Gate, open, reset: what a failover needs of the front.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::*;
use crate::model::{Refusal, TcpState};
use crate::proxy::{Proxy, ProxyConfig, TcpConnection};

const PORT: u16 = 20_001;

/// Answers every line with its own name and the line; counts the bytes it received.
struct Master {
    addr: SocketAddr,
    received: Arc<AtomicU64>,
}

impl Master {
    async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(AtomicU64::new(0));
        let seen = received.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(Self::serve(name, stream, seen.clone()));
            }
        });
        Self { addr, received }
    }

    async fn serve(name: &'static str, mut stream: TcpStream, received: Arc<AtomicU64>) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            received.fetch_add(count as u64, Ordering::SeqCst);
            if stream.write_all(&[name.as_bytes(), &buffer[..count]].concat()).await.is_err() {
                return;
            }
        }
    }

    fn open(&self, epoch: u64) -> TcpState {
        TcpState::Open { master: self.addr, epoch, acks: None }
    }
}

struct TcpFront {
    proxy: Proxy,
    addr: SocketAddr,
}

impl TcpFront {
    async fn start(config: ProxyConfig, state: TcpState) -> Self {
        let proxy = Proxy::start(config).unwrap();
        let addr = proxy.listen_tcp("127.0.0.1:0".parse().unwrap(), PORT, None).await.unwrap().addr;
        let front = Self { proxy, addr };
        front.set(state).await;
        front
    }

    async fn set(&self, state: TcpState) {
        self.proxy.applied(self.proxy.publish(tcp_table(PORT, state))).await;
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }
}

/// The answer to one message, or `None` when the connection ended.
async fn ask(stream: &mut TcpStream, text: &str) -> Option<String> {
    stream.write_all(text.as_bytes()).await.ok()?;
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer).await {
        Ok(count @ 1..) => Some(String::from_utf8(buffer[..count].to_vec()).unwrap()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_lead_to_the_master_and_outlive_tables_that_keep_it() {
    let master = Master::start("a:").await;
    let front = TcpFront::start(quick(), master.open(1)).await;
    let mut session = front.connect().await;
    assert_eq!(ask(&mut session, "1").await.unwrap(), "a:1");
    front.set(master.open(1)).await;
    assert_eq!(ask(&mut session, "2").await.unwrap(), "a:2");
    // The last bytes are counted a moment after they were passed.
    while front.proxy.report().tcp[0].bytes_to_client < 6 {
        tokio::task::yield_now().await;
    }
    let report = &front.proxy.report().tcp[0];
    assert_eq!((report.sessions, report.connections, report.front_port), (1, 1, PORT));
    assert_eq!((report.bytes_to_master, report.bytes_to_client), (2, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_gate_has_reset_every_session_on_both_sides() {
    let old = Master::start("old:").await;
    let front = TcpFront::start(quick(), old.open(1)).await;
    let mut sessions = Vec::new();
    for _ in 0..16 {
        let mut session = front.connect().await;
        assert!(ask(&mut session, "x").await.is_some());
        sessions.push(session);
    }
    front.set(TcpState::Gated).await;
    let received = old.received.load(Ordering::SeqCst);
    for session in &mut sessions {
        let error = session.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert!(ask(session, "late").await.is_none());
    }
    assert_eq!(old.received.load(Ordering::SeqCst), received);
    assert_eq!(front.proxy.report().tcp[0].sessions, 0);
}

/// The master reads nothing, so that bytes wait everywhere on the way. That its sockets are
/// dead is asked without an await: it must be so when the acknowledgement comes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_under_way_reaches_the_old_master_after_the_acknowledgement() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let state = TcpState::Open { master: listener.local_addr().unwrap(), epoch: 1, acks: None };
    let front = TcpFront::start(quick(), state).await;
    let mut sockets = Vec::new();
    for _ in 0..64 {
        let mut session = front.connect().await;
        tokio::spawn(async move { while session.write_all(&[0; 65_536]).await.is_ok() {} });
        sockets.push(listener.accept().await.unwrap().0);
    }
    // Of each: a connection that is still being made has nothing under way, and ends without a reset.
    let carries = |session: &TcpConnection| session.bytes_to_master >= 65_536;
    while front.proxy.connections(PORT).await.iter().filter(|session| carries(session)).count() < 64 {
        tokio::task::yield_now().await;
    }
    front.set(TcpState::Gated).await;
    let alive = sockets.iter().filter(|socket| socket.take_error().unwrap().is_none()).count();
    assert_eq!(alive, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_an_older_epoch_is_reset_though_the_master_is_the_same() {
    let master = Master::start("a:").await;
    let front = TcpFront::start(quick(), master.open(1)).await;
    let mut session = front.connect().await;
    assert!(ask(&mut session, "x").await.is_some());
    front.set(master.open(2)).await;
    assert!(ask(&mut session, "x").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_connections_get_the_new_master_within_milliseconds() {
    let new = Master::start("new:").await;
    let front = TcpFront::start(quick(), TcpState::Gated).await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut session = front.connect().await;
        session.write_all(b"hi").await.unwrap();
        waiting.push(session);
    }
    while front.proxy.report().tcp[0].parked < 8 {
        tokio::task::yield_now().await;
    }
    let milestones = front.proxy.milestones(PORT).unwrap();
    let opened = Instant::now();
    front.set(new.open(2)).await;
    for session in &mut waiting {
        let mut answer = [0; 6];
        session.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"new:hi");
    }
    let reached = *milestones.borrow();
    assert_eq!(reached.epoch, 2);
    let first = reached.answered.unwrap().duration_since(opened);
    eprintln!("first answer {first:?} after the publication");
    assert!(first < Duration::from_millis(200), "{first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_connections_are_bounded_in_time_and_leave_when_their_client_does() {
    let config = ProxyConfig { tcp_park: Duration::from_millis(300), ..quick() };
    let front = TcpFront::start(config, TcpState::Gated).await;
    let mut patient = front.connect().await;
    let gone = front.connect().await;
    while front.proxy.report().tcp[0].parked < 2 {
        tokio::task::yield_now().await;
    }
    drop(gone);
    while front.proxy.report().tcp[0].parked == 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(patient.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(front.proxy.report().tcp[0].parked, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_routes_close_at_once() {
    let front = TcpFront::start(quick(), TcpState::Refused { why: "no quorum".into() }).await;
    assert_eq!(front.connect().await.read(&mut [0; 1]).await.unwrap_or(0), 0);
    while front.proxy.report().tcp[0].refused == 0 {
        tokio::task::yield_now().await;
    }
}

/// Also when the client spoke first: a reset would overtake what it has not read.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_turned_away_reads_why() {
    const WORDS: &[u8] = b"-MASTERDOWN db has no master: it would be a guess\r\n";
    for (state, config) in [
        (TcpState::Refused { why: "a guess".into() }, quick()),
        (TcpState::Gated, ProxyConfig { tcp_park: Duration::from_millis(50), ..quick() }),
    ] {
        let front = TcpFront::start(config, TcpState::Gated).await;
        let mut table = tcp_table(PORT, state);
        let route = table.tcp.get_mut(&PORT).unwrap();
        Arc::make_mut(route).refusal = Arc::new(Refusal::of(WORDS));
        front.proxy.applied(front.proxy.publish(table)).await;
        let mut client = front.connect().await;
        client.write_all(&[b'x'; 100_000]).await.unwrap();
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, WORDS);
    }
}

/// A client that asks for one kind of encryption, then for another, in pieces; one that says at
/// once what it wants; and one that says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_asks_first_is_answered_before_it_reads_why_it_is_turned_away() {
    let questions = [b"tls?", b"gss?"].map(|question| (question.to_vec(), b"N".to_vec())).into();
    let front = TcpFront::start(quick(), TcpState::Gated).await;
    let mut table = tcp_table(PORT, TcpState::Refused { why: "a guess".into() });
    let refusal = Refusal { questions, words: b"why".to_vec() };
    Arc::make_mut(table.tcp.get_mut(&PORT).unwrap()).refusal = Arc::new(refusal);
    front.proxy.applied(front.proxy.publish(table)).await;

    let (mut asking, mut direct, mut silent) = (front.connect().await, front.connect().await, front.connect().await);
    for question in ["gss?", "tls?"] {
        asking.write_all(&question.as_bytes()[..3]).await.unwrap();
        assert_eq!(ask(&mut asking, &question[3..]).await.unwrap(), "N");
    }
    for client in [&mut asking, &mut direct] {
        client.write_all(b"tell me more").await.unwrap();
        assert_eq!(rest(client).await, "why");
    }
    assert_eq!(rest(&mut silent).await, "why");
}

async fn rest(client: &mut TcpStream) -> String {
    let mut told = String::new();
    client.read_to_string(&mut told).await.unwrap();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn open_sessions_are_listed_and_those_a_gate_ends_are_counted() {
    let master = Master::start("a:").await;
    let front = TcpFront::start(quick(), master.open(3)).await;
    let mut session = front.connect().await;
    assert!(ask(&mut session, "12345").await.is_some());
    let own = session.local_addr().unwrap();
    let listed = front.proxy.connections(PORT).await;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].peer, listed[0].epoch, listed[0].bytes_to_master), (own, 3, 5));
    assert!(front.proxy.connections(PORT + 1).await.is_empty());
    front.set(TcpState::Gated).await;
    assert!(front.proxy.connections(PORT).await.is_empty());
    assert_eq!(front.proxy.tcp_report(PORT).unwrap().cut, 1);
}

/// Redis, as little of it as it takes: `+OK` to `SET`, and to `WAIT` what a slave would make of it.
async fn redis_without_a_slave() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                    let answers = "+OK\r\n".repeat(text.matches("SET").count());
                    let zeros = ":0\r\n".repeat(text.matches("WAIT").count());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    if stream.write_all((answers + &zeros).as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_is_let_go_by_a_lifted_guard_and_never_by_a_gate() {
    const SET: &str = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
    let master = redis_without_a_slave().await;
    let guarded = |acks| TcpState::Open { master, epoch: 1, acks: Some(acks) };
    let front = TcpFront::start(quick(), guarded(1)).await;
    let (mut first, mut second) = (front.connect().await, front.connect().await);
    first.write_all(SET.as_bytes()).await.unwrap();
    let held = tokio::time::timeout(Duration::from_millis(200), first.read_u8()).await;
    assert!(held.is_err(), "no slave has it: {held:?}");
    front.set(guarded(0)).await;
    let mut answer = [0; 5];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+OK\r\n", "on the same session");
    front.set(guarded(1)).await;
    second.write_all(SET.as_bytes()).await.unwrap();
    while front.proxy.report().tcp[0].bytes_to_master < 2 * SET.len() as u64 {
        tokio::task::yield_now().await;
    }
    front.set(TcpState::Gated).await;
    assert_eq!(second.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_does_not_accept_yet_is_dialled_again() {
    let addr = dead_addr().await;
    let front = TcpFront::start(quick(), TcpState::Open { master: addr, epoch: 1, acks: None }).await;
    let mut session = front.connect().await;
    while front.proxy.report().tcp[0].parked == 0 {
        tokio::task::yield_now().await;
    }
    let listener = TcpListener::bind(addr).await.unwrap();
    let (mut accepted, _) = listener.accept().await.unwrap();
    session.write_all(b"x").await.unwrap();
    assert_eq!(accepted.read(&mut [0; 1]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_data_arrives_whole_and_half_closed_sides_still_answer() {
    const SIZE: usize = 20 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let state = TcpState::Open { master: listener.local_addr().unwrap(), epoch: 1, acks: None };
    let front = TcpFront::start(quick(), state).await;
    let sink = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream.write_all(b"got it").await.unwrap();
        all
    });
    let sent: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    let mut session = front.connect().await;
    session.write_all(&sent).await.unwrap();
    session.shutdown().await.unwrap();
    let mut answer = String::new();
    session.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "got it");
    assert!(sink.await.unwrap() == sent, "bytes were changed");
    assert_eq!(front.proxy.report().tcp[0].bytes_to_master, SIZE as u64);
}
