//! The held connection to one server process: requests in, events out, one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::failover::dialect::{MemberReport, Motion, Reply, RoleChange, ServerCommand};
use crate::failover::{Event, Miss, Moment, Server};

use super::effort;
use super::held::{Door, Failure, Held};

#[derive(Debug, Clone)]
pub(super) enum Request {
    Ping,
    Ask(Moment),
    Command(RoleChange),
    Carry(Motion),
}

pub(super) struct Link {
    pub server: Server,
    pub door: Door,
    /// For telling a busy server from a hung one, where its process is visible.
    pub pid: Option<u32>,
    pub answer_within: Duration,
    /// The container's limit in bytes; zero when it is not known.
    pub memory: Arc<AtomicU64>,
    pub events: mpsc::UnboundedSender<Event>,
}

impl Link {
    /// Serves requests until nobody can send any.
    pub async fn run(self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let (mut held, mut tuned, mut used) = (Held::new(self.door.clone()), 0, 0);
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
    async fn tune(&self, held: &mut Held, tuned: &mut u64, used: u64) {
        let memory = self.memory.load(Ordering::Relaxed);
        let (Some(connection), true) = (held.idle(), memory != *tuned) else { return };
        let statements = self.door.dialect.tune_holding(memory, used);
        let asked = connection.round_trip(&statements);
        match tokio::time::timeout(self.answer_within * self.door.dialect.patience(), asked).await {
            Ok(Ok(replies)) => match replies.into_iter().find(|reply| matches!(reply, Reply::Error(_))) {
                Some(Reply::Error(error)) => tracing::info!(%error, "a server does not take its memory limit in"),
                _ => *tuned = memory,
            },
            // What an interrupted connection would say next is not what it is asked then.
            _ => held.drop_connection(),
        }
    }

    async fn serve(&self, held: &mut Held, request: Request) -> Vec<Event> {
        let (server, commands) = (self.server, self.commands(&request));
        let patient = matches!(request, Request::Command(_) | Request::Carry(_));
        let patience = if patient { self.door.dialect.patience() } else { 1 };
        let outcome = match (&request, commands.as_slice()) {
            (Request::Ping, [ping]) => held.ping(ping, self.answer_within).await.map(|()| Vec::new()),
            _ => held.exchange(&commands, self.answer_within * patience).await,
        };
        if outcome.is_err() && patient {
            held.drop_connection();
        }
        match (request, outcome) {
            (Request::Ping, Ok(_) | Err(Failure::Login(_))) => vec![Event::Answered(server)],
            (Request::Ask(asked), Ok(replies)) => vec![match self.door.dialect.read(&replies) {
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
            Request::Ping => vec![self.door.dialect.ping()],
            Request::Ask(_) => self.door.dialect.probe(),
            Request::Command(change) => {
                let mut commands = self.door.dialect.commands(*change, &self.door.password);
                commands.extend(self.door.dialect.probe());
                commands
            }
            Request::Carry(motion) => self.door.dialect.carry(motion, &self.door.password),
        }
    }

    fn outcome(&self, replies: &[Reply]) -> Result<MemberReport, String> {
        refused(replies)?;
        self.door.dialect.read(replies).map_err(|error| error.to_string())
    }

    fn miss(&self, failure: &Failure) -> Option<Event> {
        let how = match failure {
            Failure::Broken => Miss::Refused,
            Failure::TimedOut { starved } => Miss::Silent { busy: *starved || self.pid.is_some_and(effort::busy) },
            Failure::Login(_) => return None,
        };
        Some(Event::Missed(self.server, how))
    }
}

/// The first error among the replies.
fn refused(replies: &[Reply]) -> Result<(), String> {
    match replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
        Some(Reply::Error(error)) => Err(error.clone()),
        _ => Ok(()),
    }
}
