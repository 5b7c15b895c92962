//! Starts the daemon when none answers, and makes way for a newer one.

use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::Method;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::{Client, ClientError, Result};
use crate::api::home::Home;
use crate::api::types::Version;

/// The exit code of a daemon that finds another one running for its home.
pub const GAVE_WAY: u8 = 75;
/// How long a daemon may take from its start to its first answer.
const DEADLINE: Duration = Duration::from_secs(15);
/// Between two looks at the socket.
const POLL: Duration = Duration::from_millis(10);
/// After a daemon gave way to another one that does not answer either (it was just ending), a
/// new one is started.
const RETRY: Duration = Duration::from_millis(500);
const LOG_LINES: usize = 8;
/// Bytes of the log that are looked at.
const LONGEST_TAIL: u64 = 16 * 1024;
/// Begins the line in which a daemon that cannot start says why.
pub const LAST_WORDS: &str = "Error: ";

impl Client {
    /// Makes sure, once, that a daemon answers which is no older than this program. An older one
    /// is asked to end (what it does for the applications is on disk) and a new one is started.
    /// Every request does this first; `None` for a client that takes any daemon.
    ///
    /// # Errors
    /// None answers, and the one that was started does not either.
    pub async fn ready(&self) -> Result<Option<&Version>> {
        let Some(ready) = &self.ready else { return Ok(None) };
        let any = Self { home: self.home.clone(), start: self.start, ready: None };
        ready.get_or_try_init(|| Box::pin(any.replace_older())).await.map(Some)
    }

    /// The daemon that runs, whatever its age.
    pub async fn version(&self) -> Result<Version> {
        self.ask(Method::GET, "/v1/version").await
    }

    async fn replace_older(&self) -> Result<Version> {
        let running = self.version().await?;
        if !Version::of_this_program().is_newer_than(&running) {
            return Ok(running);
        }
        self.shutdown().await?;
        self.version().await
    }

    /// Ends the daemon; returns when its socket is gone. The applications' containers stay.
    pub async fn shutdown(&self) -> Result<()> {
        self.order(Method::POST, "/v1/shutdown", None::<&()>).await?;
        let (socket, deadline, log) = (self.home.socket(), Instant::now() + DEADLINE, Log::from_here(&self.home));
        while UnixStream::connect(&socket).await.is_ok() {
            if Instant::now() >= deadline {
                return Err(no_answer(&log));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

/// Starts a daemon and returns when one answers: of two that start at once, one gives way to
/// the other.
pub(super) async fn start(home: &Home) -> Result<()> {
    let log = Log::from_here(home);
    let mut child = spawn(home).map_err(|source| ClientError::Start { source })?;
    let (asking, began) = (Client::passive(home.clone()), Instant::now());
    let mut gave_way: Option<Instant> = None;
    while began.elapsed() < DEADLINE {
        // Its socket is there before it answers; when it fails meanwhile, the connection breaks.
        let left = DEADLINE.saturating_sub(began.elapsed());
        if let Ok(Ok(_)) = tokio::time::timeout(left, asking.version()).await {
            return Ok(());
        }
        match (child.try_wait(), gave_way) {
            (Ok(Some(status)), _) if status.code() != Some(i32::from(GAVE_WAY)) => {
                return Err(log.died());
            }
            (Ok(Some(_)), None) => gave_way = Some(Instant::now()),
            (Ok(Some(_)), Some(at)) if at.elapsed() >= RETRY => {
                child = spawn(home).map_err(|source| ClientError::Start { source })?;
                gave_way = None;
            }
            _ => {}
        }
        tokio::time::sleep(POLL).await;
    }
    Err(no_answer(&log))
}

fn no_answer(log: &Log) -> ClientError {
    ClientError::NoAnswer { seconds: DEADLINE.as_secs(), log: log.tail() }
}

/// This program as a daemon, in a session of its own: it outlives the terminal.
fn spawn(home: &Home) -> io::Result<Child> {
    home.make_private()?;
    let log = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(home.log())?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("daemon").env("DOTCLOUD_HOME", home.dir()).current_dir(home.dir());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // SAFETY: between fork and exec only setsid(2) is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    command.spawn()
}

/// What a daemon writes from now on.
struct Log {
    path: PathBuf,
    from: u64,
}

impl Log {
    fn from_here(home: &Home) -> Self {
        let path = home.log();
        let from = std::fs::metadata(&path).map_or(0, |file| file.len());
        Self { path, from }
    }

    /// Its last lines.
    fn tail(&self) -> Vec<String> {
        let text = self.read().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(|line| (*line).to_owned()).collect()
    }

    fn read(&self) -> io::Result<String> {
        let mut file = std::fs::File::open(&self.path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(self.from.max(length.saturating_sub(LONGEST_TAIL))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Why a daemon ended: it says so in its last words.
    fn died(&self) -> ClientError {
        let log = self.tail();
        let reason = log.iter().rev().find_map(|line| line.strip_prefix(LAST_WORDS));
        ClientError::Died { reason: reason.unwrap_or("it says no reason").to_owned(), log: log.clone() }
    }
}
