//! Sends the updates of a race, each exactly once, and reads the counter before and after.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::timeout;

use crate::race::{Outcome, Verdict};

use super::connection::{Answer, Connection, Failure, Target};

/// How long to wait before a failed *read* of the counter is asked again.
const READ_AGAIN: Duration = Duration::from_millis(50);

/// One burst of updates.
#[derive(Debug, Clone)]
pub struct Load {
    pub target: Target,
    /// Path and query of the update.
    pub path: String,
    pub requests: u64,
    pub concurrency: usize,
    /// For one request, connecting included.
    pub patience: Duration,
    /// Makes `X-Request-Id: <run>-<number>` unique between races.
    pub run: String,
}

/// Why the counter could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("no answer from {addr} within {} ms", patience.as_millis())]
    Silent { addr: SocketAddr, patience: Duration },
    #[error("GET {path} answered {status}: {body}")]
    Status { path: String, status: StatusCode, body: String },
    #[error("GET {path} answered no counter value: expected a number or {{\"value\": number}}, found {body:?}")]
    NoValue { path: String, body: String },
}

/// Asks for the counter's value until it is answered or `patience` is over. Reading is safe
/// to repeat, and a failover may be under way.
///
/// # Errors
/// The last failure when time is over; at once when an answer holds no value.
pub async fn read_value(target: &Target, path: &str, patience: Duration) -> Result<i64, ReadError> {
    let mut failure = ReadError::Silent { addr: target.addr, patience };
    let asking = async {
        loop {
            let mut connection = Connection::new(target);
            match connection.send(Method::GET, path, "").await {
                Ok(answer) if answer.status.is_success() => return counter(&answer, path),
                Ok(answer) if answer.status.is_client_error() => return Err(refused(&answer, path)),
                Ok(answer) => failure = refused(&answer, path),
                Err(_) => {}
            }
            tokio::time::sleep(READ_AGAIN).await;
        }
    };
    match timeout(patience, asking).await {
        Ok(result) => result,
        Err(_) => Err(failure),
    }
}

/// Sends all updates and waits for what becomes of each. The outcomes come in the order of
/// their request numbers.
pub async fn fire(load: &Load, done: Arc<AtomicU64>) -> Vec<Outcome> {
    let next = Arc::new(AtomicU64::new(0));
    let clients = (0..load.concurrency.max(1)).map(|_| {
        let (load, next, done) = (load.clone(), Arc::clone(&next), Arc::clone(&done));
        tokio::spawn(client(load, next, done))
    });
    let clients: Vec<_> = clients.collect();
    let mut outcomes = Vec::new();
    for client in clients {
        outcomes.extend(client.await.unwrap_or_default());
    }
    outcomes.sort_by_key(|outcome: &Outcome| outcome.request);
    outcomes
}

/// One of the concurrent clients: takes the next number until none is left.
async fn client(load: Load, next: Arc<AtomicU64>, done: Arc<AtomicU64>) -> Vec<Outcome> {
    let mut connection = Connection::new(&load.target);
    let mut outcomes = Vec::new();
    loop {
        let request = next.fetch_add(1, Ordering::Relaxed);
        if request >= load.requests {
            return outcomes;
        }
        let id = format!("{}-{request}", load.run);
        let sent = timeout(load.patience, connection.send(Method::POST, &load.path, &id)).await;
        outcomes.push(match sent {
            Ok(Ok(answer)) => outcome(&answer, request),
            Ok(Err(failure)) => Outcome { request, verdict: verdict(failure), answered_by: None, value: None },
            Err(_) => {
                connection.close();
                let why = format!("no answer within {} ms", load.patience.as_millis());
                Outcome { request, verdict: Verdict::Unknown { why }, answered_by: None, value: None }
            }
        });
        done.fetch_add(1, Ordering::Relaxed);
    }
}

fn verdict(failure: Failure) -> Verdict {
    match failure {
        Failure::NotSent(why) => Verdict::Refused { why },
        Failure::Lost(why) => Verdict::Unknown { why },
    }
}

fn outcome(answer: &Answer, request: u64) -> Outcome {
    let why = || answer.status.to_string();
    let verdict = match answer.status {
        status if status.is_success() => Verdict::Acknowledged,
        status if status.is_client_error() => Verdict::Refused { why: why() },
        _ => Verdict::Unknown { why: why() },
    };
    Outcome { request, verdict, answered_by: answer.answered_by(), value: answer.value() }
}

fn counter(answer: &Answer, path: &str) -> Result<i64, ReadError> {
    answer.value().ok_or_else(|| ReadError::NoValue { path: path.to_owned(), body: excerpt(answer) })
}

fn refused(answer: &Answer, path: &str) -> ReadError {
    ReadError::Status { path: path.to_owned(), status: answer.status, body: excerpt(answer) }
}

fn excerpt(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).chars().take(200).collect()
}

#[cfg(test)]
#[path = "load_test.rs"]
mod tests;
