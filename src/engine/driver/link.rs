//! The held connection to one server process: requests in, events out, one at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::failover::dialect::{Dialect, MemberReport, Motion, Reply, RoleChange, ServerCommand};
use crate::failover::{Event, Miss, Moment, Server};

use super::connection::{ConnectError, Connection};
use super::effort;

/// A time-out that is noticed so much after its time says that we did not run ourselves.
const STARVED: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
pub(super) enum Request {
    Ping,
    Ask(Moment),
    Command(RoleChange),
    Carry(Motion),
}

pub(super) struct Link {
    pub server: Server,
    pub addr: SocketAddr,
    pub password: String,
    pub dialect: &'static dyn Dialect,
    /// For telling a busy server from a hung one, where its process is visible.
    pub pid: Option<u32>,
    pub answer_within: Duration,
    /// The container's limit in bytes; zero when it is not known.
    pub memory: Arc<AtomicU64>,
    pub events: mpsc::UnboundedSender<Event>,
}

/// Why there is no answer.
enum Failure {
    Broken,
    /// `starved`: our own time-out came late, so that the answer's absence says little.
    TimedOut {
        starved: bool,
    },
    /// The login was refused, in the server's words.
    Login(String),
}

impl Link {
    /// Serves requests until nobody can send any.
    pub async fn run(self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let (mut held, mut tuned, mut used) = (None, 0, 0);
        while let Some(request) = requests.recv().await {
            let asked = matches!(request, Request::Ask(_));
            for event in self.serve(&mut held, request).await {
                if let Event::Reported { report, .. } = &event {
                    used = report.used_memory.unwrap_or_default();
                }
                if self.events.send(event).is_err() {
                    return;
                }
            }
            if asked {
                self.tune(&mut held, &mut tuned, used).await;
            }
        }
    }

    /// Makes the server use the memory it has. Whatever fails is tried after the next report.
    async fn tune(&self, held: &mut Option<Connection>, tuned: &mut u64, used: u64) {
        let memory = self.memory.load(Ordering::Relaxed);
        let (Some(connection), true) = (held.as_mut(), memory != *tuned) else { return };
        let statements = self.dialect.tune_holding(memory, used);
        let asked = connection.round_trip(&statements);
        match tokio::time::timeout(self.answer_within * self.dialect.patience(), asked).await {
            Ok(Ok(replies)) => match replies.into_iter().find(|reply| matches!(reply, Reply::Error(_))) {
                Some(Reply::Error(error)) => tracing::info!(%error, "a server does not take its memory limit in"),
                _ => *tuned = memory,
            },
            // What an interrupted connection would say next is not what it is asked then.
            _ => *held = None,
        }
    }

    async fn serve(&self, held: &mut Option<Connection>, request: Request) -> Vec<Event> {
        let server = self.server;
        let commands = self.commands(&request);
        let patient = matches!(request, Request::Command(_) | Request::Carry(_));
        let patience = if patient { self.dialect.patience() } else { 1 };
        let outcome = self.exchange(held, &commands, self.answer_within * patience).await;
        if outcome.is_err() {
            *held = None;
        }
        match (request, outcome) {
            (Request::Ping, Ok(_) | Err(Failure::Login(_))) => vec![Event::Answered(server)],
            (Request::Ask(asked), Ok(replies)) => vec![match self.dialect.read(&replies) {
                Ok(report) => Event::Reported { server, asked, report },
                Err(error) => Event::Complained { server, error: error.to_string() },
            }],
            (Request::Ask(_), Err(Failure::Login(error))) => vec![Event::Complained { server, error }],
            (Request::Command(change), Ok(replies)) => {
                vec![Event::Commanded { server, change, result: self.outcome(&replies) }]
            }
            (Request::Command(change), Err(failure)) => {
                let result = Err(failure.to_string());
                let missed = self.miss(&failure);
                [Event::Commanded { server, change, result }].into_iter().chain(missed).collect()
            }
            (Request::Carry(motion), outcome) => {
                let result = outcome.map_err(|failure| failure.to_string()).and_then(|replies| refused(&replies));
                vec![Event::Carried { server, motion, result }]
            }
            (Request::Ping | Request::Ask(_), Err(failure)) => self.miss(&failure).into_iter().collect(),
        }
    }

    /// A change of role is followed by a report, so that it is known what came of it.
    fn commands(&self, request: &Request) -> Vec<ServerCommand> {
        match request {
            Request::Ping => vec![self.dialect.ping()],
            Request::Ask(_) => self.dialect.probe(),
            Request::Command(change) => {
                let mut commands = self.dialect.commands(*change, &self.password);
                commands.extend(self.dialect.probe());
                commands
            }
            Request::Carry(motion) => self.dialect.carry(motion, &self.password),
        }
    }

    fn outcome(&self, replies: &[Reply]) -> Result<MemberReport, String> {
        refused(replies)?;
        self.dialect.read(replies).map_err(|error| error.to_string())
    }

    fn miss(&self, failure: &Failure) -> Option<Event> {
        let how = match failure {
            Failure::Broken => Miss::Refused,
            Failure::TimedOut { starved } => Miss::Silent { busy: *starved || self.pid.is_some_and(effort::busy) },
            Failure::Login(_) => return None,
        };
        Some(Event::Missed(self.server, how))
    }

    /// One round trip within `limit`, over the held connection or a new one. A held one that
    /// turns out broken is replaced once.
    async fn exchange(
        &self,
        held: &mut Option<Connection>,
        commands: &[ServerCommand],
        limit: Duration,
    ) -> Result<Vec<Reply>, Failure> {
        let attempt = async {
            if let Some(connection) = held.as_mut()
                && let Ok(replies) = connection.round_trip(commands).await
            {
                return Ok(replies);
            }
            *held = None;
            let connection = held.insert(Connection::open(self.addr, self.dialect, &self.password).await?);
            connection.round_trip(commands).await.map_err(|_| Failure::Broken)
        };
        let due = Instant::now() + limit;
        let outcome = timeout_at(due, attempt).await;
        outcome.unwrap_or_else(|_| Err(Failure::TimedOut { starved: due.elapsed() > STARVED }))
    }
}

/// The first error among the replies.
fn refused(replies: &[Reply]) -> Result<(), String> {
    match replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
        Some(Reply::Error(error)) => Err(error.clone()),
        _ => Ok(()),
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
