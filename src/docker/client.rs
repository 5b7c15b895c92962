//! The connection to the engine, and the wording of its failures.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;

use crate::engine::runtime::{Result, RuntimeError};

use super::endpoint::Endpoint;

/// Longer than the longest grace of a `stop`.
const USUAL: Duration = Duration::from_secs(90);
/// Commits and archives of gigabytes answer late.
const PATIENT: Duration = Duration::from_secs(20 * 60);

#[derive(Clone)]
pub(super) struct Client {
    pub docker: Docker,
    /// The same connection for calls that answer only after much work.
    pub patient: Docker,
    pub endpoint: String,
}

impl Client {
    pub async fn connect(endpoint: Endpoint) -> Result<Self> {
        let name = endpoint.to_string();
        let unreachable = |source: Error| RuntimeError::Unreachable { endpoint: name.clone(), source: source.into() };
        let docker = Docker::connect_with_host(&endpoint.host).map_err(unreachable)?;
        let docker = docker.with_timeout(Duration::from_secs(10)).negotiate_version().await.map_err(unreachable)?;
        Ok(Self {
            docker: docker.clone().with_timeout(USUAL),
            patient: docker.with_timeout(PATIENT),
            endpoint: name.clone(),
        })
    }

    /// Words a failure: `.map_err(client.failed("remove container x"))`.
    pub fn failed<A: Into<String>>(&self, attempt: A) -> impl FnOnce(Error) -> RuntimeError + use<A> {
        let (attempt, endpoint) = (attempt.into(), self.endpoint.clone());
        move |source| match &source {
            Error::HyperLegacyError { err } if err.is_connect() => {
                RuntimeError::Unreachable { endpoint, source: source.into() }
            }
            Error::SocketNotFoundError(_) => RuntimeError::Unreachable { endpoint, source: source.into() },
            _ => RuntimeError::Failed { attempt, source: source.into() },
        }
    }

    /// As [`Self::failed`], but what does not exist is `Missing`.
    pub fn failed_on<A: Into<String>>(&self, what: &str, attempt: A) -> impl FnOnce(Error) -> RuntimeError + use<A> {
        let (what, failed) = (what.to_owned(), self.failed(attempt));
        move |source| if status(&source) == Some(404) { RuntimeError::Missing { what } } else { failed(source) }
    }
}

/// The HTTP status the engine refused with.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// The result of an idempotent call: these statuses mean that it was so already.
pub(super) fn already(result: std::result::Result<(), Error>, statuses: &[u16]) -> std::result::Result<(), Error> {
    match result {
        Err(error) if status(&error).is_some_and(|code| statuses.contains(&code)) => Ok(()),
        other => other,
    }
}
