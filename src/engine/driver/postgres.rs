//! PostgreSQL's protocol, by `tokio-postgres`: as much as the driver's own requests need.

use std::io;
use std::net::SocketAddr;

use tokio::task::JoinHandle;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::failover::dialect::{Reply, ServerCommand};

use super::connection::ConnectError;

pub(super) struct Postgres {
    client: Client,
    /// Moves the bytes; ends with this connection.
    pump: JoinHandle<()>,
}

impl Postgres {
    pub async fn open(addr: SocketAddr, user: &str, database: &str, password: &str) -> Result<Self, ConnectError> {
        let mut config = Config::new();
        config.host(addr.ip().to_string()).port(addr.port()).user(user).dbname(database).password(password);
        config.application_name("dotcloud controller");
        let (client, connection) = config.connect(NoTls).await.map_err(|error| match error.as_db_error() {
            Some(refused) => ConnectError::Login(worded(refused)),
            None => ConnectError::Broken,
        })?;
        // What breaks the connection is told to whoever waits for an answer.
        let pump = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, pump })
    }

    /// One statement after the other; what follows a refused one is not sent.
    pub async fn ask(&mut self, commands: &[ServerCommand]) -> io::Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(commands.len());
        for ServerCommand(words) in commands {
            match self.client.simple_query(&words.concat()).await {
                Ok(messages) => replies.push(Reply::List(messages.iter().filter_map(row).collect())),
                Err(error) => {
                    replies.push(Reply::Error(refusal(error)?));
                    break;
                }
            }
        }
        Ok(replies)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// The server's words, unless the connection ended with them.
fn refusal(error: Error) -> io::Result<String> {
    let lasting = |refused: &&DbError| {
        !matches!(refused.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) && !error.is_closed()
    };
    match error.as_db_error().filter(lasting) {
        Some(refused) => Ok(worded(refused)),
        None => Err(io::Error::other(error)),
    }
}

fn worded(refused: &DbError) -> String {
    format!("{} ({})", refused.message(), refused.code().code())
}

/// Names and values in turn.
fn row(message: &SimpleQueryMessage) -> Option<Reply> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    let names = row.columns().iter().map(|column| Reply::Text(column.name().to_owned()));
    let cells = names.zip(values(row)).flat_map(|(name, value)| [name, value]);
    Some(Reply::List(cells.collect()))
}

fn values(row: &SimpleQueryRow) -> impl Iterator<Item = Reply> {
    (0..row.len()).map(|n| row.get(n).map_or(Reply::Nothing, |text| Reply::Text(text.to_owned())))
}
