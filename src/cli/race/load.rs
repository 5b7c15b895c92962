//! Sends the requests of a race, each exactly once.
//!
//! Own connections with keep-alive, no pool and no retries: a client that repeats a POST by
//! itself would forge the very result it is to measure. Knows an address and a host name,
//! nothing of applications or the daemon.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::race::{AnsweredBy, Outcome, Verdict};

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;
/// How long to wait before a failed *read* of the counter is asked again.
const READ_AGAIN: Duration = Duration::from_millis(50);

/// Where the requests go.
#[derive(Debug, Clone)]
pub struct Target {
    /// The proxy.
    pub addr: SocketAddr,
    /// The name it routes by: `www.counter.localhost`.
    pub host: String,
}

/// One burst of updates.
#[derive(Debug, Clone)]
pub struct Load {
    pub target: Target,
    /// Path and query of the update.
    pub path: String,
    pub requests: u64,
    pub concurrency: usize,
    /// For one request, connecting included.
    pub patience: Duration,
    /// Makes `X-Request-Id: <run>-<number>` unique between races.
    pub run: String,
}

/// Why the counter could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("no answer from {addr} within {} ms", patience.as_millis())]
    Silent { addr: SocketAddr, patience: Duration },
    #[error("GET {path} answered {status}: {body}")]
    Status { path: String, status: StatusCode, body: String },
    #[error("GET {path} answered no counter value: expected a number or {{\"value\": number}}, found {body:?}")]
    NoValue { path: String, body: String },
}

/// Asks for the counter's value until it is answered or `patience` is over. Reading is safe
/// to repeat, and a failover may be under way.
///
/// # Errors
/// The last failure when time is over; at once when an answer holds no value.
pub async fn read_value(target: &Target, path: &str, patience: Duration) -> Result<i64, ReadError> {
    let mut failure = ReadError::Silent { addr: target.addr, patience };
    let asking = async {
        loop {
            let mut connection = Connection::new(target);
            match connection.send(Method::GET, path, "").await {
                Ok(answer) if answer.status.is_success() => return answer.counter(path),
                Ok(answer) if answer.status.is_client_error() => return Err(answer.refused(path)),
                Ok(answer) => failure = answer.refused(path),
                Err(_) => {}
            }
            tokio::time::sleep(READ_AGAIN).await;
        }
    };
    match timeout(patience, asking).await {
        Ok(result) => result,
        Err(_) => Err(failure),
    }
}

/// Sends all updates and waits for what becomes of each. The outcomes come in the order of
/// their request numbers.
pub async fn fire(load: &Load, done: Arc<AtomicU64>) -> Vec<Outcome> {
    let next = Arc::new(AtomicU64::new(0));
    let clients = (0..load.concurrency.max(1)).map(|_| {
        let (load, next, done) = (load.clone(), Arc::clone(&next), Arc::clone(&done));
        tokio::spawn(client(load, next, done))
    });
    let clients: Vec<_> = clients.collect();
    let mut outcomes = Vec::new();
    for client in clients {
        outcomes.extend(client.await.unwrap_or_default());
    }
    outcomes.sort_by_key(|outcome: &Outcome| outcome.request);
    outcomes
}

