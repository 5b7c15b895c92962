//! Asks the daemon, over the Unix socket of its home.
//!
//! Knows the wire types and nothing of the engine. One connection per request: a connection
//! costs less than a millisecond, and a restarted daemon leaves nothing stale behind.

mod call;
mod dump;
mod error;
mod exec;
mod mail;
mod start;
mod stream;

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::OnceCell;

pub use error::{ClientError, Refusal};
pub use exec::{ExecClient, ExecReader, ExecWriter};
pub use start::{GAVE_WAY, LAST_WORDS};
pub use stream::Lines;

use super::home::Home;
use super::types::{ErrorEnvelope, Object, Objects, Version};

type Result<T> = std::result::Result<T, ClientError>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// What a request carries.
pub type RequestBody = BoxBody<Bytes, BoxError>;

/// A way to the daemon of one home. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    home: Home,
    /// Start the daemon when none answers.
    start: bool,
    /// Set once a daemon answered that is no older than this program; absent for clients that
    /// take any.
    ready: Option<Arc<OnceCell<Version>>>,
}

impl Client {
    /// Starts the daemon when it is first asked: see [`Client::ready`].
    pub fn new(home: Home) -> Self {
        Self { home, start: true, ready: Some(Arc::default()) }
    }

    /// Never starts a daemon and takes the one that runs: for `daemon status` and `daemon stop`.
    pub fn passive(home: Home) -> Self {
        Self { home, start: false, ready: None }
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Sends a request without a body and takes the `object` of the answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T> {
        object(self.put(&method, path, None).await?).await
    }

    /// Takes the `objects` of the answer.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        objects(self.put(&Method::GET, path, None).await?).await
    }

    /// Sends JSON and takes the `object` of the answer.
    pub(crate) async fn tell<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        object(self.put(&method, path, Some(json(path, body)?)).await?).await
    }

    /// Like [`Client::ask`] and [`Client::tell`] for answers that hold nothing.
    pub(crate) async fn order(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<()> {
        let body = body.map(|body| json(path, body)).transpose()?;
        self.put(&method, path, body).await.map(drop)
    }

    /// Puts a request. When the daemon is killed under it, a new one is started and asked again,
    /// if asking twice does no more than asking once.
    async fn put(&self, method: &Method, path: &str, body: Option<Bytes>) -> Result<Response<Incoming>> {
        let mut attempt = 1;
        loop {
            let request = match &body {
                Some(body) => json_request(method.clone(), path, body.clone())?,
                None => request(method.clone(), path, empty())?,
            };
            match self.send(request).await {
                Err(ClientError::Lost { .. }) if attempt < ATTEMPTS && is_repeatable(method, path) => attempt += 1,
                answer => return answer,
            }
        }
    }

    /// One request on its own connection; an answer outside 2xx and 101 is `Refused`.
    pub(crate) async fn send(&self, request: Request<RequestBody>) -> Result<Response<Incoming>> {
        self.ready().await?;
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::lost)?;
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await.map_err(ClientError::lost)?;
        if response.status().is_success() || response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        Err(refusal(response).await)
    }

    /// Connects, starting the daemon if that is allowed and needed.
    async fn connect(&self) -> Result<UnixStream> {
        let socket = self.home.socket();
        match UnixStream::connect(&socket).await {
            Ok(stream) => Ok(stream),
            Err(_) if self.start => {
                Box::pin(start::start(&self.home)).await?;
                UnixStream::connect(&socket).await.map_err(|source| ClientError::Connect { socket, source })
            }
            Err(source) => Err(ClientError::Connect { socket, source }),
        }
    }
}

/// How often a request is put while daemons are killed under it.
const ATTEMPTS: u32 = 3;

fn request(method: Method, path: &str, body: RequestBody) -> Result<Request<RequestBody>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "daemon")
        .header(header::ACCEPT, "application/json")
        .body(body)
        .map_err(|source| ClientError::Compose { path: path.to_owned(), source: source.into() })
}

fn json(path: &str, body: &impl Serialize) -> Result<Bytes> {
    let bytes = serde_json::to_vec(body);
    bytes.map(Bytes::from).map_err(|source| ClientError::Compose { path: path.to_owned(), source: source.into() })
}

fn json_request(method: Method, path: &str, body: Bytes) -> Result<Request<RequestBody>> {
    let body = Full::new(body).map_err(|never| match never {}).boxed();
    let mut request = request(method, path, body)?;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// What says how things shall be, and not what shall be done.
fn is_repeatable(method: &Method, path: &str) -> bool {
    *method != Method::POST || path.ends_with("/up") || path.ends_with("/down")
}

fn empty() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed()
}

async fn object<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T> {
    let bytes = response.into_body().collect().await.map_err(ClientError::lost)?.to_bytes();
    let envelope: Object<T> = serde_json::from_slice(&bytes).map_err(|source| ClientError::Decode { source })?;
    Ok(envelope.object)
}

async fn objects<T: DeserializeOwned>(response: Response<Incoming>) -> Result<Vec<T>> {
    let bytes = response.into_body().collect().await.map_err(ClientError::lost)?.to_bytes();
    let envelope: Objects<T> = serde_json::from_slice(&bytes).map_err(|source| ClientError::Decode { source })?;
    Ok(envelope.objects)
}

/// The error envelope of an answer, or what can be said without one.
async fn refusal(response: Response<Incoming>) -> ClientError {
    let status = response.status();
    let trace = response.headers().get("x-dotcloud-traceid").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let bytes = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(source) => return ClientError::lost(source),
    };
    let (kind, description) = match serde_json::from_slice::<ErrorEnvelope>(&bytes) {
        Ok(envelope) => (envelope.error.kind, envelope.error.description),
        Err(_) => (None, String::from_utf8_lossy(&bytes).into_owned()),
    };
    ClientError::Refused(Refusal { status: status.as_u16(), kind, description, trace })
}
