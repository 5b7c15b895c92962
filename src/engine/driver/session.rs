//! A connection as an application has one: with its login, through the stable address, over
//! whatever the front does to it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use crate::failover::dialect::{Dialect, Reply, ServerCommand};

use super::connection::{ConnectError, Connection};

pub(in crate::engine) struct Session(Connection);

/// Why there is no answer, or none that was wanted.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum SessionError {
    #[error("the connection was cut")]
    Cut,
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// In the server's words.
    #[error("the server refuses: {0}")]
    Refused(String),
}

impl Session {
    /// # Errors
    /// When no server answers within `patience`, or the login is refused.
    pub async fn open(
        login: &str,
        addr: SocketAddr,
        dialect: &dyn Dialect,
        password: &str,
        patience: Duration,
    ) -> Result<Self, SessionError> {
        match timeout(patience, Connection::open_as(Some(login), addr, dialect, password)).await {
            Ok(Ok(connection)) => Ok(Self(connection)),
            Ok(Err(ConnectError::Broken)) => Err(SessionError::Cut),
            Ok(Err(ConnectError::Login(why))) => Err(SessionError::Refused(why)),
            Err(_) => Err(SessionError::Silent(patience)),
        }
    }

    /// The answers, none of which is an error. After `Cut` or `Silent` the session is of no use.
    pub async fn ask(&mut self, commands: &[ServerCommand], patience: Duration) -> Result<Vec<Reply>, SessionError> {
        let asked = timeout(patience, self.0.round_trip(commands)).await;
        let replies = asked.map_err(|_| SessionError::Silent(patience))?.map_err(|_| SessionError::Cut)?;
        match replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
            Some(Reply::Error(why)) => Err(SessionError::Refused(why.clone())),
            _ => Ok(replies),
        }
    }
}
