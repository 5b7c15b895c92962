//! Asks the daemon, over the Unix socket of its home.
//!
//! Knows the wire types and nothing of the engine. One connection per request: a connection
//! costs less than a millisecond, and a restarted daemon leaves nothing stale behind.

mod call;
mod error;
mod exec;
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
pub use start::GAVE_WAY;
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
        let response = self.retrying(&method, path).await?;
        object(response).await
    }

    /// Sends JSON and takes the `object` of the answer.
    pub(crate) async fn tell<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        object(self.send(json_request(method, path, body)?).await?).await
    }

    /// Like [`Client::ask`] and [`Client::tell`] for answers that hold nothing.
    pub(crate) async fn order(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<()> {
        match body {
            Some(body) => self.send(json_request(method, path, body)?).await,
            None => self.send(request(method, path, empty())?).await,
        }
        .map(drop)
    }

    /// A question may be put again when the daemon was killed while it answered.
    async fn retrying(&self, method: &Method, path: &str) -> Result<Response<Incoming>> {
        match self.send(request(method.clone(), path, empty())?).await {
            Err(ClientError::Lost { .. }) if method == Method::GET => {
                self.send(request(method.clone(), path, empty())?).await
            }
            answer => answer,
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

fn request(method: Method, path: &str, body: RequestBody) -> Result<Request<RequestBody>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "daemon")
        .header(header::ACCEPT, "application/json")
        .body(body)
        .map_err(|source| ClientError::Compose { path: path.to_owned(), source: source.into() })
}

fn json_request(method: Method, path: &str, body: &impl Serialize) -> Result<Request<RequestBody>> {
    let bytes = serde_json::to_vec(body)
        .map_err(|source| ClientError::Compose { path: path.to_owned(), source: source.into() })?;
    let body = Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed();
    let mut request = request(method, path, body)?;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(request)
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
