//! A client's request body on its way to a backend: counted, limited, its progress seen.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

/// The body that hyper sends to the backend.
pub(super) enum Upload {
    Empty,
    Streamed { body: Incoming, left: u64, progress: Rc<Progress> },
}

/// What the request's owner sees of the body that hyper holds.
#[derive(Debug)]
pub(super) struct Progress {
    /// When the last piece went by: an upload is not a silence.
    pub last: Cell<Instant>,
    pub fate: Cell<Fate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Flowing,
    /// More than the limit came.
    TooLarge,
    /// The client went away.
    Broken,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("the request body is larger than the proxy allows")]
    TooLarge,
    #[error("the client stopped sending")]
    Client(#[source] hyper::Error),
}

impl Upload {
    /// The body and the view on it; `limit` is in bytes.
    pub fn new(body: Incoming, limit: u64) -> (Self, Option<Rc<Progress>>) {
        if body.is_end_stream() {
            return (Self::Empty, None);
        }
        let progress = Rc::new(Progress { last: Cell::new(Instant::now()), fate: Cell::new(Fate::Flowing) });
        (Self::Streamed { body, left: limit, progress: Rc::clone(&progress) }, Some(progress))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Self::Streamed { body, left, progress } = self.get_mut() else { return Poll::Ready(None) };
        let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else { return Poll::Ready(None) };
        progress.last.set(Instant::now());
        let frame = frame.map_err(|error| {
            progress.fate.set(Fate::Broken);
            UploadError::Client(error)
        })?;
        let size = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(rest) = left.checked_sub(size) else {
            progress.fate.set(Fate::TooLarge);
            return Poll::Ready(Some(Err(UploadError::TooLarge)));
        };
        *left = rest;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streamed { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed { body, .. } => body.size_hint(),
        }
    }
}
