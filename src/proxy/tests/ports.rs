//! TCP and UDP ports that lead to one instance each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::support::*;
use crate::model::{Backend, RouteTable, TcpState, UdpRoute};
use crate::proxy::{Allow, Listening, Proxy, ProxyConfig, UdpReport};

const PORT: u16 = 20_002;
const SOON: Duration = Duration::from_secs(5);

// === TCP ===

/// Answers everything with its number before it.
async fn speaker(index: u32) -> Backend {
    raw_instance(index, move |mut stream: TcpStream| async move {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&[index.to_string().as_bytes(), &buffer[..count]].concat()).await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn tcp_front(state: TcpState) -> (Proxy, SocketAddr) {
    let proxy = Proxy::start(quick()).unwrap();
    proxy.applied(proxy.publish(tcp_table(PORT, state))).await;
    let listening = proxy.listen_tcp("127.0.0.1:0".parse().unwrap(), PORT, None).await.unwrap();
    (proxy, listening.addr)
}

async fn said(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = [0; 64];
    let count = timeout(SOON, stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_takes_new_connections_and_leaves_the_old_ones_alone() {
    let (old, new) = (speaker(1).await, speaker(2).await);
    let (proxy, addr) = tcp_front(TcpState::Instance(old)).await;
    let mut before = TcpStream::connect(addr).await.unwrap();
    assert_eq!(said(&mut before, "a").await, "1a");
    for state in [TcpState::Gated, TcpState::Instance(new)] {
        proxy.applied(proxy.publish(tcp_table(PORT, state))).await;
        assert_eq!(said(&mut before, "b").await, "1b");
    }
    let mut after = TcpStream::connect(addr).await.unwrap();
    assert_eq!(said(&mut after, "c").await, "2c");
    assert_eq!(said(&mut before, "d").await, "1d");

    proxy.applied(proxy.publish(RouteTable::default())).await;
    for session in [&mut before, &mut after] {
        let error = session.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the route is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_waits_for_its_instance_and_gets_no_other() {
    let back = speaker(3).await;
    let (proxy, addr) = tcp_front(TcpState::Gated).await;
    let mut waiting = TcpStream::connect(addr).await.unwrap();
    while proxy.report().tcp[0].parked == 0 {
        tokio::task::yield_now().await;
    }
    proxy.publish(tcp_table(PORT, TcpState::Instance(back)));
    assert_eq!(said(&mut waiting, "x").await, "3x");
    proxy.applied(proxy.publish(tcp_table(PORT, TcpState::Refused { why: "it keeps ending".into() }))).await;
    let mut refused = TcpStream::connect(addr).await.unwrap();
    assert_eq!(timeout(SOON, refused.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
}

// === UDP ===

/// An instance: what it receives, it sends back behind its number.
struct Echo {
    backend: Backend,
    task: tokio::task::JoinHandle<()>,
}

impl Echo {
    async fn start(index: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let backend = backend(index, socket.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65_535];
            loop {
                let (count, peer) = socket.recv_from(&mut buffer).await.unwrap();
                // As it came where a number has no room or would be more than nothing.
                let answer = match count {
                    1..=100 => [index.to_string().as_bytes(), &buffer[..count]].concat(),
                    _ => buffer[..count].to_vec(),
                };
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        Self { backend, task }
    }
}

struct UdpFront {
    proxy: Proxy,
    listening: Listening,
}

impl UdpFront {
    async fn start(config: ProxyConfig, allow: Option<Allow>, instance: &Backend) -> Self {
        let proxy = Proxy::start(config).unwrap();
        let listening = proxy.listen_udp("127.0.0.1:0".parse().unwrap(), PORT, allow).await.unwrap();
        let front = Self { proxy, listening };
        front.lead_to(Some(instance)).await;
        front
    }

    async fn lead_to(&self, instance: Option<&Backend>) {
        let (app, service) = ("counter".parse().unwrap(), "www".parse().unwrap());
        let route = Arc::new(UdpRoute { app, service, instance: instance.cloned() });
        let table = RouteTable { udp: [(PORT, route)].into(), ..RouteTable::default() };
        self.proxy.applied(self.proxy.publish(table)).await;
    }

    async fn client(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.listening.addr).await.unwrap();
        socket
    }

    fn report(&self) -> UdpReport {
        self.proxy.report().udp[0].clone()
    }

    async fn reported(&self, what: impl Fn(&UdpReport) -> bool) {
        let seen = async {
            while !what(&self.report()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, seen).await.unwrap_or_else(|_| panic!("{:?}", self.report()));
    }
}

async fn asked(client: &UdpSocket, datagram: &[u8]) -> Vec<u8> {
    client.send(datagram).await.unwrap();
    let mut answer = vec![0; 65_535];
    let count = timeout(SOON, client.recv(&mut answer)).await.expect("an answer comes").unwrap();
    answer.truncate(count);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_of_all_sizes_go_both_ways_unchanged() {
    let echo = Echo::start(7).await;
    let front = UdpFront::start(quick(), None, &echo.backend).await;
    let client = front.client().await;
    assert_eq!(asked(&client, b"hi").await, b"7hi");
    assert_eq!(asked(&client, b"").await, b"");
    // The longest there is over IPv4.
    let longest: Vec<u8> = (0..65_507_u32).map(|at| (at % 251) as u8).collect();
    assert!(asked(&client, &longest).await == longest, "bytes were changed");
    front.reported(|report| (report.to_instance, report.to_client, report.dropped) == (3, 3, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_gets_its_own_answers() {
    let echo = Echo::start(1).await;
    let front = UdpFront::start(quick(), None, &echo.backend).await;
    let mut clients = Vec::new();
    for _ in 0..32 {
        clients.push(front.client().await);
    }
    for (number, client) in clients.iter().enumerate() {
        client.send(number.to_string().as_bytes()).await.unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        let mut answer = [0; 16];
        let count = timeout(SOON, client.recv(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer[..count], format!("1{number}").as_bytes());
    }
    assert_eq!(front.report().sessions, 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_switches_the_instance_under_the_same_port() {
    let (old, new) = (Echo::start(1).await, Echo::start(2).await);
    let front = UdpFront::start(quick(), None, &old.backend).await;
    let client = front.client().await;
    assert_eq!(asked(&client, b"a").await, b"1a");
    front.lead_to(Some(&new.backend)).await;
    assert_eq!(asked(&client, b"b").await, b"2b");
    assert_eq!(front.report().sessions, 1, "the old one is gone");
    front.lead_to(None).await;
    client.send(b"c").await.unwrap();
    front.reported(|report| report.dropped == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_comes_back_is_found_again() {
    let echo = Echo::start(1).await;
    let addr = echo.backend.addr;
    let front = UdpFront::start(quick(), None, &echo.backend).await;
    let client = front.client().await;
    assert_eq!(asked(&client, b"a").await, b"1a");
    echo.task.abort();
    let _ = echo.task.await;
    for _ in 0..3 {
        // The answer of the system is that nobody listens.
        client.send(b"lost").await.unwrap();
    }
    front.reported(|report| report.to_instance + report.dropped == 4).await;
    let back = UdpSocket::bind(addr).await.unwrap();
    client.send(b"b").await.unwrap();
    let mut buffer = [0; 16];
    let count = timeout(SOON, back.recv(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(&buffer[..count], b"b");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_sessions_end_and_their_clients_may_begin_anew() {
    let echo = Echo::start(1).await;
    let config = ProxyConfig { udp_idle: Duration::from_millis(100), ..quick() };
    let front = UdpFront::start(config, None, &echo.backend).await;
    let client = front.client().await;
    asked(&client, b"a").await;
    front.reported(|report| report.sessions == 0).await;
    assert_eq!(asked(&client, b"b").await, b"1b");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_bounded_and_the_quietest_makes_room() {
    let echo = Echo::start(1).await;
    let front = UdpFront::start(quick(), None, &echo.backend).await;
    let limit = crate::proxy::udp::SESSIONS_MAX;
    for number in 0..limit + 8 {
        // Of an address of its own: a port alone may be given out again.
        let ip = [127, 1, (number / 200) as u8, (number % 200) as u8 + 1];
        let client = UdpSocket::bind((std::net::Ipv4Addr::from(ip), 0)).await.unwrap();
        client.connect(front.listening.addr).await.unwrap();
        assert_eq!(asked(&client, b"x").await, b"1x", "client {number}");
    }
    assert_eq!(front.report().sessions, limit as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_not_relayed_and_the_port_is_free_after_the_end() {
    let echo = Echo::start(1).await;
    let allow = Allow { network: "10.9.8.0".parse().unwrap(), prefix: 24 };
    let front = UdpFront::start(quick(), Some(allow), &echo.backend).await;
    let client = front.client().await;
    client.send(b"x").await.unwrap();
    let open = front.proxy.listen_udp("127.0.0.1:0".parse().unwrap(), PORT, None).await.unwrap();
    let friend = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    friend.connect(open.addr).await.unwrap();
    assert_eq!(asked(&friend, b"y").await, b"1y");
    assert_eq!((front.report().to_instance, front.report().sessions), (1, 1));
    front.proxy.unlisten(open.id).await;
    UdpSocket::bind(open.addr).await.expect("the port is free");
    assert_eq!(front.report().sessions, 0);
}
