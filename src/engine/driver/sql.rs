//! MySQL's protocol, by `mysql_async`: as much as the driver's own requests need.

use std::io;
use std::net::SocketAddr;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, Row, Value};

use crate::failover::dialect::{Reply, ServerCommand};

use super::connection::ConnectError;

/// Given so that the server is not asked for them at every login.
const LARGEST_PACKET: usize = 16 << 20;
const IDLE_SECONDS: usize = 28_800;

pub(super) struct Sql(Conn);

impl Sql {
    pub async fn open(addr: SocketAddr, user: &str, password: &str) -> Result<Self, ConnectError> {
        let options = OptsBuilder::default()
            .ip_or_hostname(addr.ip().to_string())
            .tcp_port(addr.port())
            .user(Some(user))
            .pass(Some(password))
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(LARGEST_PACKET))
            .wait_timeout(Some(IDLE_SECONDS));
        Conn::new(options).await.map(Self).map_err(|error| match error {
            Error::Server(refused) => ConnectError::Login(refused.to_string()),
            _ => ConnectError::Broken,
        })
    }

    /// One statement after the other; what follows a refused one is not sent.
    pub async fn ask(&mut self, commands: &[ServerCommand]) -> io::Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(commands.len());
        for ServerCommand(words) in commands {
            match self.0.query::<Row, _>(words.concat()).await {
                Ok(rows) => replies.push(Reply::List(rows.into_iter().map(row).collect())),
                Err(Error::Server(refused)) => {
                    replies.push(Reply::Error(refused.to_string()));
                    break;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(replies)
    }
}

/// Names and values in turn.
fn row(row: Row) -> Reply {
    let columns = row.columns();
    let names = columns.iter().map(|column| Reply::Text(column.name_str().into_owned()));
    let values = row.unwrap_raw().into_iter().map(|value| value.map_or(Reply::Nothing, text));
    let cells = names.zip(values).flat_map(|(name, value)| [name, value]);
    Reply::List(cells.collect())
}

fn text(value: Value) -> Reply {
    match value {
        Value::NULL => Reply::Nothing,
        Value::Bytes(bytes) => Reply::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Value::Int(number) => Reply::Number(number),
        // Answers to statements that are not prepared are texts.
        other => Reply::Text(other.as_sql(true)),
    }
}
