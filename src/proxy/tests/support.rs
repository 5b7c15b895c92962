//! Instances, tables and clients for the tests.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::model::{Backend, HttpRoute, RouteTable, TcpRoute, TcpState};
use crate::proxy::{Proxy, ProxyConfig};

pub const HOST: &str = "www.counter.localhost";

/// What an instance received.
#[derive(Debug, Clone)]
pub struct Hit {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An instance with a real HTTP server. It answers its own number, but for:
/// `/slow/<ms>`, `/status/<code>`, `/echo`, `/upgrade` (echoes bytes after the 101).
pub struct Instance {
    pub backend: Backend,
    hits: Arc<Mutex<Vec<Hit>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Instance {
    pub async fn start(index: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let hits: Arc<Mutex<Vec<Hit>>> = Arc::default();
        let seen = Arc::clone(&hits);
        let task = tokio::spawn(async move {
            // Dropped with the task: a killed instance drops its connections.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&seen);
                let service = service_fn(move |request| reply(index, Arc::clone(&seen), request));
                connections.spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
                });
            }
        });
        Self { backend: backend(index, addr), hits, task }
    }

    /// All requests but the health probes.
    pub fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().iter().filter(|hit| hit.path != "/CloudHealthCheck").cloned().collect()
    }

    /// Ends it with every connection, as SIGKILL does.
    pub async fn kill(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

pub fn backend(index: u32, addr: SocketAddr) -> Backend {
    let id = format!("container-{index}-{}", addr.port());
    Backend { id: id.into(), instance: format!("www.{index}").parse().unwrap(), addr }
}

async fn reply(
    index: u32,
    hits: Arc<Mutex<Vec<Hit>>>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let upgrade = (path == "/upgrade").then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    hits.lock().unwrap().push(Hit { path: path.clone(), headers: head.headers, body: body.clone() });
    if let Some(ms) = path.strip_prefix("/slow/") {
        tokio::time::sleep(Duration::from_millis(ms.parse().unwrap())).await;
    }
    let mut response = Response::new(Full::new(Bytes::from(index.to_string())));
    if let Some(code) = path.strip_prefix("/status/") {
        *response.status_mut() = StatusCode::from_bytes(code.as_bytes()).unwrap();
    }
    if path == "/echo" {
        *response.body_mut() = Full::new(body);
    }
    if let Some(upgrade) = upgrade {
        tokio::spawn(echo_upgraded(upgrade));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("connection", "upgrade".parse().unwrap());
        response.headers_mut().insert("upgrade", "echo".parse().unwrap());
    }
    Ok(response)
}

async fn echo_upgraded(upgrade: hyper::upgrade::OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// A listener for instances that misbehave byte by byte.
pub async fn raw_instance<F, Fut>(index: u32, serve: F) -> Backend
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    });
    backend(index, addr)
}

/// An address that refuses connections.
pub async fn dead_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Reads one request head; returns it with whatever came behind it.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(head).unwrap()
}

// === the proxy ===

/// A proxy with one HTTP listener.
pub struct Front {
    pub proxy: Proxy,
    pub addr: SocketAddr,
}

pub fn quick() -> ProxyConfig {
    ProxyConfig {
        threads: 2,
        request_timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_millis(300),
        tcp_park: Duration::from_secs(2),
        body_limit: 1 << 20,
        ..ProxyConfig::default()
    }
}

impl Front {
    pub async fn start(config: ProxyConfig, backends: &[Backend]) -> Self {
        let proxy = Proxy::start(config).unwrap();
        let listening = proxy.listen_http("127.0.0.1:0".parse().unwrap(), None, None).await.unwrap();
        let front = Self { proxy, addr: listening.addr };
        front.serve(backends).await;
        front
    }

    /// Publishes the backends of the one service, and waits until all threads know.
    pub async fn serve(&self, backends: &[Backend]) {
        self.publish(http_table(backends)).await;
    }

    pub async fn publish(&self, table: RouteTable) {
        self.proxy.applied(self.proxy.publish(table)).await;
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, "", body).await
    }

    /// One request on a connection of its own. `fields` are complete lines.
    pub async fn send(&self, method: &str, path: &str, fields: &str, body: &str) -> Answer {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{fields}{length}\r\n");
        self.raw(&format!("{head}{body}")).await
    }

    /// Writes bytes, reads to the end.
    pub async fn raw(&self, message: &str) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(message.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        Answer::parse(&String::from_utf8(bytes).unwrap())
    }
}

pub fn http_table(backends: &[Backend]) -> RouteTable {
    table(backends.to_vec(), false)
}

/// Nobody serves, and somebody is about to.
pub fn awaited_table() -> RouteTable {
    table(Vec::new(), true)
}

fn table(backends: Vec<Backend>, awaited: bool) -> RouteTable {
    let route = HttpRoute { app: "counter".parse().unwrap(), service: "www".parse().unwrap(), backends, awaited };
    RouteTable { http: HashMap::from([(HOST.to_owned(), Arc::new(route))]), ..RouteTable::default() }
}

pub fn tcp_table(front_port: u16, state: TcpState) -> RouteTable {
    let route =
        TcpRoute { app: "counter".parse().unwrap(), service: "db".parse().unwrap(), state, refusal: Arc::default() };
    RouteTable { tcp: HashMap::from([(front_port, Arc::new(route))]), ..RouteTable::default() }
}

/// A response as it was on the wire.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 0 when nothing came.
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}
