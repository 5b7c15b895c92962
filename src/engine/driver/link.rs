//! The held connection to one server process: requests in, events out, one at a time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::codec::FramedRead;

use crate::failover::dialect::{Dialect, MemberReport, Reply, RoleChange, ServerCommand};
use crate::failover::{Event, Miss, Moment, Server};

use super::process;
use super::resp::{Resp, wire};

/// Changes of role may take this many times as long as a report.
const COMMAND_PATIENCE: u32 = 3;

#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    Ping,
    Ask(Moment),
    Command(RoleChange),
}

pub(super) struct Link {
    pub server: Server,
    pub addr: SocketAddr,
    pub password: String,
    pub dialect: &'static dyn Dialect,
    /// For telling a busy server from a hung one, where its process is visible.
    pub pid: Option<u32>,
    pub answer_within: Duration,
    pub events: mpsc::UnboundedSender<Event>,
}

/// Why there is no answer.
enum Failure {
    Broken,
    TimedOut,
    /// The login was refused, in the server's words.
    Login(String),
}

type Connection = FramedRead<TcpStream, Resp>;

impl Link {
    /// Serves requests until nobody can send any.
    pub async fn run(self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut held = None;
        while let Some(request) = requests.recv().await {
            for event in self.serve(&mut held, request).await {
                if self.events.send(event).is_err() {
                    return;
                }
            }
        }
    }

    async fn serve(&self, held: &mut Option<Connection>, request: Request) -> Vec<Event> {
        let server = self.server;
        let commands = self.commands(request);
        let patience = if matches!(request, Request::Command(_)) { COMMAND_PATIENCE } else { 1 };
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
            (Request::Ping | Request::Ask(_), Err(failure)) => self.miss(&failure).into_iter().collect(),
        }
    }

    /// A change of role is followed by a report, so that it is known what came of it.
    fn commands(&self, request: Request) -> Vec<ServerCommand> {
        match request {
            Request::Ping => vec![self.dialect.ping()],
            Request::Ask(_) => self.dialect.probe(),
            Request::Command(change) => {
                let mut commands = self.dialect.commands(change);
                commands.extend(self.dialect.probe());
                commands
            }
        }
    }

    fn outcome(&self, replies: &[Reply]) -> Result<MemberReport, String> {
        if let Some(Reply::Error(error)) = replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
            return Err(error.clone());
        }
        self.dialect.read(replies).map_err(|error| error.to_string())
    }

    fn miss(&self, failure: &Failure) -> Option<Event> {
        let how = match failure {
            Failure::Broken => Miss::Refused,
            Failure::TimedOut => Miss::Silent { busy: self.pid.is_some_and(process::busy) },
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
                && let Ok(replies) = round_trip(connection, commands).await
            {
                return Ok(replies);
            }
            let connection = held.insert(self.connect().await.map_err(|_| Failure::Broken)?);
            let login = self.dialect.login(&self.password);
            let replies = round_trip(connection, &login).await.map_err(|_| Failure::Broken)?;
            if let Some(Reply::Error(error)) = replies.into_iter().find(|reply| matches!(reply, Reply::Error(_))) {
                return Err(Failure::Login(format!("refuses the login: {error}")));
            }
            round_trip(connection, commands).await.map_err(|_| Failure::Broken)
        };
        tokio::time::timeout(limit, attempt).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.addr).await?;
        stream.set_nodelay(true)?;
        Ok(FramedRead::new(stream, Resp))
    }
}

/// Sends all commands at once and reads one reply for each.
async fn round_trip(connection: &mut Connection, commands: &[ServerCommand]) -> io::Result<Vec<Reply>> {
    connection.get_mut().write_all(&wire(commands)).await?;
    let mut replies = Vec::with_capacity(commands.len());
    for _ in commands {
        replies.push(connection.next().await.ok_or(io::ErrorKind::UnexpectedEof)??);
    }
    Ok(replies)
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken => f.write_str("the connection broke"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Login(error) => f.write_str(error),
        }
    }
}