/// One of the concurrent clients: takes the next number until none is left.
async fn client(load: Load, next: Arc<AtomicU64>, done: Arc<AtomicU64>) -> Vec<Outcome> {
    let mut connection = Connection::new(&load.target);
    let mut outcomes = Vec::new();
    loop {
        let request = next.fetch_add(1, Ordering::Relaxed);
        if request >= load.requests {
            return outcomes;
        }
        let id = format!("{}-{request}", load.run);
        let sent = timeout(load.patience, connection.send(Method::POST, &load.path, &id)).await;
        outcomes.push(match sent {
            Ok(Ok(answer)) => answer.outcome(request),
            Ok(Err(failure)) => Outcome { request, verdict: failure.verdict(), answered_by: None, value: None },
            Err(_) => {
                connection.close();
                let why = format!("no answer within {} ms", load.patience.as_millis());
                Outcome { request, verdict: Verdict::Unknown { why }, answered_by: None, value: None }
            }
        });
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// A keep-alive connection that is opened when it is needed.
struct Connection {
    target: Target,
    sender: Option<SendRequest<Empty<Bytes>>>,
}

/// A request without an answer.
enum Failure {
    /// Nothing left this process.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

struct Answer {
    status: StatusCode,
    body: Bytes,
}

// === impl Connection ===

impl Connection {
    fn new(target: &Target) -> Self {
        Self { target: target.clone(), sender: None }
    }

    fn close(&mut self) {
        self.sender = None;
    }

    async fn send(&mut self, method: Method, path: &str, id: &str) -> Result<Answer, Failure> {
        let mut request = self.request(method, path, id)?;
        // A kept connection may be closed under us. hyper hands a request back that it never
        // started to write; only then a new connection is tried with it.
        loop {
            let fresh = self.sender.is_none();
            let mut sender = self.take_ready().await?;
            match sender.try_send_request(request).await {
                Ok(response) => return self.finish(sender, response).await,
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    Some(_) => return Err(Failure::NotSent("connection closed before the request".to_owned())),
                    None => return Err(Failure::Lost("connection lost before the answer".to_owned())),
                },
            }
        }
    }

    fn request(&self, method: Method, path: &str, id: &str) -> Result<Request<Empty<Bytes>>, Failure> {
        let mut request = Request::builder().method(&method).uri(path).header(HOST, &self.target.host);
        if method == Method::POST {
            request = request.header(CONTENT_LENGTH, 0).header("x-request-id", id);
        }
        request.body(Empty::new()).map_err(|error| Failure::NotSent(error.to_string()))
    }

    /// The kept connection if it still lives, else a new one.
    async fn take_ready(&mut self) -> Result<SendRequest<Empty<Bytes>>, Failure> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let not_sent = |_| Failure::NotSent("no connection to the proxy".to_owned());
        let stream = TcpStream::connect(self.target.addr).await.map_err(not_sent)?;
        // Small requests must not wait for Nagle's algorithm; a socket without the option still works.
        drop(stream.set_nodelay(true));
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Failure::NotSent("no HTTP connection to the proxy".to_owned()))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn finish(
        &mut self,
        sender: SendRequest<Empty<Bytes>>,
        response: http::Response<hyper::body::Incoming>,
    ) -> Result<Answer, Failure> {
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        let body = body.map_err(|_| Failure::Lost("connection lost within the answer".to_owned()))?.to_bytes();
        self.sender = Some(sender);
        Ok(Answer { status, body })
    }
}

// === impl Failure ===

impl Failure {
    fn verdict(self) -> Verdict {
        match self {
            Self::NotSent(why) => Verdict::Refused { why },
            Self::Lost(why) => Verdict::Unknown { why },
        }
    }
}

// === impl Answer ===

impl Answer {
    fn outcome(&self, request: u64) -> Outcome {
        let why = || self.status.to_string();
        let verdict = match self.status {
            status if status.is_success() => Verdict::Acknowledged,
            status if status.is_client_error() => Verdict::Refused { why: why() },
            _ => Verdict::Unknown { why: why() },
        };
        Outcome { request, verdict, answered_by: self.answered_by(), value: self.value() }
    }

    fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The counter in the body: a bare number, or `value` of an object.
    fn value(&self) -> Option<i64> {
        let json = self.json()?;
        json.as_i64().or_else(|| json.get("value")?.as_i64())
    }

    fn answered_by(&self) -> Option<AnsweredBy> {
        let json = self.json()?;
        let instance = json.get("instance")?.as_str()?.to_owned();
        let worker = json.get("worker").and_then(serde_json::Value::as_u64);
        Some(AnsweredBy { instance, worker: worker.and_then(|worker| worker.try_into().ok()) })
    }

    fn counter(&self, path: &str) -> Result<i64, ReadError> {
        self.value().ok_or_else(|| ReadError::NoValue { path: path.to_owned(), body: self.excerpt() })
    }

    fn refused(&self, path: &str) -> ReadError {
        ReadError::Status { path: path.to_owned(), status: self.status, body: self.excerpt() }
    }

    fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(200).collect()
    }
}

#[cfg(test)]
#[path = "load_test.rs"]
mod tests;
