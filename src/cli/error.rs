//! Every way a command can end, in one table, and the error that the user reads.

use crate::api::client::{ClientError, Refusal};
use crate::api::types::ErrorKind;

/// Why a command did not succeed. The exit codes are documented by `dotcloud help exit-codes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Attempted, and failed or was refused.
    Failed,
    /// The command line or its surroundings are wrong; nothing was attempted.
    Usage,
    TimedOut,
    /// The daemon or the Docker engine does not answer.
    Unreachable,
    /// A deployment ran and failed; what was running before still runs.
    DeploymentFailed,
    /// What a database had acknowledged was not there any more.
    WritesLost,
    /// Ended by Ctrl-C or SIGTERM before it was done.
    Interrupted,
}

/// The table of exit codes. `dotcloud run` passes on the code of the command it ran.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done; also when `up`, `watch` or `logs` is ended by Ctrl-C while it follows"),
    (1, "failed or refused"),
    (2, "wrong usage; nothing was attempted"),
    (3, "timed out; the work goes on in the background"),
    (4, "the daemon or the Docker engine does not answer"),
    (5, "the deployment failed; what was running before still runs"),
    (6, "`ledger`: acknowledged writes were lost"),
    (75, "`dotcloud daemon`: another daemon runs for this home"),
    (130, "interrupted"),
];

impl Kind {
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::TimedOut => 3,
            Self::Unreachable => 4,
            Self::DeploymentFailed => 5,
            Self::WritesLost => 6,
            Self::Interrupted => 130,
        }
    }
}

/// What the user reads: the attempt, its causes, and what to do next.
#[derive(Debug)]
pub struct CliError {
    pub kind: Kind,
    pub message: String,
    /// Commands or places to look at, most useful first.
    pub hints: Vec<String>,
    /// The daemon's id of the failed request, printed with `--debug`.
    pub trace: Option<String>,
}

impl CliError {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), trace: None }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A failed attempt with everything that caused it: `cannot write x: permission denied`.
    pub fn because(message: impl Into<String>, cause: &(dyn std::error::Error + 'static)) -> Self {
        Self::failed(format!("{}: {}", message.into(), chain(cause)))
    }
}

/// An error and its causes, outermost first.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Libraries that repeat their cause in their own text are not quoted twice.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let message = chain(&error);
        match error {
            ClientError::Refused(refusal) => refused(refusal),
            ClientError::Died { reason, .. } => unfit(Self::new(Kind::Unreachable, message), &reason),
            ClientError::NoAnswer { log, .. } => {
                let mut error = Self::new(Kind::Unreachable, message);
                error.hints.extend(log.into_iter().map(|line| format!("daemon.log: {line}")));
                error.hint("run `dotcloud daemon` to see it start in the foreground")
            }
            ClientError::Connect { .. } | ClientError::Start { .. } => {
                Self::new(Kind::Unreachable, message).hint("run `dotcloud daemon` to see it start in the foreground")
            }
            ClientError::Lost { .. } => Self::new(Kind::Unreachable, message)
                .hint("the daemon may have been restarted: `dotcloud daemon status`"),
            ClientError::Compose { .. } => Self::usage(message),
            ClientError::Decode { .. } => Self::failed(message).hint(
                "the daemon may be of another version: `dotcloud daemon stop` ends it, the next command starts this one",
            ),
        }
    }
}

/// What to do when the machine is not fit for the daemon.
fn unfit(error: CliError, reason: &str) -> CliError {
    if reason.contains("Docker engine") {
        error
            .hint("start the Docker engine, or set DOCKER_HOST to the one that runs")
            .hint("may this user use it? `docker ps` tells")
    } else if reason.contains("SUN_LEN") {
        error.hint("a socket's path has 107 bytes at most: set DOTCLOUD_HOME to a shorter folder")
    } else {
        error.hint("run `dotcloud daemon` to see it start in the foreground")
    }
}

fn refused(refusal: Refusal) -> CliError {
    let Refusal { kind, description, trace, .. } = refusal;
    let mut error = match kind {
        Some(ErrorKind::Unreachable) => CliError::new(Kind::Unreachable, description)
            .hint("`dotcloud doctor` looks at the Docker engine and says how to mend it"),
        // Of applications and services; what else is missing is said with where it is listed.
        Some(ErrorKind::NotFound) if description.ends_with("does not exist.") => {
            CliError::failed(description).hint("`dotcloud list` shows the applications, `dotcloud info` their services")
        }
        Some(ErrorKind::Failed) => CliError::failed(description).hint("`dotcloud doctor` looks for the usual reasons"),
        _ => CliError::failed(description),
    };
    error.trace = trace;
    error
}
