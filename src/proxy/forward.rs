//! One request to one instance after another, until an answer begins or no attempt is left.
//!
//! The rule that everything here serves: a request that may have reached an instance goes
//! out again only when it is safe and has no body. Where nothing was sent, any may.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::attempts::Attempts;
use super::backend::{LiveBackend, RequestGuard};
use super::outbound::Outbound;
use super::page::Refusal;
use super::pool::{Conn, ConnectError};
use super::service::LiveRoute;
use super::upload::{Fate, Progress};
use super::worker::Worker;

/// An answer that has begun.
pub(super) struct Answer {
    pub response: Response<Incoming>,
    pub conn: Conn,
    pub guard: RequestGuard,
}

/// Why an attempt brought no answer. `reused` tells of a connection that had carried
/// requests before: that it broke says nothing about its backend.
pub(super) enum Broken {
    /// There was no connection.
    Unconnected(ConnectError),
    /// The connection was closed before a byte of the message was written.
    Unsent { reused: bool },
    /// The connection broke before the answer began; the instance may have acted.
    MaybeSent { reused: bool, error: hyper::Error },
    /// The connection stood, no answer came; the instance may have acted.
    TimedOut,
    /// The client's doing.
    Upload(Fate),
}

/// Sends the request to the route's instances until one answers. `host` is the route's key:
/// every attempt looks at the newest table.
pub(super) async fn forward(
    worker: &Rc<Worker>,
    host: &str,
    route: &Arc<LiveRoute>,
    outbound: &mut Outbound,
) -> Result<Answer, Refusal> {
    let mut attempts = Attempts::new(worker, host, route);
    let mut last = None;
    while let Some(guard) = attempts.next().await {
        let broken = match attempt(worker, guard.backend(), outbound).await {
            Ok((response, conn)) => return Ok(Answer { response, conn, guard }),
            Err(broken) => broken,
        };
        let refusal = attempts.judge(guard.backend(), &broken);
        if !broken.may_repeat(outbound) {
            return Err(refusal);
        }
        outbound.distrusts_pool |= broken.was_reused();
        last = Some(refusal);
    }
    Err(last.unwrap_or_else(|| attempts.nobody()))
}

/// One attempt: a connection, the message, the head of the answer.
async fn attempt(
    worker: &Rc<Worker>,
    backend: &Arc<LiveBackend>,
    outbound: &mut Outbound,
) -> Result<(Response<Incoming>, Conn), Broken> {
    let mut conn = match worker.pool.take(backend, outbound.need()) {
        Some(conn) => conn,
        None => connect(worker, backend).await.map_err(Broken::Unconnected)?,
    };
    let Some(message) = outbound.take() else { return Err(Broken::Upload(Fate::Broken)) };
    let answer = conn.sender.try_send_request(message);
    match in_time(answer, outbound.progress.as_deref(), worker.shared.config.request_timeout).await {
        Some(Ok(response)) => Ok((response, conn)),
        Some(Err(mut failed)) => match failed.take_message() {
            Some(message) => {
                outbound.put_back(message);
                Err(Broken::Unsent { reused: conn.reused })
            }
            None => Err(outbound
                .fate()
                .map_or_else(|| Broken::MaybeSent { reused: conn.reused, error: failed.into_error() }, Broken::Upload)),
        },
        None => Err(Broken::TimedOut),
    }
}

/// A new connection to a backend that is still listed when it stands. When it is not, the
/// next choice needs the table that says so.
async fn connect(worker: &Rc<Worker>, backend: &Arc<LiveBackend>) -> Result<Conn, ConnectError> {
    let connected = worker.pool.connect(backend, worker.shared.config.connect_timeout).await;
    if backend.is_listed() {
        return connected;
    }
    worker.caught_up().await;
    Err(ConnectError::Unlisted)
}

/// The answer, or `None` when neither it nor a piece of the upload came for `limit`.
async fn in_time<T>(answer: impl Future<Output = T>, progress: Option<&Progress>, limit: Duration) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    let mut deadline = Instant::now() + limit;
    loop {
        if let Ok(answer) = timeout_at(deadline, &mut answer).await {
            return Some(answer);
        }
        let moved = progress.map(|progress| progress.last.get() + limit).filter(|moved| *moved > deadline);
        deadline = moved?;
    }
}

// === impl Broken ===

impl Broken {
    /// The rule of this module.
    fn may_repeat(&self, outbound: &Outbound) -> bool {
        match self {
            Self::Unconnected(_) | Self::Unsent { .. } => true,
            Self::MaybeSent { .. } => outbound.is_repeatable(),
            Self::TimedOut | Self::Upload(_) => false,
        }
    }

    pub fn was_reused(&self) -> bool {
        matches!(self, Self::Unsent { reused: true } | Self::MaybeSent { reused: true, .. })
    }
}
