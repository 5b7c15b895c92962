//! One HTTP/1.1 connection that sends each request at most once.
//!
//! A pooling client may repeat a POST by itself, which would forge what the race lab measures;
//! this one never does. It knows an address and a host name, nothing of applications.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::race::AnsweredBy;

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Where the requests go.
#[derive(Debug, Clone)]
pub struct Target {
    /// The proxy.
    pub addr: SocketAddr,
    /// The name it routes by: `www.counter.localhost`.
    pub host: String,
}

/// A keep-alive connection that is opened when it is needed.
#[derive(Debug)]
pub struct Connection {
    target: Target,
    sender: Option<SendRequest<Empty<Bytes>>>,
}

/// A request without an answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nothing left this process.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

// === impl Connection ===

impl Connection {
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), sender: None }
    }

    /// Drops the connection, so that a late answer cannot be taken for the next one.
    pub fn close(&mut self) {
        self.sender = None;
    }

    /// Sends a request, with `id` as its `X-Request-Id` unless that is empty.
    ///
    /// # Errors
    /// No complete answer came. It is never sent again.
    pub async fn send(&mut self, method: Method, path: &str, id: &str) -> Result<Answer, Failure> {
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
            request = request.header(CONTENT_LENGTH, 0);
        }
        if !id.is_empty() {
            request = request.header("x-request-id", id);
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

// === impl Answer ===

impl Answer {
    fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The counter in the body: a bare number, or `value` of an object.
    pub fn value(&self) -> Option<i64> {
        let json = self.json()?;
        json.as_i64().or_else(|| json.get("value")?.as_i64())
    }

    /// `instance` and `worker` of the body.
    pub fn answered_by(&self) -> Option<AnsweredBy> {
        let json = self.json()?;
        let instance = json.get("instance")?.as_str()?.to_owned();
        let worker = json.get("worker").and_then(serde_json::Value::as_u64);
        Some(AnsweredBy { instance, worker: worker.and_then(|worker| worker.try_into().ok()) })
    }
}
