//! Redis' protocol on a session whose writes wait for slaves: the sockets' side.

mod command;
mod frame;
mod request;
mod session;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hasher};
use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use super::farewell;
use super::pump::{Direction, Tally};
use session::{Cut, INBOX, Session};

/// Replies that a client may leave unread before its master is no longer read.
const UNREAD: usize = 64 * 1024;
const PIECE: usize = 32 * 1024;

/// Both ends of a session, and what is between them.
struct Relay<'a, A> {
    client: &'a mut TcpStream,
    master: &'a mut TcpStream,
    tally: &'a Tally<'a>,
    acks: A,
    session: Session,
    /// The client has said its last.
    ended: bool,
    /// The master was told so.
    told: bool,
}

/// Passes requests and replies on until one side closes. `acks` tells how many slaves have to
/// have a write at this moment.
///
/// # Errors
/// A failed read or write of either side, or what makes it impossible to tell whether a write
/// may be acknowledged. The session must be reset then.
pub(super) async fn join(
    client: &mut TcpStream,
    master: &mut TcpStream,
    tally: &Tally<'_>,
    acks: impl Fn() -> Option<u32>,
) -> io::Result<()> {
    let mut relay = Relay { client, master, tally, acks, session: Session::new(mark()), ended: false, told: false };
    while relay.turn().await? {}
    Ok(())
}

/// Nothing that a client could guess.
fn mark() -> String {
    let random = || std::hash::RandomState::new().build_hasher().finish();
    format!("dotcloud-{:016x}{:016x}", random(), random())
}

impl<A: Fn() -> Option<u32>> Relay<'_, A> {
    /// One round of reading and writing; false when the session is over.
    async fn turn(&mut self) -> io::Result<bool> {
        // What was sent makes room for more of what is here already.
        loop {
            self.session.requests((self.acks)()).map_err(cut)?;
            if write(self.master, &mut self.session.to_server)? == 0 {
                break;
            }
        }
        let sent = write(self.client, &mut self.session.to_client)?;
        if sent > 0 {
            self.tally.passed(Direction::ToClient, sent);
        }
        if self.session.to_client.is_empty() && self.session.is_closing() {
            farewell::linger(self.client).await;
            return Ok(false);
        }
        if self.ended && !self.told && self.session.to_server.is_empty() && self.session.may_end() {
            // It closes when it has answered all that it answers a client that left.
            self.master.shutdown().await?;
            self.told = true;
        }
        // Both ends may always be ready; other sessions of the thread get their turn.
        tokio::task::coop::consume_budget().await;
        self.wait().await
    }

    async fn wait(&mut self) -> io::Result<bool> {
        let reads_client = !self.ended && self.session.inbox.len() < INBOX;
        let of_client = interest(reads_client, !self.session.to_client.is_empty());
        let of_master = interest(self.session.to_client.len() < UNREAD, !self.session.to_server.is_empty());
        tokio::select! {
            ready = ready(self.client, of_client) => {
                if ready?.is_readable() && reads_client {
                    self.hear_client()?;
                }
                Ok(true)
            }
            ready = ready(self.master, of_master) => {
                if ready?.is_readable() {
                    return self.hear_master().await;
                }
                Ok(true)
            }
        }
    }

    fn hear_client(&mut self) -> io::Result<()> {
        let inbox = &mut self.session.inbox;
        inbox.reserve(PIECE);
        match self.client.try_read_buf(inbox) {
            Ok(0) => self.ended = true,
            Ok(count) => self.tally.passed(Direction::ToMaster, count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn hear_master(&mut self) -> io::Result<bool> {
        match self.read_master() {
            // What was held back was not acknowledged.
            Ok(0) if self.session.owes() => Err(io::ErrorKind::ConnectionReset.into()),
            Ok(0) => {
                self.flush().await?;
                farewell::linger(self.client).await;
                Ok(false)
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn read_master(&mut self) -> io::Result<usize> {
        let mut piece = [0; PIECE];
        let count = self.master.try_read(&mut piece)?;
        self.session.replies(&piece[..count], (self.acks)()).map_err(cut)?;
        Ok(count)
    }

    /// What may be told is told.
    async fn flush(&mut self) -> io::Result<()> {
        let rest = self.session.to_client.split();
        self.client.write_all(&rest).await?;
        self.tally.passed(Direction::ToClient, rest.len());
        Ok(())
    }
}

fn cut(why: Cut) -> io::Error {
    tracing::warn!(%why, "a session is reset, so that nothing is acknowledged wrongly");
    io::Error::other(why)
}

fn interest(reads: bool, writes: bool) -> Option<Interest> {
    match (reads, writes) {
        (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
        (true, false) => Some(Interest::READABLE),
        (false, true) => Some(Interest::WRITABLE),
        (false, false) => None,
    }
}

async fn ready(stream: &TcpStream, interest: Option<Interest>) -> io::Result<tokio::io::Ready> {
    match interest {
        Some(interest) => stream.ready(interest).await,
        None => std::future::pending().await,
    }
}

/// Writes what the socket takes now.
fn write(stream: &TcpStream, bytes: &mut BytesMut) -> io::Result<usize> {
    let mut written = 0;
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(count) => {
                bytes.advance(count);
                written += count;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
