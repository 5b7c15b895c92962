//! The socket to a backend: driven by hyper, and still open to one question from the pool.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::net::TcpStream;

/// A handle on one socket. hyper's connection task holds one clone and does all the work;
/// the lock is never contended, because both live on one thread.
#[derive(Clone)]
pub(super) struct Link(Arc<Mutex<TokioIo<TcpStream>>>);

impl Link {
    pub fn new(stream: TcpStream) -> Self {
        Self(Arc::new(Mutex::new(TokioIo::new(stream))))
    }

    /// True when the backend has neither closed the connection nor said anything on it.
    /// Asks the kernel: the runtime may not have seen yet what arrived a moment ago, and a
    /// request that must not be sent twice must not go out on a closed connection.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0_u8; 1];
        let peeked = rustix::net::recv(self.lock().inner(), &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(peeked, Err(Errno::AGAIN))
    }

    fn lock(&self) -> MutexGuard<'_, TokioIo<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buf)
    }
}

impl Write for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// No await between the peer's act and the question: the runtime cannot have seen it.
    #[tokio::test]
    async fn a_peers_close_or_word_is_seen_before_the_runtime_sees_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        for closes in [true, false] {
            let link = Link::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (mut peer, _) = listener.accept().unwrap();
            assert!(link.is_quiet());
            if closes {
                drop(peer);
            } else {
                peer.write_all(b"HTTP/1.1 408 Request Timeout\r\n").unwrap();
            }
            assert!(!link.is_quiet());
        }
    }
}
