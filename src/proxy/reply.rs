//! The body that goes back to the client: a page of ours, or a backend's answer, streamed.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::backend::RequestGuard;
use super::pool::Conn;
use super::worker::Worker;

/// A response body. While a streamed one lives, its request counts as in flight.
pub(super) enum Reply {
    Page(Option<Bytes>),
    Streamed { body: Incoming, lease: Option<Lease> },
}

/// What a streamed answer holds until its last byte was read.
pub(super) struct Lease {
    pub guard: RequestGuard,
    pub conn: Conn,
    pub worker: Rc<Worker>,
}

impl Reply {
    pub fn empty() -> Self {
        Self::Page(None)
    }

    pub fn page(text: String) -> Self {
        Self::Page(Some(text.into()))
    }

    /// The connection goes back to the pool when the body ends; it is closed when the body
    /// is dropped before that.
    pub fn streamed(body: Incoming, lease: Lease) -> Self {
        Self::Streamed { body, lease: Some(lease) }
    }
}

impl Lease {
    fn release(self) {
        self.worker.pool.put(self.guard.backend(), self.conn);
    }

    /// The backend broke off in the middle; the client sees its connection close.
    fn broken(self) {
        self.guard.backend().counts.of(self.worker.index).failures.add(1);
        self.guard.backend().service.counts.of(self.worker.index).failures.add(1);
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Page(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed { body, lease } => {
                let polled = Pin::new(body).poll_frame(cx);
                let ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
                match (ended.then(|| lease.take()).flatten(), &polled) {
                    (Some(lease), Poll::Ready(None)) => lease.release(),
                    (Some(lease), _) => lease.broken(),
                    (None, _) => {}
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Page(bytes) => bytes.is_none(),
            Self::Streamed { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Page(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Streamed { body, .. } => body.size_hint(),
        }
    }
}

impl Drop for Reply {
    /// hyper does not poll a body again that says it has ended.
    fn drop(&mut self) {
        if let Self::Streamed { body, lease } = self
            && body.is_end_stream()
            && let Some(lease) = lease.take()
        {
            lease.release();
        }
    }
}
