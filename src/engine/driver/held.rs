//! A server's connection, held between requests, with at most one question on its way.
//!
//! A question whose time is over stays on its way for a while: on a machine that starves everybody
//! a login takes longer than an answer may, and one that is begun anew each time never succeeds.
//! Such a server would look hung for ever.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::failover::dialect::{Dialect, Reply, ServerCommand};

use super::connection::{ConnectError, Connection};

/// A time-out that is noticed so much after its time says that we did not run ourselves.
const STARVED: Duration = Duration::from_millis(50);
/// After so long an answer is no longer waited for, and the next question is asked on a new connection.
const KEPT: Duration = Duration::from_secs(2);

/// Where a server is, and how one logs in.
#[derive(Clone)]
pub(super) struct Door {
    pub addr: SocketAddr,
    pub dialect: &'static dyn Dialect,
    pub password: String,
}

pub(super) struct Held {
    door: Door,
    line: Line,
}

enum Line {
    Free(Option<Connection>),
    Asked { since: Instant, answer: BoxFuture<'static, Answer> },
}

/// The connection, if it can still be used, and what the server said.
type Answer = (Option<Connection>, Result<Vec<Reply>, Failure>);

/// Why there is no answer.
pub(super) enum Failure {
    Broken,
    /// `starved`: our own time-out came late, so that the answer's absence says little.
    TimedOut {
        starved: bool,
    },
    /// The login was refused, in the server's words.
    Login(String),
}

// === impl Held ===

impl Held {
    pub fn new(door: Door) -> Self {
        Self { door, line: Line::Free(None) }
    }

    /// Whether there is any answer within `limit`; one to an earlier question will do.
    pub async fn ping(&mut self, command: &ServerCommand, limit: Duration) -> Result<(), Failure> {
        let due = Instant::now() + limit;
        match self.heard(due).await? {
            Some(Ok(_)) => Ok(()),
            _ => self.ask(std::slice::from_ref(command), due).await.map(drop),
        }
    }

    /// One reply for each command within `limit`, over the held connection or a new one.
    pub async fn exchange(&mut self, commands: &[ServerCommand], limit: Duration) -> Result<Vec<Reply>, Failure> {
        let due = Instant::now() + limit;
        self.heard(due).await?;
        self.ask(commands, due).await
    }

    /// Nothing that is on its way is waited for any more.
    pub fn drop_connection(&mut self) {
        self.line = Line::Free(None);
    }

    /// The idle connection, if there is one.
    pub fn idle(&mut self) -> Option<&mut Connection> {
        match &mut self.line {
            Line::Free(connection) => connection.as_mut(),
            Line::Asked { .. } => None,
        }
    }

    /// What came of the question that is on its way, if there is one.
    async fn heard(&mut self, due: Instant) -> Result<Option<Result<Vec<Reply>, Failure>>, Failure> {
        let Line::Asked { since, answer } = &mut self.line else { return Ok(None) };
        let given_up = *since + KEPT;
        match timeout_at(due, answer).await {
            Ok((connection, outcome)) => {
                self.line = Line::Free(connection);
                Ok(Some(outcome))
            }
            Err(_) => {
                if Instant::now() >= given_up {
                    self.drop_connection();
                }
                Err(Failure::late(due))
            }
        }
    }

    async fn ask(&mut self, commands: &[ServerCommand], due: Instant) -> Result<Vec<Reply>, Failure> {
        let held = match std::mem::replace(&mut self.line, Line::Free(None)) {
            Line::Free(held) => held,
            Line::Asked { .. } => None,
        };
        let answer = Box::pin(round_trip(self.door.clone(), held, commands.to_vec()));
        self.line = Line::Asked { since: Instant::now(), answer };
        self.heard(due).await?.unwrap_or(Err(Failure::Broken))
    }
}

/// A held connection that turns out broken is replaced once.
async fn round_trip(door: Door, held: Option<Connection>, commands: Vec<ServerCommand>) -> Answer {
    if let Some(mut connection) = held
        && let Ok(replies) = connection.round_trip(&commands).await
    {
        return (Some(connection), Ok(replies));
    }
    match Connection::open(door.addr, door.dialect, &door.password).await {
        Ok(mut connection) => match connection.round_trip(&commands).await {
            Ok(replies) => (Some(connection), Ok(replies)),
            Err(_) => (None, Err(Failure::Broken)),
        },
        Err(error) => (None, Err(error.into())),
    }
}

// === impl Failure ===

impl Failure {
    fn late(due: Instant) -> Self {
        Self::TimedOut { starved: due.elapsed() > STARVED }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Broken => Self::Broken,
            ConnectError::Login(error) => Self::Login(format!("refuses the login: {error}")),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken => f.write_str("the connection broke"),
            Self::TimedOut { .. } => f.write_str("no answer in time"),
            Self::Login(error) => f.write_str(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::dialect;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_secs(30);

    /// A server that says `+OK` to whatever it reads, once for each permit, and who is connected.
    async fn server(answers: Arc<Semaphore>) -> (Held, Arc<Semaphore>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, connections) = (listener.local_addr().unwrap(), Arc::new(Semaphore::new(0)));
        let connected = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connected.add_permits(1);
                let answers = answers.clone();
                tokio::spawn(async move {
                    let mut read = [0; 1024];
                    while stream.read(&mut read).await.is_ok_and(|bytes| bytes > 0) {
                        answers.acquire().await.unwrap().forget();
                        stream.write_all(b"+OK\r\n").await.unwrap();
                    }
                });
            }
        });
        let door = Door { addr, dialect: dialect::of("redis").unwrap(), password: "secret".to_owned() };
        (Held::new(door), connections)
    }

    fn ping() -> ServerCommand {
        dialect::of("redis").unwrap().ping()
    }

    #[tokio::test]
    async fn a_login_that_takes_longer_than_an_answer_may_succeeds_nevertheless() {
        let answers = Arc::new(Semaphore::new(0));
        let (mut held, connections) = server(answers.clone()).await;
        for _ in 0..3 {
            assert!(matches!(held.ping(&ping(), SOON).await, Err(Failure::TimedOut { .. })));
        }
        // One for the login, one for the question.
        answers.add_permits(2);
        assert!(held.ping(&ping(), LATE).await.is_ok());
        assert_eq!(connections.available_permits(), 1, "it is still the first connection");
    }

    #[tokio::test]
    async fn a_late_answer_is_none_to_a_later_question() {
        let answers = Arc::new(Semaphore::new(2));
        let (mut held, connections) = server(answers.clone()).await;
        assert!(held.ping(&ping(), LATE).await.is_ok());
        assert!(held.exchange(&[ping()], SOON).await.is_err());
        answers.add_permits(1);
        assert!(held.exchange(&[ping()], SOON).await.is_err(), "the one answer belongs to the first question");
        answers.add_permits(1);
        assert_eq!(held.exchange(&[], LATE).await.map(|replies| replies.len()).ok(), Some(0));
        assert_eq!(connections.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_does_not_answer_for_long_is_asked_over_a_new_connection() {
        let (mut held, connections) = server(Arc::new(Semaphore::new(0))).await;
        while connections.available_permits() < 2 {
            assert!(held.ping(&ping(), SOON).await.is_err());
        }
    }
}
