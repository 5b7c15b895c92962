//! Failed attempts to ask the daemon.

use std::io;
use std::path::PathBuf;

use crate::api::types::ErrorKind;

/// Why a question was not answered. Causes are only in `source`.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot connect to the daemon at {}", socket.display())]
    Connect {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start the daemon")]
    Start {
        #[source]
        source: io::Error,
    },
    /// It was started and ended; `log` is the end of its log.
    #[error("the daemon cannot start: {reason}")]
    Died { reason: String, log: Vec<String> },
    #[error("the daemon did not answer within {seconds} s")]
    NoAnswer { seconds: u64, log: Vec<String> },
    #[error("cannot compose the request {path}")]
    Compose {
        path: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection to the daemon was lost")]
    Lost {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot read the daemon's answer")]
    Decode {
        #[source]
        source: serde_json::Error,
    },
    /// Answered, with no.
    #[error("{}", .0.description)]
    Refused(Refusal),
}

/// An answer outside 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub kind: Option<ErrorKind>,
    pub description: String,
    /// The request's id, which the daemon's log carries too.
    pub trace: Option<String>,
}

impl ClientError {
    pub(super) fn lost(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Lost { source: source.into() }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(Refusal { status: 404, .. }))
    }

    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(Refusal { status: 409, .. }))
    }
}
