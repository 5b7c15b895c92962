//! Bytes from one TCP connection to another: small copies, and `splice` for bulk data.

use std::cell::Cell;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::tcp::{Passed, TcpFront};

/// Small copies are best for the small messages of databases.
const BUFFER: usize = 8 * 1024;
/// After so many full buffers in a row, data moves through the kernel alone.
#[cfg(target_os = "linux")]
const FULL_READS: u32 = 16;
#[cfg(target_os = "linux")]
const PIPE: usize = 256 * 1024;

/// Counts one session's bytes, and sees its first answer.
pub(super) struct Tally<'a> {
    front: &'a TcpFront,
    thread: usize,
    epoch: u64,
    session: &'a Passed,
    stage: Cell<Stage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Silent,
    Asked,
    Answered,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    ToMaster,
    ToClient,
}

/// Copies both ways until both sides have closed.
///
/// # Errors
/// The first failed read or write of either side.
pub(super) async fn join(client: &mut TcpStream, master: &mut TcpStream, tally: &Tally<'_>) -> io::Result<()> {
    let (from_client, to_client) = client.split();
    let (from_master, to_master) = master.split();
    tokio::try_join!(
        one_way(from_client, to_master, tally, Direction::ToMaster),
        one_way(from_master, to_client, tally, Direction::ToClient),
    )?;
    Ok(())
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    tally: &Tally<'_>,
    direction: Direction,
) -> io::Result<()> {
    let mut buffer = vec![0_u8; BUFFER];
    let mut full_reads = 0;
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        to.write_all(&buffer[..count]).await?;
        tally.passed(direction, count);
        full_reads = if count == BUFFER { full_reads + 1 } else { 0 };
        #[cfg(target_os = "linux")]
        if full_reads >= FULL_READS {
            full_reads = 0;
            bulk(from.as_ref(), to.as_ref(), tally, direction).await?;
        }
    }
    to.shutdown().await
}

/// Moves data without copying it to this process, as long as much comes at a time. Returns
/// to the copying also at the end of the stream, which that then reads.
#[cfg(target_os = "linux")]
async fn bulk(from: &TcpStream, to: &TcpStream, tally: &Tally<'_>, direction: Direction) -> io::Result<()> {
    use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
    use tokio::io::Interest;

    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    let Ok((outlet, inlet)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else { return Ok(()) };
    // A pipe of the default size works as well, only slower.
    let _ = fcntl_setpipe_size(&inlet, PIPE);
    loop {
        let fill = || splice(from, None, &inlet, None, PIPE, flags).map_err(io::Error::from);
        let filled = from.async_io(Interest::READABLE, fill).await?;
        let mut left = filled;
        while left > 0 {
            let empty = || splice(&outlet, None, to, None, left, flags).map_err(io::Error::from);
            let emptied = to.async_io(Interest::WRITABLE, empty).await?;
            tally.passed(direction, emptied);
            left -= emptied;
        }
        if filled < BUFFER {
            return Ok(());
        }
    }
}

// === impl Tally ===

impl<'a> Tally<'a> {
    pub fn new(front: &'a TcpFront, thread: usize, epoch: u64, session: &'a Passed) -> Self {
        Self { front, thread, epoch, session, stage: Cell::new(Stage::Silent) }
    }

    pub fn passed(&self, direction: Direction, count: usize) {
        let counts = self.front.counts.of(self.thread);
        match (direction, self.stage.get()) {
            (Direction::ToMaster, Stage::Silent) => self.stage.set(Stage::Asked),
            (Direction::ToClient, Stage::Asked) => {
                self.stage.set(Stage::Answered);
                self.front.answered(self.epoch);
            }
            _ => {}
        }
        match direction {
            Direction::ToMaster => {
                counts.to_master.add(count as u64);
                self.session.to_master.update(|sum| sum + count as u64);
            }
            Direction::ToClient => {
                counts.to_client.add(count as u64);
                self.session.to_client.update(|sum| sum + count as u64);
            }
        }
    }
}
